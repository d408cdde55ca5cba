//! The page of an entity: what it is called and is, its facts, and the facts that point to it.

use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use oxigraph::model::NamedNode;
use oxigraph::store::Store;

use super::asked::{asked, judged};
use super::{address, at_home, bar, escaped, link, number, remarks, term};
use crate::graph::{self, Fact, facts_of, facts_to, names};
use crate::serve::Served;
use crate::serve::problem::Problem;
use crate::serve::routes::Page;

/// How many facts a page shows each way.
const SHOWN: usize = 500;
/// How many names are suggested in place of an IRI that is not known.
const NEAR: usize = 5;

/// The page about an entity.
///
/// # Errors
/// Where the graph cannot be read.
pub(in crate::serve) fn entity(served: &Served, iri: &NamedNode) -> Result<Response, Problem> {
    let store = &served.store;
    let page = || -> Result<_, graph::Error> {
        let names = names(store, iri.as_ref())?;
        let own = facts_of(store, iri.as_ref(), SHOWN + 1)?;
        let others = facts_to(store, iri.as_ref().into(), SHOWN + 1)?;
        let title = names.label.clone().unwrap_or_else(|| graph::shorten(iri.as_str()));
        let body = html! {
            (at_home(iri))
            @if !names.others.is_empty() { p { "Also: " (names.others.join(", ")) } }
            @if !names.types.is_empty() {
                p {
                    "Is a "
                    @for (place, class) in names.types.iter().enumerate() {
                        @if place > 0 { ", " } (link(store, "entity", class)?)
                    }
                }
            }
            (drawing(iri))
            (table(store, "Facts", &own, false)?)
            (asked(served, iri, &own)?)
            (judged(store, iri)?)
            (table(store, "Facts that point here", &others, true)?)
            p class="note" {
                a href={ "/entity?iri=" (escaped(iri.as_str())) "&format=text/turtle" } { "As Turtle" }
            }
        };
        Ok((title, body))
    };
    let (title, body) = page().map_err(|error| Problem::of_graph(&error))?;
    Ok(Page { title: &title, lead: "", body }.into_response())
}

/// Where a script draws the neighbourhood; nothing is to be seen where scripts do not run.
fn drawing(iri: &NamedNode) -> Markup {
    html! {
        details #drawing class="drawing" hidden
            data-neighbours={ "/neighbours?iri=" (escaped(iri.as_str())) }
        {
            summary { "Draw its neighbourhood" }
        }
        script src="/static/drawing.js" defer {}
    }
}

fn table(
    store: &Store,
    caption: &str,
    facts: &[Fact],
    pointing: bool,
) -> Result<Markup, graph::Error> {
    let more = facts.len() > SHOWN;
    let facts = &facts[..facts.len().min(SHOWN)];
    let probability = |of: Option<f64>| of.map_or_else(String::new, number);
    Ok(html! {
        h2 { (caption) }
        @if facts.is_empty() { p { "None." } } @else {
            div class="scroll" role="region" aria-label=(caption) tabindex="0" {
                table class="facts" {
                    thead { tr {
                        th scope="col" { @if pointing { "Subject" } @else { "Relation" } }
                        th scope="col" class="text" { @if pointing { "Relation" } @else { "Object" } }
                        th scope="col" { "Confidence" } th scope="col" { "Finetuned" }
                        th scope="col" { "Base" } th scope="col" class="text" { "Remarks" }
                    } }
                    tbody { @for fact in facts {
                        @let said = fact.annotations.first();
                        tr {
                            @if pointing {
                                th scope="row" { (term(store, &fact.triple.subject.clone().into())?) }
                                td class="text" { (link(store, "relation", fact.triple.predicate.as_str())?) }
                            } @else {
                                th scope="row" { (link(store, "relation", fact.triple.predicate.as_str())?) }
                                td class="text" { (term(store, &fact.triple.object)?) }
                            }
                            td { (bar(fact.confidence())) }
                            td { (probability(said.and_then(|said| said.finetuned))) }
                            td { (probability(said.and_then(|said| said.base))) }
                            td class="text" { (remarks(store, fact)?) }
                        }
                    } }
                }
            }
            @if more { p class="note" { "The first " (SHOWN) " are shown." } }
        }
    })
}

/// What is said of an IRI that the graph does not have.
pub(in crate::serve) fn unknown(served: &Served, iri: &NamedNode) -> Problem {
    let mut problem = Problem::missing(format!("the graph says nothing of {iri}"));
    let text = iri.as_str();
    let name = text.rsplit(['/', '#', ':']).next().unwrap_or(text).replace(['_', '-'], " ");
    let hits = served.index.find(&name, NEAR).into_iter();
    problem.near = hits.map(|hit| (address("entity", &hit.iri), hit.name)).collect();
    if problem.near.is_empty() {
        let nearest = served.index.nearest(text);
        problem.near.extend(nearest.map(|near| (address("entity", near), near.to_owned())));
    }
    problem
}
