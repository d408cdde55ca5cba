//! Runs in time: which runs made the graph what it is, what each added and took back, and why.
//!
//! The named graph [`kgb::HISTORY`] has an activity for each run that changed the graph, numbered from 1. What
//! it added and what it took back lie in two named graphs of their own, whose names go on from the
//! activity's, and the schema before it, where that changed, in a third. In them an annotation has a name that
//! does not depend on the run ([`block`]), so that a state is the newest one less what was added since, plus
//! what was taken back.
//!
//! Invariant: what is recorded is a function of the old and the new graph, but for the times of the entry,
//! which goes in last, so that a process that was killed in between records the same again.

mod block;
mod diff;
mod past;
mod record;
mod scan;

use oxigraph::model::vocab::{rdfs, xsd};
use oxigraph::model::{
    GraphNameRef, Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef, Term,
    Triple,
};
use oxigraph::store::{StorageError, Store};

pub use diff::{FactChange, diff};
pub use past::PastGraph;
pub use record::{GoneFact, WhyGone};

pub(super) use block::annotation_iri;
pub(super) use record::{OldGraph, Recorded, record};
pub(super) use scan::Scan;

use super::error::Error;
use super::ledger;
use super::predictions::labels;
use super::vocabulary as kgb;

/// A run that changed the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEntry {
    /// Its number, from 1.
    pub number: u64,
    /// The IRI that the graph has for it; the same again where inputs and settings came back.
    pub run: String,
    /// When it began, as `xsd:dateTime` writes it.
    pub started: Option<String>,
    /// When it ended.
    pub ended: Option<String>,
    /// Why it was made, in words.
    pub reason: Option<String>,
    /// How many facts the graph had after it.
    pub facts: u64,
    /// How many of these were not there before it.
    pub added: u64,
    /// How many that were there before it were not any more.
    pub taken_back: u64,
    /// Of how many that were there before and after it something else is said.
    pub changed: u64,
    /// Whether its ontology said something else of relations and classes than that before.
    other_schema: bool,
    /// The activity.
    change: NamedNode,
}

impl RunEntry {
    /// The first run of a graph of so many facts.
    fn first(store: &Store, run: &NamedNode, facts: u64) -> Result<Self, StorageError> {
        let said =
            |predicate| text(store, run.as_ref().into(), predicate, GraphNameRef::DefaultGraph);
        Ok(Self {
            number: 1,
            run: run.as_str().to_owned(),
            started: said(kgb::STARTED_AT_TIME)?,
            ended: said(kgb::ENDED_AT_TIME)?,
            reason: None,
            facts,
            added: facts,
            taken_back: 0,
            changed: 0,
            other_schema: false,
            change: change_iri(run.as_str(), 1),
        })
    }

    /// The triples that it added, or took back, as the history has them.
    fn triples(
        &self,
        store: &Store,
        part: Part,
    ) -> impl Iterator<Item = Result<Triple, StorageError>> + use<> {
        let graph = part.graph(&self.change);
        let quads = store.quads_for_pattern(None, None, None, Some(graph.as_ref().into()));
        quads.map(|quad| quad.map(Triple::from))
    }
}

/// What a change consists of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Added,
    TakenBack,
    /// The schema before it, whole, where it is another after it.
    Schema,
}

impl Part {
    const ALL: [Self; 3] = [Self::Added, Self::TakenBack, Self::Schema];

    fn graph(self, change: &NamedNode) -> NamedNode {
        let name = match self {
            Self::Added => "added",
            Self::TakenBack => "taken-back",
            Self::Schema => "schema",
        };
        NamedNode::new_unchecked(format!("{}:{name}", change.as_str()))
    }
}

fn change_iri(run: &str, number: u64) -> NamedNode {
    NamedNode::new_unchecked(format!("{}change:{number}", base_iri(run)))
}

/// What the IRIs of all that a run names begin with.
fn base_iri(run: &str) -> &str {
    ledger::parts(run).map_or("", |(base, _)| base)
}

/// The runs that made a graph what it is, the first one first; none before the first has ended.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn runs(store: &Store) -> Result<Vec<RunEntry>, Error> {
    entries(store).map_err(Error::Read)
}

