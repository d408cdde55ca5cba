//! The output folder: its lock, whose store lies in it, and how a new store comes into being.
//!
//! Invariant: `store/` either does not exist or is a whole store with a signature. A new store
//! is made under another name and renamed when its first transaction is on disk; an old one that
//! is to go is renamed before it is deleted. Only these names are ever deleted.

use super::error::Error;
use super::ledger::{self, Signature};
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
/// A store that is being made.
const NEW: &str = ".store-new";
/// A store that is being deleted.
const OLD: &str = ".store-old";
/// RocksDB has this file in every database that was ever opened in full.
const ROCKSDB_MARK: &str = "CURRENT";

/// An output folder that this process alone writes to, until it is dropped.
pub(super) struct Folder {
    path: PathBuf,
    /// Holds the lock while it is open.
    _lock: File,
}

impl Folder {
    /// Creates the folder where it is missing, takes its lock, and clears away what a killed run
    /// left half made or half deleted.
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
        let folder = Self { path: path.to_owned(), _lock: lock };
        folder.delete(NEW)?;
        folder.delete(OLD)?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn store_path(&self) -> PathBuf {
        self.path.join(STORE)
    }

    /// The signature of the store in the folder, `None` where there is no store yet.
    ///
    /// # Errors
    /// [`Error::Foreign`] where `store` is there but is no store of ours. It is opened read only,
    /// so that it stays as it was.
    pub(super) fn signature(&self) -> Result<Option<Signature>, Error> {
        let path = self.store_path();
        if !holds_store(&path)? {
            return Ok(None);
        }
        let store =
            Store::open_read_only(&path).map_err(|e| Error::storage("opening", &path, e))?;
        let signature = ledger::signature(&store, &path)?;
        signature.map(Some).ok_or(Error::Foreign { path, why: "it has no ledger" })
    }

    /// Opens the store that is there.
    pub(super) fn open(&self) -> Result<Store, Error> {
        let path = self.store_path();
        Store::open(&path).map_err(|e| Error::storage("opening", &path, e))
    }

    /// Puts a new store that holds `quads` in the place of the one that is there, if any.
    ///
    /// The caller has made sure by [`Self::signature`] that the old one is ours.
    pub(super) fn create(&self, quads: Vec<Quad>) -> Result<Store, Error> {
        let (new, old, path) = (self.path.join(NEW), self.path.join(OLD), self.store_path());
        let made = |e| Error::storage("making", &new, e);
        let store = Store::open(&new).map_err(made)?;
        store.extend(quads).map_err(made)?;
        store.flush().map_err(made)?;
        drop(store);
        match fs::rename(&path, &old) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            result => result.map_err(|e| Error::folder("move away the old", &path, e))?,
        }
        fs::rename(&new, &path).map_err(|e| Error::folder("move the new store to", &path, e))?;
        // The rename itself must outlive a power cut; not every system can sync a folder.
        if let Ok(folder) = File::open(&self.path) {
            let _unsupported = folder.sync_all();
        }
        self.delete(OLD)?;
        self.open()
    }

    fn delete(&self, name: &str) -> Result<(), Error> {
        let path = self.path.join(name);
        match fs::remove_dir_all(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(|e| Error::folder("delete", &path, e)),
        }
    }
}

/// Whether there is a store at `path`; an empty folder is none.
fn holds_store(path: &Path) -> Result<bool, Error> {
    let foreign = |why| Err(Error::Foreign { path: path.to_owned(), why });
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(Error::folder("look at", path, e)),
        Ok(metadata) if !metadata.is_dir() => return foreign("it is not a folder"),
        Ok(_) => {}
    }
    let mut entries = fs::read_dir(path).map_err(|e| Error::folder("read the folder", path, e))?;
    if entries.next().is_none() {
        return Ok(false);
    }
    if !path.join(ROCKSDB_MARK).is_file() {
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
        .find(|candidate| candidate.join(ROCKSDB_MARK).is_file())
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
