//! The prior correction: taking back how finetuning moved a relation's mean prediction.
//!
//! π is a model's mean probability of an object over the subjects of a relation, labelled or not.
//! Where finetuning taught a model which objects are frequent among its training facts, it moved
//! π_f away from the base model's π_b. The correction divides that out, as label-shift methods
//! divide by a classifier's training prior:
//!
//! ln p'_f(o) = ln p_f(o) − τ·(ln π_f(o) − ln π_b(o)), normalised,
//!
//! over whole candidates, or at each branching of the candidates' tokens with the mean masses of
//! the ways on, so that every prefix keeps a probability that bounds all below it.
//!
//! Invariant: a shift is a finite number. Where a model's mean is 0 nothing is known of the shift,
//! and it is 0.

use std::sync::Arc;

use super::logspace::{log_add_exp, normalise};
use super::pair::Pair;

/// Both models' mean prediction over a relation's subjects: ln π by candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Priors {
    /// ln π_f by candidate.
    pub finetuned: Vec<f64>,
    /// ln π_b by candidate.
    pub base: Vec<f64>,
}

impl Priors {
    /// The mean of distributions over `candidates` outcomes, given as natural logarithms of the
    /// finetuned and the base model's probabilities. The mean of none is 0 everywhere, which
    /// shifts nothing.
    pub fn mean<'a>(
        candidates: usize,
        distributions: impl IntoIterator<Item = &'a Pair<Vec<f64>>>,
    ) -> Self {
        let mut running = RunningPriors::new(candidates);
        distributions.into_iter().for_each(|models| running.add(models));
        running.mean()
    }
}

/// [`Priors::mean`] of distributions of which none is held.
#[derive(Clone, Debug)]
pub struct RunningPriors {
    /// ln of the sums of p by candidate.
    sums: Priors,
    count: u32,
}

impl RunningPriors {
    /// Of none yet, over so many outcomes.
    pub fn new(candidates: usize) -> Self {
        let nothing = vec![f64::NEG_INFINITY; candidates];
        Self { sums: Priors { finetuned: nothing.clone(), base: nothing }, count: 0 }
    }

    /// Counts both models' distributions for a subject, as ln p.
    pub fn add(&mut self, models: &Pair<Vec<f64>>) {
        self.count += 1;
        let add = |sums: &mut [f64], distribution: &[f64]| {
            sums.iter_mut().zip(distribution).for_each(|(s, &p)| *s = log_add_exp(*s, p));
        };
        add(&mut self.sums.finetuned, &models.finetuned);
        add(&mut self.sums.base, &models.base);
    }

    /// The mean of what was counted.
    pub fn mean(self) -> Priors {
        let Priors { mut finetuned, mut base } = self.sums;
        let ln_count = f64::from(self.count.max(1)).ln();
        finetuned.iter_mut().chain(&mut base).for_each(|s| *s -= ln_count);
        Priors { finetuned, base }
    }
}

/// How finetuning moved the mean prediction: ln π_f − ln π_b for everything that may come next.
#[derive(Clone, Debug, PartialEq)]
pub struct Shift {
    /// Of whole candidates, by candidate.
    pub candidates: Vec<f64>,
    /// Of going on from its parent to a node of the candidates' trie, by node.
    pub nodes: Vec<f64>,
    /// Of ending at the node where a candidate ends, by candidate.
    pub endings: Vec<f64>,
    /// The least of the whole candidates below a node of the trie, by node: what bounds them.
    pub least: Vec<f64>,
}

impl Shift {
    /// ln π_f − ln π_b from the two logarithms; 0 where a mean is 0.
    pub fn between(finetuned: f64, base: f64) -> f64 {
        let shift = finetuned - base;
        if shift.is_finite() { shift } else { 0.0 }
    }
}

/// How much of which shift is removed. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Prior {
    /// τ, the share of the shift that is removed: 0 removes nothing, 1 all.
    pub tau: f64,
    /// The shift.
    pub shift: Arc<Shift>,
}

impl Prior {
    /// A distribution over outcomes without its shift, as natural logarithms that sum to one.
    /// `masses` need not sum to one; where all are 0 they stay so.
    pub fn remove(&self, masses: &[f64], shifts: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let mut left: Vec<f64> =
            masses.iter().zip(shifts).map(|(&mass, shift)| mass - self.tau * shift).collect();
        normalise(&mut left);
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ln(ps: &[f64]) -> Vec<f64> {
        ps.iter().map(|p| p.ln()).collect()
    }

    #[test]
    fn means_by_hand() {
        let questions = [
            Pair { finetuned: ln(&[0.8, 0.2, 0.0]), base: ln(&[0.5, 0.5, 0.0]) },
            Pair { finetuned: ln(&[0.4, 0.6, 0.0]), base: ln(&[0.1, 0.7, 0.2]) },
        ];
        let priors = Priors::mean(3, &questions);
        let expected = [[0.6, 0.4, 0.0], [0.3, 0.6, 0.1]];
        for (found, expected) in [priors.finetuned, priors.base].iter().zip(expected) {
            let found: Vec<f64> = found.iter().map(|x| x.exp()).collect();
            assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-15), "{found:?}");
        }
        assert_eq!(Priors::mean(1, []).base, [f64::NEG_INFINITY]);
    }

    #[test]
    fn half_of_a_shift_removed_by_hand() {
        let shift = Shift { candidates: vec![], nodes: vec![], endings: vec![], least: vec![] };
        let prior = Prior { tau: 0.5, shift: Arc::new(shift) };
        // Object 0 became four times as probable on average, object 1 as before:
        // 0.8 / sqrt(4) = 0.4, and 0.4 / (0.4 + 0.2) = 2/3.
        let left = prior.remove(&ln(&[0.8, 0.2]), [4.0_f64.ln(), 0.0]);
        assert!((left[0].exp() - 2.0 / 3.0).abs() < 1e-15);
        assert!((left[1].exp() - 1.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn nothing_is_known_of_the_shift_of_a_mean_of_zero() {
        let zero = f64::NEG_INFINITY;
        assert_eq!(Shift::between(zero, -1.0), 0.0);
        assert_eq!(Shift::between(-1.0, zero), 0.0);
        assert_eq!(Shift::between(zero, zero), 0.0);
        assert_eq!(Shift::between(-1.0, -3.0), 2.0);
        let shift = Shift { candidates: vec![], nodes: vec![], endings: vec![], least: vec![] };
        let prior = Prior { tau: 1.0, shift: Arc::new(shift) };
        assert_eq!(prior.remove(&[zero, zero], [3.0, 0.0]), [zero, zero]);
    }
}
