//! Files that are read, compressed or not; files that are written whole or not at all, and whether they can
//! be; which files are kgbuild's own: only these are ever replaced or deleted; sorting of more than is to be
//! held in memory.
//!
//! A process can be killed at any moment, so that what it was doing must be known again as its own
//! by the next one. Work in progress lies in a [`Scratch`] folder with a mark in it; a [`Written`]
//! list says what was put into a folder that people also work in.

mod compressed;
mod scratch;
mod sorter;
mod target;
mod whole;
mod written;

pub use compressed::{open, uncompressed_name};
pub use scratch::{Scratch, left, remove};
pub use sorter::{Ascending, Sorted, Sorter};
pub use target::{unwritable, writable};
pub use whole::{WholeFile, WriteError, write_whole};
pub use written::{ForeignFile, Written};

use std::fs;
use std::path::Path;

/// Whether there is anything at a path, be it a link to nothing.
pub fn is_taken(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Whether a path is a file itself, not a link to one.
pub fn is_plain_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// Whether a path is a folder itself, not a link to one.
pub fn is_plain_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// The folder that a path's last name is in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Whether what is written to one path replaces what is read from the other. A device or a pipe is
/// never replaced.
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    let resolved = |path: &Path| match fs::canonicalize(path) {
        Ok(found) => (found.is_file() || found.is_dir()).then_some(found),
        // A file to be, in a folder that may be written in several ways.
        Err(_) => Some(fs::canonicalize(folder_of(path)).ok()?.join(path.file_name()?)),
    };
    resolved(a).is_some_and(|a| resolved(b) == Some(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_the_same_however_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::create_dir(folder.join("x")).unwrap();
        fs::write(folder.join("a.csv"), "").unwrap();
        std::os::unix::fs::symlink("a.csv", folder.join("link")).unwrap();
        let same = |a: &str, b: &str| is_same_file(&folder.join(a), &folder.join(b));
        assert!(same("a.csv", "x/../a.csv") && same("link", "a.csv"));
        assert!(same("new", "x/../new") && !same("new", "x/new") && !same("a.csv", "new"));
        assert!(!is_same_file(Path::new("/dev/null"), Path::new("/dev/null")));
    }
}
