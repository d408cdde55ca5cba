//! The training loop: steps, looks at the held-out facts, checkpoints.
//!
//! Invariant: all that happens is a function of the plan, the settings and the number of steps made,
//! so that a training which goes on from a checkpoint ends with the same bits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::adamw::AdamW;
use super::card::{Evaluation, Step};
use super::checkpoint::{self, Tensors, TrainingCheckpoint};
use super::output::{self, OutputFolder};
use super::plan::{Losses, Portion, TrainingPlan};
use super::schedule::Schedule;
use super::signature::TrainingSignature;
use super::{EngineError, Model, TrainingProgress};
use crate::config::finetune::{Keep, TrainingSettings};
use crate::diagnostic::{Explain, Fault, counted};

/// Why a training ended before its end. The last checkpoint stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A loss or a gradient is NaN or infinite.
    #[error(
        "after {} the {what} is no finite number; {kept}. Lower `learning_rate` or `clip_norm` \
         under [training] and start anew with --fresh; if it was so from the first step on, the base \
         model is broken: fetch or export it again",
        counted(*steps, "step")
    )]
    NotFinite {
        /// As in `loss`.
        what: String,
        /// The steps that were made.
        steps: usize,
        /// Which checkpoint is kept.
        kept: String,
    },
    /// The model could not be run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A checkpoint could not be written.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::CheckpointError),
    /// The output folder cannot be used.
    #[error(transparent)]
    Output(#[from] output::OutputError),
}

impl Explain for TrainError {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::NotFinite { .. } => None,
            Self::Engine(error) => Some(error),
            Self::Checkpoint(error) => Some(error),
            Self::Output(error) => Some(error),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::NotFinite { .. } | Self::Engine(_) => Fault::Machine,
            Self::Checkpoint(error) => error.fault(),
            Self::Output(error) => error.fault(),
        }
    }
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps are made, or the held-out loss fell no more.
    Done,
    /// It was told to stop; a checkpoint is written.
    Interrupted,
}

/// A model in training.
pub struct Trainer<'a> {
    settings: &'a TrainingSettings,
    plan: &'a TrainingPlan,
    schedule: Schedule,
    model: Model,
    optimiser: AdamW,
    /// Where it stands, but for the weights that change with each step.
    state: TrainingCheckpoint,
    /// Seconds of earlier processes.
    before: f64,
    start: Instant,
    /// The steps of the last checkpoint.
    saved: Option<usize>,
}

impl<'a> Trainer<'a> {
    /// Begins, or goes on from a checkpoint of the same signature.
    ///
    /// # Errors
    /// Where the checkpoint does not fit the model.
    pub fn new(
        settings: &'a TrainingSettings,
        plan: &'a TrainingPlan,
        model: Model,
        signature: &TrainingSignature,
        found: Option<TrainingCheckpoint>,
    ) -> Result<Self, TrainError> {
        let adamw = super::AdamWSettings {
            weight_decay: settings.weight_decay,
            ..super::AdamWSettings::default()
        };
        let mut optimiser = AdamW::new(model.parameters(), adamw)?;
        let saved = found.as_ref().map(|found| found.steps.len());
        let state = match found {
            Some(mut found) => {
                set(&model, &found.parameters)?;
                optimiser.restore(&std::mem::take(&mut found.optimiser).into_iter().collect())?;
                found.parameters = Tensors::new();
                found
            }
            None => {
                TrainingCheckpoint { signature: signature.clone(), ..TrainingCheckpoint::default() }
            }
        };
        let (share, decay) = (settings.warmup_share, settings.decay);
        Ok(Self {
            settings,
            plan,
            schedule: Schedule::new(settings.learning_rate, share, plan.steps(), decay),
            model,
            optimiser,
            before: state.seconds,
            state,
            start: Instant::now(),
            saved,
        })
    }

    /// Steps that are made.
    pub fn done(&self) -> usize {
        self.state.steps.len()
    }

