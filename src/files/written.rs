//! A list of the files that kgbuild wrote into a folder.
//!
//! Invariant: a file of the list is one of the contents that the list has for it, or someone
//! changed it since. The list is on the disk before a file that it names is put in place.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Scratch, is_plain_file, is_taken};
use crate::diagnostic::Explain;

/// The list's name in the folder that it is about.
const LIST: &str = ".kgbuild.json";

/// Why a file is not put in place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignFile {
    /// It would replace what kgbuild did not write.
    #[error(
        "kgbuild would replace {}, which it did not write, or which was changed since. Nothing was \
         changed; move it away, or name another `folder` under [output]",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error(
        "cannot {doing} {}; make that possible, or name another `folder` under [output]",
        path.display()
    )]
    Io {
        /// As in `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Explain for ForeignFile {}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ForeignFile {
    let path = path.to_owned();
    move |source| ForeignFile::Io { doing, path, source }
}

/// What is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// The version of kgbuild that wrote it.
    kgbuild: String,
    /// By the file's name, the SHA-256 of what was, and of what was to be, written to it.
    files: BTreeMap<String, Vec<String>>,
}

/// The files that kgbuild wrote into a folder, by their names relative to it.
pub struct Written {
    root: PathBuf,
    files: BTreeMap<String, Vec<String>>,
}

impl Written {
    /// The list of a folder; an empty one where there is none yet.
    ///
    /// # Errors
    /// [`ForeignFile::Foreign`] where something else has the list's name.
    pub fn read(root: &Path) -> Result<Self, ForeignFile> {
        let path = root.join(LIST);
        let files = if is_taken(&path) {
            let foreign = || ForeignFile::Foreign { path: path.clone() };
            if !is_plain_file(&path) {
                return Err(foreign());
            }
            let text = fs::read(&path).map_err(io("read", &path))?;
            let stored: Stored = serde_json::from_slice(&text).map_err(|_| foreign())?;
            stored.files
        } else {
            BTreeMap::new()
        };
        Ok(Self { root: root.to_owned(), files })
    }

    /// That nothing is at the file's place, or only what kgbuild wrote there.
    ///
    /// # Errors
    /// [`ForeignFile::Foreign`], or where it cannot be read.
    pub fn replaceable(&self, name: &str) -> Result<(), ForeignFile> {
        let path = self.root.join(name);
        if !is_taken(&path) {
            return Ok(());
        }
        if is_plain_file(&path) {
            let found = hash(&path)?;
            if self.files.get(name).is_some_and(|known| known.contains(&found)) {
                return Ok(());
            }
        }
        Err(ForeignFile::Foreign { path })
    }

    /// That [`Self::place`] would put the files of a scratch folder in place.
    ///
    /// # Errors
    /// [`ForeignFile::Foreign`] for the first that would replace what kgbuild did not write, or where a
    /// file cannot be read.
    pub fn placeable(&self, scratch: &Scratch) -> Result<(), ForeignFile> {
        self.changes(scratch).map(drop)
    }

