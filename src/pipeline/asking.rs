//! Asking what a plan lacks: its questions through the stages.

use std::sync::atomic::AtomicBool;

use super::progress::{self, ENCODE, PREDICT, WRITE};
use super::stages::{self, Workers};
use super::{Encoded, Error, Plan, Predicted, Predictor, Task, encode};
use crate::diagnostic::Events;
use crate::graph::DoneChunks;

/// How questions are asked.
pub(super) struct Asking<'a> {
    pub plan: &'a Plan,
    /// The threads and waiting room beside the models.
    pub workers: Workers,
    /// Is told how far it is.
    pub events: &'a dyn Events,
    /// Stops it after what was begun.
    pub stop: &'a AtomicBool,
}

impl Asking<'_> {
    /// Asks the questions of all chunks that are not done. Each chunk goes through `select`, on a thread of a model,
    /// and to `take`, on the caller's.
    ///
    /// # Errors
    /// The first of any stage.
    pub(super) fn ask<T: Send>(
        &self,
        predictors: &mut [Predictor],
        done: &DoneChunks,
        select: impl Fn(Predicted) -> T + Sync,
        mut take: impl FnMut(T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Self { plan, workers, events, stop } = *self;
        let missing = plan.size(plan.tasks(done)).prompts;
        if missing == 0 {
            return Ok(());
        }
        if predictors.is_empty() {
            return Err(Error::NoModels);
        }
        let shown = progress::begin(events, missing);
        let (progress, select) = (&shown, &select);
        let encode = |batch: Vec<Task>| -> Result<Vec<Encoded>, Error> {
            let prompts = batch.iter().map(|task| plan.prompts(task)).sum();
            let encoded = batch.into_iter().map(|task| encode(plan, task)).collect();
            progress.advance(ENCODE, prompts);
            encoded
        };
        let kept = predictors.first().and_then(Predictor::kept).unwrap_or_default();
        let predict = predictors.iter_mut().map(|predictor| {
            move |batch: Vec<Encoded>| -> Result<Vec<(usize, T)>, Error> {
                let mut selected = Vec::with_capacity(batch.len());
                for predicted in predictor.predict(plan, batch)? {
                    selected.push((plan.prompts(&predicted.task), select(predicted)));
                }
                progress.advance(PREDICT, selected.iter().map(|(prompts, _)| prompts).sum());
                Ok(selected)
            }
        });
        let write = |batch: Vec<(usize, T)>| {
            for (prompts, selected) in batch {
                take(selected)?;
                progress.advance(WRITE, prompts);
            }
            Ok(())
        };
        let batches = plan.batches(done, &kept);
        stages::run(batches, workers, encode, predict.collect(), write, stop)
    }
}
