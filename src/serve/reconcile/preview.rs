//! What an entity is, in short, to be shown within another site's page.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use oxigraph::model::{NamedNode, Term};
use oxigraph::store::Store;

use crate::graph::{self, Fact};
use crate::html;
use crate::serve::Served;
use crate::serve::pages::{address, label, unknown};
use crate::serve::problem::Problem;
use crate::serve::protocol::{graph, parameter};
use crate::serve::routes::in_background;

/// Any page may show this one, in which there is nothing to be pressed.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'none'; base-uri 'none'; \
    frame-ancestors *";
/// How many facts, and how many other names, are shown.
const FACTS: usize = 8;
const NAMES: usize = 5;

/// The preview of the entity `id`.
pub(in crate::serve) async fn preview(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let answered = async {
        let id = parameter(query.as_deref(), "id");
        let id = id.ok_or_else(|| Problem::bad("name an entity: ?id=IRI"))?;
        let iri = graph("id", &id)?;
        let shared = Arc::clone(&served);
        in_background(&served, move || written(&shared, &iri)).await?
    };
    let mut response = answered.await.unwrap_or_else(|problem| problem.response(&headers));
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn written(served: &Served, iri: &NamedNode) -> Result<Response, Problem> {
    let store = &served.store;
    let of_graph = |error: graph::Error| Problem::of_graph(&error);
    if !graph::is_known(store, iri.as_ref()).map_err(of_graph)? {
        return Err(unknown(served, iri));
    }
    let page = page(store, iri).map_err(of_graph)?;
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], page.into_string()).into_response())
}

fn page(store: &Store, iri: &NamedNode) -> Result<Markup, graph::Error> {
    let names = graph::names(store, iri.as_ref())?;
    let facts = graph::facts_of(store, iri.as_ref(), FACTS)?;
    let types = names.types.iter().map(|class| label(store, class));
    let types = types.collect::<Result<Vec<_>, _>>()?;
    let others = &names.others[..names.others.len().min(NAMES)];
    let title = names.label.clone().unwrap_or_else(|| graph::shorten(iri.as_str()));
    let body = html! {
        @if !types.is_empty() { p { (types.join(", ")) } }
        @if !others.is_empty() { p { "Also: " (others.join(", ")) } }
        @if !facts.is_empty() {
            table class="facts" { tbody { @for fact in &facts { (row(store, fact)?) } } }
        }
        // The page itself lets no other show it.
        p class="note" {
            a href=(address("entity", iri.as_str())) target="_blank" rel="noopener" { "All about it" }
        }
    };
    let links = html! { link rel="stylesheet" href="/static/style.css"; };
    Ok(html::linked_page(&title, "", &links, &html! {}, &body))
}

fn row(store: &Store, fact: &Fact) -> Result<Markup, graph::Error> {
    let object = match &fact.triple.object {
        Term::NamedNode(iri) => label(store, iri.as_str())?,
        Term::Literal(value) => value.value().to_owned(),
        other => other.to_string(),
    };
    let sure = fact.confidence().map_or_else(|| "known".to_owned(), |sure| format!("{sure:.2}"));
    Ok(html! {
        tr {
            th scope="row" { (label(store, fact.triple.predicate.as_str())?) }
            td class="text" { (object) }
            td { (sure) }
        }
    })
}
