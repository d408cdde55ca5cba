//! What a finished graph is, by VoID and DCAT: how many triples, entities and classes it has, and how many
//! triples by each property.
//!
//! What counts are facts, names and types, as an export without annotations has them. Of times nothing is
//! said, so that the same graph has the same description; the run has them.

use std::collections::BTreeMap;

use oxigraph::model::vocab::{rdf, rdfs, xsd};
use oxigraph::model::{
    GraphNameRef, Literal, NamedNode, NamedNodeRef, Quad, Term, TermRef, TripleRef,
};
use oxigraph::store::{StorageError, Store};

use super::error::Error;
use super::vocabulary as kgb;
use super::write::identifier;

const TITLE: &str = "A knowledge graph of what language models know";

/// How many triples, by what tells them apart.
#[derive(Default)]
pub(super) struct Counts {
    /// Of facts, by IRI.
    by_relation: BTreeMap<String, u64>,
    /// Of `rdf:type`.
    by_class: BTreeMap<String, u64>,
    labels: u64,
    aliases: u64,
    facts: u64,
}

impl Counts {
    /// How many triples have a confidence.
    pub(super) fn facts(&self) -> u64 {
        self.facts
    }

    /// Counts triples of a graph, of which each may be counted once.
    pub(super) fn add<'a>(&mut self, triples: impl IntoIterator<Item = TripleRef<'a>>) {
        for triple in triples {
            match (triple.predicate, triple.object) {
                (kgb::CONFIDENCE, _) => self.facts += 1,
                (rdf::REIFIES, TermRef::Triple(fact)) => {
                    count(&mut self.by_relation, fact.predicate.as_str());
                }
                (rdfs::LABEL, _) => self.labels += 1,
                (kgb::ALT_LABEL, _) => self.aliases += 1,
                (rdf::TYPE, TermRef::NamedNode(class))
                    if class != kgb::RUN && class != kgb::PROV_ACTIVITY =>
                {
                    count(&mut self.by_class, class.as_str());
                }
                _ => {}
            }
        }
    }

    /// How many labels the relations have that facts are of: what else has a name is an entity.
    fn labels_of_relations(&self, store: &Store) -> Result<u64, StorageError> {
        let mut labels = 0;
        for relation in self.by_relation.keys() {
            let of = Some(NamedNodeRef::new_unchecked(relation).into());
            let graph = Some(GraphNameRef::DefaultGraph);
            for quad in store.quads_for_pattern(of, Some(rdfs::LABEL), None, graph) {
                quad?;
                labels += 1;
            }
        }
        Ok(labels)
    }

    /// Of facts, names and types.
    fn by_property(&self) -> BTreeMap<String, u64> {
        let mut all = self.by_relation.clone();
        let types = self.by_class.values().sum();
        for (property, count) in
            [(rdfs::LABEL, self.labels), (kgb::ALT_LABEL, self.aliases), (rdf::TYPE, types)]
        {
            if count > 0 {
                *all.entry(property.as_str().to_owned()).or_default() += count;
            }
        }
        all
    }
}

fn count(all: &mut BTreeMap<String, u64>, of: &str) {
    match all.get_mut(of) {
        Some(count) => *count += 1,
        None => drop(all.insert(of.to_owned(), 1)),
    }
}

/// The description of the graph that is in `store`, which `run` has written, by what was counted of it.
pub(super) fn quads(
    store: &Store,
    counts: &Counts,
    base_iri: &str,
    run: &NamedNode,
) -> Result<Vec<Quad>, StorageError> {
    let entities = counts.labels - counts.labels_of_relations(store)?;
    let by_property = counts.by_property();
    let mut quads = Vec::new();
    let iri = |kind: &str, of: &str| {
        NamedNode::new_unchecked(format!("{base_iri}{kind}:{}", identifier([run.as_str(), of])))
    };
    let mut say = |subject: &NamedNode, predicate: NamedNodeRef<'_>, object: Term| {
        quads.push(Quad::new(subject.clone(), predicate, object, kgb::DESCRIPTION));
    };
    let number =
        |count: u64| Term::from(Literal::new_typed_literal(count.to_string(), xsd::INTEGER));
    let dataset = iri("dataset", "");
    for class in [kgb::VOID_DATASET, kgb::DCAT_DATASET] {
        say(&dataset, rdf::TYPE, class.into_owned().into());
    }
    say(&dataset, kgb::TITLE, Literal::from(TITLE).into());
    say(&dataset, kgb::WAS_GENERATED_BY, run.clone().into());
    for (predicate, count) in [
        (kgb::TRIPLES, by_property.values().sum()),
        (kgb::ENTITIES, entities),
        (kgb::CLASSES, counts.by_class.len() as u64),
        (kgb::PROPERTIES, by_property.len() as u64),
    ] {
        say(&dataset, predicate, number(count));
    }
    for (property, count) in &by_property {
        let part = iri("property-partition", property);
        say(&dataset, kgb::PROPERTY_PARTITION, part.clone().into());
        say(&part, kgb::PROPERTY, NamedNode::new_unchecked(property).into());
        say(&part, kgb::TRIPLES, number(*count));
    }
    for (class, count) in &counts.by_class {
        let part = iri("class-partition", class);
        say(&dataset, kgb::CLASS_PARTITION, part.clone().into());
        say(&part, kgb::CLASS, NamedNode::new_unchecked(class).into());
        say(&part, kgb::ENTITIES, number(*count));
    }
    Ok(quads)
}

/// What a store's description counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// What is named and is no relation.
    pub entities: u64,
    /// Triples by the IRI of their property, in the order of these.
    pub by_property: BTreeMap<String, u64>,
    /// Entities by the IRI of their class.
    pub by_class: BTreeMap<String, u64>,
}

/// What the description in a store counts; none where there is none, as in a graph that is not finished.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn described(store: &Store) -> Result<Option<Described>, Error> {
    let graph = Some(GraphNameRef::NamedNode(kgb::DESCRIPTION));
    let mut found = Described::default();
    // What is said of each part and of the whole: a property or a class, triples, entities.
    let mut parts: BTreeMap<String, (Option<Part>, u64, u64)> = BTreeMap::new();
    for quad in store.quads_for_pattern(None, None, None, graph) {
        let quad = quad.map_err(Error::Read)?;
        let part = parts.entry(quad.subject.to_string()).or_default();
        match (quad.predicate.as_ref(), quad.object) {
            (kgb::PROPERTY, Term::NamedNode(iri)) => {
                part.0 = Some(Part::Property(iri.into_string()));
            }
            (kgb::CLASS, Term::NamedNode(iri)) => part.0 = Some(Part::Class(iri.into_string())),
            (kgb::TRIPLES, Term::Literal(count)) => part.1 = count.value().parse().unwrap_or(0),
            (kgb::ENTITIES, Term::Literal(count)) => {
                // Of a class; of the dataset, which has triples too.
                part.2 = count.value().parse().unwrap_or(0);
            }
            _ => {}
        }
    }
    let is_described = !parts.is_empty();
    for (part, triples, entities) in parts.into_values() {
        match part {
            Some(Part::Property(iri)) => drop(found.by_property.insert(iri, triples)),
            Some(Part::Class(iri)) => drop(found.by_class.insert(iri, entities)),
            None => found.entities = entities,
        }
    }
    Ok(is_described.then_some(found))
}

/// A part of a graph.
enum Part {
    Property(String),
    Class(String),
}
