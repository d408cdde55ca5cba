//! A process that answers queries for the server: one whose query takes too much memory, or does not end, is ended
//! with it, and the server goes on.
//!
//! Requests come on standard input, a line of JSON each, and frames go to standard output: a byte that says what it
//! is, the length in four bytes, the lowest first, and so many bytes.

use std::fs;
use std::io::{self, BufRead, Write};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use oxigraph::model::NamedNode;
use oxigraph::store::Store;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use signal_hook::low_level;

use super::negotiate::{RESULTS, TRIPLES, choose};
use super::problem::Problem;
use crate::graph::{self, Asked, Dataset, ResultKind, Written};

/// Bytes of a result that are held until it is known how it goes on: what ends within them has its own status.
const HELD: usize = 64 << 10;
/// Bytes that the store's caches and the threads may take beside a query.
const BESIDE: u64 = 256 << 20;
/// Bytes of the longest frame of a result.
const FRAME: usize = 64 << 10;
/// Bytes of the stack that queries are answered on, of which only what is used takes memory.
const STACK: u64 = 1 << 30;

/// What is to be answered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub sparql: String,
    /// IRIs of graphs, as [`Dataset`] has them.
    pub default: Vec<String>,
    pub named: Vec<String>,
    /// What the client takes, as its header says it.
    pub accept: Option<String>,
    /// Bytes of the longest result.
    pub most: u64,
}

/// Why there is no result, or not all of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub status: u16,
    pub text: String,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The store is open; has no bytes.
    Ready = b'O',
    /// The name of the result's format.
    Format = b'F',
    /// A part of the result.
    Part = b'P',
    /// The result was whole; has no bytes.
    End = b'E',
    /// A [`Refusal`].
    Refusal = b'R',
}

impl Kind {
    pub(super) fn of(byte: u8) -> Option<Self> {
        let all = [Self::Ready, Self::Format, Self::Part, Self::End, Self::Refusal];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Answers what comes on standard input from `store`, until that ends; then this process ends too, whatever it
/// does. With `memory` the process ends where it takes so many bytes more than now.
///
/// # Errors
/// Where the limit cannot be set, or standard output takes no more.
pub fn answer_input(store: &Store, memory: Option<u64>) -> io::Result<()> {
    if let Some(memory) = memory {
        limit(memory)?;
    }
    let (sender, requests) = mpsc::channel();
    // While a query runs too: who asked may be gone.
    thread::Builder::new().name("requests".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
        // Without what is done at a usual exit: another thread may be reading the store.
        low_level::exit(0);
    })?;
    frame(Kind::Ready, &[])?;
    for line in requests {
        match serde_json::from_str(&line) {
            Ok(request) => answer(store, request)?,
            Err(error) => refuse(&Problem::bad(error.to_string()))?,
        }
    }
    Ok(())
}

/// Lets this process have so many bytes more than it has.
fn limit(memory: u64) -> io::Result<()> {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let now = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    let Some(now) = now else { return Ok(()) };
    let most = (now * 1024).saturating_add(memory).saturating_add(STACK + BESIDE);
    // What is ended for its memory leaves no picture of it on the disk.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    let maximum = getrlimit(Resource::As).maximum;
    let current = Some(maximum.map_or(most, |maximum| most.min(maximum)));
    Ok(setrlimit(Resource::As, Rlimit { current, maximum })?)
}

fn answer(store: &Store, request: Request) -> io::Result<()> {
    let Request { sparql, default, named, accept, most } = request;
    let graphs = |iris: Vec<String>| iris.into_iter().map(NamedNode::new_unchecked).collect();
    let dataset = Dataset { default: graphs(default), named: graphs(named) };
    let mut headers = HeaderMap::new();
    if let Some(accept) = accept.and_then(|accept| HeaderValue::from_str(&accept).ok()) {
        headers.insert(header::ACCEPT, accept);
    }
    let format = Arc::new(OnceLock::new());
    let written = chosen(&headers, Arc::clone(&format));
    let mut out = Out { format, is_begun: false, held: Vec::new(), left: most, is_too_long: false };
    let asked = Asked { sparql, dataset, ..Asked::default() };
    match graph::answer_query(store, asked, written, &mut out) {
        Ok(()) => {
            out.begin()?;
            frame(Kind::End, &[])
        }
        Err(_) if out.is_too_long => {
            let text =
                format!("the result has more than {most} bytes; ask for less, as with LIMIT");
            refuse(&Problem::ended(text))
        }
        Err(error) => refuse(&Problem::of_query(&error)),
    }
}

/// What a result is written as by its kind; the name of that goes into `format`.
fn chosen(
    headers: &HeaderMap,
    format: Arc<OnceLock<String>>,
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
        format.get_or_init(|| name);
        Some(written)
    }
}

fn refuse(problem: &Problem) -> io::Result<()> {
    let refusal = Refusal { status: problem.status.as_u16(), text: problem.text.clone() };
    frame(Kind::Refusal, &serde_json::to_vec(&refusal).unwrap_or_default())
}

impl From<Refusal> for Problem {
    fn from(Refusal { status, text }: Refusal) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, text)
    }
}

fn frame(kind: Kind, bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&[kind as u8])?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)?;
    out.flush()
}

/// A result that is written into frames.
struct Out {
    format: Arc<OnceLock<String>>,
    /// Whether anything was sent.
    is_begun: bool,
    /// What is not sent yet.
    held: Vec<u8>,
    /// Bytes that may still be written.
    left: u64,
    /// Whether that was not enough.
    is_too_long: bool,
}

impl Out {
    /// Sends what is held, before it the format's name where nothing was sent.
    fn begin(&mut self) -> io::Result<()> {
        if !self.is_begun {
            self.is_begun = true;
            frame(Kind::Format, self.format.get().map_or(&[], String::as_bytes))?;
        }
        for part in self.held.chunks(FRAME) {
            frame(Kind::Part, part)?;
        }
        self.held.clear();
        Ok(())
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
        if self.is_begun || self.held.len() > HELD {
            self.begin()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
