//! What others keep, as tables of entities and facts and as an ontology.

pub mod wikidata;
