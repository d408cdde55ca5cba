//! The ledger: a named graph in the store that says under which signature the store was made,
//! which chunks are done, and whether the run got to its end.
//!
//! Invariant: a chunk that it says is done is whole, because it says so in the transaction that
//! writes the chunk's triples.

use super::done::{DoneChunks, RelationDone};
use super::error::{Difference, Error};
use super::records::ShardDescription;
use super::vocabulary as kgb;
use oxigraph::model::vocab::rdf;
use oxigraph::model::{
    GraphNameRef, Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, Quad, Term,
};
use oxigraph::store::{StorageError, Store};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// What the result of a run depends on: the name of each part and its hash or value.
pub(super) type Signature = BTreeMap<String, String>;

/// The part of a signature that says which part of the questions a store has, for one that is to be merged.
pub(super) const SHARD: &str = "shard";

/// The part that says of which shards a graph was merged, where that is not all of them.
pub(super) const SHARDS: &str = "shards";

/// The quad that says which part of its questions a run asks.
pub(super) fn shard_quad(run: &NamedNode, shard: &ShardDescription) -> Quad {
    quad(run.as_ref(), kgb::SHARD, json(&serde_json::json!(shard)))
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

/// The quad that says which chunks of a relation are done.
pub(super) fn progress(relation: &NamedNode, done: &RelationDone) -> Quad {
    quad(relation.as_ref(), kgb::PROGRESS, json(&done.to_json()))
}

/// The quads that keep the best candidates of a chunk's questions; none where there are none.
pub(super) fn candidates(
    iri: &NamedNode,
    relation: &NamedNode,
    candidates: &serde_json::Value,
) -> Vec<Quad> {
    if candidates.is_null() {
        return Vec::new();
    }
    let of_relation = quad(iri.as_ref(), kgb::RELATION, relation.clone());
    vec![of_relation, quad(iri.as_ref(), kgb::CANDIDATES, json(candidates))]
}

/// The quad that records the run as complete.
pub(super) fn completion(run: &NamedNode) -> Quad {
    quad(run.as_ref(), kgb::COMPLETE, Literal::from(true))
}

/// What the IRIs of the run and of what it names begin with; the usual one where the store has no ledger.
pub(super) fn base_iri(store: &Store) -> Result<String, StorageError> {
    let run = quads(store, kgb::SIGNATURE_PARTS).next().transpose()?;
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
    let found = quads(store, kgb::COMPLETE).next().transpose()?;
    Ok(found.and_then(|quad| match quad.subject {
        NamedOrBlankNode::NamedNode(run) => Some(run),
        NamedOrBlankNode::BlankNode(_) => None,
    }))
}

/// The signature that a store was made under, with the part of its questions that it has, where that is not all;
/// `None` where it has no ledger.
pub(super) fn signature(store: &Store, path: &Path) -> Result<Option<Signature>, Error> {
    let read = |e| Error::storage("reading", path, e);
    let Some(found) = quads(store, kgb::SIGNATURE_PARTS).next() else {
        return Ok(None);
    };
    let found = found.map_err(read)?;
    let mut signature: Signature = serde_json::from_str(text(&found.object))
        .map_err(|e| damaged(path, format!("its signature is no JSON object of texts ({e})")))?;
    signature.extend(shard(store, path)?.map(|shard| (SHARD.to_owned(), shard.name())));
    let merged = said(store, kgb::SHARDS).map_err(read)?;
    signature.extend(merged.into_iter().map(|shards| (SHARDS.to_owned(), shards)));
    Ok(Some(signature))
}

/// Which part of a job's questions a store has; none where it is not made of a part.
pub(super) fn shard(store: &Store, path: &Path) -> Result<Option<ShardDescription>, Error> {
    let found = said(store, kgb::SHARD).map_err(|e| Error::storage("reading", path, e))?;
    let read = |text: &String| serde_json::from_str(text);
    found.first().map(read).transpose().map_err(|e| {
        damaged(
            path,
            format!("which part of the questions it has is not what kgbuild writes ({e})"),
        )
    })
}

/// The texts of a property, in order.
pub(super) fn said(
    store: &Store,
    predicate: NamedNodeRef<'_>,
) -> Result<Vec<String>, StorageError> {
    let texts = quads(store, predicate).map(|quad| Ok(text(&quad?.object).to_owned()));
    let mut texts = texts.collect::<Result<Vec<String>, StorageError>>()?;
    texts.sort_unstable();
    Ok(texts)
}

/// What differs between the signature of a store and that of a run, by name of the part.
pub fn differences(
    was: &BTreeMap<String, String>,
    is: &BTreeMap<String, String>,
) -> Vec<Difference> {
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
    let found = quads(store, kgb::COMPLETE).next().transpose();
    found.map(|quad| quad.is_some()).map_err(|e| Error::storage("reading", path, e))
}

/// The chunks that are done, and what says so of fewer of them: what was said before the last chunk.
pub(super) fn done(store: &Store, path: &Path) -> Result<(DoneChunks, Vec<Quad>), Error> {
    let (mut done, mut outdated) = (DoneChunks::default(), Vec::new());
    let mut last: HashMap<NamedOrBlankNode, Quad> = HashMap::new();
    for found in quads(store, kgb::PROGRESS) {
        let found = found.map_err(|e| Error::storage("reading", path, e))?;
        let NamedOrBlankNode::NamedNode(relation) = &found.subject else { continue };
        let own = serde_json::from_str(text(&found.object)).ok().and_then(RelationDone::from_json);
        let what =
            || format!("what it says of the chunks of {relation} is not what kgbuild writes");
        let own = own.ok_or_else(|| damaged(path, what()))?;
        if done.of(relation.as_str()).is_some_and(|other| other.len() >= own.len()) {
            outdated.push(found);
            continue;
        }
        done.set(relation.as_str().into(), own);
        outdated.extend(last.insert(found.subject.clone(), found));
    }
    Ok((done, outdated))
}

fn quads(store: &Store, predicate: NamedNodeRef<'_>) -> oxigraph::store::QuadIter<'static> {
    let ledger = GraphNameRef::NamedNode(kgb::LEDGER);
    store.quads_for_pattern(None, Some(predicate), None, Some(ledger))
}

fn quad(subject: NamedNodeRef<'_>, predicate: NamedNodeRef<'_>, object: impl Into<Term>) -> Quad {
    Quad::new(subject, predicate, object, kgb::LEDGER)
}

fn json(value: &serde_json::Value) -> Literal {
    Literal::new_typed_literal(value.to_string(), rdf::JSON)
}

/// The text of a literal; of another term none.
pub(super) fn text(term: &Term) -> &str {
    match term {
        Term::Literal(literal) => literal.value(),
        _ => "",
    }
}

fn damaged(path: &Path, what: String) -> Error {
    Error::Ledger { path: path.to_owned(), what }
}
