//! Calibration: from a mixture's probability to a confidence, the share of such answers that are
//! right.
//!
//! confidence = σ(logit(p)/T + b): Platt's sigmoid (Platt 1999, "Probabilistic outputs for support
//! vector machines") on the logit of p, so that a temperature T of 1 and a bias b of 0 change
//! nothing. It never changes a ranking, because T is positive.
//!
//! Invariant: logits are held between ±36, beyond which rounding decides what is left of 1 - p.
//! So a p of 0 or 1 has a finite logit, and its confidence depends on T and b as any other's.

use serde::{Deserialize, Serialize};

/// Logits beyond this are held here: e^-36 is about the rounding of an `f64` near 1.
const LOGIT_LIMIT: f64 = 36.0;

/// The largest temperature: answers whose probability says nothing come near to it.
const MAX_TEMPERATURE: f64 = 100.0;

/// A hold towards the centre in the directions that the data leave open, for instance where all
/// have the same p. Too weak to be felt in others.
const RIDGE: f64 = 1e-6;

/// How probabilities become confidences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// T, greater than 0: above 1 it draws confidences towards the middle.
    pub temperature: f64,
    /// b: below 0 it lowers all confidences.
    pub bias: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self::IDENTITY
    }
}

/// An answer that was checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// ln of the probability that the mixture gives it.
    pub ln_p: f64,
    /// Whether it is right.
    pub right: bool,
}

impl Calibration {
    /// Confidences that are the probabilities themselves.
    pub const IDENTITY: Self = Self { temperature: 1.0, bias: 0.0 };

    /// The confidence of an answer with the probability exp(`ln_p`), between 0 and 1.
    pub fn apply(&self, ln_p: f64) -> f64 {
        if *self == Self::IDENTITY {
            return ln_p.min(0.0).exp();
        }
        sigmoid(logit(ln_p) / self.temperature + self.bias)
    }

    /// ln of the least probability whose confidence is at least `confidence`: `-inf` where all
    /// have it, `+inf` where none has.
    pub fn invert(&self, confidence: f64) -> f64 {
        if *self == Self::IDENTITY {
            return confidence.ln();
        }
        let wanted = (confidence.ln() - (-confidence).ln_1p() - self.bias) * self.temperature;
        if wanted <= -LOGIT_LIMIT {
            f64::NEG_INFINITY
        } else if wanted > LOGIT_LIMIT {
            f64::INFINITY
        } else {
            -softplus(-wanted)
        }
    }

    /// The calibration under which the observations are most probable, held towards `towards` as
    /// if `strength` more answers had been seen, with the same probabilities, of which as many were
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
                logit: logit(o.ln_p),
                target: own * f64::from(u8::from(o.right)) + other * towards.apply(o.ln_p),
            })
            .collect();
        let centre = [1.0 / towards.temperature, towards.bias];
        let mut fitted = minimise(&points, centre, centre, true);
        let least = 1.0 / MAX_TEMPERATURE;
        // The loss is convex: where its minimum lies beyond the bound, the best within is on it.
        if fitted[0] < least {
            fitted = minimise(&points, centre, [least, centre[1]], false);
        }
        Self { temperature: 1.0 / fitted[0], bias: fitted[1] }
    }
}

struct Point {
    logit: f64,
    /// The share that is right.
    target: f64,
}

/// The mean cross-entropy of slope and bias, which is convex.
fn loss(points: &[Point], centre: [f64; 2], [slope, bias]: [f64; 2]) -> f64 {
    let sum: f64 = points
        .iter()
        .map(|point| {
            let x = slope * point.logit + bias;
            // -(t·ln σ(x) + (1-t)·ln(1 - σ(x)))
            softplus(x) - point.target * x
        })
        .sum();
    let away = (slope - centre[0]).powi(2) + (bias - centre[1]).powi(2);
    sum / points.len() as f64 + 0.5 * RIDGE * away
}

