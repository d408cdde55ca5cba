//! Precision, recall and F1 of predicted sets, by the rules of the LM-KBC challenge (Singhania,
//! Nguyen, Razniewski: LM-KBC 2022).
//!
//! With `predicted` objects, `gold` objects, and `found` gold objects that are among the predicted:
//! precision = found / predicted, recall = found / gold, F1 = 2·P·R / (P + R), 0 where both are 0.
//! Nothing predicted has precision 1. No gold object has recall 1, and precision 1 only if nothing
//! is predicted.
//!
//! The *macro* average is the mean of these three over the questions of a relation, then over
//! relations. The *micro* scores are those of the pooled counts. By these rules somebody who never
//! predicts anything scores well where many questions have no object: show the scores of
//! [`Counts::without_prediction`] beside every F1.

use std::iter::Sum;

use serde::Serialize;

use super::mean;

/// What was counted of a question, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Distinct objects that were predicted.
    pub predicted: usize,
    /// Gold objects.
    pub gold: usize,
    /// Gold objects that were predicted.
    pub found: usize,
}

impl Counts {
    /// What somebody who predicts nothing would have counted.
    #[must_use]
    pub fn without_prediction(self) -> Self {
        Self { predicted: 0, found: 0, ..self }
    }

    /// The scores of a question or, from pooled counts, the micro scores of several.
    ///
    /// Where several gold objects share a name, one prediction can find more than one; precision
    /// stays at most 1.
    pub fn score(self) -> SetScore {
        let Self { predicted, gold, found } = self;
        let precision = match (predicted, gold) {
            (0, _) => 1.0,
            (_, 0) => 0.0,
            _ => (found as f64 / predicted as f64).min(1.0),
        };
        let recall = if gold == 0 { 1.0 } else { found as f64 / gold as f64 };
        let sum = precision + recall;
        let f1 = if sum == 0.0 { 0.0 } else { 2.0 * precision * recall / sum };
        SetScore { precision, recall, f1 }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, other| Self {
            predicted: sum.predicted + other.predicted,
            gold: sum.gold + other.gold,
            found: sum.found + other.found,
        })
    }
}

/// Precision, recall and F1, each 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SetScore {
    /// The share of what was predicted that is right.
    pub precision: f64,
    /// The share of what is right that was predicted.
    pub recall: f64,
    /// The harmonic mean of the two.
    pub f1: f64,
}

impl SetScore {
    /// The mean of each of the three; `None` of nothing. The mean F1 is not the F1 of the means.
    pub fn mean(scores: &[Self]) -> Option<Self> {
        Some(Self {
            precision: mean(scores.iter().map(|s| s.precision))?,
            recall: mean(scores.iter().map(|s| s.recall))?,
            f1: mean(scores.iter().map(|s| s.f1))?,
        })
    }

    /// The macro average over the questions of each relation, then over relations. A relation
    /// without questions has no say; `None` where all are.
    pub fn macro_average(relations: &[&[Counts]]) -> Option<Self> {
        let of_relation = |counts: &&[Counts]| {
            Self::mean(&counts.iter().map(|counts| counts.score()).collect::<Vec<_>>())
        };
        Self::mean(&relations.iter().filter_map(of_relation).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(predicted: usize, gold: usize, found: usize) -> Counts {
        Counts { predicted, gold, found }
    }

    fn scores(predicted: usize, gold: usize, found: usize) -> [f64; 3] {
        let SetScore { precision, recall, f1 } = counts(predicted, gold, found).score();
        [precision, recall, f1]
    }

    #[test]
    fn a_question_worked_out_by_hand() {
        assert_eq!(scores(4, 2, 1), [0.25, 0.5, 1.0 / 3.0]);
        assert_eq!(scores(2, 2, 2), [1.0, 1.0, 1.0]);
        assert_eq!(scores(3, 2, 0), [0.0, 0.0, 0.0]);
    }

    #[test]
    fn empty_sets_score_by_the_rules_of_lm_kbc() {
        assert_eq!(scores(0, 2, 0), [1.0, 0.0, 0.0]);
        assert_eq!(scores(2, 0, 0), [0.0, 1.0, 0.0]);
        assert_eq!(scores(0, 0, 0), [1.0, 1.0, 1.0]);
    }

    #[test]
    fn a_prediction_that_names_two_gold_objects_is_not_better_than_right() {
        assert_eq!(scores(1, 2, 2), [1.0, 1.0, 1.0]);
    }

    #[test]
    fn macro_and_micro_averages_worked_out_by_hand() {
        let first = [counts(4, 2, 1), counts(0, 0, 0)];
        let second = [counts(1, 1, 1)];
        let average = SetScore::macro_average(&[&first, &[], &second]).unwrap();
        // The first relation: P (1/4 + 1) / 2, R (1/2 + 1) / 2, F1 (1/3 + 1) / 2.
        assert_eq!(average.precision, (0.625 + 1.0) / 2.0);
        assert_eq!(average.recall, (0.75 + 1.0) / 2.0);
        assert!((average.f1 - (2.0 / 3.0 + 1.0) / 2.0).abs() < 1e-15);
        assert_eq!(SetScore::macro_average(&[&[]]), None);

        let pooled: Counts = first.into_iter().chain(second).sum();
        assert_eq!(pooled, counts(5, 3, 2));
        let micro = pooled.score();
        assert_eq!((micro.precision, micro.recall, micro.f1), (0.4, 2.0 / 3.0, 0.5));
    }

    #[test]
    fn predicting_nothing_scores_the_share_of_questions_without_objects() {
        let questions = [counts(3, 2, 1), counts(1, 0, 0), counts(0, 0, 0), counts(1, 1, 1)];
        let nothing: Vec<Counts> = questions.iter().map(|c| c.without_prediction()).collect();
        let score = SetScore::macro_average(&[&nothing]).unwrap();
        assert_eq!((score.precision, score.recall, score.f1), (1.0, 0.5, 0.5));
    }

    proptest! {
        #[test]
        fn scores_are_shares_and_f1_lies_between_its_parts(
            predicted in 0..9_usize, gold in 0..9_usize, found in 0..9_usize,
        ) {
            let [p, r, f1] = scores(predicted, gold, found.min(predicted).min(gold));
            let shares = [p, r, f1].iter().all(|x| (0.0..=1.0).contains(x));
            prop_assert!(shares);
            prop_assert!(p.min(r) - 1e-12 <= f1 && f1 <= p.max(r) + 1e-12);
        }
    }
}