    /// Moves the files of a scratch folder to their places below this folder, by their names there.
    /// What has its content already is left as it is.
    ///
    /// # Errors
    /// As [`Self::placeable`], before anything is changed; or where a file cannot be moved.
    pub fn place(&mut self, scratch: &Scratch) -> Result<(), ForeignFile> {
        let changes = self.changes(scratch)?;
        if changes.is_empty() {
            return Ok(());
        }
        for (name, draft) in &changes {
            File::open(draft).and_then(|file| file.sync_all()).map_err(io("write", draft))?;
            let path = self.root.join(name);
            let old = if is_taken(&path) { Some(hash(&path)?) } else { None };
            self.files.insert(name.clone(), old.into_iter().chain([hash(draft)?]).collect());
        }
        self.store(scratch)?;
        for (name, draft) in changes {
            let path = self.root.join(name);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(io("make", folder))?;
            }
            fs::rename(draft, &path).map_err(io("write", &path))?;
        }
        Ok(())
    }

    /// The files of a scratch folder whose places hold something else or nothing.
    fn changes(&self, scratch: &Scratch) -> Result<BTreeMap<String, PathBuf>, ForeignFile> {
        let mut files = scratch.files().map_err(io("read", scratch.path()))?;
        let mut same = Vec::new();
        for (name, draft) in &files {
            if self.is_in_place(name, draft)? {
                same.push(name.clone());
            } else {
                self.replaceable(name)?;
            }
        }
        files.retain(|name, _| !same.contains(name));
        Ok(files)
    }

    /// Whether the file has the draft's content already.
    fn is_in_place(&self, name: &str, draft: &Path) -> Result<bool, ForeignFile> {
        let path = self.root.join(name);
        let length = |path: &Path| fs::metadata(path).ok().filter(|m| m.is_file()).map(|m| m.len());
        let same_length = length(&path).is_some_and(|found| Some(found) == length(draft));
        Ok(same_length && hash(&path)? == hash(draft)?)
    }

    fn store(&self, scratch: &Scratch) -> Result<(), ForeignFile> {
        let (draft, path) = (scratch.path().join(LIST), self.root.join(LIST));
        let stored =
            Stored { kgbuild: env!("CARGO_PKG_VERSION").to_owned(), files: self.files.clone() };
        let text = serde_json::to_vec_pretty(&stored).map_err(|e| io("write", &path)(e.into()))?;
        fs::write(&draft, text).map_err(io("write", &draft))?;
        File::open(&draft).and_then(|file| file.sync_all()).map_err(io("write", &draft))?;
        fs::rename(&draft, &path).map_err(io("write", &path))
    }
}

/// The SHA-256 of a file's bytes, in hexadecimal.
fn hash(path: &Path) -> Result<String, ForeignFile> {
    let mut file = File::open(path).map_err(io("read", path))?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(io("read", path))? {
            0 => return Ok(hex::encode(hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Places a file of this content as kgbuild does.
    fn place(root: &Path, name: &str, content: &str) -> Result<(), ForeignFile> {
        let scratch = Scratch::new(root, ".draft-").unwrap();
        let draft = scratch.path().join(name);
        fs::create_dir_all(draft.parent().unwrap()).unwrap();
        fs::write(&draft, content).unwrap();
        Written::read(root)?.place(&scratch)
    }

    fn is_foreign(result: Result<(), ForeignFile>, path: &Path) -> bool {
        matches!(result, Err(ForeignFile::Foreign { path: found }) if found == path)
    }

    #[test]
    fn only_what_was_written_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let file = root.join("a/file");
        for content in ["one", "two", "one", "three"] {
            place(root, "a/file", content).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), content);
        }
        // The same content is no change, whoever wrote it.
        fs::write(root.join("same"), "same").unwrap();
        place(root, "same", "same").unwrap();
        assert!(is_foreign(place(root, "same", "other"), &root.join("same")));

        fs::write(&file, "mine").unwrap();
        assert!(is_foreign(place(root, "a/file", "four"), &file));
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
        fs::write(&file, "three").unwrap();
        place(root, "a/file", "four").unwrap();

        // A link is someone's, whatever it leads to.
        fs::rename(&file, root.join("elsewhere")).unwrap();
        symlink(root.join("elsewhere"), &file).unwrap();
        assert!(is_foreign(place(root, "a/file", "five"), &file));
        assert_eq!(fs::read_to_string(root.join("elsewhere")).unwrap(), "four");

        fs::write(root.join(LIST), "mine").unwrap();
        assert!(is_foreign(place(root, "new", "six"), &root.join(LIST)));
        assert!(!root.join("new").exists());
    }

    /// A process that is killed after it stored the list may have moved a file or not.
    #[test]
    fn what_a_killed_process_was_placing_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        place(root, "file", "one").unwrap();
        place(root, "file", "two").unwrap();
        for content in ["one", "two"] {
            fs::write(root.join("file"), content).unwrap();
            Written::read(root).unwrap().replaceable("file").unwrap();
        }
        let entries = fs::read_dir(root).unwrap().count();
        assert_eq!(entries, 2, "the file and the list");
    }
}
