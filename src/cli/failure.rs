//! Why a command ended early, and the exit code that says whose turn it is.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use crate::diagnostic::Diagnostics;

/// Something that ends a command.
#[derive(Debug)]
pub enum Failure {
    /// Mistakes in files, shown with their places. Exit code 2.
    Mistakes(Diagnostics),
    /// Something that the person who called can mend. Exit code 2.
    BadInput(Box<dyn Error>),
    /// Something that they cannot. Exit code 1.
    Failed(Box<dyn Error>),
    /// The reader of standard output has seen enough. Exit code 0.
    ClosedPipe,
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

    /// A failure to write a result: a closed pipe ends a command in silence.
    pub fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ClosedPipe
        } else {
            Self::bad_input(error)
        }
    }

    /// Says what happened on standard error and gives the exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Mistakes(mistakes) => {
                show(mistakes);
                ExitCode::from(2)
            }
            Self::BadInput(error) => {
                explain(error.as_ref());
                ExitCode::from(2)
            }
            Self::Failed(error) => {
                explain(error.as_ref());
                ExitCode::from(1)
            }
            Self::ClosedPipe => ExitCode::SUCCESS,
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
        eprintln!("{}", diagnostics.render(console::colors_enabled_stderr()).trim_end());
    }
}

/// An error with its causes, each once.
fn explain(error: &dyn Error) {
    let head = console::style("error").red().bold().for_stderr();
    let mut said = error.to_string();
    eprintln!("{head}: {said}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            eprintln!("  caused by: {text}");
        }
        said = text;
        cause = error.source();
    }
}
