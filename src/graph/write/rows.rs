//! Facts without a store: lines of N-Quads, which a merge loads into one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use oxigraph::model::{NamedNode, Quad};

use super::super::error::Error;
use super::super::records::ChunkRecord;
use super::super::{kept, ledger};
use super::begin::{run_iri, signature};
use super::statements::{assert, describe};
use super::{identifier, named};

/// Writes facts of a run as lines.
pub struct RowWriter {
    base_iri: String,
    run: NamedNode,
}

impl RowWriter {
    /// For the run of a signature, whose IRIs begin with `base_iri`.
    ///
    /// # Errors
    /// [`Error::Iri`] where that begins no IRI.
    pub fn new(base_iri: &str, of_run: &BTreeMap<String, String>) -> Result<Self, Error> {
        let (run, _) = run_iri(base_iri, &signature(base_iri, of_run))?;
        Ok(Self { base_iri: base_iri.to_owned(), run })
    }

    /// The IRI of the run.
    pub fn run(&self) -> &str {
        self.run.as_str()
    }

    /// What is said of the facts of a record, and of their entities.
    ///
    /// # Errors
    /// [`Error::Iri`] and [`Error::Probability`] for what must not be written.
    pub fn facts(&self, record: &ChunkRecord<'_>) -> Result<String, Error> {
        let mut quads = Vec::new();
        for assertion in &record.assertions {
            assert(&self.run, assertion, &mut quads)?;
        }
        for entity in &record.entities {
            describe(entity, &mut quads)?;
        }
        Ok(lines(&quads))
    }

    /// What is kept of the questions of records of one relation, whose subjects these are.
    ///
    /// # Errors
    /// [`Error::Iri`].
    pub fn kept<'a>(
        &self,
        records: impl Iterator<Item = (&'a str, ChunkRecord<'a>)>,
    ) -> Result<String, Error> {
        let (mut subjects, mut answers) = (Vec::new(), Vec::new());
        let mut candidates = serde_json::Map::new();
        let mut of = None;
        for (subject, record) in records {
            subjects.push(subject);
            answers.extend(record.kept);
            if let serde_json::Value::Object(own) = record.candidates {
                candidates.extend(own);
            }
            of = Some(record.chunk.relation);
        }
        let Some(relation) = of else { return Ok(String::new()) };
        let parts = [self.run.as_str(), &relation, "rows"].into_iter();
        let hash = identifier(parts.chain(subjects));
        let iri = NamedNode::new_unchecked(format!("{}chunk:{hash}", self.base_iri));
        let mut quads = kept::quads(&iri, &answers);
        if !candidates.is_empty() {
            let relation = named("relation", &relation)?;
            quads.extend(ledger::candidates(&iri, &relation, &candidates.into()));
        }
        Ok(lines(&quads))
    }
}

fn lines(quads: &[Quad]) -> String {
    let mut lines = String::new();
    for quad in quads {
        // Writing to a text cannot fail.
        let _ = writeln!(lines, "{quad} .");
    }
    lines
}
