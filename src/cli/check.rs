//! `kgbuild check`: all mistakes of a pipeline file and of the inputs that it names.

use std::path::Path;

use super::environment::environment;
use super::failure::Failure;
use super::streams::Console;
use crate::pipeline::Job;

/// Checks and says that all is well, or shows the mistakes.
pub(super) fn check(file: &Path, console: Console) -> Result<(), Failure> {
    let environment = environment(console);
    let job = Job::open(file, &environment)?;
    let file = job.pipeline().file.clone();
    job.check()?;
    console.summary(&format!("{} is sound", file.display()))
}
