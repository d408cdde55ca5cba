//! The processes that answer queries, each one at a time: taken, given back where they are sound, ended where not.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time;

use super::worker::{Kind, Request};

/// Bytes of the longest frame: what is longer was not sent by a worker.
const LONGEST: u32 = 1 << 20;

/// How long one that closed its output takes to be gone.
const ENDING: Duration = Duration::from_secs(5);

/// Makes the command that starts a worker.
pub type StartWorker = Box<dyn Fn() -> std::process::Command + Send + Sync>;

/// Workers that wait.
pub(super) struct Workers {
    start: StartWorker,
    idle: Mutex<Vec<Worker>>,
    /// How often the graph was changed.
    age: AtomicU64,
}

/// A process that answers; it ends when this is dropped.
pub(super) struct Worker {
    child: Child,
    /// How often the graph had been changed when it was started.
    age: u64,
    /// Whether it has opened the store.
    is_ready: bool,
    requests: ChildStdin,
    frames: BufReader<ChildStdout>,
}

impl Workers {
    pub(super) fn new(start: StartWorker) -> Self {
        Self { start, idle: Mutex::default(), age: AtomicU64::new(0) }
    }

    /// One that waits, or a new one.
    ///
    /// # Errors
    /// Where the system starts no more processes.
    pub(super) fn take(&self) -> io::Result<Worker> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut worker) = idle.pop() {
            // One that was ended while it waited is let go.
            if matches!(worker.child.try_wait(), Ok(None)) {
                return Ok(worker);
            }
        }
        drop(idle);
        Worker::start((self.start)(), self.age.load(Ordering::SeqCst))
    }

    /// Lets those go that have the graph as it was.
    pub(super) fn renew(&self) {
        self.age.fetch_add(1, Ordering::SeqCst);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Lets one wait that has answered what it was asked.
    pub(super) fn give_back(&self, worker: Worker) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at while nobody can let them go.
        if worker.age == self.age.load(Ordering::SeqCst) {
            idle.push(worker);
        }
    }
}

impl Worker {
    fn start(command: std::process::Command, age: u64) -> io::Result<Self> {
        let mut command = Command::from(command);
        // In a group of its own: what is typed at the terminal is for the server.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(requests), Some(frames)) => {
                let frames = BufReader::new(frames);
                Ok(Self { child, age, is_ready: false, requests, frames })
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Waits until it has opened the store.
    ///
    /// # Errors
    /// Where it is gone.
    pub(super) async fn ready(&mut self) -> io::Result<()> {
        if !self.is_ready {
            let (kind, _) = self.frame().await?;
            self.is_ready = kind == Kind::Ready;
        }
        if self.is_ready { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Asks it.
    ///
    /// # Errors
    /// Where it is gone.
    pub(super) async fn ask(&mut self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.requests.write_all(&line).await?;
        self.requests.flush().await
    }

    /// What it says next.
    ///
    /// # Errors
    /// Where it is gone.
    pub(super) async fn frame(&mut self) -> io::Result<(Kind, Vec<u8>)> {
        let kind = self.frames.read_u8().await?;
        let length = self.frames.read_u32_le().await?;
        let kind = Kind::of(kind).filter(|_| length <= LONGEST);
        let Some(kind) = kind else { return Err(io::ErrorKind::InvalidData.into()) };
        let mut bytes = vec![0; length as usize];
        self.frames.read_exact(&mut bytes).await?;
        Ok((kind, bytes))
    }

    /// How it ended, where it did so by itself.
    pub(super) async fn status(mut self) -> Option<ExitStatus> {
        let ended = time::timeout(ENDING, self.child.wait()).await;
        ended.ok().and_then(Result::ok)
    }

    /// Ends it, and waits until it is gone.
    pub(super) async fn end(mut self) {
        // One that ended by itself is gone already.
        let _ = self.child.kill().await;
    }
}
