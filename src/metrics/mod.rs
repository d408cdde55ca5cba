//! How good answers are, as pure numbers: ranking and set metrics, calibration error, and how far
//! each number can be trusted.
//!
//! Invariant: every metric is a plain function of its arguments, deterministic and never NaN. A
//! mean over nothing is `None`, not zero.

pub mod bootstrap;
pub mod calibration;
pub mod matching;
pub mod proportion;
pub mod ranking;
pub mod sets;

/// The mean; `None` of nothing.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0);
    for value in values {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / f64::from(count))
}
