//! A report as one HTML file.

use std::path::PathBuf;

use super::{CalibrationScores, EvalReport, Scores, WrongQuestion};
use crate::diagnostic::counted;
use crate::html::{self, Axis, BarSeries, Markup, Table, html};
use crate::metrics::bootstrap::Interval;

/// Of what a report is.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    /// The files and folders of the predictions.
    pub predictions: &'a [PathBuf],
    /// Those of the gold facts.
    pub gold: &'a [PathBuf],
    /// What counted as not predicted.
    pub min_confidence: Option<f64>,
    /// Whether predictions come from a graph.
    pub is_graph: bool,
}

/// The whole page.
pub fn page(report: &EvalReport, scored: Scored<'_>) -> Markup {
    let (header, mut rows) = report.rows();
    let total = rows.pop();
    let caption = format!(
        "Scores by relation. Precision, recall and F1 are means over a relation's questions; in the \
         last row, over {}.",
        report.averaged_over()
    );
    let table = Table { caption: &caption, header, rows, total };
    let body = html! {
        section {
            h2 { "Scores" }
            @for note in report.notes(scored.is_graph) { p { (note) } }
            @if let Some(least) = scored.min_confidence {
                p {
                    "In precision, recall and F1, objects of less confidence than " (least)
                    " count as not predicted."
                }
            }
            (table.markup())
        }
        section {
            h2 { "By relation" }
            (html::figures(&[precision_at_1(report), f1(report)]))
        }
        @if let Some(calibration) = &report.all.calibration {
            section {
                h2 { "Calibration" }
                p {
                    "Of the predictions made with a confidence of 0.8, four in five should be \
                     right. Marks below the dashed line are too sure."
                }
                (html::figures(&calibration_figures(report, calibration)))
            }
        }
        @if !report.wrong.is_empty() { (wrong(report)) }
        section {
            h2 { "What was scored" }
            @for (what, files) in [("Predictions: ", scored.predictions), ("Gold: ", scored.gold)] {
                p {
                    (what)
                    @for (i, file) in files.iter().enumerate() {
                        @if i > 0 { ", " } (file.display())
                    }
                }
            }
            @let outside = report.outside_gold;
            @if outside.questions > 0 {
                p { (outside.questions) " predicted questions with " (outside.objects) " objects are not in gold." }
            }
        }
    };
    let lead = format!(
        "{} of {}; something is predicted for {} of them.",
        counted(report.all.questions, "gold question"),
        counted(report.relations.len(), "relation"),
        report.all.answered
    );
    html::page("Predictions against gold", &lead, &body)
}

/// How many wrongly answered questions the page shows.
const WRONG: usize = 500;

fn wrong(report: &EvalReport) -> Markup {
    let rows = report.wrong.iter().take(WRONG).map(WrongQuestion::row).collect();
    let caption = "Questions whose best answer is wrong or missing, 500 at most.";
    let table = Table { caption, header: WrongQuestion::HEADER.to_vec(), rows, total: None };
    html! { section { h2 { "Answered wrongly or not at all" } (table.markup()) } }
}

/// A category for each relation and, where there are several, one for all.
fn lines(report: &EvalReport) -> Vec<&Scores> {
    let all = (report.relations.len() > 1).then_some(&report.all);
    report.relations.iter().chain(all).collect()
}

fn names<'r>(lines: &[&'r Scores]) -> Vec<&'r str> {
    lines.iter().map(|scores| scores.name.as_str()).collect()
}

fn precision_at_1(report: &EvalReport) -> Markup {
    let lines = lines(report);
    let values = lines.iter().map(|scores| scores.precision_at_1).collect();
    let series = [BarSeries { name: "P@1", values }];
    let axis = Axis::share("P@1");
    let chart = html::bars("P@1 by relation", "", &axis, &names(&lines), &series);
    html::figure("P@1 by relation, with 95 % bootstrap intervals over questions.", &chart, None)
}

fn f1(report: &EvalReport) -> Markup {
    let lines = lines(report);
    let nothing = |scores: &&Scores| {
        let f1 = scores.always_empty.f1;
        Some(Interval { mean: f1, low: f1, high: f1 })
    };
    let series = [
        BarSeries {
            name: "predictions",
            values: lines.iter().map(|scores| Some(scores.macro_f1)).collect(),
        },
        BarSeries { name: "predicting nothing", values: lines.iter().map(nothing).collect() },
    ];
    let axis = Axis::share("F1");
    let chart = html::bars("F1 by relation", "", &axis, &names(&lines), &series);
    html::figure(
        "Mean F1 by relation, with 95 % bootstrap intervals, beside that of predicting nothing.",
        &chart,
        None,
    )
}

/// The reliability diagrams, before calibration and after, and the errors by relation.
fn calibration_figures(report: &EvalReport, after: &CalibrationScores) -> Vec<Markup> {
    let caption = |c: &CalibrationScores, which: &str| {
        format!(
            "How often predictions are right, by how sure they were{which}: expected calibration \
             error {:.3}.",
            c.expected_calibration_error
        )
    };
    let mut figures = Vec::new();
    match &report.all.before_calibration {
        Some(before) => {
            figures.push(html::reliability_figure(
                "Reliability before calibration",
                &caption(before, ", before calibration"),
                &before.bins,
            ));
            figures.push(html::reliability_figure(
                "Reliability after calibration",
                &caption(after, ", after calibration"),
                &after.bins,
            ));
        }
        None => {
            figures.push(html::reliability_figure("Reliability", &caption(after, ""), &after.bins));
        }
    }
    figures.push(calibration_errors(report));
    figures
}

fn calibration_errors(report: &EvalReport) -> Markup {
    let lines = lines(report);
    let error = |calibration: &Option<CalibrationScores>| {
        let error = calibration.as_ref()?.expected_calibration_error;
        Some(Interval { mean: error, low: error, high: error })
    };
    let after = lines.iter().map(|scores| error(&scores.calibration)).collect();
    let mut series = vec![BarSeries { name: "after calibration", values: after }];
    if report.all.before_calibration.is_some() {
        let before = lines.iter().map(|scores| error(&scores.before_calibration)).collect();
        series.insert(0, BarSeries { name: "before calibration", values: before });
    }
    let axis = Axis::linear("expected calibration error");
    let title = "Expected calibration error by relation";
    let chart = html::bars(title, "", &axis, &names(&lines), &series);
    html::figure("Expected calibration error by relation; 0 is best.", &chart, None)
}
