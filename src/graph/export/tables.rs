//! Predicted triples as tables, for what knows no RDF: entities as nodes, triples as edges, a column for
//! each number.
//!
//! An *edge* is an asserted triple of a named entity that an annotation gives a confidence. Of several
//! annotations the one with the highest confidence counts. A value is a node too: what N-Triples writes is
//! its name, its text the label, and its datatype the type.

mod columnar;
mod delimited;
mod graphml;
mod jsonl;

use std::collections::BTreeMap;

use oxigraph::model::vocab::{rdf, rdfs};
use oxigraph::model::{Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, Term, Triple};
use oxigraph::store::StorageError;

pub(super) use columnar::parquet;
pub(super) use delimited::{NEO4J, PLAIN, csv};
pub(super) use graphml::graphml;
pub(super) use jsonl::jsonl;

use crate::files::Sorter;
use crate::graph::Error;
use crate::graph::view::{Included, View};
use crate::graph::vocabulary as kgb;

/// What is said of an edge, by column: the numbers as the graph has them, none where it has none.
const NUMBERS: [(&str, NamedNodeRef<'static>); 6] = [
    ("confidence", kgb::CONFIDENCE),
    ("corrected_probability", kgb::CORRECTED_PROBABILITY),
    ("finetuned_probability", kgb::FINETUNED_PROBABILITY),
    ("base_probability", kgb::BASE_PROBABILITY),
    ("lower", kgb::LOWER),
    ("upper", kgb::UPPER),
];

/// By column of [`NUMBERS`].
type Numbers = [Option<String>; NUMBERS.len()];

/// Which columns there are that can be left out.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    labels: bool,
    aliases: bool,
}

impl Columns {
    /// Those of what is included.
    pub(super) fn of(included: Included) -> Self {
        Self { labels: included.labels, aliases: included.aliases }
    }
}

/// A predicted triple.
struct Edge {
    subject: NamedNode,
    relation: NamedNode,
    /// An IRI or a literal.
    object: Term,
    numbers: Numbers,
}

/// The nodes that edges name, by their names. More than are to be held in memory are in temporary files.
#[derive(Default)]
struct Nodes(Sorter);

impl Nodes {
    fn add(&mut self, subject: &NamedNode, object: &Term) -> Result<(), Error> {
        let mut push = |name: &str| self.0.push(name.as_bytes()).map_err(Error::Sorting);
        push(&name(object))?;
        push(subject.as_str())
    }

    /// Gives `take` each node with its name, in byte order of the names.
    fn each(self, mut take: impl FnMut(&str, &Term) -> Result<(), Error>) -> Result<(), Error> {
        for name in self.0.sorted().each().map_err(Error::Sorting)? {
            let name = String::from_utf8_lossy(&name.map_err(Error::Sorting)?).into_owned();
            // No IRI begins with a quotation mark, and every literal does.
            let value = name.starts_with('"').then(|| name.parse::<Literal>());
            let node = match value {
                Some(Ok(value)) => value.into(),
                _ => NamedNode::new_unchecked(name.as_str()).into(),
            };
            take(&name, &node)?;
        }
        Ok(())
    }
}

/// What a node is named by.
fn name(node: &Term) -> String {
    match node {
        Term::NamedNode(entity) => entity.as_str().to_owned(),
        other => other.to_string(),
    }
}

/// What is said of a node.
struct Node {
    label: String,
    aliases: Vec<String>,
    types: Vec<String>,
}

/// Gives `take` each edge, by subject.
fn edges(view: &View<'_>, take: &mut dyn FnMut(Edge) -> Result<(), Error>) -> Result<(), Error> {
    for subject in view.subjects(false, |_, _| {})?.each()? {
        let NamedOrBlankNode::NamedNode(named) = subject? else { continue };
        let mut triples = view.triples(named.as_ref().into()).map_err(Error::Read)?;
        triples.sort_by_cached_key(Triple::to_string);
        for triple in triples {
            if !matches!(triple.object, Term::NamedNode(_) | Term::Literal(_)) {
                continue;
            }
            if let Some(numbers) = numbers(view, &triple).map_err(Error::Read)? {
                let Triple { predicate: relation, object, .. } = triple;
                take(Edge { subject: named.clone(), relation, object, numbers })?;
            }
        }
    }
    Ok(())
}

/// What the annotation of a triple says that has the highest confidence; none where none has one.
fn numbers(view: &View<'_>, triple: &Triple) -> Result<Option<Numbers>, StorageError> {
    let mut best: Option<(f64, Numbers)> = None;
    for annotator in view.annotators(triple)? {
        let mut found = [const { None }; NUMBERS.len()];
        for about in view.triples(annotator.as_ref())? {
            let column = NUMBERS.iter().position(|(_, predicate)| about.predicate == *predicate);
            if let (Some(column), Term::Literal(literal)) = (column, &about.object) {
                found[column] = Some(literal.value().to_owned());
            }
        }
        let confidence = found[0].as_ref().and_then(|text| text.parse::<f64>().ok());
        if let Some(confidence) = confidence
            && best.as_ref().is_none_or(|(before, _)| confidence > *before)
        {
            best = Some((confidence, found));
        }
    }
    Ok(best.map(|(_, numbers)| numbers))
}

/// What is said of an entity; the text and the datatype of a value.
fn described(view: &View<'_>, of: &Term) -> Result<Node, Error> {
    match of {
        Term::NamedNode(entity) => node(view, entity),
        Term::Literal(value) => Ok(Node {
            label: value.value().to_owned(),
            aliases: Vec::new(),
            types: vec![value.datatype().as_str().to_owned()],
        }),
        other => Ok(Node { label: other.to_string(), aliases: Vec::new(), types: Vec::new() }),
    }
}

/// The first label in byte order, or the end of the IRI, the aliases and the types.
fn node(view: &View<'_>, iri: &NamedNode) -> Result<Node, Error> {
    let triples = view.triples(iri.as_ref().into()).map_err(Error::Read)?;
    let (mut labels, mut aliases, mut types) = (Vec::new(), Vec::new(), Vec::new());
    for triple in triples {
        match triple.object {
            Term::Literal(label) if triple.predicate == rdfs::LABEL => {
                labels.push(label.value().to_owned());
            }
            Term::Literal(alias) if triple.predicate == kgb::ALT_LABEL => {
                aliases.push(alias.value().to_owned());
            }
            Term::NamedNode(class) if triple.predicate == rdf::TYPE => {
                types.push(class.into_string());
            }
            _ => {}
        }
    }
    aliases.sort_unstable();
    types.sort_unstable();
    let end = || iri.as_str().rsplit(['/', '#', ':']).next().unwrap_or_default().to_owned();
    Ok(Node { label: labels.into_iter().min().unwrap_or_else(end), aliases, types })
}

/// The labels of relations, each looked for once.
#[derive(Default)]
struct Relations(BTreeMap<NamedNode, String>);

impl Relations {
    fn label(&mut self, view: &View<'_>, relation: &NamedNode) -> Result<&str, Error> {
        if !self.0.contains_key(relation) {
            self.0.insert(relation.clone(), node(view, relation)?.label);
        }
        Ok(&self.0[relation])
    }
}
