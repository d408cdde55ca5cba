//! What an export shows: the store's default graph, or, above a confidence, the part of it that
//! remains when less certain predictions are left out.
//!
//! A *prediction* is an asserted triple whose annotation (a reifier, or an RDF 1.1 statement) has
//! a `kgb:confidence`; its confidence is the highest of them. A prediction below the least
//! confidence is left out with its annotations, and so is the description (labels, types) of an
//! entity or relation that then no longer occurs. All else stays.
//!
//! Nothing is held in memory but the list of subjects: every question goes to the store's indexes.

use super::vocabulary as kgb;
use oxigraph::model::vocab::rdf;
use oxigraph::model::{
    GraphNameRef, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef, Quad, QuadRef, Term,
    TermRef, Triple,
};
use oxigraph::store::{StorageError, Store};

/// The default graph of a store, seen from a least confidence on.
pub(super) struct View<'a> {
    store: &'a Store,
    min_confidence: Option<f64>,
}

impl<'a> View<'a> {
    pub(super) fn new(store: &'a Store, min_confidence: Option<f64>) -> Self {
        Self { store, min_confidence }
    }

    /// The subjects for which `keep` holds, each once, in the order in which their lines of
    /// N-Triples sort.
    pub(super) fn subjects(
        &self,
        keep: impl Fn(NamedOrBlankNodeRef<'_>) -> Result<bool, StorageError>,
    ) -> Result<Vec<NamedOrBlankNode>, StorageError> {
        let mut subjects: Vec<NamedOrBlankNode> = Vec::new();
        let mut last = None;
        for quad in self.quads(None, None, None) {
            let subject = quad?.subject;
            if last.as_ref() == Some(&subject) {
                continue;
            }
            if self.shows_subject(subject.as_ref())? && keep(subject.as_ref())? {
                subjects.push(subject.clone());
            }
            last = Some(subject);
        }
        subjects.sort_unstable_by(|a, b| line_key(a).cmp(line_key(b)));
        subjects.dedup();
        Ok(subjects)
    }

    /// The triples of a subject that is shown.
    pub(super) fn triples(
        &self,
        subject: NamedOrBlankNodeRef<'_>,
    ) -> Result<Vec<Triple>, StorageError> {
        let mut triples = Vec::new();
        for quad in self.quads(Some(subject), None, None) {
            let triple = Triple::from(quad?);
            if !self.hides(&triple)? {
                triples.push(triple);
            }
        }
        Ok(triples)
    }

    /// The asserted triple that `reifier` annotates, if an annotation block behind that triple
    /// can say all that the graph says about the reifier: it reifies that triple only, and the
    /// triple is not itself about a reifier (which keeps blocks from nesting, or from being
    /// within each other in a circle).
    pub(super) fn annotates(
        &self,
        reifier: NamedOrBlankNodeRef<'_>,
    ) -> Result<Option<Triple>, StorageError> {
        let mut reified = self.quads(Some(reifier), Some(rdf::REIFIES), None);
        let Some(first) = reified.next() else { return Ok(None) };
        let Term::Triple(triple) = first?.object else { return Ok(None) };
        if reified.next().is_some()
            || !self.asserts(&triple)?
            || self.is_reifier(triple.subject.as_ref())?
        {
            return Ok(None);
        }
        Ok(Some(*triple))
    }

    /// The reifiers that [annotate](Self::annotates) an asserted triple, in a stable order.
    pub(super) fn annotations(
        &self,
        triple: &Triple,
    ) -> Result<Vec<NamedOrBlankNode>, StorageError> {
        let mut reifiers = Vec::new();
        for reifier in self.reifiers(triple)? {
            if self.annotates(reifier.as_ref())?.as_ref() == Some(triple) {
                reifiers.push(reifier);
            }
        }
        reifiers.sort_unstable_by(|a, b| line_key(a).cmp(line_key(b)));
        Ok(reifiers)
    }

    fn shows_subject(&self, subject: NamedOrBlankNodeRef<'_>) -> Result<bool, StorageError> {
        if self.min_confidence.is_none() {
            return Ok(true);
        }
        let annotated = self.annotated(subject)?;
        if annotated.is_empty() {
            return Ok(!self.vanishes(subject)?);
        }
        for triple in annotated {
            if !self.hides(&triple)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an entity or relation occurs only in predictions that are left out.
    fn vanishes(&self, entity: NamedOrBlankNodeRef<'_>) -> Result<bool, StorageError> {
        let mut occurs_hidden = false;
        for quad in self.quads(Some(entity), None, None) {
            let triple = Triple::from(quad?);
            match self.confidence(&triple)? {
                Some(_) if self.hides(&triple)? => occurs_hidden = true,
                Some(_) => return Ok(false),
                None => {}
            }
        }
        let as_relation = match entity {
            NamedOrBlankNodeRef::NamedNode(iri) => Some(self.quads(None, Some(iri), None)),
            NamedOrBlankNodeRef::BlankNode(_) => None,
        };
        let as_object = self.quads(None, None, Some(entity.into()));
        for quad in as_object.chain(as_relation.into_iter().flatten()) {
            let triple = Triple::from(quad?);
            if triple.subject.as_ref() == entity || is_part_of_statement(&triple) {
                continue;
            }
            if !self.hides(&triple)? {
                return Ok(false);
            }
            occurs_hidden = true;
        }
        Ok(occurs_hidden)
    }

    /// Whether `triple` is an asserted prediction below the least confidence.
    fn hides(&self, triple: &Triple) -> Result<bool, StorageError> {
        let Some(least) = self.min_confidence else { return Ok(false) };
        Ok(self.asserts(triple)? && self.confidence(triple)?.is_some_and(|c| c < least))
    }

    fn confidence(&self, triple: &Triple) -> Result<Option<f64>, StorageError> {
        let mut best: Option<f64> = None;
        let mut annotations = self.reifiers(triple)?;
        annotations.extend(self.statements(triple)?);
        for annotation in annotations {
            for quad in self.quads(Some(annotation.as_ref()), Some(kgb::CONFIDENCE), None) {
                if let Term::Literal(literal) = quad?.object
                    && let Ok(value) = literal.value().parse::<f64>()
                {
                    best = Some(best.map_or(value, |best| best.max(value)));
                }
            }
        }
        Ok(best)
    }

    /// The triples that `node` is a reifier or an RDF 1.1 statement of.
    fn annotated(&self, node: NamedOrBlankNodeRef<'_>) -> Result<Vec<Triple>, StorageError> {
        let mut triples = Vec::new();
        for quad in self.quads(Some(node), Some(rdf::REIFIES), None) {
            if let Term::Triple(triple) = quad?.object {
                triples.push(*triple);
            }
        }
        let part = |predicate| -> Result<Option<Term>, StorageError> {
            let found = self.quads(Some(node), Some(predicate), None).next().transpose()?;
            Ok(found.map(|quad| quad.object))
        };
        if let Some(subject) = part(rdf::SUBJECT)?
            && let Some(Term::NamedNode(predicate)) = part(rdf::PREDICATE)?
            && let Some(object) = part(rdf::OBJECT)?
            && let Ok(subject) = NamedOrBlankNode::try_from(subject)
        {
            triples.push(Triple::new(subject, predicate, object));
        }
        Ok(triples)
    }

    fn reifiers(&self, triple: &Triple) -> Result<Vec<NamedOrBlankNode>, StorageError> {
        let term = Term::from(triple.clone());
        self.quads(None, Some(rdf::REIFIES), Some(term.as_ref()))
            .map(|quad| Ok(quad?.subject))
            .collect()
    }

    fn statements(&self, triple: &Triple) -> Result<Vec<NamedOrBlankNode>, StorageError> {
        let mut statements = Vec::new();
        for quad in self.quads(None, Some(rdf::SUBJECT), Some(triple.subject.as_ref().into())) {
            let node = quad?.subject;
            let says = |predicate, object| {
                let graph = GraphNameRef::DefaultGraph;
                self.store.contains(QuadRef::new(node.as_ref(), predicate, object, graph))
            };
            if says(rdf::PREDICATE, triple.predicate.as_ref().into())?
                && says(rdf::OBJECT, triple.object.as_ref())?
            {
                statements.push(node);
            }
        }
        Ok(statements)
    }

    fn asserts(&self, triple: &Triple) -> Result<bool, StorageError> {
        self.store.contains(triple.as_ref().in_graph(GraphNameRef::DefaultGraph))
    }

    fn is_reifier(&self, node: NamedOrBlankNodeRef<'_>) -> Result<bool, StorageError> {
        Ok(self.quads(Some(node), Some(rdf::REIFIES), None).next().transpose()?.is_some())
    }

    fn quads(
        &self,
        subject: Option<NamedOrBlankNodeRef<'_>>,
        predicate: Option<NamedNodeRef<'_>>,
        object: Option<TermRef<'_>>,
    ) -> impl Iterator<Item = Result<Quad, StorageError>> + use<> {
        let graph = Some(GraphNameRef::DefaultGraph);
        self.store.quads_for_pattern(subject, predicate, object, graph)
    }
}

fn is_part_of_statement(triple: &Triple) -> bool {
    [rdf::SUBJECT, rdf::PREDICATE, rdf::OBJECT].contains(&triple.predicate.as_ref())
}

/// The bytes by which a subject's lines of N-Triples sort, without making the line.
fn line_key(subject: &NamedOrBlankNode) -> impl Iterator<Item = u8> {
    let (before, text, after) = match subject {
        NamedOrBlankNode::NamedNode(iri) => ("<", iri.as_str(), ">"),
        NamedOrBlankNode::BlankNode(node) => ("_:", node.as_str(), " "),
    };
    before.bytes().chain(text.bytes()).chain(after.bytes())
}
