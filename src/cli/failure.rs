//! Why a command ended early, and the exit code that says whose turn it is.

use std::error::Error;
use std::io;
use std::iter;
use std::process::ExitCode;

use super::say::say;
use crate::diagnostic::Diagnostics;
use crate::fetch;

/// Something that ends a command.
#[derive(Debug)]
pub enum Failure {
    /// Mistakes in files, shown with their places. Exit code 2.
    Mistakes(Diagnostics),
    /// Something that the person who called can mend. Exit code 2.
    BadInput(Box<dyn Error>),
    /// Something that they cannot. Exit code 1.
    Failed(Box<dyn Error>),
    /// Standard output takes nothing. Exit code 2, or 0 and not a word where its reader has seen
    /// enough and closed the pipe.
    Output(io::Error),
    /// Ctrl-C; what to do next has been said. Exit code 1.
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
                ExitCode::from(2)
            }
            Self::BadInput(error) | Self::Failed(error) if is_interruption(error.as_ref()) => {
                say(&error.to_string());
                ExitCode::from(1)
            }
            Self::BadInput(error) => {
                explain(error.as_ref());
                ExitCode::from(2)
            }
            Self::Failed(error) => {
                explain(error.as_ref());
                ExitCode::from(1)
            }
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Output(error) => {
                explain(&Unprintable(error));
                ExitCode::from(2)
            }
            Self::Interrupted => ExitCode::from(1),
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
        say(diagnostics.render(console::colors_enabled_stderr()).trim_end());
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
struct Unprintable<'a>(&'a io::Error);

/// Whether an error, or what caused it, is Ctrl-C while something was fetched.
fn is_interruption(error: &(dyn Error + 'static)) -> bool {
    iter::successors(Some(error), |&error| error.source())
        .any(|error| matches!(error.downcast_ref(), Some(fetch::Error::Interrupted)))
}

/// An error with its causes, each once.
fn explain(error: &(dyn Error + '_)) {
    let head = console::style("error").red().bold().for_stderr();
    let mut said = error.to_string();
    say(&format!("{head}: {said}"));
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            say(&format!("  caused by: {text}"));
        }
        said = text;
        cause = error.source();
    }
}
