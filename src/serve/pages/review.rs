//! The page on which people judge facts, one after the other, and what their judgements come to.

mod forms;
mod precision;

pub(in crate::serve) use forms::{enter, judge, leave, skip, take_back};
pub(in crate::serve) use precision::precision;

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use oxigraph::model::NamedNode;
use oxigraph::store::Store;

use super::{bar, escaped, label, link, made, name, number, term};
use crate::graph::{self, Judgement, Verdict};
use crate::serve::Served;
use crate::serve::problem::Problem;
use crate::serve::protocol::parameter;
use crate::serve::review::{Order, Review, Session, Waiting, review};
use crate::serve::routes::Page;

/// How many judgements are listed.
const LATELY: usize = 10;

/// What a person wants to judge.
#[derive(Clone, Debug)]
struct Wanted {
    order: Order,
    relation: Option<NamedNode>,
}

impl Wanted {
    fn of(query: Option<&str>) -> Self {
        let said = |name| parameter(query, name).unwrap_or_default();
        Self::named(&said("order"), &said("relation"))
    }

    /// By the names of an order and of a relation; the first order, and all relations, where they are none.
    fn named(order: &str, relation: &str) -> Self {
        Self { order: Order::named(order), relation: NamedNode::new(relation).ok() }
    }

    /// The address of the page with it.
    fn address(&self) -> String {
        let relation =
            self.relation.as_ref().map(|iri| format!("&relation={}", escaped(iri.as_str())));
        format!("/review?order={}{}", self.order.name(), relation.unwrap_or_default())
    }
}

pub(in crate::serve) async fn review_page(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let own = headers.clone();
    let written = move |served: &Served| {
        let review = review(served)?;
        let Some((key, session)) = review.sessions.of(&own) else { return Ok(entrance()) };
        let wanted = Wanted::of(query.as_deref());
        let next = review.next(&key, wanted.order, wanted.relation.as_ref())?;
        let body = body(review, &served.store, &session, &wanted, next);
        let body = body.map_err(|error| Problem::of_graph(&error))?;
        Ok(Page { title: "Review", lead: "", body }.into_response())
    };
    made(&served, &headers, written).await
}

/// The page for those who did not enter.
fn entrance() -> Response {
    let body = html! {
        form class="enter" method="post" action="/review/enter" {
            p {
                label for="name" { "Your name, as judgements will have it" } br;
                input #name name="name" autocomplete="nickname" required maxlength="60";
            }
            p {
                label for="token" { "The token, which was printed when the server started" } br;
                input #token name="token" type="password" autocomplete="off" required;
            }
            p { button { "Judge facts" } }
        }
    };
    Page { title: "Review", lead: "", body }.into_response()
}

/// What is to be judged, or that nothing is, and what was judged.
fn body(
    review: &Review,
    store: &Store,
    session: &Session,
    wanted: &Wanted,
    next: Option<&Waiting>,
) -> Result<Markup, graph::Error> {
    let judge = review.judge();
    let judgements = judge.judgements();
    let last = session.last().and_then(|last| judgements.iter().find(|own| own.number == last));
    Ok(html! {
        (choice(review, store, wanted)?)
        @if let Some(last) = last { p role="status" class="note" { "Judged: " (told(store, last)?) } }
        @match next {
            Some(waiting) => {
                @let (subject, relation, _) = &waiting.fact;
                @let seen = judge.last_of(subject, relation).map_or(0, |last| last.number);
                (question(store, session, wanted, (waiting, seen))?)
            }
            None => { p { "Nothing more waits to be judged here." } }
        }
        form class="beside" method="post" action="/review/take-back" {
            (hidden(session, wanted))
            button #undo data-key="u" disabled[last.is_none()] { "Undo " kbd { "u" } }
        }
        p class="note" {
            (session.name) ": " (session.count()) " judged; by all: " (judgements.len()) ". "
            a href="/review/precision" { "How precise the graph is" }
        }
        (lately(store, judgements)?)
        form method="post" action="/review/leave" {
            (hidden(session, wanted)) button { "Leave" }
        }
        script src="/static/review.js" defer {}
    })
}

/// What each form has.
fn hidden(session: &Session, wanted: &Wanted) -> Markup {
    html! {
        input type="hidden" name="secret" value=(session.secret);
        input type="hidden" name="order" value=(wanted.order.name());
        @if let Some(relation) = &wanted.relation {
            input type="hidden" name="relation" value=(relation.as_str());
        }
    }
}

