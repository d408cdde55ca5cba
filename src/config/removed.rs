//! Keys that a file could once have, and what is done instead.

use crate::diagnostic::Diagnostic;

/// The mistake of a key that is no more; none where there never was one.
pub(super) fn mistake(path: &[String]) -> Option<Diagnostic> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path[..] {
        ["runtime", "library"] => {
            let message = "`runtime.library` is not read any more: a file that is passed around must \
                           not say which program code is loaded";
            let help = "take the line out, and name the library with `--library PATH` or in the \
                        variable ORT_DYLIB_PATH; without both, kgbuild fetches the right one";
            Some(Diagnostic::error("removed-key", message).help(help))
        }
        _ => None,
    }
}
