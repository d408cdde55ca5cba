//! What the program says: results on standard output, all else on standard error.

use std::io::{self, Write};

use super::failure::Failure;

/// A result and a line's end, on standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Failure::Output)
}

/// A line on standard error. A terminal that is gone is no reason to stop a run.
pub fn say(text: &str) {
    let _nobody_listens = writeln!(io::stderr(), "{text}");
}
