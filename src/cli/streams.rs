//! What the program says: results on standard output, all else on standard error.
//!
//! What comes from files and networks must not steer a terminal: messages are [`printable`]
//! wherever they go, results where they go to a terminal. A pipe or a file gets results as they are.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressDrawTarget};

use super::failure::Failure;
use crate::diagnostic::{Printable, printable};

/// Where results go: standard output.
pub(super) fn results() -> Box<dyn Write + Send> {
    let out = io::stdout();
    if out.is_terminal() { Box::new(Printable::new(out)) } else { Box::new(out) }
}

/// A result that was asked for and a line's end, on standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = results();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Failure::Output)
}

/// What is to be known in any case, on standard error: warnings, errors, why a command ended early. A
/// terminal that is gone is no reason to stop a run.
pub(super) fn to_stderr(text: &str) {
    styled_to_stderr(&printable(text));
}

/// A line on standard error whose escapes are the program's own; all else in it is printable.
pub(super) fn styled_to_stderr(text: &str) {
    let line = || {
        let _nobody_listens = writeln!(io::stderr(), "{text}");
    };
    match &*bars() {
        Some(bars) => bars.suspend(line),
        None => line(),
    }
}

/// The progress on the screen, which a line must not be written into.
static BARS: Mutex<Option<MultiProgress>> = Mutex::new(None);

fn bars() -> MutexGuard<'static, Option<MultiProgress>> {
    BARS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on these are on the screen, and lines go above them.
pub(super) fn show_bars(shown: &MultiProgress) {
    *bars() = Some(shown.clone());
}

/// Takes the progress off the screen, if there is some.
pub(super) fn clear_bars() {
    if let Some(shown) = bars().take() {
        // A terminal that is gone is no reason to stop a run.
        let _nobody_looks = shown.clear();
        // Threads that are still at work would bring them back.
        shown.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// What is told beside results, warnings and errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Console {
    /// Whether nothing is.
    pub quiet: bool,
}

impl Console {
    /// What a command that writes files tells of them at its end, on standard output.
    pub(super) fn summary(self, text: &str) -> Result<(), Failure> {
        if self.quiet { Ok(()) } else { print(text) }
    }

    /// A note on standard error.
    pub(super) fn note(self, text: &str) {
        if !self.quiet {
            to_stderr(text);
        }
    }
}
