//! What a graph says of one subject, in a form that does not depend on the run that said it.
//!
//! A run names what it says of a triple by the triple and itself. Here it has a name by the triple alone; that
//! the run generated it is left out, and what it was derived from are triples, in the place of names.

use oxigraph::model::vocab::rdf;
use oxigraph::model::{GraphNameRef, NamedNode, NamedOrBlankNode, Term, Triple};
use oxigraph::store::{QuadIter, StorageError, Store};

use super::super::view::reified;
use super::super::vocabulary as kgb;
use super::super::write::identifier;
use super::base_iri;

/// Begins the names of annotations here.
const FACT: &str = "urn:kgbuild:fact:";

/// The name of what a run says of a triple.
pub(in super::super) fn annotation_iri(run: &str, triple: &Triple) -> NamedNode {
    NamedNode::new_unchecked(format!("{}{}", base_iri(run), hash(triple, Some(run))))
}

fn fact_iri(triple: &Triple) -> NamedNode {
    NamedNode::new_unchecked(format!("{FACT}{}", hash(triple, None)))
}

fn hash(triple: &Triple, run: Option<&str>) -> String {
    let subject = match &triple.subject {
        NamedOrBlankNode::NamedNode(iri) => iri.as_str(),
        NamedOrBlankNode::BlankNode(node) => node.as_str(),
    };
    let object = match &triple.object {
        Term::NamedNode(iri) => [Some(iri.as_str()), None],
        Term::Literal(value) => [Some(value.value()), Some(value.datatype().as_str())],
        Term::BlankNode(node) => [Some(node.as_str()), None],
        Term::Triple(_) => [None, None],
    };
    let parts = [Some(subject), Some(triple.predicate.as_str())];
    identifier(parts.into_iter().chain(object).chain([run]).flatten())
}

/// The run whose graph it is, by its IRI, which names the annotations.
pub(super) struct Author<'a>(pub &'a str);

impl Author<'_> {
    /// The triples of one subject of this author's graph in `store`, as the history has them.
    pub(super) fn forget(
        &self,
        store: &Store,
        mut block: Vec<Triple>,
    ) -> Result<Vec<Triple>, StorageError> {
        if let Some(annotated) = named_by(&block, |triple| annotation_iri(self.0, triple)) {
            let fact = fact_iri(annotated);
            block.retain(|triple| triple.predicate != kgb::WAS_GENERATED_BY);
            for triple in &mut block {
                triple.subject = fact.clone().into();
                if triple.predicate == kgb::WAS_DERIVED_FROM
                    && let Term::NamedNode(origin) = &triple.object
                    && let Some(origin) = annotated_by(store, origin)?
                {
                    triple.object = origin.into();
                }
            }
        }
        block.sort_by_cached_key(Triple::to_string);
        Ok(block)
    }

    /// Of a triple that the history has, what this author's graph says.
    pub(super) fn say(&self, block: &[Triple]) -> Vec<Triple> {
        let Some(annotated) = named_by(block, fact_iri) else { return block.to_vec() };
        let subject = annotation_iri(self.0, annotated);
        let said = |triple: &Triple| {
            let object = match &triple.object {
                Term::Triple(origin) if triple.predicate == kgb::WAS_DERIVED_FROM => {
                    annotation_iri(self.0, origin).into()
                }
                object => object.clone(),
            };
            Triple::new(subject.clone(), triple.predicate.clone(), object)
        };
        let mut all: Vec<Triple> = block.iter().map(said).collect();
        // Of what was only known it is not said.
        if is_fact(block) {
            let run = NamedNode::new_unchecked(self.0);
            all.push(Triple::new(subject, kgb::WAS_GENERATED_BY, run));
        }
        all
    }

    /// What this author's graph in `store` says of a subject, as the history has it; nothing of none.
    pub(super) fn block(
        &self,
        store: &Store,
        subject: Option<&NamedOrBlankNode>,
    ) -> Result<Vec<Triple>, StorageError> {
        let Some(subject) = subject else { return Ok(Vec::new()) };
        let graph = Some(GraphNameRef::DefaultGraph);
        let quads = store.quads_for_pattern(Some(subject.as_ref()), None, None, graph);
        let block: Result<Vec<Triple>, StorageError> =
            quads.map(|quad| quad.map(Triple::from)).collect();
        self.forget(store, block?)
    }
}

/// The triple that a block is said of, where the block has the name that `name` gives it.
fn named_by(block: &[Triple], name: impl Fn(&Triple) -> NamedNode) -> Option<&Triple> {
    let annotated = block.iter().find_map(reified)?;
    let subject = &block.first()?.subject;
    (*subject == name(annotated).into()).then_some(annotated)
}

/// Whether a block is what is said of a fact, not of a triple that was known.
pub(super) fn is_fact(block: &[Triple]) -> bool {
    block.iter().any(|triple| triple.predicate == kgb::CONFIDENCE)
}

/// Whether a block is what is said of a triple: such blocks are recorded whole.
pub(super) fn is_annotation(block: &[Triple]) -> bool {
    block.iter().any(|triple| reified(triple).is_some())
}

/// The triple that an annotation is of.
fn annotated_by(store: &Store, annotation: &NamedNode) -> Result<Option<Triple>, StorageError> {
    let (of, graph) = (Some(annotation.as_ref().into()), Some(GraphNameRef::DefaultGraph));
    let found = store.quads_for_pattern(of, Some(rdf::REIFIES), None, graph).next();
    Ok(found.transpose()?.and_then(|quad| match quad.object {
        Term::Triple(triple) => Some(*triple),
        _ => None,
    }))
}

/// The triples of a graph, a subject at a time.
pub(super) struct Blocks {
    quads: QuadIter<'static>,
    next: Option<Triple>,
}

impl Blocks {
    pub(super) fn of(store: &Store) -> Self {
        let graph = Some(GraphNameRef::DefaultGraph);
        Self { quads: store.quads_for_pattern(None, None, None, graph), next: None }
    }
}

impl Iterator for Blocks {
    type Item = Result<Vec<Triple>, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut block: Vec<Triple> = self.next.take().into_iter().collect();
        for quad in self.quads.by_ref() {
            let triple = match quad {
                Ok(quad) => Triple::from(quad),
                Err(error) => return Some(Err(error)),
            };
            if block.first().is_some_and(|first| first.subject != triple.subject) {
                self.next = Some(triple);
                break;
            }
            block.push(triple);
        }
        (!block.is_empty()).then_some(Ok(block))
    }
}
