//! A query's result as the body of an answer, sent as it is found.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use hyper::body::Frame;
use oxigraph::model::NamedNode;
use tokio::sync::{mpsc, oneshot};
use tokio::time;

use super::Served;
use super::problem::Problem;
use super::worker::{Kind, Refusal, Request};
use super::workers::Worker;
use crate::graph::{Dataset, QueryError};

/// Parts of a body that wait to be sent.
const WAITING: usize = 4;
/// How long a new process has to open the store.
const STARTING: Duration = Duration::from_secs(30);

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
    let worker = served.workers.take();
    let worker = worker.map_err(|error| Problem::busy(format!("no process to answer: {error}")))?;
    let accept: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let iris = |graphs: Vec<NamedNode>| graphs.into_iter().map(NamedNode::into_string).collect();
    let request = Request {
        sparql,
        default: iris(dataset.default),
        named: iris(dataset.named),
        accept: (!accept.is_empty()).then(|| accept.join(",")),
        most: served.limits.result,
    };
    let (head, begun) = oneshot::channel();
    let (parts, received) = mpsc::channel(WAITING);
    let shared = Arc::clone(served);
    tokio::spawn(async move {
        let mut asked = Asked { worker, head: Some(head), parts };
        let ending = asked.within(&shared, &request).await;
        let Asked { worker, head, parts } = asked;
        let ending = match ending {
            Ending::Whole => {
                shared.workers.give_back(worker);
                Ending::Whole
            }
            // One that gave up in between may be at work still.
            Ending::Refused(problem) if problem.status.is_client_error() => {
                shared.workers.give_back(worker);
                Ending::Refused(problem)
            }
            Ending::Gone => Ending::Refused(Problem::of_worker(worker.status().await)),
            other => {
                worker.end().await;
                other
            }
        };
        // Who hears the end can ask the next.
        drop(permit);
        match (ending, head) {
            (Ending::Whole, _) => drop(parts.send(Part::End).await),
            (Ending::Refused(problem), Some(head)) => {
                let _ = head.send(Err(problem));
            }
            _ => {}
        }
    });
    let format = begun.await.map_err(|_| Problem::busy("the query was given up"))??;
    let mut response = Response::new(Body::new(Parts(received)));
    if let Ok(format) = HeaderValue::from_bytes(&format) {
        response.headers_mut().insert(header::CONTENT_TYPE, format);
    }
    Ok(response)
}

/// A query that a worker answers.
struct Asked {
    worker: Worker,
    /// Who waits for the format's name; taken when that is known, or why there is no result.
    head: Option<oneshot::Sender<Result<Vec<u8>, Problem>>>,
    parts: mpsc::Sender<Part>,
}

/// How a query ended.
enum Ending {
    /// All was handed on.
    Whole,
    /// There is no result, or no more of it.
    Refused(Problem),
    /// The worker ended by itself.
    Gone,
    /// Nobody listens any more.
    Unheard,
}

impl Asked {
    /// Hands on what the worker says, within its time and as long as someone listens.
    async fn within(&mut self, served: &Served, request: &Request) -> Ending {
        let listening = self.parts.clone();
        // A new process opens the store first, which is not the query's time.
        tokio::select! {
            ready = time::timeout(STARTING, self.worker.ready()) => match ready {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ending::Gone,
                Err(_) => return Ending::Refused(Problem::busy("no process is ready to answer")),
            },
            () = listening.closed() => return Ending::Unheard,
        }
        let after = served.limits.time;
        tokio::select! {
            handed = self.hand_on(request) => handed.unwrap_or(Ending::Gone),
            () = listening.closed() => Ending::Unheard,
            () = time::sleep(after) => {
                Ending::Refused(Problem::of_query(&QueryError::TimedOut { after }))
            }
        }
    }

    /// Hands on what the worker says until it has answered.
    async fn hand_on(&mut self, request: &Request) -> io::Result<Ending> {
        self.worker.ask(request).await?;
        loop {
            let (kind, bytes) = self.worker.frame().await?;
            match kind {
                Kind::Format => {
                    if let Some(head) = self.head.take() {
                        let _ = head.send(Ok(bytes));
                    }
                }
                Kind::Ready => {}
                Kind::Part => drop(self.parts.send(Part::Bytes(bytes.into())).await),
                Kind::End => return Ok(Ending::Whole),
                Kind::Refusal => {
                    let refusal: Refusal = serde_json::from_slice(&bytes)?;
                    return Ok(Ending::Refused(refusal.into()));
                }
            }
        }
    }
}

/// A body in parts, as they come.
struct Parts(mpsc::Receiver<Part>);

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
        self.0.poll_recv(context).map(|part| match part {
            Some(Part::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Part::End) => None,
            // A body without its end cannot be taken for a whole one.
            None => Some(Err(io::Error::other("the result was broken off"))),
        })
    }
}
