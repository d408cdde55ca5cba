//! Errors as exceptions, with the texts and codes of the command line.

use std::fs;

use kgbuild::diagnostic::{At, Diagnostics, Explain, Fault, Place, Severity, explained};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyKeyboardInterrupt};
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::convert::to_python;

create_exception!(
    kgbuild._kgbuild,
    Error,
    PyException,
    "Why kgbuild could not do something.\n\n\
     `code` is the exit code that the command has: 2 for what the caller can mend, 1 for what they cannot. \
     `help` says how it is mended, or is None. `mistakes` has those of files, each a dict with `code`, \
     `message`, `file`, `line`, `help`."
);
create_exception!(
    kgbuild._kgbuild,
    InputError,
    Error,
    "What the caller can mend: files, settings, places."
);

/// An error as the exception that it is in Python.
pub(crate) fn raised(error: &dyn Explain) -> PyErr {
    if error.fault() == Fault::Stopped {
        return PyKeyboardInterrupt::new_err(());
    }
    let mistakes = error.mistakes();
    let mut text = match mistakes {
        Some(mistakes) => mistakes.render(false).trim_end().to_owned(),
        None => explained(error),
    };
    let mut cause = error.source().filter(|_| mistakes.is_none());
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text += &format!("\n  caused by: {said}");
        }
        cause = error.source();
    }
    let (raised, code) = match error.fault() {
        Fault::User => (InputError::new_err(text), 2),
        _ => (Error::new_err(text), 1),
    };
    let told = Python::attach(|py| -> PyResult<()> {
        let value = raised.value(py);
        value.setattr("code", code)?;
        value.setattr("help", error.help())?;
        let mistakes = mistakes.map_or(Value::Null, as_json);
        value.setattr("mistakes", to_python(py, &mistakes)?)
    });
    match told {
        Ok(()) => raised,
        Err(other) => other,
    }
}

/// A result whose error is raised.
pub(crate) trait OrRaise<T> {
    fn or_raise(self) -> PyResult<T>;
}

impl<T, E: Explain> OrRaise<T> for Result<T, E> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| raised(&error))
    }
}

/// Mistakes or warnings as JSON.
pub(crate) fn as_json(all: &Diagnostics) -> Value {
    let of = |place: &Place| {
        let line = match &place.at {
            At::File => None,
            At::Line(line) => Some(*line),
            // The file was read a moment ago; where it is gone, the place is the file.
            At::Span(span) => fs::read(&place.file).ok().map(|text| {
                let before = &text[..span.start.min(text.len())];
                1 + before.iter().filter(|&&byte| byte == b'\n').count() as u64
            }),
        };
        (place.file.display().to_string(), line)
    };
    let one = |mistake: &kgbuild::diagnostic::Diagnostic| {
        let place = mistake.place.as_ref().map(of);
        json!({
            "severity": if mistake.severity == Severity::Error { "error" } else { "warning" },
            "code": mistake.code,
            "message": mistake.message,
            "file": place.as_ref().map(|(file, _)| file),
            "line": place.as_ref().and_then(|(_, line)| *line),
            "help": mistake.help,
        })
    };
    all.0.iter().map(one).collect()
}
