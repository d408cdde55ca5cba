//! What is wrong with an input, where it is, and how to mend it; whose turn it is after an error;
//! and what a caller is told while work goes on.
//!
//! Every room that reads a person's file reports [`Diagnostic`]s: all of a file's at once, not
//! only the first. [`Diagnostics::render`] shows them with the source line and a caret.

mod caught;
mod events;
mod explain;
mod nearest;
mod printable;
mod render;

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub use caught::{caught, is_caught};
pub use events::{Events, Progress, Silent, Work};
pub use explain::{Explain, Fault, causes, explained};
pub use nearest::nearest;
pub use printable::{Printable, printable, printable_line};

/// Whether a [`Diagnostic`] stops the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The input cannot be used.
    Error,
    /// The input can be used; the message says how it was understood.
    Warning,
}

/// Where in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// The file as a whole.
    File,
    /// A line, counted from 1.
    Line(u64),
    /// Bytes of the file's text; shown with a caret.
    Span(Range<usize>),
}

/// A file and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its path, as a person would name it.
    pub file: PathBuf,
    /// The file as a whole, a line, or bytes.
    pub at: At,
}

/// One mistake or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether work can go on with it.
    pub severity: Severity,
    /// A stable code, as in `unknown-key`.
    pub code: &'static str,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// None where it is of no one file.
    pub place: Option<Place>,
    /// What stands under the caret.
    pub label: Option<String>,
    /// How to mend it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            place: None,
            label: None,
            help: None,
        }
    }

    /// What an error says, and how to mend it, without a place yet.
    pub fn of(code: &'static str, error: &dyn Explain) -> Self {
        Self { help: error.help(), ..Self::error(code, error.to_string()) }
    }

    /// A warning without a place yet.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Puts it into a file.
    #[must_use]
    pub fn at(mut self, file: &Path, at: At) -> Self {
        self.place = Some(Place { file: file.to_owned(), at });
        self
    }

    /// Says what stands under the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Says how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The mistakes and warnings of an input, in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds those of a result and gives its value, if there is one.
    pub fn keep<T>(&mut self, result: Result<(T, Self), Self>) -> Option<T> {
        let (value, mut found) = match result {
            Ok((value, warnings)) => (Some(value), warnings),
            Err(mistakes) => (None, mistakes),
        };
        self.0.append(&mut found.0);
        value
    }

    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    /// `value` with the warnings, or all of them where one is an error.
    ///
    /// # Errors
    /// Itself, if [`Self::has_errors`].
    pub fn or<T>(self, value: T) -> Result<(T, Self), Self> {
        if self.has_errors() { Err(self) } else { Ok((value, self)) }
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

/// What serde_json says of a line, without its own line number, which would be 1.
pub fn of_json_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    match error.is_syntax() || error.is_eof() {
        true => format!("the line is not JSON: {what} at character {}", error.column()),
        false => format!("the line cannot be used: {what}"),
    }
}

/// As in `1 pass` and `3 passes`, `1 entity` and `3 entities`. What is counted comes last, and the
/// plurals are regular.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        return format!("1 {noun}");
    }
    match noun.strip_suffix('y') {
        Some(stem) => format!("{count} {stem}ies"),
        None if noun.ends_with('s') => format!("{count} {noun}es"),
        None => format!("{count} {noun}s"),
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}[{}]: {}", self.code, self.message)?;
        self.fmt_details(f)
    }
}

impl Diagnostic {
    /// Place and help, each on a line of its own after a line break.
    fn fmt_details(&self, f: &mut impl fmt::Write) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "\n  --> {}", place.file.display())?;
            if let At::Line(line) = place.at {
                write!(f, ":{line}")?;
            }
        }
        if let Some(help) = &self.help {
            write!(f, "\n  = help: {help}")?;
        }
        Ok(())
    }
}

/// Every diagnostic without its source line; [`Diagnostics::render`] shows that too.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl Explain for Diagnostics {
    fn mistakes(&self) -> Option<&Self> {
        Some(self)
    }
}
