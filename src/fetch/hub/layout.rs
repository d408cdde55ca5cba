//! The hub's own cache as all its programs lay it out, so that what one has fetched serves all:
//! contents under the names of their hashes in `blobs/`, each commit's files as links to them in
//! `snapshots/COMMIT/`, and the commit of a branch in `refs/`.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tempfile::{Builder, TempPath};

use super::super::{Cache, Error};
use super::Model;
use super::published::is_commit;

/// How often it is looked whether another program is done.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// The folder of one model in a hub's cache.
pub(super) struct Layout<'a> {
    model: &'a Model<'a>,
    folder: PathBuf,
    locks: PathBuf,
}

impl<'a> Layout<'a> {
    pub(super) fn new(hub_cache: &Path, model: &'a Model<'a>) -> Self {
        let name = format!("models--{}", model.owner_name.replace('/', "--"));
        let folder = hub_cache.join(&name);
        Self { model, folder, locks: hub_cache.join(".locks").join(name) }
    }

    /// Where a commit's files are.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// Where a content with this hash is, once it is whole.
    pub(super) fn blob(&self, hash: &str) -> PathBuf {
        self.folder.join("blobs").join(hash)
    }

    /// Where it is until then. Another attempt goes on with it.
    pub(super) fn unfinished(&self, hash: &str) -> PathBuf {
        self.folder.join("blobs").join(format!("{hash}.kgbuild-incomplete"))
    }

    /// The folder of the revision as it was last fetched, by whatever program.
    pub(super) fn cached(&self) -> Option<PathBuf> {
        let commit = match fs::read_to_string(self.reference()) {
            Ok(commit) => commit.trim().to_owned(),
            Err(_) => self.model.revision.to_owned(),
        };
        Some(self.snapshot(&commit)).filter(|folder| is_commit(&commit) && folder.is_dir())
    }

    /// Notes that the revision is this commit, as the hub says.
    ///
    /// # Errors
    /// [`Error::Hub`] where something else than a commit is noted, [`Error::Io`].
    pub(super) fn refer(&self, commit: &str) -> Result<(), Error> {
        let reference = self.reference();
        match fs::read_to_string(&reference) {
            Ok(noted) if noted.trim() == commit => return Ok(()),
            // A commit names itself.
            Err(_) if self.model.revision == commit => return Ok(()),
            Ok(noted) if is_commit(noted.trim()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => {
                let problem = format!("{} is not the name of a commit", reference.display());
                return Err(self.model.refused(problem));
            }
        }
        let folder = parent(&reference)?;
        // As readable as other files, for those who share the cache.
        let file = Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder);
        let mut file = file.map_err(Error::io("write into", folder))?;
        file.write_all(commit.as_bytes()).map_err(Error::io("write", &reference))?;
        file.persist(&reference).map_err(|error| Error::io("write", &reference)(error.error))?;
        Ok(())
    }

    fn reference(&self) -> PathBuf {
        self.folder.join("refs").join(self.model.revision)
    }

    /// Waits until no other program fetches this content, and keeps them from it until the file
    /// that is given is dropped. The hub's own programs take the same lock.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Interrupted`] where the cache is told to stop.
    pub(super) fn lock(&self, hash: &str, cache: &Cache) -> Result<File, Error> {
        let path = self.locks.join(format!("{hash}.lock"));
        parent(&path)?;
        let file = File::options().create(true).append(true).open(&path);
        let file = file.map_err(Error::io("write", &path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(fs::TryLockError::WouldBlock) => thread::sleep(LOCK_INTERVAL),
                Err(fs::TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
            }
            cache.unless_stopped()?;
        }
    }

    /// Gives an unfinished content, which is whole now, its name. What bears it already stays.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn finish(&self, hash: &str) -> Result<(), Error> {
        let (unfinished, blob) = (self.unfinished(hash), self.blob(hash));
        let failed = |error| Error::io("write", &blob)(error);
        let path = TempPath::try_from_path(&unfinished).map_err(failed)?;
        match path.persist_noclobber(&blob) {
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => {
                let io_error = error.error;
                // What was fetched is not lost for that.
                let _kept = error.path.keep();
                Err(failed(io_error))
            }
            _ => flush_folder(blob.parent().unwrap_or(&self.folder)),
        }
    }

