//! From a TOML file to its raw structs: syntax, then the schema; all mistakes with their places.

use std::fs;
use std::path::Path;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use toml::de::DeTable;

use super::schema;
use super::walk::{self, Spans};
use crate::diagnostic::{At, Diagnostic, Diagnostics};

/// What a file is to the person who wrote it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A pipeline.toml.
    Pipeline,
    /// A finetune.toml.
    Finetuning,
    /// An experiment.toml.
    Experiment,
}

impl Kind {
    /// As in `the pipeline cannot be read`.
    fn name(self) -> &'static str {
        match self {
            Self::Pipeline => "the pipeline",
            Self::Finetuning => "the finetuning file",
            Self::Experiment => "the experiment",
        }
    }

    /// What to do where the file is not there.
    fn help(self) -> &'static str {
        match self {
            Self::Pipeline => "`kgbuild init` writes a pipeline to start from",
            Self::Finetuning => "name a finetune.toml, as in `kgbuild finetune finetune.toml`",
            Self::Experiment => "name an experiment.toml, as in pipelines/frequency-shock/",
        }
    }

    /// Whose file it is, and the command that takes it.
    fn owner_and_command(self) -> (&'static str, &'static str) {
        match self {
            Self::Pipeline => ("a pipeline's", "run"),
            Self::Finetuning => ("a finetuning's", "finetune"),
            Self::Experiment => ("an experiment's", "reproduce"),
        }
    }

    /// Whether a file has the tables that tell this kind from the others. A finetuning has
    /// `[inputs]` and an experiment none, and most of what else tells them apart may be left out.
    fn is_told_by(self, document: &DeTable<'_>) -> bool {
        let has = |table| document.get(table).is_some();
        let folder = || document.get("facts")?.get_ref().as_table()?.get("folder");
        match self {
            Self::Pipeline => has("models"),
            Self::Finetuning => has("inputs") && (has("facts") || has("training")),
            Self::Experiment => !has("inputs") && (has("vary") || folder().is_some()),
        }
    }

    fn told_by(document: &DeTable<'_>) -> Option<Self> {
        let kinds = [Self::Pipeline, Self::Finetuning, Self::Experiment];
        kinds.into_iter().find(|kind| kind.is_told_by(document))
    }

    /// The mistake of a file that is one of another kind, in a sentence instead of a page of unknown
    /// keys.
    fn mistaken(self, document: &DeTable<'_>, path: &Path) -> Option<Diagnostic> {
        if self.is_told_by(document) {
            return None;
        }
        let told = Self::told_by(document)?;
        let (owner, command) = told.owner_and_command();
        let message = format!("this is {owner} file, not {}", self.owner_and_command().0);
        let help = format!("use `kgbuild {command} {}`", path.display());
        let mistake = Diagnostic::error("another-kind-of-file", message).help(help);
        Some(mistake.at(path, At::File))
    }
}

/// A file as written, without what does not agree with the schema of `R`.
pub(super) struct Document<R> {
    pub raw: R,
    pub spans: Spans,
    /// What does not agree.
    pub found: Diagnostics,
}

/// What kind of file this is by its tables; a pipeline where none of them tells.
///
/// # Errors
/// Where it cannot be read, is not UTF-8, or is not TOML.
pub(super) fn kind(path: &Path) -> Result<Kind, Diagnostics> {
    let text = text(path, Kind::Pipeline)?;
    let document = parse(path, &text)?;
    Ok(Kind::told_by(&document).unwrap_or(Kind::Pipeline))
}

/// Reads a file and holds it against the schema of `R`.
///
/// # Errors
/// Where it cannot be read, is not UTF-8, is not TOML (its syntax errors), or is of another kind.
pub(super) fn read<R: JsonSchema + DeserializeOwned>(
    path: &Path,
    kind: Kind,
) -> Result<Document<R>, Diagnostics> {
    let text = text(path, kind)?;
    let document = parse(path, &text)?;
    if let Some(mistake) = kind.mistaken(&document, path) {
        return Err(mistake.into());
    }
    let (value, spans, found) = walk::walk(&document, &schema::value::<R>(), path);
    let raw = serde_json::from_value(value).map_err(|error| {
        // Whatever agrees with the schema fits the structs that the schema is derived from.
        Diagnostic::error("not-understood", error.to_string()).at(path, At::File)
    })?;
    Ok(Document { raw, spans, found })
}

/// What was found in the file's order.
pub(super) fn in_order(mut found: Diagnostics) -> Diagnostics {
    found.0.sort_by_key(|d| match d.place.as_ref().map(|p| &p.at) {
        Some(At::Span(span)) => span.start,
        _ => 0,
    });
    found
}

fn text(path: &Path, kind: Kind) -> Result<String, Diagnostics> {
    let bytes = fs::read(path).map_err(|error| {
        Diagnostic::error("unreadable", format!("{} cannot be read: {error}", kind.name()))
            .at(path, At::File)
            .help(kind.help())
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|&&b| b == b'\n').count() as u64 + 1;
        Diagnostic::error("not-utf8", format!("{} is not UTF-8 text", kind.name()))
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