/// Newton's method with halved steps; `free_slope` says whether the slope may change.
fn minimise(points: &[Point], centre: [f64; 2], start: [f64; 2], free_slope: bool) -> [f64; 2] {
    let count = points.len() as f64;
    let mut at = start;
    let mut here = loss(points, centre, at);
    for _ in 0..100 {
        let mut gradient = [RIDGE * (at[0] - centre[0]), RIDGE * (at[1] - centre[1])];
        let [mut slopes, mut both, mut biases] = [RIDGE, 0.0, RIDGE];
        for point in points {
            let p = sigmoid(at[0] * point.logit + at[1]);
            let (error, weight) = ((p - point.target) / count, p * (1.0 - p) / count);
            gradient[0] += error * point.logit;
            gradient[1] += error;
            slopes += weight * point.logit * point.logit;
            both += weight * point.logit;
            biases += weight;
        }
        let step = if free_slope {
            let determinant = slopes * biases - both * both;
            [
                (biases * gradient[0] - both * gradient[1]) / determinant,
                (slopes * gradient[1] - both * gradient[0]) / determinant,
            ]
        } else {
            [0.0, gradient[1] / biases]
        };
        let mut share = 1.0;
        let next = loop {
            let next = [at[0] - share * step[0], at[1] - share * step[1]];
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

    /// Answers with probabilities of all sizes that are right as often as `truth` says.
    fn simulate(truth: Calibration, count: usize, seed: u64) -> Vec<Observation> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (0..count)
            .map(|_| {
                let ln_p = -softplus(random.random_range(-5.0..5.0));
                Observation { ln_p, right: random.random::<f64>() < truth.apply(ln_p) }
            })
            .collect()
    }

    fn confidences(calibration: Calibration, seen: &[Observation]) -> Vec<(f64, bool)> {
        seen.iter().map(|o| (calibration.apply(o.ln_p), o.right)).collect()
    }

    #[test]
    fn confidences_by_hand() {
        let calibration = Calibration { temperature: 2.0, bias: 0.0 };
        // logit(0.9) = ln 9, halved ln 3: 3/4.
        assert!((calibration.apply(0.9_f64.ln()) - 0.75).abs() < 1e-15);
        assert!((calibration.invert(0.75).exp() - 0.9).abs() < 1e-15);
        let lower = Calibration { temperature: 1.0, bias: -(3.0_f64.ln()) };
        // The odds 3 become 1.
        assert!((lower.apply(0.75_f64.ln()) - 0.5).abs() < 1e-15);
        assert_eq!(Calibration::IDENTITY.apply(-1.0), (-1.0_f64).exp());
    }

    #[test]
    fn certainty_is_held_at_the_limit() {
        let calibration = Calibration { temperature: 4.0, bias: 0.0 };
        assert_eq!(calibration.apply(0.0), sigmoid(9.0));
        assert_eq!(calibration.apply(1e-12), sigmoid(9.0));
        assert_eq!(calibration.apply(f64::NEG_INFINITY), sigmoid(-9.0));
        assert_eq!(calibration.invert(1.0), f64::INFINITY);
        assert_eq!(calibration.invert(0.0), f64::NEG_INFINITY);
        assert_eq!(calibration.invert(1e-5), f64::NEG_INFINITY);
        assert_eq!(calibration.invert(0.9999), f64::INFINITY);
    }

    #[test]
    fn a_known_temperature_and_bias_are_found_and_the_error_falls() {
        for (seed, (temperature, bias)) in
            [(0.5, 0.0), (1.0, 0.0), (2.0, -1.0), (3.0, 0.7)].into_iter().enumerate()
        {
            let truth = Calibration { temperature, bias };
            let seen = simulate(truth, 20_000, seed as u64);
            let fitted = Calibration::fit(&seen, Calibration::IDENTITY, 2.0);
            assert!((1.0 / fitted.temperature - 1.0 / temperature).abs() < 0.05, "{fitted:?}");
            assert!((fitted.bias - bias).abs() < 0.05, "{fitted:?}");
            let unseen = simulate(truth, 20_000, 100 + seed as u64);
            let error = |c| expected_calibration_error(&confidences(c, &unseen)).unwrap();
            assert!(error(fitted) < 0.02, "{}", error(fitted));
            if truth != Calibration::IDENTITY {
                assert!(error(fitted) < error(Calibration::IDENTITY) / 3.0);
            }
        }
    }

    #[test]
    fn little_data_stay_near_the_centre() {
        let centre = Calibration { temperature: 2.0, bias: -0.5 };
        assert_eq!(Calibration::fit(&[], centre, 20.0), centre);
        let one = [Observation { ln_p: 0.6_f64.ln(), right: true }];
        let fitted = Calibration::fit(&one, centre, 20.0);
        let [before, after] = [centre, fitted].map(|c| c.apply(one[0].ln_p));
        // One right answer beside twenty: (1 + 20·before) / 21.
        assert!((after - (1.0 + 20.0 * before) / 21.0).abs() < 1e-4, "{before} {after}");
    }

    #[test]
    fn separable_and_inverted_data_have_a_finite_fit() {
        let seen = |right: fn(f64) -> bool| -> Vec<Observation> {
            (1..100)
                .map(|i| f64::from(i) / 100.0)
                .map(|p| Observation { ln_p: p.ln(), right: right(p) })
                .collect()
        };
        for seen in [seen(|_| true), seen(|_| false), seen(|p| p > 0.3), seen(|p| p < 0.3)] {
            let fitted = Calibration::fit(&seen, Calibration::IDENTITY, 2.0);
            assert!(fitted.temperature > 0.0 && fitted.temperature <= MAX_TEMPERATURE);
            assert!(fitted.bias.is_finite());
            // The mean confidence is the share of right answers, less what is held to the centre.
            let mean = |xs: &mut dyn Iterator<Item = f64>| xs.sum::<f64>() / seen.len() as f64;
            let confidence = mean(&mut seen.iter().map(|o| fitted.apply(o.ln_p)));
            let right = mean(&mut seen.iter().map(|o| f64::from(u8::from(o.right))));
            assert!((confidence - right).abs() < 0.02, "{fitted:?}: {confidence} for {right}");
        }
    }

    proptest! {
        #[test]
        fn rankings_stay_and_thresholds_come_back(
            temperature in 0.1..10.0_f64, bias in -3.0..3.0_f64,
            a in -30.0..0.0_f64, b in -30.0..0.0_f64, confidence in 0.001..0.999_f64,
        ) {
            let calibration = Calibration { temperature, bias };
            if a < b {
                prop_assert!(calibration.apply(a) <= calibration.apply(b));
            }
            let ln_p = calibration.invert(confidence);
            if ln_p.is_finite() {
                prop_assert!((calibration.apply(ln_p) - confidence).abs() < 1e-9);
                prop_assert!(calibration.apply(ln_p - 1e-6) <= confidence + 1e-12);
            }
        }
    }
}
