//! Where a report goes: its page to a file, its text to a file or to standard output.

use std::path::Path;

use super::export::whole_file;
use super::failure::Failure;
use super::say::{print, say};
use crate::html::Markup;

/// Writes `page` to the file beside it, then the text, to `output` or standard output: what is
/// printed says that all is done.
///
/// # Errors
/// Where a file or standard output cannot be written.
pub fn deliver(
    text: &str,
    page: Option<(&Path, Markup)>,
    output: Option<&Path>,
) -> Result<(), Failure> {
    let html = page.as_ref().map(|(file, _)| *file);
    if let Some((file, page)) = page {
        let page = page.into_string();
        whole_file(file, |out| out.write_all(page.as_bytes()).map_err(Failure::Output))?;
    }
    match output {
        Some(file) => whole_file(file, |out| writeln!(out, "{text}").map_err(Failure::Output))?,
        None => print(text)?,
    }
    if let Some(file) = html {
        say(&format!("report: {}", file.display()));
    }
    Ok(())
}
