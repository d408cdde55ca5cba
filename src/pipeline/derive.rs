//! What follows from the predicted and the known facts, once all are predicted: a function of these alone, so
//! that it depends on no order, and a run that was killed within it does it again with the same result.
//!
//! A fact that was predicted or known itself is left as it is. Of what follows, each fact is written once, with
//! the confidence of the most confident fact that it follows from. Where a relation has at most so many
//! objects, those of a subject's own come first, then the most confident.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use super::Error;
use crate::facts::Facts;
use crate::graph::{Derivation, EntityDescription, GraphWriter, Object, Origin};
use crate::ontology::{Consequence, Ontology};

/// How many facts enter the graph in one transaction.
const BATCH: usize = 4096;

/// The confidence in what is known.
const CERTAIN: f64 = 1.0;

/// An object: the IRI of an entity, or the text of a value and its datatype.
type Thing = (String, Option<String>);

/// What a fact follows from.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// The IRI of an annotation.
    Predicted(String),
    Known {
        subject: String,
        relation: String,
        object: Thing,
    },
}

/// The confidence in a fact that follows, and the most confident ones that it follows from.
#[derive(Debug, PartialEq)]
struct Following {
    confidence: f64,
    sources: BTreeSet<Source>,
}

/// By subject and object.
type Derived = BTreeMap<String, BTreeMap<Thing, Following>>;

/// What facts follow by, and what they are written with.
pub(super) struct Deriving<'a> {
    pub ontology: &'a Ontology,
    /// What was known before the run.
    pub known: Option<&'a Facts>,
    /// What an entity is called and is, where that is known.
    pub described: &'a dyn Fn(&str) -> Option<EntityDescription<'a>>,
}

impl Deriving<'_> {
    /// Writes what follows from all facts. Gives whether it got to its end, which `stop` keeps it from.
    ///
    /// # Errors
    /// Where the graph cannot be read or written.
    pub(super) fn derive(
        &self,
        writer: &mut GraphWriter,
        stop: &AtomicBool,
    ) -> Result<bool, Error> {
        for consequence in self.ontology.consequences() {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let mut derived = following(self.known, self.ontology, writer, consequence)?;
            for (subject, objects) in &mut derived {
                let own = own(self.known, writer, consequence, subject)?;
                settle(consequence, subject, &own, objects);
            }
            self.write(writer, &consequence.relation, &derived)?;
        }
        Ok(true)
    }

    fn write(
        &self,
        writer: &mut GraphWriter,
        relation: &str,
        derived: &Derived,
    ) -> Result<(), Error> {
        let facts: Vec<(&str, &Thing, &Following)> = derived
            .iter()
            .flat_map(|(subject, found)| found.iter().map(move |(o, f)| (subject.as_str(), o, f)))
            .collect();
        for batch in facts.chunks(BATCH) {
            let label = self.ontology.label(relation);
            let of_relation = |label| EntityDescription {
                iri: relation,
                label,
                aliases: Vec::new(),
                types: Vec::new(),
            };
            let mut entities: Vec<EntityDescription<'_>> =
                label.map(of_relation).into_iter().collect();
            let mut derivations = Vec::with_capacity(batch.len());
            for (subject, object, following) in batch {
                entities.extend((self.described)(subject));
                if object.1.is_none() {
                    entities.extend((self.described)(&object.0));
                }
                derivations.push(Derivation {
                    subject,
                    relation,
                    object: as_object(object),
                    confidence: following.confidence,
                    origins: following.sources.iter().map(origin).collect(),
                });
            }
            writer.derive(&derivations, &entities)?;
        }
        Ok(())
    }
}