    /// Trains to the end, or until `stop` is set: then the step in work is finished.
    ///
    /// # Errors
    /// See [`TrainError`]; the last checkpoint stays.
    pub fn train(
        &mut self,
        output: &OutputFolder,
        progress: &mut TrainingProgress<'_>,
        stop: &AtomicBool,
    ) -> Result<Ended, TrainError> {
        if self.state.evaluations.is_empty() {
            self.evaluate(progress)?;
        }
        while !self.is_done() {
            if stop.load(Ordering::Relaxed) {
                self.save(output)?;
                return Ok(Ended::Interrupted);
            }
            let tokens = self.step()?;
            let loss = self.state.steps.last().map_or(f64::NAN, |step| step.loss);
            progress.step(loss, tokens);
            if self.is_evaluated(self.done()) {
                self.evaluate(progress)?;
            }
            if self.done().is_multiple_of(self.settings.checkpoint_every) || self.is_done() {
                self.save(output)?;
            }
        }
        Ok(Ended::Done)
    }

    fn is_done(&self) -> bool {
        self.done() >= self.plan.steps() || self.stopped_early()
    }

    /// Whether the held-out loss has not fallen for as many evaluations as patience lasts.
    pub fn stopped_early(&self) -> bool {
        self.settings.patience.is_some_and(|patience| {
            let evaluations = &self.state.evaluations;
            best(evaluations).is_some_and(|best| evaluations.len() - 1 - best >= patience)
        })
    }

    fn is_evaluated(&self, done: usize) -> bool {
        let interval = self.settings.evaluate_every * self.plan.steps_per_epoch() as f64;
        done == self.plan.steps() || reaches(done, interval)
    }

    /// Makes one step and gives its tokens.
    fn step(&mut self) -> Result<usize, TrainError> {
        let number = self.done();
        let portion = self.plan.step(number);
        let loss = self.model.loss(&portion.batch).map_err(|error| self.explain(error, ""))?;
        let losses = portion.losses(&loss.nll);
        let total = loss.value;
        let mut gradients = loss.backward()?;
        let gradient_norm = gradients
            .clip(self.model.parameters(), self.settings.clip_norm)
            .map_err(|error| self.explain(error, ""))?;
        let learning_rate = self.schedule.learning_rate(number);
        self.optimiser.step(&gradients, learning_rate)?;
        self.state.tokens += portion.batch.tokens.len() as u64;
        self.state.steps.push(Step {
            step: number as u64 + 1,
            learning_rate,
            loss: total,
            facts: losses.facts,
            text: losses.text,
            gradient_norm,
        });
        Ok(portion.batch.tokens.len())
    }

    /// Measures the model on what is held out, and keeps its weights if it is the best yet.
    fn evaluate(&mut self, progress: &TrainingProgress<'_>) -> Result<(), TrainError> {
        let mut sums = Sums::default();
        for portion in self.plan.held_out() {
            let nll = self.model.evaluate(&portion.batch);
            let nll = nll.map_err(|error| self.explain(error, "held-out "))?;
            sums.add(&portion, portion.losses(&nll));
        }
        let Losses { facts, text } = sums.means();
        let step = self.done() as u64;
        self.state.evaluations.push(Evaluation { step, facts, text });
        let is_best = best(&self.state.evaluations) == Some(self.state.evaluations.len() - 1);
        if is_best && self.settings.keep == Keep::Best {
            self.state.best = copies(&self.model)?;
        }
        let text = text.map_or(String::new(), |text| format!(", text {text:.4}"));
        let best = if is_best && step > 0 { ", the least so far" } else { "" };
        progress.note(&format!("step {step}: held-out loss {facts:.4}{text}{best}"));
        Ok(())
    }

    fn save(&mut self, output: &OutputFolder) -> Result<(), TrainError> {
        self.state.seconds = self.before + self.start.elapsed().as_secs_f64();
        self.state.parameters = copies(&self.model)?;
        self.state.optimiser = self.optimiser.state()?.into_iter().collect();
        let written = self.state.write(output.folder());
        // They are large, and of no use until the next checkpoint.
        self.state.parameters = Tensors::new();
        self.state.optimiser = Tensors::new();
        written?;
        self.saved = Some(self.done());
        Ok(())
    }

    /// Where a number is none: after which step, and what is kept.
    fn explain(&self, error: EngineError, which: &str) -> TrainError {
        let EngineError::NotFinite { what } = error else { return error.into() };
        let kept = match self.saved {
            Some(steps) => format!("the checkpoint after {} is kept", counted(steps, "step")),
            None => "there is no checkpoint yet".to_owned(),
        };
        TrainError::NotFinite { what: format!("{which}{what}"), steps: self.done(), kept }
    }

