//! The page on which SPARQL is written, and the first rows of its results.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use oxigraph::sparql::results::{
    QueryResultsFormat, QueryResultsParser, SliceQueryResultsParserOutput,
};

use super::{escaped, term};
use crate::graph::{self, Dataset};
use crate::serve::Served;
use crate::serve::answer::answer;
use crate::serve::problem::Problem;
use crate::serve::protocol::parameter;
use crate::serve::routes::{Page, in_background};

/// Bytes of a result that a page shows.
const SHOWN: usize = 1 << 20;
/// Brackets of it within each other.
const NESTED: usize = 200;
/// Rows of it.
const ROWS: usize = 1000;

/// What one might ask.
const EXAMPLES: [(&str, &str); 3] = [
    (
        "Facts, the surest first",
        "SELECT ?subject ?relation ?object ?confidence WHERE {\n  ?s ?p ?o {| kgb:confidence ?confidence |} .\n  ?s rdfs:label ?subject . ?p rdfs:label ?relation . ?o rdfs:label ?object .\n}\nORDER BY DESC(?confidence)\nLIMIT 50",
    ),
    (
        "How many facts, by relation",
        "SELECT ?relation (COUNT(*) AS ?facts) (AVG(?confidence) AS ?mean) WHERE {\n  ?s ?p ?o {| kgb:confidence ?confidence |} .\n  ?p rdfs:label ?relation .\n}\nGROUP BY ?relation\nORDER BY DESC(?facts)",
    ),
    (
        "Where the two models disagree most",
        "SELECT ?subject ?relation ?object ?finetuned ?base WHERE {\n  ?s ?p ?o {| kgb:finetunedProbability ?finetuned ; kgb:baseProbability ?base |} .\n  ?s rdfs:label ?subject . ?p rdfs:label ?relation . ?o rdfs:label ?object .\n}\nORDER BY DESC(ABS(?finetuned - ?base))\nLIMIT 50",
    ),
];

/// In what a result can be had: its name, and what is asked for.
const DOWNLOADS: [(&str, &str); 4] = [
    ("JSON", "application/sparql-results+json"),
    ("CSV", "text/csv"),
    ("TSV", "text/tab-separated-values"),
    ("Turtle", "text/turtle"),
];

pub(in crate::serve) async fn query(
    State(served): State<Arc<Served>>,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = parameter(query.as_deref(), "query");
    let (problem, result) = match &asked {
        None => (None, html! {}),
        Some(sparql) => match result(&served, sparql).await {
            Ok(result) => (None, result),
            Err(problem) => {
                let markup = problem.markup();
                (Some(problem), markup)
            }
        },
    };
    let body = html! {
        form action="/query" {
            label for="query" { "SPARQL" }
            textarea #query name="query" spellcheck="false" autofocus[asked.is_none()] {
                (asked.as_deref().unwrap_or(EXAMPLES[0].1))
            }
            button { "Run" }
        }
        p class="note" {
            "Examples: "
            @for (place, (name, example)) in EXAMPLES.iter().enumerate() {
                @if place > 0 { ", " } a href=(run(example)) { (name) }
            }
            ". Programs ask at " code { "/sparql" } "; the usual prefixes need no declaration."
        }
        (result)
    };
    let mut response = Page { title: "Query", lead: "", body }.into_response();
    if let Some(problem) = problem {
        problem.mark(&mut response);
    }
    response
}

fn run(sparql: &str) -> String {
    format!("/query?query={}", escaped(sparql))
}

/// The first rows of a result.
async fn result(served: &Arc<Served>, sparql: &str) -> Result<Markup, Problem> {
    let mut wanted = HeaderMap::new();
    let accept = HeaderValue::from_static("application/sparql-results+json, text/turtle");
    wanted.insert(header::ACCEPT, accept);
    let answered = answer(served, &wanted, sparql.to_owned(), Dataset::default()).await?;
    let is_graph = answered
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/turtle"));
    let links = html! {
        p class="note" { "The whole result as "
            @for (place, (name, kind)) in DOWNLOADS.iter().enumerate() {
                @if place > 0 { ", " }
                a href=(download(sparql, kind)) download { (name) }
            }
        }
    };
    let Ok(bytes) = axum::body::to_bytes(answered.into_body(), SHOWN).await else {
        return Ok(html! { p { "The result is too long for a page, or took too long." } (links) });
    };
    if nesting(&bytes) > NESTED {
        return Ok(html! { p { "There are too many triples within triples for a page." } (links) });
    }
    let rows = if is_graph {
        let triples = String::from_utf8_lossy(&bytes);
        html! { pre role="region" aria-label="Result" tabindex="0" { (triples) } }
    } else {
        let shared = Arc::clone(served);
        let rows = in_background(served, move || rows(&shared, &bytes)).await?;
        rows.map_err(|error| Problem::of_graph(&error))?
    };
    Ok(html! { h2 { "Result" } (rows) (links) })
}

/// How many brackets are open at once at the most, those within texts among them: a reader of JSON follows them by
/// recursion.
fn nesting(json: &[u8]) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in json {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open = open.saturating_sub(1),
            _ => continue,
        }
        most = most.max(open);
    }
    most
}

fn download(sparql: &str, kind: &str) -> String {
    let mut parts = form_urlencoded::Serializer::new(String::from("/sparql?"));
    parts.append_pair("query", sparql).append_pair("format", kind);
    parts.finish()
}

fn rows(served: &Served, json: &[u8]) -> Result<Markup, graph::Error> {
    let parser = QueryResultsParser::from_format(QueryResultsFormat::Json);
    let solutions = match parser.for_slice(json) {
        Ok(SliceQueryResultsParserOutput::Solutions(solutions)) => solutions,
        Ok(SliceQueryResultsParserOutput::Boolean(answer)) => {
            return Ok(html! { p { strong { @if answer { "Yes" } @else { "No" } } } });
        }
        Err(_) => return Ok(html! { p { "The result is too long for a page." } }),
    };
    let variables = solutions.variables().to_vec();
    let all: Vec<_> = solutions.filter_map(Result::ok).collect();
    Ok(html! {
        div class="scroll" role="region" aria-label="Result" tabindex="0" { table {
            caption { span { (all.len()) @if all.len() == 1 { " row" } @else { " rows" } } }
            thead { tr { @for name in &variables { th scope="col" class="text" { (name.as_str()) } } } }
            tbody { @for row in all.iter().take(ROWS) { tr {
                @for name in &variables {
                    td class="text" {
                        @if let Some(found) = row.get(name) { (term(&served.store, found)?) }
                    }
                }
            } } }
        } }
        @if all.len() > ROWS { p class="note" { "The first " (ROWS) " are shown." } }
    })
}
