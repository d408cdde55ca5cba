//! How good answers are: ranking and set metrics, calibration error, and how far each number can
//! be trusted.
//!
//! Invariant: every metric is a plain function of its arguments, deterministic and never NaN. A
//! mean over nothing is `None`, not zero.

pub mod bootstrap;
pub mod calibration;
mod gold;
mod jsonl;
mod lm_kbc;
mod name;
mod predictions;
pub mod ranking;
mod report;
pub mod sets;

pub use gold::{Gold, GoldQuestion};
pub use name::{Name, Naming};
pub use predictions::{PredictedObject, PredictedQuestion, Predictions};
pub use report::{Calibration, Outside, Report, Scores};

/// The mean; `None` of nothing.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0);
    for value in values {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / f64::from(count))
}
