//! What a caller is told while long work goes on: notes, warnings, progress.
//!
//! The library writes to no terminal: whoever calls it decides what is shown.

use super::Diagnostics;

/// Counted work, in stages that each do all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// The stages' names, in order.
    pub stages: &'static [&'static str],
    /// What is counted, as in `prompts`.
    pub unit: &'static str,
    /// How much there is.
    pub total: u64,
    /// How much of it was done earlier.
    pub done: u64,
}

/// Is told how work goes. Every method does nothing where it is not written.
///
/// Work that has begun ends before other work begins.
pub trait Events: Send + Sync {
    /// Something worth a line: what is fetched, where a run goes on.
    fn note(&self, _text: &str) {}

    /// Inputs that can be used, though not without a word.
    fn warn(&self, _warnings: &Diagnostics) {}

    /// Counted work begins.
    fn begin(&self, _work: Work) {}

    /// A stage of the work, by its name, has done so much more.
    fn advance(&self, _stage: &'static str, _by: u64) {}

    /// How the work stands, in a few words that replace the last ones.
    fn status(&self, _text: &str) {}

    /// The work has ended, done or not.
    fn end(&self) {}
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Events for Silent {}

/// Work that has begun; it ends when this is dropped.
pub struct Progress<'e> {
    events: &'e dyn Events,
}

impl<'e> Progress<'e> {
    /// Begins `work`.
    pub fn begin(events: &'e dyn Events, work: Work) -> Self {
        events.begin(work);
        Self { events }
    }

    /// A stage has done so much more.
    pub fn advance(&self, stage: &'static str, by: usize) {
        self.events.advance(stage, by as u64);
    }

    /// How the work stands.
    pub fn status(&self, text: &str) {
        self.events.status(text);
    }

    /// Something worth a line.
    pub fn note(&self, text: &str) {
        self.events.note(text);
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.events.end();
    }
}
