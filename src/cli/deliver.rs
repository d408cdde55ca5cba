//! Where a report goes: its page to a file, its text to a file or to standard output.

use std::path::Path;

use super::export::whole_file;
use super::failure::Failure;
use super::say::{print, say};
use crate::html::Markup;

/// Writes `page` to the file beside it, and the text to `output` or standard output. One that
/// cannot be written does not take the other with it, and a text without its file is printed.
///
/// # Errors
/// Where a file or standard output cannot be written.
pub fn deliver(
    text: &str,
    page: Option<(&Path, Markup)>,
    output: Option<&Path>,
) -> Result<(), Failure> {
    let page = page.map(|(file, page)| write_page(file, &page.into_string()));
    let text = match output {
        None => print(text),
        Some(file) => whole_file(file, |out| writeln!(out, "{text}").map_err(Failure::Output))
            .or_else(|failure| print(text).and(Err(failure))),
    };
    match (page, text) {
        (Some(Err(page)), Err(text)) => {
            text.report();
            Err(page)
        }
        (page, text) => page.unwrap_or(Ok(())).and(text),
    }
}

fn write_page(file: &Path, page: &str) -> Result<(), Failure> {
    whole_file(file, |out| out.write_all(page.as_bytes()).map_err(Failure::Output))?;
    say(&format!("report: {}", file.display()));
    Ok(())
}