/// Which facts come, and in which order.
fn choice(review: &Review, store: &Store, wanted: &Wanted) -> Result<Markup, graph::Error> {
    Ok(html! {
        form class="choice" action="/review" {
            label for="order" { "Order" }
            select #order name="order" { @for order in Order::ALL {
                option value=(order.name()) selected[order == wanted.order] { (order.words()) }
            } }
            label for="of" { "Relation" }
            select #of name="relation" {
                option value="" { "all" }
                @for relation in review.relations() {
                    option value=(relation.as_str()) selected[wanted.relation.as_ref() == Some(relation)] {
                        (label(store, relation.as_str())?)
                    }
                }
            }
            button { "Show" }
        }
    })
}

/// A fact that is to be judged, with what the models say of it, and the ways to judge it.
fn question(
    store: &Store,
    session: &Session,
    wanted: &Wanted,
    (waiting, seen): (&Waiting, u64),
) -> Result<Markup, graph::Error> {
    let (subject, relation, object) = &waiting.fact;
    let others = graph::facts_of(store, subject.as_ref(), LATELY * LATELY)?;
    let others: Vec<&graph::Fact> = others
        .iter()
        .filter(|fact| fact.triple.predicate == *relation && fact.triple.object != *object)
        .take(LATELY)
        .collect();
    Ok(html! {
        section class="question" aria-label="The fact" {
            p class="fact" {
                (link(store, "entity", subject.as_str())?) " "
                span class="relation" { (link(store, "relation", relation.as_str())?) } " "
                strong { (term(store, object)?) }
            }
            p {
                "Confidence " (bar(Some(waiting.confidence)))
                @if let Some(finetuned) = waiting.finetuned { "; finetuned " (number(finetuned)) }
                @if let Some(base) = waiting.base { "; base " (number(base)) }
            }
            @if !others.is_empty() { p class="note" {
                "Beside it: "
                @for (place, fact) in others.iter().enumerate() {
                    @if place > 0 { ", " } (term(store, &fact.triple.object)?)
                }
            } }
        }
        form #judge class="judge" method="post" action="/review/judge" {
            (hidden(session, wanted))
            (parts(waiting, seen))
            div {
                button name="verdict" value="right" data-key="a" { "Right " kbd { "a" } }
                button name="verdict" value="wrong" data-key="r" { "Wrong " kbd { "r" } }
                button name="verdict" value="no-object" data-key="n" { "It has none " kbd { "n" } }
                button formaction="/review/skip" data-key="s" { "Skip " kbd { "s" } }
            }
            div {
                label for="answer" { "Right is " kbd { "e" } }
                input #answer name="answer" autocomplete="off" list="answers";
                datalist #answers {}
                input #answer-iri type="hidden" name="answer-iri";
                button name="verdict" value="instead" { "Set" }
            }
        }
    })
}

/// Of which fact a form is, as what its sender had seen.
fn parts(waiting: &Waiting, seen: u64) -> Markup {
    let (subject, relation, object) = &waiting.fact;
    html! {
        input type="hidden" name="of-subject" value=(subject.as_str());
        input type="hidden" name="of-relation" value=(relation.as_str());
        input type="hidden" name="of-object" value=(object.to_string());
        input type="hidden" name="seen" value=(seen);
    }
}

/// What was judged lately, by all.
fn lately(store: &Store, judgements: &[Judgement]) -> Result<Markup, graph::Error> {
    if judgements.is_empty() {
        return Ok(html! {});
    }
    Ok(html! {
        h2 { "Judged lately" }
        ul class="judged" { @for judgement in judgements.iter().rev().take(LATELY) {
            (entry(store, judgement)?)
        } }
    })
}

/// A judgement in a list: what was said, by whom and when, to the second.
pub(in crate::serve::pages) fn entry(
    store: &Store,
    judgement: &Judgement,
) -> Result<Markup, graph::Error> {
    let at = judgement.at.split('.').next().unwrap_or_default().replace('T', " ");
    Ok(html! {
        li { (told(store, judgement)?) span class="iri" { " " (judgement.by) ", " (at) } }
    })
}

/// A judgement in words.
fn told(store: &Store, judgement: &Judgement) -> Result<Markup, graph::Error> {
    Ok(html! {
        (label(store, judgement.subject.as_str())?) " "
        span class="relation" { (label(store, judgement.relation.as_str())?) } " "
        (name(store, &judgement.object)?) ": "
        @match &judgement.verdict {
            Verdict::Right => { "right" }
            Verdict::Wrong => { "wrong" }
            Verdict::Instead(right) => { "wrong, right is " (name(store, right)?) }
            Verdict::NoObject => { "wrong, it has none" }
        }
    })
}
