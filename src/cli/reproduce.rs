//! `kgbuild reproduce`: the measurement of Frequency Shock, from a folder of facts to tables.

mod page;
mod tables;

use super::args::ReproduceArgs;
use super::environment::{stopping_environment, use_library};
use super::failure::Failure;
use super::say::Console;
use crate::config::{experiment as config, locked};
use crate::experiment::{Measured, run, write_tables};

/// Makes every cell that has no result yet, then the tables.
pub fn reproduce(args: &ReproduceArgs, console: Console) -> Result<(), Failure> {
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
    let Measured { relations, results, rows } = &measured;
    let page = page::page(*relations, rows, results).into_string();
    let html = write_tables(&experiment.folder, rows, page, page::image(rows))?;
    console.summary(&format!("{}\n\nplots: {}", tables::text(rows), html.display()))
}
