//! Keys and words that a file could once have, and what is done instead.

use super::walk::list;
use crate::diagnostic::{Diagnostic, nearest};

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
        ["output", "annotation"] => {
            let message = "`output.annotation` is not read any more: a store keeps RDF 1.2, and how \
                           confidences are written is chosen at export";
            let help = "take the line out; `kgbuild export --annotations reification` writes \
                        RDF 1.1's, `none` and `named-graph` are there too";
            Some(Diagnostic::error("removed-key", message).help(help))
        }
        _ => None,
    }
}

/// What is written instead of a word that a key cannot have, or can no more.
pub(super) fn instead(path: &[String], word: &str, allowed: &[&str]) -> String {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match (&path[..], word) {
        (["prediction", "normalise"], "sequence") => {
            "write `list`, which is what `sequence` was: divided by the sum over all candidates; or \
             `none`, which ranks whole sequences without that sum and is far faster"
                .to_owned()
        }
        _ => match nearest(word, allowed.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`? Allowed: {}", list(allowed)),
            None => format!("allowed: {}", list(allowed)),
        },
    }
}
