//! From located models to predict workers, as the pipeline's `[runtime]` says.

use std::thread;

use super::failure::Failure;
use super::say::say;
use crate::config::{self, Pipeline};
use crate::fetch::{self, Cache};
use crate::pipeline::stages::Workers;
use crate::pipeline::{self, LocatedModels, Plan, Predictor};
use crate::runtime::{Device, Runtime};

/// Loads ONNX Runtime as the pipeline's `[runtime]` says. Once a process.
///
/// # Errors
/// Where there is no library, or it cannot be used.
pub fn load_runtime(pipeline: &Pipeline, cache: &Cache) -> Result<Runtime, Failure> {
    let library = match &pipeline.runtime.library {
        Some(library) => library.clone(),
        None => fetch::runtime_library(cache, &mut say).map_err(Failure::bad_input)?,
    };
    let device = match pipeline.runtime.device {
        config::Device::Auto => Device::Auto,
        config::Device::Cpu => Device::Cpu,
        config::Device::Cuda => Device::Cuda,
    };
    let runtime = Runtime::load(&library, device).map_err(Failure::bad_input)?;
    if let Some(note) = runtime.note() {
        say(note);
    }
    Ok(runtime)
}

/// Opens the models for every predict worker.
///
/// # Errors
/// Where a model cannot be loaded.
pub fn open_models(
    pipeline: &Pipeline,
    plan: &Plan,
    models: &LocatedModels,
    runtime: &Runtime,
) -> Result<Vec<Predictor>, Failure> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = pipeline.runtime.threads.unwrap_or(cores);
    let (workers, budget) = (pipeline.runtime.workers, pipeline.runtime.token_budget);
    models.open(runtime, &plan.prompter, workers, threads, budget).map_err(Failure::bad_input)
}

/// The threads and waiting room of the other stages.
pub fn workers(pipeline: &Pipeline) -> Workers {
    Workers { encode: pipeline.runtime.encode_workers, capacity: pipeline.runtime.channel_capacity }
}

/// Whose turn it is when asking the models failed.
pub fn model_failure(error: pipeline::Error) -> Failure {
    match error {
        pipeline::Error::Model(crate::lm::Error::Runtime { .. }) => Failure::failed(error),
        error => Failure::bad_input(error),
    }
}
