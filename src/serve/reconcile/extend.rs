//! Values of properties of entities that were found, and which properties are worth asking for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use oxigraph::model::vocab::{rdf, xsd};
use oxigraph::model::{GraphNameRef, Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, Term};
use oxigraph::store::Store;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Item, expanded, iri, item, with_subclasses};
use crate::graph::{self, described, facts_about};
use crate::serve::Served;
use crate::serve::pages::label;
use crate::serve::problem::Problem;
use crate::serve::protocol::parameter;
use crate::serve::routes::in_background;

/// Of how many entities, how many properties, and how many of both together, values are given at once.
const IDS: usize = 200;
const PROPERTIES: usize = 50;
const CELLS: usize = 2000;
/// How many values of a property, the surest ones.
const VALUES: usize = 100;
/// Of how many entities of a class it is counted which properties they have, and of how many facts each.
const COUNTED: usize = 200;
const FACTS: usize = 1000;
/// How many properties are proposed at most, and where no number is named.
const PROPOSED: usize = 200;
const USUAL: usize = 50;

/// What is asked for.
#[derive(Deserialize)]
struct Asked {
    ids: Vec<String>,
    properties: Vec<AskedProperty>,
}

#[derive(Deserialize)]
struct AskedProperty {
    id: String,
}

/// The values of properties of entities.
///
/// # Errors
/// Where that is not what is asked for, or too much of it.
pub(super) async fn extend(served: &Arc<Served>, text: &str) -> Result<Response, Problem> {
    let Asked { ids, properties } = serde_json::from_str::<Asked>(text).map_err(|error| {
        Problem::bad(format!("`extend` has no ids and properties in JSON: {error}"))
    })?;
    let cells = ids.len() * properties.len();
    if ids.len() > IDS || properties.len() > PROPERTIES || cells > CELLS {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "at once there are at most {IDS} ids, {PROPERTIES} properties, and {CELLS} of both multiplied"
            ),
        ));
    }
    let properties: Arc<[String]> = properties.into_iter().map(|property| property.id).collect();
    let (shared, asked) = (Arc::clone(served), Arc::clone(&properties));
    let meta = in_background(served, move || {
        asked.iter().map(|id| named(&shared.store, id)).collect::<Result<Vec<_>, _>>()
    });
    let meta = meta.await?.map_err(|error| Problem::of_graph(&error))?;
    let mut rows = BTreeMap::new();
    for id in ids {
        let (shared, own, asked) = (Arc::clone(served), id.clone(), Arc::clone(&properties));
        let row = in_background(served, move || row(&shared.store, &own, &asked)).await?;
        rows.insert(id, row.map_err(|error| Problem::of_graph(&error))?);
    }
    Ok(Json(json!({ "meta": meta, "rows": rows })).into_response())
}

/// A property with its name, under the identifier that was asked for.
fn named(store: &Store, id: &str) -> Result<Item, graph::Error> {
    let name = match iri(id) {
        Some(iri) => label(store, iri.as_str())?,
        None => id.to_owned(),
    };
    Ok(Item { id: id.to_owned(), name })
}

/// The values of an entity's properties, by these.
fn row(
    store: &Store,
    id: &str,
    properties: &[String],
) -> Result<BTreeMap<String, Vec<Value>>, graph::Error> {
    let subject = iri(id);
    let mut row = BTreeMap::new();
    for property in properties {
        let mut cells = Vec::new();
        if let (Some(subject), Some(relation)) = (&subject, iri(property)) {
            for fact in facts_about(store, subject.as_ref(), relation.as_ref(), VALUES)? {
                cells.push(cell(store, &fact.triple.object)?);
            }
        }
        row.insert(property.clone(), cells);
    }
    Ok(row)
}

/// An object as a value.
fn cell(store: &Store, object: &Term) -> Result<Value, graph::Error> {
    Ok(match object {
        Term::NamedNode(entity) => json!(item(store, entity.as_str())?),
        Term::Literal(literal) => of_literal(literal),
        other => json!({ "str": other.to_string() }),
    })
}

