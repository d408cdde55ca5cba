//! What judgements make of a graph.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use oxigraph::model::vocab::{rdf, rdfs, xsd};
use oxigraph::model::{
    GraphName, GraphNameRef, Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, Quad, QuadRef,
    Term, TermRef, Triple,
};
use oxigraph::store::{StorageError, Store};

use super::super::entity::is_of_facts;
use super::super::error::Error;
use super::super::folder::Folder;
use super::super::ledger;
use super::super::vocabulary as kgb;
use super::super::write::identifier;
use super::{Judgement, Question, Standing, is_functional, judgements};

/// What stands in the IRI of an annotation that a judgement made, behind the store's own beginning.
const MADE: &str = "judged:";

/// The quads of a store by which judgements outlive it: none where none were made.
///
/// # Errors
/// Where the store cannot be read.
pub(in super::super) fn inherited(path: &Path) -> Result<Vec<Quad>, Error> {
    let read = |error| Error::storage("reading", path, error);
    let store = Store::open_read_only(path).map_err(|e| Error::storage("opening", path, e))?;
    let own = store.quads_for_pattern(None, None, None, Some(kgb::JUDGEMENTS.into()));
    own.collect::<Result<_, _>>().map_err(read)
}

/// Gives a store that is made to replace the folder's the judgements that were made there, also those that
/// were made since it was begun.
///
/// # Errors
/// Where one of them cannot be read, or the new one not be written.
pub(in super::super) fn inherit(folder: &Folder, own: (&Store, &Path)) -> Result<(), Error> {
    let (store, path) = own;
    let old = folder.store_path();
    if old == path || folder.signature(&old)?.is_none() {
        return Ok(());
    }
    let is: HashSet<Quad> = inherited(&old)?.into_iter().collect();
    let write = |error| Error::storage("writing to", path, error);
    let was = store.quads_for_pattern(None, None, None, Some(kgb::JUDGEMENTS.into()));
    let was = was.collect::<Result<HashSet<Quad>, _>>().map_err(write)?;
    change(store, &was, &is).map_err(write)
}

/// Makes the default graph of a store what predictions and judgements come to; gives whether there are judgements.
///
/// # Errors
/// Where it cannot be read or written.
pub(in super::super) fn settle_all(store: &Store) -> Result<bool, Error> {
    let all = judgements(store)?;
    let mut questions: BTreeSet<Question> = all.iter().map(Judgement::question).collect();
    // A process that was killed may have forgotten a judgement and not what it made.
    questions.extend(settled(store).map_err(Error::Read)?);
    for question in questions {
        settle(store, &question)?;
    }
    Ok(!all.is_empty())
}

/// The questions of which judgements, or what follows from them, made something else than was predicted.
fn settled(store: &Store) -> Result<Vec<Question>, StorageError> {
    let mut questions = Vec::new();
    let mut add = |triple: Triple| {
        if let NamedOrBlankNode::NamedNode(subject) = triple.subject {
            questions.push((subject, triple.predicate));
        }
    };
    for quad in store.quads_for_pattern(None, None, None, Some(kgb::PREDICTED.into())) {
        let triple = Triple::from(quad?);
        if is_of_facts(triple.predicate.as_ref()) {
            add(triple);
        }
    }
    let default = Some(GraphNameRef::DefaultGraph);
    for quad in store.quads_for_pattern(None, Some(kgb::JUDGED), None, default) {
        let of = quad?.subject;
        for quad in store.quads_for_pattern(Some(of.as_ref()), Some(rdf::REIFIES), None, default) {
            if let Term::Triple(triple) = quad?.object {
                add(*triple);
            }
        }
    }
    Ok(questions)
}

/// The same of one question and of what follows from its facts.
///
/// # Errors
/// Where the store cannot be read or written.
pub(super) fn settle(store: &Store, question: &Question) -> Result<(), Error> {
    let own = Standing::of(store, question)?;
    let annotations = settle_own(store, question, &own).map_err(Error::Read)?;
    for graph in [None, PREDICTED] {
        for object in facts(store, question, graph).map_err(Error::Read)?.into_keys() {
            settle_derived(store, question, &object, &own).map_err(Error::Read)?;
        }
    }
    for annotation in annotations {
        for (question, object) in derived_from(store, &annotation).map_err(Error::Read)? {
            let own = Standing::of(store, &question)?;
            settle_derived(store, &question, &object, &own).map_err(Error::Read)?;
        }
    }
    Ok(())
}

/// What a graph has of a question: by object the triple and its annotations, with what is said by them.
type Facts = HashMap<Term, HashSet<Quad>>;

