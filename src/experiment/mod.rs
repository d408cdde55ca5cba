//! The measurement of Frequency Shock: models finetuned on training sets of growing skew, with and
//! without mixture, tested as they are and corrected.
//!
//! [`read`] takes a folder of facts, [`split`] divides them by a seed, [`files`] writes what the
//! other commands read, [`answer`] asks what a system makes of two models' distributions, and
//! [`rows`] puts the seeds together. [`run`] does all of it: every model is one cell, whose files,
//! training and result lie in a folder of its own, and a cell with a result is not made again.

mod answers;
mod cell;
mod error;
pub mod files;
mod folder;
mod page;
mod results;
mod run;
mod runner;
mod source;
mod split;
mod summary;
mod tables;

pub use error::Error;
pub use results::{
    Frequencies, MIN_QUESTIONS, Questions, SystemOutcome, answer, gold_counts, lambda_curve,
};
pub use run::{Measured, run};
pub use source::{RelationFacts, read};
pub use split::{Fact, Split, distance, split};
pub use summary::{CellResult, Column, RowMeasures, SummaryRow, rows};
pub use tables::{DISTANCE, Numbers, tables};
