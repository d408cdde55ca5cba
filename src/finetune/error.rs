//! Why training cannot begin or go on.

use std::io;
use std::path::PathBuf;

use crate::onnx;

/// Why a model cannot be trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A LoRA of rank zero has nothing to train.
    #[error("a rank of 0 leaves nothing to train\n  = help: choose a rank of 1 or more")]
    Rank,

    /// A LoRA without modules has nothing to train.
    #[error("no module is to be adapted\n  = help: name at least one, {}", onnx::Module::names())]
    NoModules,

    /// A loss, gradient or norm that is infinite or not a number.
    #[error("the {what} is not a finite number\n  = help: lower the learning rate")]
    NotFinite { what: String },

    /// A batch that no tokenizer of the model can have made.
    #[error("the batch does not fit the model: {problem}")]
    Batch { problem: String },

    /// A saved state that belongs to another model or another setting.
    #[error(
        "the saved state does not fit: {problem}\n  = help: start again, or restore the settings"
    )]
    State { problem: String },

    /// The base model cannot be read, or the trained one not be written.
    #[error(transparent)]
    Model(#[from] onnx::Error),

    /// A tensor operation failed: out of memory on the device, for instance.
    #[error("a tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),

    /// Writing failed.
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}
