//! The output folder: its lock, whose store lies in it, and how a new store comes into being.
//!
//! Invariant: `store/` either does not exist or is a whole store with a signature. A new store
//! is made in a scratch folder and moved out of it when its first transaction is on disk; an old one
//! that is to go is moved into it before it is deleted. Where inputs or settings have changed, a store is
//! made beside the old one, in a marked folder, and takes its place when it is complete. Nothing else is
//! ever deleted, and no store in which there is a file that is not RocksDB's.

use super::error::Error;
use super::ledger::{self, Signature};
use crate::files::{self, Scratch, is_plain_file};
use oxigraph::model::Quad;
use oxigraph::store::Store;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const STORE: &str = "store";
const LOCK: &str = ".lock";
/// Begins the name of the folder of a store that is made to replace the one that is there.
const NEXT: &str = ".next-";
/// Begins the name of the scratch folder in which a store is made or deleted.
const SCRATCH: &str = ".store-";
/// What a scratch folder has of a store that is replaced.
const OLD: &str = "old";
/// RocksDB has this file in every database that was ever opened in full.
const ROCKSDB_MARK: &str = "CURRENT";
/// The other files of a database: their names, what these begin with, and what they end with.
const ROCKSDB_NAMES: [&str; 3] = ["IDENTITY", "LOCK", "LOG"];
const ROCKSDB_PREFIXES: [&str; 3] = ["LOG.old.", "MANIFEST-", "OPTIONS-"];
const ROCKSDB_SUFFIXES: [&str; 4] = [".blob", ".dbtmp", ".log", ".sst"];

/// An output folder that this process alone writes to, until it is dropped.
pub(super) struct Folder {
    path: PathBuf,
    /// Holds the lock while it is open; none where the folder that is looked at has no such file.
    _lock: Option<File>,
}

