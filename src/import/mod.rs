//! What others keep, as tables of entities and facts and as an ontology.

mod destination;
mod kind;
mod ontology;
pub mod sparql_results;
mod tables;
pub mod wikidata;

use std::path::PathBuf;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// pipeline.toml, ontology.ttl, entities.csv and facts.csv.
    pub files: Vec<PathBuf>,
    /// Entities with a label, of the wanted types or objects of facts.
    pub entities: u64,
    /// Entities that were left out, for they have no label in the language.
    pub unlabelled: u64,
    /// The first of them, by their ids or IRIs.
    pub examples: Vec<String>,
    /// Objects of facts that a dump does not have.
    pub missing: u64,
    /// Facts that were left out, for their objects are unknown or not what the relation's first object is.
    pub unfit: u64,
    /// By relation, in the order in which they were asked for or come: its label and how many facts it has.
    pub relations: Vec<(String, u64)>,
}

impl Imported {
    /// Counts an entity that has no label.
    fn leave_out(&mut self, entity: &str) {
        self.unlabelled += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(entity.to_owned());
        }
    }
}

/// How many entities without a label are named.
const EXAMPLES: usize = 5;
