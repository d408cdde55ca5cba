//! Why a command ended early, and the exit code that says whose turn it is. 0 is done, 128 and a
//! signal's number interrupted by it.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use super::interrupt;
use super::say::warn;
use crate::diagnostic::Diagnostics;

/// The exit code of what the person who called can mend.
const BAD_INPUT: u8 = 2;
/// The exit code of what they cannot.
const FAILED: u8 = 1;
/// The exit code of a bug, as `sysexits.h` has it.
pub const BUG: u8 = 70;

/// Something that ends a command.
#[derive(Debug)]
pub enum Failure {
    /// Mistakes in files, shown with their places.
    Mistakes(Diagnostics),
    /// Something that the person who called can mend.
    BadInput(Box<dyn Error>),
    /// Something that they cannot.
    Failed(Box<dyn Error>),
    /// Standard output takes nothing: bad input, or done and not a word where its reader has seen
    /// enough and closed the pipe.
    Output(io::Error),
    /// A signal; what to do next has been said.
    Interrupted,
}

impl Failure {
    /// Something that the person who called can mend.
    pub fn bad_input(error: impl Error + 'static) -> Self {
        Self::BadInput(Box::new(error))
    }

    /// Something that they cannot.
    pub fn failed(error: impl Error + 'static) -> Self {
        Self::Failed(Box::new(error))
    }

    /// Says what happened on standard error and gives the exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Mistakes(mistakes) => {
                show(mistakes);
                ExitCode::from(BAD_INPUT)
            }
            Self::BadInput(error) => {
                explain(error.as_ref());
                ExitCode::from(BAD_INPUT)
            }
            Self::Failed(error) => {
                explain(error.as_ref());
                ExitCode::from(FAILED)
            }
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Output(error) => {
                explain(&Unprintable(error));
                ExitCode::from(BAD_INPUT)
            }
            Self::Interrupted => ExitCode::from(interrupt::exit_code()),
        }
    }
}

impl From<Diagnostics> for Failure {
    fn from(mistakes: Diagnostics) -> Self {
        Self::Mistakes(mistakes)
    }
}

/// Shows diagnostics on standard error, in colour where it is a terminal that wants it.
pub fn show(diagnostics: &Diagnostics) {
    if !diagnostics.0.is_empty() {
        warn(diagnostics.render(console::colors_enabled_stderr()).trim_end());
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
struct Unprintable<'a>(&'a io::Error);

/// An error with its causes, each once.
fn explain(error: &(dyn Error + '_)) {
    let head = console::style("error").red().bold().for_stderr();
    let mut said = error.to_string();
    warn(&format!("{head}: {said}"));
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            warn(&format!("  caused by: {text}"));
        }
        said = text;
        cause = error.source();
    }
}
