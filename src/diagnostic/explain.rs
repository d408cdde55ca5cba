//! Whose turn it is after an error, and what they can do.

use std::error::Error;

use super::Diagnostics;

/// Who can mend what went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Whoever called: an input, a setting, a place to write to.
    User,
    /// The machine or what runs on it.
    Machine,
    /// Nobody: work was stopped when it was told to.
    Stopped,
}

/// An error that says by whom and how it is mended.
pub trait Explain: Error {
    /// Who can mend it.
    fn fault(&self) -> Fault {
        Fault::User
    }

    /// How to mend it, where the error's own text does not say it.
    fn help(&self) -> Option<String> {
        None
    }

    /// The mistakes in files that it stands for, to be shown with their places.
    fn mistakes(&self) -> Option<&Diagnostics> {
        None
    }
}
