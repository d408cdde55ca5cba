//! How far a training is: its steps, the running mean of the loss, the tokens a second.

use std::time::Instant;

use crate::diagnostic::{Events, Progress as Shown, Work};

/// Share of the newest step in the loss that is told, which is a running mean.
const NEWEST: f64 = 0.1;
/// The one stage of a training.
const TRAIN: &str = "train";

/// Tells how far a training is.
pub struct TrainingProgress<'e> {
    shown: Shown<'e>,
    tokens: usize,
    loss: Option<f64>,
    start: Instant,
}

impl<'e> TrainingProgress<'e> {
    /// For `total` steps of which `before` are made.
    pub fn new(total: usize, before: usize, events: &'e dyn Events) -> Self {
        let (total, done) = (total as u64, before as u64);
        let shown = Shown::begin(events, Work { stages: &[TRAIN], unit: "steps", total, done });
        shown.status("measuring the held-out facts");
        Self { shown, tokens: 0, loss: None, start: Instant::now() }
    }

    /// A step was made, with this loss and of so many tokens.
    pub(super) fn step(&mut self, loss: f64, tokens: usize) {
        self.tokens += tokens;
        let mean = self.loss.map_or(loss, |mean| mean + NEWEST * (loss - mean));
        self.loss = Some(mean);
        let rate = self.tokens as f64 / self.start.elapsed().as_secs_f64();
        self.shown.status(&format!("loss {mean:.3}, {rate:.0} tokens/s"));
        self.shown.advance(TRAIN, 1);
    }

    /// Something worth a line.
    pub(super) fn note(&self, text: &str) {
        self.shown.note(text);
    }
}
