//! A subject's triples as an export writes them: what is said about a triple in the chosen way.

use oxigraph::model::vocab::rdf;
use oxigraph::model::{GraphName, NamedNodeRef, NamedOrBlankNode, Quad, Term, Triple};
use oxigraph::store::StorageError;

use super::format::Annotations;
use crate::graph::view::{self, View};

/// The quads of a subject that is shown. What annotates a triple is written as `annotations` says, whatever
/// way the store has it; other subjects as they are.
pub(super) fn quads(
    view: &View<'_>,
    subject: &NamedOrBlankNode,
    annotations: Annotations,
) -> Result<Vec<Quad>, StorageError> {
    let triples = view.triples(subject.as_ref())?;
    let annotated = view::annotated(&triples);
    let is_statement = view::statement(&triples).is_some();
    let in_default = |triple: Triple| triple.in_graph(GraphName::DefaultGraph);
    if annotations == Annotations::None && !annotated.is_empty() {
        return Ok(Vec::new());
    }
    if annotated.is_empty() {
        return Ok(triples.into_iter().map(in_default).collect());
    }
    // What is left says more than of which triple it is the annotation.
    let says_more = |triple: &Triple| {
        let names_it = view::is_part_of_statement(triple) || has_type(triple, rdf::STATEMENT);
        view::reified(triple).is_none() && !(is_statement && names_it)
    };
    let mut quads: Vec<Quad> = triples.into_iter().filter(says_more).map(in_default).collect();
    for triple in annotated {
        let about = |predicate: NamedNodeRef<'_>, object: Term| {
            Quad::new(subject.clone(), predicate, object, GraphName::DefaultGraph)
        };
        match annotations {
            Annotations::Rdf12 => quads.push(about(rdf::REIFIES, triple.into())),
            Annotations::Reification => {
                let Triple { subject, predicate, object } = triple;
                quads.extend([
                    about(rdf::TYPE, rdf::STATEMENT.into_owned().into()),
                    about(rdf::SUBJECT, subject.into()),
                    about(rdf::PREDICATE, predicate.into()),
                    about(rdf::OBJECT, object),
                ]);
            }
            Annotations::NamedGraph => quads.push(triple.in_graph(subject.clone())),
            Annotations::None => {}
        }
    }
    Ok(quads)
}

fn has_type(triple: &Triple, class: NamedNodeRef<'_>) -> bool {
    triple.predicate == rdf::TYPE && triple.object.as_ref() == class.into()
}
