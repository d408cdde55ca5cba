//! `kgbuild reproduce`: the measurement of Frequency Shock, from a folder of facts to tables.

use super::args::ReproduceArgs;
use super::environment::{stopping_environment, use_library};
use super::failure::Failure;
use super::streams::Console;
use super::table;
use crate::config::{experiment as config, locked};
use crate::experiment::{DISTANCE, Measured, Numbers, SummaryRow, run, tables};

/// Makes every cell that has no result yet, then the tables.
pub(super) fn reproduce(args: &ReproduceArgs, console: Console) -> Result<(), Failure> {
    let mut environment = stopping_environment(
        console,
        "stopping when the step in work is done; again to stop at once",
        "stopped; the same command goes on from the last checkpoint",
    )?;
    use_library(&mut environment, &args.library)?;
    let (mut experiment, notes) = config::read(&args.experiment, args.facts.as_deref())?;
    let sources = experiment.model_sources();
    environment.events.warn(&locked(&args.experiment, sources, args.locked, notes)?);
    let measured = run(&experiment, &args.experiment, &environment, args.fresh);
    let measured = measured.map_err(|error| {
        Failure::from(error).saying("stopped; the same command goes on from there")
    })?;
    let Measured { rows, page } = &measured;
    console.summary(&format!("{}\n\nplots: {}", text(rows), page.display()))
}

/// All tables, for a terminal.
fn text(rows: &[SummaryRow]) -> String {
    let text = |numbers: Numbers| {
        let Numbers { title, header, rows } = numbers;
        let table = table::table(&header, rows, table::terminal_width(), &["distance"]);
        format!("{title}\n\n{table}")
    };
    let mut texts: Vec<String> = tables(rows).into_iter().map(text).collect();
    texts.insert(1, DISTANCE.to_owned());
    texts.join("\n\n")
}
