//! The lines of several shards, side by side: in order, each once.
//!
//! Each shard is unpacked, and hashed, by a thread of its own, which is only a little ahead.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam::channel::{Receiver, Sender, bounded};
use flate2::bufread::GzDecoder;
use sha2::{Digest as _, Sha256};

use super::{FoundShard, MergeError};
use crate::files::Sorted;

/// How many bytes of lines go from a shard's thread at once.
const BLOCK: usize = 1 << 18;
/// How many bytes of lines are given together.
const TOGETHER: usize = 1 << 16;
/// How many blocks it is ahead.
const AHEAD: usize = 2;

/// What a thread sends: some whole lines, at last none, or why there are no more.
type Sent = Result<Vec<u8>, MergeError>;

/// The lines of shards.
pub(super) struct Lines {
    sources: Vec<Source>,
    /// The next line of each shard that is not at its end.
    next: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    /// The last line that was given.
    line: Vec<u8>,
    /// How many bytes of the files were read.
    bytes: Arc<AtomicU64>,
}

/// A shard's lines, as far as they have come.
struct Source {
    path: PathBuf,
    blocks: Receiver<Sent>,
    block: Vec<u8>,
    at: usize,
}

impl Source {
    /// Puts its next line in the place of another; gives whether there is one.
    fn next(&mut self, line: &mut Vec<u8>) -> Result<bool, MergeError> {
        if self.at == self.block.len() {
            let sent = self.blocks.recv().map_err(|_| damaged(&self.path, "reading it broke off"));
            (self.block, self.at) = (sent??, 0);
            if self.block.is_empty() {
                return Ok(false);
            }
        }
        let rest = &self.block[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |end| end + 1);
        line.clear();
        line.extend_from_slice(&rest[..length]);
        self.at += length;
        Ok(true)
    }
}

impl Lines {
    /// Those of `shards`, and of rows at a place, which are in order.
    ///
    /// # Errors
    /// Where a file cannot be opened.
    pub(super) fn of(
        shards: &[FoundShard],
        rows: Option<(&Path, Sorted)>,
    ) -> Result<Self, MergeError> {
        let bytes = Arc::new(AtomicU64::new(0));
        let (sources, next, line) = (Vec::new(), BinaryHeap::new(), Vec::new());
        let mut lines = Self { sources, next, line, bytes };
        for FoundShard { folder, handed } in shards {
            let path = handed.quads(folder);
            let file = File::open(&path).map_err(|e| damaged(&path, &e.to_string()))?;
            let (sha256, count) = (handed.sha256().to_owned(), Arc::clone(&lines.bytes));
            let hashing = Hashing { file, hasher: Sha256::new(), count };
            let own = path.clone();
            lines.add(&path, "unpack", move |send| unpack(&own, hashing, &sha256, send))?;
        }
        if let Some((path, mut rows)) = rows {
            lines.add(path, "rows", move |send| send_rows(&mut rows, send))?;
        }
        Ok(lines)
    }

    /// Adds those that a thread sends.
    fn add(
        &mut self,
        path: &Path,
        name: &str,
        sending: impl FnOnce(&Sender<Sent>) -> Result<(), MergeError> + Send + 'static,
    ) -> Result<(), MergeError> {
        let (send, blocks) = bounded(AHEAD);
        let mut source = Source { path: path.to_owned(), blocks, block: Vec::new(), at: 0 };
        let sending = move || {
            let ended = sending(&send).map(|()| Vec::new());
            // Nobody waits for it any more where the others failed first.
            let _gone = send.send(ended);
        };
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(sending);
        spawned.map_err(|e| damaged(path, &e.to_string()))?;
        let mut line = Vec::new();
        if source.next(&mut line)? {
            self.next.push(Reverse((line, self.sources.len())));
        }
        self.sources.push(source);
        Ok(())
    }

    /// How many bytes of the files were read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Puts the next lines in the place of others, some together where they are short. There are none at the end,
    /// which comes when the hashes of all files are known to be right.
    ///
    /// # Errors
    /// [`MergeError::Damaged`].
    pub(super) fn next(&mut self, lines: &mut Vec<u8>) -> Result<bool, MergeError> {
        lines.clear();
        while lines.len() < TOGETHER && self.advance()? {
            lines.extend_from_slice(&self.line);
        }
        Ok(!lines.is_empty())
    }

    /// Goes on to the next line that is another; gives whether there is one.
    fn advance(&mut self) -> Result<bool, MergeError> {
        loop {
            let Some(mut first) = self.next.peek_mut() else { return Ok(false) };
            let Reverse((line, number)) = &mut *first;
            let is_new = *line != self.line;
            if is_new {
                std::mem::swap(line, &mut self.line);
            }
            if !self.sources[*number].next(line)? {
                PeekMut::pop(first);
            }
            if is_new {
                return Ok(true);
            }
        }
    }
}

/// Hashes and counts what is read.
struct Hashing {
    file: File,
    hasher: Sha256,
    count: Arc<AtomicU64>,
}

impl Read for Hashing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(out)?;
        self.hasher.update(&out[..read]);
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Sends the lines of a file, block after block, and fails where they were not those of its hash.
fn unpack(path: &Path, file: Hashing, sha256: &str, send: &Sender<Sent>) -> Result<(), MergeError> {
    let broken = |error: io::Error| damaged(path, &error.to_string());
    let mut text = GzDecoder::new(BufReader::with_capacity(BLOCK, file));
    let mut block: Vec<u8> = Vec::new();
    loop {
        let kept = block.len();
        block.resize(kept + BLOCK, 0);
        let read = text.read(&mut block[kept..]).map_err(broken)?;
        block.truncate(kept + read);
        if read == 0 {
            break;
        }
        // A line may be longer than a block.
        let Some(end) = block[kept..].iter().rposition(|&byte| byte == b'\n') else { continue };
        let rest = block.split_off(kept + end + 1);
        if send.send(Ok(block)).is_err() {
            return Ok(());
        }
        block = rest;
    }
    let mut rest = text.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(broken)?;
    let found = hex::encode(rest.into_inner().hasher.finalize());
    match block.is_empty() && found == sha256 {
        true => Ok(()),
        false => Err(damaged(path, "it has another hash")),
    }
}

/// Sends lines that are in order, block after block.
fn send_rows(rows: &mut Sorted, send: &Sender<Sent>) -> Result<(), MergeError> {
    let failed = |error: io::Error| MergeError::Sorting { why: error.to_string() };
    let mut block = Vec::new();
    for line in rows.each().map_err(failed)? {
        block.extend(line.map_err(failed)?);
        if block.len() >= BLOCK && send.send(Ok(std::mem::take(&mut block))).is_err() {
            return Ok(());
        }
    }
    if !block.is_empty() {
        // Nobody waits for it any more where the others failed first.
        let _gone = send.send(Ok(block));
    }
    Ok(())
}

fn damaged(path: &Path, why: &str) -> MergeError {
    MergeError::Damaged { path: PathBuf::from(path), why: why.to_owned() }
}
