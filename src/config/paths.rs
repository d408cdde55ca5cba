//! Whether what a path names is there and of the right kind.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::diagnostic::{Diagnostic, nearest};

/// Help where nothing better is known.
pub(super) const RELATIVE: &str = "paths are relative to the pipeline file's folder";

/// Most names of a folder among which the nearest is looked for.
const MOST_NAMES: usize = 10_000;

/// What a path must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file.
    File,
    /// A file or a folder.
    Any,
    /// A folder, or a path at which one can be made.
    FolderToBe,
}

/// # Errors
/// What is wrong with the path, without a place.
pub(super) fn check(path: &Path, kind: Kind) -> Result<(), Diagnostic> {
    let shown = path.display();
    match (fs::metadata(path), kind) {
        (Ok(found), Kind::File) if found.is_dir() => {
            Err(Diagnostic::error("not-a-file", format!("`{shown}` is a folder, not a file")))
        }
        (Ok(found), Kind::FolderToBe) if !found.is_dir() => {
            Err(Diagnostic::error("not-a-folder", format!("`{shown}` is a file, not a folder")))
        }
        (Ok(_), _) => Ok(()),
        (Err(error), Kind::FolderToBe) if missing(&error) => can_be_made(path),
        (Err(error), _) if missing(&error) => {
            Err(Diagnostic::error("missing-file", format!("there is no `{shown}`"))
                .help(neighbour(path)))
        }
        (Err(error), _) => {
            Err(Diagnostic::error("unreadable", format!("`{shown}` cannot be looked at: {error}")))
        }
    }
}

fn missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// A folder can be made where the nearest thing above that exists is a folder.
fn can_be_made(path: &Path) -> Result<(), Diagnostic> {
    match path.ancestors().skip(1).find_map(|above| Some((above, fs::metadata(above).ok()?))) {
        Some((above, found)) if !found.is_dir() => {
            let message = format!("`{}` is a file, not a folder", above.display());
            Err(Diagnostic::error("not-a-folder", message))
        }
        _ => Ok(()),
    }
}

/// What may have been meant by a path that leads nowhere.
fn neighbour(path: &Path) -> String {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return RELATIVE.to_owned();
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(folder) else {
        return format!("there is no folder `{}` either; {RELATIVE}", folder.display());
    };
    let names = entries.take(MOST_NAMES).flatten();
    let mut names: Vec<String> =
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    // A folder's order is the file system's.
    names.sort();
    match nearest(&name.to_string_lossy(), names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => RELATIVE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(path: &Path, kind: Kind) -> Option<&'static str> {
        check(path, kind).err().map(|d| d.code)
    }

    #[test]
    fn a_path_is_held_against_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let file = folder.join("a.csv");
        fs::write(&file, "").unwrap();
        assert_eq!(code(&file, Kind::File), None);
        assert_eq!(code(&file, Kind::Any), None);
        assert_eq!(code(folder, Kind::Any), None);
        assert_eq!(code(folder, Kind::File), Some("not-a-file"));
        assert_eq!(code(&folder.join("b.csv"), Kind::Any), Some("missing-file"));
        assert_eq!(code(&file.join("c.csv"), Kind::File), Some("missing-file"));
        assert_eq!(code(Path::new("a\0b"), Kind::File), Some("unreadable"));
    }

    #[test]
    fn a_folder_to_be_may_be_missing_but_not_below_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let file = folder.join("a.csv");
        fs::write(&file, "").unwrap();
        assert_eq!(code(folder, Kind::FolderToBe), None);
        assert_eq!(code(&folder.join("x/y"), Kind::FolderToBe), None);
        assert_eq!(code(&folder.join("x/../../y"), Kind::FolderToBe), None);
        assert_eq!(code(&file, Kind::FolderToBe), Some("not-a-folder"));
        assert_eq!(code(&file.join("x/y"), Kind::FolderToBe), Some("not-a-folder"));
    }

    #[test]
    fn a_missing_file_names_its_nearest_neighbour() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("subjects.csv"), "").unwrap();
        let help = |name: &str| check(&folder.path().join(name), Kind::File).unwrap_err().help;
        assert_eq!(help("subject.csv").unwrap(), "did you mean `subjects.csv`?");
        assert_eq!(help("gold.csv").unwrap(), RELATIVE);
        assert!(help("x/gold.csv").unwrap().starts_with("there is no folder"));
    }
}
