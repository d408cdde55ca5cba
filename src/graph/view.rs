//! What an export shows: the store's default graph, or, above a confidence, the part of it that
//! remains when less certain predictions are left out.
//!
//! A *prediction* is an asserted triple whose annotation (a reifier, or an RDF 1.1 statement) has
//! a `kgb:confidence`; its confidence is the highest of them. A prediction below the least
//! confidence is left out with its annotations, and so is the description (labels, types) of an
//! entity or relation that then no longer occurs. All else stays.
//!
//! What is [included](Included) beside facts and types is a choice of the export's: labels, aliases, the runs
//! with what names them, and, from graphs of their own in the store, the schema and the description.
//!
//! Nothing that grows with the graph is held in memory: every question goes to the store's indexes, and what
//! is sorted to temporary files.

mod included;
mod subjects;

use std::collections::HashSet;

pub(super) use included::Included;
pub(super) use subjects::{Subjects, subject_key, subject_of_key};

use super::error::Error;
use super::vocabulary as kgb;
use oxigraph::model::vocab::rdf;
use oxigraph::model::{
    GraphNameRef, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef, Quad, QuadRef, Term,
    TermRef, Triple,
};
use oxigraph::store::{StorageError, Store};
use subjects::SubjectSorter;

/// The default graph of a store, seen from a least confidence on, with what is included.
pub(super) struct View<'a> {
    store: &'a Store,
    min_confidence: Option<f64>,
    included: Included,
    /// The runs that are left out.
    hidden_runs: Vec<NamedOrBlankNode>,
    has_reifiers: bool,
    has_statements: bool,
}

/// What a triple is to a least confidence.
#[derive(PartialEq, Eq)]
enum Standing {
    /// A prediction below it.
    Hidden,
    /// A prediction at or above it.
    Shown,
    /// No prediction.
    Plain,
}

/// All that an annotation block says: a reifier, and what is said about it besides what it
/// reifies.
pub(super) type AnnotationBlock = (NamedOrBlankNode, Vec<Triple>);

impl<'a> View<'a> {
    pub(super) fn new(
        store: &'a Store,
        min_confidence: Option<f64>,
        included: Included,
    ) -> Result<Self, StorageError> {
        let uses = |predicate| -> Result<bool, StorageError> {
            let graph = Some(GraphNameRef::DefaultGraph);
            let found = store.quads_for_pattern(None, Some(predicate), None, graph).next();
            Ok(found.transpose()?.is_some())
        };
        let (has_reifiers, has_statements) = (uses(rdf::REIFIES)?, uses(rdf::SUBJECT)?);
        let mut hidden_runs = Vec::new();
        if !included.provenance {
            let run = Some(kgb::RUN.into());
            let graph = Some(GraphNameRef::DefaultGraph);
            for quad in store.quads_for_pattern(None, Some(rdf::TYPE), run, graph) {
                hidden_runs.push(quad?.subject);
            }
        }
        Ok(Self { store, min_confidence, included, hidden_runs, has_reifiers, has_statements })
    }

    /// What is shown beside facts and types.
    pub(super) fn included(&self) -> Included {
        self.included
    }

    /// Whether something may be an RDF 1.1 statement.
    pub(super) fn has_statements(&self) -> bool {
        self.has_statements
    }

    /// The subjects that are shown, each once, in the order in which their lines of N-Triples
    /// sort; with `inline_annotations`, without those that [annotate](Self::annotates) a triple.
    /// `visit` is called with each triple that is shown, in any order, and whether its subject
    /// was left out so.
    pub(super) fn subjects(
        &self,
        inline_annotations: bool,
        mut visit: impl FnMut(&Triple, bool),
    ) -> Result<Subjects, Error> {
        let mut subjects = SubjectSorter::default();
        let (mut last, mut is_inline) = (None, false);
        self.each(&mut |triple| {
            if last.as_ref() != Some(&triple.subject) {
                is_inline = inline_annotations
                    && self.annotates(triple.subject.as_ref()).map_err(Error::Read)?;
                if !is_inline {
                    subjects.push(&triple.subject)?;
                }
                last = Some(triple.subject.clone());
            }
            visit(triple, is_inline);
            Ok(())
        })?;
        Ok(subjects.sorted())
    }

