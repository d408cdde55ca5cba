//! Metrics of ranked answers.
//!
//! A *position* is where a question's answer stands in its ranking, counted from 0 for the best;
//! `None` where the ranking does not hold it. A question with several gold objects counts by the
//! best placed of them. Nothing gold stands before that one, so that its position is also its
//! *filtered* one (Bordes et al. 2013), the position when the other gold objects are left out.
//! Candidates of equal score stand in the order in which the caller ranked them.
//!
//! A question without a gold object has no position and is no question here.

use std::collections::BTreeMap;

use serde::Serialize;

use super::mean;

/// The position of the best placed gold object.
pub fn position<T>(
    ranking: impl IntoIterator<Item = T>,
    is_gold: impl Fn(T) -> bool,
) -> Option<usize> {
    ranking.into_iter().position(is_gold)
}

/// 1 where the answer is among the best `k`, otherwise 0. P@1 is the mean of this at 1.
pub fn hit(position: Option<usize>, k: usize) -> f64 {
    if position.is_some_and(|position| position < k) { 1.0 } else { 0.0 }
}

/// 1 / (position + 1), and 0 where the ranking does not hold the answer: MRR is its mean.
pub fn reciprocal_rank(position: Option<usize>) -> f64 {
    position.map_or(0.0, |position| 1.0 / (position as f64 + 1.0))
}

/// What the majority answer is worth: by question, 1 where the object that is gold of most of the other
/// questions is gold of it too, else 0. Of equally frequent ones the smallest is answered.
///
/// The question itself has no say, so that objects that are gold once are never found.
pub fn majority<T: Ord>(gold: &[impl AsRef<[T]>]) -> Vec<f64> {
    let gold: Vec<&[T]> = gold.iter().map(AsRef::as_ref).collect();
    let mut counts: BTreeMap<&T, usize> = BTreeMap::new();
    gold.iter().copied().flatten().for_each(|object| *counts.entry(object).or_default() += 1);
    // By falling count; a stable sort leaves the smallest first.
    let mut frequent: Vec<(&T, usize)> = counts.into_iter().collect();
    frequent.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let answer = |own: &&[T]| {
        let others = frequent.iter().map(|&(object, count)| {
            let is_own = own.contains(object);
            (count - usize::from(is_own), is_own)
        });
        // Only the question's own objects lose one: the best is among as many and one more.
        let best = others.take(own.len() + 1).reduce(|a, b| if b.0 > a.0 { b } else { a });
        f64::from(u8::from(best.is_some_and(|(count, is_own)| count > 0 && is_own)))
    };
    gold.iter().map(answer).collect()
}

/// Means over questions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ranking {
    /// Questions with a gold object.
    pub questions: usize,
    /// P@1: the share of questions whose best candidate is a gold object.
    pub precision_at_1: f64,
    /// MRR: the mean reciprocal rank.
    pub mean_reciprocal_rank: f64,
    /// The share of questions with a gold object among the best 3.
    pub hits_at_3: f64,
    /// The share of questions with a gold object among the best 10.
    pub hits_at_10: f64,
}

impl Ranking {
    /// The metrics of these positions, one a question; `None` without questions.
    pub fn of(positions: &[Option<usize>]) -> Option<Self> {
        let hits = |k| mean(positions.iter().map(|&position| hit(position, k)));
        Some(Self {
            questions: positions.len(),
            precision_at_1: hits(1)?,
            mean_reciprocal_rank: mean(positions.iter().map(|&p| reciprocal_rank(p)))?,
            hits_at_3: hits(3)?,
            hits_at_10: hits(10)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn worked_out_by_hand() {
        // Ranks 1, 2, 4, 11 and absent.
        let ranking = Ranking::of(&[Some(0), Some(1), Some(3), Some(10), None]).unwrap();
        assert_eq!(ranking.questions, 5);
        assert_eq!(ranking.precision_at_1, 0.2);
        assert_eq!(ranking.hits_at_3, 0.4);
        assert_eq!(ranking.hits_at_10, 0.6);
        let expected = (1.0 + 0.5 + 0.25 + 1.0 / 11.0) / 5.0;
        assert!((ranking.mean_reciprocal_rank - expected).abs() < 1e-15);
        assert_eq!(Ranking::of(&[]), None);
    }

    #[test]
    fn majority_by_hand() {
        // a and b three times each: without a question of a, b leads, and the other way round.
        let gold = ["a", "b", "a", "b", "a", "b"].map(|o| vec![o]);
        assert_eq!(majority(&gold), [0.0; 6]);
        let gold = [vec!["a", "b"], vec!["b"], vec!["b"], vec!["c"], vec!["a"]];
        assert_eq!(majority(&gold), [1.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(majority(&[vec!["a"]]), [0.0]);
        // b and c lead with two where a has one left; b is the smaller.
        let gold = [vec!["a"], vec!["a"], vec!["b"], vec!["b"], vec!["c"], vec!["c"]];
        assert_eq!(majority(&gold), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let gold = [vec!["b"], vec!["b"], vec!["a", "b"], vec!["a"]];
        assert_eq!(majority(&gold), [1.0, 1.0, 1.0, 0.0]);
        assert!(majority::<u8>(&[[]; 0]).is_empty());
    }

    #[test]
    fn the_best_placed_gold_object_counts() {
        let gold = ["b", "d"];
        assert_eq!(position(["a", "b", "c", "d"], |o| gold.contains(&o)), Some(1));
        assert_eq!(position(["a", "c"], |o| gold.contains(&o)), None);
        assert_eq!(position([""; 0], |o| gold.contains(&o)), None);
    }

    proptest! {
        #[test]
        fn metrics_are_ordered_and_bounded(
            positions in prop::collection::vec(prop::option::of(0..30_usize), 1..50),
        ) {
            let r = Ranking::of(&positions).unwrap();
            prop_assert!(0.0 <= r.precision_at_1 && r.precision_at_1 <= r.hits_at_3);
            prop_assert!(r.hits_at_3 <= r.hits_at_10 && r.hits_at_10 <= 1.0);
            prop_assert!(r.precision_at_1 <= r.mean_reciprocal_rank + 1e-12);
            let found = positions.iter().flatten().count() as f64 / positions.len() as f64;
            prop_assert!(r.mean_reciprocal_rank <= found + 1e-12);
        }
    }
}
