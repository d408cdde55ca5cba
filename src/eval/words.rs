//! Scores as tables and in words.

use super::{CalibrationScores, EvalReport, Rules, Scores};
use crate::diagnostic::counted;
use crate::metrics::calibration::BINS;

impl EvalReport {
    /// What the scores mean that a reader may not know, a sentence each; `is_graph` where predictions come from a
    /// graph, which has not all that was considered.
    pub fn notes(&self, is_graph: bool) -> Vec<String> {
        notes(self, is_graph)
    }

    /// A table of the scores: its header, a row a relation, and the row of all, with the calibration error where there
    /// are confidences.
    pub fn rows(&self) -> (Vec<&'static str>, Vec<Vec<String>>) {
        rows(self)
    }

    /// What the scores of all are means over.
    pub fn averaged_over(&self) -> &'static str {
        match self.rules {
            Rules::LmKbc2022 => "relations",
            Rules::LmKbc2026 => "questions",
        }
    }
}

/// What the confidences are worth, in words.
fn calibration(all: &Scores) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(c) = &all.calibration {
        notes.push(format!(
            "Calibration of {}: expected calibration error {:.3} over {} bins of equal \
             width ({:.3} of equal mass; {:.3} by chance if they were exact), Brier score {:.3}, log loss \
             {:.3}; mean confidence {:.3}, accuracy {:.3}.",
            counted(c.predictions, "confidence"),
            c.expected_calibration_error,
            BINS,
            c.adaptive_calibration_error,
            c.error_by_chance,
            c.brier,
            c.log_loss,
            c.mean_confidence,
            c.accuracy
        ));
    }
    if let Some(before) = &all.before_calibration {
        notes.push(format!(
            "Before they were calibrated: expected calibration error {:.3} ({:.3} of equal mass), \
             Brier score {:.3}, log loss {:.3}; mean confidence {:.3}.",
            before.expected_calibration_error,
            before.adaptive_calibration_error,
            before.brier,
            before.log_loss,
            before.mean_confidence
        ));
    }
    notes
}

/// What the numbers mean that a reader may not know, a sentence each.
fn notes(report: &EvalReport, is_graph: bool) -> Vec<String> {
    let all = &report.all;
    let mut notes = Vec::new();
    if let Some(p) = all.precision_at_1 {
        notes.push(format!(
            "P@1 {:.3} (95 % interval {:.3} to {:.3}) over the {} questions that have a gold object; \
             always giving the object of most other questions would have {:.3} (majority).",
            p.mean,
            p.low,
            p.high,
            all.questions - all.without_object,
            all.majority_precision_at_1.unwrap_or(0.0)
        ));
    }
    let f1 = all.macro_f1;
    notes.push(format!(
        "Macro F1 {:.3} (95 % interval {:.3} to {:.3}) by the rules of {}, over {}; predicting nothing \
         would score {:.3}.",
        f1.mean,
        f1.low,
        f1.high,
        report.rules.name(),
        report.averaged_over(),
        all.always_empty.f1
    ));
    if report.tolerance > 0.0 {
        let percent = report.tolerance * 100.0;
        notes.push(format!("A number is right within {percent} % of the gold one."));
    }
    notes.push(format!(
        "Pooled over all questions (micro): precision {:.3}, recall {:.3}, F1 {:.3}; {} \
         predicted, {} of {} found.",
        all.micro.precision,
        all.micro.recall,
        all.micro.f1,
        counted(all.counts.predicted, "object"),
        all.counts.found,
        counted(all.counts.gold, "gold object")
    ));
    notes.extend(calibration(all));
    if !report.wrong.is_empty() {
        notes.push(format!(
            "{} answered wrongly or not at all: `--wrong FILE` lists them, and `--json` and `--html` do.",
            counted(report.wrong.len(), "question")
        ));
    }
    if is_graph {
        notes.push(
            "A graph holds only what passed its run's threshold: P@1, MRR and Hits@k count all \
             else as not found."
                .to_owned(),
        );
    }
    notes
}

/// A number of a table.
fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

const HEADER: [&str; 14] = [
    "relation",
    "questions",
    "no object",
    "answered",
    "majority",
    "P@1",
    "MRR",
    "Hits@3",
    "Hits@10",
    "precision",
    "recall",
    "F1",
    "always-empty F1",
    "micro F1",
];

fn row(scores: &Scores) -> Vec<String> {
    let ranking = scores.ranking.as_ref();
    let counts = [scores.questions, scores.without_object, scores.answered];
    let numbers = [
        scores.majority_precision_at_1,
        ranking.map(|r| r.precision_at_1),
        ranking.map(|r| r.mean_reciprocal_rank),
        ranking.map(|r| r.hits_at_3),
        ranking.map(|r| r.hits_at_10),
        Some(scores.macro_average.precision),
        Some(scores.macro_average.recall),
        Some(scores.macro_average.f1),
        Some(scores.always_empty.f1),
        Some(scores.micro.f1),
    ];
    let counts = counts.iter().map(usize::to_string);
    std::iter::once(scores.name.clone()).chain(counts).chain(numbers.map(number)).collect()
}

/// The table of all relations, with the calibration error where there are confidences.
fn rows(report: &EvalReport) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let mut header = HEADER.to_vec();
    let scores = || report.relations.iter().chain([&report.all]);
    let mut rows: Vec<Vec<String>> = scores().map(row).collect();
    let mut add = |name, of: fn(&Scores) -> &Option<CalibrationScores>| {
        if of(&report.all).is_some() {
            header.push(name);
            for (row, scores) in rows.iter_mut().zip(scores()) {
                row.push(number(of(scores).as_ref().map(|c| c.expected_calibration_error)));
            }
        }
    };
    add("ECE before", |scores| &scores.before_calibration);
    add("ECE", |scores| &scores.calibration);
    (header, rows)
}
