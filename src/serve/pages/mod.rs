//! The pages, rendered here and useful without scripts.

mod asked;
mod entity;
mod home;
mod neighbours;
mod query;
mod relation;
mod review;
mod runs;
mod search;

pub(super) use entity::{entity, unknown};
pub(super) use home::home;
pub(super) use neighbours::neighbours;
pub(super) use query::query;
pub(super) use relation::relation;
pub(super) use review::{enter, judge, leave, precision, review_page, skip, take_back};
pub(super) use runs::runs;
pub(super) use search::{search, suggest};

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};
use oxigraph::model::{NamedNode, NamedNodeRef, Term};
use oxigraph::store::Store;

use super::Served;
use super::problem::Problem;
use super::routes::in_background;
use crate::graph::{self, Fact};

/// A page that `written` makes of the store, or why there is none.
async fn made(
    served: &Arc<Served>,
    headers: &HeaderMap,
    written: impl FnOnce(&Served) -> Result<Response, Problem> + Send + 'static,
) -> Response {
    let shared = Arc::clone(served);
    let page = in_background(served, move || written(&shared)).await;
    page.and_then(|page| page).unwrap_or_else(|problem| problem.response(headers))
}

/// A text as a value within an address.
fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Where the page about something is: at its short name, or by its whole IRI.
pub(super) fn address(place: &str, iri: &str) -> String {
    match graph::shorten(iri).as_str() {
        long if long.starts_with('<') => format!("/{place}?iri={}", escaped(iri)),
        short => format!("/{place}/{short}"),
    }
}

/// What something is called: its label, or its IRI where it has none.
///
/// # Errors
/// Where the store cannot be read.
pub(super) fn label(store: &Store, iri: &str) -> Result<String, graph::Error> {
    let label = graph::label(store, NamedNodeRef::new_unchecked(iri))?;
    Ok(label.unwrap_or_else(|| graph::shorten(iri)))
}

/// An IRI, with a link to where it leads if that is a page of the web.
fn at_home(iri: &NamedNode) -> Markup {
    let text = iri.as_str();
    let is_web = text.starts_with("https://") || text.starts_with("http://");
    html! {
        p class="iri" {
            @if is_web { a href=(text) rel="nofollow noreferrer" { (text) } } @else { (text) }
        }
    }
}

/// A link to something by its label.
fn link(store: &Store, place: &str, iri: &str) -> Result<Markup, graph::Error> {
    Ok(html! { a href=(address(place, iri)) { (label(store, iri)?) } })
}

/// A term of a fact: an entity as a link, a value as its text.
fn term(store: &Store, term: &Term) -> Result<Markup, graph::Error> {
    match term {
        Term::NamedNode(iri) => link(store, "entity", iri.as_str()),
        Term::Literal(value) => Ok(html! { (value.value()) }),
        other => Ok(html! { (other.to_string()) }),
    }
}

/// A term as a text: an entity by its label.
fn name(store: &Store, term: &Term) -> Result<String, graph::Error> {
    match term {
        Term::NamedNode(iri) => label(store, iri.as_str()),
        Term::Literal(value) => Ok(value.value().to_owned()),
        other => Ok(other.to_string()),
    }
}

/// A confidence as a bar with its number.
fn bar(confidence: Option<f64>) -> Markup {
    match confidence {
        Some(confidence) => html! {
            meter min="0" max="1" value=(confidence) { (confidence) } " " (number(confidence))
        },
        None => html! { "known" },
    }
}

/// A probability, short.
fn number(probability: f64) -> String {
    if probability != 0.0 && probability < 0.001 {
        format!("{probability:.1e}")
    } else {
        format!("{probability:.3}")
    }
}

/// What else is said of a fact, in words.
fn remarks(store: &Store, fact: &Fact) -> Result<Markup, graph::Error> {
    let mut parts = Vec::new();
    for said in &fact.annotations {
        if let Some([lower, upper]) = &said.within {
            parts.push(html! { "between " (lower) " and " (upper) });
        }
        if said.judged {
            parts.push(html! { "judged to be right" });
        }
        if said.ambiguous {
            parts.push(html! { "its name is that of several" });
        }
        for origin in &said.derived_from {
            parts.push(html! {
                "follows from " (term(store, &origin.subject.clone().into())?) " "
                (link(store, "relation", origin.predicate.as_str())?) " " (term(store, &origin.object)?)
            });
        }
    }
    Ok(html! { @for (number, part) in parts.iter().enumerate() { @if number > 0 { "; " } (part) } })
}
