//! The models of an experiment: one a cell.

use crate::config::experiment::{Experiment, Skew};
use crate::diagnostic::counted;

/// One model that is trained and asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    /// The seed of all that is drawn.
    pub seed: u32,
    /// How the training facts are drawn.
    pub skew: Skew,
    /// Passes over the training facts.
    pub passes: usize,
    /// Whether text is mixed in.
    pub mixture: bool,
}

impl Cell {
    /// What kind of finetuning it is.
    fn kind(&self) -> &'static str {
        if self.mixture { "mixture" } else { "vanilla" }
    }

    /// The name of its folder in its seed's.
    pub(super) fn folder(&self) -> String {
        format!("{}-{}-{}", self.skew.name(), self.kind(), self.passes)
    }

    /// Its name, for people.
    pub(super) fn name(&self) -> String {
        format!(
            "seed {}, {} facts, {}, {}",
            self.seed,
            self.skew.name(),
            counted(self.passes, "pass"),
            self.kind()
        )
    }
}

/// All that an experiment asks for, seed by seed.
pub(super) fn cells(experiment: &Experiment) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &seed in &experiment.seeds {
        for &skew in &experiment.skews {
            for &passes in &experiment.passes {
                cells.extend([false, true].map(|mixture| Cell { seed, skew, passes, mixture }));
            }
        }
    }
    cells
}
