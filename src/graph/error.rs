//! What can go wrong with a store, said so that a person can mend it.

use super::shards::MergeError;
use crate::diagnostic::{Explain, Fault};
use crate::files::WriteError;
use oxigraph::model::IriParseError;
use oxigraph::store::StorageError;
use std::io;
use std::path::{Path, PathBuf};

/// A part of the signature that is not what it was when the store was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The name of the part, as in `ontology`.
    pub part: String,
    /// Its value in the store; `None` where the store does not have the part.
    pub was: Option<String>,
    /// Its value in the run; `None` where that does not have the part.
    pub is: Option<String>,
}

/// Why a graph could not be opened, written, read or exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something about the output folder.
    #[error(
        "cannot {doing} {}; make that possible, or name another `folder` under [output]",
        path.display()
    )]
    Folder {
        /// What was tried, as in `create the folder`.
        doing: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another run holds the lock.
    #[error(
        "another run is writing to {}, or shards or a server are reading from it: wait until they end, or name another \
         output folder",
        folder.display()
    )]
    InUse {
        /// The output folder.
        folder: PathBuf,
    },
    /// Another part of a job's questions is in the folder, or all of them.
    #[error(
        "the store {} has {}, not {}. Nothing was changed; give each its own folder",
        store.display(),
        questions_of(was.as_deref()),
        questions_of(is.as_deref())
    )]
    OtherShard {
        /// The store.
        store: PathBuf,
        /// The shard that it is of; none where it is of all.
        was: Option<String>,
        /// The shard that is run.
        is: Option<String>,
    },
    /// There is something that kgbuild did not make where the store would be.
    #[error(
        "{} is not a store that kgbuild made: {why}. Nothing was changed; name another output \
         folder, or move it away yourself",
        path.display()
    )]
    Foreign {
        /// What is in the way.
        path: PathBuf,
        /// How it is known to be none.
        why: &'static str,
    },
    /// There is no store to read.
    #[error(
        "there is no store at {}: give the output folder of a run, or the store/ in it",
        path.display()
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A store is changing too fast to be read.
    #[error("a run is writing to {} without a pause: run the command again later", path.display())]
    Busy {
        /// The store.
        path: PathBuf,
    },
    /// The disk is full.
    #[error(
        "the disk that holds {} is full. All that was committed is safe: make room, then run the \
         same command again to go on",
        path.display()
    )]
    DiskFull {
        /// The store.
        path: PathBuf,
        /// What RocksDB says.
        #[source]
        source: StorageError,
    },
    /// Reading or writing the store failed.
    #[error(
        "{doing} the store {} failed. What was committed before is kept; run the same command \
         again to go on",
        path.display()
    )]
    Storage {
        /// What was tried, as in `writing to`.
        doing: &'static str,
        /// The store.
        path: PathBuf,
        /// What RocksDB says.
        #[source]
        source: StorageError,
    },
    /// The store's files are not as they were written.
    #[error(
        "the store {} is damaged: put back a copy of it, or delete it and run the pipeline again",
        path.display()
    )]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What RocksDB says.
        #[source]
        source: StorageError,
    },
    /// A store that is being read could not be read, or changed while it was.
    #[error(
        "the store could not be read. If a run is writing it, this can pass: run the command again"
    )]
    Read(#[source] StorageError),
    /// The ledger holds what kgbuild does not write.
    #[error("the ledger of {} is damaged: {what}", path.display())]
    Ledger {
        /// The store.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// No run of a graph has such a name.
    #[error("no run of this graph is named `{name}`")]
    NoRun {
        /// What was named.
        name: String,
        /// How many runs there are.
        runs: usize,
    },
    /// Something that must be an IRI is none.
    #[error("the {role} `{iri}` is not a valid absolute IRI")]
    Iri {
        /// What it is the IRI of, as in `subject`.
        role: &'static str,
        /// The text.
        iri: String,
        /// Where it is none.
        #[source]
        source: IriParseError,
    },
    /// A probability is not a number from 0 to 1.
    #[error("the {role} is {value}, which is no probability")]
    Probability {
        /// Which of the probabilities, as in `confidence`.
        role: &'static str,
        /// The number.
        value: f64,
    },
    /// A file format cannot hold what is asked for.
    #[error("{problem}")]
    Format {
        /// What does not go together.
        problem: String,
        /// What to do instead.
        instead: String,
    },
    /// What is more than is held in memory could not be sorted in a temporary file.
    #[error(
        "cannot sort in the temporary folder {}; `TMPDIR` can name another",
        std::env::temp_dir().display()
    )]
    Sorting(#[source] io::Error),
    /// A file could not be written.
    #[error(transparent)]
    Table(WriteError),
    /// Shards are not merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The output could not be written; a closed pipe keeps its `io::ErrorKind::BrokenPipe`.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

/// What a store has, of one shard or of all.
fn questions_of(shard: Option<&str>) -> String {
    match shard {
        Some(shard) => format!("the questions of shard {shard}"),
        None => "those of all shards".to_owned(),
    }
}

impl Explain for Error {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::Table(error) => Some(error),
            Self::Merge(error) => Some(error),
            _ => None,
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Read(_) | Self::Sorting(_) => Fault::Machine,
            _ => self.inner().map_or(Fault::User, Explain::fault),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Format { instead, .. } => Some(instead.clone()),
            Self::NoRun { runs: 0, .. } => Some("its first run has not ended yet".to_owned()),
            Self::NoRun { runs, .. } => Some(format!(
                "runs are numbered, here from 1 to {runs}; `kgbuild history` lists them"
            )),
            _ => self.inner().and_then(Explain::help),
        }
    }
}

impl Error {
    /// An error of the store at `path`, told apart by what a person can do about it.
    pub(super) fn storage(doing: &'static str, path: &Path, source: StorageError) -> Self {
        let path = path.to_owned();
        match source {
            StorageError::Io(ref error) if error.kind() == io::ErrorKind::StorageFull => {
                Self::DiskFull { path, source }
            }
            StorageError::Corruption(_) => Self::Damaged { path, source },
            source => Self::Storage { doing, path, source },
        }
    }

    /// An error of the operating system about the output folder.
    pub(super) fn folder(doing: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull => {
                Self::DiskFull { path: path.to_owned(), source: source.into() }
            }
            _ => Self::Folder { doing, path: path.to_owned(), source },
        }
    }
}