/// Makes a question's facts what is predicted and judged; gives the annotations of all of them.
fn settle_own(
    store: &Store,
    question: &Question,
    standing: &Standing,
) -> Result<HashSet<NamedOrBlankNode>, StorageError> {
    let (is, mut predicted) = (facts(store, question, None)?, facts(store, question, PREDICTED)?);
    let begin = format!("{}{MADE}", ledger::base_iri(store)?);
    let made = |quad: &Quad| match &quad.subject {
        NamedOrBlankNode::NamedNode(iri) => iri.as_str().starts_with(&begin),
        NamedOrBlankNode::BlankNode(_) => false,
    };
    let was: HashSet<Quad> = is.values().chain(predicted.values()).flatten().cloned().collect();
    for (object, mut quads) in is {
        // Of what is judged it is kept how it was; all else is as it was.
        let count = quads.len();
        quads.retain(|quad| !made(quad));
        let is_made = quads.len() < count && quads.len() == 1;
        if !is_made {
            predicted.entry(object).or_insert(quads);
        }
    }
    let annotations = annotations(was.iter());
    let is_functional = is_functional(store, &question.1)?;
    let mut is = HashSet::new();
    for object in &standing.right {
        predicted.entry(object.clone()).or_default();
    }
    for (object, quads) in predicted {
        let triple = Triple::new(question.0.clone(), question.1.clone(), object);
        let quads = quads.into_iter();
        match standing.is_right(&triple.object, is_functional) {
            None => is.extend(quads.map(|quad| Quad { graph_name: DEFAULT, ..quad })),
            Some(is_right) => {
                let before: Vec<Quad> =
                    quads.map(|quad| Quad { graph_name: kgb::PREDICTED.into(), ..quad }).collect();
                if is_right {
                    is.extend(right(store, &triple, &before)?);
                }
                is.extend(before);
            }
        }
    }
    change(store, &was, &is)?;
    Ok(annotations)
}

const DEFAULT: GraphName = GraphName::DefaultGraph;
const PREDICTED: Option<NamedNodeRef<'static>> = Some(kgb::PREDICTED);

/// What is said of a fact that is right, and of which so much was predicted.
fn right(store: &Store, triple: &Triple, before: &[Quad]) -> Result<Vec<Quad>, StorageError> {
    let sure = || Literal::new_typed_literal("1", xsd::DECIMAL);
    let mut quads = vec![triple.clone().in_graph(DEFAULT)];
    let mut annotations = HashSet::new();
    for quad in before {
        let own = Quad { graph_name: DEFAULT, ..quad.clone() };
        match quad.predicate == kgb::CONFIDENCE {
            true => drop(annotations.insert(quad.subject.clone())),
            false => quads.push(own),
        }
    }
    if annotations.is_empty() {
        let parts = [triple.subject.to_string(), triple.predicate.to_string()];
        let object = triple.object.to_string();
        let hash = identifier(parts.iter().chain([&object]).map(String::as_str));
        let base = ledger::base_iri(store)?;
        let annotation = NamedNode::new_unchecked(format!("{base}{MADE}{hash}"));
        quads.push(Quad::new(annotation.clone(), rdf::REIFIES, triple.clone(), DEFAULT));
        annotations.insert(annotation.into());
    }
    for annotation in annotations {
        quads.push(Quad::new(annotation.clone(), kgb::CONFIDENCE, sure(), DEFAULT));
        quads.push(Quad::new(annotation, kgb::JUDGED, Literal::from(true), DEFAULT));
    }
    // They may occur in nothing else that is predicted.
    for entity in [Term::from(triple.subject.clone()), triple.object.clone()] {
        let Term::NamedNode(entity) = entity else { continue };
        let graph = GraphNameRef::NamedNode(kgb::JUDGEMENTS);
        for quad in described(store, entity.as_ref(), graph) {
            let quad = Quad { graph_name: DEFAULT, ..quad? };
            // What is there stays where the judgement is taken back.
            if !store.contains(&quad)? {
                quads.push(quad);
            }
        }
    }
    Ok(quads)
}

/// What an entity is called and is, by a graph.
pub(super) fn described<'a>(
    store: &'a Store,
    entity: NamedNodeRef<'a>,
    graph: GraphNameRef<'a>,
) -> impl Iterator<Item = Result<Quad, StorageError>> + 'a {
    let predicates = [rdfs::LABEL, kgb::ALT_LABEL, rdf::TYPE].into_iter();
    predicates.flat_map(move |predicate| {
        store.quads_for_pattern(Some(entity.into()), Some(predicate), None, Some(graph))
    })
}

