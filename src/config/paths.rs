//! Whether what a path names is there and of the right kind.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::diagnostic::{Diagnostic, nearest};
use crate::files::folder_of;

/// Help where nothing better is known.
pub(super) const RELATIVE: &str = "paths are relative to the folder of the file that they stand in";

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
    /// A file, or a path at which one can be made.
    FileToBe,
}

/// What is wrong with a path, without a place; nothing if it is what it must be.
pub(super) fn mistake(path: &Path, kind: Kind) -> Option<Diagnostic> {
    let shown = path.display();
    match (fs::metadata(path), kind) {
        (Ok(found), Kind::File | Kind::FileToBe) if found.is_dir() => {
            Some(Diagnostic::error("not-a-file", format!("`{shown}` is a folder, not a file")))
        }
        (Ok(found), Kind::FolderToBe) if !found.is_dir() => Some(not_a_folder(path)),
        (Ok(_), _) => None,
        (Err(error), Kind::FolderToBe | Kind::FileToBe) if missing(&error) => {
            file_above(path).map(not_a_folder)
        }
        (Err(error), _) if missing(&error) => {
            let message = format!("there is no `{shown}`");
            Some(Diagnostic::error("missing-file", message).help(neighbour(path)))
        }
        (Err(error), _) => {
            let message = format!("`{shown}` cannot be looked at: {error}");
            Some(Diagnostic::error("unreadable", message).help(RELATIVE))
        }
    }
}

fn not_a_folder(path: &Path) -> Diagnostic {
    Diagnostic::error("not-a-folder", format!("`{}` is a file, not a folder", path.display()))
}

fn missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The nearest thing above a missing path, where it is none in which a folder can be made.
fn file_above(path: &Path) -> Option<&Path> {
    let nearest =
        path.ancestors().skip(1).find_map(|above| Some((above, fs::metadata(above).ok()?)));
    nearest.filter(|(_, found)| !found.is_dir()).map(|(above, _)| above)
}

/// What may have been meant by a path that leads nowhere.
fn neighbour(path: &Path) -> String {
    let Some(name) = path.file_name() else {
        return RELATIVE.to_owned();
    };
    let folder = folder_of(path);
    if let Ok(target) = fs::read_link(path) {
        return format!("it is a link to `{}`, which is not there", target.display());
    }
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
        mistake(path, kind).map(|d| d.code)
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
        let help = |name: &str| mistake(&folder.path().join(name), Kind::File).unwrap().help;
        assert_eq!(help("subject.csv").unwrap(), "did you mean `subjects.csv`?");
        assert_eq!(help("gold.csv").unwrap(), RELATIVE);
        assert!(help("x/gold.csv").unwrap().starts_with("there is no folder"));
    }
}
