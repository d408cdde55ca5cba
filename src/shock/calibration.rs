//! Calibration: from what is known of an answer when its search stops to a confidence, the share
//! of such answers that are right.
//!
//! confidence = σ(a·logit(p) + c·s + b), where p is the answer's share of the candidates' mass and
//! s the natural logarithm of the mixture's own probability of it. With c = 0 this is Platt's sigmoid
//! (Platt 1999, "Probabilistic outputs for support vector machines") on the logit of p, and with
//! a = 1 and b = 0 it changes nothing. The second term tells two answers with the same share apart:
//! a name that the model would hardly say is seldom right, also where all others are worse.
//!
//! Within a question a larger s goes with a larger p, and neither a nor c is negative: no ranking
//! is changed.
//!
//! Invariant: logits are held between ±36, beyond which rounding decides what is left of 1 - p.
//! So a p of 0 or 1 has a finite logit, and its confidence depends on a and b as any other's.

use serde::{Deserialize, Serialize};

/// Logits beyond this are held here: e^-36 is about the rounding of an `f64` near 1.
const LOGIT_LIMIT: f64 = 36.0;

/// Scores below this are held here, so that a name of probability 0 has a finite confidence.
const LEAST_SCORE: f64 = -200.0;

/// The least weight of the logit: answers whose probability says nothing come near to it.
const LEAST_SHARE: f64 = 0.01;

/// A hold towards the centre in the directions that the data leave open, for instance where all
/// have the same p. Too weak to be felt in others.
const RIDGE: f64 = 1e-6;

/// How evidence becomes confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// a, greater than 0: below 1 it draws confidences towards the middle.
    pub share: f64,
    /// c, 0 or more.
    pub score: f64,
    /// b: below 0 it lowers all confidences.
    pub bias: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self::IDENTITY
    }
}

/// What is known of an answer, as natural logarithms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// ln p: of its share of the candidates' mass.
    pub ln_share: f64,
    /// s: of the mixture's own probability, less what was removed of its mean prediction; 0 for all
    /// answers where it is the share itself.
    pub score: f64,
}

impl Evidence {
    /// For an answer that has no mass at all.
    pub const NONE: Self = Self { ln_share: f64::NEG_INFINITY, score: f64::NEG_INFINITY };
}

/// An answer that was checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// What was known of it.
    pub evidence: Evidence,
    /// Whether it is right.
    pub right: bool,
}

impl Calibration {
    /// Confidences that are the shares themselves.
    pub const IDENTITY: Self = Self { share: 1.0, score: 0.0, bias: 0.0 };

    /// The confidence of an answer, between 0 and 1. It never falls with more of either evidence.
    pub fn apply(&self, evidence: Evidence) -> f64 {
        if *self == Self::IDENTITY {
            return evidence.ln_share.min(0.0).exp();
        }
        let [logit, score] = features(evidence);
        sigmoid(self.share * logit + self.score * score + self.bias)
    }

    /// The calibration under which the observations are most probable, held towards `towards` as
    /// if `strength` more answers had been seen, with the same evidence, of which as many were
    /// right as `towards` says.
    ///
    /// With these, targets are never 0 or 1, so that the fit is finite also where all answers are
    /// right, or all those above some p (Platt smooths his targets to the same end). No
    /// observation gives `towards` itself. `strength` is greater than 0.
    pub fn fit(observations: &[Observation], towards: Self, strength: f64) -> Self {
        if observations.is_empty() {
            return towards;
        }
        let count = observations.len() as f64;
        let (own, other) = (count / (count + strength), strength / (count + strength));
        let points: Vec<Point> = observations
            .iter()
            .map(|o| Point {
                features: features(o.evidence),
                target: own * f64::from(u8::from(o.right)) + other * towards.apply(o.evidence),
            })
            .collect();
        let centre = [towards.share, towards.score, towards.bias];
        // The loss is convex: its minimum within the bounds is that of one of the four ways to hold
        // weights at theirs, the best that keeps to both.
        let ways = [
            [None, None],
            [Some(LEAST_SHARE), None],
            [None, Some(0.0)],
            [Some(LEAST_SHARE), Some(0.0)],
        ];
        let fits = ways.map(|held| minimise(&points, centre, held));
        let within = |at: &&[f64; 3]| at[0] >= LEAST_SHARE && at[1] >= 0.0;
        let best = fits
            .iter()
            .filter(within)
            .min_by(|a, b| loss(&points, centre, **a).total_cmp(&loss(&points, centre, **b)));
        let [share, score, bias] = best.copied().unwrap_or(fits[3]);
        Self { share, score, bias }
    }
}

