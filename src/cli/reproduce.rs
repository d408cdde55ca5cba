//! `kgbuild reproduce`: the measurement of Frequency Shock, from a folder of facts to tables.
//!
//! Every model is one cell: its files, its training and its result lie in a folder of its own, and a
//! cell with a result is not made again.

mod answers;
mod folder;
mod lab;
mod page;
mod tables;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::args::ReproduceArgs;
use super::check::malformed;
use super::failure::{Failure, show};
use super::finetune::use_threads;
use super::interrupt::stop_on_interrupt;
use super::say::{print, say};
use crate::config::ModelSource;
use crate::config::experiment::{self as config, Experiment};
use crate::diagnostic::{At, Diagnostic, Diagnostics, counted};
use crate::experiment::{Relation, Row, Skew, read, rows};
use crate::fetch::{self, Cache};
use crate::files::{self, Scratch, Written};
use crate::lm::Tokenizer;
use crate::onnx;
use crate::runtime::{Device, Runtime};
use lab::{DRAFT, Lab, Seed};

/// Makes every cell that has no result yet, then the tables.
pub fn reproduce(args: &ReproduceArgs) -> Result<(), Failure> {
    let (experiment, warnings) = read_experiment(args)?;
    show(&warnings);
    let cache = Cache::from_environment().map_err(Failure::bad_input)?;
    let stop = stop_on_interrupt(
        "stopping when the step in work is done; again to stop at once",
        "stopped; the same command goes on from the last checkpoint",
    )?;
    let relations = facts(&experiment, &cache)?;
    let cells = cells(&experiment);
    let _lock = claim(&experiment.folder)?;
    say(&format!(
        "{}, {}: {}, {} of training set, passes {:?}, with and without mixture",
        counted(relations.len(), "relation"),
        counted(cells.len(), "model"),
        counted(experiment.seeds.len(), "seed"),
        counted(experiment.skews.len(), "kind"),
        experiment.passes,
    ));
    use_threads(experiment.threads)?;
    let library = fetch::runtime_library(&cache, &mut say).map_err(Failure::bad_input)?;
    let runtime = Runtime::load(&library, Device::Auto).map_err(Failure::bad_input)?;
    let lab = Lab {
        experiment: &experiment,
        relations: &relations,
        cache: &cache,
        runtime: &runtime,
        stop: &stop,
        fresh: args.fresh,
        quiet: args.quiet,
    };
    Written::read(&experiment.folder)
        .and_then(|written| TABLES.iter().try_for_each(|name| written.replaceable(name)))
        .map_err(Failure::bad_input)?;
    // All are looked at before one is made, so that a refusal changes nothing.
    let check = |&seed: &u32| lab.check(seed, cells.iter().filter(|c| c.seed == seed).collect());
    let seeds = experiment.seeds.iter().map(check).collect::<Result<Vec<_>, Failure>>()?;
    if let Some(warning) = scarce(&seeds, relations.len(), experiment.sizes.train) {
        show(&warning.at(&args.experiment, At::File).into());
    }
    if args.fresh {
        lab.clear(&cells)?;
    }
    let mut results = Vec::new();
    for seed in seeds {
        let progress = (results.len(), cells.len());
        results.append(&mut lab.make(seed, progress)?);
    }
    let rows = rows(&results);
    let page = page::page(relations.len(), &rows, &results).into_string();
    let html = write_tables(&experiment.folder, &rows, page)?;
    print(&format!("{}\n\nplots: {}", tables::text(&rows), html.display()))
}

/// What is made of all results: their figures, a page with plots, and the first of these alone.
const TABLES: [&str; 3] = ["results.json", "frequency-shock.html", "frequency-shock.svg"];

/// Writes [`TABLES`] and gives the page's path.
fn write_tables(folder: &Path, rows: &[Row], page: String) -> Result<PathBuf, Failure> {
    let json = serde_json::to_string_pretty(rows).map_err(Failure::failed)? + "\n";
    let failed = |source| Failure::bad_input(unclaimed(folder, source));
    let draft = Scratch::new(folder, DRAFT).map_err(failed)?;
    for (name, text) in TABLES.iter().zip([json, page, page::image(rows)]) {
        fs::write(draft.path().join(name), text).map_err(failed)?;
    }
    Written::read(folder)
        .and_then(|mut written| written.place(&draft))
        .map_err(Failure::bad_input)?;
    Ok(folder.join(TABLES[1]))
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
fn claim(folder: &Path) -> Result<File, Failure> {
    let failed = |source| Failure::bad_input(unclaimed(folder, source));
    fs::create_dir_all(folder).map_err(failed)?;
    let file = File::options().write(true).create(true).truncate(false).open(folder.join(".lock"));
    let file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(source)) => return Err(failed(source)),
        Err(TryLockError::WouldBlock) => {
            return Err(Failure::bad_input(Unclaimed::InUse { folder: folder.to_owned() }));
        }
    }
    for draft in files::left(folder, DRAFT).map_err(failed)? {
        files::remove(&draft).map_err(failed)?;
    }
    Ok(file)
}

fn unclaimed(folder: &Path, source: io::Error) -> Unclaimed {
    Unclaimed::Io { folder: folder.to_owned(), source }
}

/// Why the output folder cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unclaimed {
    #[error(
        "cannot write to {}; make that possible, or name another `folder` under [output]",
        folder.display()
    )]
    Io {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "another experiment is writing to {}: wait until it ends, or name another output folder",
        folder.display()
    )]
    InUse { folder: PathBuf },
}

/// Reads the experiment file, and what it says of its sources; nothing is fetched.
fn read_experiment(args: &ReproduceArgs) -> Result<(Experiment, Diagnostics), Diagnostics> {
    let (experiment, mut notes) = config::read(&args.experiment, args.facts.as_deref())?;
    notes.0.extend([&experiment.base, &experiment.text].into_iter().filter_map(malformed));
    notes.or(experiment)
}

/// One model that is trained and asked.
#[derive(Clone, Debug, PartialEq)]
struct Cell {
    seed: u32,
    skew: Skew,
    passes: usize,
    mixture: bool,
}

impl Cell {
    fn kind(&self) -> &'static str {
        if self.mixture { "mixture" } else { "vanilla" }
    }

    fn folder(&self) -> String {
        format!("{}-{}-{}", self.skew.name(), self.kind(), self.passes)
    }

    fn name(&self) -> String {
        format!(
            "seed {}, {} facts, {}, {}",
            self.seed,
            self.skew.name(),
            counted(self.passes, "pass"),
            self.kind()
        )
    }
}

fn cells(experiment: &Experiment) -> Vec<Cell> {
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

/// The relations with enough questions whose objects are short enough.
fn facts(experiment: &Experiment, cache: &Cache) -> Result<Vec<Relation>, Failure> {
    let tokenizer = match experiment.object_tokens {
        Some(most) => Some((tokenizer(&experiment.base, cache)?, most)),
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

fn tokenizer(base: &ModelSource, cache: &Cache) -> Result<Tokenizer, Failure> {
    let path = fetch::fetch_named(base, cache, &mut say).map_err(Failure::bad_input)?;
    let folder = onnx::import(&path, cache, &mut say).map_err(Failure::bad_input)?;
    Tokenizer::read(&folder.tokenizer).map_err(Failure::bad_input)
}
