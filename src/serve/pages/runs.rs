//! The runs that made the graph what it is, and what one was made with.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use maud::html;
use oxigraph::model::{GraphNameRef, NamedNodeRef, Term};

use super::made;
use crate::graph::{self, runs as runs_of};
use crate::serve::Served;
use crate::serve::problem::Problem;
use crate::serve::routes::Page;

pub(in crate::serve) async fn runs(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
) -> Response {
    made(&served, &headers, written).await
}

fn written(served: &Served) -> Result<Response, Problem> {
    let store = &served.store;
    let page = || -> Result<_, graph::Error> {
        let runs = runs_of(store)?;
        let mut settings = Vec::new();
        if let Some(last) = runs.last() {
            let of = Some(NamedNodeRef::new_unchecked(&last.run).into());
            for quad in store.quads_for_pattern(of, None, None, Some(GraphNameRef::DefaultGraph)) {
                let quad = quad.map_err(graph::Error::Read)?;
                if let Term::Literal(value) = quad.object {
                    settings.push((graph::shorten(quad.predicate.as_str()), value.destruct().0));
                }
            }
            settings.sort();
        }
        Ok(html! {
            div class="scroll" role="region" aria-label="Runs" tabindex="0" { table {
                thead { tr {
                    th scope="col" { "Run" } th scope="col" { "Began" } th scope="col" { "Facts" }
                    th scope="col" { "Added" } th scope="col" { "Taken back" }
                    th scope="col" { "Changed" } th scope="col" class="text" { "Why" }
                } }
                tbody { @for run in runs.iter().rev() { tr {
                    th scope="row" { (run.number) }
                    td { (run.started.as_deref().unwrap_or("-")) }
                    td { (run.facts) } td { (run.added) } td { (run.taken_back) } td { (run.changed) }
                    td class="text" { (run.reason.as_deref().unwrap_or("")) }
                } } }
            } }
            h2 { "What the last was made with" }
            div class="scroll" role="region" aria-label="Settings" tabindex="0" { table {
                tbody { @for (name, value) in &settings { tr {
                    th scope="row" { (name) } td class="text" { (value) }
                } } }
            } }
        })
    };
    let body = page().map_err(|error| Problem::of_graph(&error))?;
    let lead = "Each run that changed the graph, the last one first.";
    Ok(Page { title: "Runs", lead, body }.into_response())
}
