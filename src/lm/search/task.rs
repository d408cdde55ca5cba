//! What all questions of a search share, and what follows from it for each.

use super::Rankings;
use crate::lm::branch::{AnswerSpace, Normalise};
use crate::ontology::Near;
use crate::shock::logspace::log_mean_exp;
use crate::shock::{Correction, Evidence, Pair};

/// In what is searched, with which models and correction, for what.
#[derive(Clone, Copy, Debug)]
pub struct SearchTask<'a> {
    /// The candidates.
    pub space: &'a AnswerSpace,
    /// How the models' probabilities become one.
    pub correction: &'a Correction,
    /// How many models answer: one, or the finetuned and the base model.
    pub models: usize,
    /// What has to be found.
    pub rankings: Rankings,
    /// How far the bounds of a confidence may lie apart where a sum over all candidates is part of
    /// it; under `list`, the share of the mass that may be left unexplored.
    pub tolerance: f64,
    /// Where others than the true value are right.
    pub near: Option<Near>,
}

/// Of what a candidate's mass is a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// Of one: masses are probabilities over the candidates.
    One,
    /// Of the sum of the mixture's masses over all candidates.
    Mixture,
    /// Of one, once each model's masses are divided by their sum over all candidates.
    Models,
}

impl SearchTask<'_> {
    /// Of what masses are shares.
    pub(super) fn whole(&self) -> Whole {
        let removed = self.correction.active_mean().is_some();
        match self.space.normalise() {
            Normalise::None => Whole::Mixture,
            _ if removed => Whole::Mixture,
            Normalise::List => Whole::Models,
            Normalise::Trie if self.mixes_candidates() => Whole::Mixture,
            Normalise::Trie => Whole::One,
        }
    }

    /// Whether log-linear mixing is of whole candidates.
    pub(super) fn mixes_candidates(&self) -> bool {
        self.space.mixes_candidates(self.correction.rule)
    }

    /// What is known of an answer with a mass and its share, as natural logarithms.
    pub(super) fn evidence(&self, mass: f64, ln_share: f64) -> Evidence {
        let score = if self.whole() == Whole::Mixture { mass } else { 0.0 };
        Evidence { ln_share, score }
    }

    /// How many masses an entry has: one a model and template.
    pub(super) fn parts(&self) -> usize {
        self.models * self.space.templates()
    }

    /// Each model's mass, ln, averaged over the templates after taking `totals` away.
    pub(super) fn model_masses(&self, masses: &[f64], totals: &[f64]) -> Pair<f64> {
        // A total of nothing (all candidates masked) leaves nothing to divide.
        let relative = |(&m, &t): (&f64, &f64)| if t == f64::NEG_INFINITY { m } else { m - t };
        let relative: Vec<f64> = masses.iter().zip(totals).map(relative).collect();
        let mut models = relative.chunks_exact(self.space.templates()).map(log_mean_exp);
        let finetuned = models.next().unwrap_or(f64::NEG_INFINITY);
        Pair { finetuned, base: models.next().unwrap_or(finetuned) }
    }
}
