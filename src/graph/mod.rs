//! The knowledge graph on disk: writing with confidence and provenance, the ledger of what is
//! done, SPARQL, and export.
//!
//! A run writes to an *output folder*. In it lie `store/`, an oxigraph store, and `.lock`, held
//! by the run that writes; while a graph of other inputs or settings is made, its store lies beside in a
//! folder whose name begins with `.next-`. The store's default graph is the knowledge graph; the named graph
//! [`vocabulary::LEDGER`] is the ledger; [`vocabulary::SCHEMA`] has what the ontology says of relations and
//! classes, [`vocabulary::DESCRIPTION`] what the graph is by VoID and DCAT, [`vocabulary::HISTORY`] which runs
//! made it what it is, [`vocabulary::JUDGEMENTS`] what people say of its facts.
//!
//! Invariant: the triples of a chunk and that it is done enter the store in one transaction, and
//! a folder named `store` appears only when it is whole. A run that is killed at any moment
//! therefore leaves whole chunks, and goes on after them when it is started again.

mod considered;
mod description;
mod done;
mod entity;
mod error;
mod export;
mod folder;
mod history;
mod judgements;
mod kept;
mod ledger;
mod predictions;
mod prefixes;
mod query;
mod records;
mod schema;
mod shards;
mod syntax;
mod table;
mod turtle;
mod view;
pub mod vocabulary;
mod write;

pub use considered::{AskedQuestions, Candidate, Considered};
pub use description::{Described, described};
pub use done::{Chunk, DoneChunks};
pub use entity::{
    Annotation, Fact, Names, annotated_fact, facts_about, facts_by, facts_of, facts_to, is_known,
    is_of_facts, label, names, objects, relations,
};
pub use error::{Difference, Error};
pub use export::{Annotations, ExportFormat, ExportOptions, Part, export, export_tables};
pub use folder::{Held, hold, open_for_reading};
pub use history::{
    FactChange, GoneFact, PastGraph, RunEntry, WhyGone, diff, find_run, label_in_any_run, runs,
};
pub use judgements::{
    Judge, Judged, Judgement, Verdict, canonical_value, judged_facts, judgements, judgements_of,
};
pub use kept::{KeptAnswers, KeptQuestion, print, question_print};
pub use ledger::differences;
pub use predictions::{Prediction, is_unfinished, labels, predictions};
pub use prefixes::{expand, shorten};
pub use query::{
    Asked, Dataset, QueryError, QueryOptions, ResultFormat, ResultKind, TooDeep, Written,
    answer_query, query,
};
pub use records::{
    Assertion, ChunkRecord, Derivation, Durability, EntityDescription, ModelDescription, Object,
    Origin, QuestionSet, RunDescription, ShardDescription,
};
pub use schema::{ClassSchema, RangeSchema, RelationSchema, Schema};
pub use shards::{
    AddStatistics, Advance, FoundShard, HandedShard, Merge, MergeError, Merged, RowOrigin,
    SHARD_FILE, Shards, answered_rows, merge,
};
pub use syntax::SyntaxError;
pub use write::{
    GraphState, GraphWriter, PROBABILITY_DECIMALS, PROBABILITY_DIGITS, PredictedFact, RowWriter,
    look, signature,
};
