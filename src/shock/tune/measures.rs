//! What numbers are worth: questions answered with them, and held against what is right.

use serde::Serialize;

use super::threshold::f1;
use super::{Numbers, RelationQuestions};
use crate::metrics;
use crate::metrics::calibration::ProbabilityScores;
use crate::shock::question::Question;

/// An answer that a threshold could let through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// Its share of the mixture's mass.
    pub p: f64,
    /// The confidence.
    pub confidence: f64,
    /// Whether it is right.
    pub right: bool,
    /// Whether its confidence reaches the threshold.
    pub written: bool,
}

/// A question answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How many objects are right.
    pub objects: usize,
    /// 1 / the rank of the best right candidate; 0 where none is right.
    pub reciprocal_rank: f64,
    /// Best first; the first is the mixture's best candidate.
    pub answers: Vec<Judgement>,
}

impl Outcome {
    pub(super) fn of(
        relation: &RelationQuestions<'_>,
        question: &Question<'_>,
        numbers: Numbers,
    ) -> Self {
        let mixed = relation.mixed(question, numbers.weights);
        let judge = |o: &super::Observation| {
            let confidence = numbers.calibration.apply(o.evidence);
            let written = confidence >= numbers.threshold;
            Judgement { p: o.evidence.ln_share.min(0.0).exp(), confidence, right: o.right, written }
        };
        Self {
            objects: question.objects(),
            reciprocal_rank: question.rank(&mixed.masses).map_or(0.0, |rank| 1.0 / rank as f64),
            answers: relation.judged(question, &mixed).iter().map(judge).collect(),
        }
    }

    /// F1 of what is written, by the rules of LM-KBC.
    pub fn f1(&self) -> f64 {
        let written = self.answers.iter().filter(|answer| answer.written);
        f1(written.clone().filter(|answer| answer.right).count(), written.count(), self.objects)
    }
}

/// Means over questions. Each is 0 where there is nothing to take it of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measures {
    /// Share of the questions with objects whose best candidate is right.
    pub p_at_1: f64,
    /// Mean reciprocal rank of the best right candidate, over the questions with objects.
    pub mrr: f64,
    /// Mean F1 of what is written, over all questions, by the rules of LM-KBC.
    pub f1: f64,
    /// Triples written.
    pub written: usize,
    /// How many of them are right.
    pub right: usize,
    /// What the share of each question's best candidate is worth as the probability of its being right.
    pub shares: ProbabilityScores,
    /// What its confidence is.
    pub confidences: ProbabilityScores,
    /// What the shares of the triples written are.
    pub written_shares: ProbabilityScores,
    /// What their confidences are.
    pub written_confidences: ProbabilityScores,
}

impl Measures {
    /// Of questions answered.
    pub fn of<'a>(outcomes: impl Iterator<Item = &'a Outcome> + Clone) -> Self {
        // The sum of nothing would be -0.
        let mean = |values: Vec<f64>| metrics::mean(values).unwrap_or(0.0);
        let with_objects = || outcomes.clone().filter(|outcome| outcome.objects > 0);
        let first_right =
            |o: &Outcome| f64::from(u8::from(o.answers.first().is_some_and(|a| a.right)));
        let firsts: Vec<Judgement> =
            outcomes.clone().filter_map(|outcome| outcome.answers.first().copied()).collect();
        let written: Vec<Judgement> =
            outcomes.clone().flat_map(|o| &o.answers).filter(|a| a.written).copied().collect();
        let scores = |answers: &[Judgement], of: fn(&Judgement) -> f64| {
            let pairs: Vec<(f64, bool)> = answers.iter().map(|a| (of(a), a.right)).collect();
            ProbabilityScores::of(&pairs).unwrap_or_default()
        };
        Self {
            p_at_1: mean(with_objects().map(first_right).collect()),
            mrr: mean(with_objects().map(|outcome| outcome.reciprocal_rank).collect()),
            f1: mean(outcomes.clone().map(Outcome::f1).collect()),
            written: written.len(),
            right: written.iter().filter(|answer| answer.right).count(),
            shares: scores(&firsts, |a| a.p),
            confidences: scores(&firsts, |a| a.confidence),
            written_shares: scores(&written, |a| a.p),
            written_confidences: scores(&written, |a| a.confidence),
        }
    }
}
