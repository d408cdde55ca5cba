//! What a graph predicts: its asserted triples with their confidences.

mod sortable;

use oxigraph::model::vocab::rdfs;
use oxigraph::model::{GraphNameRef, NamedNode, NamedOrBlankNode, Term};
use oxigraph::store::{StorageError, Store};

use super::error::Error;
use super::view::{Included, View};
use super::vocabulary as kgb;
use crate::files::Sorter;

/// A triple of an entity and the confidence in it, 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The subject's IRI.
    pub subject: String,
    /// The predicate's IRI.
    pub relation: String,
    /// The IRI of an entity, the text of a value.
    pub object: String,
    /// Of a value, its datatype's IRI.
    pub datatype: Option<String>,
    /// Calibrated where the run was tuned.
    pub confidence: f64,
    /// The corrected probability before calibration, 0 to 1, where that differs.
    pub corrected: Option<f64>,
}

/// Gives `take` the asserted triples that have a confidence, under either annotation, in byte order of
/// subject, relation and object. Where a triple has several confidences, the highest is given. Triples with
/// blank nodes are none. They are sorted on the disk where they are many.
///
/// # Errors
/// [`Error::Probability`] for a confidence that is none, [`Error::Read`] where the store cannot be
/// read, [`Error::Sorting`] where the temporary folder cannot be written, and those of `take`.
pub fn predictions(
    store: &Store,
    take: &mut dyn FnMut(Prediction) -> Result<(), Error>,
) -> Result<(), Error> {
    let view = View::new(store, None, Included::default()).map_err(Error::Read)?;
    let mut found = Sorter::default();
    let graph = Some(GraphNameRef::DefaultGraph);
    for quad in store.quads_for_pattern(None, Some(kgb::CONFIDENCE), None, graph) {
        let quad = quad.map_err(Error::Read)?;
        let corrected = store
            .quads_for_pattern(
                Some(quad.subject.as_ref()),
                Some(kgb::CORRECTED_PROBABILITY),
                None,
                graph,
            )
            .next()
            .transpose()
            .map_err(Error::Read)?;
        let corrected = corrected.map(|quad| probability(&quad.object, "corrected probability"));
        let (confidence, corrected) =
            (probability(&quad.object, "confidence")?, corrected.transpose()?);
        for triple in view.annotated(quad.subject.as_ref()).map_err(Error::Read)? {
            if !view.asserts(&triple).map_err(Error::Read)? {
                continue;
            }
            let (object, datatype) = match triple.object {
                Term::NamedNode(object) => (object.into_string(), None),
                Term::Literal(value) => {
                    let datatype = value.datatype().as_str().to_owned();
                    (value.destruct().0, Some(datatype))
                }
                _ => continue,
            };
            if let NamedOrBlankNode::NamedNode(subject) = triple.subject {
                let (subject, relation) = (subject.into_string(), triple.predicate.into_string());
                let found_one =
                    Prediction { subject, relation, object, datatype, confidence, corrected };
                found.push(&sortable::bytes(&found_one)).map_err(Error::Sorting)?;
            }
        }
    }
    let mut best: Option<Prediction> = None;
    for bytes in found.sorted().each().map_err(Error::Sorting)? {
        let next = sortable::prediction(&bytes.map_err(Error::Sorting)?);
        // Of one triple the last has the highest confidence.
        if let Some(before) = best.replace(next)
            && best.as_ref().is_some_and(|next| !next.is_of(&before))
        {
            take(before)?;
        }
    }
    best.map_or(Ok(()), take)
}

impl Prediction {
    /// Whether it is of the same triple.
    fn is_of(&self, other: &Self) -> bool {
        self.subject == other.subject
            && self.relation == other.relation
            && self.object == other.object
            && self.datatype == other.datatype
    }
}

