//! `kgbuild serve`: a graph over HTTP.

use std::net::SocketAddr;
use std::thread;

use super::args::ServeArgs;
use super::failure::Failure;
use super::streams::{Console, print};
use super::{interrupt, store};
use crate::graph;
use crate::pipeline::free_memory;
use crate::serve::{Limits, Options, Server, StartWorker, answer_input};

const MEGABYTE: u64 = 1_000_000;
/// Megabytes that a query has, whatever is free.
const LEAST: u64 = 256;

/// Serves until it is interrupted.
pub(super) fn serve(args: &ServeArgs, console: Console) -> Result<(), Failure> {
    if args.answer {
        interrupt::leave_to_parent();
        let memory = args.memory.map(|most| most.saturating_mul(MEGABYTE));
        return answer_input(&store::open(&args.store)?, memory).map_err(Failure::Output);
    }
    // What is served stays what it is.
    let _held = graph::hold(&args.store)?;
    let store = store::open(&args.store)?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let queries = args.queries.map_or(2 * cores, usize::from);
    let share = || Some((free_memory()? / 2 / queries as u64 / MEGABYTE).max(LEAST));
    let result = u64::from(args.result) * MEGABYTE;
    let limits = Limits { time: args.timeout, queries, result };
    let options = Options {
        start_worker: worker(args, args.memory.or_else(share)),
        address: SocketAddr::new(args.bind, args.port),
        origin: args.cors.clone(),
        limits,
    };
    let server = Server::bind(store, options)?;
    // What was read until here can be left at once.
    let stop = interrupt::stop_on_interrupt("finishing what is being answered", "stopped")?;
    // What the command gives: port 0 says nothing before.
    print(&format!("http://{}/", server.address()))?;
    console.note(&format!("serving {} there; Ctrl-C ends it", args.store.display()));
    Ok(server.run(&stop)?)
}

/// This program again, to answer queries.
fn worker(args: &ServeArgs, memory: Option<u64>) -> StartWorker {
    let store = args.store.clone();
    Box::new(move || {
        let mut command = super::again("serve");
        command.arg("--answer").args(memory.map(|memory| format!("--memory={memory}")));
        command.arg("--").arg(&store);
        command
    })
}