    /// Puts the content into a commit's folder under a plain path.
    ///
    /// # Errors
    /// [`Error::Io`]; also where something is there.
    pub(super) fn link(&self, hash: &str, commit: &str, name: &str) -> Result<(), Error> {
        let target = self.snapshot(commit).join(name);
        let folder = parent(&target)?;
        // From `snapshots/COMMIT/` it is two folders up to `blobs/`.
        let up = "../".repeat(2 + name.matches('/').count());
        match symlink(Path::new(&up).join("blobs").join(hash), &target) {
            // The link is there, and its content is back.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && target.exists() => {}
            Err(error) => return Err(Error::io("write", &target)(error)),
            Ok(()) => {}
        }
        flush_folder(folder)
    }
}

/// The files below a folder that are there, as paths with slashes, sorted. Links are followed.
pub(super) fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(below) = folders.pop() {
        for entry in fs::read_dir(folder.join(&below)).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let name = if below.is_empty() { name } else { format!("{below}/{name}") };
            match fs::metadata(entry.path()) {
                // A folder behind a link may hold the one that it is in.
                Ok(metadata) if metadata.is_dir() => {
                    if !entry.path().is_symlink() {
                        folders.push(name);
                    }
                }
                Ok(_) => found.push(name),
                Err(_) => {}
            }
        }
    }
    found.sort();
    found
}

/// The folder of a path, which is made if need be.
fn parent(path: &Path) -> Result<&Path, Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    Ok(folder)
}

/// Brings the names in a folder to the disk.
fn flush_folder(folder: &Path) -> Result<(), Error> {
    let flushed = File::open(folder).and_then(|folder| folder.sync_all());
    flushed.map_err(Error::io("write", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f";

    #[test]
    fn a_finished_content_is_linked_where_a_commit_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let model = Model { owner_name: "owner/name", revision: "refs/pr/1" };
        let layout = Layout::new(folder.path(), &model);
        fs::create_dir_all(folder.path().join("models--owner--name/blobs")).unwrap();
        fs::write(layout.unfinished("h"), "abc").unwrap();
        layout.finish("h").unwrap();
        assert!(!layout.unfinished("h").exists());
        layout.link("h", COMMIT, "onnx/model.onnx").unwrap();
        layout.link("h", COMMIT, "config.json").unwrap();
        assert_eq!(layout.cached(), None);
        layout.refer(COMMIT).unwrap();
        let cached = layout.cached().unwrap();
        assert_eq!(cached, folder.path().join("models--owner--name/snapshots").join(COMMIT));
        assert_eq!(files_below(&cached), ["config.json", "onnx/model.onnx"]);
        assert_eq!(fs::read_to_string(cached.join("onnx/model.onnx")).unwrap(), "abc");
    }

    #[test]
    fn what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let model = Model { owner_name: "owner/name", revision: "main" };
        let layout = Layout::new(folder.path(), &model);
        let write = |path: &Path, text: &str| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(&layout.blob("h"), "theirs");
        write(&layout.unfinished("h"), "ours");
        layout.finish("h").unwrap();
        assert_eq!(fs::read_to_string(layout.blob("h")).unwrap(), "theirs");

        fs::create_dir_all(layout.snapshot(COMMIT)).unwrap();
        symlink("nowhere", layout.snapshot(COMMIT).join("a")).unwrap();
        assert!(layout.link("h", COMMIT, "a").is_err());

        write(&layout.reference(), "a note of theirs");
        let message = layout.refer(COMMIT).unwrap_err().to_string();
        assert!(message.contains("refs/main is not the name of a commit"), "{message}");
        assert_eq!(fs::read_to_string(layout.reference()).unwrap(), "a note of theirs");
        write(&layout.reference(), &"0".repeat(40));
        layout.refer(COMMIT).unwrap();
        assert_eq!(fs::read_to_string(layout.reference()).unwrap(), COMMIT);
    }
}
