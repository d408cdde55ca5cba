//! One experiment's work: a seed's files, a cell's training, and what comes of asking it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::answers::{Parts, result};
use super::cell::Cell;
use super::folder::{write_cell, write_seed};
use super::{CellResult, Error, Relation, split};
use crate::config::Correction;
use crate::config::experiment::Experiment;
use crate::config::finetune::{self as config, Finetune};
use crate::diagnosis::System;
use crate::diagnostic::Events;
use crate::fetch;
use crate::files::{WriteError, write_whole};
use crate::finetune::{self, Inputs, Outcome, Output, Sources, finished};
use crate::pipeline::{Environment, Job, KnownQuestions, Scored};

/// What makes the cells, and what they share.
pub(super) struct Runner<'a> {
    pub experiment: &'a Experiment,
    pub relations: &'a [Relation],
    pub environment: &'a Environment,
}

/// A seed's cells and what they are made of; nothing that lies in their folders speaks against it.
pub(super) struct Seed<'a> {
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
    pub(super) fn trainable(&self, relation: usize) -> usize {
        self.parts.splits[relation].trainable()
    }
}

impl<'a> Runner<'a> {
    /// Looks at what earlier runs left of a seed's cells, and leaves all of it as it is.
    ///
    /// # Errors
    /// Where a source cannot be had, or a cell holds a model that was trained otherwise.
    pub(super) fn check(&self, seed: u32, cells: Vec<&'a Cell>) -> Result<Seed<'a>, Error> {
        let parts = self.parts(seed);
        // One run at a time has the output folder, so that a draft there is one of a killed run.
        let draft = self.experiment.folder.join(DRAFT);
        cleared(&draft)?;
        let signatures = self.write(&draft, &parts, &cells).and_then(|()| {
            let each = cells.iter().map(|cell| self.signature(cell, seed, &draft));
            each.collect::<Result<Vec<_>, Error>>()
        });
        cleared(&draft)?;
        Ok(Seed { seed, cells, parts, signatures: signatures? })
    }

    /// Makes those of a seed's cells that have no result yet. `before` cells of `all` were looked
    /// at earlier.
    ///
    /// # Errors
    /// Where a cell cannot be made; [`Error::Interrupted`] where the stop was set.
    pub(super) fn make(
        &self,
        seed: Seed<'_>,
        (before, all): (usize, usize),
    ) -> Result<Vec<CellResult>, Error> {
        let Seed { seed, cells, parts, signatures } = seed;
        let folder = self.experiment.seed_folder(seed);
        self.write(&folder, &parts, &cells)?;
        let mut base: Option<(KnownQuestions<'a>, Scored)> = None;
        let mut results = Vec::new();
        for ((number, cell), signature) in (before + 1..).zip(cells).zip(signatures) {
            let place = folder.join(cell.folder());
            if let Some(result) = earlier(&place, &signature) {
                results.push(result);
                continue;
            }
            self.events().note(&format!("model {number} of {all}: {}", cell.name()));
            let (known, of_base) = match &mut base {
                Some(asked) => asked,
                empty => empty.insert(self.ask(&folder.join("base.toml"), &folder)?),
            };
            let finetuned = self.finetuned(&folder, &place)?;
            let result =
                result(cell, signature, self.relations, &parts, known, of_base, &finetuned);
            write_result(&place.join(RESULT), &result)?;
            let result = earlier(&place, &result.signature).unwrap_or(result);
            self.events().note(&summary(&result));
            results.push(result);
        }
        Ok(results)
    }

    fn events(&self) -> &dyn Events {
        self.environment.events.as_ref()
    }

    /// Deletes what earlier runs left of these cells: their results and models.
    ///
    /// # Errors
    /// Where it cannot be deleted, or another training is writing there.
    pub(super) fn clear(&self, cells: &[Cell]) -> Result<(), Error> {
        for cell in cells {
            let place = self.experiment.seed_folder(cell.seed).join(cell.folder());
            match fs::remove_file(place.join(RESULT)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::of_folder(&place)(error));
                }
                _ => {}
            }
            let model = place.join(MODEL);
            if model.exists() {
                // Nothing of a signature is left to be compared.
                Output::claim(&model, &BTreeMap::new(), true)?;
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
    fn write(&self, folder: &Path, parts: &Parts<'_>, cells: &[&Cell]) -> Result<(), Error> {
        write_seed(folder, self.experiment, self.relations, parts)
            .map_err(Error::of_folder(folder))?;
        for cell in cells {
            let place = folder.join(cell.folder());
            write_cell(&place, self.experiment, cell).map_err(Error::of_folder(&place))?;
        }
        Ok(())
    }

    /// What the result of a cell of `seed` depends on, by the files in `folder`: all that its
    /// weights depend on, and what is asked.
    ///
    /// # Errors
    /// Where a source cannot be had, or the cell holds a model that was trained otherwise.
    fn signature(&self, cell: &Cell, seed: u32, folder: &Path) -> Result<String, Error> {
        let settings = self.settings(&folder.join(cell.folder()))?;
        let sources = self.sources(&settings)?;
        let model = self.experiment.seed_folder(seed).join(cell.folder()).join(MODEL);
        finished(&model, &sources.signature)?;
        let mut hasher = Sha256::new();
        for (name, value) in &sources.signature {
            hasher.update(format!("{name}\n{value}\n"));
        }
        for file in ["subjects.csv", "candidates.csv", "tune.csv", "test.csv"] {
            hasher.update(fetch::sha256_of(&folder.join(file))?);
        }
        Ok(hex::encode(hasher.finalize()))
    }

    /// Asks one model alone about all tuning and test questions.
    fn ask(&self, pipeline: &Path, folder: &Path) -> Result<(KnownQuestions<'a>, Scored), Error> {
        let job = Job::open(pipeline, self.environment)?;
        let facts = ["tune.csv", "test.csv"].map(|file| folder.join(file));
        // Of two models the finetuned one answers.
        let mut questions = job.correcting_by(Correction::None).questions(&facts, &[])?;
        let scored = questions.ask()?;
        Ok((questions, scored))
    }

    fn settings(&self, place: &Path) -> Result<Finetune, Error> {
        let (settings, warnings) = config::read(&place.join("finetune.toml"))?;
        self.events().warn(&warnings);
        Ok(settings)
    }

    fn sources(&self, settings: &Finetune) -> Result<Sources, Error> {
        let events = self.events();
        let cache = self.environment.cache()?;
        Ok(Sources::fetch(settings, cache, &mut |text| events.note(text))?)
    }

    /// Trains a cell's model, unless that was done, and asks it.
    fn finetuned(&self, folder: &Path, place: &Path) -> Result<Scored, Error> {
        let settings = self.settings(place)?;
        let (inputs, warnings) = Inputs::read(&settings)?;
        self.events().warn(&warnings);
        let sources = self.sources(&settings)?;
        let stop = &self.environment.stop;
        match finetune::run(&settings, &inputs, sources, false, self.events(), stop)? {
            Outcome::Finished(_) => {}
            Outcome::Stopped { .. } => return Err(Error::Interrupted),
        }
        Ok(self.ask(&place.join("pipeline.toml"), folder)?.1)
    }
}

/// Of a cell's result.
const RESULT: &str = "result.json";
/// Of a cell's model.
pub(super) const MODEL: &str = "model";

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

fn write_result(file: &Path, result: &CellResult) -> Result<(), WriteError> {
    let text = serde_json::to_vec(result).map_err(|error| WriteError::of(file)(error.into()))?;
    write_whole(file, &text)
}

/// Deletes a draft, if there is one.
fn cleared(draft: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::of_folder(draft)(error))
        }
        _ => Ok(()),
    }
}
