//! A whole experiment: every cell that has no result yet, then their rows.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::cell::{Cell, cells};
use super::runner::{DRAFT, Runner, Seed};
use super::{CellResult, Error, RelationFacts, SummaryRow, page, read, rows};
use crate::config::experiment::Experiment;
use crate::diagnostic::{At, Diagnostic, Diagnostics, counted};
use crate::fetch;
use crate::files::{self, Scratch, Written};
use crate::finetune::use_threads;
use crate::lm::Tokenizer;
use crate::onnx;
use crate::pipeline::Environment;
use crate::runtime::Device;

/// What an experiment found.
pub struct Measured {
    /// The cells of all seeds together.
    pub rows: Vec<SummaryRow>,
    /// The page with plots, in the output folder, beside results.json, which holds the rows too.
    pub page: PathBuf,
}

/// Makes every cell of an experiment, which `file` describes, that has no result yet. With `fresh`,
/// what earlier runs left of these cells is deleted first.
///
/// # Errors
/// See [`Error`]; what was made stays, and the same call goes on after it.
pub fn run(
    experiment: &Experiment,
    file: &Path,
    environment: &Environment,
    fresh: bool,
) -> Result<Measured, Error> {
    let events = environment.events.as_ref();
    let relations = facts(experiment, environment)?;
    let cells = cells(experiment);
    let _lock = claim(&experiment.folder)?;
    events.note(&format!(
        "{}, {}: {}, {} of training set, passes {:?}, with and without mixture",
        counted(relations.len(), "relation"),
        counted(cells.len(), "model"),
        counted(experiment.seeds.len(), "seed"),
        counted(experiment.skews.len(), "kind"),
        experiment.passes,
    ));
    use_threads(experiment.threads)?;
    environment.runtime(Device::Auto)?;
    let runner = Runner { experiment, relations: &relations, environment, fresh };
    let written = Written::read(&experiment.folder)?;
    TABLES.iter().try_for_each(|name| written.replaceable(name))?;
    // All are looked at before one is made, so that a refusal changes nothing.
    let check = |&seed: &u32| runner.check(seed, of_seed(&cells, seed));
    let seeds = experiment.seeds.iter().map(check).collect::<Result<Vec<_>, Error>>()?;
    if let Some(warning) = scarce(&seeds, relations.len(), experiment.sizes.train) {
        events.warn(&warning.at(file, At::File).into());
    }
    if fresh {
        runner.clear(&cells)?;
    }
    let mut results = Vec::new();
    for seed in seeds {
        let progress = (results.len(), cells.len());
        results.append(&mut runner.make(seed, progress)?);
    }
    let rows = rows(&results);
    let page = write_tables(&experiment.folder, relations.len(), &results, &rows)?;
    Ok(Measured { rows, page })
}

/// What is made of all results: their figures, a page with plots, and the first of these alone.
const TABLES: [&str; 3] = ["results.json", "frequency-shock.html", "frequency-shock.svg"];

/// Writes the figures, and a page and an image that show them, into the output folder. Gives the
/// page's path.
fn write_tables(
    folder: &Path,
    relations: usize,
    results: &[CellResult],
    rows: &[SummaryRow],
) -> Result<PathBuf, Error> {
    let failed = Error::of_folder(folder);
    let json = serde_json::to_string_pretty(rows).map_err(|error| failed(error.into()))? + "\n";
    let page = page::page(relations, rows, results).into_string();
    let draft = Scratch::new(folder, DRAFT).map_err(&failed)?;
    for (name, text) in TABLES.iter().zip([json, page, page::image(rows)]) {
        fs::write(draft.path().join(name), text).map_err(&failed)?;
    }
    Written::read(folder)?.place(&draft)?;
    Ok(folder.join(TABLES[1]))
}

fn of_seed(cells: &[Cell], seed: u32) -> Vec<&Cell> {
    cells.iter().filter(|cell| cell.seed == seed).collect()
}

/// A warning where relations have so few facts to train on that a training set has all of them.
fn scarce(seeds: &[Seed<'_>], relations: usize, train: usize) -> Option<Diagnostic> {
    let least = |relation| seeds.iter().map(|seed| seed.trainable(relation)).min();
    let few: Vec<usize> = (0..relations).filter_map(least).filter(|&least| least < train).collect();
    let least = few.iter().min()?;
    let message = format!(
        "{} of {} have fewer facts to train on than `facts.train`, {train}; the fewest are {least}",
        few.len(),
        counted(relations, "relation"),
    );
    let help = "all of their facts are in each of their training sets, so that `rare` and \
                `natural` come close to each other: lower `facts.train`, or raise `facts.least` to \
                leave them out";
    Some(Diagnostic::warning("few-training-facts", message).help(help))
}

/// Makes the output folder, which belongs to this process until the lock is dropped, and clears away
/// the drafts of killed ones.
fn claim(folder: &Path) -> Result<File, Error> {
    let failed = Error::of_folder(folder);
    fs::create_dir_all(folder).map_err(&failed)?;
    let file = File::options().write(true).create(true).truncate(false).open(folder.join(".lock"));
    let file = file.map_err(&failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(source)) => return Err(failed(source)),
        Err(TryLockError::WouldBlock) => return Err(Error::InUse { folder: folder.to_owned() }),
    }
    for draft in files::left(folder, DRAFT).map_err(&failed)? {
        files::remove(&draft).map_err(&failed)?;
    }
    Ok(file)
}

/// The relations with enough questions whose objects are short enough.
fn facts(experiment: &Experiment, environment: &Environment) -> Result<Vec<RelationFacts>, Error> {
    let tokenizer = match experiment.object_tokens {
        Some(most) => Some((tokenizer(experiment, environment)?, most)),
        None => None,
    };
    let admits = |object: &str| {
        tokenizer.as_ref().is_none_or(|(tokenizer, most)| {
            let tokens = tokenizer.continuation(&format!(" {object}"));
            tokens.is_ok_and(|tokens| tokens.len() <= *most)
        })
    };
    let mut relations = read(&experiment.facts, experiment.templates, admits)?;
    let most = relations.iter().map(|relation| relation.facts.len()).max().unwrap_or(0);
    relations.retain(|relation| relation.facts.len() >= experiment.least);
    if relations.is_empty() {
        let message = format!(
            "no relation has {}; the one with most has {most}",
            counted(experiment.least, "question")
        );
        let help = "lower `facts.least`, and with it what is tested, tuned on and trained";
        let mistake = Diagnostic::error("too-few-questions", message).help(help);
        return Err(Diagnostics::from(mistake.at(&experiment.facts, At::File)).into());
    }
    Ok(relations)
}

fn tokenizer(experiment: &Experiment, environment: &Environment) -> Result<Tokenizer, Error> {
    let (cache, events) = (environment.cache()?, environment.events.as_ref());
    let path = fetch::fetch_named(&experiment.base, cache, events)?;
    let folder = onnx::import(&path, onnx::Precision::F32, cache, events)?;
    Ok(Tokenizer::read(&folder.tokenizer)?)
}
