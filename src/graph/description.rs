//! What a finished graph is, by VoID and DCAT: how many triples, entities and classes it has, and how many
//! triples by each property.
//!
//! What counts are facts, names and types, as an export without annotations has them. Of times nothing is
//! said, so that the same graph has the same description; the run has them.

use std::collections::BTreeMap;

use oxigraph::model::vocab::{rdf, rdfs, xsd};
use oxigraph::model::{
    GraphNameRef, Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, Quad, Term,
};
use oxigraph::store::{StorageError, Store};

use super::vocabulary as kgb;
use super::write::identifier;

const TITLE: &str = "A knowledge graph of what language models know";

/// How many triples, by what tells them apart.
#[derive(Default)]
struct Counts {
    /// Of facts, names and types.
    by_property: BTreeMap<String, u64>,
    /// Of `rdf:type`.
    by_class: BTreeMap<NamedNode, u64>,
    /// What has a name and is no relation.
    entities: u64,
}

impl Counts {
    fn of(store: &Store) -> Result<Self, StorageError> {
        let quads = |predicate| {
            let graph = Some(GraphNameRef::DefaultGraph);
            store.quads_for_pattern(None, Some(predicate), None, graph)
        };
        let mut counts = Self::default();
        // Equal objects follow each other.
        let mut last = None;
        for quad in quads(rdf::REIFIES) {
            let fact = quad?.object;
            if let (Term::Triple(triple), true) = (&fact, last.as_ref() != Some(&fact)) {
                counts.property(triple.predicate.as_ref());
            }
            last = Some(fact);
        }
        for quad in quads(rdfs::LABEL) {
            let is_relation = matches!(quad?.subject, NamedOrBlankNode::NamedNode(iri)
                if counts.by_property.contains_key(iri.as_str()));
            counts.entities += u64::from(!is_relation);
            counts.property(rdfs::LABEL);
        }
        for quad in quads(kgb::ALT_LABEL) {
            quad?;
            counts.property(kgb::ALT_LABEL);
        }
        for quad in quads(rdf::TYPE) {
            match quad?.object {
                Term::NamedNode(class) if class == kgb::RUN || class == kgb::PROV_ACTIVITY => {}
                Term::NamedNode(class) => {
                    *counts.by_class.entry(class).or_default() += 1;
                    counts.property(rdf::TYPE);
                }
                _ => {}
            }
        }
        Ok(counts)
    }

    fn property(&mut self, property: NamedNodeRef<'_>) {
        match self.by_property.get_mut(property.as_str()) {
            Some(count) => *count += 1,
            None => drop(self.by_property.insert(property.as_str().to_owned(), 1)),
        }
    }
}

/// The description of the graph that is in `store`, which `run` has written.
pub(super) fn quads(
    store: &Store,
    base_iri: &str,
    run: &NamedNode,
) -> Result<Vec<Quad>, StorageError> {
    let counts = Counts::of(store)?;
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
        (kgb::TRIPLES, counts.by_property.values().sum()),
        (kgb::ENTITIES, counts.entities),
        (kgb::CLASSES, counts.by_class.len() as u64),
        (kgb::PROPERTIES, counts.by_property.len() as u64),
    ] {
        say(&dataset, predicate, number(count));
    }
    for (property, count) in &counts.by_property {
        let part = iri("property-partition", property);
        say(&dataset, kgb::PROPERTY_PARTITION, part.clone().into());
        say(&part, kgb::PROPERTY, NamedNode::new_unchecked(property).into());
        say(&part, kgb::TRIPLES, number(*count));
    }
    for (class, count) in &counts.by_class {
        let part = iri("class-partition", class.as_str());
        say(&dataset, kgb::CLASS_PARTITION, part.clone().into());
        say(&part, kgb::CLASS, class.clone().into());
        say(&part, kgb::ENTITIES, number(*count));
    }
    Ok(quads)
}
