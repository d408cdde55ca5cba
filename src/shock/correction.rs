//! The corrections of Frequency Shock by model mixing.
//!
//! The idea of answering with the finetuned and the base model together is from Kazemi, Mittal
//! and Ramachandran 2023 (arXiv 2301.11293); the formulas are our reading of its abstract.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::logspace::{log_add_exp, normalise};
use super::mean::MeanRemoval;
use super::prior::Prior;

/// How a finetuned model's distribution is corrected by the base model's: first the shift of its
/// mean prediction is removed, if asked for, then the two are mixed, and then what both predict
/// whatever the subject is removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Correction {
    /// How much of which shift is removed; `None` removes nothing, as τ = 0 does.
    pub prior: Option<Prior>,
    /// How what is left is mixed with the base.
    pub rule: MixingRule,
    /// How much of the mean prediction is removed; `None` removes nothing, as κ = 0 does.
    pub mean: Option<MeanRemoval>,
}

impl From<MixingRule> for Correction {
    fn from(rule: MixingRule) -> Self {
        Self { prior: None, rule, mean: None }
    }
}

impl Correction {
    /// The removal of the mean prediction, unless it changes nothing.
    pub fn active_mean(&self) -> Option<&MeanRemoval> {
        self.mean.as_ref().filter(|mean| mean.share != 0.0)
    }

    /// The prior correction, unless it changes nothing.
    pub fn active_prior(&self) -> Option<&Prior> {
        self.prior.as_ref().filter(|prior| prior.tau != 0.0)
    }
}

/// How a finetuned model's distribution is mixed with the base model's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MixingRule {
    /// The finetuned distribution as it is.
    None,
    /// λ·p_f + (1-λ)·p_b.
    Linear {
        /// The mixing weight λ, the share of the finetuned model, in `0..=1`.
        lambda: f64,
    },
    /// p_f^λ · p_b^(1-λ), normalised over what `mixing` says.
    LogLinear {
        /// The mixing weight λ, the share of the finetuned model, in `0..=1`.
        lambda: f64,
        /// Over what the product is normalised.
        mixing: Mixing,
    },
}

/// Where log-linear mixing takes place, and over what its product is normalised. The linear mixture
/// is the same either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mixing {
    /// At each branching of the candidates' token trie.
    Branching,
    /// On the probabilities of whole candidates.
    Candidate,
}

impl MixingRule {
    /// λ, the share of the finetuned model.
    pub fn lambda(&self) -> f64 {
        match *self {
            Self::None => 1.0,
            Self::Linear { lambda } | Self::LogLinear { lambda, .. } => lambda,
        }
    }

    /// ln of the mixture's mass for one outcome, not normalised for [`MixingRule::LogLinear`].
    ///
    /// `finetuned` and `base` are natural logarithms of the same outcome's probability.
    pub fn mix(&self, finetuned: f64, base: f64) -> f64 {
        match *self {
            Self::None => finetuned,
            Self::Linear { lambda } => {
                log_add_exp(lambda.ln() + finetuned, (1.0 - lambda).ln() + base)
            }
            Self::LogLinear { lambda, .. } => {
                weighted(lambda, finetuned) + weighted(1.0 - lambda, base)
            }
        }
    }

    /// Mixes two distributions over the same outcomes into one that sums to one.
    ///
    /// Where log-linear mixing leaves nothing (the models exclude each other's outcomes), the
    /// finetuned distribution stands.
    pub fn mix_all(&self, finetuned: &[f64], base: &[f64]) -> Vec<f64> {
        let mut mixed: Vec<f64> =
            finetuned.iter().zip(base).map(|(&f, &b)| self.mix(f, b)).collect();
        if matches!(self, Self::LogLinear { .. }) {
            if mixed.iter().all(|&x| x == f64::NEG_INFINITY) {
                mixed.copy_from_slice(finetuned);
            }
            normalise(&mut mixed);
        }
        mixed
    }

    /// ln p_mixed(way | node) at a branching, which sums to one, from the natural logarithms of
    /// both models' masses of the node and of each way on from it.
    pub fn mix_branching(
        &self,
        (node_f, ways_f): (f64, &[f64]),
        (node_b, ways_b): (f64, &[f64]),
    ) -> Vec<f64> {
        self.mix_all(
            &conditionals(node_f, ways_f, node_b, ways_b),
            &conditionals(node_b, ways_b, node_f, ways_f),
        )
    }
}