fn entries(store: &Store) -> Result<Vec<RunEntry>, StorageError> {
    let mut runs = Vec::new();
    let history = GraphNameRef::NamedNode(kgb::HISTORY);
    for quad in store.quads_for_pattern(None, Some(kgb::NUMBER), None, Some(history)) {
        let NamedOrBlankNode::NamedNode(change) = quad?.subject else { continue };
        let said = |predicate| text(store, change.as_ref().into(), predicate, history);
        let number = |predicate| -> Result<u64, StorageError> {
            Ok(said(predicate)?.and_then(|text| text.parse().ok()).unwrap_or_default())
        };
        runs.push(RunEntry {
            number: number(kgb::NUMBER)?,
            run: said(kgb::OF_RUN)?.unwrap_or_default(),
            started: said(kgb::STARTED_AT_TIME)?,
            ended: said(kgb::ENDED_AT_TIME)?,
            reason: said(kgb::REASON)?,
            facts: number(kgb::FACTS)?,
            added: number(kgb::FACTS_ADDED)?,
            taken_back: number(kgb::FACTS_TAKEN_BACK)?,
            changed: number(kgb::FACTS_CHANGED)?,
            other_schema: said(kgb::SCHEMA_BEFORE)?.is_some(),
            change: change.clone(),
        });
    }
    runs.sort_by_key(|run| run.number);
    // A complete graph that an older kgbuild made has no history yet.
    if runs.is_empty()
        && let Some(run) = ledger::completed_run(store)?
    {
        runs.push(RunEntry::first(store, &run, facts(store)?)?);
    }
    Ok(runs)
}

/// The run that a person names by its number, its IRI, or what this ends with; of equal ones the last.
///
/// # Errors
/// [`Error::NoRun`] where there is none.
pub fn find_run<'a>(runs: &'a [RunEntry], name: &str) -> Result<&'a RunEntry, Error> {
    let is_meant = |run: &&RunEntry| {
        run.number.to_string() == name
            || run.run == name
            || ledger::parts(&run.run).is_some_and(|(_, hash)| hash == name)
    };
    let none = || Error::NoRun { name: name.to_owned(), runs: runs.len() };
    runs.iter().rev().find(is_meant).ok_or_else(none)
}

/// What an entity or relation is called in the graph, or was by an earlier run.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn label_in_any_run(store: &Store, iri: &str) -> Result<Option<String>, Error> {
    let own = labels(store, iri)?;
    if let Some(label) = own.into_iter().next() {
        return Ok(Some(label));
    }
    let Ok(iri) = NamedNode::new(iri) else { return Ok(None) };
    let mut found = Vec::new();
    for quad in store.quads_for_pattern(Some(iri.as_ref().into()), Some(rdfs::LABEL), None, None) {
        if let Term::Literal(label) = quad.map_err(Error::Read)?.object {
            found.push(label.destruct().0);
        }
    }
    Ok(found.into_iter().min())
}

/// How many facts a graph has: triples with a confidence.
fn facts(store: &Store) -> Result<u64, StorageError> {
    let graph = Some(GraphNameRef::DefaultGraph);
    let mut count = 0;
    for quad in store.quads_for_pattern(None, Some(kgb::CONFIDENCE), None, graph) {
        quad?;
        count += 1;
    }
    Ok(count)
}

/// The text of a value, or the IRI of what it is; none where nothing is said.
pub(super) fn text(
    store: &Store,
    subject: NamedOrBlankNodeRef<'_>,
    predicate: NamedNodeRef<'_>,
    graph: GraphNameRef<'_>,
) -> Result<Option<String>, StorageError> {
    let mut found = store.quads_for_pattern(Some(subject), Some(predicate), None, Some(graph));
    Ok(found.next().transpose()?.and_then(|quad| match quad.object {
        Term::NamedNode(iri) => Some(iri.into_string()),
        Term::Literal(literal) => Some(literal.destruct().0),
        _ => None,
    }))
}

fn number(value: u64) -> Literal {
    Literal::new_typed_literal(value.to_string(), xsd::INTEGER)
}

#[cfg(test)]
mod tests;
