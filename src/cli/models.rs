//! From located models to predict workers, as the pipeline's `[runtime]` says.

use std::path::{Path, PathBuf};
use std::thread;

use super::failure::Failure;
use super::say::say;
use crate::config::{self, Pipeline};
use crate::fetch::{self, Cache};
use crate::pipeline::stages::Workers;
use crate::pipeline::{self, LocatedModels, Plan, Predictor};
use crate::runtime::{Device, Provider, Runtime};

/// Chunks of a run, for each worker that would be tried, from which on it is tried which split of the
/// threads is fastest: some minutes.
const WORTH_A_TRIAL: usize = 32;
/// The most workers that are tried: each holds the weights once more.
const MOST_WORKERS: usize = 4;
/// How much faster a worker for each thread has to be than one with all.
const MUCH_FASTER: f64 = 1.05;

/// The library file of ONNX Runtime: `own`, from the command line, else as the environment says.
/// Nothing that is read may name it, for what is in it is run.
///
/// # Errors
/// Where there is none.
pub fn library(own: Option<&Path>, cache: &Cache) -> Result<PathBuf, fetch::Error> {
    match own {
        Some(own) => fetch::own_library(own, "--library"),
        None => fetch::runtime_library(cache, &mut say),
    }
}

/// Loads ONNX Runtime for the device of the pipeline's `[runtime]`. Once a process.
///
/// # Errors
/// Where there is no library, or it cannot be used.
pub fn load_runtime(
    pipeline: &Pipeline,
    own: Option<&Path>,
    cache: &Cache,
) -> Result<Runtime, Failure> {
    let library = library(own, cache).map_err(Failure::bad_input)?;
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

/// Opens the models for every predict worker, for a run of `chunks`.
///
/// # Errors
/// Where a model cannot be loaded.
pub fn open_models(
    pipeline: &Pipeline,
    plan: &Plan,
    models: &LocatedModels,
    runtime: &Runtime,
    chunks: usize,
) -> Result<Vec<Predictor>, Failure> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = pipeline.runtime.threads.unwrap_or(cores);
    let budget = pipeline.runtime.token_budget;
    let open = |workers| models.open(runtime, &plan.prompter, workers, threads, budget);
    let many = threads.min(MOST_WORKERS);
    let workers = match pipeline.runtime.workers {
        Some(workers) => workers,
        None if many < 2 || chunks < WORTH_A_TRIAL * many => 1,
        None if runtime.provider() == Provider::Cuda => 1,
        None => {
            let mut one = open(1).map_err(Failure::bad_input)?;
            let mut many = open(many).map_err(Failure::bad_input)?;
            let speed = |predictors: &mut [Predictor]| {
                pipeline::prompts_per_second(plan, predictors).map_err(model_failure)
            };
            let (of_one, of_many) = (speed(&mut one)?, speed(&mut many)?);
            // Each has its own copy of the weights: a little faster is not worth that.
            let faster = of_many > MUCH_FASTER * of_one;
            return Ok(if faster { many } else { one });
        }
    };
    open(workers).map_err(Failure::bad_input)
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
