//! Ctrl-C: once to stop where nothing is lost, twice to stop at once.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::failure::Failure;
use super::say::say;
use crate::diagnostic::{Explain, Fault};

/// A flag that Ctrl-C sets, saying `stopping`; a second Ctrl-C says `stopped` and ends the process,
/// which loses nothing that is on the disk.
pub fn stop_on_interrupt(
    stopping: &'static str,
    stopped: &'static str,
) -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            say(&format!("\n{stopped}"));
            process::exit(1);
        }
        say(&format!("\n{stopping}"));
    })
    .map_err(Unheard)?;
    Ok(stop)
}

#[derive(Debug, thiserror::Error)]
#[error("the system takes no handler for Ctrl-C")]
struct Unheard(#[source] ctrlc::Error);

impl Explain for Unheard {
    fn fault(&self) -> Fault {
        Fault::Machine
    }
}
