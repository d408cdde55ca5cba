//! `kgbuild eval`: a graph or a file of predictions scored against gold facts.

use std::path::PathBuf;

use serde::Serialize;

use super::args::EvalArgs;
use super::deliver::{deliver, json};
use super::failure::{Failure, show};
use super::streams::Console;
use super::{store, table};
use crate::diagnostic::{At, Diagnostic, Diagnostics};
use crate::eval::{EvalReport, Gold, Predictions, Scored, page};
use crate::files::{WriteError, writable, write_whole};

/// The columns that a narrow terminal does without, the first one first; JSON and HTML have them.
const SPARE: [&str; 9] = [
    "ECE before",
    "micro F1",
    "no object",
    "answered",
    "Hits@3",
    "recall",
    "precision",
    "Hits@10",
    "MRR",
];

/// The report with what it is a report of.
#[derive(Serialize)]
struct NamedReport<'a> {
    predictions: Vec<String>,
    gold: Vec<String>,
    min_confidence: Option<f64>,
    #[serde(flatten)]
    report: &'a EvalReport,
}

/// Scores and prints or writes the scores.
pub(super) fn eval(args: &EvalArgs, console: Console) -> Result<(), Failure> {
    let inputs = [&args.gold[..], &args.predictions].concat();
    let files = [
        ("--html", args.html.as_deref()),
        ("--wrong", args.wrong.as_deref()),
        ("-o", args.output.as_deref()),
    ];
    writable(&files, &inputs)?;
    let (gold, warnings) = Gold::read(&args.gold, args.rules, args.tolerance)?;
    show(&warnings);
    let (predictions, is_graph) = read(&args.predictions, &gold)?;
    let placed = |mistakes: Diagnostics| {
        let place = |mistake: Diagnostic| mistake.at(&args.predictions[0], At::File);
        Diagnostics(mistakes.0.into_iter().map(place).collect())
    };
    let (report, warnings) =
        EvalReport::new(&gold, &predictions, args.min_confidence).map_err(placed)?;
    show(&warnings);
    let text = match args.json {
        true => {
            let shown = |files: &[PathBuf]| files.iter().map(|f| f.display().to_string()).collect();
            let named = NamedReport {
                predictions: shown(&args.predictions),
                gold: shown(&args.gold),
                min_confidence: args.min_confidence,
                report: &report,
            };
            json(&named)?
        }
        false => printed(&report, is_graph, args.output.is_none()),
    };
    if let Some(file) = &args.wrong {
        write_whole(file, &report.wrong_table().map_err(WriteError::of(file))?)?;
    }
    let scored = Scored {
        predictions: &args.predictions,
        gold: &args.gold,
        min_confidence: args.min_confidence,
        is_graph,
    };
    let page = args.html.as_deref().map(|file| (file, page(&report, scored)));
    deliver(&text, page, args.output.as_deref(), console)
}

/// The predictions of graphs and files, and whether one is a graph.
fn read(from: &[PathBuf], gold: &Gold) -> Result<(Predictions, bool), Failure> {
    let mut all = Predictions::default();
    for from in from {
        all.extend(match from.is_dir() {
            true => Predictions::of_graph(&store::open(from)?, gold)?,
            false => {
                let (predictions, warnings) = Predictions::read(from, gold.by)?;
                show(&warnings);
                predictions
            }
        });
    }
    Ok((all, from.iter().any(|from| from.is_dir())))
}

fn printed(report: &EvalReport, is_graph: bool, is_terminal: bool) -> String {
    let (header, rows) = report.rows();
    let width = if is_terminal { table::terminal_width() } else { None };
    let mut text = table::table(&header, rows, width, &SPARE);
    for note in report.notes(is_graph) {
        text += "\n\n";
        text += &note;
    }
    text
}