struct Point {
    /// Of the two weights; the bias has 1.
    features: [f64; 2],
    /// The share that is right.
    target: f64,
}

/// What the weights are put on.
fn features(evidence: Evidence) -> [f64; 2] {
    [logit(evidence.ln_share), evidence.score.max(LEAST_SCORE)]
}

/// The mean cross-entropy of the weights and the bias, which is convex.
fn loss(points: &[Point], centre: [f64; 3], at: [f64; 3]) -> f64 {
    let sum: f64 = points
        .iter()
        .map(|point| {
            let x = at[0] * point.features[0] + at[1] * point.features[1] + at[2];
            // -(t·ln σ(x) + (1-t)·ln(1 - σ(x)))
            softplus(x) - point.target * x
        })
        .sum();
    let away: f64 = at.iter().zip(centre).map(|(x, c)| (x - c).powi(2)).sum();
    sum / points.len() as f64 + 0.5 * RIDGE * away
}

/// Newton's method with halved steps; weights that are `held` stay where they are.
fn minimise(points: &[Point], centre: [f64; 3], held: [Option<f64>; 2]) -> [f64; 3] {
    let mut at = [held[0].unwrap_or(centre[0]), held[1].unwrap_or(centre[1]), centre[2]];
    let free = [held[0].is_none(), held[1].is_none(), true];
    let mut here = loss(points, centre, at);
    for _ in 0..100 {
        let step = newton_step(points, centre, at, free);
        let mut share = 1.0;
        let next = loop {
            let next = [0, 1, 2].map(|i| at[i] - share * step[i]);
            let there = loss(points, centre, next);
            if there < here {
                break Some((next, there));
            }
            share /= 2.0;
            if share < 1e-10 {
                break None;
            }
        };
        let Some((next, there)) = next else { return at };
        let gain = here - there;
        (at, here) = (next, there);
        if gain < 1e-15 {
            return at;
        }
    }
    at
}

/// H⁻¹·g of the loss over what is `free`; 0 elsewhere.
fn newton_step(points: &[Point], centre: [f64; 3], at: [f64; 3], free: [bool; 3]) -> [f64; 3] {
    let count = points.len() as f64;
    let mut gradient = [0, 1, 2].map(|i| RIDGE * (at[i] - centre[i]));
    let mut hessian = [[0.0; 3]; 3];
    (0..3).for_each(|i| hessian[i][i] = RIDGE);
    for point in points {
        let x = [point.features[0], point.features[1], 1.0];
        let p = sigmoid((0..3).map(|i| at[i] * x[i]).sum());
        let (error, weight) = ((p - point.target) / count, p * (1.0 - p) / count);
        for i in 0..3 {
            gradient[i] += error * x[i];
            (0..3).for_each(|j| hessian[i][j] += weight * x[i] * x[j]);
        }
    }
    for i in (0..3).filter(|&i| !free[i]) {
        gradient[i] = 0.0;
        (0..3).for_each(|j| (hessian[i][j], hessian[j][i]) = (0.0, 0.0));
        hessian[i][i] = 1.0;
    }
    solve(hessian, gradient)
}

