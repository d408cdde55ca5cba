//! A whole finetuning: from checked settings to the finished model and its card.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{
    Card, Ended, OutputError, OutputFolder, PrepareError, Prepared, Sources, TrainError, Trainer,
    TrainingInputs, TrainingProgress, finished,
};
use crate::config::finetune::Finetune;
use crate::diagnostic::{Events, Explain, Fault};

/// How a finetuning ended.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainingOutcome {
    /// The model is written.
    Finished(Box<Card>),
    /// It was told to stop; the same call goes on.
    Stopped {
        /// Steps that are made.
        done: usize,
        /// Of so many; none where it was not known yet.
        total: Option<usize>,
    },
}

/// Why a finetuning ended before its end. The last checkpoint stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It could not begin.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The output folder cannot be used.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The system gives no threads.
    #[error("the threads to train on cannot be started")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl Explain for RunError {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::Prepare(error) => Some(error),
            Self::Output(error) => Some(error),
            Self::Train(error) => Some(error),
            Self::Threads(_) => None,
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Threads(_) => Fault::Machine,
            _ => self.inner().map_or(Fault::User, Explain::fault),
        }
    }
}

/// Lets the engine use so many cores, all there are if none are named. Once a process.
///
/// # Errors
/// Where the system gives no threads.
pub fn use_threads(threads: Option<usize>) -> Result<(), RunError> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(cores));
    Ok(pool.build_global()?)
}

/// Trains to the end and writes the result, unless that was done before. With `fresh`, what an
/// earlier training left in the output folder is deleted first.
///
/// When `stop` is set, the step in work is finished and a checkpoint written.
///
/// # Errors
/// Where the inputs and the model do not fit, or training fails; the last checkpoint stays.
pub fn run(
    settings: &Finetune,
    inputs: &TrainingInputs,
    sources: Sources,
    fresh: bool,
    events: &dyn Events,
    stop: &AtomicBool,
) -> Result<TrainingOutcome, RunError> {
    if !fresh && let Some(card) = finished(&settings.folder, &sources.signature)? {
        return Ok(TrainingOutcome::Finished(Box::new(card)));
    }
    let early = TrainingOutcome::Stopped { done: 0, total: None };
    if stop.load(Ordering::Relaxed) {
        return Ok(early);
    }
    let prepared = Prepared::new(settings, inputs, sources)?;
    let model = prepared.model(settings)?;
    if stop.load(Ordering::Relaxed) {
        return Ok(early);
    }
    let signature = prepared.signature();
    let (output, found) = OutputFolder::claim(&settings.folder, signature, fresh)?;
    let mut trainer = Trainer::new(&settings.training, &prepared.plan, model, signature, found)?;
    let (done, total) = (trainer.done(), prepared.plan.steps());
    if done > 0 {
        events.note(&format!("continuing after step {done} of {total}"));
    }
    let mut progress = TrainingProgress::new(total, done, events);
    let ended = trainer.train(&output, &mut progress, stop);
    drop(progress);
    if ended? == Ended::Interrupted {
        return Ok(TrainingOutcome::Stopped { done: trainer.done(), total: Some(total) });
    }
    let stopped_early = trainer.stopped_early();
    let (model, state) = trainer.finish()?;
    let card = prepared.card(settings, state, stopped_early);
    let save = |folder: &Path| Ok(prepared.save(&model, folder)?);
    let card = output.finish::<TrainError>(card, save)?;
    Ok(TrainingOutcome::Finished(Box::new(card)))
}

#[cfg(test)]
mod tests {
    use super::super::EngineError;
    use super::*;

    #[test]
    fn an_engine_that_fails_is_the_machine_s_once_it_trains() {
        let engine = || EngineError::State { problem: "it is of another model".to_owned() };
        let refused = RunError::from(PrepareError::from(engine()));
        let failed = RunError::from(TrainError::from(engine()));
        assert_eq!([refused.fault(), failed.fault()], [Fault::User, Fault::Machine]);
        assert_eq!(refused.help(), engine().help());
        assert_eq!(failed.help(), engine().help());
        assert!(failed.help().is_some());
    }
}
