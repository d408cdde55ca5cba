//! Whether confidences are probabilities: of the predictions made with confidence c, a share c
//! should be right.
//!
//! A prediction is its confidence, 0 to 1, and whether it is right.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::mean;

/// Bins of a reliability diagram, as in Guo et al. 2017 (On Calibration of Modern Neural Networks).
pub const BINS: usize = 15;

/// Predictions of about the same confidence, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// The lowest and the highest confidence that belong here.
    pub low: f64,
    /// The highest one.
    pub high: f64,
    /// How many predictions there are.
    pub count: usize,
    /// The mean of their confidences.
    pub mean_confidence: f64,
    /// The share of them that is right.
    pub accuracy: f64,
}

impl Bin {
    /// `None` without predictions.
    fn of(low: f64, high: f64, predictions: &[(f64, bool)]) -> Option<Self> {
        Some(Self {
            low,
            high,
            count: predictions.len(),
            mean_confidence: mean(predictions.iter().map(|(confidence, _)| *confidence))?,
            accuracy: mean(predictions.iter().map(|(_, right)| indicator(*right)))?,
        })
    }
}

/// [`BINS`] bins of equal width, without the empty ones, by ascending confidence. A confidence on
/// an edge belongs to the bin above it, and 1 to the last.
pub fn reliability(predictions: &[(f64, bool)]) -> Vec<Bin> {
    let mut members: Vec<Vec<(f64, bool)>> = vec![Vec::new(); BINS];
    for &(confidence, right) in predictions {
        let number = (confidence * BINS as f64) as usize;
        members[number.min(BINS - 1)].push((confidence, right));
    }
    let edge = |number: usize| number as f64 / BINS as f64;
    let bins = members.iter().enumerate();
    bins.filter_map(|(number, members)| Bin::of(edge(number), edge(number + 1), members)).collect()
}

/// [`BINS`] bins of equally many predictions, give or take one, by ascending confidence; fewer
/// where there are fewer predictions.
pub fn reliability_of_equal_mass(predictions: &[(f64, bool)]) -> Vec<Bin> {
    let mut sorted = predictions.to_vec();
    // The right ones last among equals, so that the order in which they came changes nothing.
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let start = |number: usize| number * sorted.len() / BINS;
    let members = (0..BINS).map(|number| &sorted[start(number)..start(number + 1)]);
    members
        .filter_map(|members| {
            let (low, high) = (members.first()?.0, members.last()?.0);
            Bin::of(low, high, members)
        })
        .collect()
}

/// Expected calibration error (Naeini, Cooper, Hauskrecht 2015): the mean over predictions of
/// |accuracy - mean confidence| of their bin. `None` without bins.
///
/// Usually of [`reliability`]; of [`reliability_of_equal_mass`] it is the *adaptive* error, which
/// does not depend on where confidences crowd.
pub fn error_of(bins: &[Bin]) -> Option<f64> {
    let count: usize = bins.iter().map(|bin| bin.count).sum();
    let gap = |bin: &Bin| bin.count as f64 * (bin.accuracy - bin.mean_confidence).abs();
    (count > 0).then(|| bins.iter().map(gap).sum::<f64>() / count as f64)
}

/// [`error_of`] the bins of equal width. `None` without predictions.
pub fn expected_calibration_error(predictions: &[(f64, bool)]) -> Option<f64> {
    error_of(&reliability(predictions))
}

/// [`error_of`] the bins of equal mass. `None` without predictions.
pub fn adaptive_calibration_error(predictions: &[(f64, bool)]) -> Option<f64> {
    error_of(&reliability_of_equal_mass(predictions))
}

/// The expected calibration error that confidences would show by chance if each were exactly the
/// probability of being right: the mean over `DRAWS` draws of what is right, ChaCha8's from a fixed
/// seed. Few predictions show a large one. `None` without predictions.
pub fn error_by_chance(confidences: &[f64]) -> Option<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let draw = |_| {
        let drawn = confidences.iter().map(|&c| (c, random.random::<f64>() < c));
        expected_calibration_error(&drawn.collect::<Vec<_>>())
    };
    (0..DRAWS).map(draw).collect::<Option<Vec<f64>>>().and_then(mean)
}

/// Draws of [`error_by_chance`].
const DRAWS: usize = 200;

/// Brier score (Brier 1950): the mean of (confidence - 1)² over right and confidence² over wrong
/// predictions. `None` without predictions.
pub fn brier(predictions: &[(f64, bool)]) -> Option<f64> {
    mean(predictions.iter().map(|(confidence, right)| (confidence - indicator(*right)).powi(2)))
}

/// Log loss, the mean of -ln of what a prediction gave to what came: its confidence where it is right, one
/// less its confidence where it is wrong, in nats. What was thought impossible counts as 1e-15. `None`
/// without predictions.
pub fn log_loss(predictions: &[(f64, bool)]) -> Option<f64> {
    let given = |&(confidence, right): &(f64, bool)| {
        if right { confidence } else { 1.0 - confidence }
    };
    mean(predictions.iter().map(|prediction| -given(prediction).max(1e-15).ln()))
}

/// What confidences are worth as probabilities of being right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ProbabilityScores {
    /// [`adaptive_calibration_error`].
    pub calibration_error: f64,
    /// [`brier`].
    pub brier: f64,
    /// [`log_loss`].
    pub log_loss: f64,
}

