//! Recording what a run changed.

use std::collections::BTreeSet;
use std::path::Path;

use oxigraph::model::vocab::rdf;
use oxigraph::model::{
    GraphName, GraphNameRef, Literal, NamedNode, NamedOrBlankNode, Quad, Term, Triple,
};
use oxigraph::store::{StorageError, Store};

use super::super::error::Error;
use super::super::view::reified;
use super::super::vocabulary as kgb;
use super::block::{Author, is_annotation, is_fact};
use super::scan::{self, Differing, Scan};
use super::{Part, RunEntry, change_iri, entries, number, text};

/// How many quads enter the store in one transaction.
const BATCH: usize = 8192;

/// A fact that an older graph has and a new one has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoneFact<'a> {
    /// The subject's IRI.
    pub subject: &'a str,
    /// The predicate's IRI.
    pub relation: &'a str,
    /// The IRI of an entity, the text of a value.
    pub object: &'a str,
    /// Whether it followed from other facts.
    pub derived: bool,
    /// What the new graph has and the older one had not: another object of the subject's, its IRI or text.
    pub instead: Option<&'a str>,
}

/// Says why a fact is gone, in words for people.
pub type WhyGone<'a> = dyn Fn(&GoneFact<'_>) -> String + 'a;

/// What is to be recorded: a graph that is finished, and the one whose place it takes, if any.
pub(in super::super) struct Recorded<'a> {
    /// Its store, and where that is.
    pub own: (&'a Store, &'a Path),
    pub run: &'a NamedNode,
    pub scan: Scan,
    pub old: Option<OldGraph<'a>>,
    pub why: Option<&'a WhyGone<'a>>,
}

/// A graph that was finished before.
pub(in super::super) struct OldGraph<'a> {
    pub store: &'a Store,
    pub run: NamedNode,
    pub scan: Scan,
}

/// Writes what changed into the store, and gives the entry of the run, which is to be written last.
pub(in super::super) fn record(recorded: Recorded<'_>) -> Result<Vec<Quad>, Error> {
    let Recorded { own: (store, path), run, scan, old, why } = recorded;
    let failed = |error| Error::storage("writing to", path, error);
    let own = RunEntry::first(store, run, scan.facts).map_err(failed)?;
    let reason = text(store, run.as_ref().into(), kgb::REASON, kgb::LEDGER.into());
    let reason = reason.map_err(failed)?;
    let Some(OldGraph { store: old, run: old_run, scan: old_scan }) = old else {
        return Ok(entry(&own));
    };
    let mut out = Batch { store, quads: Vec::new() };
    let before = carry_over(old, &mut out).map_err(failed)?;
    let number = 1 + before.last().map_or(0, |run| run.number);
    let change = change_iri(run.as_str(), number);
    let mut delta = Delta {
        old: (old, Author(old_run.as_str())),
        new: (store, Author(run.as_str())),
        change: &change,
        why,
        out,
        counts: [0; 3],
        other_schema: false,
    };
    scan::compare(old_scan, scan, &mut |differing| delta.look_at(&differing).map_err(failed))?;
    delta.compare_schemas().and_then(|()| delta.out.flush()).map_err(failed)?;
    let [added, taken_back, changed] = delta.counts;
    let other_schema = delta.other_schema;
    let counted = RunEntry { number, added, taken_back, changed, ..own };
    Ok(entry(&RunEntry { reason, other_schema, change, ..counted }))
}

/// Writes what the old graph has of the runs before, and gives these.
fn carry_over(old: &Store, out: &mut Batch<'_>) -> Result<Vec<RunEntry>, StorageError> {
    let before = entries(old)?;
    for run in &before {
        entry(run).into_iter().try_for_each(|quad| out.push(quad))?;
        for part in Part::ALL {
            let graph = part.graph(&run.change);
            for triple in run.triples(old, part) {
                out.push(triple?.in_graph(graph.clone()))?;
            }
        }
    }
    Ok(before)
}

fn entry(run: &RunEntry) -> Vec<Quad> {
    let mut quads = Vec::new();
    let mut say = |predicate, object: Term| {
        quads.push(Quad::new(run.change.clone(), predicate, object, kgb::HISTORY));
    };
    say(rdf::TYPE, kgb::CHANGE.into());
    say(rdf::TYPE, kgb::PROV_ACTIVITY.into());
    say(kgb::OF_RUN, NamedNode::new_unchecked(run.run.as_str()).into());
    // All that there is was added by the first.
    if run.number > 1 {
        say(kgb::ADDED, Part::Added.graph(&run.change).into());
        say(kgb::TAKEN_BACK, Part::TakenBack.graph(&run.change).into());
    }
    if run.other_schema {
        say(kgb::SCHEMA_BEFORE, Part::Schema.graph(&run.change).into());
    }
    for (predicate, count) in [
        (kgb::NUMBER, run.number),
        (kgb::FACTS, run.facts),
        (kgb::FACTS_ADDED, run.added),
        (kgb::FACTS_TAKEN_BACK, run.taken_back),
        (kgb::FACTS_CHANGED, run.changed),
    ] {
        say(predicate, number(count).into());
    }
    for (predicate, time) in
        [(kgb::STARTED_AT_TIME, &run.started), (kgb::ENDED_AT_TIME, &run.ended)]
    {
        if let Some(time) = time {
            let datatype = oxigraph::model::vocab::xsd::DATE_TIME;
            say(predicate, Literal::new_typed_literal(time.as_str(), datatype).into());
        }
    }
    if let Some(reason) = &run.reason {
        say(kgb::REASON, Literal::from(reason.as_str()).into());
    }
    quads
}

