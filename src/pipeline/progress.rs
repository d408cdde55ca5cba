//! How far the stages are, in prompts.

use crate::diagnostic::{Events, Progress, Work};

/// The stages that prompts go through, by name.
pub(super) const ENCODE: &str = "encode";
/// Asking the models.
pub(super) const PREDICT: &str = "predict";
/// Writing to the graph.
pub(super) const WRITE: &str = "write";

/// All of them, in their order.
pub(super) const STAGES: &[&str] = &[ENCODE, PREDICT, WRITE];

/// Begins work on so many prompts.
pub(super) fn begin(events: &dyn Events, prompts: usize) -> Progress<'_> {
    let total = prompts as u64;
    Progress::begin(events, Work { stages: STAGES, unit: "prompts", total, done: 0 })
}
