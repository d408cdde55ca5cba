//! One experiment's work: a seed's files, a cell's training, and what comes of asking it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use sha2::{Digest, Sha256};

use super::Cell;
use super::answers::{Parts, result};
use super::folder::{write_cell, write_seed};
use crate::cli::check;
use crate::cli::export::whole_file;
use crate::cli::failure::{Failure, show};
use crate::cli::finetune::{self, train, unprepared};
use crate::cli::known::{Known, Scored};
use crate::cli::say::{say, warn};
use crate::config::Correction;
use crate::config::experiment::Experiment;
use crate::config::finetune::Finetune;
use crate::experiment::{CellResult, Relation, split};
use crate::fetch::{self, Cache};
use crate::finetune::{Inputs, Output, Sources, finished};
use crate::pipeline::System;
use crate::runtime::Runtime;

/// What all cells share.
pub struct Lab<'a> {
    pub experiment: &'a Experiment,
    pub relations: &'a [Relation],
    pub cache: &'a Cache,
    pub runtime: &'a Runtime,
    pub stop: &'a AtomicBool,
    /// Whether no progress is shown.
    pub quiet: bool,
}

/// A seed's cells and what they are made of; nothing that lies in their folders speaks against it.
pub struct Seed<'a> {
    seed: u32,
    cells: Vec<&'a Cell>,
    parts: Parts<'a>,
    /// By cell.
    signatures: Vec<String>,
}

/// Where a seed's files are looked at before they take their place, in the output folder.
const DRAFT: &str = ".draft";

impl Seed<'_> {
    /// How many facts of a relation there are to train on.
    pub fn trainable(&self, relation: usize) -> usize {
        self.parts.splits[relation].trainable()
    }
}

impl<'a> Lab<'a> {
    /// Looks at what earlier runs left of a seed's cells, and leaves all of it as it is.
    ///
    /// # Errors
    /// Where a source cannot be had, or a cell holds a model that was trained otherwise.
    pub fn check(&self, seed: u32, cells: Vec<&'a Cell>) -> Result<Seed<'a>, Failure> {
        let parts = self.parts(seed);
        // One run at a time has the output folder, so that a draft there is one of a killed run.
        let draft = self.experiment.folder.join(DRAFT);
        cleared(&draft)?;
        let signatures = self.write(&draft, &parts, &cells).and_then(|()| {
            let each = cells.iter().map(|cell| self.signature(cell, seed, &draft));
            each.collect::<Result<Vec<_>, Failure>>()
        });
        cleared(&draft)?;
        Ok(Seed { seed, cells, parts, signatures: signatures? })
    }

    /// Makes those of a seed's cells that have no result yet. `before` cells of `all` were looked
    /// at earlier.
    ///
    /// # Errors
    /// Where a cell cannot be made; [`Failure::Interrupted`] where the stop was set.
    pub fn make(
        &self,
        seed: Seed<'_>,
        (before, all): (usize, usize),
    ) -> Result<Vec<CellResult>, Failure> {
        let Seed { seed, cells, parts, signatures } = seed;
        let folder = self.experiment.seed_folder(seed);
        self.write(&folder, &parts, &cells)?;
        let mut base: Option<(Known, Scored)> = None;
        let mut results = Vec::new();
        for ((number, cell), signature) in (before + 1..).zip(cells).zip(signatures) {
            let place = folder.join(cell.folder());
            if let Some(result) = earlier(&place, &signature) {
                results.push(result);
                continue;
            }
            self.progress(&format!("model {number} of {all}: {}", cell.name()));
            let (known, of_base) = match &mut base {
                Some(asked) => asked,
                empty => empty.insert(self.ask(&folder.join("base.toml"), &folder)?),
            };
            let finetuned = self.finetuned(&folder, &place)?;
            let result =
                result(cell, signature, self.relations, &parts, known, of_base, &finetuned);
            write_json(&place.join(RESULT), &result)?;
            let result = earlier(&place, &result.signature).unwrap_or(result);
            self.progress(&summary(&result));
            results.push(result);
        }
        Ok(results)
    }

    fn progress(&self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }

    /// Deletes what earlier runs left of these cells: their results and models.
    ///
    /// # Errors
    /// Where it cannot be deleted, or another training is writing there.
    pub fn clear(&self, cells: &[Cell]) -> Result<(), Failure> {
        for cell in cells {
            let place = self.experiment.seed_folder(cell.seed).join(cell.folder());
            match fs::remove_file(place.join(RESULT)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(unwritable(&place)(error));
                }
                _ => {}
            }
            let model = place.join(MODEL);
            if model.exists() {
                // Nothing of a signature is left to be compared.
                Output::claim(&model, &BTreeMap::new(), true).map_err(Failure::bad_input)?;
            }
        }
        Ok(())
    }