/// What a graph, the default one where none is named, has of a question.
fn facts(
    store: &Store,
    (subject, relation): &Question,
    graph: Option<NamedNodeRef<'_>>,
) -> Result<Facts, StorageError> {
    let graph = graph.map_or(GraphNameRef::DefaultGraph, GraphNameRef::NamedNode);
    let mut facts = Facts::new();
    let own = store.quads_for_pattern(
        Some(subject.as_ref().into()),
        Some(relation.as_ref()),
        None,
        Some(graph),
    );
    for quad in own {
        let quad = quad?;
        let term = Term::from(Triple::from(quad.clone()));
        let quads = facts.entry(quad.object.clone()).or_default();
        quads.insert(quad);
        quads.extend(of_annotations(store, term.as_ref(), graph)?);
    }
    Ok(facts)
}

/// What the annotations of a triple say.
fn of_annotations(
    store: &Store,
    triple: TermRef<'_>,
    graph: GraphNameRef<'_>,
) -> Result<Vec<Quad>, StorageError> {
    let mut quads = Vec::new();
    for reifier in store.quads_for_pattern(None, Some(rdf::REIFIES), Some(triple), Some(graph)) {
        let reifier = reifier?.subject;
        let said = store.quads_for_pattern(Some(reifier.as_ref()), None, None, Some(graph));
        quads.extend(said.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(quads)
}

/// The annotations among quads, each once.
fn annotations<'a>(quads: impl Iterator<Item = &'a Quad>) -> HashSet<NamedOrBlankNode> {
    quads.filter(|quad| quad.predicate == rdf::REIFIES).map(|quad| quad.subject.clone()).collect()
}

/// The facts that follow from one, by its annotation: their questions and objects.
fn derived_from(
    store: &Store,
    annotation: &NamedOrBlankNode,
) -> Result<Vec<(Question, Term)>, StorageError> {
    let mut found = Vec::new();
    for graph in [GraphNameRef::DefaultGraph, kgb::PREDICTED.into()] {
        let origin = Some(TermRef::from(annotation.as_ref()));
        for quad in store.quads_for_pattern(None, Some(kgb::WAS_DERIVED_FROM), origin, Some(graph))
        {
            let of = Some(quad?.subject);
            let of = of.as_ref().map(NamedOrBlankNode::as_ref);
            for quad in store.quads_for_pattern(of, Some(rdf::REIFIES), None, Some(graph)) {
                if let Term::Triple(triple) = quad?.object
                    && let NamedOrBlankNode::NamedNode(subject) = triple.subject
                {
                    found.push(((subject, triple.predicate), triple.object));
                }
            }
        }
    }
    Ok(found)
}

/// Takes a fact that follows from others out of the graph where none of these is in it any more, and puts it back
/// where one is. One that was judged itself, or predicted too, stays as it is.
fn settle_derived(
    store: &Store,
    question: &Question,
    object: &Term,
    standing: &Standing,
) -> Result<(), StorageError> {
    let is_functional = is_functional(store, &question.1)?;
    if standing.is_right(object, is_functional).is_some() {
        return Ok(());
    }
    let mut own = HashSet::new();
    for graph in [None, PREDICTED] {
        own.extend(facts(store, question, graph)?.remove(object).unwrap_or_default());
    }
    let of = |predicate: NamedNodeRef<'_>| {
        own.iter().filter(|quad| quad.predicate == predicate).collect::<Vec<_>>()
    };
    let origins = of(kgb::WAS_DERIVED_FROM);
    if origins.is_empty() {
        return Ok(());
    }
    let derived: HashSet<_> = origins.iter().map(|quad| &quad.subject).collect();
    if of(rdf::REIFIES).iter().any(|quad| !derived.contains(&quad.subject)) {
        return Ok(());
    }
    let mut has_origin = false;
    for origin in origins {
        let Term::NamedNode(origin) = &origin.object else { continue };
        let of = Some(origin.as_ref().into());
        let graph = Some(GraphNameRef::DefaultGraph);
        has_origin |= store
            .quads_for_pattern(of, Some(rdf::REIFIES), None, graph)
            .next()
            .transpose()?
            .is_some();
    }
    let graph = if has_origin { DEFAULT } else { kgb::PREDICTED.into() };
    let is = own.iter().map(|quad| Quad { graph_name: graph.clone(), ..quad.clone() }).collect();
    change(store, &own, &is)
}

/// Replaces quads by others in one transaction.
fn change(store: &Store, was: &HashSet<Quad>, is: &HashSet<Quad>) -> Result<(), StorageError> {
    if was == is {
        return Ok(());
    }
    let mut transaction = store.start_transaction()?;
    for gone in was.difference(is) {
        transaction.remove(gone);
    }
    transaction.extend(is.difference(was).map(QuadRef::from));
    transaction.commit()
}