    /// Gives `take` each triple that is shown, in the store's order: what several graphs say as often.
    pub(super) fn each(
        &self,
        take: &mut dyn FnMut(&Triple) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (mut last, mut is_shown) = (None, false);
        for quad in self.quads(None, None, None) {
            let triple = Triple::from(quad.map_err(Error::Read)?);
            if last.as_ref() != Some(&triple.subject) {
                is_shown = self.shows_subject(triple.subject.as_ref()).map_err(Error::Read)?;
                last = Some(triple.subject.clone());
            }
            if is_shown && self.standing(&triple).map_err(Error::Read)? != Standing::Hidden {
                take(&triple)?;
            }
        }
        Ok(())
    }

    /// The triples of a subject that is shown.
    pub(super) fn triples(
        &self,
        subject: NamedOrBlankNodeRef<'_>,
    ) -> Result<Vec<Triple>, StorageError> {
        let mut triples = Vec::new();
        for quad in self.quads(Some(subject), None, None) {
            let triple = Triple::from(quad?);
            if self.standing(&triple)? != Standing::Hidden {
                triples.push(triple);
            }
        }
        if !self.others().is_empty() {
            // A relation's label is in the schema too.
            let mut seen = HashSet::new();
            triples.retain(|triple| seen.insert(triple.clone()));
        }
        Ok(triples)
    }

    /// Whether an annotation block behind an asserted triple can say all that the graph says
    /// about `reifier`: it reifies that triple only, and the triple is not itself about a reifier
    /// (which keeps blocks from nesting, or from being within each other in a circle).
    fn annotates(&self, reifier: NamedOrBlankNodeRef<'_>) -> Result<bool, StorageError> {
        if !self.has_reifiers {
            return Ok(false);
        }
        let mut reified = self.quads(Some(reifier), Some(rdf::REIFIES), None);
        let Some(first) = reified.next() else { return Ok(false) };
        let Term::Triple(triple) = first?.object else { return Ok(false) };
        Ok(reified.next().is_none()
            && self.asserts(&triple)?
            && !self.is_reifier(triple.subject.as_ref())?)
    }

    /// The annotation blocks of a triple that is asserted and whose subject is no reifier, in a
    /// stable order.
    pub(super) fn annotations(
        &self,
        triple: &Triple,
    ) -> Result<Vec<AnnotationBlock>, StorageError> {
        let mut blocks = Vec::new();
        for reifier in self.reifiers(triple)? {
            let mut triples = Vec::new();
            let mut reified = 0;
            for quad in self.quads(Some(reifier.as_ref()), None, None) {
                let about = Triple::from(quad?);
                if about.predicate == rdf::REIFIES {
                    reified += 1;
                } else if self.standing(&about)? != Standing::Hidden {
                    triples.push(about);
                }
            }
            if reified == 1 {
                blocks.push((reifier, triples));
            }
        }
        blocks.sort_by_cached_key(|(reifier, _)| subject_key(reifier));
        Ok(blocks)
    }

