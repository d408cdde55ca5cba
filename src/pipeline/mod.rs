//! Stages, channels, progress and resume: the only room with threads.
//!
//! ```text
//! subjects x relations -> encode -> predict (base and finetuned, corrected) -> select -> write
//! ```
//!
//! The unit that is done or not is a chunk: up to [`CHUNK_SUBJECTS`] subjects of one relation. A chunk is
//! selected and written as a whole, and its place in the ledger is its number, so the number of subjects
//! of a chunk is part of what a graph depends on. Chunks of the same subjects flow as one batch, which
//! is predicted together.

mod ask;
mod asking;
mod blocks;
mod crawl;
mod derive;
mod encode;
mod environment;
mod error;
mod estimate;
mod examples;
mod fit;
mod gone;
mod inputs;
mod job;
mod known;
mod local_models;
mod means;
mod memory;
mod merge;
mod models;
mod open;
mod plan;
mod predict;
mod processes;
mod processors;
mod progress;
mod questions;
mod remember;
mod report;
mod report_file;
mod rows;
mod run;
mod schema;
mod score;
mod select;
mod shard;
mod share;
mod shared_means;
mod signature;
mod space;
pub mod stages;
mod tokens;
mod tune;
mod tuned;
mod work;

pub use ask::{AnsweredQuestion, RankedObject};
pub use blocks::CHUNK_SUBJECTS;
pub use encode::{Encoded, encode};
pub use environment::Environment;
pub use error::Error;
pub use estimate::{Estimate, WorkCounts};
pub use inputs::{Inputs, PRIOR_SUBJECTS, RelationInputs};
pub use job::{Job, PlannedJob};
pub use known::KnownQuestion;
pub use means::MeansOf;
pub use memory::free_memory;
pub use merge::{MergeOptions, MergedGraph, merge};
pub use models::{LocatedModels, ModelsError, locate};
pub use plan::{Plan, RelationPlan, Size, Task};
pub use predict::{ModelWork, Predicted, Predictor};
pub use processes::{ProcessError, Teller, run_processes};
pub use questions::{KnownQuestions, ScoredQuestions};
pub use remember::AskedModel;
pub use report::{RelationReport, RunReport, Statistics};
pub use report_file::{ReportFile, ReportFileError, report_text};
pub use rows::{AnsweredRow, RowWorker, SubjectRow};
pub use run::run;
pub use score::{Distributions, Scored, prompts, prompts_per_second, take_priors};
pub use select::{Selected, select};
pub use shard::{Shard, ShardError};
pub use shared_means::{SharedMeans, SharedMeansError};
pub use tune::{TunedPlan, tune};
pub use tuned::NOT_TUNED;
