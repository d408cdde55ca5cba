//! Removing what a model predicts of a relation whatever the subject.
//!
//! A base model prefers some names by themselves, as frequent words. What a subject says of an object
//! is what its prompt adds to that (the pointwise mutual information; as "domain conditional" in
//! Holtzman et al. 2021, "Surface form competition"). The mixture's ln p(o) is lowered by the share κ
//! of its mean over some of the relation's subjects:
//!
//! s(o) = ln p(o) − κ·(λ·mean ln p_f(o) + (1−λ)·mean ln p_b(o)).
//!
//! It is the mean of logarithms, in which a constant factor of a question's probabilities says
//! nothing.
//!
//! Invariant: a mean is a finite number.

use std::sync::Arc;

use super::pair::Pair;

/// A model's mean prediction over some of a relation's subjects.
#[derive(Clone, Debug, PartialEq)]
pub struct Mean {
    /// By candidate, the mean of ln p.
    pub candidates: Vec<f64>,
    /// By node of the candidates' trie, the least of those below it.
    pub least: Vec<f64>,
}

/// How much of both models' mean predictions is removed. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanRemoval {
    /// κ, the share: 0 removes nothing, 1 all.
    pub share: f64,
    /// The means.
    pub means: Arc<Pair<Mean>>,
}

/// The mean of distributions over `candidates` outcomes, of which none is held.
#[derive(Clone, Debug)]
pub struct RunningMean {
    sums: Vec<f64>,
    count: u32,
}

impl RunningMean {
    /// Of none yet, over so many outcomes.
    pub fn new(candidates: usize) -> Self {
        Self { sums: vec![0.0; candidates], count: 0 }
    }

    /// Counts a distribution, given as ln p. What a model excludes for a subject counts as the least that it
    /// gives to others.
    pub fn add(&mut self, ln_p: &[f64]) {
        self.count += 1;
        let least = ln_p.iter().copied().filter(|x| x.is_finite()).fold(0.0, f64::min);
        for (sum, &x) in self.sums.iter_mut().zip(ln_p) {
            *sum += if x.is_finite() { x } else { least };
        }
    }

    /// The mean of ln p by outcome; 0 everywhere where there is none.
    pub fn mean(self) -> Vec<f64> {
        let count = f64::from(self.count.max(1));
        self.sums.into_iter().map(|sum| sum / count).collect()
    }
}

impl MeanRemoval {
    /// What a candidate's ln mass is lowered by, under the mixing weight `lambda`.
    pub fn of_candidate(&self, lambda: f64, candidate: u32) -> f64 {
        self.weighed(lambda, |mean| mean.candidates[candidate as usize])
    }

    /// What the ln masses of all candidates below a node of the trie are lowered by at least.
    pub fn below(&self, lambda: f64, node: u64) -> f64 {
        self.weighed(lambda, |mean| mean.least[node as usize])
    }

    fn weighed(&self, lambda: f64, of: impl Fn(&Mean) -> f64) -> f64 {
        self.share * (lambda * of(&self.means.finetuned) + (1.0 - lambda) * of(&self.means.base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_by_hand() {
        let zero = f64::NEG_INFINITY;
        let asked = [vec![-1.0, -3.0, -2.0], vec![-2.0, zero, -4.0]];
        let mut running = RunningMean::new(3);
        asked.iter().for_each(|ln_p| running.add(ln_p));
        assert_eq!(running.mean(), [-1.5, -3.5, -3.0]);
        assert_eq!(RunningMean::new(2).mean(), [0.0, 0.0]);
    }

    #[test]
    fn what_is_removed_by_hand() {
        let mean = |x: f64| Mean { candidates: vec![x, x - 1.0], least: vec![x - 1.0] };
        let means = Arc::new(Pair { finetuned: mean(-2.0), base: mean(-6.0) });
        let removal = MeanRemoval { share: 0.5, means };
        // ½·(¼·(-2) + ¾·(-6)) = -2.5.
        assert_eq!(removal.of_candidate(0.25, 0), -2.5);
        assert_eq!(removal.of_candidate(0.25, 1), -3.0);
        assert_eq!(removal.below(0.25, 0), -3.0);
    }
}