impl Folder {
    /// Creates the folder where it is missing, takes its lock, and clears away what a killed run
    /// left half made or half deleted, which is known by the mark of a [`Scratch`] folder.
    ///
    /// # Errors
    /// [`Error::InUse`] where another run has the lock, [`Error::Folder`] where the folder cannot
    /// be created or written, [`Error::Foreign`], before anything is changed, where something else
    /// is in the store's place.
    pub(super) fn claim(path: &Path) -> Result<Self, Error> {
        holds_store(&path.join(STORE))?;
        fs::create_dir_all(path).map_err(|e| Error::folder("create the output folder", path, e))?;
        let lock_path = path.join(LOCK);
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(|e| Error::folder("write to the output folder: open", &lock_path, e))?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => Error::InUse { folder: path.to_owned() },
            TryLockError::Error(e) => Error::folder("lock", &lock_path, e),
        })?;
        let folder = Self { path: path.to_owned(), _lock: Some(lock) };
        // Before the old store is deleted, which lies in a scratch folder then.
        folder.finish_succession()?;
        for scratch in folder.marked(SCRATCH)? {
            // Of two renames the second was not made: what is not yet replaced is kept.
            let old = scratch.join(OLD);
            if holds_store(&old)? && !holds_store(&folder.store_path())? {
                let path = folder.store_path();
                fs::rename(&old, &path).map_err(|e| Error::folder("move back", &path, e))?;
            }
            files::remove(&scratch).map_err(|e| Error::folder("delete", &scratch, e))?;
        }
        Ok(folder)
    }

    /// The folder as it is, to be looked at, by any number of processes, while nobody writes to it.
    ///
    /// # Errors
    /// [`Error::InUse`] where a run has the lock.
    pub(super) fn quiet(path: &Path) -> Result<Self, Error> {
        let lock = File::open(path.join(LOCK)).ok();
        if let Some(lock) = &lock
            && matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
        {
            return Err(Error::InUse { folder: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Deletes a successor in which nothing was done.
    ///
    /// # Errors
    /// Where it cannot be deleted.
    pub(super) fn abandon(&self, successor: &Path) -> Result<(), Error> {
        match successor.parent() {
            Some(marked) if successor != self.store_path() => {
                files::remove(marked).map_err(|e| Error::folder("delete", marked, e))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn store_path(&self) -> PathBuf {
        self.path.join(STORE)
    }

    /// The signature of the store at a path, `None` where there is no store yet.
    ///
    /// # Errors
    /// [`Error::Foreign`] where something is there but is no store of ours. It is opened read only,
    /// so that it stays as it was.
    pub(super) fn signature(&self, path: &Path) -> Result<Option<Signature>, Error> {
        if !holds_store(path)? {
            return Ok(None);
        }
        let store = Store::open_read_only(path).map_err(|e| Error::storage("opening", path, e))?;
        let signature = ledger::signature(&store, path)?;
        let foreign = || Error::Foreign { path: path.to_owned(), why: "it has no ledger" };
        signature.map(Some).ok_or_else(foreign)
    }

    /// The stores that are made to replace the folder's, with their signatures. Each lies in a folder with kgbuild's mark, so that
    /// a copy that a person made of a store is none.
    ///
    /// # Errors
    /// Where the folder or one of the stores cannot be read.
    pub(super) fn successors(&self) -> Result<Vec<(PathBuf, Signature)>, Error> {
        let mut found = Vec::new();
        for marked in self.marked(NEXT)? {
            let store = marked.join(STORE);
            found.extend(self.signature(&store)?.map(|signature| (store, signature)));
        }
        Ok(found)
    }

    /// A place for one more of them.
    ///
    /// # Errors
    /// Where nothing can be made in the folder, or the store that it would replace holds files that are
    /// not a store's, or is a link.
    pub(super) fn next_successor(&self) -> Result<PathBuf, Error> {
        holds_nothing_else(&self.store_path())?;
        Ok(self.scratch(NEXT)?.keep().join(STORE))
    }

    /// Deletes all of them, and what was left of one.
    ///
    /// # Errors
    /// Where one holds files that are not a store's, or cannot be deleted.
    pub(super) fn clear_successors(&self) -> Result<(), Error> {
        for marked in self.marked(NEXT)? {
            holds_nothing_else(&marked.join(STORE))?;
            files::remove(&marked).map_err(|e| Error::folder("delete", &marked, e))?;
        }
        Ok(())
    }

    fn marked(&self, prefix: &str) -> Result<Vec<PathBuf>, Error> {
        files::left(&self.path, prefix).map_err(|e| Error::folder("read", &self.path, e))
    }

    /// Opens the store at a path.
    pub(super) fn open(&self, path: &Path) -> Result<Store, Error> {
        Store::open(path).map_err(|e| Error::storage("opening", path, e))
    }

    /// Puts a store that was made beside the folder's in its place, and deletes that and all others.
    ///
    /// # Errors
    /// Where something cannot be moved; the old store is then still there.
    pub(super) fn succeed(&self, made: &Path) -> Result<(), Error> {
        let path = self.store_path();
        if made != path {
            holds_nothing_else(&path)?;
            let scratch = self.scratch(SCRATCH)?;
            self.exchange(made, &path, &scratch)?;
        }
        self.clear_successors()
    }

    /// Puts a complete store in its place where a process was killed between taking the old one away and
    /// that, and clears away marked folders in which no store was made.
    fn finish_succession(&self) -> Result<(), Error> {
        let path = self.store_path();
        let mut is_missing = !holds_store(&path)?;
        for marked in self.marked(NEXT)? {
            let made = marked.join(STORE);
            if is_missing && holds_store(&made)? {
                let store = Store::open_read_only(&made)
                    .map_err(|e| Error::storage("opening", &made, e))?;
                let is_complete = ledger::is_complete(&store, &made)?;
                drop(store);
                if is_complete {
                    fs::rename(&made, &path)
                        .map_err(|e| Error::folder("move the new store to", &path, e))?;
                    is_missing = false;
                }
            }
            if !made.exists() {
                files::remove(&marked).map_err(|e| Error::folder("delete", &marked, e))?;
            }
        }
        Ok(())
    }

    fn scratch(&self, prefix: &str) -> Result<Scratch, Error> {
        Scratch::new(&self.path, prefix)
            .map_err(|e| Error::folder("write to the output folder", &self.path, e))
    }

    /// Moves what is at `path`, if anything, into the scratch folder, and `new` to its place.
    fn exchange(&self, new: &Path, path: &Path, scratch: &Scratch) -> Result<(), Error> {
        let old = scratch.path().join(OLD);
        match fs::rename(path, &old) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            result => result.map_err(|e| Error::folder("move away the old", path, e))?,
        }
        fs::rename(new, path).map_err(|e| {
            // What cannot be replaced is kept.
            let _kept = fs::rename(&old, path);
            Error::folder("move the new store to", path, e)
        })?;
        // The rename itself must outlive a power cut; not every system can sync a folder.
        if let Ok(folder) = File::open(&self.path) {
            let _unsupported = folder.sync_all();
        }
        Ok(())
    }

    /// Makes a new store at a path, that holds `quads`, in the place of the one that is there, if any.
    ///
    /// The caller has made sure by [`Self::signature`] that the old one is ours.
    ///
    /// # Errors
    /// [`Error::Foreign`] where the old one holds files that are not a store's, or is a link.
    pub(super) fn create(&self, path: &Path, quads: Vec<Quad>) -> Result<Store, Error> {
        self.make(path, |store, new| {
            store.extend(quads).map_err(|e| Error::storage("making", new, e))
        })
    }

    /// The same with what `fill` writes into it, which is given its path too.
    ///
    /// # Errors
    /// Those of [`Self::create`] and of `fill`; what was there is then still there.
    pub(super) fn make(
        &self,
        path: &Path,
        fill: impl FnOnce(&Store, &Path) -> Result<(), Error>,
    ) -> Result<Store, Error> {
        holds_nothing_else(path)?;
        let scratch = self.scratch(SCRATCH)?;
        let new = scratch.path().join("new");
        let made = |e| Error::storage("making", &new, e);
        let store = Store::open(&new).map_err(made)?;
        fill(&store, &new)?;
        store.flush().map_err(made)?;
        drop(store);
        self.exchange(&new, path, &scratch)?;
        drop(scratch);
        self.open(path)
    }
}

/// That all that is at `path`, if anything, are a store's own files.
fn holds_nothing_else(path: &Path) -> Result<(), Error> {
    let foreign = |path: &Path, why| Err(Error::Foreign { path: path.to_owned(), why });
    if path.is_symlink() {
        return foreign(path, "it is a link");
    }
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|e| Error::folder("read the folder", path, e))?,
    };
    for entry in entries {
        let entry = entry.map_err(|e| Error::folder("read the folder", path, e))?;
        let name = entry.file_name();
        if !is_plain_file(&entry.path()) || !is_rocksdbs(&name.to_string_lossy()) {
            return foreign(&entry.path(), "it lies in the store and is no part of it");
        }
    }
    Ok(())
}

/// Whether RocksDB gives its files such names.
fn is_rocksdbs(name: &str) -> bool {
    name == ROCKSDB_MARK
        || ROCKSDB_NAMES.contains(&name)
        || ROCKSDB_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || ROCKSDB_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// Whether a store is at `path`, whoever made it.
pub(super) fn is_store(path: &Path) -> bool {
    path.join(ROCKSDB_MARK).is_file()
}

/// Whether there is a store at `path`; an empty folder is none.
fn holds_store(path: &Path) -> Result<bool, Error> {
    let foreign = |why| Err(Error::Foreign { path: path.to_owned(), why });
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            return foreign("it is a link to nothing");
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(Error::folder("look at", path, e)),
        Ok(metadata) if !metadata.is_dir() => return foreign("it is not a folder"),
        Ok(_) => {}
    }
    let mut entries = fs::read_dir(path).map_err(|e| Error::folder("read the folder", path, e))?;
    if entries.next().is_none() {
        return Ok(false);
    }
    if !is_store(path) {
        return foreign("it holds other files");
    }
    Ok(true)
}

/// How long [`open_for_reading`] waits for a moment in which a writer moves no files.
const QUIET_WITHIN: Duration = Duration::from_secs(10);

/// Opens a store so that it cannot be changed. `path` is a run's output folder or its `store/`.
///
/// What a killed run has committed is seen. Of a store that a run is writing, all that was
/// committed at some moment during the opening is seen, and nothing in part; a read from it fails
/// later on where the run has replaced a file since.
///
/// # Errors
/// [`Error::Missing`] where there is no store; nothing is created. [`Error::Busy`] where a run
/// is writing so much that there is no quiet moment.
pub fn open_for_reading(path: &Path) -> Result<Store, Error> {
    let store = [path.join(STORE), path.to_owned()]
        .into_iter()
        .find(|candidate| is_store(candidate))
        .ok_or_else(|| Error::Missing { path: path.to_owned() })?;
    let files = || file_state(&store).map_err(|e| Error::folder("read the folder", &store, e));
    let started = Instant::now();
    // RocksDB reads its files one after the other. A writer that moves data from one to another
    // meanwhile would leave a part of the indexes behind, and nothing would tell.
    loop {
        let before = files()?;
        let opened = Store::open_read_only(&store);
        let is_quiet = files()? == before;
        match opened {
            Ok(opened) if is_quiet => return Ok(opened),
            Err(e) if is_quiet => return Err(Error::storage("opening", &store, e)),
            _ if started.elapsed() > QUIET_WITHIN => return Err(Error::Busy { path: store }),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Keeps runs from changing a graph as long as it is there.
#[derive(Debug)]
pub struct Held {
    /// None where there is no such file: no run has been here.
    _lock: Option<File>,
}

/// Keeps runs from changing the graph at `path`, a run's output folder or its `store/`, which others may read and
/// keep too.
///
/// # Errors
/// [`Error::InUse`] where a run is writing.
pub fn hold(path: &Path) -> Result<Held, Error> {
    let above = path.parent().filter(|_| is_store(path));
    let folder = Folder::quiet(above.unwrap_or(path))?;
    Ok(Held { _lock: folder._lock })
}

/// What changes when RocksDB moves data between files: their names, and the size of the manifest
/// that lists them. Logs only grow, by whole transactions.
fn file_state(store: &Path) -> io::Result<BTreeMap<OsString, u64>> {
    let mut state = BTreeMap::new();
    for entry in fs::read_dir(store)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_manifest = name.to_string_lossy().starts_with("MANIFEST");
        let size = match entry.metadata() {
            Ok(metadata) if is_manifest => metadata.len(),
            _ => 0,
        };
        state.insert(name, size);
    }
    Ok(state)
}
