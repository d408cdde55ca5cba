//! The graph over HTTP: the SPARQL 1.1 protocol, the Graph Store protocol for reading, and pages.
//!
//! What is served cannot be changed by a request, but for what people say of its facts who may judge them. Each request has bounds: of its size, of its time, of a query's
//! memory, of the length of a result, of the number of queries at once; what goes beyond is refused with its
//! reason, and the server goes on. Queries are answered by processes of their own ([`answer_input`]): nothing
//! else bounds what an engine takes that was not made to be stopped.

mod answer;
mod connections;
mod index;
mod negotiate;
mod pages;
mod problem;
mod protocol;
mod reconcile;
mod review;
mod routes;
mod service;
mod worker;
mod workers;

pub use review::{ReviewOptions, unguessable};
pub use worker::answer_input;
pub use workers::StartWorker;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use oxigraph::store::{StorageError, Store};
use tokio::runtime;
use tokio::sync::Semaphore;

use self::index::Index;
use self::review::Review;
use self::workers::Workers;
use crate::diagnostic::{Explain, Fault};
use crate::graph::{self, AskedQuestions};

/// How long a client may leave a part of an answer unread.
const UNREAD: Duration = Duration::from_secs(30);
/// How long what reads the store has to end when the server does.
const ENDING: Duration = Duration::from_secs(5);
/// Pages that are made at once, for each core; more wait.
const PAGES: usize = 4;

/// What a server grants.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest that a query may take, the reading of its result included.
    pub time: Duration,
    /// How many queries may be answered at once.
    pub queries: usize,
    /// Bytes of the longest result.
    pub result: u64,
}

/// How a graph is served.
pub struct Options {
    /// Starts a process that calls [`answer_input`] with the same store.
    pub start_worker: StartWorker,
    /// Where to listen; port 0 lets the system choose one.
    pub address: SocketAddr,
    /// The origin whose pages may read answers, or `*` for those of all; none where none may.
    pub origin: Option<String>,
    /// What it grants.
    pub limits: Limits,
    /// What lets people judge facts; none where they are only read.
    pub review: Option<ReviewOptions>,
}

/// A server that has its address, and is not yet running.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    served: Arc<Served>,
}

/// What all requests share.
struct Served {
    store: Store,
    index: Index,
    /// Read when a page wants it first.
    asked: OnceLock<AskedQuestions>,
    origin: Option<String>,
    limits: Limits,
    /// A permit a query.
    room: Arc<Semaphore>,
    workers: Workers,
    /// A permit a page.
    pages: Arc<Semaphore>,
    review: Option<Review>,
}

impl Served {
    /// What was asked, and of which candidates it was chosen.
    ///
    /// # Errors
    /// Where the graph cannot be read.
    fn asked(&self) -> Result<&AskedQuestions, graph::Error> {
        if let Some(asked) = self.asked.get() {
            return Ok(asked);
        }
        let asked = AskedQuestions::of(&self.store)?;
        Ok(self.asked.get_or_init(|| asked))
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Address {
        /// What was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The system gives no threads.
    #[error("cannot start the server's threads")]
    Threads(#[source] io::Error),
    /// The names in the graph cannot be read.
    #[error("cannot read the graph")]
    Names(#[source] StorageError),
    /// The facts in the graph cannot be read.
    #[error("cannot read the graph's facts")]
    Facts(#[source] graph::Error),
    /// Origins that are none.
    #[error("`{0}` is no origin")]
    Origin(String),
}

impl Explain for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Address { .. } | Self::Origin(_) => Fault::User,
            Self::Threads(_) | Self::Names(_) | Self::Facts(_) => Fault::Machine,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Address { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("name another --port, or 0 for one that is free".to_owned())
            }
            Self::Address { .. } => Some("name another --bind or --port".to_owned()),
            Self::Origin(_) => Some("write it as in https://example.org, or * for all".to_owned()),
            Self::Threads(_) | Self::Names(_) | Self::Facts(_) => None,
        }
    }
}

impl Server {
    /// Takes the address, and reads the names of all that can be searched.
    ///
    /// # Errors
    /// [`Error::Address`] where it cannot be had, [`Error::Origin`] where that is none,
    /// [`Error::Names`] and [`Error::Facts`] where the store cannot be read.
    pub fn bind(store: Store, options: Options) -> Result<Self, Error> {
        let Options { start_worker, address, origin, limits, review } = options;
        if let Some(origin) = origin.as_ref().filter(|origin| !routes::is_origin(origin)) {
            return Err(Error::Origin(origin.clone()));
        }
        let cannot = |source| Error::Address { address, source };
        let listener = TcpListener::bind(address).map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let index = Index::of(&store).map_err(Error::Names)?;
        let asked = OnceLock::new();
        let room = Arc::new(Semaphore::new(limits.queries));
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let pages = Arc::new(Semaphore::new(PAGES * cores));
        let workers = Workers::new(start_worker);
        let review = review.map(Review::of).transpose().map_err(Error::Facts)?;
        let served = Served { store, index, asked, origin, limits, room, workers, pages, review };
        let served = Arc::new(served);
        Ok(Self { listener, address, served })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` is set; then those that are being answered are finished.
    ///
    /// # Errors
    /// Where the system gives no threads.
    pub fn run(self, stop: &AtomicBool) -> Result<(), Error> {
        let runtime = runtime::Builder::new_multi_thread()
            .thread_name("serve")
            .enable_all()
            .build()
            .map_err(Error::Threads)?;
        let Self { listener, served, .. } = self;
        let ended = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(Error::Threads)?;
            connections::serve(listener, &served, stop).await;
            Ok(())
        });
        // A page that goes through much of the store does not hold up the end.
        runtime.shutdown_timeout(ENDING);
        ended
    }
}
