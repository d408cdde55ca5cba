//! Finetuning.

use std::path::PathBuf;

use kgbuild::config::{finetune as config, locked};
use kgbuild::finetune::{Sources, TrainingInputs, TrainingOutcome, run, use_threads};
use kgbuild::pipeline::Error;
use pyo3::prelude::*;
use pyo3::types::PyAny;
use serde_json::json;

use crate::convert::to_python;
use crate::error::{OrRaise as _, raised};
use crate::work::work;

/// Trains as a finetune.toml says, and gives the card of the model.
#[pyfunction]
#[pyo3(signature = (file, fresh=false, tell=None))]
pub(crate) fn finetune<'py>(
    py: Python<'py>,
    file: PathBuf,
    fresh: bool,
    tell: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let outcome = work(py, tell, |environment| {
        let events = environment.events.as_ref();
        let (mut settings, notes) = config::read(&file).or_raise()?;
        let warnings = locked(&file, settings.model_sources(), environment.locked, notes);
        events.warn(&warnings.or_raise()?);
        let (inputs, warnings) = TrainingInputs::read(&settings).or_raise()?;
        events.warn(&warnings);
        let cache = environment.cache().or_raise()?;
        let sources = Sources::fetch(&settings, cache, events).or_raise()?;
        use_threads(settings.training.threads).or_raise()?;
        run(&settings, &inputs, sources, fresh, events, &environment.stop).or_raise()
    })?;
    match outcome {
        TrainingOutcome::Finished(card) => to_python(py, &json!(card)),
        TrainingOutcome::Stopped { .. } => Err(raised(&Error::Interrupted)),
    }
}
