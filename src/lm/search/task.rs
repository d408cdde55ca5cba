//! What all questions of a search share, and what follows from it for each.

use super::Rankings;
use crate::lm::branch::{AnswerSpace, Normalise};
use crate::shock::logspace::log_mean_exp;
use crate::shock::{Correction, MixingRule};

/// What is searched, with which models and correction, for what.
pub struct Task<'a> {
    pub space: &'a AnswerSpace,
    pub correction: &'a Correction,
    pub models: usize,
    pub rankings: Rankings,
    pub tolerance: f64,
}

impl Task<'_> {
    /// Whether masses have to be divided by their sum over all candidates.
    pub fn needs_normaliser(&self) -> bool {
        self.space.normalise() == Normalise::Sequence || self.mixes_candidates()
    }

    pub fn mixes_candidates(&self) -> bool {
        let rule = self.correction.rule;
        matches!(rule, MixingRule::LogLinear { .. }) && !self.space.mixes_at_branchings(rule)
    }

    /// How many masses an entry has: one a model and template.
    pub fn parts(&self) -> usize {
        self.models * self.space.templates()
    }

    /// Each model's mass, ln, averaged over the templates after taking `totals` away.
    pub fn model_masses(&self, masses: &[f64], totals: &[f64]) -> [f64; 2] {
        // A total of nothing (all candidates masked) leaves nothing to divide.
        let relative = |(&m, &t): (&f64, &f64)| if t == f64::NEG_INFINITY { m } else { m - t };
        let relative: Vec<f64> = masses.iter().zip(totals).map(relative).collect();
        let mut models = relative.chunks_exact(self.space.templates()).map(log_mean_exp);
        let finetuned = models.next().unwrap_or(f64::NEG_INFINITY);
        [finetuned, models.next().unwrap_or(finetuned)]
    }
}
