//! How precise the graph is, by what was judged.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use oxigraph::model::{NamedNode, Term};

use super::super::{label, made};
use crate::graph::{Judgement, Verdict};
use crate::metrics::proportion::interval;
use crate::serve::Served;
use crate::serve::problem::Problem;
use crate::serve::review::{Order, fact_print, review};
use crate::serve::routes::Page;

/// How many facts were judged, and how many of them are right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    right: usize,
    all: usize,
}

impl Count {
    fn add(&mut self, is_right: bool) {
        self.right += usize::from(is_right);
        self.all += 1;
    }

    /// The share, with its interval.
    fn markup(self) -> Markup {
        match interval(self.right, self.all) {
            None => html! { td { "0" } td { "" } td { "" } },
            Some((low, high)) => html! {
                td { (self.all) }
                td { (format!("{:.3}", self.right as f64 / self.all as f64)) }
                td { (format!("{low:.3} to {high:.3}")) }
            },
        }
    }
}

/// Of facts drawn at random, and of all.
type Counts = [Count; 2];

/// By relation, the facts that were judged: the last word on each counts.
fn counts(judgements: &[Judgement]) -> BTreeMap<&NamedNode, Counts> {
    let mut last: BTreeMap<(&NamedNode, &NamedNode, String), &Judgement> = BTreeMap::new();
    for judgement in judgements {
        let object: &Term = &judgement.object;
        last.insert((&judgement.relation, &judgement.subject, object.to_string()), judgement);
    }
    // Facts are drawn in the order of their prints: all that were judged up to the last one drawn, for whatever reason,
    // are the sample; without those that were judged as unsure before, it would be of the surer ones.
    let mut drawn: BTreeMap<&NamedNode, u64> = BTreeMap::new();
    for judgement in last.values().filter(|own| own.drawn == Order::Random.name()) {
        let most = drawn.entry(&judgement.relation).or_default();
        *most = print(judgement).max(*most);
    }
    let mut counts: BTreeMap<&NamedNode, Counts> = BTreeMap::new();
    for ((relation, ..), judgement) in last {
        let [sample, all] = counts.entry(relation).or_default();
        let is_right = judgement.verdict == Verdict::Right;
        all.add(is_right);
        if drawn.get(relation).is_some_and(|most| print(judgement) <= *most) {
            sample.add(is_right);
        }
    }
    counts
}

fn print(judgement: &Judgement) -> u64 {
    fact_print(&judgement.subject, &judgement.relation, &judgement.object)
}

pub(in crate::serve) async fn precision(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
) -> Response {
    made(&served, &headers, written).await
}

fn written(served: &Served) -> Result<Response, Problem> {
    let judge = review(served)?.judge();
    let counts = counts(judge.judgements());
    let mut sum = Counts::default();
    for own in counts.values() {
        for (sum, own) in sum.iter_mut().zip(own) {
            *sum = Count { right: sum.right + own.right, all: sum.all + own.all };
        }
    }
    let mut rows = Vec::new();
    for (relation, own) in counts {
        let name = label(&served.store, relation.as_str());
        rows.push((name.map_err(|error| Problem::of_graph(&error))?, own));
    }
    rows.push(("all".to_owned(), sum));
    Ok(Page { title: "How precise the graph is", lead: LEAD, body: table(&rows) }.into_response())
}

const LEAD: &str = "The share of judged facts that are right, with its 95 % interval (Wilson). Of facts that were \
    drawn at random it is an estimate of the graph's precision, as far as nothing was skipped; those that were judged because they are unsure \
    are more often wrong than others.";

fn table(rows: &[(String, Counts)]) -> Markup {
    html! {
        div class="scroll" role="region" aria-label="Precision" tabindex="0" { table {
            thead {
                tr {
                    td {} th scope="colgroup" colspan="3" { "Drawn at random" }
                    th scope="colgroup" colspan="3" { "All that were judged" }
                }
                tr {
                    th scope="col" { "Relation" }
                    @for _ in 0..2 {
                        th scope="col" { "Facts" } th scope="col" { "Right" } th scope="col" { "95 %" }
                    }
                }
            }
            tbody { @for (name, own) in rows { tr {
                th scope="row" { (name) }
                @for count in own { (count.markup()) }
            } } }
        } }
        p { a href="/review" { "Go on judging" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_a_fact_counts() {
        let judgement = |number: u64, object: &str, verdict, drawn: &str| Judgement {
            number,
            subject: NamedNode::new_unchecked("e:s"),
            relation: NamedNode::new_unchecked("e:r"),
            object: NamedNode::new_unchecked(object).into(),
            verdict,
            by: "Ann".to_owned(),
            at: String::new(),
            drawn: drawn.to_owned(),
        };
        let all = [
            judgement(1, "e:1", Verdict::Wrong, "random"),
            judgement(2, "e:1", Verdict::Right, "random"),
            judgement(3, "e:2", Verdict::NoObject, "random"),
            judgement(4, "e:3", Verdict::Right, "uncertain"),
        ];
        let counts = counts(&all);
        let own = counts.values().next().unwrap();
        // The third, which was not drawn, is in the sample where it comes before the last one drawn.
        let prints: Vec<u64> = all.iter().map(print).collect();
        let is_in = prints[3] <= prints[1].max(prints[2]);
        let sample = if is_in { Count { right: 2, all: 3 } } else { Count { right: 1, all: 2 } };
        assert_eq!(own, &[sample, Count { right: 2, all: 3 }]);
    }
}
