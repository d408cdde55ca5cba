//! From located models to predict workers, as the pipeline's `[runtime]` says.

use std::thread;

use super::memory;
use super::score::Keep;
use super::shared_means::SharedMeans;
use super::stages::Workers;
use super::{
    Environment, Error, LocatedModels, MeansOf, Plan, Predictor, RelationPlan, prompts_per_second,
    take_priors,
};
use crate::config::Pipeline;
use crate::runtime::{Provider, Runtime};

/// Prompts of a run, for each worker that would be tried, from which on it is tried which split of the
/// threads is fastest: a minute or more.
const WORTH_A_TRIAL: usize = 16_384;
/// The most workers that are tried: each holds the weights once more.
const MOST_WORKERS: usize = 4;
/// How much faster a worker for each thread has to be than one with all.
const MUCH_FASTER: f64 = 1.05;

/// Opens the models for every predict worker, for a run of so many `prompts`.
///
/// # Errors
/// Where a model cannot be loaded.
pub(super) fn open_models(
    pipeline: &Pipeline,
    plan: &Plan,
    models: &LocatedModels,
    runtime: &Runtime,
    prompts: usize,
) -> Result<Vec<Predictor>, Error> {
    let threads = threads(pipeline);
    let budget = pipeline.runtime.token_budget;
    let open = |workers| models.open(runtime, &plan.prompter, workers, threads, budget);
    let many = threads.min(MOST_WORKERS);
    let workers = match pipeline.runtime.workers {
        Some(workers) => workers,
        None if many < 2 || prompts < WORTH_A_TRIAL * many => 1,
        None if runtime.provider() == Provider::Cuda => 1,
        None if memory::holds(models, many).is_err() => 1,
        None => {
            // One after the other: each worker holds the weights once more.
            let of_one = prompts_per_second(plan, &mut open(1)?)?;
            let mut opened = open(many)?;
            let of_many = prompts_per_second(plan, &mut opened)?;
            // A little faster is not worth the memory.
            if of_many > MUCH_FASTER * of_one {
                return Ok(opened);
            }
            drop(opened);
            1
        }
    };
    if runtime.provider() == Provider::Cpu {
        memory::holds(models, workers)?;
    }
    Ok(open(workers)?)
}

/// Takes both models' mean predictions into the plan, of the relations that `of` names, and gives them. Without
/// models there is nothing to correct.
///
/// # Errors
/// Where a model fails; [`Error::Interrupted`] where the stop was set.
pub(super) fn take_needed_priors(
    pipeline: &Pipeline,
    plan: &mut Plan,
    predictors: &mut [Predictor],
    environment: &Environment,
    of: MeansOf,
    keep: &mut Keep<'_>,
) -> Result<SharedMeans, Error> {
    if predictors.is_empty() || !needs_means(plan, of) {
        return Ok(SharedMeans::default());
    }
    let events = environment.events.as_ref();
    events.note("taking the models' mean predictions");
    take_priors(plan, predictors, workers(pipeline), events, &environment.stop, of, keep)
}

/// Whether something is asked of the models before the questions.
pub(super) fn needs_means(plan: &Plan, of: MeansOf) -> bool {
    let asks = |relation: &RelationPlan| {
        !relation.subjects_of_means(of).is_empty() || !relation.subjects_of_text().is_empty()
    };
    plan.relations.iter().any(asks)
}

/// As many threads as the pipeline names, else as the machine has.
pub(super) fn threads(pipeline: &Pipeline) -> usize {
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    pipeline.runtime.threads.unwrap_or_else(cores)
}

/// The threads and waiting room of the other stages.
pub(super) fn workers(pipeline: &Pipeline) -> Workers {
    Workers { encode: pipeline.runtime.encode_workers, capacity: pipeline.runtime.channel_capacity }
}
