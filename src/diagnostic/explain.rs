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

/// An error that says by whom and how it is mended. Its `Display` is what went wrong; [`explained`]
/// adds the help.
pub trait Explain: Error {
    /// The error that this one passes on, in whose words it speaks: where nothing else is said,
    /// fault, help and mistakes are that one's.
    fn inner(&self) -> Option<&dyn Explain> {
        None
    }

    /// Who can mend it.
    fn fault(&self) -> Fault {
        self.inner().map_or(Fault::User, Explain::fault)
    }

    /// How to mend it, where the error's own text does not say it.
    fn help(&self) -> Option<String> {
        self.inner().and_then(Explain::help)
    }

    /// The mistakes in files that it stands for, to be shown with their places.
    fn mistakes(&self) -> Option<&Diagnostics> {
        self.inner().and_then(Explain::mistakes)
    }
}

/// What went wrong and, on a line of its own, how to mend it.
pub fn explained(error: &dyn Explain) -> String {
    match error.help() {
        Some(help) => format!("{error}\n  = help: {help}"),
        None => error.to_string(),
    }
}

/// What an error says of its causes, the nearest first, without those that say what stood before them.
pub fn causes(error: &dyn Error) -> Vec<String> {
    let (mut causes, mut said) = (Vec::new(), error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            causes.push(text.clone());
        }
        said = text;
        cause = error.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::super::Diagnostic;
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Inner {
        #[error("the disk is full")]
        Full,
        #[error("nobody is there")]
        Nobody,
    }

    impl Explain for Inner {
        fn fault(&self) -> Fault {
            Fault::Machine
        }

        fn help(&self) -> Option<String> {
            matches!(self, Self::Full).then(|| "make room".to_owned())
        }
    }

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error(transparent)]
        Inner(Inner),
        #[error(transparent)]
        Mistakes(Diagnostics),
        #[error("own")]
        Own,
    }

    impl Explain for Outer {
        fn inner(&self) -> Option<&dyn Explain> {
            match self {
                Self::Inner(error) => Some(error),
                Self::Mistakes(mistakes) => Some(mistakes),
                Self::Own => None,
            }
        }
    }

    #[test]
    fn what_an_error_passes_on_is_the_other_one_s() {
        let full = Outer::Inner(Inner::Full);
        assert_eq!(explained(&full), "the disk is full\n  = help: make room");
        assert_eq!(explained(&Outer::Inner(Inner::Nobody)), "nobody is there");
        assert_eq!(explained(&Outer::Own), "own");
        assert_eq!([full.fault(), Outer::Own.fault()], [Fault::Machine, Fault::User]);
        let mistakes = Diagnostics::from(Diagnostic::of("disk", &full));
        assert_eq!(mistakes.0[0].message, "the disk is full");
        assert_eq!(mistakes.0[0].help.as_deref(), Some("make room"));
        assert_eq!(Outer::Mistakes(mistakes.clone()).mistakes(), Some(&mistakes));
        assert_eq!(full.mistakes(), None);
    }
}
