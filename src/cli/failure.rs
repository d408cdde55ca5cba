//! Why a command ended early, and the exit code that says whose turn it is. 0 is done, 128 and a
//! signal's number interrupted by it.

use std::io;

use super::interrupt;
use super::streams::{styled_to_stderr, to_stderr};
use crate::diagnostic::{Diagnostics, Explain, Fault, causes, explained, printable};

/// The exit code of what was done.
const DONE: u8 = 0;
/// The exit code of what the person who called can mend.
const BAD_INPUT: u8 = 2;
/// The exit code of what they cannot.
const FAILED: u8 = 1;
/// The exit code of a bug, as `sysexits.h` has it.
pub(super) const BUG: u8 = 70;

/// Something that ends a command.
#[derive(Debug)]
pub(super) enum Failure {
    /// An error; its fault says the exit code.
    Error(Box<dyn Explain>),
    /// Standard output takes nothing. Exit code 2, or 0 and not a word where its reader has seen
    /// enough and closed the pipe.
    Output(io::Error),
    /// Work was stopped, and what to do next has been said.
    Stopped,
}

impl Failure {
    /// Says what happened on standard error and gives the exit code.
    pub(super) fn report(&self) -> u8 {
        match self {
            Self::Error(error) => {
                match error.mistakes() {
                    Some(mistakes) => show(mistakes),
                    None if error.fault() == Fault::Stopped => to_stderr(&error.to_string()),
                    None => explain(error.as_ref()),
                }
                match error.fault() {
                    Fault::User => BAD_INPUT,
                    Fault::Machine => FAILED,
                    Fault::Stopped => interrupt::exit_code(),
                }
            }
            Self::Stopped => interrupt::exit_code(),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
            Self::Output(error) => {
                explain(&Unprintable(error));
                BAD_INPUT
            }
        }
    }

    /// Says what to do next where work was stopped.
    pub(super) fn saying(self, next: &str) -> Self {
        match self {
            Self::Error(error) if error.fault() == Fault::Stopped => {
                to_stderr(next);
                Self::Stopped
            }
            other => other,
        }
    }
}

impl<E: Explain + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(Box::new(error))
    }
}

/// Shows diagnostics on standard error, in colour where it is a terminal that wants it.
pub(super) fn show(diagnostics: &Diagnostics) {
    if !diagnostics.0.is_empty() {
        styled_to_stderr(diagnostics.render(console::colors_enabled_stderr()).trim_end());
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
struct Unprintable<'a>(&'a io::Error);

impl Explain for Unprintable<'_> {}

/// An error, how to mend it, and its causes, each once.
fn explain(error: &dyn Explain) {
    let head = console::style("error").red().bold().for_stderr();
    let said = explained(error);
    styled_to_stderr(&format!("{head}: {}", printable(&said)));
    for cause in causes(error).iter().filter(|cause| !said.contains(*cause)) {
        to_stderr(&format!("  caused by: {cause}"));
    }
}
