//! Which facts differ between the graphs that two runs left.

use std::collections::BTreeMap;

use oxigraph::model::{NamedOrBlankNode, Term, Triple};
use oxigraph::store::{StorageError, Store};

use super::super::error::Error;
use super::super::view::reified;
use super::super::vocabulary as kgb;
use super::{Part, RunEntry, entries};

/// A fact that one of two graphs has, or of which they say something else.
#[derive(Clone, Debug, PartialEq)]
pub struct FactChange {
    /// The subject's IRI.
    pub subject: String,
    /// The predicate's IRI.
    pub relation: String,
    /// The IRI of an entity, the text of a value.
    pub object: String,
    /// The IRI of a value's datatype; none of an entity.
    pub datatype: Option<String>,
    /// The confidence in it before, 0 to 1; none where it was not there.
    pub before: Option<f64>,
    /// The confidence after; none where it is not there any more.
    pub after: Option<f64>,
    /// Why it was taken back, in words.
    pub reason: Option<String>,
}

/// Of one fact: what is said before the first change and after the last, and why it was last taken back.
#[derive(Default)]
struct Ends {
    triple: Option<Triple>,
    before: Said,
    after: Said,
    reason: Option<String>,
    is_met: bool,
}

/// What is said of a fact, sorted, and the confidence in it; nothing where it is not there.
type Said = Option<(Vec<String>, f64)>;

/// What differs between the graphs after two runs, by relation, subject and object.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn diff(store: &Store, from: &RunEntry, to: &RunEntry) -> Result<Vec<FactChange>, Error> {
    let (first, last) = (from.number.min(to.number), from.number.max(to.number));
    let mut facts: BTreeMap<String, Ends> = BTreeMap::new();
    for run in entries(store).map_err(Error::Read)? {
        if first < run.number && run.number <= last {
            follow(store, &run, &mut facts).map_err(Error::Read)?;
        }
    }
    let is_back = from.number > to.number;
    let changes = facts.into_values().filter_map(|ends| ends.change(is_back));
    let mut changes: Vec<FactChange> = changes.collect();
    changes.sort_by(|a, b| {
        let key = |change: &FactChange| {
            [&change.relation, &change.subject, &change.object].map(String::clone)
        };
        key(a).cmp(&key(b))
    });
    Ok(changes)
}

/// Goes on with what a run changed.
fn follow(
    store: &Store,
    run: &RunEntry,
    facts: &mut BTreeMap<String, Ends>,
) -> Result<(), StorageError> {
    let [taken_back, added] =
        [said_in(run.triples(store, Part::TakenBack))?, said_in(run.triples(store, Part::Added))?];
    for (fact, block) in &taken_back {
        let ends = facts.entry(fact.clone()).or_default();
        if !ends.is_met {
            ends.before = block.said.clone();
        }
        (ends.is_met, ends.after) = (true, None);
        ends.triple.clone_from(&block.triple);
        ends.reason.clone_from(&block.reason);
    }
    for (fact, block) in added {
        let ends = facts.entry(fact).or_default();
        (ends.is_met, ends.after) = (true, block.said);
        ends.triple = block.triple;
        ends.reason = None;
    }
    Ok(())
}

/// What is said of a triple.
#[derive(Default)]
struct Block {
    triple: Option<Triple>,
    said: Said,
    reason: Option<String>,
}

/// What triples say, by the names of annotations.
fn said_in(
    triples: impl Iterator<Item = Result<Triple, StorageError>>,
) -> Result<BTreeMap<String, Block>, StorageError> {
    let mut blocks: BTreeMap<String, (Block, Vec<String>, Option<f64>)> = BTreeMap::new();
    for triple in triples {
        let triple = triple?;
        let NamedOrBlankNode::NamedNode(subject) = &triple.subject else { continue };
        let (block, said, confidence) = blocks.entry(subject.as_str().to_owned()).or_default();
        match (&triple.object, reified(&triple)) {
            (_, Some(fact)) => block.triple = Some(fact.clone()),
            (Term::Literal(text), None) if triple.predicate == kgb::REASON => {
                block.reason = Some(text.value().to_owned());
                continue;
            }
            (Term::Literal(value), None) if triple.predicate == kgb::CONFIDENCE => {
                *confidence = value.value().parse().ok();
            }
            _ => {}
        }
        said.push(triple.to_string());
    }
    let blocks = blocks.into_iter().map(|(name, (mut block, mut said, confidence))| {
        said.sort_unstable();
        block.said = confidence.map(|confidence| (said, confidence));
        (name, block)
    });
    Ok(blocks.filter(|(_, block)| block.triple.is_some()).collect())
}

impl Ends {
    fn change(self, is_back: bool) -> Option<FactChange> {
        if self.before == self.after {
            return None;
        }
        let triple = self.triple?;
        let NamedOrBlankNode::NamedNode(subject) = triple.subject else { return None };
        let (object, datatype) = match triple.object {
            Term::NamedNode(iri) => (iri.into_string(), None),
            Term::Literal(value) => {
                let datatype = value.datatype().as_str().to_owned();
                (value.destruct().0, Some(datatype))
            }
            _ => return None,
        };
        let [mut before, mut after] =
            [self.before, self.after].map(|said| said.map(|(_, confidence)| confidence));
        if is_back {
            std::mem::swap(&mut before, &mut after);
        }
        let is_taken_back = after.is_none() && !is_back;
        Some(FactChange {
            subject: subject.into_string(),
            relation: triple.predicate.into_string(),
            object,
            datatype,
            before,
            after,
            reason: self.reason.filter(|_| is_taken_back),
        })
    }
}
