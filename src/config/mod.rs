//! pipeline.toml: read, checked as a whole, and handed on as one validated [`Pipeline`].
//!
//! A file goes through three steps: TOML with places ([`toml::de::DeTable`]), held against the
//! JSON Schema of the raw structs (`walk`), then paths and combinations (`resolve`). Each step
//! reports all that it finds; the later ones work on what was right in the earlier ones, so that
//! a person sees every mistake of a file at once. A [`Pipeline`] exists only where there was none.

mod init;
mod paths;
mod pipeline;
mod raw;
mod resolve;
mod schema;
mod walk;

use std::fs;
use std::path::Path;

use toml::de::DeTable;

use crate::diagnostic::{At, Diagnostic, Diagnostics};

pub use init::{InitError, STARTER, init};
pub use pipeline::{
    Annotation, Correction, Device, Inputs, Method, Mixing, ModelSource, Models, Normalise, Output,
    Pipeline, Prediction, Runtime,
};
pub use schema::schema;

/// Reads and checks a pipeline.toml.
///
/// Nothing is fetched or written; that local files are there is checked, their content is not.
/// Gives the pipeline and the warnings.
///
/// # Errors
/// Every mistake of the file, and its warnings, in the file's order.
pub fn read(path: &Path) -> Result<(Pipeline, Diagnostics), Diagnostics> {
    let text = text(path)?;
    let document = parse(path, &text)?;
    let (value, spans, mut found) = walk::walk(&document, &schema::value(), path);
    let raw = serde_json::from_value(value).map_err(|error| {
        // Whatever agrees with the schema fits the structs that the schema is derived from.
        Diagnostic::error("not-understood", error.to_string()).at(path, At::File)
    })?;
    let pipeline = resolve::resolve(raw, path, &spans, &mut found);
    found.0.sort_by_key(|d| match d.place.as_ref().map(|p| &p.at) {
        Some(At::Span(span)) => span.start,
        _ => 0,
    });
    found.or(pipeline)
}

fn text(path: &Path) -> Result<String, Diagnostics> {
    let bytes = fs::read(path).map_err(|error| {
        Diagnostic::error("unreadable", format!("the pipeline cannot be read: {error}"))
            .at(path, At::File)
            .help("`kgbuild init` writes a pipeline to start from")
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|&&b| b == b'\n').count() as u64 + 1;
        Diagnostic::error("not-utf8", "the pipeline is not UTF-8 text")
            .at(path, At::Line(line))
            .help("save the file as UTF-8")
    })?;
    Ok(text)
}

/// The document, or its syntax errors, the first of each line: what follows on a line is mostly
/// a consequence.
fn parse<'a>(path: &Path, text: &'a str) -> Result<DeTable<'a>, Diagnostics> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(document.into_inner());
    }
    let mut found = Diagnostics::default();
    let mut last_line = None;
    for error in errors {
        let at = error.span().map_or(At::File, At::Span);
        let line = match &at {
            At::Span(span) => {
                text.as_bytes().iter().take(span.start).filter(|&&b| b == b'\n').count()
            }
            _ => 0,
        };
        if last_line != Some(line) {
            found.push(Diagnostic::error("syntax", error.message()).at(path, at));
        }
        last_line = Some(line);
    }
    Err(found)
}
