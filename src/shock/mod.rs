//! Pure mathematics on probability distributions: mixing a finetuned with a base model.
//!
//! Everything is a natural logarithm in `f64`. Nothing here knows models, threads or RDF.

mod correction;
pub mod logspace;

pub use correction::{Correction, Mixing};
