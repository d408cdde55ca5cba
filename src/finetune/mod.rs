//! Finetuning a decoder on facts, alone or mixed with its pre-training task; all its weights or LoRA
//! adapters.
//!
//! Above is what to train: [`TrainingInputs`] and [`Sources`] are read, [`Prepared`] turns them into a
//! [`TrainingPlan`] of batches, a [`Trainer`] makes the steps, and an [`OutputFolder`] folder takes the result with
//! its [`Card`].
//!
//! Below is the engine: [`Model`] gives the loss of a [`Batch`] and its gradients; [`AdamW`] takes
//! the step. On the CPU both are written by hand (`pass.rs` over `ops/`); elsewhere candle's own
//! operations and its automatic differentiation compute the same (`graph.rs`). Tests hold the two
//! against each other.

mod adamw;
mod batch;
pub mod card;
mod checkpoint;
mod error;
mod examples;
mod export;
mod gradients;
mod graph;
mod inputs;
mod lora;
mod model;
mod ops;
mod output;
mod owned;
mod pass;
mod plan;
mod prepare;
mod progress;
mod run;
mod schedule;
mod signature;
#[cfg(test)]
mod tests;
mod text;
mod train;
mod values;

pub use crate::onnx::Module;
pub use adamw::{AdamW, AdamWSettings};
pub use batch::{Batch, Target};
pub use card::Card;
pub use error::EngineError;
pub use gradients::Gradients;
pub use inputs::{Labels, TrainingInputs};
pub use lora::Trainable;
pub use model::{Loss, Model};
pub use output::{OutputError, OutputFolder, finished, replaceable};
pub use plan::{Losses, Portion, TrainingPlan};
pub use prepare::{PrepareError, Prepared, Sources};
pub use progress::TrainingProgress;
pub use run::{RunError, TrainingOutcome, run, use_threads};
pub use train::{Ended, TrainError, Trainer};
