//! One experiment's work: a seed's files, a cell's training, and what comes of asking it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::answers::{Parts, result};
use super::cell::Cell;
use super::folder::{write_cell, write_seed};
use super::{CellResult, Error, RelationFacts, split};
use crate::config::CorrectionMethod;
use crate::config::experiment::Experiment;
use crate::config::finetune::{self as config, Finetune};
use crate::diagnosis::System;
use crate::diagnostic::Events;
use crate::fetch;
use crate::files::{self, Scratch, WriteError, Written, is_plain_file, is_taken, write_whole};
use crate::finetune::{
    self, OutputFolder, Sources, TrainingInputs, TrainingOutcome, finished, replaceable,
};
use crate::pipeline::{Environment, Job, KnownQuestions, MeansOf, ScoredQuestions};

/// What makes the cells, and what they share.
pub(super) struct Runner<'a> {
    pub experiment: &'a Experiment,
    pub relations: &'a [RelationFacts],
    pub environment: &'a Environment,
    /// Whether what earlier runs left of these cells is deleted.
    pub fresh: bool,
}

/// A seed's cells and what they are made of; nothing that lies in their folders speaks against it.
pub(super) struct Seed<'a> {
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
    pub(super) fn trainable(&self, relation: usize) -> usize {
        self.parts.splits[relation].trainable()
    }
}

