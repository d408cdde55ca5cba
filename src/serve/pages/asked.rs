//! What was asked about an entity: of which candidates its objects were chosen, what has no answer, and what people
//! say of it.

use maud::{Markup, html};
use oxigraph::model::{NamedNode, NamedNodeRef};
use oxigraph::store::Store;

use super::review::entry;
use super::{label, link, number};
use crate::graph::{self, Considered, Fact};
use crate::serve::Served;

/// What was asked by each relation; nothing where the graph keeps nothing of it.
///
/// # Errors
/// Where the graph cannot be read.
pub(super) fn asked(
    served: &Served,
    iri: &NamedNode,
    facts: &[Fact],
) -> Result<Markup, graph::Error> {
    let store = &served.store;
    let all = served.asked()?;
    let mut parts = Vec::new();
    for relation in graph::relations(store)? {
        let considered = all.considered(store, iri.as_ref(), relation.as_ref())?;
        if let Some(considered) = considered {
            let own = facts.iter().filter(|fact| fact.triple.predicate == relation).count();
            parts.push(question(store, &relation, &considered, own)?);
        }
    }
    if parts.is_empty() {
        return Ok(html! {});
    }
    Ok(html! { h2 { "What was asked" } @for part in &parts { (part) } })
}

/// The candidates of a question, the best first.
fn question(
    store: &Store,
    relation: &NamedNode,
    considered: &Considered,
    facts: usize,
) -> Result<Markup, graph::Error> {
    let probability = |ln: Option<f64>| ln.map_or_else(|| "0".to_owned(), |ln| number(ln.exp()));
    // Less what is removed of the mean prediction the mixture's is no probability any more.
    let score = |ln: Option<f64>| ln.map_or_else(|| "-".to_owned(), |ln| format!("{ln:.2}"));
    let mut rows = Vec::new();
    for candidate in &considered.found {
        let [finetuned, base] = [candidate.finetuned, candidate.base].map(probability);
        let numbers = [score(candidate.mixed), finetuned, base];
        rows.push((named(store, &candidate.object)?, numbers));
    }
    Ok(html! {
        details {
            summary {
                (label(store, relation.as_str())?) ": "
                @match facts { 0 => "no answer", 1 => "1 fact", _ => { (facts) " facts" } }
                ", of " (rows.len()) " candidates that came first"
            }
            div class="scroll" role="region" aria-label="Candidates" tabindex="0" { table class="facts" {
                thead { tr {
                    th scope="col" { "Candidate" } th scope="col" { "Score" }
                    th scope="col" { "Finetuned" } th scope="col" { "Base" }
                } }
                tbody { @for (name, numbers) in &rows { tr {
                    th scope="row" { (name) } @for number in numbers { td { (number) } }
                } } }
            } }
            p class="note" {
                "The score is the logarithm of what candidates are ranked by"
                @if considered.open.is_some() { "; all others together have at most " (score(considered.open)) }
                "."
            }
        }
    })
}

/// A candidate by its label, with a link where the graph has it.
fn named(store: &Store, object: &str) -> Result<Markup, graph::Error> {
    match NamedNodeRef::new(object) {
        Ok(iri) if graph::label(store, iri)?.is_some() => link(store, "entity", object),
        Ok(_) => Ok(html! { (graph::shorten(object)) }),
        Err(_) => Ok(html! { (object) }),
    }
}

/// What people said of its facts.
///
/// # Errors
/// Where the graph cannot be read.
pub(super) fn judged(store: &Store, iri: &NamedNode) -> Result<Markup, graph::Error> {
    let judgements = graph::judgements_of(store, iri.as_ref())?;
    if judgements.is_empty() {
        return Ok(html! {});
    }
    Ok(html! {
        h2 { "Judged" }
        ul class="judged" { @for judgement in judgements.iter().rev() {
            (entry(store, judgement)?)
        } }
    })
}
