//! `kgbuild serve`: a graph over HTTP.

use std::net::SocketAddr;
use std::thread;

use super::args::ServeArgs;
use super::failure::Failure;
use super::streams::{Console, print};
use super::{interrupt, store};
use crate::pipeline::free_memory;
use crate::serve::{Limits, Options, Server};

/// Clients that may be connected.
const CONNECTIONS: usize = 512;
const MEGABYTE: u64 = 1_000_000;

/// Serves until it is interrupted.
pub(super) fn serve(args: &ServeArgs, console: Console) -> Result<(), Failure> {
    let stop = interrupt::stop_on_interrupt("finishing what is being answered", "stopped")?;
    let store = store::open(&args.store)?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let limits = Limits {
        time: args.timeout,
        queries: args.queries.map_or(2 * cores, usize::from),
        result: u64::from(args.result) * MEGABYTE,
        memory: args
            .memory
            .map(|most| u64::from(most) * MEGABYTE)
            .or(free_memory().map(|free| free / 2)),
        connections: CONNECTIONS,
    };
    let address = SocketAddr::new(args.bind, args.port);
    let server = Server::bind(store, Options { address, origin: args.cors.clone(), limits })?;
    // What the command gives: port 0 says nothing before.
    print(&format!("http://{}/", server.address()))?;
    console.note(&format!("serving {} there; Ctrl-C ends it", args.store.display()));
    Ok(server.run(&stop)?)
}
