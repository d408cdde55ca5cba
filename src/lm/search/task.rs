//! What all questions of a search share, and what follows from it for each.

use super::Rankings;
use crate::lm::branch::{AnswerSpace, Normalise};
use crate::shock::logspace::log_mean_exp;
use crate::shock::{Correction, MixingRule, Pair};

/// In what is searched, with which models and correction, for what.
#[derive(Clone, Copy, Debug)]
pub struct SearchTask<'a> {
    /// The candidates.
    pub space: &'a AnswerSpace,
    /// How the models' distributions become one.
    pub correction: &'a Correction,
    /// How many models answer: one, or the finetuned and the base model.
    pub models: usize,
    /// What has to be found.
    pub rankings: Rankings,
    /// The share of the mass that a search may leave unexplored where a normaliser over all
    /// candidates is needed. Where every candidate is scored nothing is left.
    pub tolerance: f64,
}

impl SearchTask<'_> {
    /// Whether masses have to be divided by their sum over all candidates.
    pub(super) fn needs_normaliser(&self) -> bool {
        self.space.normalise() == Normalise::Sequence || self.mixes_candidates()
    }

    pub(super) fn mixes_candidates(&self) -> bool {
        let rule = self.correction.rule;
        matches!(rule, MixingRule::LogLinear { .. }) && !self.space.mixes_at_branchings(rule)
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
