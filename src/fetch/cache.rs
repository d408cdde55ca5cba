//! The folder that keeps what was fetched or imported.
//!
//! Invariant: whatever bears its final name is whole. Work in progress has a name of its own
//! beside it and is renamed when it is done, so that a killed process leaves nothing half written
//! and two processes at once do not meet.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Error;

/// A folder of things that can be had again, at some cost.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    verifies: bool,
}

impl Cache {
    /// The cache in this folder, which need not exist yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), verifies: false }
    }

    /// The same cache, whose entries are hashed whenever they are opened if `all`. Else they are
    /// only where the size or the time of a file differs.
    pub fn verifying(self, all: bool) -> Self {
        Self { verifies: all, ..self }
    }

    /// Whether every entry that is opened is hashed.
    pub(super) fn verifies(&self) -> bool {
        self.verifies
    }

    /// The cache in `$KGBUILD_CACHE`, else `$XDG_CACHE_HOME/kgbuild`, else `$HOME/.cache/kgbuild`.
    ///
    /// # Errors
    /// [`Error::NoCacheFolder`], where none of these variables is set.
    pub fn from_environment() -> Result<Self, Error> {
        Self::from_variables(|name| env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set("KGBUILD_CACHE")
            .or_else(|| Some(set("XDG_CACHE_HOME")?.join("kgbuild")))
            .or_else(|| Some(set("HOME")?.join(".cache/kgbuild")))
            .map(Self::at)
            .ok_or(Error::NoCacheFolder)
    }

    /// Where the cache is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A new empty folder on the cache's file system, for work in progress. It is removed when
    /// dropped.
    ///
    /// # Errors
    /// [`Error::Cache`], where the cache cannot be written.
    pub fn scratch(&self) -> Result<TempDir, Error> {
        fs::create_dir_all(&self.root)
            .and_then(|()| tempfile::Builder::new().prefix(".partial-").tempdir_in(&self.root))
            .map_err(|source| Error::Cache { path: self.root.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(variables: &[(&str, &str)]) -> Option<PathBuf> {
        let find = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Cache::from_variables(find).ok().map(|cache| cache.root)
    }

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let home = ("HOME", "/h");
        let xdg = ("XDG_CACHE_HOME", "/x");
        assert_eq!(root(&[home, xdg, ("KGBUILD_CACHE", "/k")]), Some("/k".into()));
        assert_eq!(root(&[home, xdg, ("KGBUILD_CACHE", "")]), Some("/x/kgbuild".into()));
        assert_eq!(root(&[home]), Some("/h/.cache/kgbuild".into()));
        assert_eq!(root(&[]), None);
    }

    #[test]
    fn scratch_is_removed_when_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("new"));
        let scratch = cache.scratch().unwrap();
        fs::write(scratch.path().join("file"), "x").unwrap();
        drop(scratch);
        assert_eq!(fs::read_dir(cache.root()).unwrap().count(), 0);
    }
}
