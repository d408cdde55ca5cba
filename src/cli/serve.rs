//! `kgbuild serve`: a graph over HTTP.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use super::args::ServeArgs;
use super::failure::Failure;
use super::streams::{Console, print};
use super::{interrupt, store};
use crate::diagnostic::{At, Diagnostic, Diagnostics};
use crate::graph;
use crate::pipeline::free_memory;
use crate::serve::{
    Limits, Options, ReviewOptions, Server, StartWorker, answer_input, unguessable,
};

const MEGABYTE: u64 = 1_000_000;
/// Megabytes that a query has, whatever is free.
const LEAST: u64 = 256;
/// Characters that a token has at least.
const SHORTEST: usize = 16;

/// Serves until it is interrupted.
pub(super) fn serve(args: &ServeArgs, console: Console) -> Result<(), Failure> {
    if args.answer {
        interrupt::leave_to_parent();
        let memory = args.memory.map(|most| most.saturating_mul(MEGABYTE));
        return answer_input(&store::open(&args.store)?, memory).map_err(Failure::Output);
    }
    let (store, _held, review) = match args.review {
        true => {
            let token = token(args.token_file.as_deref())?;
            let judge = graph::Judge::open(&args.store)?;
            let store = judge.store().clone();
            store::warn(&store, &args.store)?;
            (store, None, Some(ReviewOptions { judge, token }))
        }
        // What is served stays what it is.
        false => {
            let held = graph::hold(&args.store)?;
            (store::open(&args.store)?, Some(held), None)
        }
    };
    let new_token = review.as_ref().filter(|_| args.token_file.is_none());
    let new_token = new_token.map(|review| review.token.clone());
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
        review,
    };
    let server = Server::bind(store, options)?;
    // What was read until here can be left at once.
    let stop = interrupt::stop_on_interrupt("finishing what is being answered", "stopped")?;
    // What the command gives: port 0 says nothing before.
    print(&format!("http://{}/", server.address()))?;
    if let Some(token) = new_token {
        print(&format!("token: {token}"))?;
    }
    console.note(&format!("serving {} there; Ctrl-C ends it", args.store.display()));
    Ok(server.run(&stop)?)
}

/// What those who judge have to know: what a file has, or something new.
fn token(file: Option<&Path>) -> Result<String, Failure> {
    let Some(file) = file else { return Ok(unguessable()) };
    let bad = |message: String| {
        let help = "write a long random text into it, as `openssl rand -hex 32` prints";
        Diagnostics::from(Diagnostic::error("bad-token", message).help(help).at(file, At::File))
    };
    let text = fs::read_to_string(file)
        .map_err(|error| bad(format!("the token cannot be read: {error}")))?;
    let token = text.trim();
    if token.chars().count() < SHORTEST {
        return Err(bad(format!("the token has less than {SHORTEST} characters")).into());
    }
    Ok(token.to_owned())
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
