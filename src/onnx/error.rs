//! Why a model cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use crate::diagnostic::Explain;
use crate::fetch;

/// What helps where a decoder is of a kind that kgbuild does not read.
pub(super) const EXPORT_IT: &str =
    "export the model to ONNX with its own tools and name that folder";

/// Help, where the kind of a failure says what to do.
fn mend(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::NotFound => Some("a file of the model is missing: fetch or export it again"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Some("make room, or set KGBUILD_CACHE to a folder where there is some")
        }
        _ => None,
    }
}

/// Why a model cannot be imported or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as in `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },

    /// The cache failed, or a file changed while it was read.
    #[error(transparent)]
    Fetch(Box<fetch::Error>),

    /// A file is not what its format demands: cut off, damaged, or another format.
    #[error(
        "{} is not a sound {format} file: {problem}{}",
        path.display(),
        at.map(|byte| format!(" (at byte {byte})")).unwrap_or_default()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The format's name, as in `GGUF`.
        format: &'static str,
        /// What does not fit.
        problem: String,
        /// Where, in bytes from the beginning.
        at: Option<u64>,
    },

    /// A sound file of a kind that cannot be imported.
    #[error("{} cannot be imported: {problem}", path.display())]
    Unsupported {
        /// The file or folder.
        path: PathBuf,
        /// What it is or has.
        problem: String,
        /// What to use instead.
        help: String,
    },

    /// Neither file nor folder is a model.
    #[error(
        "{} is no model: {problem}",
        path.display()
    )]
    NoModel {
        /// What was named.
        path: PathBuf,
        /// What it lacks.
        problem: String,
    },

    /// An adapter that does not fit, or asks for what is not done.
    #[error("the adapter {} cannot be used: {problem}", path.display())]
    Adapter {
        /// The adapter's folder.
        path: PathBuf,
        /// What does not fit.
        problem: String,
        /// What to do.
        help: String,
    },
}

impl From<fetch::Error> for Error {
    fn from(error: fetch::Error) -> Self {
        match error {
            fetch::Error::Io { action, path, source } => Self::Io { action, path, source },
            other => Self::Fetch(other.into()),
        }
    }
}

impl Explain for Error {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::Fetch(error) => Some(error.as_ref()),
            _ => None,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Io { source, .. } => mend(source.kind()).map(str::to_owned),
            Self::Fetch(error) => error.help(),
            Self::Corrupt { .. } => Some("fetch or export it again".to_owned()),
            Self::Unsupported { help, .. } | Self::Adapter { help, .. } => Some(help.clone()),
            Self::NoModel { .. } => Some(
                "name a .gguf file, a folder with model.onnx and tokenizer.json, or one with \
                 config.json, tokenizer.json and model.safetensors"
                    .to_owned(),
            ),
        }
    }
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(super) fn corrupt(path: &Path, format: &'static str, problem: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), format, problem: problem.into(), at: None }
    }

    pub(super) fn unsupported(path: &Path, problem: impl Into<String>, help: &str) -> Self {
        Self::Unsupported { path: path.to_owned(), problem: problem.into(), help: help.to_owned() }
    }
}
