//! Folders for work in progress.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::is_plain_folder;

/// The mark's name in a scratch folder.
const MARK: &str = ".kgbuild";
/// What the mark says.
const TEXT: &str = "kgbuild made this folder for work in progress, and deletes it.\n";

/// A new folder that is deleted when it is dropped. One that a killed process leaves is known again
/// by its mark, which is the first thing in it and goes last.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one in `folder`. Its name begins with `prefix`, and nothing had it before.
    ///
    /// # Errors
    /// Where nothing can be made there.
    pub fn new(folder: &Path, prefix: &str) -> io::Result<Self> {
        let made = tempfile::Builder::new().prefix(prefix).tempdir_in(folder)?;
        fs::write(made.path().join(MARK), TEXT)?;
        Ok(Self(made.keep()))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder, to be deleted with [`remove`].
    pub fn keep(self) -> PathBuf {
        let mut this = std::mem::ManuallyDrop::new(self);
        std::mem::take(&mut this.0)
    }

    /// The files that were put into it, by their names relative to it, as in `folder/file`.
    ///
    /// # Errors
    /// Where it cannot be read, or a name is not UTF-8.
    pub fn files(&self) -> io::Result<BTreeMap<String, PathBuf>> {
        let mut files = BTreeMap::new();
        let mut open: Vec<String> = names(&self.0)?;
        while let Some(name) = open.pop() {
            let path = self.0.join(&name);
            if is_plain_folder(&path) {
                open.extend(names(&path)?.into_iter().map(|inner| format!("{name}/{inner}")));
            } else {
                files.insert(name, path);
            }
        }
        Ok(files)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be deleted now is found by its mark the next time.
        let _left = remove(&self.0);
    }
}

/// The scratch folders in `folder` with this prefix. Whoever holds the folder's lock knows that
/// killed processes left them. A folder of such a name without the mark is someone else's.
///
/// # Errors
/// Where the folder cannot be read; one that is not there has none.
pub fn left(folder: &Path, prefix: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) && is_marked(&entry.path())? {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Deletes a scratch folder with all that is in it, its mark last.
///
/// # Errors
/// Where it cannot be deleted; what is left has its mark still.
pub fn remove(scratch: &Path) -> io::Result<()> {
    for name in names(scratch)? {
        let path = scratch.join(name);
        if is_plain_folder(&path) {
            fs::remove_dir_all(&path)?;
        } else {
            fs::remove_file(&path)?;
        }
    }
    match fs::remove_file(scratch.join(MARK)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::remove_dir(scratch)
}

/// The names in a folder, but for a mark.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.into_string().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        if name != MARK {
            names.push(name);
        }
    }
    Ok(names)
}

/// Whether a folder has the mark, or is as empty as one whose mark was not written yet.
fn is_marked(path: &Path) -> io::Result<bool> {
    if !is_plain_folder(path) {
        return Ok(false);
    }
    let mark = match fs::read(path.join(MARK)) {
        Ok(mark) => mark,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(_) => return Ok(false),
    };
    let is_begun = TEXT.as_bytes().starts_with(&mark);
    Ok(mark == TEXT.as_bytes() || is_begun && names(path).is_ok_and(|names| names.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_marked_folders_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(left(&at("none"), ".x-").unwrap(), Vec::<PathBuf>::new());
        // A killed process drops nothing.
        let killed = Scratch::new(folder.path(), ".x-").unwrap();
        fs::create_dir(killed.path().join("part")).unwrap();
        fs::write(killed.path().join("part/file"), "half").unwrap();
        let begun = Scratch::new(folder.path(), ".x-").unwrap();
        fs::write(begun.path().join(MARK), &TEXT[..9]).unwrap();
        fs::create_dir(at(".x-empty")).unwrap();
        let mut wanted = vec![killed.path().to_owned(), begun.path().to_owned(), at(".x-empty")];
        wanted.sort();

        fs::write(at(".x-file"), "mine").unwrap();
        for (name, mark) in [(".x-mine", "mine"), (".x-begun", &TEXT[..9]), (".x-none", "")] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join(MARK), mark).unwrap();
            fs::write(at(name).join("notes.txt"), "mine").unwrap();
        }
        symlink(killed.path(), at(".x-link")).unwrap();
        drop(Scratch::new(folder.path(), ".y-").unwrap());
        assert_eq!(left(folder.path(), ".x-").unwrap(), wanted);
        for found in wanted {
            remove(&found).unwrap();
            assert!(!found.exists());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5, "what is not marked stays");
    }

    #[test]
    fn a_link_in_a_scratch_folder_goes_without_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "mine").unwrap();
        let scratch = Scratch::new(folder.path(), ".x-").unwrap();
        symlink(&kept, scratch.path().join("link")).unwrap();
        fs::create_dir(scratch.path().join("a")).unwrap();
        fs::write(scratch.path().join("a/b"), "").unwrap();
        assert_eq!(scratch.files().unwrap().keys().collect::<Vec<_>>(), ["a/b", "link"]);
        drop(scratch);
        assert!(left(folder.path(), ".x-").unwrap().is_empty());
        assert_eq!(fs::read(kept.join("file")).unwrap(), b"mine");
    }
}
