//! What kgbuild makes itself and keeps in the cache: folders that bear a manifest of their files.
//!
//! Invariant: an entry is used only where every file is what its manifest says. It is made beside
//! its place, brought to the disk with its manifest, and only then renamed into it.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::{Cache, Error, digest_of_file};
use crate::diagnostic::Events;

/// The manifest's file in its folder; hidden, so that it is no part of a model's hash.
const MANIFEST: &str = ".manifest.json";
/// Held by whoever makes an entry, in the folder that the entry is to lie in.
const LOCK: &str = ".lock";

/// What the files of a folder are, by their path in it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    files: BTreeMap<String, Entry>,
}

/// What a file is.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// In bytes.
    size: u64,
    /// Nanoseconds since 1970, where the file system knows.
    modified: Option<u64>,
    sha256: String,
}

impl Cache {
    /// What `open` gives of the entry `folder`, which `make` makes in the folder that it is given
    /// where it is missing or damaged.
    ///
    /// `events` are told where an entry is made again. One process makes entries of the same folder
    /// at a time; others wait and then find them.
    ///
    /// # Errors
    /// What `make` or, of a new entry, `open` gives; [`Error::Cache`], [`Error::Io`].
    pub fn entry<T, E: From<Error>>(
        &self,
        folder: &Path,
        events: &dyn Events,
        open: impl Fn(&Path) -> Result<T, E>,
        make: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<T, E> {
        if let Some(Ok(found)) = self.found(folder, &open) {
            return Ok(found);
        }
        let parent = folder.parent().unwrap_or(self.root());
        fs::create_dir_all(parent).map_err(self.failed(parent))?;
        let _lock = self.lock(parent, events)?;
        // Another process may have made it until the lock was free.
        match self.found(folder, &open) {
            Some(Ok(found)) => return Ok(found),
            Some(Err(problem)) => {
                events
                    .note(&format!("{} is damaged and is made again: {problem}", folder.display()));
                fs::remove_dir_all(folder).map_err(Error::io("remove", folder))?;
            }
            None => {}
        }
        let scratch = self.scratch()?;
        make(scratch.path())?;
        Manifest::of(scratch.path())?.write(scratch.path()).map_err(self.failed(folder))?;
        flush(scratch.path())?;
        if let Err(error) = fs::rename(scratch.path(), folder) {
            // Where there are no locks, another process may have been as quick and made the same.
            return match self.found(folder, &open) {
                Some(Ok(found)) => Ok(found),
                _ => Err(self.failed(folder)(error).into()),
            };
        }
        sync(parent)?;
        open(folder)
    }

    /// The entry where it is there, or why it cannot be used.
    fn found<T, E>(
        &self,
        folder: &Path,
        open: impl Fn(&Path) -> Result<T, E>,
    ) -> Option<Result<T, String>> {
        if !folder.is_dir() {
            return None;
        }
        let problem = Manifest::check(folder, self.verifies());
        Some(problem.and_then(|()| open(folder).map_err(|_| "it cannot be read".to_owned())))
    }

    fn lock(&self, folder: &Path, events: &dyn Events) -> Result<File, Error> {
        let path = folder.join(LOCK);
        let lock = File::options().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(self.failed(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                events.note("waiting for another kgbuild, which is making a model ready");
                lock.lock().map_err(Error::io("lock", &path))?;
            }
            // Some file systems know no locks; whoever is last then puts the same in place again.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
        }
        Ok(lock)
    }

    fn failed(&self, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Cache { path, source }
    }
}

impl Manifest {
    /// The manifest of all files in a folder.
    fn of(folder: &Path) -> Result<Self, Error> {
        let mut files = BTreeMap::new();
        each(folder, "", &mut |name, path, is_folder| {
            if !is_folder {
                files.insert(name.to_owned(), Entry::of(path)?);
            }
            Ok(())
        })?;
        Ok(Self { files })
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        let partial = tempfile::Builder::new().prefix(".partial-").tempfile_in(folder)?;
        serde_json::to_writer_pretty(partial.as_file(), self)?;
        partial.as_file().write_all(b"\n")?;
        partial.as_file().sync_all()?;
        partial.persist(folder.join(MANIFEST)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Holds the files of a folder to its manifest: to their hashes if `all`, or where size and
    /// time do not tell that they are the same. Gives what is wrong.
    fn check(folder: &Path, all: bool) -> Result<(), String> {
        let text = fs::read(folder.join(MANIFEST));
        let text = text.map_err(|_| format!("it has no {MANIFEST}"))?;
        let mut manifest: Self =
            serde_json::from_slice(&text).map_err(|_| format!("its {MANIFEST} is damaged"))?;
        let mut moved = false;
        for (name, entry) in &mut manifest.files {
            let path = folder.join(name);
            let file = fs::metadata(&path).ok().filter(fs::Metadata::is_file);
            let file = file.ok_or_else(|| format!("`{name}` is missing"))?;
            if file.len() != entry.size {
                let (is, was) = (file.len(), entry.size);
                return Err(format!("`{name}` has {is} bytes instead of {was}"));
            }
            let modified = modified(&file);
            let same_time = modified.is_some() && modified == entry.modified;
            if same_time && !all {
                continue;
            }
            if digest_of_file(&path).map(hex::encode).ok().as_ref() != Some(&entry.sha256) {
                return Err(format!("`{name}` is not what was written"));
            }
            moved |= !same_time;
            entry.modified = modified;
        }
        // A cache that was copied: the next time it is not hashed. Where it cannot be written, it is.
        if moved {
            let _ = manifest.write(folder);
        }
        Ok(())
    }
}

impl Entry {
    fn of(path: &Path) -> Result<Self, Error> {
        let file = fs::metadata(path).map_err(Error::io("read", path))?;
        let sha256 = hex::encode(digest_of_file(path)?);
        Ok(Self { size: file.len(), modified: modified(&file), sha256 })
    }
}

fn modified(file: &fs::Metadata) -> Option<u64> {
    let since = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

/// Visits all that is in a folder, a folder after its content: name from there, path, whether it is
/// a folder.
fn each(
    folder: &Path,
    before: &str,
    visit: &mut dyn FnMut(&str, &Path, bool) -> Result<(), Error>,
) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let entry = entry.map_err(Error::io("read", folder))?;
        let path = entry.path();
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        let is_folder = entry.file_type().map_err(Error::io("read", &path))?.is_dir();
        if is_folder {
            each(&path, &format!("{name}/"), visit)?;
        }
        visit(&name, &path, is_folder)?;
    }
    Ok(())
}

/// Brings a folder to the disk with all that is in it.
fn flush(folder: &Path) -> Result<(), Error> {
    each(folder, "", &mut |_, path, _| sync(path))?;
    sync(folder)
}

/// Brings a file, or the names in a folder, to the disk.
fn sync(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|file| file.sync_all()).map_err(Error::io("write", path))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::diagnostic::Silent;

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Events for Notes {
        fn note(&self, text: &str) {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }

    struct Kept {
        _folder: tempfile::TempDir,
        cache: Cache,
        at: PathBuf,
    }

    fn kept() -> Kept {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let at = folder.path().join("models/one");
        let kept = Kept { _folder: folder, cache, at };
        assert_eq!(kept.get(&kept.cache), ("whole".to_owned(), vec!["made".to_owned()]));
        kept
    }

    impl Kept {
        /// What the entry's file says, and what was reported.
        fn get(&self, cache: &Cache) -> (String, Vec<String>) {
            let notes = Notes::default();
            let open = |folder: &Path| -> Result<String, Error> {
                let path = folder.join("inner/file");
                fs::read_to_string(&path).map_err(Error::io("read", &path))
            };
            let found = cache.entry(&self.at, &notes, open, |at| {
                notes.note("made");
                fs::create_dir(at.join("inner")).unwrap();
                fs::write(at.join("inner/file"), "whole").unwrap();
                fs::write(at.join("other"), "").unwrap();
                Ok(())
            });
            (found.unwrap(), notes.0.into_inner().unwrap())
        }

        fn file(&self) -> PathBuf {
            self.at.join("inner/file")
        }

        fn set_time(&self, seconds: u64) {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            let file = File::options().write(true).open(self.file()).unwrap();
            file.set_modified(time).unwrap();
        }

        fn manifest(&self) -> Manifest {
            serde_json::from_slice(&fs::read(self.at.join(MANIFEST)).unwrap()).unwrap()
        }
    }

    #[test]
    fn an_entry_is_made_once_and_again_where_it_is_damaged() {
        let kept = kept();
        let nothing = ("whole".to_owned(), Vec::new());
        assert_eq!(kept.get(&kept.cache), nothing);
        for (problem, damage) in [
            ("`inner/file` has 0 bytes", &(|| fs::write(kept.file(), "").unwrap()) as &dyn Fn()),
            ("`inner/file` is not what was written", &|| {
                fs::write(kept.file(), "WHOLE").unwrap();
                kept.set_time(1_000);
            }),
            ("`inner/file` is missing", &|| fs::remove_file(kept.file()).unwrap()),
            ("`other` has 1 bytes", &|| fs::write(kept.at.join("other"), "x").unwrap()),
            ("no .manifest.json", &|| fs::remove_file(kept.at.join(MANIFEST)).unwrap()),
            (".manifest.json is damaged", &|| fs::write(kept.at.join(MANIFEST), "{").unwrap()),
        ] {
            damage();
            let (found, lines) = kept.get(&kept.cache);
            assert_eq!((found.as_str(), lines.len()), ("whole", 2), "{lines:?}");
            assert!(lines[0].contains("is made again") && lines[0].contains(problem), "{lines:?}");
            assert_eq!(kept.get(&kept.cache), nothing);
        }
        let left = fs::read_dir(kept.cache.root()).unwrap().count();
        assert_eq!(left, 1, "something is left of the work");
    }

    #[test]
    fn what_size_and_time_hide_is_found_by_verifying() {
        let kept = kept();
        kept.set_time(1_000);
        assert_eq!(kept.get(&kept.cache).1.len(), 0);
        fs::write(kept.file(), "WHOLE").unwrap();
        kept.set_time(1_000);
        assert_eq!(kept.get(&kept.cache), ("WHOLE".to_owned(), Vec::new()));
        let verifying = kept.cache.clone().verifying(true);
        let (found, lines) = kept.get(&verifying);
        assert_eq!((found.as_str(), lines.len()), ("whole", 2), "{lines:?}");
        assert_eq!(kept.get(&verifying).1.len(), 0);
    }

    #[test]
    fn a_cache_that_was_copied_is_hashed_once() {
        let kept = kept();
        kept.set_time(1_000);
        assert_eq!(kept.get(&kept.cache), ("whole".to_owned(), Vec::new()));
        assert_eq!(kept.manifest().files["inner/file"].modified, Some(1_000_000_000_000));
    }

    #[test]
    fn what_fails_half_way_leaves_nothing() {
        let kept = kept();
        let other = kept.at.with_file_name("two");
        let failed = kept.cache.entry(
            &other,
            &Silent,
            |_| Ok(()),
            |at| {
                fs::write(at.join("half"), "h").unwrap();
                Err(Error::Changed { path: at.to_owned() })
            },
        );
        assert!(matches!(failed, Err(Error::Changed { .. })));
        assert!(!other.exists());
        assert_eq!(fs::read_dir(kept.cache.root()).unwrap().count(), 1);
    }
}
