//! The commands: each parses its words, calls the rooms below, and says how it went.
//!
//! Exit codes: 0 done, 1 failed, 2 bad input. Results go to standard output, all else to standard
//! error.

mod args;
mod check;
mod export;
mod failure;
mod fetch;
mod init;
mod query;
mod report;
mod run;
mod say;
mod table;

use std::process::ExitCode;

use clap::Parser;

pub use args::Args;
use args::Command;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Check { pipeline } => check::check(&pipeline),
        Command::Run(args) => run::run(&args),
        Command::Fetch { pipeline } => fetch::fetch(pipeline.as_deref()),
        Command::Init { folder } => init::init(&folder),
        Command::Query(args) => query::query(&args),
        Command::Export(args) => export::export(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
