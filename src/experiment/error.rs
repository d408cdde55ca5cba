//! Why an experiment ended before its end.

use std::io;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostics, Explain, Fault};
use crate::files::{self, WriteError};
use crate::finetune::{OutputError, PrepareError, RunError};
use crate::{fetch, lm, onnx, pipeline, runtime};

/// Why an experiment ended before its end. The cells that were made stay.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Mistakes in files.
    #[error(transparent)]
    Mistakes(#[from] Diagnostics),
    /// A source could not be had.
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    /// The base model cannot be used.
    #[error(transparent)]
    Model(#[from] onnx::Error),
    /// Its tokenizer cannot be read.
    #[error(transparent)]
    Tokenizer(#[from] lm::TokenizerError),
    /// ONNX Runtime cannot be used.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// A cell could not be trained.
    #[error(transparent)]
    Finetune(Box<RunError>),
    /// A model could not be asked.
    #[error(transparent)]
    Pipeline(#[from] pipeline::Error),
    /// Something is in a place that no experiment wrote.
    #[error(transparent)]
    Files(#[from] files::ForeignFile),
    /// A result could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The output folder cannot be written.
    #[error(
        "cannot write to {}; make that possible, or name another `folder` under [output]",
        folder.display()
    )]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another experiment has the output folder.
    #[error(
        "another experiment is writing to {}: wait until it ends, or name another output folder",
        folder.display()
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The stop was set; the same call goes on.
    #[error("interrupted")]
    Interrupted,
}

impl From<RunError> for Error {
    fn from(error: RunError) -> Self {
        Self::Finetune(error.into())
    }
}

impl Error {
    /// What the system says of a folder, with its name.
    pub(super) fn of_folder(folder: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let folder = folder.to_owned();
        move |source| Self::Folder { folder: folder.clone(), source }
    }
}

impl From<PrepareError> for Error {
    fn from(error: PrepareError) -> Self {
        Self::from(RunError::from(error))
    }
}

impl From<OutputError> for Error {
    fn from(error: OutputError) -> Self {
        Self::from(RunError::from(error))
    }
}

impl Explain for Error {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::Mistakes(mistakes) => Some(mistakes),
            Self::Fetch(error) => Some(error),
            Self::Model(error) => Some(error),
            Self::Tokenizer(error) => Some(error),
            Self::Runtime(error) => Some(error),
            Self::Finetune(error) => Some(error.as_ref()),
            Self::Pipeline(error) => Some(error),
            Self::Files(error) => Some(error),
            Self::Write(error) => Some(error),
            Self::Folder { .. } | Self::InUse { .. } | Self::Interrupted => None,
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Interrupted => Fault::Stopped,
            _ => self.inner().map_or(Fault::User, Explain::fault),
        }
    }
}
