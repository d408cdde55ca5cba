//! Stages, channels, progress and resume: the only room with threads.
//!
//! ```text
//! subjects x relations -> encode -> predict (base and finetuned, corrected) -> select -> write
//! ```
//!
//! The unit that flows is a chunk: up to [`CHUNK_SUBJECTS`] subjects of one relation. A chunk is
//! predicted, selected and written as a whole, and its place in the ledger is its number, so the
//! number of subjects of a chunk is part of what a graph depends on.

mod diagnose;
mod encode;
mod examples;
mod fit;
mod inputs;
mod known;
mod models;
mod plan;
mod predict;
mod progress;
mod report;
mod report_file;
mod run;
mod score;
mod select;
pub mod stages;
mod tune;

pub use diagnose::{Diagnosed, ObjectCounts, System, UNSAID_LAMBDA, diagnose};
pub use encode::{Encoded, encode};
pub use inputs::{Inputs, PRIOR_SUBJECTS, RelationInputs};
pub use known::KnownQuestion;
pub use models::{Error as ModelsError, LocatedModels, locate};
pub use plan::{CHUNK_SUBJECTS, Plan, RelationPlan, Size, Task};
pub use predict::{Predicted, Predictor, Work};
pub use progress::Progress;
pub use report::{Asked, RelationReport, Report, Statistics};
pub use report_file::{Error as ReportFileError, ReportFile, report_text};
pub use run::run;
pub use score::{Distributions, prompts, prompts_per_second, score, take_priors};
pub use select::{Selected, select};
pub use tune::tune;

/// Why a run ended before its end. What was committed before stays in the graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A label that the tokenizer cannot encode.
    #[error(transparent)]
    Prompter(#[from] crate::lm::PrompterError),
    /// A prompt does not fit into the model's context with its longest candidate.
    #[error(
        "the prompt for <{subject}> and <{relation}> has {prompt} tokens, and its longest \
         candidate {candidate} more, but the model's context is {context}; shorten the subject's \
         label or the template"
    )]
    Context {
        /// The subject's IRI.
        subject: String,
        /// The relation's IRI.
        relation: String,
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens of the longest candidate with what follows it.
        candidate: usize,
        /// Tokens that the model takes.
        context: usize,
    },
    /// The tokenizer leaves nothing of a prompt.
    #[error(
        "the tokenizer leaves nothing of the prompt for <{subject}> and <{relation}>; write a \
         template with words of the model's language, or give the subject such a label"
    )]
    EmptyPrompt {
        /// The subject's IRI.
        subject: String,
        /// The relation's IRI.
        relation: String,
    },
    /// A model failed.
    #[error(transparent)]
    Model(#[from] crate::lm::Error),
    /// The graph could not be written.
    #[error(transparent)]
    Graph(#[from] crate::graph::Error),
    /// The ledger holds statistics that this version cannot read.
    #[error(
        "the ledger's entry for chunk {chunk} of <{relation}> cannot be read; run with --fresh"
    )]
    Ledger {
        /// The relation's IRI.
        relation: String,
        /// The chunk's number.
        chunk: u64,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}
