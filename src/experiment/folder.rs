//! What an experiment writes for the other commands: a seed's ontology and tables, and a cell's
//! finetune.toml and pipeline.toml.
//!
//! The same experiment writes the same bytes, so that what was made of them earlier is known again.

use std::fs;
use std::io;
use std::path::Path;

use super::answers::Parts;
use super::cell::Cell;
use super::files::{Names, write_entities, write_facts, write_ontology};
use super::runner::MODEL;
use super::{Fact, MIN_QUESTIONS, RelationFacts};
use crate::config::experiment::Experiment;

/// Facts of a relation on which the training's loss is looked at.
const HELD_OUT: usize = 2;

/// Writes a seed's ontology and tables, and a base.toml for the base model alone.
pub(super) fn write_seed(
    folder: &Path,
    experiment: &Experiment,
    relations: &[RelationFacts],
    parts: &Parts<'_>,
) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let names = Names::new(relations);
    write_ontology(&folder.join("ontology.ttl"), relations)?;
    write_entities(&folder.join("subjects.csv"), &names, relations, true, false)?;
    write_entities(&folder.join("candidates.csv"), &names, relations, false, true)?;
    let table = |file: &str, facts: Vec<&[Fact<'_>]>| {
        let facts: Vec<(&RelationFacts, &[Fact<'_>])> = relations.iter().zip(facts).collect();
        write_facts(&folder.join(file), &names, &facts)
    };
    let splits = || parts.splits.iter();
    table("test.csv", splits().map(|split| &split.test[..]).collect())?;
    table("tune.csv", splits().map(|split| &split.tune[..]).collect())?;
    // Enough to see the loss on facts that are not trained.
    let few = splits().map(|split| &split.tune[..split.tune.len().min(HELD_OUT)]);
    table("held-out.csv", few.collect())?;
    for (skew, facts) in &parts.train {
        table(&format!("train-{}.csv", skew.name()), facts.iter().map(Vec::as_slice).collect())?;
    }
    let base = experiment.base.anywhere();
    let pipeline = format!(
        "[models]\nbase = {base}\n\n[inputs]\nontology = \"ontology.ttl\"\n\
         subjects = \"subjects.csv\"\ncandidates = \"candidates.csv\"\ngold = \"test.csv\"\n\n\
         [output]\nfolder = \"base\"\n"
    );
    fs::write(folder.join("base.toml"), pipeline)
}

/// Writes a cell's finetune.toml, and a pipeline.toml with which anyone can go on.
pub(super) fn write_cell(place: &Path, experiment: &Experiment, cell: &Cell) -> io::Result<()> {
    fs::create_dir_all(place)?;
    let mut training = experiment.training.clone();
    training.insert("seed".into(), i64::from(cell.seed).into());
    training.insert("epochs".into(), (cell.passes as i64).into());
    // Every model is one of so many passes, not of the best of them.
    training.insert("keep".into(), "last".into());
    let base = experiment.base.anywhere();
    let mixture = if cell.mixture {
        let text = experiment.text.anywhere();
        format!("\n[mixture]\ntext = {text}\n{}", experiment.mixture)
    } else {
        String::new()
    };
    let finetune = format!(
        "[model]\nbase = {base}\n\n[facts]\ntrain = \"../train-{}.csv\"\n\
         held_out = \"../held-out.csv\"\ntest = \"../test.csv\"\n\n[inputs]\n\
         ontology = \"../ontology.ttl\"\n\
         entities = [\"../subjects.csv\", \"../candidates.csv\"]\n\n\
         [training]\n{training}{mixture}\n[output]\nfolder = \"{MODEL}\"\n",
        cell.skew.name()
    );
    fs::write(place.join("finetune.toml"), finetune)?;
    let pipeline = format!(
        "[models]\nbase = {base}\nfinetuned = \"{MODEL}\"\n\n[inputs]\n\
         ontology = \"../ontology.ttl\"\nsubjects = \"../subjects.csv\"\n\
         candidates = \"../candidates.csv\"\ngold = \"../test.csv\"\n\n\
         [correction]\nmethod = \"log-linear\"\n\n[tuning]\nfacts = \"../tune.csv\"\n\
         file = \"tuned.toml\"\nmin_facts = {MIN_QUESTIONS}\n\n[output]\nfolder = \"graph\"\n"
    );
    fs::write(place.join("pipeline.toml"), pipeline)
}
