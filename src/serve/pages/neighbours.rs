//! What is around an entity, for a drawing: its surest facts each way as nodes and edges.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use oxigraph::model::{NamedNode, NamedNodeRef, NamedOrBlankNodeRef, Term, Triple};
use oxigraph::store::Store;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{address, label, unknown};
use crate::diagnostic::printable_line;
use crate::graph::{self, Fact, facts_of, facts_to, is_known};
use crate::serve::Served;
use crate::serve::problem::Problem;
use crate::serve::protocol::{graph, parameter};
use crate::serve::routes::in_background;

/// How many facts are drawn each way.
const SHOWN: usize = 50;
/// Characters of the longest label: of more the first.
const LABEL: usize = 200;

/// What is around an entity.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Neighbourhood {
    /// The entity, then what it has a fact with, the surest first.
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// How many facts there are beside these.
    more: usize,
}

#[derive(Debug, PartialEq, Serialize)]
struct Node {
    /// Of an entity its IRI; a value has one for each fact.
    id: String,
    label: String,
    kind: Kind,
    /// Where its page is; none where it has none.
    page: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Entity,
    Value,
}

/// A fact.
#[derive(Debug, PartialEq, Serialize)]
struct Edge {
    /// The subject's node.
    source: String,
    /// The object's node.
    target: String,
    /// What its relation is called.
    label: String,
    /// The relation's IRI.
    relation: String,
    confidence: Option<f64>,
    /// Whether it was known and not predicted.
    known: bool,
}

/// What is around the entity `iri` of the address, as JSON.
pub(in crate::serve) async fn neighbours(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    match found(&served, query.as_deref()).await {
        Ok(around) => Json(around).into_response(),
        Err(problem) => problem.response(&headers),
    }
}

async fn found(served: &Arc<Served>, query: Option<&str>) -> Result<Neighbourhood, Problem> {
    let iri = parameter(query, "iri").ok_or_else(|| Problem::bad("name it: ?iri=IRI"))?;
    let iri = graph("iri", &iri)?;
    let shared = Arc::clone(served);
    let found = in_background(served, move || match around(&shared.store, iri.as_ref()) {
        Ok(Some(around)) => Ok(around),
        Ok(None) => Err(unknown(&shared, &iri)),
        Err(error) => Err(Problem::of_graph(&error)),
    });
    found.await?
}

/// What is around an entity; none where the graph says nothing of it.
fn around(store: &Store, iri: NamedNodeRef<'_>) -> Result<Option<Neighbourhood>, graph::Error> {
    if !is_known(store, iri)? {
        return Ok(None);
    }
    let mut around = Neighbourhood::default();
    around.nodes.push(entity(store, iri.as_str())?);
    let own = facts_of(store, iri, usize::MAX)?;
    let mut others = facts_to(store, iri.into(), usize::MAX)?;
    // What it says of itself is in both.
    others.retain(|fact| fact.triple.subject.as_ref() != NamedOrBlankNodeRef::from(iri));
    for mut facts in [own, others] {
        let sureness = |fact: &Fact| fact.confidence().unwrap_or(1.0);
        facts.sort_by(|a, b| sureness(b).total_cmp(&sureness(a)));
        around.more += facts.len().saturating_sub(SHOWN);
        facts.truncate(SHOWN);
        for fact in &facts {
            around.add(store, fact)?;
        }
    }
    Ok(Some(around))
}

impl Neighbourhood {
    /// Adds a fact, and its ends where they are not there yet.
    fn add(&mut self, store: &Store, fact: &Fact) -> Result<(), graph::Error> {
        let Triple { subject, predicate, object } = &fact.triple;
        let confidence = fact.confidence();
        let edge = Edge {
            source: self.end(store, &subject.clone().into(), fact)?,
            target: self.end(store, object, fact)?,
            label: shown(&label(store, predicate.as_str())?),
            relation: predicate.as_str().to_owned(),
            confidence,
            known: confidence.is_none(),
        };
        self.edges.push(edge);
        Ok(())
    }

    /// The id of the node of a fact's end.
    fn end(&mut self, store: &Store, term: &Term, fact: &Fact) -> Result<String, graph::Error> {
        let node = match term {
            // A label is read once.
            Term::NamedNode(iri) if self.has(iri) => return Ok(iri.as_str().to_owned()),
            Term::NamedNode(iri) => entity(store, iri.as_str())?,
            Term::BlankNode(_) => value(term.to_string(), &term.to_string()),
            Term::Literal(literal) => value(print(&fact.triple), literal.value()),
            Term::Triple(_) => value(print(&fact.triple), &term.to_string()),
        };
        let id = node.id.clone();
        if !self.nodes.iter().any(|other| other.id == id) {
            self.nodes.push(node);
        }
        Ok(id)
    }

