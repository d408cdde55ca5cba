//! The page of a relation: how often it is in the graph, and some of its facts.

use axum::response::{IntoResponse, Response};
use maud::html;
use oxigraph::model::NamedNode;

use super::{bar, term};
use crate::graph::{self, described, facts_by, names};
use crate::serve::Served;
use crate::serve::problem::Problem;
use crate::serve::routes::Page;

/// How many facts are shown.
const SHOWN: usize = 200;

/// The page about a relation.
///
/// # Errors
/// Where the graph cannot be read.
pub(in crate::serve) fn relation(served: &Served, iri: &NamedNode) -> Result<Response, Problem> {
    let store = &served.store;
    let page = || -> Result<_, graph::Error> {
        let names = names(store, iri.as_ref())?;
        let facts = facts_by(store, iri.as_ref(), SHOWN)?;
        let count = described(store)?.and_then(|all| all.by_property.get(iri.as_str()).copied());
        let title = names.label.clone().unwrap_or_else(|| graph::shorten(iri.as_str()));
        let body = html! {
            p class="iri" { a href=(iri.as_str()) rel="nofollow" { (iri.as_str()) } }
            @if let Some(count) = count { p { (count) " facts." } }
            div class="scroll" role="region" aria-label="Facts" tabindex="0" {
                table class="facts" {
                    thead { tr {
                        th scope="col" { "Subject" } th scope="col" class="text" { "Object" }
                        th scope="col" { "Confidence" }
                    } }
                    tbody { @for fact in &facts { tr {
                        th scope="row" { (term(store, &fact.triple.subject.clone().into())?) }
                        td class="text" { (term(store, &fact.triple.object)?) }
                        td { (bar(fact.confidence())) }
                    } } }
                }
            }
            @if facts.len() == SHOWN { p class="note" { "The first " (SHOWN) " are shown." } }
        };
        Ok((title, body))
    };
    let (title, body) = page().map_err(|error| Problem::of_graph(&error))?;
    Ok(Page { title: &title, lead: "", body }.into_response())
}