/// Quads that enter a store some thousands at a time.
pub(super) struct Batch<'a> {
    pub store: &'a Store,
    pub quads: Vec<Quad>,
}

impl Batch<'_> {
    pub(super) fn push(&mut self, quad: Quad) -> Result<(), StorageError> {
        self.quads.push(quad);
        if self.quads.len() < BATCH { Ok(()) } else { self.flush() }
    }

    pub(super) fn flush(&mut self) -> Result<(), StorageError> {
        self.store.extend(self.quads.drain(..))
    }
}

/// What two graphs have of each other. Nothing is held of them but what is said of one subject.
struct Delta<'a> {
    old: (&'a Store, Author<'a>),
    new: (&'a Store, Author<'a>),
    change: &'a NamedNode,
    why: Option<&'a WhyGone<'a>>,
    out: Batch<'a>,
    /// Of facts: added, taken back, changed.
    counts: [u64; 3],
    other_schema: bool,
}

impl Delta<'_> {
    fn look_at(&mut self, [was, is]: &Differing) -> Result<(), StorageError> {
        let was = self.old.1.block(self.old.0, was.as_ref())?;
        let is = self.new.1.block(self.new.0, is.as_ref())?;
        self.compare_blocks(&was, &is)
    }

    fn compare_schemas(&mut self) -> Result<(), StorageError> {
        let schema = |store: &Store| -> Result<BTreeSet<String>, StorageError> {
            schema(store).map(|triple| Ok(triple?.to_string())).collect()
        };
        if schema(self.old.0)? != schema(self.new.0)? {
            self.other_schema = true;
            let graph = Part::Schema.graph(self.change);
            for triple in self::schema(self.old.0) {
                self.out.push(triple?.in_graph(graph.clone()))?;
            }
        }
        Ok(())
    }

    fn compare_blocks(&mut self, was: &[Triple], is: &[Triple]) -> Result<(), StorageError> {
        if was == is {
            return Ok(());
        }
        let is_whole = is_annotation(was) || is_annotation(is);
        for (part, own, other) in [(Part::TakenBack, was, is), (Part::Added, is, was)] {
            let graph = part.graph(self.change);
            for triple in own.iter().filter(|triple| is_whole || !other.contains(triple)) {
                self.out.push(triple.clone().in_graph(graph.clone()))?;
            }
        }
        match (is_fact(was), is_fact(is)) {
            (false, true) => self.counts[0] += 1,
            (true, false) => {
                self.counts[1] += 1;
                self.explain(was)?;
            }
            (true, true) => self.counts[2] += 1,
            (false, false) => {}
        }
        Ok(())
    }

    /// Says why a fact is gone, beside it.
    fn explain(&mut self, block: &[Triple]) -> Result<(), StorageError> {
        let (Some(why), Some(fact)) = (self.why, block.iter().find_map(reified)) else {
            return Ok(());
        };
        let NamedOrBlankNode::NamedNode(subject) = &fact.subject else { return Ok(()) };
        let instead = self.instead(fact)?;
        let reason = why(&GoneFact {
            subject: subject.as_str(),
            relation: fact.predicate.as_str(),
            object: object(&fact.object),
            derived: block.iter().any(|triple| triple.predicate == kgb::WAS_DERIVED_FROM),
            instead: instead.as_ref().map(object),
        });
        let graph = Part::TakenBack.graph(self.change);
        let reason = Literal::from(reason);
        self.out.push(Quad::new(block[0].subject.clone(), kgb::REASON, reason, graph))
    }

    /// The first of the objects, in byte order, that the new graph has for a fact's subject and the old has not.
    fn instead(&self, fact: &Triple) -> Result<Option<Term>, StorageError> {
        let (subject, relation) = (Some(fact.subject.as_ref()), Some(fact.predicate.as_ref()));
        let graph = GraphName::DefaultGraph;
        let quads = self.new.0.quads_for_pattern(subject, relation, None, Some(graph.as_ref()));
        let mut new = Vec::new();
        for quad in quads {
            let quad = quad?;
            if !self.old.0.contains(&quad)? {
                new.push(quad.object);
            }
        }
        Ok(new.into_iter().min_by_key(Term::to_string))
    }
}

/// The IRI of an entity, the text of a value.
fn object(term: &Term) -> &str {
    match term {
        Term::NamedNode(iri) => iri.as_str(),
        Term::Literal(value) => value.value(),
        Term::BlankNode(node) => node.as_str(),
        Term::Triple(_) => "",
    }
}

fn schema(store: &Store) -> impl Iterator<Item = Result<Triple, StorageError>> + use<> {
    let graph = Some(GraphNameRef::NamedNode(kgb::SCHEMA));
    store.quads_for_pattern(None, None, None, graph).map(|quad| quad.map(Triple::from))
}
