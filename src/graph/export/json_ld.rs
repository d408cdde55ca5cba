//! JSON-LD for people and programs: a context of prefixes, then an object a line for each subject.

use std::collections::BTreeSet;
use std::io::Write;

use oxigraph::model::vocab::{rdf, xsd};
use oxigraph::model::{
    BaseDirection, LiteralRef, NamedOrBlankNode, NamedOrBlankNodeRef, Quad, Term, TermRef, Triple,
};
use serde_json::{Map, Value, json};

use super::format::Annotations;
use super::statements;
use crate::graph::Error;
use crate::graph::prefixes::Prefixes;
use crate::graph::view::View;

/// Writes the graph. What a named graph has stands in the object of its name.
pub(super) fn write(
    view: &View<'_>,
    annotations: Annotations,
    prefixes: &Prefixes,
    out: &mut impl Write,
) -> Result<(), Error> {
    let mut subjects = view.subjects(false, |_, _| {})?;
    let quads = |subject: &NamedOrBlankNode| {
        statements::quads(view, subject, annotations).map_err(Error::Read)
    };
    // The context stands at the beginning, so that what is used is looked for before all is written.
    let mut used = Used::new(prefixes);
    for subject in subjects.each()? {
        quads(&subject?)?.iter().for_each(|quad| used.quad(quad));
    }
    let context = used.context();
    let mut first = format!("{{\"@context\":{},\n\"@graph\":[\n", context.value());
    for subject in subjects.each()? {
        let subject = subject?;
        let quads = quads(&subject)?;
        if !quads.is_empty() {
            write!(out, "{first}{}", context.node(&subject, quads)?)?;
            ",\n".clone_into(&mut first);
        }
    }
    let empty = if first.starts_with('{') { first } else { "\n".to_owned() };
    Ok(writeln!(out, "{empty}]}}")?)
}

/// Which prefixes the IRIs of a graph have, and which schemes.
struct Used<'p> {
    prefixes: &'p Prefixes,
    used: BTreeSet<usize>,
    schemes: BTreeSet<String>,
}

impl<'p> Used<'p> {
    fn new(prefixes: &'p Prefixes) -> Self {
        Self { prefixes, used: BTreeSet::new(), schemes: BTreeSet::new() }
    }

    fn quad(&mut self, quad: &Quad) {
        if let NamedOrBlankNodeRef::NamedNode(iri) = quad.subject.as_ref() {
            self.iri(iri.as_str());
        }
        let is_type = quad.predicate == rdf::TYPE && !quad.object.is_literal();
        if !is_type {
            self.iri(quad.predicate.as_str());
        }
        match quad.object.as_ref() {
            TermRef::NamedNode(iri) => self.iri(iri.as_str()),
            TermRef::Literal(literal) if !is_plain(literal) => {
                self.iri(literal.datatype().as_str());
            }
            _ => {}
        }
    }

    fn iri(&mut self, iri: &str) {
        if let Some((at, _)) = self.prefixes.split(iri) {
            self.used.insert(at);
        }
        let scheme = iri.split(':').next().unwrap_or_default();
        if !self.schemes.contains(scheme) {
            self.schemes.insert(scheme.to_owned());
        }
    }

    /// The used prefixes but those that are a scheme: a whole IRI would be read as one of theirs.
    fn context(self) -> Context {
        let mut kept = Prefixes::none();
        for (at, (name, namespace)) in self.prefixes.iter().enumerate() {
            if self.used.contains(&at) && !self.schemes.contains(name) {
                kept.declare(name, namespace);
            }
        }
        Context(kept)
    }
}

/// The prefixes that shorten IRIs.
struct Context(Prefixes);

impl Context {
    fn value(&self) -> Value {
        let is_simple = |namespace: &str| namespace.ends_with([':', '/', '?', '#', '[', ']', '@']);
        let terms = self.0.iter().map(|(name, namespace)| {
            let term = match is_simple(namespace) {
                true => namespace.into(),
                false => json!({ "@id": namespace, "@prefix": true }),
            };
            (name.to_owned(), term)
        });
        Value::Object(terms.collect())
    }

    /// The object of a subject with all of these.
    fn node(&self, subject: &NamedOrBlankNode, mut quads: Vec<Quad>) -> Result<Value, Error> {
        quads.sort_by_cached_key(Quad::to_string);
        let mut node = Map::new();
        node.insert("@id".to_owned(), self.id(subject.as_ref()).into());
        for quad in quads {
            if quad.graph_name.is_default_graph() {
                self.add(&mut node, &quad.into())?;
                continue;
            }
            let triple = Triple::from(quad);
            let mut inner = Map::new();
            inner.insert("@id".to_owned(), self.id(triple.subject.as_ref()).into());
            self.add(&mut inner, &triple)?;
            push(&mut node, "@graph".to_owned(), Value::Object(inner));
        }
        Ok(Value::Object(node))
    }

    fn add(&self, node: &mut Map<String, Value>, triple: &Triple) -> Result<(), Error> {
        if triple.predicate == rdf::TYPE
            && let Ok(class) = NamedOrBlankNode::try_from(triple.object.clone())
        {
            push(node, "@type".to_owned(), self.id(class.as_ref()).into());
            return Ok(());
        }
        let value = match &triple.object {
            Term::NamedNode(iri) => json!({ "@id": self.id(iri.as_ref().into()) }),
            Term::BlankNode(blank) => json!({ "@id": self.id(blank.as_ref().into()) }),
            Term::Literal(literal) => self.literal(literal.as_ref()),
            Term::Triple(_) => {
                return Err(Error::Format {
                    problem: "`json-ld` cannot carry a triple that is spoken of".to_owned(),
                    instead: "take `--format turtle` or `n-quads`".to_owned(),
                });
            }
        };
        push(node, self.iri(triple.predicate.as_str()), value);
        Ok(())
    }

    fn id(&self, node: NamedOrBlankNodeRef<'_>) -> String {
        match node {
            NamedOrBlankNodeRef::NamedNode(iri) => self.iri(iri.as_str()),
            NamedOrBlankNodeRef::BlankNode(blank) => blank.to_string(),
        }
    }

    fn iri(&self, iri: &str) -> String {
        let name = |at| self.0.iter().nth(at).map_or("", |(name, _)| name);
        match self.0.split(iri) {
            Some((at, local)) => format!("{}:{local}", name(at)),
            None => iri.to_owned(),
        }
    }

    fn literal(&self, literal: LiteralRef<'_>) -> Value {
        let value = literal.value();
        match (literal.language(), literal.direction()) {
            (None, _) if is_plain(literal) => value.into(),
            (None, _) => {
                json!({ "@type": self.iri(literal.datatype().as_str()), "@value": value })
            }
            (Some(language), None) => json!({ "@language": language, "@value": value }),
            (Some(language), Some(direction)) => {
                let direction = if direction == BaseDirection::Ltr { "ltr" } else { "rtl" };
                json!({ "@language": language, "@direction": direction, "@value": value })
            }
        }
    }
}

/// Whether a literal is written without its datatype.
fn is_plain(literal: LiteralRef<'_>) -> bool {
    literal.datatype() == xsd::STRING || literal.language().is_some()
}

/// Adds a value to those of a key.
fn push(node: &mut Map<String, Value>, key: String, value: Value) {
    match node.get_mut(&key) {
        None => drop(node.insert(key, value)),
        Some(Value::Array(values)) => values.push(value),
        Some(one) => *one = Value::Array(vec![one.take(), value]),
    }
}
