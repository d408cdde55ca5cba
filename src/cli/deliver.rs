//! Where a report goes: its page to a file, its text to a file or to standard output.

use std::path::Path;

use super::failure::Failure;
use super::streams::{Console, print};
use crate::diagnostic::Explain;
use crate::files::{WriteError, write_whole};
use crate::html::Markup;

/// Writes `page` to the file beside it, and the text to `output` or standard output. One that
/// cannot be written does not take the other with it, and a text without its file is printed.
///
/// # Errors
/// Where a file or standard output cannot be written.
pub(super) fn deliver(
    text: &str,
    page: Option<(&Path, Markup)>,
    output: Option<&Path>,
    console: Console,
) -> Result<(), Failure> {
    let page = page.map(|(file, page)| write_page(file, &page.into_string(), console));
    let text = match output {
        None => print(text),
        Some(file) => write_whole(file, format!("{text}\n").as_bytes())
            .or_else(|error| print(text).and(Err(error.into()))),
    };
    match (page, text) {
        (Some(Err(page)), Err(text)) => {
            text.report();
            Err(page.into())
        }
        (page, text) => page.unwrap_or(Ok(())).map_err(Failure::from).and(text),
    }
}

fn write_page(file: &Path, page: &str, console: Console) -> Result<(), WriteError> {
    write_whole(file, page.as_bytes())?;
    console.note(&format!("report: {}", file.display()));
    Ok(())
}

/// A report as indented JSON.
pub(super) fn json(report: &impl serde::Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(report).map_err(NoJson)?)
}

#[derive(Debug, thiserror::Error)]
#[error("the report cannot be written as JSON")]
struct NoJson(#[source] serde_json::Error);

impl Explain for NoJson {}
