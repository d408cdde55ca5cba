//! Tuning a pipeline's numbers on questions with known answers.

use std::sync::Arc;

use rayon::prelude::*;

use super::{KnownQuestion, Plan, RelationPlan};
use crate::lm;
use crate::shock::tune::{self, Numbers, Scores, Settings, Tuning, Weights};
use crate::shock::{Correction, MixingRule, Prior, Question};

/// The shares of the finetuned model's shift that are tried where one is removed.
const TAUS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

impl RelationPlan {
    /// The relation's correction with other weights.
    pub fn correction_with(&self, weights: Weights) -> Correction {
        let Weights { lambda, tau } = weights;
        let rule = match self.correction.rule {
            MixingRule::None => MixingRule::None,
            MixingRule::Linear { .. } => MixingRule::Linear { lambda },
            MixingRule::LogLinear { mixing, .. } => MixingRule::LogLinear { lambda, mixing },
        };
        let prior = self.correction.prior.as_ref();
        Correction { prior: prior.map(|p| Prior { tau, shift: Arc::clone(&p.shift) }), rule }
    }

    /// A question's distribution over the candidates, corrected with the given weights.
    pub fn mix(&self, question: &Question<'_>, weights: Weights) -> Vec<f64> {
        let correction = self.correction_with(weights);
        lm::mix(&self.space, &correction, question.excluded, question.finetuned, question.base)
    }

    /// The numbers that it has now.
    pub fn numbers(&self) -> Numbers {
        let lambda = match self.correction.rule {
            MixingRule::None => 1.0,
            MixingRule::Linear { lambda } | MixingRule::LogLinear { lambda, .. } => lambda,
        };
        Numbers {
            weights: Weights { lambda, tau: self.tau.unwrap_or(0.0) },
            calibration: self.calibration,
            threshold: self.threshold,
        }
    }
}

/// Chooses numbers for every relation of the plan on its known questions, which are by relation.
/// `None` where all relations together have fewer than `min_questions` that can be answered.
pub fn tune(plan: &Plan, known: &[Vec<KnownQuestion>], min_questions: usize) -> Option<Tuning> {
    let removes_shift = plan.relations.iter().any(|relation| relation.tau.is_some());
    let mixes = plan.relations.iter().any(|r| r.correction.rule != MixingRule::None);
    let settings = Settings {
        taus: if removes_shift { TAUS.to_vec() } else { vec![0.0] },
        lambdas: if mixes { Settings::default().lambdas } else { vec![1.0] },
        min_questions,
    };
    let mixers: Vec<_> = plan
        .relations
        .iter()
        .map(|relation| {
            move |question: &Question<'_>, weights: Weights| relation.mix(question, weights)
        })
        .collect();
    let relations: Vec<tune::Relation<'_>> = plan
        .relations
        .iter()
        .zip(known)
        .zip(&mixers)
        .map(|((relation, known), mix)| tune::Relation {
            questions: known.iter().map(KnownQuestion::question).collect(),
            most: relation.rankings.mixed.most,
            untuned: relation.numbers(),
            mix,
        })
        .collect();
    let grid = settings.grid();
    let scores: Vec<Scores> =
        relations.par_iter().map(|relation| Scores::of(relation, &grid)).collect();
    tune::tune(&relations, &scores, &settings)
}
