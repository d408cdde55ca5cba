//! The commands: each parses its words, calls the rooms below, and says how it went.
//!
//! Exit codes: 0 done, 1 failed, 2 bad input. Results go to standard output, all else to standard
//! error.

mod args;
mod check;
mod deliver;
mod eval;
mod export;
mod failure;
mod fetch;
mod finetune;
mod init;
mod inspect;
mod interrupt;
mod known;
mod models;
mod query;
mod report;
mod reproduce;
mod run;
mod say;
mod shock;
mod store;
mod table;
mod target;
mod tune;

use std::env;
use std::ffi::c_int;
use std::process::ExitCode;

use clap::Parser;

pub use args::Args;
use args::{Command, ModelsCommand};

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    // ONNX Runtime 1.32 reports its use to its makers, and leaves a device number and a database
    // in the home folder, unless this is set before it is loaded.
    // SAFETY: no other thread runs yet.
    unsafe { env::set_var("ORT_DISABLE_TELEMETRY", "1") };
    ignore_file_size_signal();
    let outcome = match Args::parse().command {
        Command::Check { pipeline } => check::check(&pipeline),
        Command::Run(args) => run::run(&args),
        Command::Finetune(args) => finetune::finetune(&args),
        Command::Tune(args) => tune::tune(&args),
        Command::Reproduce(args) => reproduce::reproduce(&args),
        Command::Fetch { pipeline, verify } => fetch::fetch(pipeline.as_deref(), verify),
        Command::Models { command: ModelsCommand::Inspect(args) } => inspect::inspect(&args),
        Command::Init { folder } => init::init(&folder),
        Command::Query(args) => query::query(&args),
        Command::Export(args) => export::export(&args),
        Command::Eval(args) => eval::eval(&args),
        Command::Shock(args) => shock::shock(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Beyond a limit on the size of files (`ulimit -f`), a signal would end the program before it could
/// say a word. Ignored, the write fails with an error, which is told like that of a full disk.
fn ignore_file_size_signal() {
    // The standard library links the C library, but has no name for this.
    unsafe extern "C" {
        fn signal(number: c_int, action: usize) -> usize;
    }
    const SIGXFSZ: c_int = 25;
    const SIG_IGN: usize = 1;
    // SAFETY: no handler is installed, so that nothing runs when the signal comes.
    unsafe { signal(SIGXFSZ, SIG_IGN) };
}