    /// The trained model with the weights that are to be written, and where the training stands.
    ///
    /// # Errors
    /// Where the weights cannot be set.
    pub fn finish(mut self) -> Result<(Model, TrainingCheckpoint), TrainError> {
        if self.settings.keep == Keep::Best {
            set(&self.model, &self.state.best)?;
        }
        self.state.seconds = self.before + self.start.elapsed().as_secs_f64();
        Ok((self.model, self.state))
    }
}

/// Whether the step with this number, from 1, is the first at or after a multiple of `interval`. An
/// interval below 1 is 1.
fn reaches(step: usize, interval: f64) -> bool {
    let passed = |steps: usize| (steps as f64 / interval.max(1.0)) as usize;
    passed(step) > passed(step - 1)
}

/// The evaluation with the least loss on facts, the first of several.
pub(super) fn best(evaluations: &[Evaluation]) -> Option<usize> {
    (0..evaluations.len()).min_by(|&a, &b| evaluations[a].facts.total_cmp(&evaluations[b].facts))
}

/// Sums over several portions.
#[derive(Default)]
struct Sums {
    facts: (f64, usize),
    text: (f64, usize),
}

impl Sums {
    fn add(&mut self, portion: &Portion, losses: Losses) {
        self.facts.0 += losses.facts * portion.facts as f64;
        self.facts.1 += portion.facts;
        let targets = portion.batch.targets.len() - portion.fact_targets;
        self.text.0 += losses.text.unwrap_or(0.0) * targets as f64;
        self.text.1 += targets;
    }

    fn means(&self) -> Losses {
        let mean = |(sum, count): (f64, usize)| sum / count.max(1) as f64;
        Losses { facts: mean(self.facts), text: (self.text.1 > 0).then(|| mean(self.text)) }
    }
}

/// The trained weights as they are now: the model's own change in place.
fn copies(model: &Model) -> Result<Tensors, TrainError> {
    let copy = |(name, var): &(String, candle_core::Var)| {
        let cpu = var.as_tensor().to_device(&candle_core::Device::Cpu)?.copy()?;
        Ok::<_, candle_core::Error>((name.clone(), cpu))
    };
    Ok(model.parameters().iter().map(copy).collect::<Result<_, _>>().map_err(EngineError::from)?)
}

/// Sets the trained weights.
fn set(model: &Model, tensors: &Tensors) -> Result<(), TrainError> {
    for (name, var) in model.parameters() {
        let Some(tensor) = tensors.get(name).filter(|tensor| tensor.shape() == var.shape()) else {
            let problem = format!("it has no `{name}` of shape {:?}", var.dims());
            return Err(EngineError::State { problem }.into());
        };
        let tensor = tensor.to_device(var.device()).map_err(EngineError::from)?;
        var.set(&tensor).map_err(EngineError::from)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(interval: f64) -> Vec<usize> {
        (1..=10).filter(|&step| reaches(step, interval)).collect()
    }

    #[test]
    fn looks_are_an_interval_apart() {
        assert_eq!(reached(3.0), [3, 6, 9]);
        assert_eq!(reached(2.5), [3, 5, 8, 10]);
        assert_eq!(reached(0.1), (1..=10).collect::<Vec<_>>());
        assert_eq!(reached(100.0), [0; 0]);
    }

    #[test]
    fn means_are_over_facts_and_targets_not_portions() {
        let portion = |facts, targets: usize| {
            let target = super::super::Target { position: 0, token: 0, weight: 1.0 };
            let batch =
                super::super::Batch { targets: vec![target; targets], ..Default::default() };
            Portion { batch, facts, fact_targets: if facts > 0 { targets } else { 0 } }
        };
        let mut sums = Sums::default();
        sums.add(&portion(3, 6), Losses { facts: 1.0, text: None });
        sums.add(&portion(1, 2), Losses { facts: 5.0, text: None });
        assert_eq!(sums.means(), Losses { facts: 2.0, text: None });
        sums.add(&portion(0, 9), Losses { facts: 0.0, text: Some(1.0) });
        sums.add(&portion(0, 1), Losses { facts: 0.0, text: Some(11.0) });
        assert_eq!(sums.means(), Losses { facts: 2.0, text: Some(2.0) });
    }
}
