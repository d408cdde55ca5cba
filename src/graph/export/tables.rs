//! Predicted triples as tables, for what knows no RDF: entities as nodes, triples as edges, a column for
//! each number.
//!
//! An *edge* is an asserted triple of a named entity that an annotation gives a confidence. Of several
//! annotations the one with the highest confidence counts. A value is a node too: what N-Triples writes is
//! its name, its text the label, and its datatype the type.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use oxigraph::model::vocab::{rdf, rdfs};
use oxigraph::model::{NamedNode, NamedNodeRef, NamedOrBlankNode, Term, Triple};
use oxigraph::store::StorageError;
use serde_json::{Map, Number, Value, json};

use crate::files::{WholeFile, WriteError};
use crate::graph::Error;
use crate::graph::view::View;
use crate::graph::vocabulary as kgb;

/// What is said of an edge, by column: the numbers as the graph has them, none where it has none.
const NUMBERS: [(&str, NamedNodeRef<'static>); 4] = [
    ("confidence", kgb::CONFIDENCE),
    ("corrected_probability", kgb::CORRECTED_PROBABILITY),
    ("finetuned_probability", kgb::FINETUNED_PROBABILITY),
    ("base_probability", kgb::BASE_PROBABILITY),
];

/// The first rows of both tables, and what stands between several types.
pub(super) struct Headers {
    nodes: [&'static str; 3],
    edges: [&'static str; 8],
    between_types: &'static str,
}

/// For people, pandas and kgbuild's own tables of entities.
pub(super) const PLAIN: Headers = Headers {
    nodes: ["iri", "label", "types"],
    edges: [
        "subject",
        "object",
        "relation_label",
        "relation",
        "confidence",
        "corrected_probability",
        "finetuned_probability",
        "base_probability",
    ],
    between_types: "|",
};

/// For `neo4j-admin database import`.
pub(super) const NEO4J: Headers = Headers {
    nodes: ["iri:ID", "label", ":LABEL"],
    edges: [
        ":START_ID",
        ":END_ID",
        ":TYPE",
        "iri",
        "confidence:double",
        "corrected_probability:double",
        "finetuned_probability:double",
        "base_probability:double",
    ],
    between_types: ";",
};

/// A predicted triple.
struct Edge {
    subject: NamedNode,
    relation: NamedNode,
    /// An IRI or a literal.
    object: Term,
    /// In the order of [`NUMBERS`].
    numbers: [Option<String>; 4],
}

/// The nodes that edges name, by their names.
#[derive(Default)]
struct Nodes(BTreeMap<String, Term>);

impl Nodes {
    fn add(&mut self, subject: NamedNode, object: Term) {
        self.0.insert(name(&object), object);
        self.0.insert(subject.as_str().to_owned(), subject.into());
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
    types: Vec<String>,
}

/// Gives `take` each edge, by subject.
fn edges(view: &View<'_>, take: &mut dyn FnMut(Edge) -> Result<(), Error>) -> Result<(), Error> {
    for subject in view.subjects(false, |_, _| {}).map_err(Error::Read)? {
        let NamedOrBlankNode::NamedNode(named) = &subject else { continue };
        let mut triples = view.triples(subject.as_ref()).map_err(Error::Read)?;
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
fn numbers(view: &View<'_>, triple: &Triple) -> Result<Option<[Option<String>; 4]>, StorageError> {
    let mut best: Option<(f64, [Option<String>; 4])> = None;
    for annotator in view.annotators(triple)? {
        let mut found = [const { None }; 4];
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
            types: vec![value.datatype().as_str().to_owned()],
        }),
        other => Ok(Node { label: other.to_string(), types: Vec::new() }),
    }
}

/// The first label in byte order, or the end of the IRI, and the types.
fn node(view: &View<'_>, iri: &NamedNode) -> Result<Node, Error> {
    let triples = view.triples(iri.as_ref().into()).map_err(Error::Read)?;
    let mut labels: Vec<String> = Vec::new();
    let mut types: Vec<String> = Vec::new();
    for triple in triples {
        match triple.object {
            Term::Literal(label) if triple.predicate == rdfs::LABEL => {
                labels.push(label.value().to_owned());
            }
            Term::NamedNode(class) if triple.predicate == rdf::TYPE => {
                types.push(class.into_string());
            }
            _ => {}
        }
    }
    types.sort_unstable();
    let end = || iri.as_str().rsplit(['/', '#', ':']).next().unwrap_or_default().to_owned();
    Ok(Node { label: labels.into_iter().min().unwrap_or_else(end), types })
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

/// Writes `nodes.csv` and `edges.csv` into a folder, each whole or not at all.
pub(super) fn csv(view: &View<'_>, headers: &Headers, folder: &Path) -> Result<(), Error> {
    let create = |name: &str| WholeFile::create(&folder.join(name)).map_err(Error::Table);
    let (mut nodes, mut edges_file) = (create("nodes.csv")?, create("edges.csv")?);
    let broken = |file: &'static str| {
        let file = folder.join(file);
        move |error: ::csv::Error| Error::Table(WriteError::of(&file)(error.into()))
    };
    let mut named = Nodes::default();
    {
        let mut table = ::csv::Writer::from_writer(&mut edges_file);
        let failed = broken("edges.csv");
        table.write_record(headers.edges).map_err(&failed)?;
        let mut relations = Relations::default();
        edges(view, &mut |Edge { subject, relation, object, numbers }| {
            let label = relations.label(view, &relation)?;
            let to = name(&object);
            let parts = [subject.as_str(), &to, label, relation.as_str()];
            let numbers = numbers.iter().map(|number| number.as_deref().unwrap_or_default());
            table.write_record(parts.into_iter().chain(numbers)).map_err(&failed)?;
            named.add(subject, object);
            Ok(())
        })?;
        table.flush().map_err(|error| failed(error.into()))?;
    }
    {
        let mut table = ::csv::Writer::from_writer(&mut nodes);
        let failed = broken("nodes.csv");
        table.write_record(headers.nodes).map_err(&failed)?;
        for (name, own) in &named.0 {
            let Node { label, types } = described(view, own)?;
            let types = types.join(headers.between_types);
            table.write_record([name, &label, &types]).map_err(&failed)?;
        }
        table.flush().map_err(|error| failed(error.into()))?;
    }
    edges_file.commit().map_err(Error::Table)?;
    nodes.commit().map_err(Error::Table)
}

/// Writes an object a line for each edge.
pub(super) fn jsonl(view: &View<'_>, out: &mut impl Write) -> Result<(), Error> {
    let mut relations = Relations::default();
    edges(view, &mut |Edge { subject, relation, object, numbers }| {
        let entity = |iri: &NamedNode| -> Result<Value, Error> {
            Ok(json!({ "iri": iri.as_str(), "label": node(view, iri)?.label }))
        };
        let object = match &object {
            Term::NamedNode(iri) => entity(iri)?,
            Term::Literal(value) => {
                json!({ "value": value.value(), "datatype": value.datatype().as_str() })
            }
            other => json!({ "value": other.to_string() }),
        };
        let mut line = Map::new();
        line.insert("subject".to_owned(), entity(&subject)?);
        let label = relations.label(view, &relation)?;
        line.insert("relation".to_owned(), json!({ "iri": relation.as_str(), "label": label }));
        line.insert("object".to_owned(), object);
        for ((name, _), number) in NUMBERS.iter().zip(&numbers) {
            let number = number.as_ref().and_then(|text| text.parse().ok());
            if let Some(number) = number.and_then(Number::from_f64) {
                line.insert((*name).to_owned(), number.into());
            }
        }
        Ok(writeln!(out, "{}", Value::Object(line))?)
    })
}

/// Writes GraphML: nodes with label and types, edges with their relation and numbers.
pub(super) fn graphml(view: &View<'_>, out: &mut impl Write) -> Result<(), Error> {
    let mut named = Nodes::default();
    edges(view, &mut |Edge { subject, object, .. }| {
        named.add(subject, object);
        Ok(())
    })?;
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">")?;
    let key = |of: &str, name: &str, kind: &str| {
        format!("  <key id=\"{name}\" for=\"{of}\" attr.name=\"{name}\" attr.type=\"{kind}\"/>")
    };
    writeln!(out, "{}\n{}", key("node", "label", "string"), key("node", "types", "string"))?;
    writeln!(out, "{}", key("edge", "relation", "string"))?;
    writeln!(out, "{}", key("edge", "relation_label", "string"))?;
    for (name, _) in NUMBERS {
        writeln!(out, "{}", key("edge", name, "double"))?;
    }
    writeln!(out, "  <graph edgedefault=\"directed\">")?;
    let data = |name: &str, value: &str| format!("<data key=\"{name}\">{}</data>", xml(value));
    for (name, own) in &named.0 {
        let Node { label, types } = described(view, own)?;
        let types = data("types", &types.join("|"));
        let (id, label) = (xml(name), data("label", &label));
        writeln!(out, "    <node id=\"{id}\">{label}{types}</node>")?;
    }
    let mut relations = Relations::default();
    edges(view, &mut |Edge { subject, relation, object, numbers }| {
        let (source, target) = (xml(subject.as_str()), xml(&name(&object)));
        write!(out, "    <edge source=\"{source}\" target=\"{target}\">")?;
        let label = relations.label(view, &relation)?;
        write!(out, "{}{}", data("relation", relation.as_str()), data("relation_label", label))?;
        for ((name, _), number) in NUMBERS.iter().zip(&numbers) {
            if let Some(number) = number {
                write!(out, "{}", data(name, number))?;
            }
        }
        Ok(writeln!(out, "</edge>")?)
    })?;
    writeln!(out, "  </graph>\n</graphml>")?;
    Ok(())
}

/// A text as XML 1.0 can hold it; characters that it cannot become U+FFFD.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // As they are, a reader would make spaces or nothing of them.
            '\t' => escaped.push_str("&#9;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
