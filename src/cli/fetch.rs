//! `kgbuild fetch`: what a run needs from elsewhere, into the cache, so that it can run without
//! network.

use std::path::Path;

use super::environment::environment;
use super::failure::Failure;
use super::say::print;
use crate::pipeline::Job;

/// Fetches ONNX Runtime and the models of the pipeline, as far as they are missing.
pub fn fetch(file: Option<&Path>) -> Result<(), Failure> {
    let environment = environment(false);
    let job = file.map(|file| Job::open(file, &environment)).transpose()?;
    print(&format!("ONNX Runtime: {}", environment.runtime_library()?.display()))?;
    if let Some(job) = job {
        let models = job.fetch()?;
        for (role, model) in [("base", models.base()), ("finetuned", models.finetuned())] {
            if let Some(model) = model {
                print(&format!("{role}: {} (sha256 {})", model.source, model.sha256))?;
            }
        }
    }
    Ok(())
}
