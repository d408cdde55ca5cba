//! `kgbuild run --processes N`: the shards of a job in processes of one machine, and their merge.
//!
//! Each process has processors of its own, those of one NUMA node where there are several, and a GPU of its own where
//! there are some. It tells this one how far it is, in lines of JSON on its standard output.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use serde::{Deserialize, Serialize};

use super::args::RunArgs;
use super::failure::Failure;
use super::processors::{Place, places};
use super::report::{next_steps, program, relations, shown};
use super::streams::Console;
use crate::diagnostic::{Events, Explain, Fault, Progress, Work};
use crate::graph::ShardDescription;
use crate::pipeline::{Environment, Job, MergeOptions, STAGES, Shard, merge};

/// How long it is waited for something to be told, before it is looked whether work is to stop.
const TICK: Duration = Duration::from_millis(100);

/// What a process tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Told {
    /// It asks so many prompts.
    Begin { total: u64 },
    /// A stage has done so much more.
    Advance { stage: String, by: u64 },
    /// It says no more.
    End,
}

/// Tells the process that began this one.
pub(super) struct Teller;

impl Teller {
    fn tell(told: &Told) {
        let Ok(line) = serde_json::to_string(told) else { return };
        // Who began this process may be gone; then this one is ended too.
        let _nobody_listens = writeln!(std::io::stdout().lock(), "{line}");
    }
}

impl Events for Teller {
    fn begin(&self, work: Work) {
        if work.stages == STAGES {
            Self::tell(&Told::Begin { total: work.total });
        }
    }

    fn advance(&self, stage: &'static str, by: u64) {
        if STAGES.contains(&stage) {
            Self::tell(&Told::Advance { stage: stage.to_owned(), by });
        }
    }
}

/// A shard's process.
struct Running {
    shard: Shard,
    child: Child,
    /// Reads what it says of what went wrong.
    said: JoinHandle<String>,
}

/// Why a process did not get to its end.
#[derive(Debug, thiserror::Error)]
#[error("the process of shard {shard} {}{}", ended(*status), if said.is_empty() { String::new() } else { format!(":\n{said}") })]
struct Ended {
    shard: Shard,
    status: ExitStatus,
    /// On standard error.
    said: String,
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with the exit code {code}"),
        (None, signal) => format!("was killed by signal {}", signal.unwrap_or_default()),
    }
}

impl Explain for Ended {
    fn fault(&self) -> Fault {
        if self.status.code() == Some(2) { Fault::User } else { Fault::Machine }
    }

    fn help(&self) -> Option<String> {
        let is_killed = self.status.code().is_none();
        is_killed.then(|| {
            "the same command goes on where it was; each process holds the models, so that fewer take less memory"
                .to_owned()
        })
    }
}

/// Runs so many shards of a pipeline side by side, and makes one graph of them.
pub(super) fn run(
    args: &RunArgs,
    count: u32,
    environment: &Environment,
    console: Console,
) -> Result<(), Failure> {
    let job = Job::open(&args.pipeline, environment)?;
    let (out, device) = (job.pipeline().output.folder.clone(), job.pipeline().runtime.device);
    let again = format!(
        "interrupted: `{} run {} --processes {count}` goes on where this run stopped",
        program(),
        shown(&args.pipeline)
    );
    let saying = |failure: Failure| failure.saying(&again);
    let planned = job.plan()?.share_means(None, args.fresh);
    planned.map_err(|error| saying(error.into()))?;

    let shards = (1..=count).filter_map(|number| Shard::new(number, count));
    let (tell, told) = unbounded();
    let mut running = Vec::new();
    for (shard, place) in shards.zip(places(count as usize, device)) {
        match begin(args, shard, &place, tell.clone()) {
            Ok(process) => running.push(process),
            Err(failure) => {
                running.iter().for_each(|process| stop(&process.child));
                return Err(failure);
            }
        }
    }
    drop(tell);
    follow(&running, &told, environment);
    end(running, environment).map_err(saying)?;

    let folder = |name: String| out.join(ShardDescription::FOLDER).join(name);
    let names = (1..=count).map(|number| format!("{number}-of-{count}"));
    let shards: Vec<PathBuf> = names.chain(["plan".to_owned()]).map(folder).collect();
    let pipeline = Some(args.pipeline.clone());
    let options = MergeOptions { shards, partial: false, fresh: args.fresh, pipeline };
    let merged = merge(&out, &options, environment).map_err(|error| saying(error.into()))?;
    if !merged.report.complete {
        super::streams::to_stderr(&again);
        return Err(Failure::Stopped);
    }
    console.summary(&(relations(&merged.report) + &next_steps(&out)))
}

