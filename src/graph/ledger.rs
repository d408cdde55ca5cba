//! The ledger: a named graph in the store that says under which signature the store was made,
//! which chunks are done, and whether the run got to its end.
//!
//! Invariant: an entry stands for a whole chunk, because it is written in the transaction that
//! writes the chunk's triples.

use super::error::{Difference, Error};
use super::vocabulary as kgb;
use oxigraph::model::vocab::{rdf, xsd};
use oxigraph::model::{
    GraphNameRef, Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef, Quad,
    Term,
};
use oxigraph::store::{StorageError, Store};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// What the result of a run depends on: the name of each part and its hash or value.
pub(super) type Signature = BTreeMap<String, String>;

/// A stretch of the work that is done or not done as a whole: the key of a ledger entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Chunk {
    /// The relation's IRI.
    pub relation: Arc<str>,
    /// The number of the chunk within its relation, from 0.
    pub index: u64,
}

/// The quads that open a ledger.
pub(super) fn opening(run: &NamedNode, signature: &Signature) -> Vec<Quad> {
    let parts: serde_json::Value = signature
        .iter()
        .map(|(k, v)| (k.clone(), v.clone().into()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    vec![
        quad(kgb::LEDGER, rdf::TYPE, kgb::LEDGER_CLASS),
        quad(run.as_ref(), kgb::SIGNATURE_PARTS, json(&parts)),
    ]
}

/// The quads that record a chunk as done.
pub(super) fn entry(
    iri: &NamedNode,
    relation: &NamedNode,
    index: u64,
    statistics: &serde_json::Value,
) -> [Quad; 4] {
    let iri = iri.as_ref();
    [
        quad(iri, rdf::TYPE, kgb::CHUNK),
        quad(iri, kgb::RELATION, relation.clone()),
        quad(iri, kgb::CHUNK_INDEX, Literal::new_typed_literal(index.to_string(), xsd::INTEGER)),
        quad(iri, kgb::STATISTICS, json(statistics)),
    ]
}

/// The quad that keeps the best candidates of a chunk's questions; none where there are none.
pub(super) fn candidates(iri: &NamedNode, candidates: &serde_json::Value) -> Option<Quad> {
    let is_kept = !candidates.is_null();
    is_kept.then(|| quad(iri.as_ref(), kgb::CANDIDATES, json(candidates)))
}

/// The quad that records the run as complete.
pub(super) fn completion(run: &NamedNode) -> Quad {
    quad(run.as_ref(), kgb::COMPLETE, Literal::from(true))
}

/// What the IRIs of the run and of what it names begin with; the usual one where the store has no ledger.
pub(super) fn base_iri(store: &Store) -> Result<String, StorageError> {
    let run = quads(store, None, kgb::SIGNATURE_PARTS).next().transpose()?;
    let iri = run.map_or(String::new(), |quad| match quad.subject {
        NamedOrBlankNode::NamedNode(iri) => iri.into_string(),
        NamedOrBlankNode::BlankNode(_) => String::new(),
    });
    Ok(parts(&iri).map_or("urn:kgbuild:", |(base, _)| base).to_owned())
}

/// Of a run's IRI what all that it names begins with, and the hash of its signature.
pub(super) fn parts(run: &str) -> Option<(&str, &str)> {
    run.rsplit_once("run:")
}

/// The run that got to its end; none where none did.
pub(super) fn completed_run(store: &Store) -> Result<Option<NamedNode>, StorageError> {
    let found = quads(store, None, kgb::COMPLETE).next().transpose()?;
    Ok(found.and_then(|quad| match quad.subject {
        NamedOrBlankNode::NamedNode(run) => Some(run),
        NamedOrBlankNode::BlankNode(_) => None,
    }))
}

/// The signature that a store was made under, `None` where it has no ledger.
pub(super) fn signature(store: &Store, path: &Path) -> Result<Option<Signature>, Error> {
    let read = |e| Error::storage("reading", path, e);
    let Some(found) = quads(store, None, kgb::SIGNATURE_PARTS).next() else {
        return Ok(None);
    };
    let found = found.map_err(read)?;
    serde_json::from_str(text(&found.object))
        .map(Some)
        .map_err(|e| damaged(path, format!("its signature is no JSON object of texts ({e})")))
}

/// What differs between the signature of a store and that of a run, by name of the part.
pub(super) fn differences(was: &Signature, is: &Signature) -> Vec<Difference> {
    let mut parts: Vec<&String> = was.keys().chain(is.keys()).collect();
    parts.sort_unstable();
    parts.dedup();
    parts
        .into_iter()
        .filter(|part| was.get(*part) != is.get(*part))
        .map(|part| Difference {
            part: part.clone(),
            was: was.get(part).cloned(),
            is: is.get(part).cloned(),
        })
        .collect()
}

/// Whether the ledger says that the run got to its end.
pub(super) fn is_complete(store: &Store, path: &Path) -> Result<bool, Error> {
    let found = quads(store, None, kgb::COMPLETE).next().transpose();
    found.map(|quad| quad.is_some()).map_err(|e| Error::storage("reading", path, e))
}

/// The chunks that are done. Relations' IRIs are shared, so that a chunk takes a few bytes.
pub(super) fn done(store: &Store, path: &Path) -> Result<HashSet<Chunk>, Error> {
    let mut relations: HashMap<String, Arc<str>> = HashMap::new();
    let mut done = HashSet::new();
    for found in quads(store, None, kgb::RELATION) {
        let found = found.map_err(|e| Error::storage("reading", path, e))?;
        let Term::NamedNode(relation) = found.object else {
            return Err(damaged(path, format!("the relation of {} is no IRI", found.subject)));
        };
        let relation = relations
            .entry(relation.into_string())
            .or_insert_with_key(|iri| Arc::from(iri.as_str()))
            .clone();
        let index = value(store, path, found.subject.as_ref(), kgb::CHUNK_INDEX)?;
        let index = text(&index)
            .parse()
            .map_err(|_| damaged(path, format!("the index of {} is no number", found.subject)))?;
        done.insert(Chunk { relation, index });
    }
    Ok(done)
}

/// The statistics of a chunk that is done.
pub(super) fn statistics(
    store: &Store,
    path: &Path,
    iri: &NamedNode,
) -> Result<serde_json::Value, Error> {
    let found = value(store, path, iri.as_ref().into(), kgb::STATISTICS)?;
    serde_json::from_str(text(&found))
        .map_err(|e| damaged(path, format!("the statistics of {iri} are no JSON ({e})")))
}

fn value(
    store: &Store,
    path: &Path,
    subject: NamedOrBlankNodeRef<'_>,
    predicate: NamedNodeRef<'_>,
) -> Result<Term, Error> {
    match quads(store, Some(subject), predicate).next() {
        Some(found) => Ok(found.map_err(|e| Error::storage("reading", path, e))?.object),
        None => Err(damaged(path, format!("{subject} has no {predicate}"))),
    }
}

fn quads(
    store: &Store,
    subject: Option<NamedOrBlankNodeRef<'_>>,
    predicate: NamedNodeRef<'_>,
) -> oxigraph::store::QuadIter<'static> {
    let ledger = GraphNameRef::NamedNode(kgb::LEDGER);
    store.quads_for_pattern(subject, Some(predicate), None, Some(ledger))
}

fn quad(subject: NamedNodeRef<'_>, predicate: NamedNodeRef<'_>, object: impl Into<Term>) -> Quad {
    Quad::new(subject, predicate, object, kgb::LEDGER)
}

fn json(value: &serde_json::Value) -> Literal {
    Literal::new_typed_literal(value.to_string(), rdf::JSON)
}

fn text(term: &Term) -> &str {
    match term {
        Term::Literal(literal) => literal.value(),
        _ => "",
    }
}

fn damaged(path: &Path, what: String) -> Error {
    Error::Ledger { path: path.to_owned(), what }
}
