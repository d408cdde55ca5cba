//! Suggestions as one types: entities, types and properties by the beginnings of the words of their names.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use oxigraph::model::NamedNodeRef;
use oxigraph::store::Store;
use serde::Serialize;

use super::{Item, Outcome, iri, is_relation, item};
use crate::graph::{self, described};
use crate::serve::Served;
use crate::serve::index::{comparable, words_of};
use crate::serve::problem::Problem;
use crate::serve::protocol::parameter;
use crate::serve::routes::in_background;

/// How many are suggested at once, and in all.
const SUGGESTED: usize = 20;
const IN_ALL: usize = 2000;
/// Of how many classes or relations names are looked at: those of most entities or facts.
const NAMED: usize = 10_000;

/// What is suggested.
#[derive(Serialize)]
struct Suggestion {
    #[serde(flatten)]
    item: Item,
    /// What tells it from others of its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// The types of an entity.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notable: Vec<Item>,
}

/// What can be suggested.
#[derive(Clone, Copy)]
enum Kind {
    Entity,
    Type,
    Property,
}

/// Suggestions for `prefix`, of a kind, behind the first `cursor` ones.
pub(in crate::serve) async fn suggest(
    State(served): State<Arc<Served>>,
    Path(kind): Path<String>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let answered = async {
        let kind = match &*kind {
            "entity" => Kind::Entity,
            "type" => Kind::Type,
            "property" => Kind::Property,
            _ => return Err(Problem::missing("suggested are entity, type and property")),
        };
        let prefix = parameter(query.as_deref(), "prefix").unwrap_or_default();
        let cursor = match parameter(query.as_deref(), "cursor") {
            Some(cursor) => {
                cursor.parse::<usize>().map_err(|_| Problem::bad("cursor is no number"))?
            }
            None => 0,
        };
        let shared = Arc::clone(&served);
        let found = in_background(&served, move || suggestions(&shared, kind, &prefix, cursor));
        let result = found.await?.map_err(|error| Problem::of_graph(&error))?;
        Ok::<_, Problem>(Json(Outcome { result }).into_response())
    };
    answered.await.unwrap_or_else(|problem| problem.response(&headers))
}

fn suggestions(
    served: &Served,
    kind: Kind,
    prefix: &str,
    cursor: usize,
) -> Result<Vec<Suggestion>, graph::Error> {
    let all = || Ok::<_, graph::Error>(described(&served.store)?.unwrap_or_default());
    match kind {
        Kind::Entity => entities(served, prefix, cursor),
        Kind::Type => listed(&served.store, all()?.by_class, "entities", prefix, cursor),
        Kind::Property => {
            let mut relations = all()?.by_property;
            let is_fact = |iri: &str| graph::is_of_facts(NamedNodeRef::new_unchecked(iri));
            relations.retain(|iri, _| is_fact(iri));
            listed(&served.store, relations, "facts", prefix, cursor)
        }
    }
}

/// Entities by their names, or by their IRI.
fn entities(served: &Served, prefix: &str, cursor: usize) -> Result<Vec<Suggestion>, graph::Error> {
    let store = &served.store;
    let mut iris = Vec::new();
    if let Some(iri) = iri(prefix)
        && graph::is_known(store, iri.as_ref())?
    {
        iris.push(iri.into_string());
    }
    iris.extend(served.index.find(prefix, IN_ALL).into_iter().map(|hit| hit.iri));
    let mut suggested = Vec::new();
    let mut skipped = 0;
    for iri in iris {
        let own = NamedNodeRef::new_unchecked(&iri);
        if is_relation(store, own)? {
            continue;
        }
        if skipped < cursor {
            skipped += 1;
            continue;
        }
        let names = graph::names(store, own)?;
        let notable = names.types.iter().map(|class| item(store, class));
        let notable = notable.collect::<Result<Vec<_>, _>>()?;
        let types: Vec<&str> = notable.iter().map(|class| class.name.as_str()).collect();
        let description = (!types.is_empty()).then(|| types.join(", "));
        let name = names.label.unwrap_or_else(|| graph::shorten(&iri));
        suggested.push(Suggestion { item: Item { id: iri, name }, description, notable });
        if suggested.len() == SUGGESTED {
            break;
        }
    }
    Ok(suggested)
}

/// Classes or relations by their names or IRIs, those of most things first where names begin alike.
fn listed(
    store: &Store,
    counts: BTreeMap<String, u64>,
    counted: &str,
    prefix: &str,
    cursor: usize,
) -> Result<Vec<Suggestion>, graph::Error> {
    let mut all: Vec<_> = counts.into_iter().map(|(iri, count)| (Reverse(count), iri)).collect();
    all.sort_unstable();
    all.truncate(NAMED);
    let folded = comparable(prefix);
    let mut found = Vec::new();
    for (Reverse(count), iri) in all {
        let item = item(store, &iri)?;
        let name = comparable(&item.name);
        if is_meant(&folded, &name) || is_iri(prefix.trim(), &iri) {
            found.push((Reverse(name.starts_with(&folded)), Reverse(count), item));
        }
    }
    // Of equal counts the order of the IRIs stays.
    found.sort_by_key(|(begins, count, _)| (*begins, *count));
    let suggestion = |(_, Reverse(count), item): (Reverse<bool>, Reverse<u64>, Item)| Suggestion {
        item,
        description: Some(format!("{count} {counted}")),
        notable: Vec::new(),
    };
    Ok(found.into_iter().skip(cursor).take(SUGGESTED).map(suggestion).collect())
}

/// Whether the words of a name begin as those that were typed; with none typed, all do.
fn is_meant(typed: &str, name: &str) -> bool {
    words_of(typed).all(|word| words_of(name).any(|own| own.starts_with(word)))
        && (typed.is_empty() || words_of(typed).next().is_some())
}

/// Whether an IRI, or what is short for it, begins as what was typed.
fn is_iri(typed: &str, iri: &str) -> bool {
    !typed.is_empty() && (iri.starts_with(typed) || graph::shorten(iri).starts_with(typed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_iris_are_found_by_their_beginnings() {
        assert!(
            is_meant("cap cit", "capital city")
                && is_meant("", "x")
                && is_meant("ci", "capital city")
        );
        assert!(!is_meant("ity", "capital city") && !is_meant("!", "x"));
        let iri = "http://www.wikidata.org/prop/direct/P36";
        assert!(is_iri("wdt:P3", iri) && is_iri("http://www.wiki", iri));
        assert!(!is_iri("", iri) && !is_iri("P36", iri));
    }
}
