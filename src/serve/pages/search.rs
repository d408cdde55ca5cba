//! Searching by name: as a page, and as one types.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use maud::html;
use serde::Serialize;

use super::address;
use crate::serve::Served;
use crate::serve::index::Hit;
use crate::serve::problem::Problem;
use crate::serve::protocol::parameter;
use crate::serve::routes::{Page, in_background};

/// How many are listed on a page, and as one types.
const LISTED: usize = 100;
const SUGGESTED: usize = 8;

/// What is suggested.
#[derive(Serialize)]
struct Suggestion {
    name: String,
    iri: String,
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
            a href=(address("entity", &hit.iri)) { (hit.name) } " " span class="iri" { (hit.iri) }
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
    let suggestion = |hit: Hit| {
        let page = address("entity", &hit.iri);
        Suggestion { name: hit.name, iri: hit.iri, page }
    };
    match found(&served, &typed, SUGGESTED).await {
        Ok(hits) => {
            Json(hits.into_iter().map(suggestion).collect::<Vec<Suggestion>>()).into_response()
        }
        Err(problem) => problem.response(&headers),
    }
}

async fn found(served: &Arc<Served>, typed: &str, most: usize) -> Result<Vec<Hit>, Problem> {
    let (shared, typed) = (Arc::clone(served), typed.to_owned());
    in_background(served, move || shared.index.find(&typed, most)).await
}
