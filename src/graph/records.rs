//! What a run hands over to be written: its own description, and chunks of assertions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::done::Chunk;
use super::kept::{KeptQuestion, print};
use super::schema::Schema;

/// When what is written is forced to the disk; never changes the graph. What a power cut takes is
/// done again by the next run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Every 30 seconds, or more often where much is written, and at the end.
    #[default]
    Periodic,
    /// After each chunk.
    Chunk,
}

/// The object of a triple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object<'a> {
    /// An entity, by its IRI.
    Entity(&'a str),
    /// A value.
    Value {
        /// As its datatype writes it.
        text: Cow<'a, str>,
        /// The datatype's IRI.
        datatype: &'a str,
        /// Between which values it is right, where others near it are the true one.
        within: Option<[Cow<'a, str>; 2]>,
    },
}

/// A triple that a run asserts, with its probabilities (0 to 1).
#[derive(Clone, Debug, PartialEq)]
pub struct Assertion<'a> {
    /// The subject's IRI.
    pub subject: &'a str,
    /// The predicate's IRI.
    pub relation: &'a str,
    /// The object.
    pub object: Object<'a>,
    /// The confidence in the triple: the corrected probability, calibrated where the run was tuned.
    pub confidence: f64,
    /// The corrected probability before calibration, where that differs.
    pub corrected: Option<f64>,
    /// The finetuned model's probability of the object.
    pub finetuned: Option<f64>,
    /// The base model's probability of the object.
    pub base: Option<f64>,
    /// Whether other candidates have all of its names too.
    pub ambiguous: bool,
}

/// A triple that follows from others.
#[derive(Clone, Debug, PartialEq)]
pub struct Derivation<'a> {
    /// The subject's IRI.
    pub subject: &'a str,
    /// The predicate's IRI.
    pub relation: &'a str,
    /// The object.
    pub object: Object<'a>,
    /// That of what it follows from, 0 to 1.
    pub confidence: f64,
    /// The triples that it follows from, at least one.
    pub origins: Vec<Origin<'a>>,
}

/// A triple that another follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// One that the graph predicts, by the IRI of its annotation.
    Predicted(&'a str),
    /// One that was known.
    Known {
        /// The subject's IRI.
        subject: &'a str,
        /// The predicate's IRI.
        relation: &'a str,
        /// The object.
        object: Object<'a>,
    },
}

/// The names and types of an entity or a relation that occurs. Repeating one changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityDescription<'a> {
    /// Absolute.
    pub iri: &'a str,
    /// Becomes its `rdfs:label`.
    pub label: &'a str,
    /// Become its `skos:altLabel`s.
    pub aliases: Vec<&'a str>,
    /// IRIs of classes; empty for a relation.
    pub types: Vec<&'a str>,
}

/// What is written for a chunk, all or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct ChunkRecord<'a> {
    /// Its place in the run: what the ledger notes as done.
    pub chunk: Chunk,
    /// All that is asserted of it; may be none.
    pub assertions: Vec<Assertion<'a>>,
    /// The entities and relations that occur in the assertions.
    pub entities: Vec<EntityDescription<'a>>,
    /// What was counted of all of the relation's chunks that are done, with this one; the ledger keeps it
    /// and gives it back as it is.
    pub statistics: serde_json::Value,
    /// What the models answered, by question; empty where it is not kept.
    pub kept: Vec<KeptQuestion>,
    /// The best candidates of each question, written or not, as JSON; null where they are not kept.
    pub candidates: serde_json::Value,
}

/// A model of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelDescription {
    /// Its source, as configured.
    pub source: String,
    /// The SHA-256 of its weights, in hexadecimal.
    pub sha256: String,
}

/// What is known about a run before it starts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunDescription {
    /// All that the result depends on: the name of each part (`ontology`, `subjects`, ...) and
    /// its hash or value. Two runs with the same signature are one run, and have one IRI.
    pub signature: BTreeMap<String, String>,
    /// The models that are asked, at least one.
    pub base_model: Option<ModelDescription>,
    /// None where the base is asked alone.
    pub finetuned_model: Option<ModelDescription>,
    /// The SHA-256 of the settings that results depend on, in hexadecimal.
    pub config_sha256: String,
    /// The mixing weight, 0 to 1, where the correction has one.
    pub lambda: Option<f64>,
    /// Its name, for people.
    pub correction: String,
    /// In what the models' weights are kept, where that was chosen.
    pub precision: Option<String>,
    /// The SHA-256 of the tuned numbers that its confidences are calibrated by, if they are.
    pub tuned_sha256: Option<String>,
    /// The version of kgbuild.
    pub version: String,
    /// What the ontology says of the relations that are asked. The signature has its hash.
    pub schema: Schema,
    /// Which of the questions are asked, where several runs share them; the signature has nothing of it.
    pub shard: Option<ShardDescription>,
}

/// A part of a job's questions that is asked apart from the others, to be merged with them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardDescription {
    /// Its number, from 1; 0 where it asks no question, but what is asked once for all.
    pub number: u32,
    /// How many there are; 0 where this one goes with any number of others.
    pub of: u32,
    /// How many chunks all questions of each relation are.
    pub chunks: BTreeMap<String, u64>,
    /// Which questions these are; told by what is asked once for all alone.
    #[serde(default)]
    pub questions: BTreeMap<String, QuestionSet>,
    /// The pipeline file, as it was named.
    pub pipeline: PathBuf,
    /// What its merge is told of the job, as it is.
    pub about: serde_json::Value,
    /// The output folder of the whole graph. What models answered for a graph that is there need not be asked
    /// again.
    #[serde(skip)]
    pub whole: PathBuf,
}

/// Some questions of a relation, in no order: two are the same set where both numbers are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionSet {
    /// How many there are.
    pub count: u64,
    /// The sum of the [`print`] of their subjects, without what is beyond 64 bits.
    pub prints: u64,
}

impl QuestionSet {
    /// Adds one, by the IRI of its subject.
    pub fn add(&mut self, subject: &str) {
        self.count += 1;
        self.prints = self.prints.wrapping_add(print([subject]));
    }
}

impl ShardDescription {
    /// The folder, in the output folder of the whole, in which shards have theirs.
    pub const FOLDER: &'static str = "shards";

    /// As people name it: `3/16`.
    pub fn name(&self) -> String {
        match self.number {
            0 => "plan".to_owned(),
            number => format!("{number}/{}", self.of),
        }
    }
}
