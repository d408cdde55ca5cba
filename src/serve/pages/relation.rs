//! The page of a relation: how often it is in the graph, how sure its facts are, what its objects are, and some of
//! its facts.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use oxigraph::model::{NamedNode, Term};

use super::{at_home, bar, name, term};
use crate::graph::{self, Fact, described, facts_by, names};
use crate::html::{Axis, BarSeries, bars, figure, figures};
use crate::metrics::bootstrap::Interval;
use crate::serve::Served;
use crate::serve::problem::Problem;
use crate::serve::routes::Page;

/// How many facts are shown.
const SHOWN: usize = 200;
/// How many are counted: of more, the first in the store's order.
const COUNTED: usize = 20_000;
/// Bars of a histogram, and of the most frequent objects.
const BINS: usize = 10;
const OBJECTS: usize = 10;

/// The page about a relation.
///
/// # Errors
/// Where the graph cannot be read.
pub(in crate::serve) fn relation(served: &Served, iri: &NamedNode) -> Result<Response, Problem> {
    let store = &served.store;
    let page = || -> Result<_, graph::Error> {
        let names = names(store, iri.as_ref())?;
        let facts = facts_by(store, iri.as_ref(), COUNTED)?;
        let count = described(store)?.and_then(|all| all.by_property.get(iri.as_str()).copied());
        let title = names.label.clone().unwrap_or_else(|| graph::shorten(iri.as_str()));
        let body = html! {
            (at_home(iri))
            @if let Some(count) = count { p { (count) " facts." } }
            @if facts.len() == COUNTED { p class="note" { "Counted are the first " (COUNTED) "." } }
            (figures(&[confidences(&facts), objects(served, &facts)?]))
            h2 { "Facts" }
            div class="scroll" role="region" aria-label="Facts" tabindex="0" {
                table class="facts" {
                    thead { tr {
                        th scope="col" { "Subject" } th scope="col" class="text" { "Object" }
                        th scope="col" { "Confidence" }
                    } }
                    tbody { @for fact in facts.iter().take(SHOWN) { tr {
                        th scope="row" { (term(store, &fact.triple.subject.clone().into())?) }
                        td class="text" { (term(store, &fact.triple.object)?) }
                        td { (bar(fact.confidence())) }
                    } } }
                }
            }
            @if facts.len() > SHOWN { p class="note" { "The first " (SHOWN) " are shown." } }
        };
        Ok((title, body))
    };
    let (title, body) = page().map_err(|error| Problem::of_graph(&error))?;
    Ok(Page { title: &title, lead: "", body }.into_response())
}

/// How many facts there are by confidence.
fn confidences(facts: &[Fact]) -> Markup {
    let mut counts = [0_u64; BINS];
    for confidence in facts.iter().filter_map(Fact::confidence) {
        counts[((confidence * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    let names: Vec<String> = (0..BINS)
        .map(|bin| {
            format!("{:.1} to {:.1}", bin as f64 / BINS as f64, (bin + 1) as f64 / BINS as f64)
        })
        .collect();
    counted("Facts by confidence", &names, &counts)
}

/// The most frequent objects.
fn objects(served: &Served, facts: &[Fact]) -> Result<Markup, graph::Error> {
    let mut counts: BTreeMap<String, (u64, &Term)> = BTreeMap::new();
    for fact in facts {
        let object = &fact.triple.object;
        counts.entry(object.to_string()).or_insert((0, object)).0 += 1;
    }
    let mut counts: Vec<_> = counts.into_values().collect();
    counts.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.to_string().cmp(&b.1.to_string())));
    counts.truncate(OBJECTS);
    let names = counts
        .iter()
        .map(|(_, object)| name(&served.store, object))
        .collect::<Result<Vec<_>, _>>()?;
    let counts: Vec<u64> = counts.iter().map(|(count, _)| *count).collect();
    Ok(counted("The most frequent objects", &names, &counts))
}

fn counted(title: &str, names: &[String], counts: &[u64]) -> Markup {
    let exactly = |&count: &u64| {
        let count = count as f64;
        Some(Interval { mean: count, low: count, high: count })
    };
    let series = BarSeries { name: "facts", values: counts.iter().map(exactly).collect() };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let axis = Axis::linear("facts");
    let description = format!("{} facts in all.", counts.iter().sum::<u64>());
    figure(title, &bars(title, &description, &axis, &names, &[series]), None)
}
