//! Frequency Shock diagnosed: a finetuned model against its base, and the corrections beside them,
//! on facts that the model has not seen.

mod diagnose;
mod report;
mod systems;
mod verdict;

pub use diagnose::{DiagnosisFacts, diagnose, two_models};
pub use report::{
    DiagnosedRelation, DiagnosisReport, EntityReport, Seen, SystemScores, TrainingEffect,
};
pub use systems::{Diagnosed, ObjectCounts, System, UNSAID_LAMBDA, answer_all};
pub use verdict::{Harm, Verdict};
