//! `kgbuild fetch`: what a run needs from elsewhere, into the cache, so that it can run without
//! network.

use std::path::Path;

use super::check;
use super::failure::{Failure, show};
use super::say::{print_summary, say};
use crate::fetch::{Cache, runtime_library};
use crate::pipeline;

/// Fetches ONNX Runtime and the models of the pipeline, as far as they are missing.
pub fn fetch(file: Option<&Path>) -> Result<(), Failure> {
    let cache = Cache::from_environment().map_err(Failure::bad_input)?;
    let pipeline = match file {
        Some(file) => {
            let (pipeline, warnings) = check::read(file)?;
            show(&warnings);
            Some(pipeline)
        }
        None => None,
    };
    let library = runtime_library(&cache, &mut say).map_err(Failure::bad_input)?;
    print_summary(&format!("ONNX Runtime: {}", library.display()))?;
    if let Some(pipeline) = pipeline {
        let models = pipeline::locate(&pipeline, &cache, &mut say).map_err(Failure::bad_input)?;
        for (role, model) in [("base", models.base()), ("finetuned", models.finetuned())] {
            if let Some(model) = model {
                print_summary(&format!("{role}: {} (sha256 {})", model.source, model.sha256))?;
            }
        }
    }
    Ok(())
}
