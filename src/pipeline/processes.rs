//! A job in processes of one machine: its shards side by side, and their merge.
//!
//! Each process has processors of its own, those of one NUMA node where there are several, and a GPU of its own where
//! there are some. It tells this one how far it is, in lines of JSON on its standard output.

use std::ffi::c_int;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use serde::{Deserialize, Serialize};
use signal_hook::consts::SIGTERM;

use super::processors::{Place, places};
use super::progress::STAGES;
use super::{Environment, Error, Job, MergeOptions, MergedGraph, Shard, merge};
use crate::diagnostic::{Events, Explain, Fault, Progress, Work};
use crate::graph::ShardDescription;

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
    /// It says no more, and has asked something or not.
    End { asked: bool },
}

/// Tells the process that began this one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Teller;

impl Teller {
    fn tell(told: &Told) {
        let Ok(line) = serde_json::to_string(told) else { return };
        // Who began this process may be gone; then this one is ended too.
        let _nobody_listens = writeln!(io::stdout().lock(), "{line}");
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

impl Running {
    /// Whether it has ended, and not well; it says no more, and is soon at its end.
    fn has_failed(&mut self) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < TICK {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(TICK / 20),
                Ok(Some(status)) => return !status.success(),
                Err(_) => return false,
            }
        }
        false
    }
}

/// Why a process of a shard did not get to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// It could not be started, or waited for.
    #[error("a process cannot be started")]
    Unstarted(#[source] io::Error),
    /// It ended otherwise than well.
    #[error("the process of shard {shard} {}{}", ended(*status), after(said))]
    Ended {
        /// Which shard.
        shard: Shard,
        /// How it ended.
        status: ExitStatus,
        /// What it said on standard error.
        said: String,
    },
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with the exit code {code}"),
        (None, signal) => format!("was killed by signal {}", signal.unwrap_or_default()),
    }
}

fn after(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(":\n{said}") }
}

impl Explain for ProcessError {
    fn fault(&self) -> Fault {
        match self {
            Self::Ended { status, .. } if status.code() == Some(2) => Fault::User,
            _ => Fault::Machine,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Ended { status, .. } if status.code().is_none() => Some(
                "the same command goes on where it was; each process holds the models, so that fewer take less memory"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// Runs so many shards of a pipeline file side by side, in processes that `command` has the words for, and makes one
/// graph of them. A process runs its shard as [`PlannedJob::run`](super::PlannedJob::run) does, with [`Teller`] as its
/// events, and ends with the exit code 0 where it is complete.
///
/// # Errors
/// See [`Error`]; what was asked before stays, and the same call goes on after it.
pub fn run_processes(
    file: &Path,
    count: u32,
    fresh: bool,
    command: &dyn Fn(Shard) -> Command,
    environment: &Environment,
) -> Result<MergedGraph, Error> {
    let job = Job::open(file, environment)?;
    let (out, device) = (job.pipeline().output.folder.clone(), job.pipeline().runtime.device);
    job.plan()?.share_means(None, fresh)?;

    let shards = (1..=count).filter_map(|number| Shard::new(number, count));
    let (tell, told) = unbounded();
    let mut running: Vec<Running> = Vec::new();
    for (shard, place) in shards.zip(places(count as usize, device)) {
        match begin(command(shard), shard, &place, tell.clone()) {
            Ok(process) => running.push(process),
            Err(error) => {
                running.iter().for_each(|process| stop(&process.child));
                return Err(ProcessError::Unstarted(error).into());
            }
        }
    }
    drop(tell);
    follow(&mut running, &told, environment);
    end(running, environment)?;

    let folder = |name: String| out.join(ShardDescription::FOLDER).join(name);
    let names = (1..=count).map(|number| format!("{number}-of-{count}"));
    let shards: Vec<PathBuf> = names.chain(["plan".to_owned()]).map(folder).collect();
    let options = MergeOptions { shards, partial: false, fresh, pipeline: Some(file.to_owned()) };
    merge(&out, &options, environment)
}

/// Starts the process of a shard.
fn begin(
    mut command: Command,
    shard: Shard,
    place: &Place,
    tell: Sender<Told>,
) -> io::Result<Running> {
    place.give(&mut command);
    // In a group of its own, so that it gets the signals that this process passes on, and no others.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (out, mut err) = (child.stdout.take(), child.stderr.take());
    thread::spawn(move || {
        let lines = out.into_iter().flat_map(|out| BufReader::new(out).lines());
        let mut asked = false;
        for line in lines.map_while(Result::ok) {
            if let Ok(said) = serde_json::from_str(&line) {
                asked |= matches!(said, Told::Begin { .. });
                let _nobody_waits = tell.send(said);
            }
        }
        let _nobody_waits = tell.send(Told::End { asked });
    });
    let said = thread::spawn(move || {
        let mut said = Vec::new();
        let _half = err.as_mut().map(|err| err.read_to_end(&mut said));
        String::from_utf8_lossy(&said).trim().to_owned()
    });
    Ok(Running { shard, child, said })
}

/// Passes on how far all are, and that they are to stop, as all do where one has failed, until none says any more.
fn follow(running: &mut [Running], told: &Receiver<Told>, environment: &Environment) {
    let (mut waiting, mut speaking, mut total) = (running.len(), running.len(), 0);
    let mut before: Vec<(&'static str, u64)> = Vec::new();
    let (mut progress, mut is_stopping, mut failed) = (None, false, false);
    while speaking > 0 {
        if (environment.is_stopped() || failed) && !is_stopping {
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
            Ok(Told::End { asked }) => {
                speaking -= 1;
                // One that has nothing to ask ends without a beginning.
                waiting -= usize::from(!asked);
                failed |= running.iter_mut().any(|process| process.has_failed());
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

/// Waits for the end of all; of those that failed, one that was not told to stop counts.
fn end(running: Vec<Running>, environment: &Environment) -> Result<(), Error> {
    let mut failed: Vec<ProcessError> = Vec::new();
    for Running { shard, mut child, said } in running {
        let status = child.wait().map_err(ProcessError::Unstarted)?;
        let said = said.join().unwrap_or_default();
        if !status.success() {
            failed.push(ProcessError::Ended { shard, status, said });
        }
    }
    let was_stopped = |error: &ProcessError| match error {
        ProcessError::Ended { status, .. } => status.code() == Some(128 + SIGTERM),
        ProcessError::Unstarted(_) => false,
    };
    failed.sort_by_key(was_stopped);
    match failed.into_iter().next() {
        _ if environment.is_stopped() => Err(Error::Interrupted),
        Some(failed) => Err(failed.into()),
        None => Ok(()),
    }
}

// The standard library links the C library, but has no name for this.
unsafe extern "C" {
    fn kill(process: c_int, signal: c_int) -> c_int;
}

/// Asks a process, whose end was not waited for yet, to stop where nothing is lost.
fn stop(child: &Child) {
    let Ok(process) = c_int::try_from(child.id()) else { return };
    // SAFETY: nothing of this process is touched. One that has ended is there until it was waited for.
    let _is_gone = unsafe { kill(process, SIGTERM) };
}
