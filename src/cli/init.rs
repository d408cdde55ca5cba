//! `kgbuild init`: a starter to change into one's own pipeline.

use std::path::Path;

use super::failure::Failure;
use super::streams::Console;
use crate::config;

/// Writes the starter and says what to do with it.
pub(super) fn init(folder: &Path, console: Console) -> Result<(), Failure> {
    for path in config::init(folder)? {
        console.summary(&path.display().to_string())?;
    }
    let pipeline = folder.join("pipeline.toml");
    console.summary(&format!("\nnext: kgbuild run {}", pipeline.display()))
}
