//! Searching by name: as a page, and as one types.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use maud::html;
use serde::Serialize;

use super::address;
use crate::serve::Served;
use crate::serve::protocol::pairs;
use crate::serve::routes::Page;

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
    RawQuery(parameters): RawQuery,
) -> Response {
    let typed = typed(parameters);
    let hits = served.index.find(&typed, LISTED);
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
    RawQuery(parameters): RawQuery,
) -> Response {
    let hits = served.index.find(&typed(parameters), SUGGESTED).into_iter();
    let suggestion = |hit: crate::serve::index::Hit| {
        let page = address("entity", &hit.iri);
        Suggestion { name: hit.name, iri: hit.iri, page }
    };
    Json(hits.map(suggestion).collect::<Vec<Suggestion>>()).into_response()
}

fn typed(parameters: Option<String>) -> String {
    let parameters = pairs(parameters.unwrap_or_default().as_bytes()).into_iter();
    parameters.filter(|(name, _)| name == "q").map(|(_, typed)| typed).next().unwrap_or_default()
}