/// What cannot be had as the number that it is stays a text.
fn of_literal(literal: &Literal) -> Value {
    let text = literal.value();
    let value = match literal.datatype() {
        xsd::INTEGER => text.parse::<i64>().ok().map(|whole| json!({ "int": whole })),
        xsd::DECIMAL | xsd::DOUBLE | xsd::FLOAT => {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            number.map(|number| json!({ "float": number }))
        }
        xsd::BOOLEAN => match text {
            "true" | "1" => Some(json!({ "bool": true })),
            "false" | "0" => Some(json!({ "bool": false })),
            _ => None,
        },
        _ => None,
    };
    value.unwrap_or_else(|| json!({ "str": text }))
}

/// Which properties entities of a type have, the most frequent first.
pub(in crate::serve) async fn properties(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let answered = async {
        let class = parameter(query.as_deref(), "type").filter(|class| !class.is_empty());
        let limit = match parameter(query.as_deref(), "limit") {
            Some(limit) => {
                limit.parse::<usize>().map_err(|_| Problem::bad("limit is no number"))?
            }
            None => USUAL,
        };
        let limit = limit.min(PROPOSED);
        let (shared, of) = (Arc::clone(&served), class.clone());
        let proposed =
            in_background(&served, move || proposed(&shared.store, of.as_deref(), limit));
        let properties = proposed.await?.map_err(|error| Problem::of_graph(&error))?;
        let answer = json!({ "type": class, "limit": limit, "properties": properties });
        Ok::<_, Problem>(Json(answer).into_response())
    };
    answered.await.unwrap_or_else(|problem| problem.response(&headers))
}

fn proposed(store: &Store, class: Option<&str>, limit: usize) -> Result<Vec<Item>, graph::Error> {
    let mut counts = match class {
        Some(class) => counted(store, &with_subclasses(store, &expanded(class))?)?,
        None => described(store)?.unwrap_or_default().by_property,
    };
    counts.retain(|iri, _| graph::is_of_facts(NamedNodeRef::new_unchecked(iri)));
    let mut counts: Vec<_> = counts.into_iter().map(|(iri, count)| (Reverse(count), iri)).collect();
    counts.sort_unstable();
    counts.iter().take(limit).map(|(_, iri)| item(store, iri)).collect()
}

/// How many of the first entities of classes have each property.
fn counted(
    store: &Store,
    classes: &HashSet<String>,
) -> Result<BTreeMap<String, u64>, graph::Error> {
    let graph = Some(GraphNameRef::DefaultGraph);
    let mut counts = BTreeMap::new();
    let classes = classes.iter().filter_map(|class| NamedNode::new(class).ok());
    let entities = classes.flat_map(|class| {
        let object = Some(class.as_ref().into());
        store.quads_for_pattern(None, Some(rdf::TYPE), object, graph)
    });
    for quad in entities.take(COUNTED) {
        let NamedOrBlankNode::NamedNode(entity) = quad.map_err(graph::Error::Read)?.subject else {
            continue;
        };
        let mut own = HashSet::new();
        let subject = Some(entity.as_ref().into());
        for quad in store.quads_for_pattern(subject, None, None, graph).take(FACTS) {
            own.insert(quad.map_err(graph::Error::Read)?.predicate.into_string());
        }
        for property in own {
            *counts.entry(property).or_insert(0) += 1;
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_they_are() {
        let of = |text: &str, datatype: NamedNodeRef<'_>| {
            of_literal(&Literal::new_typed_literal(text, datatype))
        };
        assert_eq!(of("7", xsd::INTEGER), json!({ "int": 7 }));
        assert_eq!(
            of("99999999999999999999", xsd::INTEGER),
            json!({ "str": "99999999999999999999" })
        );
        assert_eq!(of("0.5", xsd::DECIMAL), json!({ "float": 0.5 }));
        assert_eq!(of("INF", xsd::DOUBLE), json!({ "str": "INF" }));
        assert_eq!(of("true", xsd::BOOLEAN), json!({ "bool": true }));
        assert_eq!(of("1900-05-01", xsd::DATE), json!({ "str": "1900-05-01" }));
        assert_eq!(of_literal(&Literal::from("a")), json!({ "str": "a" }));
    }
}