/// ln p(way | node) from the masses of the ways on and of their node; where the model gives the
/// node no mass at all, the other model's conditionals stand in.
fn conditionals(node: f64, ways: &[f64], other_node: f64, other_ways: &[f64]) -> Vec<f64> {
    let (node, ways) = if node == f64::NEG_INFINITY && other_node > node {
        (other_node, other_ways)
    } else {
        (node, ways)
    };
    ways.iter().map(|&way| if way == f64::NEG_INFINITY { way } else { way - node }).collect()
}

/// weight·x, where a weight of 0 gives 0 also for the logarithm of 0.
fn weighted(weight: f64, x: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { weight * x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ln(ps: &[f64]) -> Vec<f64> {
        ps.iter().map(|p| p.ln()).collect()
    }

    fn assert_close(mixed: &[f64], expected: &[f64]) {
        for (m, e) in mixed.iter().zip(expected) {
            assert!((m.exp() - e).abs() < 1e-12, "{mixed:?} is not ln of {expected:?}");
        }
    }

    #[test]
    fn linear_by_hand() {
        let mixed = MixingRule::Linear { lambda: 0.25 }.mix_all(&ln(&[0.8, 0.2]), &ln(&[0.4, 0.6]));
        assert_close(&mixed, &[0.5, 0.5]);
    }

    #[test]
    fn log_linear_by_hand() {
        // sqrt(0.8·0.2) = 0.4 and sqrt(0.2·0.8) = 0.4.
        let correction = MixingRule::LogLinear { lambda: 0.5, mixing: Mixing::Candidate };
        let mixed = correction.mix_all(&ln(&[0.8, 0.2]), &ln(&[0.2, 0.8]));
        assert_close(&mixed, &[0.5, 0.5]);
        // sqrt(0.9·0.4) = 0.6 and sqrt(0.1·0.6) = 0.244949; 0.6 / 0.844949 = 0.710102.
        let mixed = correction.mix_all(&ln(&[0.9, 0.1]), &ln(&[0.4, 0.6]));
        assert!((mixed[0].exp() - 0.710_102).abs() < 1e-6);
    }

    #[test]
    fn the_ends_of_lambda_are_the_models_even_with_zeros() {
        let (f, b) = (ln(&[0.7, 0.3, 0.0]), ln(&[0.0, 0.5, 0.5]));
        for mixing in [Mixing::Branching, Mixing::Candidate] {
            for (lambda, expected) in [(1.0, [0.7, 0.3, 0.0]), (0.0, [0.0, 0.5, 0.5])] {
                assert_close(&MixingRule::LogLinear { lambda, mixing }.mix_all(&f, &b), &expected);
                assert_close(&MixingRule::Linear { lambda }.mix_all(&f, &b), &expected);
            }
        }
    }

    #[test]
    fn models_that_exclude_each_other_leave_the_finetuned() {
        let correction = MixingRule::LogLinear { lambda: 0.5, mixing: Mixing::Candidate };
        assert_close(&correction.mix_all(&ln(&[1.0, 0.0]), &ln(&[0.0, 1.0])), &[1.0, 0.0]);
    }

    proptest! {
        #[test]
        fn mixtures_are_distributions(
            raw in prop::collection::vec((-40.0..0.0_f64, -40.0..0.0_f64), 1..30),
            lambda in 0.0..=1.0_f64,
        ) {
            let (mut f, mut b): (Vec<f64>, Vec<f64>) = raw.into_iter().unzip();
            normalise(&mut f);
            normalise(&mut b);
            for correction in [
                MixingRule::None,
                MixingRule::Linear { lambda },
                MixingRule::LogLinear { lambda, mixing: Mixing::Branching },
            ] {
                let sum: f64 = correction.mix_all(&f, &b).iter().map(|x| x.exp()).sum();
                prop_assert!((sum - 1.0).abs() < 1e-9);
            }
        }

        /// Hölder's inequality, which makes a prefix's product a bound of all that it leads to.
        #[test]
        fn the_product_of_sums_bounds_the_sum_of_products(
            raw in prop::collection::vec((-20.0..0.0_f64, -20.0..0.0_f64), 1..30),
            lambda in 0.0..=1.0_f64,
        ) {
            let (f, b): (Vec<f64>, Vec<f64>) = raw.iter().copied().unzip();
            let correction = MixingRule::LogLinear { lambda, mixing: Mixing::Candidate };
            let products: Vec<f64> = raw.iter().map(|&(f, b)| correction.mix(f, b)).collect();
            let sum = super::super::logspace::log_sum_exp;
            prop_assert!(sum(&products) <= correction.mix(sum(&f), sum(&b)) + 1e-9);
        }
    }
}
