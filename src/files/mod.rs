//! Which files are kgbuild's own: only these are ever replaced or deleted.
//!
//! A process can be killed at any moment, so that what it was doing must be known again as its own
//! by the next one. Work in progress lies in a [`Scratch`] folder with a mark in it; a [`Written`]
//! list says what was put into a folder that people also work in.

mod scratch;
mod written;

pub use scratch::{Scratch, left, remove};
pub use written::{Error, Written};

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
