//! The tables of an experiment, in words.

use super::{Column, RowMeasures, SummaryRow};
use crate::metrics::bootstrap::Interval;

/// A table with what it shows.
pub struct Numbers {
    /// What it shows.
    pub title: &'static str,
    /// The columns' names.
    pub header: Vec<&'static str>,
    /// The cells, by row.
    pub rows: Vec<Vec<String>>,
}

/// All tables, the one of most interest first.
pub fn tables(rows: &[SummaryRow]) -> Vec<Numbers> {
    vec![main(rows), gains(rows), corrections(rows), counts(rows), calibration(rows)]
}

/// What the column `distance` of all tables is.
pub const DISTANCE: &str =
    "distance: total variation distance between the training objects and the natural ones, 0 to 1";

/// What a row is of.
fn kind(row: &SummaryRow) -> Vec<String> {
    vec![row.skew.name().to_owned(), row.passes.to_string(), format!("{:.2}", row.distance)]
}

const KIND: [&str; 3] = ["training facts", "passes", "distance"];

fn columns(
    title: &'static str,
    rows: &[SummaryRow],
    columns: &[Column],
    cell: impl Fn(&RowMeasures) -> String,
) -> Numbers {
    let names = columns.iter().map(|column| column.name());
    let cells = |row: &SummaryRow| {
        let measured = columns.iter().map(|column| row.columns.get(column.name()));
        kind(row).into_iter().chain(measured.map(|m| m.map_or("-".into(), &cell))).collect()
    };
    Numbers {
        title,
        header: KIND.into_iter().chain(names).collect(),
        rows: rows.iter().map(cells).collect(),
    }
}

fn p_at_1(measures: &RowMeasures) -> String {
    let Interval { mean, low, high } = measures.p_at_1;
    format!("{mean:.3} ±{:.3}", (high - low) / 2.0)
}

/// What a paper would print.
pub(super) fn main(rows: &[SummaryRow]) -> Numbers {
    let mut numbers = columns(
        "P@1, the mean over the seeds ± half of the 95 % interval from drawing questions",
        rows,
        &Column::MAIN,
        p_at_1,
    );
    numbers.header.insert(KIND.len(), "majority");
    for (cells, row) in numbers.rows.iter_mut().zip(rows) {
        cells.insert(KIND.len(), format!("{:.3}", row.majority));
    }
    numbers
}

/// What the others are better or worse by than vanilla finetuning.
pub(super) fn gains(rows: &[SummaryRow]) -> Numbers {
    columns(
        "P@1 minus that of vanilla finetuning on the same questions, ± half of the 95 % interval",
        rows,
        &Column::HELD_AGAINST_VANILLA,
        |measures| match measures.over_vanilla {
            Some(Interval { mean, low, high }) => {
                format!("{mean:+.3} ±{:.3}", (high - low) / 2.0)
            }
            None => "-".to_owned(),
        },
    )
}

/// Every correction.
pub(super) fn corrections(rows: &[SummaryRow]) -> Numbers {
    columns(
        "P@1 of every correction, its weights tuned; mixing and both are log-linear",
        rows,
        &Column::CORRECTIONS,
        p_at_1,
    )
}

/// How often common and rare trained objects are predicted, beside the gold.
pub(super) fn counts(rows: &[SummaryRow]) -> Numbers {
    let mut numbers = columns(
        "Answers with a common object / with a rare one that was trained",
        rows,
        &Column::MAIN,
        |m| format!("{:.0} / {:.0}", m.common, m.rare_trained),
    );
    numbers.header.insert(KIND.len(), "gold");
    for (cells, row) in numbers.rows.iter_mut().zip(rows) {
        let gold = format!("{:.0} / {:.0}", row.gold_common, row.gold_rare_trained);
        cells.insert(KIND.len(), gold);
    }
    numbers
}

/// Calibration errors of the best answers: by probability and, where it was tuned, by confidence.
pub(super) fn calibration(rows: &[SummaryRow]) -> Numbers {
    columns(
        "Calibration error of the best answers, over 15 bins of equal mass, before → after tuning",
        rows,
        &Column::MAIN,
        |measures| match (measures.ece_of_probability, measures.ece) {
            (Some(before), Some(after)) if before != after => format!("{before:.3} → {after:.3}"),
            (Some(before), _) => format!("{before:.3}"),
            _ => "-".to_owned(),
        },
    )
}
