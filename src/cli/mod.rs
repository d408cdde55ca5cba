//! The commands: each parses its words, calls the rooms below, and says how it went.
//!
//! Exit codes: 0 done, 1 failed, 2 bad input, 70 a bug, 128 and its number interrupted by a signal.
//! Results go to standard output, all else to standard error.

mod args;
mod bug;
mod check;
mod deliver;
mod diff;
mod environment;
mod eval;
mod events;
mod export;
mod failure;
mod fetch;
mod finetune;
mod import;
mod init;
mod inspect;
mod interrupt;
mod judgements;
mod manual;
mod query;
mod report;
mod reproduce;
mod run;
mod serve;
mod shards;
mod shock;
mod store;
mod streams;
mod table;
mod tune;

use std::env;
use std::ffi::OsString;
use std::process::{self, ExitCode};

pub use args::Args;
use args::{Command, ModelsCommand};
use failure::Failure;
use streams::Console;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    ExitCode::from(run(env::args_os().collect()))
}

/// Runs a command by its words, the program's name before them, and gives the exit code. It takes the process for
/// its own: signals, panics, standard input and output.
pub fn run(words: Vec<OsString>) -> u8 {
    // ONNX Runtime 1.32 reports its use to its makers, and leaves a device number and a database
    // in the home folder, unless this is set before it is loaded.
    // SAFETY: no other thread runs yet.
    unsafe { env::set_var("ORT_DISABLE_TELEMETRY", "1") };
    bug::end_on_panic();
    let ended = interrupt::end_on_interrupt().and_then(|()| run_command(Args::read(words)));
    match ended {
        Ok(()) => 0,
        Err(failure) => failure.report(),
    }
}

fn run_command(args: Args) -> Result<(), Failure> {
    let console = Console { quiet: args.quiet };
    match args.command {
        Command::Check { pipeline } => check::check(&pipeline, console),
        Command::Run(args) => run::run(&args, console),
        Command::Plan(args) => shards::plan(&args, console),
        Command::Merge(args) => shards::merge_shards(&args, console),
        Command::Finetune(args) => finetune::finetune(&args, console),
        Command::Tune(args) => tune::tune(&args, console),
        Command::Reproduce(args) => reproduce::reproduce(&args, console),
        Command::Fetch(args) => fetch::fetch(&args, console),
        Command::Models { command: ModelsCommand::Inspect(args) } => {
            inspect::inspect(&args, console)
        }
        Command::Init { folder } => init::init(&folder, console),
        Command::Import { command } => import::import(&command, console),
        Command::Query(args) => query::query(&args),
        Command::Serve(args) => serve::serve(&args, console),
        Command::Export(args) => export::export(&args),
        Command::Judgements { command } => judgements::run(&command, console),
        Command::History { store } => diff::history(&store),
        Command::Diff(args) => diff::diff(&args),
        Command::Eval(args) => eval::eval(&args, console),
        Command::Shock(args) => shock::shock(&args, console),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { folder } => manual::pages(&folder, console),
    }
}

/// This program again, with the word of the command that runs. Installed by pip it stands behind an interpreter, whose
/// place says where its packages are.
fn again(word: &str) -> process::Command {
    let mut words = env::args_os();
    let mut command = process::Command::new(words.next().unwrap_or_else(|| "kgbuild".into()));
    command.args(words.take_while(|own| own != word)).arg(word);
    command
}
