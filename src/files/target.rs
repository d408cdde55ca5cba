//! Whether the files that a command is asked to write can be written, before the work that fills
//! them.

use std::path::{Path, PathBuf};

use super::{folder_of, is_same_file};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Holds the files that a command is to write, each with the option that names it, against the
/// folders that are there, the files that the command reads, and each other.
///
/// # Errors
/// All that would be noticed only when they are written, or would lose a file.
pub fn writable(
    targets: &[(&'static str, Option<&Path>)],
    inputs: &[PathBuf],
) -> Result<(), Diagnostics> {
    let targets: Vec<(&str, &Path)> =
        targets.iter().filter_map(|(option, file)| Some((*option, (*file)?))).collect();
    let mut found = Diagnostics::default();
    for (number, &(option, file)) in targets.iter().enumerate() {
        let earlier = targets[..number].iter().find(|(_, other)| is_same_file(file, other));
        let mistake = unwritable(option, file)
            .or_else(|| overwritten(option, file, inputs))
            .or_else(|| Some(twice(earlier?.0, option, file)));
        found.0.extend(mistake);
    }
    found.or(()).map(drop)
}

/// Why a file cannot be written where `option` names it, if it cannot.
pub fn unwritable(option: &str, file: &Path) -> Option<Diagnostic> {
    let shown = file.display();
    let folder = folder_of(file);
    if file.is_dir() || file.as_os_str().as_encoded_bytes().ends_with(b"/") {
        let message = format!("`{option}` names `{shown}`, which is a folder, not a file");
        let help = "name a file, in that folder or elsewhere";
        return Some(Diagnostic::error("not-a-file", message).help(help));
    }
    if file.is_symlink() && !file.exists() {
        let message = format!("`{option}` names `{shown}`, which is a link to nothing");
        let help = "make what it leads to, or name another file";
        return Some(Diagnostic::error("link-to-nothing", message).help(help));
    }
    if !folder.is_dir() {
        let folder = folder.display();
        let message =
            format!("`{option}` names `{shown}`, but there is no folder `{folder}` to write it to");
        return Some(Diagnostic::error("no-folder", message).help("make the folder first"));
    }
    None
}

fn overwritten(option: &str, file: &Path, inputs: &[PathBuf]) -> Option<Diagnostic> {
    let input = inputs.iter().find(|input| is_same_file(file, input))?;
    let message = format!(
        "`{option}` names `{}`, which the command reads and would overwrite",
        input.display()
    );
    Some(Diagnostic::error("overwritten-input", message).help("name another file"))
}

fn twice(first: &str, second: &str, file: &Path) -> Diagnostic {
    let message = format!(
        "`{first}` and `{second}` both name `{}`: only one of them would be left",
        file.display()
    );
    Diagnostic::error("same-file", message).help("name a file for each")
}