    pub(super) fn is_reifier(&self, node: NamedOrBlankNodeRef<'_>) -> Result<bool, StorageError> {
        if !self.has_reifiers {
            return Ok(false);
        }
        Ok(self.quads(Some(node), Some(rdf::REIFIES), None).next().transpose()?.is_some())
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
            if !self.asserts(&triple)? || self.standing(&triple)? != Standing::Hidden {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an entity or relation occurs only in predictions that are left out.
    fn vanishes(&self, entity: NamedOrBlankNodeRef<'_>) -> Result<bool, StorageError> {
        for graph in self.others() {
            let own = self.store.quads_for_pattern(Some(entity), None, None, Some((*graph).into()));
            if own.into_iter().next().transpose()?.is_some() {
                return Ok(false);
            }
        }
        let mut occurs_hidden = false;
        for quad in self.quads(Some(entity), None, None) {
            match self.standing(&Triple::from(quad?))? {
                Standing::Hidden => occurs_hidden = true,
                Standing::Shown => return Ok(false),
                // Its own label or type does not make it occur.
                Standing::Plain => {}
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
            if self.standing(&triple)? != Standing::Hidden {
                return Ok(false);
            }
            occurs_hidden = true;
        }
        Ok(occurs_hidden)
    }

    /// What an asserted triple is to the least confidence; without one, all are `Plain`.
    fn standing(&self, triple: &Triple) -> Result<Standing, StorageError> {
        let Some(least) = self.min_confidence else { return Ok(Standing::Plain) };
        Ok(match self.confidence(triple)? {
            Some(confidence) if confidence < least => Standing::Hidden,
            Some(_) => Standing::Shown,
            None => Standing::Plain,
        })
    }

    fn confidence(&self, triple: &Triple) -> Result<Option<f64>, StorageError> {
        let mut best: Option<f64> = None;
        for annotation in self.annotators(triple)? {
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
    pub(super) fn annotated(
        &self,
        node: NamedOrBlankNodeRef<'_>,
    ) -> Result<Vec<Triple>, StorageError> {
        let quads = self.quads(Some(node), None, None);
        let triples = quads.map(|quad| Ok(quad?.into())).collect::<Result<Vec<_>, StorageError>>();
        Ok(annotated(&triples?))
    }

    /// The reifiers and RDF 1.1 statements of a triple.
    pub(super) fn annotators(
        &self,
        triple: &Triple,
    ) -> Result<Vec<NamedOrBlankNode>, StorageError> {
        let mut annotators = self.reifiers(triple)?;
        annotators.extend(self.statements(triple)?);
        Ok(annotators)
    }

    fn reifiers(&self, triple: &Triple) -> Result<Vec<NamedOrBlankNode>, StorageError> {
        if !self.has_reifiers {
            return Ok(Vec::new());
        }
        let term = Term::from(triple.clone());
        self.quads(None, Some(rdf::REIFIES), Some(term.as_ref()))
            .map(|quad| Ok(quad?.subject))
            .collect()
    }

    fn statements(&self, triple: &Triple) -> Result<Vec<NamedOrBlankNode>, StorageError> {
        let mut statements = Vec::new();
        if !self.has_statements {
            return Ok(statements);
        }
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

    pub(super) fn asserts(&self, triple: &Triple) -> Result<bool, StorageError> {
        self.store.contains(triple.as_ref().in_graph(GraphNameRef::DefaultGraph))
    }

    fn quads(
        &self,
        subject: Option<NamedOrBlankNodeRef<'_>>,
        predicate: Option<NamedNodeRef<'_>>,
        object: Option<TermRef<'_>>,
    ) -> impl Iterator<Item = Result<Quad, StorageError>> {
        let of = move |graph| self.store.quads_for_pattern(subject, predicate, object, Some(graph));
        let own = of(GraphNameRef::DefaultGraph).filter(|quad| match quad {
            Ok(quad) => {
                self.included.shows(quad.predicate.as_ref())
                    && !self.hidden_runs.contains(&quad.subject)
            }
            Err(_) => true,
        });
        let others = self.others().iter().flat_map(move |&graph| of(graph.into()));
        own.chain(others.filter(|quad| match quad {
            Ok(quad) => self.included.provenance || quad.predicate != kgb::WAS_GENERATED_BY,
            Err(_) => true,
        }))
    }

    /// The named graphs that are shown with the default graph. The description counts all of the graph.
    fn others(&self) -> &'static [NamedNodeRef<'static>] {
        match (self.included.schema, self.min_confidence) {
            (false, _) => &[],
            (true, Some(_)) => &[kgb::SCHEMA],
            (true, None) => &[kgb::SCHEMA, kgb::DESCRIPTION],
        }
    }
}

/// The triples that a node with these triples is a reifier or an RDF 1.1 statement of.
pub(super) fn annotated(triples: &[Triple]) -> Vec<Triple> {
    triples.iter().filter_map(reified).cloned().chain(statement(triples)).collect()
}

/// The triple that a triple of an RDF 1.2 reifier names.
pub(super) fn reified(triple: &Triple) -> Option<&Triple> {
    match &triple.object {
        Term::Triple(reified) if triple.predicate == rdf::REIFIES => Some(reified),
        _ => None,
    }
}

/// The triple that an `rdf:Statement` of RDF 1.1 with these triples is of.
pub(super) fn statement(triples: &[Triple]) -> Option<Triple> {
    let part = |predicate: NamedNodeRef<'_>| {
        triples.iter().find(|triple| triple.predicate == predicate).map(|triple| &triple.object)
    };
    let subject = NamedOrBlankNode::try_from(part(rdf::SUBJECT)?.clone()).ok()?;
    let Term::NamedNode(predicate) = part(rdf::PREDICATE)? else { return None };
    Some(Triple::new(subject, predicate.clone(), part(rdf::OBJECT)?.clone()))
}

pub(super) fn is_part_of_statement(triple: &Triple) -> bool {
    [rdf::SUBJECT, rdf::PREDICATE, rdf::OBJECT].contains(&triple.predicate.as_ref())
}