    fn parts(&self, seed: u32) -> Parts<'a> {
        let (sizes, seed) = (self.experiment.sizes, u64::from(seed));
        let splits: Vec<_> =
            self.relations.iter().map(|relation| split(relation, sizes, seed)).collect();
        let train = |skew| {
            let each = self.relations.iter().zip(&splits);
            each.map(|(relation, split)| split.train(relation, skew, sizes.train, seed)).collect()
        };
        let train = self.experiment.skews.iter().map(|&skew| (skew, train(skew))).collect();
        Parts { splits, train }
    }

    /// Writes a seed's files and those of its cells.
    fn write(&self, folder: &Path, parts: &Parts<'_>, cells: &[&Cell]) -> Result<(), Failure> {
        write_seed(folder, self.experiment, self.relations, parts).map_err(unwritable(folder))?;
        for cell in cells {
            let place = folder.join(cell.folder());
            write_cell(&place, self.experiment, cell).map_err(unwritable(&place))?;
        }
        Ok(())
    }

    /// What the result of a cell of `seed` depends on, by the files in `folder`: all that its
    /// weights depend on, and what is asked.
    ///
    /// # Errors
    /// Where a source cannot be had, or the cell holds a model that was trained otherwise.
    fn signature(&self, cell: &Cell, seed: u32, folder: &Path) -> Result<String, Failure> {
        let settings = settings(&folder.join(cell.folder()))?;
        let sources = Sources::fetch(&settings, self.cache, &mut say).map_err(unprepared)?;
        let model = self.experiment.seed_folder(seed).join(cell.folder()).join(MODEL);
        finished(&model, &sources.signature).map_err(Failure::bad_input)?;
        let mut hasher = Sha256::new();
        for (name, value) in &sources.signature {
            hasher.update(format!("{name}\n{value}\n"));
        }
        for file in ["subjects.csv", "candidates.csv", "tune.csv", "test.csv"] {
            hasher.update(fetch::sha256_of(&folder.join(file)).map_err(Failure::bad_input)?);
        }
        Ok(hex::encode(hasher.finalize()))
    }

    /// Asks one model alone about all tuning and test questions.
    fn ask(&self, pipeline: &Path, folder: &Path) -> Result<(Known, Scored), Failure> {
        let (mut pipeline, warnings) = check::read(pipeline)?;
        show(&warnings);
        // Of two models the finetuned one answers.
        pipeline.correction = Correction::None;
        let facts = ["tune.csv", "test.csv"].map(|file| folder.join(file));
        let mut known = Known::read(&pipeline, &[], &facts, self.cache)?;
        match known.ask(&pipeline, self.runtime, self.quiet, self.stop)? {
            Some(scored) => Ok((known, scored)),
            None => {
                warn("stopped; the same command goes on with this model's questions");
                Err(Failure::Interrupted)
            }
        }
    }

    /// Trains a cell's model, unless that was done, and asks it.
    fn finetuned(&self, folder: &Path, place: &Path) -> Result<Scored, Failure> {
        let settings = settings(place)?;
        let (inputs, warnings) = Inputs::read(&settings)?;
        show(&warnings);
        let sources = Sources::fetch(&settings, self.cache, &mut say).map_err(unprepared)?;
        train(&settings, &inputs, sources, false, self.quiet, self.stop)?
            .ok_or(Failure::Interrupted)?;
        Ok(self.ask(&place.join("pipeline.toml"), folder)?.1)
    }
}

/// Of a cell's result.
const RESULT: &str = "result.json";
/// Of a cell's model.
pub(super) const MODEL: &str = "model";

fn settings(place: &Path) -> Result<Finetune, Failure> {
    let (settings, warnings) = finetune::read(&place.join("finetune.toml"))?;
    show(&warnings);
    Ok(settings)
}

/// The result of a cell, if it has one of this signature.
///
/// Every result goes through its file, so that one that was made earlier has the same digits as one
/// that is made now.
fn earlier(place: &Path, signature: &str) -> Option<CellResult> {
    let text = fs::read(place.join(RESULT)).ok()?;
    let result: CellResult = serde_json::from_slice(&text).ok()?;
    (result.signature == signature).then_some(result)
}

fn summary(result: &CellResult) -> String {
    let shown = [
        ("base", System::Base),
        ("finetuned", System::Finetuned),
        ("mixed log-linearly", System::LogLinear),
    ];
    let p_at_1 = shown.map(|(name, system)| match result.outcomes.get(&system) {
        Some(outcome) => format!("{name} {:.3}", outcome.p_at_1()),
        None => format!("{name} -"),
    });
    format!("  P@1: {}", p_at_1.join(", "))
}

fn write_json(file: &Path, value: &impl serde::Serialize) -> Result<(), Failure> {
    whole_file(file, |out| {
        serde_json::to_writer(&mut *out, value).map_err(|e| Failure::Output(e.into()))
    })
}

/// Deletes a draft, if there is one.
fn cleared(draft: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(draft)(error)),
        _ => Ok(()),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write to {}", folder.display())]
struct Unwritable {
    folder: PathBuf,
    #[source]
    source: io::Error,
}

fn unwritable(folder: &Path) -> impl FnOnce(io::Error) -> Failure {
    let folder = folder.to_owned();
    move |source| Failure::bad_input(Unwritable { folder, source })
}
