//! The Reconciliation Service API, version 0.2 (W3C Entity Reconciliation Community Group): names of a table are
//! linked to the graph's entities, whose identifiers are their IRIs, as OpenRefine does it.
//!
//! At one address are the service's manifest, candidates for names (`queries`) and values of properties of
//! entities (`extend`); below it suggestions as one types, previews, and properties worth asking for. Answers
//! are plain JSON: who may read them from another site is said by the server's header alone, not by JSONP.

mod batch;
mod candidates;
mod extend;
mod likeness;
mod manifest;
mod preview;
mod suggest;

pub(super) use extend::properties;
pub(super) use preview::preview;
pub(super) use suggest::suggest;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use oxigraph::model::vocab::{rdf, rdfs};
use oxigraph::model::{GraphNameRef, NamedNode, NamedNodeRef, NamedOrBlankNode, Term};
use oxigraph::store::Store;
use serde::Serialize;

use super::Served;
use super::pages::label;
use super::problem::Problem;
use super::protocol::{FORM, kind, pairs};
use super::routes::{in_background, reached_at, read};
use crate::graph::{self, vocabulary as kgb};

/// How many classes below one are looked for.
const CLASSES: usize = 10_000;

/// Something with its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Item {
    /// Its IRI.
    id: String,
    /// Its label, or its IRI where it has none.
    name: String,
}

/// What is answered to a query.
#[derive(Serialize)]
struct Outcome<T> {
    result: Vec<T>,
}

/// The manifest where nothing is asked for, candidates for `queries`, values for `extend`.
pub(super) async fn reconcile(State(served): State<Arc<Served>>, sent: Request) -> Response {
    let (head, body) = sent.into_parts();
    let headers = head.headers;
    let answered = async {
        let mut parameters = pairs(head.uri.query().unwrap_or_default().as_bytes());
        let is_posted = head.method == Method::POST;
        if is_posted {
            if kind(&headers) != FORM {
                return Err(Problem::of_kind(format!("queries come as {FORM}")));
            }
            parameters.extend(pairs(&read(body).await?));
        }
        let mut queries = None;
        let mut extend = None;
        for (name, value) in parameters {
            match &*name {
                "queries" => queries = Some(value),
                "extend" => extend = Some(value),
                _ => {}
            }
        }
        match (queries, extend) {
            (Some(queries), None) => candidates(&served, &queries).await,
            (None, Some(extend)) => extend::extend(&served, &extend).await,
            (Some(_), Some(_)) => Err(Problem::bad("ask `queries` or `extend`, not both at once")),
            (None, None) if is_posted => Err(Problem::bad("there is no `queries` in the form")),
            (None, None) => described(&served, &headers).await,
        }
    };
    answered.await.unwrap_or_else(|problem| problem.response(&headers))
}

async fn described(served: &Arc<Served>, headers: &HeaderMap) -> Result<Response, Problem> {
    let base = reached_at(headers)?;
    let shared = Arc::clone(served);
    let manifest = in_background(served, move || manifest::manifest(&shared.store, &base)).await?;
    Ok(Json(manifest.map_err(|error| Problem::of_graph(&error))?).into_response())
}

/// Candidates for each query of a batch. Each is work of its own, so that a long batch is not in others' way, and
/// ends when nobody waits for it.
async fn candidates(served: &Arc<Served>, queries: &str) -> Result<Response, Problem> {
    let mut outcomes = BTreeMap::new();
    for (name, query) in batch::read(queries)? {
        let shared = Arc::clone(served);
        let found = in_background(served, move || candidates::candidates(&shared, &query)).await?;
        let result = found.map_err(|error| Problem::of_graph(&error))?;
        outcomes.insert(name, Outcome { result });
    }
    Ok(Json(outcomes).into_response())
}

/// A text that is an IRI, or short for one, as `wd:Q142`, as the whole IRI; others as they are.
fn expanded(text: &str) -> String {
    let text = text.trim();
    graph::expand(text).unwrap_or_else(|| text.to_owned())
}

/// The IRI that a text is, or is short for.
fn iri(text: &str) -> Option<NamedNode> {
    NamedNode::new(expanded(text)).ok()
}

/// Something with its name.
fn item(store: &Store, iri: &str) -> Result<Item, graph::Error> {
    Ok(Item { id: iri.to_owned(), name: label(store, iri)? })
}

/// Whether something is a relation: facts are by it, or the schema says so. Others are entities.
fn is_relation(store: &Store, iri: NamedNodeRef<'_>) -> Result<bool, graph::Error> {
    let graph = Some(GraphNameRef::DefaultGraph);
    let by_it = store.quads_for_pattern(None, Some(iri), None, graph).next();
    if by_it.transpose().map_err(graph::Error::Read)?.is_some() {
        return Ok(true);
    }
    let schema = Some(GraphNameRef::NamedNode(kgb::SCHEMA));
    for quad in store.quads_for_pattern(Some(iri.into()), Some(rdf::TYPE), None, schema) {
        if let Term::NamedNode(class) = quad.map_err(graph::Error::Read)?.object
            && [kgb::OBJECT_PROPERTY, kgb::DATATYPE_PROPERTY].contains(&class.as_ref())
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A class and, by the schema, those below it.
fn with_subclasses(store: &Store, class: &str) -> Result<HashSet<String>, graph::Error> {
    let schema = Some(GraphNameRef::NamedNode(kgb::SCHEMA));
    let mut found = HashSet::from([class.to_owned()]);
    let mut open = vec![class.to_owned()];
    while let Some(class) = open.pop() {
        let Ok(above) = NamedNode::new(class) else { continue };
        let above = Some(above.as_ref().into());
        for quad in store.quads_for_pattern(None, Some(rdfs::SUB_CLASS_OF), above, schema) {
            let subject = quad.map_err(graph::Error::Read)?.subject;
            let NamedOrBlankNode::NamedNode(below) = subject else { continue };
            if found.len() < CLASSES && found.insert(below.as_str().to_owned()) {
                open.push(below.into_string());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxigraph::io::RdfFormat;

    #[test]
    fn relations_and_classes_are_read_from_the_schema() {
        let trig = "PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> \
            PREFIX owl: <http://www.w3.org/2002/07/owl#> PREFIX e: <e:> \
            e:a e:p e:b . GRAPH <https://w3id.org/kgbuild#schema> { \
            e:q a owl:ObjectProperty . e:C rdfs:subClassOf e:B . e:B rdfs:subClassOf e:A . \
            e:A rdfs:subClassOf e:C . }";
        let store = Store::new().unwrap();
        store.load_from_slice(RdfFormat::TriG, trig.as_bytes()).unwrap();
        let is = |name: &str| is_relation(&store, NamedNodeRef::new(name).unwrap()).unwrap();
        assert!(is("e:p") && is("e:q") && !is("e:a") && !is("e:B"));
        assert_eq!(with_subclasses(&store, "e:A").unwrap().len(), 3);
        assert_eq!(with_subclasses(&store, "no iri").unwrap().len(), 1);
        assert_eq!(item(&store, "e:a").unwrap().name, "<e:a>");
    }

    #[test]
    fn short_names_are_expanded() {
        assert_eq!(expanded(" wd:Q142 "), "http://www.wikidata.org/entity/Q142");
        assert_eq!(expanded("e:1"), "e:1");
        assert!(iri("Paris, France").is_none() && iri("e:1").is_some());
    }
}
