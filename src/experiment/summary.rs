//! The tables of an experiment: the results of all cells, over the seeds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::results::SystemOutcome;
use crate::config::experiment::Skew;
use crate::diagnosis::System;
use crate::metrics::bootstrap::{self, Interval};
use crate::metrics::calibration::adaptive_calibration_error;
use crate::metrics::mean;

/// One finetuned model with what it and its base answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// What it depends on; a result under another signature is not used.
    pub signature: String,
    /// Which split, and which run of the training.
    pub seed: u32,
    /// How its training facts were chosen.
    pub skew: Skew,
    /// How often it saw each of them.
    pub passes: usize,
    /// Whether it was finetuned on the mixture of facts and text.
    pub mixture: bool,
    /// How many facts it was trained on.
    pub training_facts: usize,
    /// The total variation distance of the training objects from the natural ones, the mean over
    /// relations, 0 to 1.
    pub distance: f64,
    /// How many test questions have a common object, and a rare one that was trained.
    pub gold_common: f64,
    /// The second of the two.
    pub gold_rare_trained: f64,
    /// By test question that has objects, whether the majority answer is right.
    #[serde(default)]
    pub majority: Vec<f64>,
    /// What each system answered.
    pub outcomes: BTreeMap<System, SystemOutcome>,
    /// P@1 against λ.
    pub curves: BTreeMap<System, Vec<(f64, f64)>>,
}

/// A column of the main table: how the model was finetuned, and how it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Column {
    /// Whether the model was finetuned on the mixture of facts and text.
    pub mixture: bool,
    /// Who answers.
    pub system: System,
}

impl Column {
    /// The columns that a paper would print: neither remedy, one, the other, both.
    pub const MAIN: [Self; 5] = [
        Self { mixture: false, system: System::Base },
        Self { mixture: false, system: System::Finetuned },
        Self { mixture: false, system: System::LogLinear },
        Self { mixture: true, system: System::Finetuned },
        Self { mixture: true, system: System::LogLinear },
    ];

    /// Neither remedy: what the others are held against.
    const VANILLA: Self = Self { mixture: false, system: System::Finetuned };

    /// What is held against vanilla finetuning.
    pub const HELD_AGAINST_VANILLA: [Self; 4] = [
        Self { mixture: false, system: System::Base },
        Self { mixture: false, system: System::LogLinear },
        Self { mixture: true, system: System::Finetuned },
        Self { mixture: true, system: System::LogLinear },
    ];

    /// All corrections, for either finetuning.
    pub const CORRECTIONS: [Self; 6] = [
        Self { mixture: false, system: System::Linear },
        Self { mixture: false, system: System::LogLinear },
        Self { mixture: false, system: System::Prior },
        Self { mixture: true, system: System::Linear },
        Self { mixture: true, system: System::LogLinear },
        Self { mixture: true, system: System::Prior },
    ];

    /// Its name in tables and in results.json.
    pub fn name(self) -> &'static str {
        match (self.mixture, self.system) {
            (_, System::Base) => "base",
            (false, System::Finetuned) => "vanilla",
            (false, System::Linear) => "vanilla, linear",
            (false, System::LogLinear) => "mixing",
            (false, System::Prior) => "vanilla, prior",
            (true, System::Finetuned) => "mixture",
            (true, System::Linear) => "mixture, linear",
            (true, System::LogLinear) => "both",
            (true, System::Prior) => "mixture, prior",
        }
    }
}

/// A row of the tables: all seeds of one kind of training set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SummaryRow {
    /// How the training facts were chosen.
    pub skew: Skew,
    /// How often a model saw each of them.
    pub passes: usize,
    /// How many seeds there are of the finetuning that has most.
    pub seeds: usize,
    /// The mean over the seeds of the distance from the natural distribution.
    pub distance: f64,
    /// The mean over the seeds of the gold counts.
    pub gold_common: f64,
    /// That of the rare objects that were trained.
    pub gold_rare_trained: f64,
    /// P@1 of always giving the object of most other test questions: the mean over the seeds.
    pub majority: f64,
    /// By the column's name.
    pub columns: BTreeMap<&'static str, RowMeasures>,
}

