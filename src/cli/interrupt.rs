//! The signals that the process gets: Ctrl-C and others that ask it to end, and one that it ignores.
//!
//! A command that has nothing to finish ends at once. One that has takes a flag
//! ([`stop_on_interrupt`]): the first signal has it stop where nothing is lost, the second ends it at
//! once.

use std::ffi::c_int;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};

use super::failure::Failure;
use super::streams::{clear_bars, to_stderr};
use crate::diagnostic::{Explain, Fault};

/// The signals that ask the process to end, without those that were ignored when it began.
struct Asking {
    signals: Vec<c_int>,
    /// Whether they end it at once.
    at_once: Arc<AtomicBool>,
}

static ASKING: OnceLock<Asking> = OnceLock::new();

/// The one of them that came last.
static LAST: AtomicI32 = AtomicI32::new(SIGINT);

/// Lets signals end the process with their exit codes. What the caller has ignored, as `nohup` does,
/// stays ignored.
///
/// # Errors
/// Where signals cannot be waited for.
pub(super) fn end_on_interrupt() -> Result<(), Failure> {
    ignore_file_size_signal();
    let signals = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !is_ignored(signal));
    let asking = Asking { signals: signals.collect(), at_once: Arc::new(AtomicBool::new(true)) };
    for &signal in &asking.signals {
        let at_once = Arc::clone(&asking.at_once);
        flag::register_conditional_shutdown(signal, code_of(signal).into(), at_once)
            .map_err(Unheard)?;
    }
    ASKING.get_or_init(|| asking);
    Ok(())
}

/// A flag that a signal sets, saying `stopping`; a second one says `stopped` and ends the process,
/// which loses nothing that is on the disk. Once a process.
///
/// # Errors
/// Where signals cannot be waited for.
pub(super) fn stop_on_interrupt(
    stopping: &'static str,
    stopped: &'static str,
) -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let Some(asking) = ASKING.get() else { return Ok(stop) };
    let mut signals = Signals::new(&asking.signals).map_err(Unheard)?;
    let flag = Arc::clone(&stop);
    let wait = move || {
        for signal in signals.forever() {
            LAST.store(signal, Ordering::SeqCst);
            if flag.swap(true, Ordering::SeqCst) {
                clear_bars();
                to_stderr(&format!("\n{stopped}"));
                // The other threads are at work: what C++ libraries do at a usual exit could crash.
                low_level::exit(code_of(signal).into());
            }
            to_stderr(&format!("\n{stopping}"));
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map_err(Unheard)?;
    asking.at_once.store(false, Ordering::SeqCst);
    Ok(stop)
}

/// Lets signals pass: the process that started this one ends it.
pub(super) fn leave_to_parent() {
    if let Some(asking) = ASKING.get() {
        asking.at_once.store(false, Ordering::SeqCst);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the system lets no signals be waited for")]
struct Unheard(#[source] io::Error);

impl Explain for Unheard {
    fn fault(&self) -> Fault {
        Fault::Machine
    }
}

/// The exit code of a command that was interrupted.
pub(super) fn exit_code() -> u8 {
    code_of(LAST.load(Ordering::SeqCst))
}

/// As shells have it: 128 and the signal's number.
fn code_of(signal: c_int) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

// The standard library links the C library, but has no name for this.
unsafe extern "C" {
    fn signal(number: c_int, action: usize) -> usize;
}

const SIG_IGN: usize = 1;

fn is_ignored(number: c_int) -> bool {
    // SAFETY: nothing runs when the signal comes, and no handler of Rust is involved.
    let action = unsafe { signal(number, SIG_IGN) };
    // SAFETY: what was there is put back.
    unsafe { signal(number, action) };
    action == SIG_IGN
}

/// Beyond a limit on the size of files (`ulimit -f`), a signal would end the program before it could
/// say a word. Ignored, the write fails with an error, which is told like that of a full disk.
fn ignore_file_size_signal() {
    const SIGXFSZ: c_int = 25;
    // SAFETY: no handler is installed, so that nothing runs when the signal comes.
    unsafe { signal(SIGXFSZ, SIG_IGN) };
}