    fn has(&self, iri: &NamedNode) -> bool {
        self.nodes.iter().any(|node| node.id == iri.as_str())
    }
}

fn entity(store: &Store, iri: &str) -> Result<Node, graph::Error> {
    let label = shown(&label(store, iri)?);
    let page = Some(address("entity", iri));
    Ok(Node { id: iri.to_owned(), label, kind: Kind::Entity, page })
}

fn value(id: String, text: &str) -> Node {
    Node { id, label: shown(text), kind: Kind::Value, page: None }
}

/// A name for the value of a fact, short however long the value is. No IRI has a space.
fn print(triple: &Triple) -> String {
    format!("value {}", hex::encode(Sha256::digest(triple.to_string())))
}

/// A text as a label: of a long one the beginning, and nothing that turns or hides text. What draws it writes it as it
/// comes, so that markup stays text.
fn shown(text: &str) -> String {
    let end = text.char_indices().nth(LABEL).map(|(end, _)| end);
    let cut = end.map_or_else(|| text.to_owned(), |end| format!("{}…", &text[..end]));
    printable_line(&cut).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxigraph::io::RdfFormat;
    use std::fmt::Write as _;

    fn around(turtle: &str, iri: &str) -> Option<Neighbourhood> {
        let prefixes = "PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> \
            PREFIX kgb: <https://w3id.org/kgbuild#> PREFIX e: <e:>\n";
        let store = Store::new().unwrap();
        let turtle = format!("{prefixes}{turtle}");
        store.load_from_slice(RdfFormat::Turtle, turtle.as_bytes()).unwrap();
        super::around(&store, NamedNodeRef::new(iri).unwrap()).unwrap()
    }

    #[test]
    fn facts_of_both_directions_are_edges() {
        let turtle = "e:a rdfs:label \"A\" ; e:p e:b {| kgb:confidence 0.5 |} ; e:q 7 .\n\
            e:p rdfs:label \"likes\" . e:b e:p e:a {| kgb:confidence 0.75 |} . e:a e:p e:a .";
        let around = around(turtle, "e:a").unwrap();
        let nodes: Vec<(&str, Kind)> =
            around.nodes.iter().map(|node| (&*node.label, node.kind)).collect();
        let expected = [("A", Kind::Entity), ("7", Kind::Value), ("<e:b>", Kind::Entity)];
        // What it says of itself and the value are both known, and so before what was predicted.
        assert_eq!(nodes, expected);
        assert_eq!(around.nodes[0].page.as_deref(), Some("/entity?iri=e%3Aa"));
        assert_eq!((&around.nodes[1].page, around.more), (&None, 0));
        let ends: Vec<(&str, &str, &str, Option<f64>, bool)> = around
            .edges
            .iter()
            .map(|edge| (&*edge.source, &*edge.target, &*edge.label, edge.confidence, edge.known))
            .collect();
        assert_eq!(ends.len(), 4);
        for edge in [
            ("e:a", "e:a", "likes", None, true),
            ("e:a", "e:b", "likes", Some(0.5), false),
            ("e:b", "e:a", "likes", Some(0.75), false),
            ("e:a", &*around.nodes[1].id, "<e:q>", None, true),
        ] {
            assert!(ends.contains(&edge), "{edge:?} is not in {ends:?}");
        }
    }

    #[test]
    fn a_value_is_a_node_for_each_fact() {
        let around = around("e:a e:p 7 ; e:q 7 , \"7\" .", "e:a").unwrap();
        assert_eq!((around.nodes.len(), around.edges.len()), (4, 3));
        assert!(around.nodes[1..].iter().all(|node| node.label == "7"));
    }

    #[test]
    fn of_many_facts_the_surest_are_there() {
        let mut turtle = String::new();
        for number in 0..60 {
            writeln!(turtle, "e:a e:p e:o{number} {{| kgb:confidence 0.{:02} |}} .", number + 10)
                .unwrap();
            writeln!(turtle, "e:s{number} e:q{number} e:a .").unwrap();
        }
        let around = around(&turtle, "e:a").unwrap();
        assert_eq!((around.edges.len(), around.nodes.len(), around.more), (100, 101, 20));
        assert_eq!(around.edges[0].confidence, Some(0.69));
        assert_eq!(around.edges[49].confidence, Some(0.2));
    }

    #[test]
    fn what_is_not_known_has_no_neighbours() {
        assert_eq!(around("e:a e:p e:b .", "e:none"), None);
    }

    #[test]
    fn labels_neither_turn_text_nor_fill_the_picture() {
        assert_eq!(shown("a\u{202e}b\n<b>"), r"a\u{202e}b\n<b>");
        let long = shown(&"é".repeat(1000));
        assert_eq!((long.chars().count(), long.ends_with('…')), (LABEL + 1, true));
    }
}
