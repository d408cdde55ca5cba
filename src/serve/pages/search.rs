//! Searching by name: as a page, and as one types.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use maud::html;
use oxigraph::model::NamedNodeRef;
use serde::Serialize;

use super::{address, label};
use crate::graph;
use crate::serve::Served;
use crate::serve::index::Hit;
use crate::serve::problem::Problem;
use crate::serve::protocol::parameter;
use crate::serve::routes::{Page, in_background};

/// How many are listed on a page, and as one types.
const LISTED: usize = 100;
const SUGGESTED: usize = 8;

/// What was found, to be shown.
#[derive(Serialize)]
struct Found {
    name: String,
    iri: String,
    /// What its first class is called, which tells things of one name apart.
    class: Option<String>,
    /// Where its page is.
    page: String,
}

pub(in crate::serve) async fn search(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let typed = parameter(query.as_deref(), "q").unwrap_or_default();
    let hits = match found(&served, &typed, LISTED).await {
        Ok(hits) => hits,
        Err(problem) => return problem.response(&headers),
    };
    let body = html! {
        @if hits.is_empty() { p { "Nothing has a name with words that begin so." } }
        ul { @for hit in &hits { li {
            a href=(hit.page) { (hit.name) }
            @if let Some(class) = &hit.class { ", " (class) } " " span class="iri" { (hit.iri) }
        } } }
        @if hits.len() == LISTED { p class="note" { "The first " (LISTED) " are listed." } }
    };
    let title = format!("Search: {typed}");
    Page { title: &title, lead: "", body }.into_response()
}

pub(in crate::serve) async fn suggest(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let typed = parameter(query.as_deref(), "q").unwrap_or_default();
    match found(&served, &typed, SUGGESTED).await {
        Ok(hits) => Json(hits).into_response(),
        Err(problem) => problem.response(&headers),
    }
}

async fn found(served: &Arc<Served>, typed: &str, most: usize) -> Result<Vec<Found>, Problem> {
    let (shared, typed) = (Arc::clone(served), typed.to_owned());
    let found = in_background(served, move || {
        let shown = |hit| shown(&shared, hit);
        shared.index.find(&typed, most).into_iter().map(shown).collect::<Result<_, _>>()
    });
    found.await?.map_err(|error| Problem::of_graph(&error))
}

fn shown(served: &Served, hit: Hit) -> Result<Found, graph::Error> {
    let Hit { iri, name } = hit;
    let names = graph::names(&served.store, NamedNodeRef::new_unchecked(&iri))?;
    let class = names.types.first().map(|class| label(&served.store, class)).transpose()?;
    let page = address("entity", &iri);
    Ok(Found { name, iri, class, page })
}