/// All that follows, whatever else there is.
fn following(
    known: Option<&Facts>,
    ontology: &Ontology,
    writer: &GraphWriter,
    consequence: &Consequence,
) -> Result<Derived, Error> {
    let mut derived = Derived::new();
    for from in &consequence.from {
        let mut add = |subject: String, object: Thing, confidence: f64, source: Source| {
            let (subject, object) = match (from.is_inverse, object) {
                (false, object) => (subject, object),
                (true, (object, None)) => (object, (subject, None)),
                // A value is no subject.
                (true, (_, Some(_))) => return,
            };
            let objects = derived.entry(subject).or_default();
            let found = objects
                .entry(object)
                .or_insert_with(|| Following { confidence, sources: BTreeSet::new() });
            if confidence > found.confidence {
                *found = Following { confidence, sources: BTreeSet::new() };
            }
            if confidence == found.confidence {
                found.sources.insert(source);
            }
        };
        writer.predicted(&from.relation, None, &mut |fact| {
            let source = Source::Predicted(fact.annotation);
            add(fact.subject, (fact.object, fact.datatype), fact.confidence, source);
        })?;
        let datatype = datatype(ontology, &from.relation);
        for (subject, objects) in known.into_iter().flat_map(|all| all.questions(&from.relation)) {
            for object in objects {
                let object = (object.clone(), datatype.map(str::to_owned));
                let source = Source::Known {
                    subject: subject.to_owned(),
                    relation: from.relation.clone(),
                    object: object.clone(),
                };
                add(subject.to_owned(), object, CERTAIN, source);
            }
        }
    }
    Ok(derived)
}

/// Of a relation whose objects are values.
fn datatype<'a>(ontology: &'a Ontology, relation: &str) -> Option<&'a str> {
    Some(ontology.relation(relation)?.values.as_ref()?.datatype.iri())
}

/// The objects of a subject that were predicted or known themselves.
fn own(
    known: Option<&Facts>,
    writer: &GraphWriter,
    consequence: &Consequence,
    subject: &str,
) -> Result<HashSet<String>, Error> {
    let mut own = HashSet::new();
    writer.predicted(&consequence.relation, Some(subject), &mut |fact| {
        own.insert(fact.object);
    })?;
    let known = known.and_then(|all| all.objects(subject, &consequence.relation));
    own.extend(known.into_iter().flatten().cloned());
    Ok(own)
}

/// Keeps of what follows about a subject what is new and fits beside its own objects.
fn settle(
    consequence: &Consequence,
    subject: &str,
    own: &HashSet<String>,
    objects: &mut BTreeMap<Thing, Following>,
) {
    objects.retain(|(object, _), _| {
        let is_itself = consequence.irreflexive && object == subject;
        !is_itself && !own.contains(object)
    });
    let Some(most) = consequence.max_objects else { return };
    let room = (most as usize).saturating_sub(own.len());
    let mut ranked: Vec<(f64, Thing)> =
        objects.iter().map(|(object, found)| (found.confidence, object.clone())).collect();
    // Of equally confident ones the first in byte order stay.
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    for (_, object) in ranked.into_iter().skip(room) {
        objects.remove(&object);
    }
}

fn as_object((object, datatype): &Thing) -> Object<'_> {
    match datatype {
        None => Object::Entity(object),
        Some(datatype) => Object::Value { text: object.as_str().into(), datatype, within: None },
    }
}

fn origin(source: &Source) -> Origin<'_> {
    match source {
        Source::Predicted(annotation) => Origin::Predicted(annotation),
        Source::Known { subject, relation, object } => {
            Origin::Known { subject, relation, object: as_object(object) }
        }
    }
}

/// By relation, the subjects of which an object is known.
pub(super) type Answered<'a> = BTreeMap<&'a str, HashSet<&'a str>>;

/// The subjects of which known facts tell an object, by what follows from them too.
pub(super) fn answered<'a>(known: &'a Facts, ontology: &'a Ontology) -> Answered<'a> {
    let mut answered = Answered::new();
    for relation in known.relations() {
        let with = known.questions(relation).filter(|(_, objects)| !objects.is_empty());
        answered.entry(relation).or_default().extend(with.map(|(subject, _)| subject));
    }
    for consequence in ontology.consequences() {
        let subjects = answered.entry(&consequence.relation).or_default();
        for from in &consequence.from {
            if from.is_inverse && datatype(ontology, &from.relation).is_some() {
                continue;
            }
            for (subject, objects) in known.questions(&from.relation) {
                let objects = objects.iter().map(String::as_str);
                let fitting = objects.filter(|o| !(consequence.irreflexive && *o == subject));
                match from.is_inverse {
                    true => subjects.extend(fitting),
                    false => subjects.extend(fitting.take(1).map(|_| subject)),
                }
            }
        }
    }
    answered
}

#[cfg(test)]
mod tests;
