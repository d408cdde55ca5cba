//! How far a mean over questions can be trusted: percentile bootstrap (Efron 1979).
//!
//! Questions are drawn with replacement, as many as there are, [`RESAMPLES`] times; the interval
//! holds the middle 95 % of the means of these samples. The random numbers are ChaCha8's, so that
//! a seed gives the same interval on every machine.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::mean;

/// How many samples are drawn.
pub const RESAMPLES: usize = 2_000;

/// The share of the samples' means that lies in an interval.
pub const COVERAGE: f64 = 0.95;

/// A mean and its bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The mean of the values themselves, not of the samples.
    pub mean: f64,
    /// The samples' quantile (1 - [`COVERAGE`]) / 2.
    pub low: f64,
    /// The samples' quantile (1 + [`COVERAGE`]) / 2.
    pub high: f64,
}

/// The interval of a mean over questions; `None` without questions.
pub fn interval(values: &[f64], seed: u64) -> Option<Interval> {
    stratified(&[values], seed)
}

/// The interval of the mean over relations of the mean over each relation's questions, which are
/// drawn within their relation. A relation without questions has no say; `None` where all are.
pub fn stratified(relations: &[&[f64]], seed: u64) -> Option<Interval> {
    let relations: Vec<&[f64]> = relations.iter().copied().filter(|r| !r.is_empty()).collect();
    let mean = mean(relations.iter().filter_map(|values| mean(values.iter().copied())))?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut resample = || {
        let of_relation = |values: &&[f64]| {
            let sum: f64 =
                (0..values.len()).map(|_| values[random.random_range(0..values.len())]).sum();
            sum / values.len() as f64
        };
        relations.iter().map(of_relation).sum::<f64>() / relations.len() as f64
    };
    let mut means: Vec<f64> = (0..RESAMPLES).map(|_| resample()).collect();
    means.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - COVERAGE) / 2.0;
    Some(Interval { mean, low: quantile(&means, tail), high: quantile(&means, 1.0 - tail) })
}

/// The interval of the mean difference, first minus second, of two systems that answered the
/// same questions. Where it does not hold 0, the better one is better beyond chance.
pub fn difference(questions: &[(f64, f64)], seed: u64) -> Option<Interval> {
    let differences: Vec<f64> = questions.iter().map(|(first, second)| first - second).collect();
    interval(&differences, seed)
}

/// The quantile of sorted values, at least one, by linear interpolation.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_are_interpolated() {
        let sorted = [1.0, 2.0, 4.0];
        assert_eq!(
            [0.0, 0.25, 0.5, 0.75, 1.0].map(|s| quantile(&sorted, s)),
            [1.0, 1.5, 2.0, 3.0, 4.0]
        );
    }

    #[test]
    fn a_share_has_the_interval_of_the_binomial() {
        // 400 questions, 30 % right: standard error sqrt(0.3 · 0.7 / 400) = 0.0229, times 1.96.
        let values: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i % 10 < 3))).collect();
        let Interval { mean, low, high } = interval(&values, 1).unwrap();
        assert!((mean - 0.3).abs() < 1e-12);
        assert!((low - (0.3 - 0.0449)).abs() < 0.006, "{low}");
        assert!((high - (0.3 + 0.0449)).abs() < 0.006, "{high}");
    }

    #[test]
    fn strata_have_equal_say_and_no_spread_between_them() {
        let (large, small) = (vec![1.0; 90], vec![0.0; 10]);
        let found = stratified(&[&large, &[], &small], 7).unwrap();
        assert_eq!(found, Interval { mean: 0.5, low: 0.5, high: 0.5 });
        assert_eq!(stratified(&[&[], &[]], 7), None);
        assert_eq!(interval(&[], 7), None);
    }

    #[test]
    fn a_paired_difference_is_narrower_than_its_parts() {
        // Two systems that differ in 5 of 100 questions, all in favour of the first.
        let questions: Vec<(f64, f64)> =
            (0..100).map(|i| (f64::from(u8::from(i < 50)), f64::from(u8::from(i < 45)))).collect();
        let gap = difference(&questions, 3).unwrap();
        assert!((gap.mean - 0.05).abs() < 1e-12);
        assert!(gap.low > 0.0 && gap.high < 0.11, "{gap:?}");
        let first: Vec<f64> = questions.iter().map(|q| q.0).collect();
        let alone = interval(&first, 3).unwrap();
        assert!(alone.high - alone.low > gap.high - gap.low);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn intervals_are_the_same_every_time_and_within_the_values(
            values in prop::collection::vec(-5.0..5.0_f64, 1..40), seed: u64,
        ) {
            let found = interval(&values, seed).unwrap();
            prop_assert_eq!(Some(found), interval(&values, seed));
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(least - 1e-9 <= found.low && found.low <= found.high);
            prop_assert!(found.high <= most + 1e-9);
        }
    }
}
