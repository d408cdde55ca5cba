//! Why training cannot begin or go on.

use std::io;
use std::path::PathBuf;

use super::Module;
use crate::diagnostic::Explain;
use crate::onnx;

/// Why a model cannot be trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A LoRA of rank zero has nothing to train.
    #[error("a rank of 0 leaves nothing to train")]
    Rank,

    /// A LoRA without modules has nothing to train.
    #[error("no module is to be adapted")]
    NoModules,

    /// A module that the model does not have.
    #[error("the model has no `{module}`")]
    NoSuchModule {
        /// As the settings name it.
        module: Module,
        /// Those that it has.
        known: Vec<Module>,
    },

    /// A loss, gradient or norm that is infinite or not a number.
    #[error("the {what} is not a finite number")]
    NotFinite {
        /// As in `loss`.
        what: String,
    },

    /// A batch that no tokenizer of the model can have made.
    #[error("the batch does not fit the model: {problem}")]
    Batch {
        /// What does not fit.
        problem: String,
    },

    /// A saved state that belongs to another model or another setting.
    #[error("the saved state does not fit: {problem}")]
    State {
        /// What does not fit.
        problem: String,
    },

    /// The base model cannot be read, or the trained one not be written.
    #[error(transparent)]
    Model(#[from] onnx::Error),

    /// A tensor operation failed: out of memory on the device, for instance.
    #[error("a tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),

    /// Writing failed.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Explain for EngineError {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::Model(error) => Some(error),
            _ => None,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Rank => Some("choose a rank of 1 or more".to_owned()),
            Self::NoModules => Some(format!("name at least one, {}", Module::names())),
            Self::NoSuchModule { known, .. } => {
                let known = known.iter().map(|module| module.name()).collect::<Vec<_>>();
                Some(format!("name some of {} under `modules`", known.join(", ")))
            }
            Self::NotFinite { .. } => Some("lower the learning rate".to_owned()),
            Self::State { .. } => Some("start again, or restore the settings".to_owned()),
            _ => self.inner()?.help(),
        }
    }
}
