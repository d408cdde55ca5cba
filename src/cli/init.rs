//! `kgbuild init`: a starter to change into one's own pipeline.

use std::path::Path;

use super::failure::Failure;
use super::say::print_summary;
use crate::config;

/// Writes the starter and says what to do with it.
pub fn init(folder: &Path) -> Result<(), Failure> {
    for path in config::init(folder).map_err(Failure::bad_input)? {
        print_summary(&path.display().to_string())?;
    }
    let pipeline = folder.join("pipeline.toml");
    print_summary(&format!("\nnext: kgbuild run {}", pipeline.display()))
}
