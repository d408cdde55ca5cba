//! Graphs that the field's exporters wrote, after [`crate::onnx::prepare`]: what they ask for is
//! found from their inputs and outputs, and what they can do is tried.
//!
//! No batch is ever padded: rows of equal length ride together. So an export needs no attention
//! mask to be right, and a row's numbers do not depend on its neighbours.

mod graph;
mod inputs;
mod trial;

pub(super) use graph::{Feed, Graph, PROBE};
pub(super) use inputs::{Behind, CacheRow, States};
pub(super) use trial::{Trial, steps};

/// Where the last tokens of `rows` rows of `length` tokens are, among all tokens.
pub(super) fn last_tokens(rows: usize, length: usize) -> Vec<usize> {
    (1..=rows).map(|row| row * length - 1).collect()
}

/// How many tokens of how many rows ride in one run.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// Most tokens of one run, those in a cache included.
    pub tokens: usize,
    /// Whether each sequence is computed alone: where a graph quantises its activations as it
    /// runs, the scale is the whole batch's, and so would be the numbers.
    pub alone: bool,
}

impl Batching {
    /// How many rows of `length` tokens ride together, at least one.
    pub fn rows(&self, length: usize) -> usize {
        if self.alone { 1 } else { (self.tokens / length.max(1)).max(1) }
    }
}
