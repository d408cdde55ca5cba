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

impl Mean {
    /// The mean of distributions over `candidates` outcomes, given as ln p; 0 everywhere where there
    /// is none. What a model excludes for a subject counts as the least that it gives to others.
    pub fn of<'a>(
        candidates: usize,
        distributions: impl Iterator<Item = &'a Vec<f64>>,
    ) -> Vec<f64> {
        let mut sums = vec![0.0; candidates];
        let mut count = 0_u32;
        for ln_p in distributions {
            count += 1;
            let least = ln_p.iter().copied().filter(|x| x.is_finite()).fold(0.0, f64::min);
            for (sum, &x) in sums.iter_mut().zip(ln_p) {
                *sum += if x.is_finite() { x } else { least };
            }
        }
        sums.iter_mut().for_each(|sum| *sum /= f64::from(count.max(1)));
        sums
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
        assert_eq!(Mean::of(3, asked.iter()), [-1.5, -3.5, -3.0]);
        assert_eq!(Mean::of(2, [].iter()), [0.0, 0.0]);
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
