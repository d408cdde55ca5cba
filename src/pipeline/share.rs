//! A job in parts: one part of it, and what all parts go by.

use std::path::PathBuf;
use std::sync::Arc;

use super::open::{needs_means, take_needed_priors};
use super::shared_means::MadeFor;
use super::{Error, MeansOf, PlannedJob, Predictor, Shard, SharedMeans};
use crate::graph::{GraphWriter, KeptQuestion, RunDescription, ShardDescription};

/// The name of the file of what all shards go by.
const MEANS_FILE: &str = "plan.json";

impl PlannedJob<'_> {
    /// The part of the job that is a shard's. Its output folder lies in that of the whole. What all shards go by is
    /// read from the file `shared`, or from where [`Self::share_means`] puts it, if it is there.
    #[must_use]
    pub fn of_shard(mut self, shard: Shard, shared: Option<PathBuf>) -> Self {
        let shards = self.whole.join(ShardDescription::FOLDER);
        let usual = shards.join(Shard::PLAN.folder()).join(MEANS_FILE);
        self.shared = shared.or_else(|| usual.exists().then_some(usual));
        self.pipeline.output.folder = shards.join(shard.folder());
        self.plan.take_shard(shard);
        self
    }

    /// Takes what all shards go by: the models' mean predictions, and what the text after the object says; and
    /// writes it into a file, the usual one where none is named. Gives the file.
    ///
    /// # Errors
    /// See [`Error`]; what was asked before stays.
    pub fn share_means(self, file: Option<PathBuf>, fresh: bool) -> Result<PathBuf, Error> {
        let mut job = self.of_shard(Shard::PLAN, None);
        // What is there is taken anew, of what is kept.
        job.shared = None;
        let file = file.unwrap_or_else(|| job.pipeline.output.folder.join(MEANS_FILE));
        let description = job.describe()?;
        SharedMeans::replaceable(&file)?;
        let mut writer = job.open_graph(&description, fresh)?;
        let is_needed = needs_means(&job.plan, MeansOf::CorrectedRelations);
        let device = if is_needed { Some(job.device()?) } else { None };
        let of = MadeFor { signature: &description.signature, asked_on: device.as_deref() };
        if writer.is_complete() && SharedMeans::read(&file, &of, &job.plan).is_ok() {
            writer.finish(None)?;
            return Ok(file);
        }
        if writer.is_complete() {
            // Taken elsewhere, on another device, or lost.
            drop(writer);
            writer = job.open_graph(&description, true)?;
        }
        let mut predictors = if is_needed { job.predictors(1)? } else { Vec::new() };
        job.environment.proceed()?;
        let means = job.take_means(&mut predictors, &mut writer, &description)?;
        if let Some(device) = &device {
            writer.asked_on(device)?;
        }
        means.write(&file, &of, job.without_subjects()?)?;
        writer.finish(None)?;
        Ok(file)
    }

    /// Takes what the questions are asked with, from the models or from what all shards go by, into the plan.
    pub(super) fn take_means(
        &mut self,
        predictors: &mut Vec<Predictor>,
        writer: &mut GraphWriter,
        description: &RunDescription,
    ) -> Result<SharedMeans, Error> {
        let Self { environment, pipeline, plan, shared, .. } = self;
        if pipeline.output.keep > 0 {
            let kept = Arc::clone(&writer.state().kept);
            let remembering = |worker: Predictor| worker.remembering(Arc::clone(&kept));
            *predictors = std::mem::take(predictors).into_iter().map(remembering).collect();
        }
        let of = MeansOf::CorrectedRelations;
        let means = match shared {
            Some(file) if !predictors.is_empty() => {
                let device = environment.runtime(pipeline.runtime.device)?.description();
                let signature = &description.signature;
                let made_for = MadeFor { signature, asked_on: Some(&device) };
                let means = SharedMeans::read(file, &made_for, plan)?;
                means.put_into(plan);
                means
            }
            _ => {
                let keep =
                    &mut |name: &str, learnt: Vec<KeptQuestion>| Ok(writer.keep(name, &learnt)?);
                take_needed_priors(pipeline, plan, predictors, environment, of, keep)?
            }
        };
        if !means.is_empty() {
            writer.goes_by_means(&means.sha256())?;
        }
        Ok(means)
    }
}