/// What a column is worth in a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowMeasures {
    /// P@1: the mean over the seeds; its interval by drawing questions within each seed.
    pub p_at_1: Interval,
    /// P@1 by seed, in the order of the seeds.
    pub by_seed: Vec<f64>,
    /// P@1 minus that of vanilla finetuning on the same questions, over the seeds that have both.
    /// The questions are drawn with both answers, so that what makes a question easy or hard for
    /// both is no part of the interval.
    pub over_vanilla: Option<Interval>,
    /// The mean reciprocal rank.
    pub mrr: f64,
    /// Calibration error over bins of equal mass of the best answers, of all seeds together: by their
    /// probability and by their confidence.
    pub ece_of_probability: Option<f64>,
    /// By their confidence, where they were calibrated.
    pub ece: Option<f64>,
    /// The mean over the seeds of the predictions with a common object, and with a rare one that
    /// was trained.
    pub common: f64,
    /// That of the rare objects that were trained.
    pub rare_trained: f64,
}

/// Every kind of training set, in the order of skew, then passes.
pub fn rows(cells: &[CellResult]) -> Vec<SummaryRow> {
    let mut kinds: Vec<(Skew, usize)> = cells.iter().map(|cell| (cell.skew, cell.passes)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
        .into_iter()
        .map(|(skew, passes)| {
            let of: Vec<&CellResult> =
                cells.iter().filter(|c| c.skew == skew && c.passes == passes).collect();
            row(skew, passes, &of)
        })
        .collect()
}

fn row(skew: Skew, passes: usize, cells: &[&CellResult]) -> SummaryRow {
    let average = |of: fn(&CellResult) -> f64| mean(cells.iter().map(|c| of(c))).unwrap_or(0.0);
    let columns: Vec<Column> = Column::MAIN.into_iter().chain(Column::CORRECTIONS).collect();
    let vanilla = by_seed(cells, Column::VANILLA);
    let measured = columns.into_iter().filter_map(|column| {
        let outcomes = by_seed(cells, column);
        let mut measures = measures(&outcomes.values().copied().collect::<Vec<_>>())?;
        measures.over_vanilla = difference(&outcomes, &vanilla);
        Some((column.name(), measures))
    });
    let seeds = |mixture| cells.iter().filter(|cell| cell.mixture == mixture).count();
    SummaryRow {
        skew,
        passes,
        seeds: seeds(true).max(seeds(false)),
        distance: average(|cell| cell.distance),
        gold_common: average(|cell| cell.gold_common),
        majority: average(|cell| mean(cell.majority.iter().copied()).unwrap_or(0.0)),
        gold_rare_trained: average(|cell| cell.gold_rare_trained),
        columns: measured.collect(),
    }
}

/// What a column is of, by seed.
fn by_seed<'a>(cells: &[&'a CellResult], column: Column) -> BTreeMap<u32, &'a SystemOutcome> {
    let cells = cells.iter().filter(|cell| cell.mixture == column.mixture);
    cells.filter_map(|cell| Some((cell.seed, cell.outcomes.get(&column.system)?))).collect()
}

/// First minus second, question by question, over the seeds that have both.
fn difference(
    first: &BTreeMap<u32, &SystemOutcome>,
    second: &BTreeMap<u32, &SystemOutcome>,
) -> Option<Interval> {
    let differences: Vec<Vec<f64>> = first
        .iter()
        .filter_map(|(seed, first)| {
            let pairs = first.right.iter().zip(&second.get(seed)?.right);
            Some(pairs.map(|(first, second)| first - second).collect())
        })
        .collect();
    let differences: Vec<&[f64]> = differences.iter().map(Vec::as_slice).collect();
    bootstrap::stratified(&differences, BOOTSTRAP_SEED)
}

/// Drawing is random; this is where it begins.
const BOOTSTRAP_SEED: u64 = 0;