/// Starts the process of a shard.
fn begin(
    args: &RunArgs,
    shard: Shard,
    place: &Place,
    tell: Sender<Told>,
) -> Result<Running, Failure> {
    let mut command = own_command();
    command.arg("run").arg(&args.pipeline).args(["--tell", "--shard", &shard.to_string()]);
    for (flag, is_given) in [("--fresh", args.fresh), ("--locked", args.locked)] {
        command.args(is_given.then_some(flag));
    }
    if let Some(library) = &args.library.path {
        command.arg("--library").arg(library);
    }
    place.give(&mut command);
    // In a group of its own, so that it gets the signals that this process passes on, and no others.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(Unstarted)?;
    let (out, mut err) = (child.stdout.take(), child.stderr.take());
    thread::spawn(move || {
        for line in
            out.into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(Result::ok)
        {
            if let Ok(said) = serde_json::from_str(&line) {
                let _nobody_waits = tell.send(said);
            }
        }
        let _nobody_waits = tell.send(Told::End);
    });
    let said = thread::spawn(move || {
        let mut said = Vec::new();
        let _half = err.as_mut().map(|err| err.read_to_end(&mut said));
        String::from_utf8_lossy(&said).trim().to_owned()
    });
    Ok(Running { shard, child, said })
}

/// This program, as it was called: installed by pip, it stands behind an interpreter, whose place says where its
/// packages are, so that no link is followed.
fn own_command() -> Command {
    let mut words = std::env::args_os();
    let mut command = Command::new(words.next().unwrap_or_else(|| "kgbuild".into()));
    command.args(words.take_while(|word| word != "run"));
    command
}

#[derive(Debug, thiserror::Error)]
#[error("a process of kgbuild cannot be started")]
struct Unstarted(#[source] std::io::Error);

impl Explain for Unstarted {
    fn fault(&self) -> Fault {
        Fault::Machine
    }
}

/// Passes on how far all are, and that they are to stop, until none says any more.
fn follow(running: &[Running], told: &Receiver<Told>, environment: &Environment) {
    let (mut waiting, mut speaking, mut total) = (running.len(), running.len(), 0);
    let mut before: Vec<(&'static str, u64)> = Vec::new();
    let (mut progress, mut is_stopping): (Option<Progress<'_>>, bool) = (None, false);
    while speaking > 0 {
        if environment.is_stopped() && !is_stopping {
            running.iter().for_each(|process| stop(&process.child));
            is_stopping = true;
        }
        match told.recv_timeout(TICK) {
            Ok(Told::Begin { total: own }) => {
                total += own;
                waiting = waiting.saturating_sub(1);
            }
            Ok(Told::Advance { stage, by }) => {
                before.extend(STAGES.iter().find(|own| **own == stage).map(|own| (*own, by)));
            }
            Ok(Told::End) => {
                speaking -= 1;
                // One that has nothing to ask ends without a beginning.
                waiting = waiting.min(speaking);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if waiting == 0 && total > 0 {
            // One bar of all, once it is known how much they have to do.
            let work = Work { stages: STAGES, unit: "prompts", total, done: 0 };
            let progress =
                progress.get_or_insert_with(|| Progress::begin(environment.events.as_ref(), work));
            for (stage, by) in before.drain(..) {
                progress.advance(stage, by as usize);
            }
        }
    }
}

/// Waits for the end of all; where one failed, the others are stopped.
fn end(running: Vec<Running>, environment: &Environment) -> Result<(), Failure> {
    let mut failed: Option<Ended> = None;
    for Running { shard, mut child, said } in running {
        if failed.is_some() {
            stop(&child);
        }
        let status = child.wait().map_err(Unstarted)?;
        let said = said.join().unwrap_or_default();
        if !status.success() && failed.is_none() {
            failed = Some(Ended { shard, status, said });
        }
    }
    match failed {
        _ if environment.is_stopped() => Err(crate::pipeline::Error::Interrupted.into()),
        Some(failed) => Err(failed.into()),
        None => Ok(()),
    }
}

/// Asks a process to stop where nothing is lost.
fn stop(child: &Child) {
    super::interrupt::terminate(child.id());
}
