//! `[crawl]`: objects that become subjects.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pipeline::InputSettings;
use super::resolver::Resolver;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["depth", "max_subjects"]))]
pub(super) struct RawCrawl {
    /// How many rounds follow the first. In each, objects of the facts before it that fit a relation's domain
    /// are asked about.
    #[schemars(range(min = 1, max = 1000))]
    pub depth: Option<usize>,
    /// Most entities that become subjects so, in all rounds together; the surest come first.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_subjects: Option<usize>,
    /// Least confidence of a fact whose object becomes a subject.
    #[schemars(range(min = 0, max = 1))]
    pub min_confidence: f64,
    /// Exceptions, by the IRI of the relation whose objects they are.
    pub relations: BTreeMap<String, RawRelationCrawl>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRelationCrawl {
    /// Most objects of the relation that become subjects; none with 0.
    #[schemars(range(max = 1_000_000_000))]
    pub max_subjects: Option<usize>,
    /// Least confidence of a fact of the relation whose object becomes a subject.
    #[schemars(range(min = 0, max = 1))]
    pub min_confidence: Option<f64>,
}

/// Which objects become subjects, and how often.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CrawlSettings {
    /// How many rounds follow the first, at least 1.
    pub depth: usize,
    /// Most entities that become subjects, at least 1.
    pub max_subjects: usize,
    min_confidence: f64,
    by_relation: BTreeMap<String, OwnCrawl>,
}

/// What a relation's own table says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct OwnCrawl {
    max_subjects: Option<usize>,
    min_confidence: Option<f64>,
}

impl CrawlSettings {
    /// Least confidence of a fact of a relation whose object becomes a subject, 0 to 1.
    pub fn min_confidence(&self, relation: &str) -> f64 {
        let own = self.by_relation.get(relation).and_then(|own| own.min_confidence);
        own.unwrap_or(self.min_confidence)
    }

    /// Most objects of a relation that become subjects.
    pub fn max_subjects_of(&self, relation: &str) -> usize {
        let own = self.by_relation.get(relation).and_then(|own| own.max_subjects);
        own.unwrap_or(self.max_subjects)
    }
}

impl Resolver<'_> {
    pub(super) fn crawl(&mut self, raw: RawCrawl, inputs: &InputSettings) -> CrawlSettings {
        for iri in raw.relations.keys() {
            self.relation_table("crawl", iri, inputs);
        }
        let own = |raw: RawRelationCrawl| OwnCrawl {
            max_subjects: raw.max_subjects,
            min_confidence: raw.min_confidence,
        };
        CrawlSettings {
            // What is missing has been reported.
            depth: raw.depth.unwrap_or(1),
            max_subjects: raw.max_subjects.unwrap_or(1),
            min_confidence: raw.min_confidence,
            by_relation: raw.relations.into_iter().map(|(iri, raw)| (iri, own(raw))).collect(),
        }
    }
}
