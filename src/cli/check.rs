//! `kgbuild check`: all mistakes of a pipeline file and of the inputs that it names.

use std::path::Path;

use super::failure::{Failure, show};
use super::say::print_summary;
use crate::config::{self, ModelSource, Pipeline, Tuned};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity::Warning};
use crate::fetch::Source;
use crate::pipeline::Inputs;

/// Checks and says that all is well, or shows the mistakes.
pub fn check(file: &Path) -> Result<(), Failure> {
    let (mut pipeline, mut warnings) = read(file)?;
    if let Err(mistakes) = use_tuned(&mut pipeline) {
        // Numbers that are not tuned yet are missed when the pipeline is run.
        let (missing, wrong): (Vec<_>, Vec<_>) =
            mistakes.0.into_iter().partition(|mistake| mistake.code == NOT_TUNED);
        warnings.0.extend(missing.into_iter().map(|m| Diagnostic { severity: Warning, ..m }));
        warnings.0.extend(wrong);
    }
    let (pipeline, warnings) = warnings.or(pipeline)?;
    show(&warnings);
    let (_, warnings) = Inputs::read(&pipeline)?;
    show(&warnings);
    print_summary(&format!("{} is sound", pipeline.file.display()))
}

/// Reads a pipeline file, and what it says of its models; nothing is fetched.
pub fn read(file: &Path) -> Result<(Pipeline, Diagnostics), Diagnostics> {
    let (pipeline, mut notes) = config::read(file)?;
    let sources = pipeline.models.base.iter().chain(&pipeline.models.finetuned);
    notes.0.extend(sources.filter_map(malformed));
    notes.or(pipeline)
}

/// Takes the tuned numbers that the pipeline names into it, if it names some.
///
/// # Errors
/// Where they were not made yet, or are not what they should be.
pub fn use_tuned(pipeline: &mut Pipeline) -> Result<(), Diagnostics> {
    let Some(tuning) = &pipeline.tuning else { return Ok(()) };
    if !tuning.file.exists() {
        let message = format!("the tuned numbers `{}` are not there yet", tuning.file.display());
        let help = format!(
            "`kgbuild tune {}` makes them; or take out `[tuning]`",
            pipeline.file.display()
        );
        let mistake = Diagnostic::error(NOT_TUNED, message).help(help);
        return Err(Diagnostic { place: Some(tuning.place.clone()), ..mistake }.into());
    }
    let tuned = Tuned::read(&tuning.file)?;
    pipeline.use_tuned(tuned);
    Ok(())
}

/// The code of a pipeline whose numbers have not been tuned.
pub const NOT_TUNED: &str = "not-tuned";

/// Why a source is none, if it is.
pub fn malformed(source: &ModelSource) -> Option<Diagnostic> {
    let error = Source::parse(&source.source, &source.relative_to).err()?;
    let (message, help) = split_help(&error.to_string());
    let place = Some(source.place.clone());
    Some(Diagnostic { place, help, ..Diagnostic::error("model-source", message) })
}

/// An error's text without its help, and the help.
fn split_help(text: &str) -> (String, Option<String>) {
    match text.split_once("\n  = help: ") {
        Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
        None => (text.to_owned(), None),
    }
}
