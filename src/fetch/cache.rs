//! The folder that keeps what was fetched or imported.
//!
//! Invariant: whatever bears its final name is whole. Work in progress has a name of its own
//! beside it and is renamed when it is done, so that a killed process leaves nothing half written
//! and two processes at once do not meet. A process locks its work in progress for as long as it
//! lives, so that what a killed one left can be told from it, and removed.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::Error;

/// Begins the name of work in progress; letters and digits drawn at random follow.
const PARTIAL: &str = ".partial-";
/// How many follow.
const DRAWN: usize = 6;

/// A folder of things that can be had again, at some cost.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    stop: Arc<AtomicBool>,
    verifies: bool,
}

impl Cache {
    /// The cache in this folder, which need not exist yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), stop: Arc::default(), verifies: false }
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

    /// The same cache, for which no more is fetched once `flag` is set, by Ctrl-C for instance:
    /// what is under way ends with [`Error::Interrupted`].
    pub fn stop_on(self, flag: Arc<AtomicBool>) -> Self {
        Self { stop: flag, ..self }
    }

    /// Whether nothing more is to be fetched.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Lets work go on until nothing more is to be fetched.
    pub(super) fn unless_stopped(&self) -> Result<(), Error> {
        if self.is_stopped() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Where the cache is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A new empty folder on the cache's file system, for work in progress. It is removed when
    /// dropped; those that killed processes left are removed now.
    ///
    /// # Errors
    /// [`Error::Cache`], where the cache cannot be written.
    pub fn scratch(&self) -> Result<PartialEntry, Error> {
        let failed = |source| Error::Cache { path: self.root.clone(), source };
        fs::create_dir_all(&self.root).map_err(failed)?;
        // One process at a time, so that none removes a folder that is not locked yet.
        let turn = locked(&self.root);
        if turn.is_some() {
            self.sweep();
        }
        let folder = tempfile::Builder::new()
            .prefix(PARTIAL)
            .rand_bytes(DRAWN)
            .tempdir_in(&self.root)
            .map_err(failed)?;
        let lock = locked(folder.path());
        Ok(PartialEntry { folder, _lock: lock })
    }

    /// Removes the work in progress that nobody works on.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_folder || !is_partial(&entry.file_name()) {
                continue;
            }
            let folder = File::open(entry.path());
            if folder.is_ok_and(|folder| folder.try_lock().is_ok()) {
                // What cannot be removed takes its place and does no other harm.
                let _stays = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Moves a finished file out of a scratch folder to its final place, which a power cut does not
    /// undo or leave half written.
    ///
    /// # Errors
    /// [`Error::Io`] naming what cannot be written.
    pub(super) fn keep(&self, made: &Path, target: &Path) -> Result<(), Error> {
        let folder = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        File::open(made).and_then(|file| file.sync_all()).map_err(Error::io("write", made))?;
        fs::rename(made, target).map_err(Error::io("write", target))?;
        // The folders too may be new.
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(&self.root)) {
            // Not every file system can, and the file is whole in any case.
            let _unsupported = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(())
    }
}

/// A folder for work in progress, locked while it is held.
#[derive(Debug)]
pub struct PartialEntry {
    folder: TempDir,
    /// None where the file system has no locks for folders, and nothing is ever swept.
    _lock: Option<File>,
}

impl PartialEntry {
    /// Where it is. It may be renamed when it is whole.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The folder locked, as soon as nobody else has it locked; none where that cannot be.
fn locked(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    while let Err(error) = folder.lock() {
        if error.kind() != ErrorKind::Interrupted {
            return None;
        }
    }
    Some(folder)
}

/// Whether a name is one that [`Cache::scratch`] gives.
fn is_partial(name: &OsStr) -> bool {
    let drawn = name.to_str().and_then(|name| name.strip_prefix(PARTIAL));
    drawn.is_some_and(|drawn| {
        drawn.len() == DRAWN && drawn.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
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

    #[test]
    fn what_killed_processes_left_is_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let live = cache.scratch().unwrap();
        fs::write(live.path().join("model.onnx"), "half").unwrap();
        let dead = folder.path().join(".partial-aB3dE6");
        fs::create_dir_all(dead.join("wheels")).unwrap();
        fs::write(dead.join("wheels/thing.whl"), "half").unwrap();
        // Of somebody else's making.
        let others = [".partial-notes", ".partial-a_3dE6", ".partial-aB3dE67", "partial-aB3dE6"];
        for other in others {
            fs::create_dir(folder.path().join(other)).unwrap();
        }
        fs::write(folder.path().join(".partial-aaaaaa"), "a file").unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("kept"), "").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join(".partial-bbbbbb"))
            .unwrap();

        let _next = Cache::at(folder.path()).scratch().unwrap();
        assert!(!dead.exists());
        assert!(live.path().join("model.onnx").exists());
        assert!(others.iter().all(|other| folder.path().join(other).is_dir()));
        assert!(folder.path().join(".partial-aaaaaa").is_file());
        assert!(folder.path().join(".partial-bbbbbb/kept").exists());
    }

    #[test]
    fn a_scratch_that_was_renamed_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let scratch = cache.scratch().unwrap();
        fs::write(scratch.path().join("graph"), "x").unwrap();
        let whole = folder.path().join("model");
        fs::rename(scratch.path(), &whole).unwrap();
        drop(scratch);
        drop(cache.scratch().unwrap());
        assert_eq!(fs::read(whole.join("graph")).unwrap(), b"x");
    }

    #[test]
    fn what_is_kept_is_moved_to_folders_that_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let scratch = cache.scratch().unwrap();
        let (made, target) = (scratch.path().join("made"), folder.path().join("a/b/model.gguf"));
        for text in ["first", "again"] {
            fs::write(&made, text).unwrap();
            cache.keep(&made, &target).unwrap();
            assert!(!made.exists());
            assert_eq!(fs::read_to_string(&target).unwrap(), text);
        }
        let message = cache.keep(&made, &target).unwrap_err().to_string();
        assert!(message.contains("made"), "{message}");
    }
}
