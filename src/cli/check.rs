//! `kgbuild check`: all mistakes of a pipeline file and of the inputs that it names.

use std::path::Path;

use super::environment::environment;
use super::failure::Failure;
use super::say::print;
use crate::pipeline::Job;

/// Checks and says that all is well, or shows the mistakes.
pub fn check(file: &Path) -> Result<(), Failure> {
    let environment = environment(false);
    let job = Job::open(file, &environment)?;
    let file = job.pipeline().file.clone();
    job.check()?;
    print(&format!("{} is sound", file.display()))
}
