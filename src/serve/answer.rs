//! A query's result as the body of an answer, sent as it is found.

use std::io::{self, Write};
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use hyper::body::Frame;
use oxigraph::sparql::CancellationToken;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time;

use super::memory::{Query, Running};
use super::negotiate::{RESULTS, TRIPLES, choose};
use super::problem::Problem;
use super::{Served, UNREAD};
use crate::graph::{self, Asked, Dataset, QueryError, ResultKind, Written};

/// Parts of a body that wait to be sent.
const WAITING: usize = 4;
/// Bytes of a result that are held until it is known how it goes on: what ends within them has its own status.
const HELD: usize = 64 << 10;

/// Answers a query in a format that `headers` ask for. The query ends when nobody waits for it any more.
///
/// # Errors
/// Where there is no result, or none of it was sent before it ended.
pub(super) async fn answer(
    served: &Arc<Served>,
    headers: &HeaderMap,
    sparql: String,
    dataset: Dataset,
) -> Result<Response, Problem> {
    let Ok(permit) = Arc::clone(&served.room).try_acquire_owned() else {
        return Err(Problem::busy("as many queries as are taken at once are being answered"));
    };
    let token = CancellationToken::new();
    let waiting = Waiting(token.clone());
    let too_large = Arc::new(AtomicBool::new(false));
    let query = Query { token: token.clone(), is_too_large: Arc::clone(&too_large) };
    let entry = Running::enter(served, query);
    let asked = Asked {
        sparql,
        dataset,
        timeout: Some(served.limits.time),
        token,
        held: Some(Box::new((permit, entry))),
    };
    let content_type = Arc::new(OnceLock::new());
    let written = chosen(headers, Arc::clone(&content_type));
    let (head, begun) = oneshot::channel();
    let (parts, received) = mpsc::channel(WAITING);
    let limits = &served.limits;
    let mut out = Out {
        begin: Some(head),
        held: Vec::new(),
        parts,
        handle: Handle::current(),
        until: Instant::now().checked_add(limits.time),
        left: limits.result,
        is_too_long: false,
    };
    let shared = Arc::clone(served);
    tokio::task::spawn_blocking(move || {
        let answered = graph::answer_query(&shared.store, asked, written, &mut out);
        out.end(&answered, too_large.load(Ordering::SeqCst), shared.limits.result);
    });
    begun.await.map_err(|_| Problem::busy("the query was given up"))??;
    let body = Parts { received, _waiting: waiting };
    let mut response = Response::new(Body::new(body));
    let content_type = content_type.get().and_then(|kind| HeaderValue::from_str(kind).ok());
    if let Some(content_type) = content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    Ok(response)
}

/// What a result is written as by its kind; the name of that goes into `content_type`.
fn chosen(
    headers: &HeaderMap,
    content_type: Arc<OnceLock<String>>,
) -> impl FnOnce(ResultKind) -> Option<Written> + Send + 'static {
    let (results, triples) = (choose(headers, &RESULTS), choose(headers, &TRIPLES));
    move |kind| {
        let (written, name) = match kind {
            ResultKind::Graph => {
                triples.map(|chosen| (Written::Graph(chosen.format), chosen.content_type))?
            }
            ResultKind::Solutions | ResultKind::Boolean => {
                results.map(|chosen| (Written::Results(chosen.format), chosen.content_type))?
            }
        };
        content_type.get_or_init(|| name);
        Some(written)
    }
}

/// Ends a query when it is dropped: who waited for it went away, or has it whole.
struct Waiting(CancellationToken);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// A body in parts, as they come.
struct Parts {
    received: mpsc::Receiver<Part>,
    _waiting: Waiting,
}

/// A part of a body.
enum Part {
    Bytes(Bytes),
    /// What was sent is the whole.
    End,
}

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.received.poll_recv(context).map(|part| match part {
            Some(Part::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Part::End) => None,
            // A body without its end cannot be taken for a whole one.
            None => Some(Err(io::Error::other("the result was broken off"))),
        })
    }
}

/// A result that is written into an answer's body.
struct Out {
    /// Who waits for the answer's first part, or why there is none; taken when that is sent.
    begin: Option<oneshot::Sender<Result<(), Problem>>>,
    /// What is not sent yet.
    held: Vec<u8>,
    parts: mpsc::Sender<Part>,
    handle: Handle,
    /// Until when all must be sent; none where that is never.
    until: Option<Instant>,
    /// Bytes that may still be written.
    left: u64,
    /// Whether that was not enough.
    is_too_long: bool,
}

impl Out {
    /// Says how it ended: to those who still wait for the first part, or by leaving the body without an end.
    fn end(mut self, answered: &Result<(), QueryError>, too_large: bool, most: u64) {
        let problem = match answered {
            Ok(()) => None,
            Err(_) if too_large => Some(Problem::ended(
                "the query was ended: queries took more memory than is granted; ask for less, as with LIMIT",
            )),
            Err(_) if self.is_too_long => {
                let text =
                    format!("the result has more than {most} bytes; ask for less, as with LIMIT");
                Some(Problem::ended(text))
            }
            Err(error) => Some(Problem::of_query(error)),
        };
        match (problem, self.begin.take()) {
            (None, head) => {
                if let Some(head) = head {
                    let _ = head.send(Ok(()));
                }
                let _ = self.send_held().and_then(|()| self.send(Part::End));
            }
            (Some(problem), Some(head)) => {
                let _ = head.send(Err(problem));
            }
            (Some(_), None) => {}
        }
    }

    fn send_held(&mut self) -> io::Result<()> {
        let held = mem::take(&mut self.held);
        if held.is_empty() { Ok(()) } else { self.send(Part::Bytes(held.into())) }
    }

    fn send(&self, part: Part) -> io::Result<()> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        // What is whole is still taken by those who are reading.
        let wait = left.unwrap_or(Duration::MAX).clamp(Duration::from_secs(1), UNREAD);
        match self.handle.block_on(async { time::timeout(wait, self.parts.send(part)).await }) {
            Ok(Ok(())) => Ok(()),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            self.is_too_long = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.left -= bytes.len() as u64;
        self.held.extend_from_slice(bytes);
        if self.begin.is_some() && self.held.len() <= HELD {
            return Ok(bytes.len());
        }
        if let Some(head) = self.begin.take() {
            let _ = head.send(Ok(()));
        }
        self.send_held()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
