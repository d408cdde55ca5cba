//! What follows from predicted and known facts: read from the store, and written beside them.
//!
//! What is derived is a function of what is predicted and known, and is told from it by its
//! `prov:wasDerivedFrom`, so that it can be worked out and written any number of times.

use oxigraph::model::vocab::rdf;
use oxigraph::model::{
    GraphName, GraphNameRef, Literal, NamedNode, NamedNodeRef, NamedOrBlankNode,
    NamedOrBlankNodeRef, Quad, Term, TermRef, Triple,
};
use oxigraph::store::{StorageError, Store};

use super::super::error::Error;
use super::super::records::{Derivation, EntityDescription, Origin};
use super::super::vocabulary as kgb;
use super::GraphWriter;
use super::statements::{annotated, describe, probability, statement};

/// A fact that the models predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedFact {
    /// The subject's IRI.
    pub subject: String,
    /// The IRI of an entity, the text of a value.
    pub object: String,
    /// The IRI of a value's datatype; none of an entity.
    pub datatype: Option<String>,
    /// The IRI of its annotation.
    pub annotation: String,
    /// The confidence in it, 0 to 1.
    pub confidence: f64,
}

impl GraphWriter {
    /// Gives `take` each fact of a relation, of one subject or of all, that was predicted and not derived.
    ///
    /// # Errors
    /// Where the store cannot be read or holds a confidence that is none.
    pub fn predicted(
        &self,
        relation: &str,
        subject: Option<&str>,
        take: &mut dyn FnMut(PredictedFact),
    ) -> Result<(), Error> {
        let relation = NamedNodeRef::new_unchecked(relation);
        let subject = subject.map(|iri| NamedNodeRef::new_unchecked(iri).into());
        self.facts(DEFAULT, subject, relation, &|_| true, take)
    }

    /// The same of all subjects, as if nothing had been judged.
    ///
    /// # Errors
    /// Where the store cannot be read or holds a confidence that is none.
    pub fn predicted_before_judgements(
        &self,
        relation: &str,
        take: &mut dyn FnMut(PredictedFact),
    ) -> Result<(), Error> {
        let relation = NamedNodeRef::new_unchecked(relation);
        let is_plain = |annotation: &NamedNode| {
            let of = Some(annotation.as_ref().into());
            quads(&self.store, DEFAULT, of, kgb::JUDGED, None).next().is_none()
        };
        self.facts(DEFAULT, None, relation, &is_plain, take)?;
        self.facts(kgb::PREDICTED.into(), None, relation, &|_| true, take)
    }

    /// Those of a graph whose annotation is wanted.
    fn facts(
        &self,
        graph: GraphNameRef<'_>,
        subject: Option<NamedOrBlankNodeRef<'_>>,
        relation: NamedNodeRef<'_>,
        is_wanted: &dyn Fn(&NamedNode) -> bool,
        take: &mut dyn FnMut(PredictedFact),
    ) -> Result<(), Error> {
        for quad in quads(&self.store, graph, subject, relation, None) {
            let triple = Triple::from(quad.map_err(Error::Read)?);
            let NamedOrBlankNode::NamedNode(subject) = &triple.subject else { continue };
            let (object, datatype) = match &triple.object {
                Term::NamedNode(iri) => (iri.as_str(), None),
                Term::Literal(value) => (value.value(), Some(value.datatype().as_str().to_owned())),
                _ => continue,
            };
            let annotation = self.annotation(graph, &triple)?;
            if let Some((annotation, confidence)) = annotation.filter(|own| is_wanted(&own.0)) {
                take(PredictedFact {
                    subject: subject.as_str().to_owned(),
                    object: object.to_owned(),
                    datatype,
                    annotation: annotation.into_string(),
                    confidence,
                });
            }
        }
        Ok(())
    }

