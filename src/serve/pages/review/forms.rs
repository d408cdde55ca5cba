//! What the forms of the review do.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use oxigraph::model::{GraphNameRef, NamedNode, QuadRef, Term};

use super::{Wanted, hidden};
use crate::graph::{Judged, Verdict, canonical_value, is_known, is_of_facts, vocabulary as kgb};
use crate::serve::Served;
use crate::serve::problem::Problem;
use crate::serve::protocol::pairs;
use crate::serve::review::{Fact, Key, Review, Session, review};
use crate::serve::routes::{Page, in_background, read};

/// How many entities are offered where several have the name that was typed.
const OFFERED: usize = 20;

/// What a form has.
struct Form(Vec<(String, String)>);

impl Form {
    fn get(&self, name: &str) -> &str {
        let own = self.0.iter().rev().find(|(own, _)| own == name);
        own.map_or("", |(_, value)| value)
    }

    fn wanted(&self) -> Wanted {
        Wanted::named(self.get("order"), self.get("relation"))
    }

    /// The fact that it is of.
    fn fact(&self) -> Result<Fact, Problem> {
        let iri = |name| {
            NamedNode::new(self.get(name)).map_err(|_| Problem::bad(format!("{name} is no IRI")))
        };
        let object: Term =
            self.get("of-object").parse().map_err(|_| Problem::bad("of-object is no term"))?;
        Ok((iri("of-subject")?, iri("of-relation")?, object))
    }
}

/// What `work` makes of a form.
async fn answered(
    served: &Arc<Served>,
    request: Request,
    work: impl FnOnce(&Served, &Review, &HeaderMap, &Form) -> Result<Response, Problem> + Send + 'static,
) -> Response {
    let (head, body): (_, Body) = request.into_parts();
    let headers = head.headers.clone();
    let shared = Arc::clone(served);
    let made = async {
        let form = Form(pairs(&read(body).await?));
        in_background(served, move || work(&shared, review(&shared)?, &head.headers, &form)).await?
    };
    made.await.unwrap_or_else(|problem| problem.response(&headers))
}

/// What `work` makes of a form of one who may judge; they are led back to the page.
async fn changed(
    served: &Arc<Served>,
    request: Request,
    work: impl FnOnce(&Review, &Key) -> Result<(), Problem> + Send + 'static,
) -> Response {
    let work = move |_: &Served, review: &Review, headers: &HeaderMap, form: &Form| {
        let (key, _) = review.sessions.of_form(headers, form.get("secret"))?;
        work(review, &key)?;
        Ok(Redirect::to(&form.wanted().address()).into_response())
    };
    answered(served, request, work).await
}

/// Lets one judge who knows the token.
pub(in crate::serve) async fn enter(
    State(served): State<Arc<Served>>,
    request: Request,
) -> Response {
    let enter = |_: &Served, review: &Review, _: &HeaderMap, form: &Form| {
        let cookie = review.sessions.enter(form.get("token"), form.get("name"))?;
        let mut response = Redirect::to("/review").into_response();
        let cookie = HeaderValue::from_str(&cookie).map_err(|error| Problem::broken(&error))?;
        response.headers_mut().insert(header::SET_COOKIE, cookie);
        Ok(response)
    };
    answered(&served, request, enter).await
}

/// Ends what one may.
pub(in crate::serve) async fn leave(
    State(served): State<Arc<Served>>,
    request: Request,
) -> Response {
    let leave = |review: &Review, key: &Key| {
        review.sessions.leave(key);
        Ok(())
    };
    changed(&served, request, leave).await
}

/// Goes on to the next.
pub(in crate::serve) async fn skip(
    State(served): State<Arc<Served>>,
    request: Request,
) -> Response {
    let skip = |review: &Review, key: &Key| {
        review.skip(key);
        Ok(())
    };
    changed(&served, request, skip).await
}

/// Takes back one's last judgement.
pub(in crate::serve) async fn take_back(
    State(served): State<Arc<Served>>,
    request: Request,
) -> Response {
    let shared = Arc::clone(&served);
    let take_back = move |review: &Review, key: &Key| {
        review.take_back(key)?;
        shared.workers.renew();
        Ok(())
    };
    changed(&served, request, take_back).await
}

/// Writes a judgement.
pub(in crate::serve) async fn judge(
    State(served): State<Arc<Served>>,
    request: Request,
) -> Response {
    answered(&served, request, written).await
}