impl<'a> Runner<'a> {
    /// Looks at what is in the places of a seed's files and cells, and leaves all of it as it is.
    ///
    /// # Errors
    /// Where a source cannot be had, a cell holds a model that was trained otherwise and is to be
    /// kept, or something is in a place that no experiment wrote.
    pub(super) fn check(&self, seed: u32, cells: Vec<&'a Cell>) -> Result<Seed<'a>, Error> {
        let parts = self.parts(seed);
        let folder = &self.experiment.folder;
        let draft = self.draft(seed, &parts, &cells)?;
        Written::read(folder)?.placeable(&draft)?;
        let place = self.experiment.seed_folder(seed);
        let drafted = draft.path().join(place.strip_prefix(folder).unwrap_or(&place));
        let signature = |cell: &&Cell| {
            found(&place.join(cell.folder()))?;
            self.signature(&drafted.join(cell.folder()), &place.join(cell.folder()))
        };
        let signatures = cells.iter().map(signature).collect::<Result<Vec<_>, Error>>()?;
        Ok(Seed { seed, cells, parts, signatures })
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
        let draft = self.draft(seed, &parts, &cells)?;
        Written::read(&self.experiment.folder)?.place(&draft)?;
        drop(draft);
        let mut base: Option<(KnownQuestions<'a>, ScoredQuestions)> = None;
        let mut results = Vec::new();
        for ((number, cell), signature) in (before + 1..).zip(cells).zip(signatures) {
            let place = folder.join(cell.folder());
            if let Some(result) = found(&place)?.filter(|found| found.signature == signature) {
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
            // Every result goes through its file, so that one that was made earlier has the same
            // digits as one that is made now.
            let result = found(&place)?.unwrap_or(result);
            self.events().note(&summary(&result));
            results.push(result);
        }
        Ok(results)
    }

    fn events(&self) -> &dyn Events {
        self.environment.events.as_ref()
    }

    /// Deletes what earlier runs left of these cells: their results and models, which
    /// [`Self::check`] has looked at.
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
                OutputFolder::claim(&model, &BTreeMap::new(), true)?;
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
    fn draft(&self, seed: u32, parts: &Parts<'_>, cells: &[&Cell]) -> Result<Scratch, Error> {
        let folder = &self.experiment.folder;
        let draft = Scratch::new(folder, DRAFT).map_err(Error::of_folder(folder))?;
        let place = self.experiment.seed_folder(seed);
        let drafted = draft.path().join(place.strip_prefix(folder).unwrap_or(&place));
        write_seed(&drafted, self.experiment, self.relations, parts)
            .map_err(Error::of_folder(&drafted))?;
        for cell in cells {
            let place = drafted.join(cell.folder());
            write_cell(&place, self.experiment, cell).map_err(Error::of_folder(&place))?;
        }
        Ok(draft)
    }

    /// What the result of a cell depends on, by its drafted files: all that its weights depend on,
    /// and what is asked. `place` is the cell's folder.
    ///
    /// # Errors
    /// Where a source cannot be had, or the cell holds a model that was trained otherwise and is to
    /// be kept, or files that no training wrote.
    fn signature(&self, drafted: &Path, place: &Path) -> Result<String, Error> {
        let settings = self.settings(drafted)?;
        let sources = self.sources(&settings)?;
        let model = place.join(MODEL);
        match self.fresh {
            true => replaceable(&model)?,
            false => drop(finished(&model, &sources.signature)?),
        }
        let mut hasher = Sha256::new();
        for (name, value) in &sources.signature {
            hasher.update(format!("{name}\n{value}\n"));
        }
        let seed = drafted.parent().unwrap_or(drafted);
        for file in ["subjects.csv", "candidates.csv", "tune.csv", "test.csv"] {
            hasher.update(fetch::sha256_of(&seed.join(file))?);
        }
        Ok(hex::encode(hasher.finalize()))
    }

    /// Asks one model alone about all tuning and test questions.
    fn ask(
        &self,
        pipeline: &Path,
        folder: &Path,
    ) -> Result<(KnownQuestions<'a>, ScoredQuestions), Error> {
        let job = Job::open(pipeline, self.environment)?;
        let facts = ["tune.csv", "test.csv"].map(|file| folder.join(file));
        // Of two models the finetuned one answers.
        let mut questions = job.correcting_by(CorrectionMethod::None).questions(&facts, &[])?;
        let scored = questions.ask(MeansOf::CorrectedRelations)?;
        Ok((questions, scored))
    }

    fn settings(&self, place: &Path) -> Result<Finetune, Error> {
        let (settings, warnings) = config::read(&place.join("finetune.toml"))?;
        self.events().warn(&warnings);
        Ok(settings)
    }

    fn sources(&self, settings: &Finetune) -> Result<Sources, Error> {
        Ok(Sources::fetch(settings, self.environment.cache()?, self.events())?)
    }

    /// Trains a cell's model, unless that was done, and asks it.
    fn finetuned(&self, folder: &Path, place: &Path) -> Result<ScoredQuestions, Error> {
        let settings = self.settings(place)?;
        let (inputs, warnings) = TrainingInputs::read(&settings)?;
        self.events().warn(&warnings);
        let sources = self.sources(&settings)?;
        let stop = &self.environment.stop;
        match finetune::run(&settings, &inputs, sources, false, self.events(), stop)? {
            TrainingOutcome::Finished(_) => {}
            TrainingOutcome::Stopped { .. } => return Err(Error::Interrupted),
        }
        Ok(self.ask(&place.join("pipeline.toml"), folder)?.1)
    }
}

/// Of a cell's result.
const RESULT: &str = "result.json";
/// Of a cell's model.
pub(super) const MODEL: &str = "model";

/// The result of a cell, if it has one.
///
/// # Errors
/// Where something else has its name.
fn found(place: &Path) -> Result<Option<CellResult>, Error> {
    let path = place.join(RESULT);
    if !is_taken(&path) {
        return Ok(None);
    }
    let result = is_plain_file(&path).then(|| fs::read(&path)).transpose();
    let result = result.map_err(Error::of_folder(&path))?;
    match result.and_then(|text| serde_json::from_slice::<CellResult>(&text).ok()) {
        Some(result) => Ok(Some(result)),
        None => Err(files::ForeignFile::Foreign { path }.into()),
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

fn write_result(file: &Path, result: &CellResult) -> Result<(), WriteError> {
    let text = serde_json::to_vec(result).map_err(|error| WriteError::of(file)(error.into()))?;
    write_whole(file, &text)
}
