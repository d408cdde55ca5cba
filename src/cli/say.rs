//! What the program says: results on standard output, all else on standard error.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::failure::Failure;

/// Whether `-q` was given: of the whole process, as the streams are.
static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on only results, warnings, errors and interruptions are told.
pub fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether progress, notes and summaries are left out.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// A result that was asked for and a line's end, on standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Failure::Output)
}

/// What a command that writes files tells of them at its end, on standard output.
pub fn print_summary(text: &str) -> Result<(), Failure> {
    if is_quiet() { Ok(()) } else { print(text) }
}

/// A note on standard error. A terminal that is gone is no reason to stop a run.
pub fn say(text: &str) {
    if !is_quiet() {
        warn(text);
    }
}

/// What is to be known in any case, on standard error: warnings, errors, why a command ended early.
pub fn warn(text: &str) {
    let _nobody_listens = writeln!(io::stderr(), "{text}");
}
