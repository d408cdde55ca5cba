//! A query's own thread, and what it writes handed to the caller's.

use super::{QueryError, STACK};
use oxigraph::sparql::CancellationToken;
use std::io::{self, BufWriter, Write};
use std::panic;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Bytes of a result that are handed over at once.
const BLOCK: usize = 8 << 10;
/// Blocks that may wait to be written: a reader that is slow holds the query up.
const CAPACITY: usize = 4;
/// How long a query that was ended has to notice.
const GRACE: Duration = Duration::from_millis(500);

/// Runs `answer` on a thread with a large stack, and writes to `out` what it writes, as it does.
/// `token` tells it to end: when `timeout` has passed, or `out` takes no more.
pub(super) fn run(
    answer: impl FnOnce(&mut dyn Write) -> Result<(), QueryError> + Send + 'static,
    timeout: Option<Duration>,
    token: &CancellationToken,
    out: &mut impl Write,
) -> Result<(), QueryError> {
    let (sender, blocks) = sync_channel(CAPACITY);
    let answer = move || {
        let mut out = BufWriter::with_capacity(BLOCK, Blocks(sender));
        answer(&mut out)
    };
    let thread = thread::Builder::new()
        .name("query".to_owned())
        .stack_size(STACK)
        .spawn(answer)
        .map_err(QueryError::Thread)?;
    if let Err(error) = forward(&blocks, timeout, out) {
        token.cancel();
        drop(blocks);
        wait(&thread);
        return Err(error);
    }
    match thread.join() {
        Ok(answered) => answered?,
        Err(panic) => panic::resume_unwind(panic),
    }
    out.flush()?;
    Ok(())
}

/// Writes blocks until there are no more, or the query has to end.
fn forward(
    blocks: &Receiver<Vec<u8>>,
    timeout: Option<Duration>,
    out: &mut impl Write,
) -> Result<(), QueryError> {
    let after = timeout.unwrap_or(Duration::MAX);
    let begin = Instant::now();
    loop {
        let left = after.checked_sub(begin.elapsed()).ok_or(QueryError::TimedOut { after })?;
        match blocks.recv_timeout(left) {
            Ok(block) => out.write_all(&block)?,
            Err(RecvTimeoutError::Timeout) => return Err(QueryError::TimedOut { after }),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// Gives a query that was ended the time to let go of the store. One that does not read it does not
/// notice, and is left to itself.
fn wait(thread: &JoinHandle<Result<(), QueryError>>) {
    let begin = Instant::now();
    while !thread.is_finished() && begin.elapsed() < GRACE {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Hands over what is written.
struct Blocks(SyncSender<Vec<u8>>);

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.send(bytes.to_vec());
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
