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
use crate::cli::say::say;
use crate::config::Correction;
use crate::config::experiment::Experiment;
use crate::config::finetune::Finetune;
use crate::experiment::{CellResult, Relation, split};
use crate::fetch::{self, Cache};
use crate::files::{self, Scratch, Written, is_plain_file, is_taken};
use crate::finetune::{Inputs, Output, Sources, finished, replaceable};
use crate::pipeline::System;
use crate::runtime::Runtime;

/// What all cells share.
pub struct Lab<'a> {
    pub experiment: &'a Experiment,
    pub relations: &'a [Relation],
    pub cache: &'a Cache,
    pub runtime: &'a Runtime,
    pub stop: &'a AtomicBool,
    /// Whether what earlier runs left of these cells is deleted.
    pub fresh: bool,
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

/// Begins the name of the folder, in the output folder, where files are looked at before they take
/// their place.
pub(super) const DRAFT: &str = ".draft-";

impl Seed<'_> {
    /// How many facts of a relation there are to train on.
    pub fn trainable(&self, relation: usize) -> usize {
        self.parts.splits[relation].trainable()
    }
}

impl<'a> Lab<'a> {
    /// Looks at what is in the places of a seed's files and cells, and leaves all of it as it is.
    ///
    /// # Errors
    /// Where a source cannot be had, a cell holds a model that was trained otherwise and is to be
    /// kept, or something is in a place that no experiment wrote.
    pub fn check(&self, seed: u32, cells: Vec<&'a Cell>) -> Result<Seed<'a>, Failure> {
        let parts = self.parts(seed);
        let folder = &self.experiment.folder;
        let draft = self.draft(seed, &parts, &cells)?;
        Written::read(folder)
            .and_then(|written| written.placeable(&draft))
            .map_err(Failure::bad_input)?;
        let place = self.experiment.seed_folder(seed);
        let drafted = draft.path().join(place.strip_prefix(folder).unwrap_or(&place));
        let signature = |cell: &&Cell| {
            found(&place.join(cell.folder()))?;
            self.signature(&drafted.join(cell.folder()), &place.join(cell.folder()))
        };
        let signatures = cells.iter().map(signature).collect::<Result<Vec<_>, Failure>>()?;
        Ok(Seed { seed, cells, parts, signatures })
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
        let draft = self.draft(seed, &parts, &cells)?;
        Written::read(&self.experiment.folder)
            .and_then(|mut written| written.place(&draft))
            .map_err(Failure::bad_input)?;
        drop(draft);
        let mut base: Option<(Known, Scored)> = None;
        let mut results = Vec::new();
        for ((number, cell), signature) in (before + 1..).zip(cells).zip(signatures) {
            let place = folder.join(cell.folder());
            if let Some(result) = found(&place)?.filter(|found| found.signature == signature) {
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
            // Every result goes through its file, so that one that was made earlier has the same
            // digits as one that is made now.
            let result = found(&place)?.unwrap_or(result);
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

    /// Deletes what earlier runs left of these cells: their results and models, which
    /// [`Self::check`] has looked at.
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

    /// A seed's files and those of its cells, in a scratch folder, under the names that they will
    /// have in the output folder.
    fn draft(&self, seed: u32, parts: &Parts<'_>, cells: &[&Cell]) -> Result<Scratch, Failure> {
        let folder = &self.experiment.folder;
        let draft = Scratch::new(folder, DRAFT).map_err(unwritable(folder))?;
        let place = self.experiment.seed_folder(seed);
        let drafted = draft.path().join(place.strip_prefix(folder).unwrap_or(&place));
        write_seed(&drafted, self.experiment, self.relations, parts)
            .map_err(unwritable(&drafted))?;
        for cell in cells {
            let place = drafted.join(cell.folder());
            write_cell(&place, self.experiment, cell).map_err(unwritable(&place))?;
        }
        Ok(draft)
    }

    /// What the result of a cell depends on, by its drafted files: all that its weights depend on,
    /// and what is asked. `place` is the cell's folder.
    ///
    /// # Errors
    /// Where a source cannot be had, or the cell holds a model that was trained otherwise and is to
    /// be kept, or files that no training wrote.
    fn signature(&self, drafted: &Path, place: &Path) -> Result<String, Failure> {
        let settings = settings(drafted)?;
        let sources = Sources::fetch(&settings, self.cache, &mut say).map_err(unprepared)?;
        let model = place.join(MODEL);
        match self.fresh {
            true => replaceable(&model),
            false => finished(&model, &sources.signature).map(drop),
        }
        .map_err(Failure::bad_input)?;
        let mut hasher = Sha256::new();
        for (name, value) in &sources.signature {
            hasher.update(format!("{name}\n{value}\n"));
        }
        let seed = drafted.parent().unwrap_or(drafted);
        for file in ["subjects.csv", "candidates.csv", "tune.csv", "test.csv"] {
            hasher.update(fetch::sha256_of(&seed.join(file)).map_err(Failure::bad_input)?);
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
                say("stopped; the same command goes on with this model's questions");
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

/// The result of a cell, if it has one.
///
/// # Errors
/// Where something else has its name.
fn found(place: &Path) -> Result<Option<CellResult>, Failure> {
    let path = place.join(RESULT);
    if !is_taken(&path) {
        return Ok(None);
    }
    let result = is_plain_file(&path).then(|| fs::read(&path)).transpose();
    let result = result.map_err(unwritable(&path))?;
    match result.and_then(|text| serde_json::from_slice::<CellResult>(&text).ok()) {
        Some(result) => Ok(Some(result)),
        None => Err(Failure::bad_input(files::Error::Foreign { path })),
    }
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
