//! How far the stages are, in prompts.

use crate::diagnostic::{Events, Progress, Work};

/// The stages that prompts go through, by name.
pub(super) const ENCODE: &str = "encode";
/// Asking the models.
pub(super) const PREDICT: &str = "predict";
/// Writing to the graph.
pub(super) const WRITE: &str = "write";

/// Begins work on so many prompts.
pub(super) fn begin(events: &dyn Events, prompts: usize) -> Progress<'_> {
    let stages = &[ENCODE, PREDICT, WRITE];
    Progress::begin(events, Work { stages, unit: "prompts", total: prompts as u64, done: 0 })
}
