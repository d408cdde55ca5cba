//! A query's result as the body of an answer, sent as it is found.

use std::io::{self, Write};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use hyper::body::Frame;
use oxigraph::sparql::CancellationToken;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time;

use super::Served;
use super::memory::{Query, Running};
use super::negotiate::{Chosen, RESULTS, TRIPLES, choose};
use super::problem::Problem;
use crate::graph::{self, Asked, Dataset, QueryError, ResultKind, Written};

/// Parts of a body that wait to be sent.
const WAITING: usize = 4;
/// Bytes of a result that are held until it is known how it goes on: what ends within them has its own status.
const HELD: usize = 64 << 10;
/// How long a client may leave a part unread.
const UNREAD: Duration = Duration::from_secs(30);

/// Answers a query in a format that `headers` ask for.
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
    let (head, begun) = oneshot::channel();
    let (parts, body) = mpsc::channel(WAITING);
    let results = choose(headers, &RESULTS);
    let triples = choose(headers, &TRIPLES);
    let token = CancellationToken::new();
    let too_large = Arc::new(AtomicBool::new(false));
    let query = Query { token: token.clone(), is_too_large: Arc::clone(&too_large) };
    let entry = Running::enter(served, query);
    let (timeout, most) = (Some(served.limits.time), served.limits.result);
    let asked = Asked { sparql, dataset, timeout, token };
    let shared = Arc::clone(served);
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || {
        let (_permit, _entry) = (permit, entry);
        let (kind_found, kind) = std::sync::mpsc::sync_channel(1);
        let (as_results, as_triples) = (results.clone(), triples.clone());
        let written = move |kind| {
            let _ = kind_found.send(kind);
            match kind {
                ResultKind::Graph => as_triples.map(|chosen| Written::Graph(chosen.format)),
                ResultKind::Solutions | ResultKind::Boolean => {
                    as_results.map(|chosen| Written::Results(chosen.format))
                }
            }
        };
        let content_type = move || match kind.try_recv() {
            Ok(ResultKind::Graph) => triples.map(|chosen| chosen.content_type),
            _ => results.map(|chosen: Chosen<_>| chosen.content_type),
        };
        let mut out = Out {
            begin: Some((head, Box::new(content_type))),
            held: Vec::new(),
            parts,
            handle,
            left: most,
            is_too_long: false,
        };
        let answered = graph::answer_query(&shared.store, asked, written, &mut out);
        out.end(answered, too_large.load(Ordering::SeqCst), most);
    });
    let content_type = begun.await.map_err(|_| Problem::busy("the query was given up"))??;
    let mut response = Response::new(Body::new(Parts(body)));
    let content_type = HeaderValue::from_str(&content_type);
    let content_type = content_type.unwrap_or(HeaderValue::from_static("text/plain"));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// A body in parts, as they come.
struct Parts(mpsc::Receiver<Part>);

/// A part, or why there are no more.
type Part = Result<Frame<Bytes>, io::Error>;

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Part>> {
        self.0.poll_recv(context)
    }
}

/// Who waits for the answer's first line: what it is, or why there is none.
type Begin = (oneshot::Sender<Result<String, Problem>>, Box<dyn FnOnce() -> Option<String> + Send>);

/// A result that is written into an answer's body.
struct Out {
    /// Taken when the first part is sent.
    begin: Option<Begin>,
    /// What is not sent yet.
    held: Vec<u8>,
    parts: mpsc::Sender<Part>,
    handle: Handle,
    /// Bytes that may still be written.
    left: u64,
    /// Whether that was not enough.
    is_too_long: bool,
}

impl Out {
    /// Says how it ended: to those who still wait for the first line, or by breaking the body off.
    fn end(mut self, answered: Result<(), QueryError>, too_large: bool, most: u64) {
        let problem = match &answered {
            Ok(()) => None,
            Err(_) if too_large => Some(Problem::busy(
                "the query was ended: queries took more memory than is granted; ask for less, as with LIMIT",
            )),
            Err(_) if self.is_too_long => {
                Some(Problem::busy(format!("the result has more than {most} bytes; ask for less")))
            }
            Err(error) => Some(Problem::of_query(error)),
        };
        match (problem, self.begin.take()) {
            (None, None) => {}
            (None, Some((head, content_type))) => {
                let _ = head.send(Ok(content_type().unwrap_or_default()));
                let _ = self.send();
            }
            (Some(problem), Some((head, _))) => {
                let _ = head.send(Err(problem));
            }
            // A body without its end cannot be taken for a whole one.
            (Some(_), None) => {
                let broken = io::Error::other("the result was broken off");
                let _ = self.handle.block_on(self.parts.send(Err(broken)));
            }
        }
    }
}

impl Out {
    /// Sends what is held.
    fn send(&mut self) -> io::Result<()> {
        let part = Frame::data(Bytes::from(mem::take(&mut self.held)));
        let sending = time::timeout(UNREAD, self.parts.send(Ok(part)));
        match self.handle.block_on(sending) {
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
        if let Some((head, content_type)) = self.begin.take() {
            let _ = head.send(Ok(content_type().unwrap_or_default()));
        }
        self.send()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
