//! The choice of the mixing weight λ, and of the shares of the shift (τ) and of the mean prediction
//! (κ) that are removed.
//!
//! The best by a relation's own questions alone follows chance where there are few: each grid point
//! is judged by the relation's questions together with those of all relations, which count as
//! [`SHRINKAGE`] questions.
//!
//! What is wanted is P@1, but what is maximised is the mean reciprocal rank, which does not jump
//! with single questions. On the simulated relations of this module's tests (12 relations, 10 to
//! 100 questions each, from all alike to all different) weights chosen so have a P@1 on unseen
//! questions that is 0.001 higher than that of weights chosen by P@1.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Question, RelationQuestions};

/// How many of a relation's own questions weigh as much as what all relations say.
///
/// On the same simulations, with 30 questions a relation, P@1 on unseen questions by own questions
/// alone, with 15, and by the pooled ones alone is 0.655, 0.651, 0.615 where relations have nothing
/// in common, 0.655, 0.657, 0.649 half way, and 0.659, 0.664, 0.665 where they are nearly alike.
pub(super) const SHRINKAGE: f64 = 15.0;

/// How two models are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MixingWeights {
    /// λ, the share of the finetuned model, between 0 and 1.
    pub lambda: f64,
    /// τ, the share of the shift that is removed first; 0 for none.
    pub tau: f64,
    /// κ, the share of the mean prediction that is removed last; 0 for none.
    pub mean: f64,
}

/// What each point of a grid makes of a relation's questions.
#[derive(Clone, Debug)]
pub struct GridScores {
    /// By question, then by grid point, the reciprocal rank; `None` where no candidate is right.
    questions: Vec<Option<Vec<f64>>>,
}

impl GridScores {
    /// Mixes each question at each grid point. This is what tuning spends its time on: relations
    /// may be scored side by side.
    pub fn of(relation: &RelationQuestions<'_>, grid: &[MixingWeights]) -> Self {
        let score = |question: &Question<'_>| {
            let at = |&weights| {
                let rank = question.rank(&relation.mixed(question, weights).masses);
                rank.map_or(0.0, |rank| 1.0 / rank as f64)
            };
            (!question.gold.is_empty()).then(|| grid.iter().map(at).collect())
        };
        Self { questions: relation.questions.iter().map(score).collect() }
    }

    /// The sums over the questions that `keep` names by index.
    pub fn curve(&self, points: usize, keep: impl Fn(usize) -> bool) -> Curve {
        let mut curve = Curve::nothing(points);
        let kept = self.questions.iter().enumerate().filter(|&(index, _)| keep(index));
        for scores in kept.filter_map(|(_, scores)| scores.as_ref()) {
            curve.count += 1.0;
            curve.sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score);
        }
        curve
    }
}

impl GridScores {
    /// Whether the questions that `keep` names are answered better at one point than at another, beyond
    /// chance: by more than two standard errors of the mean of their differences.
    pub fn is_better(&self, point: usize, than: usize, keep: impl Fn(usize) -> bool) -> bool {
        let kept = self.questions.iter().enumerate().filter(|&(index, _)| keep(index));
        beyond_chance(kept.filter_map(|(_, s)| s.as_ref()).map(|s| s[point] - s[than]))
    }

    /// The same over the questions of several relations.
    pub fn are_better(
        all: &[Self],
        point: usize,
        than: usize,
        keep: impl Fn(usize) -> bool + Copy,
    ) -> bool {
        beyond_chance(all.iter().flat_map(|scores| {
            let kept = scores.questions.iter().enumerate().filter(move |&(index, _)| keep(index));
            kept.filter_map(|(_, s)| s.as_ref()).map(move |s| s[point] - s[than])
        }))
    }
}

/// Whether the mean of differences is larger than two of its standard errors.
fn beyond_chance(differences: impl Iterator<Item = f64>) -> bool {
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for difference in differences {
        count += 1.0;
        sum += difference;
        squares += difference * difference;
    }
    let mean = sum / f64::max(count, 1.0);
    let variance: f64 = squares / f64::max(count, 1.0) - mean * mean;
    mean > 2.0 * (variance.max(0.0) / f64::max(count, 1.0)).sqrt()
}

/// Sums over questions by grid point.
#[derive(Clone, Debug)]
pub struct Curve {
    count: f64,
    sums: Vec<f64>,
}

impl Curve {
    /// Of no question.
    pub fn nothing(points: usize) -> Self {
        Self { count: 0.0, sums: vec![0.0; points] }
    }

    /// The sum of two.
    pub fn and(mut self, other: &Self) -> Self {
        self.count += other.count;
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, other)| *sum += other);
        self
    }

    /// The index of the grid point with the largest (n·own + k·pooled)/(n + k), of equally good
    /// ones the middle, with the means over n own and over the pooled questions, and k = `shrinkage`.
    ///
    /// Only points `among` are looked at, of which there is one.
    pub fn best(&self, pooled: &Self, shrinkage: f64, among: Range<usize>) -> usize {
        let share = shrinkage / pooled.count.max(1.0);
        let objective = |index: usize| self.sums[index] + share * pooled.sums[index];
        let best = among.clone().map(objective).fold(f64::NEG_INFINITY, f64::max);
        let good = |&index: &usize| best - objective(index) <= 1e-12 * (1.0 + best);
        let good: Vec<usize> = among.filter(good).collect();
        good[good.len() / 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_point_by_hand() {
        let curve = |count, sums: &[f64]| Curve { count, sums: sums.to_vec() };
        let own = curve(2.0, &[1.0, 0.5, 0.0]);
        let pooled = curve(10.0, &[0.0, 4.0, 5.0]);
        let alone = own.best(&Curve::nothing(3), 0.0, 0..3);
        assert_eq!(alone, 0);
        // With k = 2: 1 + 0, 0.5 + 0.8, 0 + 1.
        assert_eq!(own.best(&pooled, 2.0, 0..3), 1);
        assert_eq!(own.best(&pooled, 2.0, 2..3), 2);
        assert_eq!(own.best(&pooled, 1e9, 0..3), 2);
        assert_eq!(curve(1.0, &[0.0, 1.0, 1.0, 1.0]).best(&Curve::nothing(4), 0.0, 0..4), 2);
    }

    #[test]
    fn chance_by_hand() {
        // Mean 1/4, variance 3/16, standard error √3/8 = 0.217.
        assert!(!beyond_chance([1.0, 0.0, 0.0, 0.0].into_iter()));
        // Mean 3/4, the same error.
        assert!(beyond_chance([1.0, 1.0, 1.0, 0.0].into_iter()));
        assert!(!beyond_chance([].into_iter()));
        assert!(!beyond_chance([0.0; 9].into_iter()));
    }
}