fn written(
    served: &Served,
    review: &Review,
    headers: &HeaderMap,
    form: &Form,
) -> Result<Response, Problem> {
    let (key, session) = review.sessions.of_form(headers, form.get("secret"))?;
    let (subject, relation, object) = form.fact()?;
    is_there(served, &(subject.clone(), relation.clone(), object.clone()))?;
    let verdict = match form.get("verdict") {
        "right" => Verdict::Right,
        "wrong" => Verdict::Wrong,
        "no-object" => Verdict::NoObject,
        "instead" => match right_object(served, form, &object)? {
            Found::One(right) if right == object => Verdict::Right,
            Found::One(right) => Verdict::Instead(right),
            Found::Several(hits) => return Ok(offer(form, &session, &hits)),
        },
        other => return Err(Problem::bad(format!("`{other}` is no verdict"))),
    };
    let seen = form.get("seen").parse().map_err(|_| Problem::bad("seen is no number"))?;
    let drawn = if form.get("order").is_empty() { "named" } else { form.wanted().order.name() };
    let (by, drawn) = (session.name, drawn.to_owned());
    review.add(&key, Judged { subject, relation, object, verdict, by, drawn, seen })?;
    served.workers.renew();
    Ok(Redirect::to(&form.wanted().address()).into_response())
}

/// That a fact was predicted or known, and is in the graph, or was until it was judged.
fn is_there(served: &Served, (subject, relation, object): &Fact) -> Result<(), Problem> {
    if !is_of_facts(relation.as_ref()) {
        return Err(Problem::bad("names and classes are not judged"));
    }
    for graph in [GraphNameRef::DefaultGraph, kgb::PREDICTED.into()] {
        let quad = QuadRef::new(subject, relation, object, graph);
        if served.store.contains(quad).map_err(|error| Problem::broken(&error))? {
            return Ok(());
        }
    }
    Err(Problem::missing("the graph has no such fact"))
}

/// What was found of a name that was typed.
enum Found {
    One(Term),
    Several(Vec<(String, String)>),
}

/// The object that is right, as it was typed or chosen.
fn right_object(served: &Served, form: &Form, wrong: &Term) -> Result<Found, Problem> {
    let (chosen, typed) = (form.get("answer-iri"), form.get("answer").trim());
    if let Term::Literal(value) = wrong {
        if typed.is_empty() {
            return Err(Problem::bad("say what is right"));
        }
        let Some(right) = canonical_value(typed, value.datatype()) else {
            let datatype = value.datatype();
            return Err(Problem::bad(format!("`{typed}` is no value of {datatype}")));
        };
        return Ok(Found::One(right.into()));
    }
    let iri = if chosen.is_empty() { typed } else { chosen };
    if let Ok(iri) = NamedNode::new(iri) {
        let known = is_known(&served.store, iri.as_ref());
        if known.map_err(|error| Problem::of_graph(&error))? {
            return Ok(Found::One(iri.into()));
        }
    }
    let hits = served.index.find(typed, OFFERED);
    let is_exact =
        |hit: &&crate::serve::index::Hit| hit.name.to_lowercase() == typed.to_lowercase();
    let exact: Vec<_> = hits.iter().filter(is_exact).collect();
    match (&exact[..], &hits[..]) {
        (_, []) => Err(Problem::bad(format!("nothing in the graph is called `{typed}`"))),
        ([one], _) => Ok(Found::One(NamedNode::new_unchecked(&one.iri).into())),
        _ => Ok(Found::Several(hits.into_iter().map(|hit| (hit.iri, hit.name)).collect())),
    }
}

/// Asks which of several is meant.
fn offer(form: &Form, session: &Session, hits: &[(String, String)]) -> Response {
    let again: Vec<(&str, &str)> = ["of-subject", "of-relation", "of-object", "seen", "verdict"]
        .map(|name| (name, form.get(name)))
        .to_vec();
    let body: Markup = html! {
        p { "Which one is right?" }
        form method="post" action="/review/judge" {
            (hidden(session, &form.wanted()))
            @for (name, value) in &again { input type="hidden" name=(name) value=(value); }
            ul { @for (iri, name) in hits { li {
                button name="answer-iri" value=(iri) { (name) } " " span class="iri" { (iri) }
            } } }
        }
        p { a href=(form.wanted().address()) { "None of them: go back" } }
    };
    Page { title: "Review", lead: "", body }.into_response()
}
