//! What a relation's correction rests on beside the question itself: the models' mean predictions, and
//! what the text after the object says, over some of its subjects.

use std::sync::Arc;

use super::RelationPlan;
use crate::catalog::EntityId;
use crate::shock::{MeanRemoval, Pair, Prior, Priors, RunningMean, RunningPriors};

/// Over how many subjects the text after the object is read: P@1 is the same with 1 to 16.
const TEXT_SUBJECTS: usize = 2;

/// Over how many subjects the mean prediction is taken that is removed: P@1 hardly grows beyond, and
/// each costs every candidate scored.
const MEAN_SUBJECTS: usize = 8;

/// Of which relations the mean predictions are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeansOf {
    /// Those whose corrections remove something of them.
    CorrectedRelations,
    /// All, to find out what should be removed.
    AllRelations,
    /// Those of [`Self::CorrectedRelations`], over one subject of each: enough to see how long a search takes.
    Trial,
}

/// What both models predict of a relation on average, of subjects of which none is held.
pub(super) struct RunningMeans {
    /// By name; none where no shift is removed.
    priors: Option<RunningPriors>,
    /// By candidate.
    means: Pair<RunningMean>,
}

impl RunningMeans {
    /// Of no subject of a relation yet.
    pub(super) fn of(relation: &RelationPlan) -> Self {
        let names = relation.space.names();
        let mean = RunningMean::new(names.candidates());
        Self {
            priors: relation.tau.map(|_| RunningPriors::new(names.names())),
            means: Pair { finetuned: mean.clone(), base: mean },
        }
    }

    /// Counts what both models give the names of the relation for a subject, as ln p.
    pub(super) fn add(&mut self, relation: &RelationPlan, models: &Pair<Vec<f64>>) {
        let names = relation.space.names();
        if let Some(priors) = &mut self.priors {
            priors.add(models);
        }
        self.means.finetuned.add(&names.sum(&models.finetuned));
        self.means.base.add(&names.sum(&models.base));
    }
}

/// Both models' mean predictions of a relation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MeanPredictions {
    /// By name, as ln p; none where no shift is removed.
    pub priors: Option<Priors>,
    /// By candidate, as ln p.
    pub means: Pair<Vec<f64>>,
}

impl RunningMeans {
    /// The means of what was counted.
    pub(super) fn mean(self) -> MeanPredictions {
        let priors = self.priors.map(RunningPriors::mean);
        MeanPredictions { priors, means: self.means.map(RunningMean::mean) }
    }
}

impl RelationPlan {
    /// Takes both models' mean predictions.
    pub(super) fn set_mean_predictions(&mut self, asked: &MeanPredictions) {
        if let Some(priors) = &asked.priors {
            self.set_priors(priors);
        }
        self.set_means(asked.means.clone());
    }

    /// Takes both models' mean predictions, by name, whose difference the correction removes as far as
    /// `tau` says.
    pub fn set_priors(&mut self, priors: &Priors) {
        let shift = Arc::new(self.space.shift(priors));
        self.correction.prior = self.tau.map(|tau| Prior { tau, shift });
    }

    /// Takes what both models predict of each candidate on average, as ln p, which is removed as far
    /// as `mean` says.
    pub fn set_means(&mut self, means: Pair<Vec<f64>>) {
        let means = Arc::new(means.map(|candidates| self.space.mean(candidates)));
        self.correction.mean = Some(MeanRemoval { share: self.mean, means });
    }

    /// Subjects over which the models are asked for their mean predictions.
    pub(super) fn subjects_of_means(&self, of: MeansOf) -> Vec<EntityId> {
        let is_removed = self.tau.is_some() || self.mean != 0.0;
        if self.nearness().is_some() {
            Vec::new()
        } else if of == MeansOf::Trial {
            self.some_subjects(usize::from(is_removed))
        } else if self.tau.is_some() {
            self.prior_subjects.clone()
        } else if self.mean != 0.0 || of == MeansOf::AllRelations {
            self.some_subjects(MEAN_SUBJECTS)
        } else {
            Vec::new()
        }
    }

    /// Subjects over which the models are asked for the text after the object.
    pub(super) fn subjects_of_text(&self) -> Vec<EntityId> {
        let is_there = self.texts.iter().any(|text| !text.is_empty());
        if is_there { self.some_subjects(TEXT_SUBJECTS) } else { Vec::new() }
    }

    /// At most so many of [`Self::prior_subjects`]: the first, as they were drawn.
    fn some_subjects(&self, most: usize) -> Vec<EntityId> {
        self.prior_subjects.iter().take(most).copied().collect()
    }
}
