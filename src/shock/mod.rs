//! Pure mathematics on probability distributions: correcting a finetuned by a base model, tuning
//! the corrections, and diagnosing what finetuning did.
//!
//! Everything is a natural logarithm in `f64`. Nothing here knows models, threads or RDF.

mod calibration;
mod correction;
mod correlation;
pub mod diagnosis;
pub mod logspace;
mod mean;
mod mixture;
mod pair;
mod prior;
mod question;
pub mod tune;
mod windows;

pub use calibration::{Calibration, Evidence, Observation};
pub use correction::{Correction, Mixing, MixingRule};
pub use correlation::Correlation;
pub use mean::{Mean, MeanRemoval, RunningMean};
pub use mixture::Mixture;
pub use pair::Pair;
pub use prior::{Prior, Priors, RunningPriors, Shift};
pub use question::{Candidate, Question, majority};
pub use windows::{WindowMass, Windows};