/// Of one outcome a seed; nothing without any.
fn measures(outcomes: &[&SystemOutcome]) -> Option<RowMeasures> {
    let rights: Vec<&[f64]> = outcomes.iter().map(|outcome| outcome.right.as_slice()).collect();
    let seeds = outcomes.len().max(1) as f64;
    let pairs = |confidences: fn(&SystemOutcome) -> &[f64]| -> Vec<(f64, bool)> {
        let of = |outcome: &&SystemOutcome| {
            let confidences = confidences(outcome).to_vec();
            let right = outcome.right.iter().map(|&right| right > 0.0).collect::<Vec<_>>();
            confidences.into_iter().zip(right)
        };
        outcomes.iter().flat_map(of).collect()
    };
    Some(RowMeasures {
        p_at_1: bootstrap::stratified(&rights, BOOTSTRAP_SEED)?,
        over_vanilla: None,
        by_seed: rights.iter().filter_map(|right| mean(right.iter().copied())).collect(),
        mrr: mean(outcomes.iter().filter_map(|o| mean(o.reciprocal_ranks.iter().copied())))?,
        ece_of_probability: adaptive_calibration_error(&pairs(|o| &o.probabilities)),
        ece: adaptive_calibration_error(&pairs(|o| &o.confidences)),
        common: outcomes.iter().map(|o| o.common as f64).sum::<f64>() / seeds,
        rare_trained: outcomes.iter().map(|o| o.rare_trained as f64).sum::<f64>() / seeds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(right: &[f64]) -> SystemOutcome {
        SystemOutcome {
            right: right.to_vec(),
            reciprocal_ranks: right.iter().map(|r| r.max(0.5)).collect(),
            probabilities: vec![0.9; right.len()],
            confidences: vec![0.5; right.len()],
            common: 3,
            rare_trained: 1,
            weights: None,
        }
    }

    fn cell(seed: u32, mixture: bool, right: &[f64]) -> CellResult {
        CellResult {
            signature: String::new(),
            seed,
            skew: Skew::Flattened,
            passes: 2,
            mixture,
            training_facts: 7,
            distance: f64::from(seed),
            gold_common: 2.0,
            gold_rare_trained: 1.0,
            majority: vec![1.0, 0.0],
            outcomes: BTreeMap::from([(System::Finetuned, outcome(right))]),
            curves: BTreeMap::new(),
        }
    }

    #[test]
    fn a_row_is_the_mean_over_its_seeds() {
        let cells = [
            cell(2, false, &[1.0, 1.0, 0.0, 0.0]),
            cell(1, false, &[1.0, 0.0, 0.0, 0.0]),
            cell(1, true, &[1.0, 1.0, 1.0, 1.0]),
        ];
        let rows = rows(&cells);
        assert_eq!(rows.len(), 1);
        let vanilla = &rows[0].columns["vanilla"];
        assert_eq!(vanilla.by_seed, [0.25, 0.5]);
        assert!((vanilla.p_at_1.mean - 0.375).abs() < 1e-12);
        assert!(vanilla.p_at_1.low < 0.375 && vanilla.p_at_1.high > 0.375);
        assert!((vanilla.mrr - (0.625 + 0.75) / 2.0).abs() < 1e-12);
        // 3 of 8 right, all with 0.9 and with confidence 0.5, each in a bin of its own.
        assert!((vanilla.ece_of_probability.unwrap() - (3.0 * 0.1 + 5.0 * 0.9) / 8.0).abs() < 1e-9);
        assert!((vanilla.ece.unwrap() - 0.5).abs() < 1e-9);
        let mixture = &rows[0].columns["mixture"];
        assert_eq!(mixture.by_seed, [1.0]);
        // Of seed 1, which both have: three of four questions more.
        let gain = mixture.over_vanilla.unwrap();
        assert!(gain.mean == 0.75 && gain.low >= 0.0 && gain.high == 1.0, "{gain:?}");
        let none = vanilla.over_vanilla.unwrap();
        assert_eq!((none.mean, none.low, none.high), (0.0, 0.0, 0.0));
        assert_eq!((rows[0].seeds, rows[0].distance), (2, 4.0 / 3.0));
        assert!(!rows[0].columns.contains_key("both"));
    }
}
