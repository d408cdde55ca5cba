//! `kgbuild check`: all mistakes of a pipeline file and of the inputs that it names.

use std::path::Path;

use super::failure::{Failure, show};
use super::say::print;
use crate::config::{self, Pipeline};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::fetch::Source;
use crate::pipeline::Inputs;

/// Checks and says that all is well, or shows the mistakes.
pub fn check(file: &Path) -> Result<(), Failure> {
    let (pipeline, warnings) = read(file)?;
    show(&warnings);
    let (_, warnings) = Inputs::read(&pipeline)?;
    show(&warnings);
    print(&format!("{} is sound", pipeline.file.display()))
}

/// Reads a pipeline file, and what it says of its models; nothing is fetched.
pub fn read(file: &Path) -> Result<(Pipeline, Diagnostics), Diagnostics> {
    let (pipeline, mut notes) = config::read(file)?;
    for source in pipeline.models.base.iter().chain(&pipeline.models.finetuned) {
        if let Err(error) = Source::parse(&source.source, &source.relative_to) {
            let (message, help) = split_help(&error.to_string());
            let place = Some(source.place.clone());
            notes.push(Diagnostic { place, help, ..Diagnostic::error("model-source", message) });
        }
    }
    notes.or(pipeline)
}

/// An error's text without its help, and the help.
fn split_help(text: &str) -> (String, Option<String>) {
    match text.split_once("\n  = help: ") {
        Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
        None => (text.to_owned(), None),
    }
}
