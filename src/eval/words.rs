//! What scores mean, in words.

use super::{EvalReport, Rules, Scores};
use crate::diagnostic::counted;
use crate::metrics::calibration::BINS;

impl EvalReport {
    /// What the scores mean that a reader may not know, a sentence each; `is_graph` where predictions come from a
    /// graph, which has not all that was considered.
    pub fn notes(&self, is_graph: bool) -> Vec<String> {
        notes(self, is_graph)
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