impl ProbabilityScores {
    /// `None` without predictions.
    pub fn of(predictions: &[(f64, bool)]) -> Option<Self> {
        Some(Self {
            calibration_error: adaptive_calibration_error(predictions)?,
            brier: brier(predictions)?,
            log_loss: log_loss(predictions)?,
        })
    }
}

fn indicator(right: bool) -> f64 {
    if right { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn chance_alone_makes_an_error() {
        // One confidence of 1/2 is always half away from what it turns out to be; of many the
        // error is that of a mean: E|X/n - 1/2| = sqrt(1 / (2πn)) about.
        assert_eq!(error_by_chance(&[0.5]), Some(0.5));
        let expected = (1.0 / (2.0 * std::f64::consts::PI * 400.0)).sqrt();
        let found = error_by_chance(&[0.5; 400]).unwrap();
        assert!((found - expected).abs() < 0.2 * expected, "{found} is far from {expected}");
        assert_eq!(error_by_chance(&[0.0, 1.0]), Some(0.0));
        assert_eq!(error_by_chance(&[]), None);
    }

    #[test]
    fn worked_out_by_hand() {
        // Bins 14 (0.933 to 1) and 7 (0.467 to 0.533).
        let predictions = [(0.95, true), (1.0, false), (0.5, true), (0.5, true)];
        let bins = reliability(&predictions);
        let shown: Vec<_> = bins.iter().map(|b| (b.count, b.mean_confidence, b.accuracy)).collect();
        assert_eq!(shown, [(2, 0.5, 1.0), (2, 0.975, 0.5)]);
        assert_eq!((bins[0].low, bins[0].high), (7.0 / 15.0, 8.0 / 15.0));
        let error = expected_calibration_error(&predictions).unwrap();
        assert!((error - (2.0 * 0.5 + 2.0 * 0.475) / 4.0).abs() < 1e-12);
        let expected = (0.05_f64.powi(2) + 1.0 + 0.25 + 0.25) / 4.0;
        assert!((brier(&predictions).unwrap() - expected).abs() < 1e-12);
        // The second was thought impossible to be wrong.
        let expected = -(0.95_f64.ln() + 1e-15_f64.ln() + 2.0 * 0.5_f64.ln()) / 4.0;
        assert!((log_loss(&predictions).unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn edges_belong_to_the_bin_above_and_one_to_the_last() {
        let bins = reliability(&[(0.0, false), (0.2, true), (1.0, true)]);
        let lows: Vec<f64> = bins.iter().map(|bin| bin.low).collect();
        assert_eq!(lows, [0.0, 3.0 / 15.0, 14.0 / 15.0]);
    }

    #[test]
    fn equal_mass_worked_out_by_hand() {
        // 30 predictions in 15 pairs of neighbours, of which one is right.
        let predictions: Vec<_> = (0..30).map(|i| (f64::from(i) / 100.0, i % 2 == 0)).collect();
        let bins = reliability_of_equal_mass(&predictions);
        assert_eq!(bins.len(), BINS);
        assert!(bins.iter().all(|bin| bin.count == 2 && bin.accuracy == 0.5));
        assert!((bins[3].mean_confidence - 0.065).abs() < 1e-12);
        assert_eq!((bins[3].low, bins[3].high), (0.06, 0.07));
        let error = adaptive_calibration_error(&predictions).unwrap();
        assert!((error - (0.5 - 0.145)).abs() < 1e-12, "{error}");
    }

    #[test]
    fn nothing_has_no_error() {
        assert_eq!(expected_calibration_error(&[]), None);
        assert_eq!(brier(&[]), None);
        assert_eq!(ProbabilityScores::of(&[]), None);
        assert!(reliability_of_equal_mass(&[]).is_empty());
        assert_eq!(reliability_of_equal_mass(&[(0.5, true)]).len(), 1);
    }

    proptest! {
        #[test]
        fn bins_hold_every_prediction_once(
            predictions in prop::collection::vec((0.0..=1.0_f64, any::<bool>()), 0..200),
        ) {
            for bins in [reliability(&predictions), reliability_of_equal_mass(&predictions)] {
                let count: usize = bins.iter().map(|bin| bin.count).sum();
                prop_assert_eq!(count, predictions.len());
                for bin in &bins {
                    prop_assert!(bin.low - 1e-9 <= bin.mean_confidence);
                    prop_assert!(bin.mean_confidence <= bin.high + 1e-9);
                }
                if let Some(error) = error_of(&bins) {
                    // Never less than the difference of the means, by the triangle inequality.
                    let gap = mean(predictions.iter().map(|&(c, right)| c - indicator(right)));
                    prop_assert!(error + 1e-9 >= gap.unwrap().abs() && error <= 1.0);
                }
            }
        }

        #[test]
        fn the_order_of_predictions_changes_no_error(
            predictions in prop::collection::vec((0.0..=1.0_f64, any::<bool>()), 1..60),
        ) {
            let reversed: Vec<_> = predictions.iter().rev().copied().collect();
            for bins in [reliability, reliability_of_equal_mass] {
                let errors = [&predictions, &reversed].map(|p| error_of(&bins(p)).unwrap());
                prop_assert!((errors[0] - errors[1]).abs() < 1e-12);
            }
        }
    }
}
