//! What the graph says of a fact: the triple, what annotates it, and what its entities are called.

use oxigraph::model::vocab::{rdf, rdfs, xsd};
use oxigraph::model::{GraphName, Literal, NamedNode, NamedNodeRef, Quad, Term, Triple};

use super::super::error::Error;
use super::super::history;
use super::super::records::{Assertion, EntityDescription, Object};
use super::super::vocabulary as kgb;

/// Probabilities enter the graph rounded to this many decimal places, here and nowhere else; smaller
/// ones to [`PROBABILITY_DIGITS`].
pub const PROBABILITY_DECIMALS: usize = 6;

/// Significant digits of a probability that would have fewer otherwise: a model's own of a long name.
pub const PROBABILITY_DIGITS: usize = 4;

/// Probabilities have no more decimal places than this; what is smaller is 0.
const MOST_DECIMALS: usize = 30;

/// A triple of a run, and the IRI of what is said about it.
pub(super) fn annotated(
    run: &NamedNode,
    subject: &str,
    relation: &str,
    object: &Object<'_>,
) -> Result<(Triple, NamedNode), Error> {
    let object = match object {
        Object::Entity(iri) => named("object", iri)?.into(),
        Object::Value { text, datatype, .. } => {
            let datatype = named("datatype", datatype)?;
            Term::from(Literal::new_typed_literal(&**text, datatype))
        }
    };
    let triple = Triple::new(named("subject", subject)?, named("relation", relation)?, object);
    let annotation = history::annotation_iri(run.as_str(), &triple);
    Ok((triple, annotation))
}

/// Adds what is said of a fact of a run.
pub(super) fn assert(
    run: &NamedNode,
    assertion: &Assertion<'_>,
    quads: &mut Vec<Quad>,
) -> Result<(), Error> {
    let Assertion { subject, relation, ref object, .. } = *assertion;
    let (triple, reifier) = annotated(run, subject, relation, object)?;
    quads.push(statement(&reifier, rdf::REIFIES, triple.clone()));
    quads.push(triple.in_graph(GraphName::DefaultGraph));
    let probabilities = [
        (kgb::CONFIDENCE, "confidence", Some(assertion.confidence)),
        (kgb::CORRECTED_PROBABILITY, "corrected probability", assertion.corrected),
        (kgb::FINETUNED_PROBABILITY, "finetuned model's probability", assertion.finetuned),
        (kgb::BASE_PROBABILITY, "base model's probability", assertion.base),
    ];
    for (predicate, role, value) in probabilities {
        if let Some(value) = value {
            quads.push(statement(&reifier, predicate, probability(role, value)?));
        }
    }
    if let Object::Value { datatype, within: Some(within), .. } = object {
        let datatype = named("datatype", datatype)?;
        for (predicate, bound) in [kgb::LOWER, kgb::UPPER].into_iter().zip(within) {
            let bound = Literal::new_typed_literal(&**bound, datatype.clone());
            quads.push(statement(&reifier, predicate, bound));
        }
    }
    if assertion.ambiguous {
        quads.push(statement(&reifier, kgb::AMBIGUOUS, Literal::from(true)));
    }
    quads.push(statement(&reifier, kgb::WAS_GENERATED_BY, run.clone()));
    Ok(())
}

/// Adds what an entity is called and is.
pub(super) fn describe(entity: &EntityDescription<'_>, quads: &mut Vec<Quad>) -> Result<(), Error> {
    let iri = named("entity", entity.iri)?;
    quads.push(statement(&iri, rdfs::LABEL, Literal::from(entity.label)));
    for &alias in &entity.aliases {
        quads.push(statement(&iri, kgb::ALT_LABEL, Literal::from(alias)));
    }
    for class in &entity.types {
        quads.push(statement(&iri, rdf::TYPE, named("type", class)?));
    }
    Ok(())
}

/// A quad of the graph itself.
pub(super) fn statement(
    subject: &NamedNode,
    predicate: NamedNodeRef<'_>,
    object: impl Into<Term>,
) -> Quad {
    Quad::new(subject.clone(), predicate, object, GraphName::DefaultGraph)
}

/// An IRI, as `role` of a statement.
pub(in super::super) fn named(role: &'static str, iri: &str) -> Result<NamedNode, Error> {
    NamedNode::new(iri).map_err(|source| Error::Iri { role, iri: iri.to_owned(), source })
}

/// A probability as the graph holds it: an `xsd:decimal` without trailing zeros, rounded to
/// [`PROBABILITY_DECIMALS`] places, or to [`PROBABILITY_DIGITS`] where these are more.
pub(super) fn probability(role: &'static str, value: f64) -> Result<Literal, Error> {
    if !(0.0..=1.0).contains(&value) {
        return Err(Error::Probability { role, value });
    }
    // abs: minus zero is in the range, and would keep its sign.
    let value = value.abs();
    let zeros = if value > 0.0 { (-value.log10()).floor() as usize } else { 0 };
    let decimals = PROBABILITY_DECIMALS.max(zeros + PROBABILITY_DIGITS).min(MOST_DECIMALS);
    let rounded = format!("{value:.decimals$}");
    let shortest = rounded.trim_end_matches('0').trim_end_matches('.');
    Ok(Literal::new_typed_literal(shortest, xsd::DECIMAL))
}
