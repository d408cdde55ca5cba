//! A settings file of any kind, for what all kinds have: sources that are fetched.

use std::path::Path;

use super::document::{Kind, kind};
use super::experiment::{self, Experiment};
use super::finetune::{self, Finetune};
use super::{Pipeline, read};
use crate::diagnostic::Diagnostics;
use crate::fetch::{self, ModelSource};

/// A settings file that names sources.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingsFile {
    /// A pipeline.toml.
    Pipeline(Box<Pipeline>),
    /// A finetune.toml.
    Finetune(Box<Finetune>),
    /// An experiment.toml.
    Experiment(Box<Experiment>),
}

impl SettingsFile {
    /// Reads and checks a settings file of the kind that its tables tell.
    ///
    /// # Errors
    /// Every mistake of the file.
    pub fn read(file: &Path) -> Result<(Self, Diagnostics), Diagnostics> {
        Ok(match kind(file)? {
            Kind::Pipeline => {
                let (pipeline, notes) = read(file)?;
                (Self::Pipeline(Box::new(pipeline)), notes)
            }
            Kind::Finetuning => {
                let (settings, notes) = finetune::read(file)?;
                (Self::Finetune(Box::new(settings)), notes)
            }
            Kind::Experiment => {
                let (experiment, notes) = experiment::read(file, None)?;
                (Self::Experiment(Box::new(experiment)), notes)
            }
        })
    }

    /// Where its models and texts come from.
    pub fn model_sources(&mut self) -> Vec<&mut ModelSource> {
        match self {
            Self::Pipeline(pipeline) => pipeline.model_sources().collect(),
            Self::Finetune(settings) => settings.model_sources().collect(),
            Self::Experiment(experiment) => experiment.model_sources().collect(),
        }
    }
}

/// Binds the sources of settings that were read to the lock file beside them; `demanded` says that
/// there must be one.
///
/// # Errors
/// Where the lock file says otherwise than the settings, or is missing where it is demanded.
pub fn locked<'a>(
    file: &Path,
    sources: impl IntoIterator<Item = &'a mut ModelSource>,
    demanded: bool,
    mut notes: Diagnostics,
) -> Result<Diagnostics, Diagnostics> {
    notes.0.append(&mut fetch::lock(file, sources, demanded).0);
    notes.or(()).map(|((), notes)| notes)
}
