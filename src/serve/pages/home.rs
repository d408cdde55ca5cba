//! The first page: what the graph has.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use maud::html;
use oxigraph::model::NamedNodeRef;

use super::{link, made};
use crate::graph::{self, described};
use crate::serve::Served;
use crate::serve::problem::Problem;
use crate::serve::routes::Page;

pub(in crate::serve) async fn home(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
) -> Response {
    made(&served, &headers, written).await
}

fn written(served: &Served) -> Result<Response, Problem> {
    let store = &served.store;
    let page = || -> Result<_, graph::Error> {
        let Some(all) = described(store)? else {
            return Ok(html! { p { "The run that makes this graph did not get to its end." } });
        };
        let is_fact = |iri: &str| graph::is_of_facts(NamedNodeRef::new_unchecked(iri));
        let relations: Vec<_> = all.by_property.iter().filter(|(iri, _)| is_fact(iri)).collect();
        let facts: u64 = relations.iter().map(|(_, count)| **count).sum();
        Ok(html! {
            p { (facts) " facts about " (all.entities) " entities." }
            h2 { "Relations" }
            table { tbody { @for (iri, count) in &relations { tr {
                th scope="row" { (link(store, "relation", iri)?) } td { (count) }
            } } } }
            h2 { "Classes" }
            table { tbody { @for (iri, count) in &all.by_class { tr {
                th scope="row" { (link(store, "entity", iri)?) } td { (count) }
            } } } }
        })
    };
    let body = page().map_err(|error| Problem::of_graph(&error))?;
    let lead = "What a language model knows, with how sure it is.";
    Ok(Page { title: "Knowledge graph", lead, body }.into_response())
}