    /// How many facts are derived.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn derived(&self) -> Result<usize, Error> {
        let mut annotations = std::collections::BTreeSet::new();
        for quad in quads(&self.store, DEFAULT, None, kgb::WAS_DERIVED_FROM, None) {
            annotations.insert(quad.map_err(Error::Read)?.subject.to_string());
        }
        Ok(annotations.len())
    }

    /// The annotation of a predicted triple by a graph, and its confidence.
    fn annotation(
        &self,
        graph: GraphNameRef<'_>,
        triple: &Triple,
    ) -> Result<Option<(NamedNode, f64)>, Error> {
        let term = Term::from(triple.clone());
        for quad in quads(&self.store, graph, None, rdf::REIFIES, Some(term.as_ref())) {
            let NamedOrBlankNode::NamedNode(annotation) = quad.map_err(Error::Read)?.subject else {
                continue;
            };
            let own = Some(annotation.as_ref().into());
            let of = |predicate| quads(&self.store, graph, own, predicate, None);
            if of(kgb::WAS_DERIVED_FROM).next().is_some() {
                continue;
            }
            let Some(said) = of(kgb::CONFIDENCE).next() else { continue };
            let value = match said.map_err(Error::Read)?.object {
                Term::Literal(literal) => literal.value().parse().unwrap_or(f64::NAN),
                _ => f64::NAN,
            };
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::Probability { role: "confidence", value });
            }
            return Ok(Some((annotation, value)));
        }
        Ok(None)
    }

    /// Writes facts that follow from others, with what their entities are called, in one transaction.
    ///
    /// # Errors
    /// [`Error::Iri`] and [`Error::Probability`] for what must not be written (nothing is then),
    /// [`Error::DiskFull`] and [`Error::Storage`] where the store fails.
    pub fn derive(
        &mut self,
        derivations: &[Derivation<'_>],
        entities: &[EntityDescription<'_>],
    ) -> Result<(), Error> {
        let mut quads = Vec::with_capacity(6 * derivations.len() + 3 * entities.len());
        for derivation in derivations {
            let Derivation { subject, relation, object, .. } = derivation;
            let (triple, reifier) = annotated(&self.run, subject, relation, object)?;
            quads.push(statement(&reifier, rdf::REIFIES, triple.clone()));
            quads.push(triple.in_graph(GraphName::DefaultGraph));
            let confidence = probability("confidence", derivation.confidence)?;
            quads.push(statement(&reifier, kgb::CONFIDENCE, confidence));
            quads.push(statement(&reifier, kgb::WAS_GENERATED_BY, self.run.clone()));
            for origin in &derivation.origins {
                let origin = self.origin(origin, &mut quads)?;
                quads.push(statement(&reifier, kgb::WAS_DERIVED_FROM, origin));
            }
        }
        for entity in entities {
            describe(entity, &mut quads)?;
        }
        let count = quads.len();
        self.store.extend(quads).map_err(|e| self.write_error(e))?;
        self.written(count)
    }

    /// The annotation of what a fact follows from; that of a known one is written.
    fn origin(&self, origin: &Origin<'_>, quads: &mut Vec<Quad>) -> Result<NamedNode, Error> {
        match origin {
            Origin::Predicted(annotation) => super::named("annotation", annotation),
            Origin::Known { subject, relation, object } => {
                let (triple, reifier) = annotated(&self.run, subject, relation, object)?;
                quads.push(statement(&reifier, rdf::REIFIES, triple));
                quads.push(statement(&reifier, kgb::KNOWN, Literal::from(true)));
                Ok(reifier)
            }
        }
    }
}

const DEFAULT: GraphNameRef<'static> = GraphNameRef::DefaultGraph;

/// Of one graph of the store.
fn quads(
    store: &Store,
    graph: GraphNameRef<'_>,
    subject: Option<NamedOrBlankNodeRef<'_>>,
    predicate: NamedNodeRef<'_>,
    object: Option<TermRef<'_>>,
) -> impl Iterator<Item = Result<Quad, StorageError>> + use<> {
    store.quads_for_pattern(subject, Some(predicate), object, Some(graph))
}