/// x with A·x = b for a positive definite A, by Gauss's elimination.
fn solve(mut a: [[f64; 3]; 3], mut b: [f64; 3]) -> [f64; 3] {
    for i in 0..3 {
        for j in i + 1..3 {
            let factor = a[j][i] / a[i][i];
            (i..3).for_each(|k| a[j][k] -= factor * a[i][k]);
            b[j] -= factor * b[i];
        }
    }
    let mut x = [0.0; 3];
    for i in (0..3).rev() {
        let known: f64 = (i + 1..3).map(|k| a[i][k] * x[k]).sum();
        x[i] = (b[i] - known) / a[i][i];
    }
    x
}

/// ln p - ln(1 - p), held between the limits.
fn logit(ln_p: f64) -> f64 {
    let ln_p = ln_p.min(0.0);
    // Both logarithms are infinite only at opposite ends.
    (ln_p - (-ln_p.exp_m1()).ln()).clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
}

/// 1 / (1 + exp(-x)).
fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// ln(1 + exp(x)).
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::calibration::expected_calibration_error;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn evidence(p: f64, score: f64) -> Evidence {
        Evidence { ln_share: p.ln(), score }
    }

    /// Answers with shares and scores of all sizes that are right as often as `truth` says.
    fn simulate(truth: Calibration, count: usize, seed: u64) -> Vec<Observation> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (0..count)
            .map(|_| {
                let ln_share = -softplus(random.random_range(-5.0..5.0));
                let evidence = Evidence { ln_share, score: random.random_range(-20.0..0.0) };
                Observation { evidence, right: random.random::<f64>() < truth.apply(evidence) }
            })
            .collect()
    }

    fn confidences(calibration: Calibration, seen: &[Observation]) -> Vec<(f64, bool)> {
        seen.iter().map(|o| (calibration.apply(o.evidence), o.right)).collect()
    }

    #[test]
    fn confidences_by_hand() {
        let calibration = Calibration { share: 0.5, score: 0.0, bias: 0.0 };
        // logit(0.9) = ln 9, halved ln 3: 3/4.
        assert!((calibration.apply(evidence(0.9, -7.0)) - 0.75).abs() < 1e-15);
        let lower = Calibration { share: 1.0, score: 0.0, bias: -(3.0_f64.ln()) };
        // The odds 3 become 1.
        assert!((lower.apply(evidence(0.75, -7.0)) - 0.5).abs() < 1e-15);
        let rare = Calibration { share: 1.0, score: 0.5, bias: 0.0 };
        // The odds 1 times e^(-ln 9 / 2) = 1/3.
        assert!((rare.apply(evidence(0.5, -(9.0_f64.ln()))) - 0.25).abs() < 1e-15);
        assert_eq!(Calibration::IDENTITY.apply(evidence((-1.0_f64).exp(), -9.0)), (-1.0_f64).exp());
    }

    #[test]
    fn certainty_is_held_at_the_limit() {
        let calibration = Calibration { share: 0.25, score: 0.0, bias: 0.0 };
        let of = |ln_share| calibration.apply(Evidence { ln_share, score: 0.0 });
        assert_eq!(of(0.0), sigmoid(9.0));
        assert_eq!(of(1e-12), sigmoid(9.0));
        assert_eq!(of(f64::NEG_INFINITY), sigmoid(-9.0));
        let score = Calibration { share: 1.0, score: 0.01, bias: 0.0 };
        let never = Evidence { ln_share: 0.5_f64.ln(), score: f64::NEG_INFINITY };
        assert_eq!(score.apply(never), sigmoid(-2.0));
    }

    #[test]
    fn known_numbers_are_found_and_the_error_falls() {
        let truths = [(2.0, 0.0, 0.0), (1.0, 0.1, -1.0), (0.5, 0.2, 1.0), (0.33, 0.0, 0.7)];
        for (seed, (share, score, bias)) in truths.into_iter().enumerate() {
            let truth = Calibration { share, score, bias };
            let seen = simulate(truth, 40_000, seed as u64);
            let fitted = Calibration::fit(&seen, Calibration::IDENTITY, 2.0);
            assert!((fitted.share - share).abs() < 0.06, "{fitted:?}");
            assert!((fitted.score - score).abs() < 0.02, "{fitted:?}");
            assert!((fitted.bias - bias).abs() < 0.12, "{fitted:?}");
            let unseen = simulate(truth, 20_000, 100 + seed as u64);
            let error = |c| expected_calibration_error(&confidences(c, &unseen)).unwrap();
            assert!(error(fitted) < 0.02, "{}", error(fitted));
            assert!(error(fitted) < error(Calibration::IDENTITY) / 3.0);
        }
    }

    /// Where rare names are right more often, nothing is made of it: it would change rankings.
    #[test]
    fn no_weight_is_negative() {
        let truth = Calibration { share: -0.5, score: -0.2, bias: -1.0 };
        let seen = simulate(truth, 5_000, 7);
        let fitted = Calibration::fit(&seen, Calibration::IDENTITY, 2.0);
        assert_eq!((fitted.share, fitted.score), (LEAST_SHARE, 0.0));
        let right = seen.iter().filter(|o| o.right).count() as f64 / seen.len() as f64;
        let mean = seen.iter().map(|o| fitted.apply(o.evidence)).sum::<f64>() / seen.len() as f64;
        assert!((mean - right).abs() < 0.01, "{mean} for {right}");
    }

    #[test]
    fn little_data_stay_near_the_centre() {
        let centre = Calibration { share: 0.5, score: 0.05, bias: -0.5 };
        assert_eq!(Calibration::fit(&[], centre, 20.0), centre);
        let one = [Observation { evidence: evidence(0.6, -3.0), right: true }];
        let fitted = Calibration::fit(&one, centre, 20.0);
        let [before, after] = [centre, fitted].map(|c| c.apply(one[0].evidence));
        // One right answer beside twenty: (1 + 20·before) / 21.
        assert!((after - (1.0 + 20.0 * before) / 21.0).abs() < 1e-4, "{before} {after}");
    }

    #[test]
    fn separable_and_inverted_data_have_a_finite_fit() {
        let seen = |right: fn(f64) -> bool| -> Vec<Observation> {
            (1..100)
                .map(|i| f64::from(i) / 100.0)
                .map(|p| Observation { evidence: evidence(p, 0.0), right: right(p) })
                .collect()
        };
        for seen in [seen(|_| true), seen(|_| false), seen(|p| p > 0.3), seen(|p| p < 0.3)] {
            let fitted = Calibration::fit(&seen, Calibration::IDENTITY, 2.0);
            assert!(fitted.share >= LEAST_SHARE && fitted.share.is_finite());
            assert!(fitted.bias.is_finite());
            assert_eq!(fitted.score, 0.0, "all scores are the same: nothing is said of them");
            // The mean confidence is the share of right answers, less what is held to the centre.
            let mean = |xs: &mut dyn Iterator<Item = f64>| xs.sum::<f64>() / seen.len() as f64;
            let confidence = mean(&mut seen.iter().map(|o| fitted.apply(o.evidence)));
            let right = mean(&mut seen.iter().map(|o| f64::from(u8::from(o.right))));
            assert!((confidence - right).abs() < 0.02, "{fitted:?}: {confidence} for {right}");
        }
    }

    proptest! {
        #[test]
        fn more_evidence_never_lowers_a_confidence(
            share in 0.01..10.0_f64, score in 0.0..1.0_f64, bias in -3.0..3.0_f64,
            ln_shares in (-30.0..0.0_f64, -30.0..0.0_f64), scores in (-90.0..0.0_f64, -90.0..0.0_f64),
        ) {
            let calibration = Calibration { share, score, bias };
            let of = |ln_share, score| calibration.apply(Evidence { ln_share, score });
            let least = of(ln_shares.0.min(ln_shares.1), scores.0.min(scores.1));
            let most = of(ln_shares.0.max(ln_shares.1), scores.0.max(scores.1));
            prop_assert!(least <= of(ln_shares.0, scores.1) && of(ln_shares.0, scores.1) <= most);
        }
    }
}