/// The `rdfs:label`s of an entity or relation, in byte order.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn labels(store: &Store, iri: &str) -> Result<Vec<String>, Error> {
    let Ok(iri) = NamedNode::new(iri) else { return Ok(Vec::new()) };
    let graph = Some(GraphNameRef::DefaultGraph);
    let quads = store.quads_for_pattern(Some(iri.as_ref().into()), Some(rdfs::LABEL), None, graph);
    let labels = quads.filter_map(|quad| match quad {
        Ok(quad) => match quad.object {
            Term::Literal(literal) => Some(Ok(literal.destruct().0)),
            _ => None,
        },
        Err(error) => Some(Err(error)),
    });
    let mut labels = labels.collect::<Result<Vec<_>, StorageError>>().map_err(Error::Read)?;
    labels.sort_unstable();
    labels.dedup();
    Ok(labels)
}

/// Whether a store was made by a run that did not get to its end. One without a ledger was not.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn is_unfinished(store: &Store) -> Result<bool, Error> {
    let uses = |predicate| -> Result<bool, Error> {
        let ledger = Some(GraphNameRef::NamedNode(kgb::LEDGER));
        let first = store.quads_for_pattern(None, Some(predicate), None, ledger).next();
        Ok(first.transpose().map_err(Error::Read)?.is_some())
    };
    Ok(uses(kgb::SIGNATURE_PARTS)? && !uses(kgb::COMPLETE)?)
}

fn probability(term: &Term, role: &'static str) -> Result<f64, Error> {
    let value = match term {
        Term::Literal(literal) => literal.value().parse().unwrap_or(f64::NAN),
        _ => f64::NAN,
    };
    // abs: minus zero is in the range, and would sort behind all others.
    if (0.0..=1.0).contains(&value) {
        Ok(value.abs())
    } else {
        Err(Error::Probability { role, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxigraph::io::RdfFormat;

    fn store(turtle: &str) -> Store {
        let prefixes = "PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> \
            PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> \
            PREFIX kgb: <https://w3id.org/kgbuild#> PREFIX e: <e:>\n";
        let store = Store::new().unwrap();
        store.load_from_slice(RdfFormat::Turtle, format!("{prefixes}{turtle}").as_bytes()).unwrap();
        store
    }

    fn all(store: &Store) -> Result<Vec<Prediction>, Error> {
        let mut all = Vec::new();
        predictions(store, &mut |prediction| {
            all.push(prediction);
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn both_annotations_are_read_and_only_what_is_asserted() {
        let store = store(
            "e:b e:r e:2 {| kgb:confidence 0.5 |} {| kgb:confidence 0.75 ;
                 kgb:correctedProbability 0.875 |} .
             e:a e:r e:1 . e:s rdf:subject e:a ; rdf:predicate e:r ; rdf:object e:1 ;
                 kgb:confidence 0.25 .
             << e:c e:r e:3 >> kgb:confidence 1.0 .
             e:c e:r \"text\" {| kgb:confidence 1.0 |} .
             e:d e:r e:4 .
             e:a rdfs:label \"A\", \"a\" .",
        );
        let found = all(&store).unwrap();
        let found = found.iter().map(|p| (&*p.subject, &*p.object, p.confidence, p.corrected));
        let expected = [
            ("e:a", "e:1", 0.25, None),
            ("e:b", "e:2", 0.75, Some(0.875)),
            ("e:c", "text", 1.0, None),
        ];
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert_eq!(labels(&store, "e:a").unwrap(), ["A", "a"]);
        assert!(labels(&store, "e:b").unwrap().is_empty());
        assert!(!is_unfinished(&store).unwrap());
    }

    #[test]
    fn a_confidence_that_is_none_is_refused() {
        for wrong in ["1.5", "\"sure\"", "e:x"] {
            let store = store(&format!("e:a e:r e:1 {{| kgb:confidence {wrong} |}} ."));
            assert!(matches!(all(&store), Err(Error::Probability { .. })), "{wrong}");
        }
    }
}
