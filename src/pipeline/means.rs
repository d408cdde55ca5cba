//! What a relation's correction rests on beside the question itself: the models' mean predictions, and
//! what the text after the object says, over some of its subjects.

use std::sync::Arc;

use super::RelationPlan;
use crate::catalog::EntityId;
use crate::shock::{Mean, MeanRemoval, Pair, Prior, Priors};

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
}

impl RelationPlan {
    /// Takes both models' mean predictions of subjects that were asked about.
    pub(super) fn set_mean_predictions(&mut self, asked: &[Pair<Vec<f64>>]) {
        let names = self.space.names();
        let priors = self.tau.map(|_| Priors::mean(names.names(), asked));
        let mean_of = |of: fn(&Pair<Vec<f64>>) -> &Vec<f64>| {
            let sums: Vec<Vec<f64>> = asked.iter().map(|models| names.sum(of(models))).collect();
            Mean::of(names.candidates(), sums.iter())
        };
        let means = Pair {
            finetuned: mean_of(|models| &models.finetuned),
            base: mean_of(|models| &models.base),
        };
        if let Some(priors) = priors {
            self.set_priors(&priors);
        }
        self.set_means(means);
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
        if self.nearness().is_some() {
            Vec::new()
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

    /// At most so many of [`Self::prior_subjects`], evenly spread.
    fn some_subjects(&self, most: usize) -> Vec<EntityId> {
        let all = self.prior_subjects.len();
        let most = all.min(most);
        (0..most).map(|i| self.prior_subjects[i * all / most]).collect()
    }
}
