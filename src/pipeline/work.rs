//! What a run has to do, beside what the graph has and what is remembered, and why.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::remember::Asked;
use super::{Plan, RelationPlan, Size};
use crate::catalog::EntityId;
use crate::diagnostic::{Events, counted};
use crate::graph::{Difference, GraphState, KeptAnswers};

/// How much there is to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Work {
    /// All chunks that are not in the graph.
    pub missing: Size,
    /// Of these, the questions of which some answer is not remembered; chunks are not counted.
    pub to_ask: Size,
    /// Why questions are asked or decided again.
    reasons: Vec<String>,
}

/// What is not remembered of a relation.
#[derive(Default)]
struct Unknown {
    /// Subjects that were never asked about.
    new: Vec<EntityId>,
    /// Subjects that were asked about otherwise.
    changed: usize,
}

impl Work {
    /// Counts what a graph lacks, or all where there is none or `is_kept` says that nothing is remembered.
    pub(super) fn of(plan: &Plan, state: Option<&GraphState>, is_kept: bool) -> Self {
        let missing = plan.size(plan.tasks(state.map_or(&HashSet::new(), |state| &state.done)));
        let all = Self { missing, to_ask: missing, reasons: Vec::new() };
        let Some(state) = state else { return all };
        let kept = &state.kept;
        if !is_kept {
            return Self { reasons: vec!["nothing is kept with `keep = 0`".to_owned()], ..all };
        }
        if kept.is_empty() {
            return all;
        }
        let mut unknown: Vec<Unknown> = Vec::new();
        unknown.resize_with(plan.relations.len(), Unknown::default);
        let mut to_ask = Size::default();
        for task in plan.tasks(&state.done) {
            let relation = &plan.relations[task.relation];
            let own = &mut unknown[task.relation];
            for &subject in &task.subjects {
                if kept.prompts(plan.question(relation, subject, Asked::Facts)).is_none() {
                    own.new.push(subject);
                } else if !plan.is_kept(kept, relation, subject) {
                    own.changed += 1;
                } else {
                    continue;
                }
                to_ask.questions += 1;
                to_ask.prompts += relation.templates.len();
            }
        }
        let mut reasons = asked_for(plan, &unknown);
        reasons.extend(gone(plan, kept));
        reasons.extend(decided_for(plan, &state.differences));
        Self { missing, to_ask, reasons }
    }

    /// Says what is done, and why, where there is a graph already.
    pub(super) fn announce(&self, plan: &Plan, state: Option<&GraphState>, events: &dyn Events) {
        let Some(state) = state else { return };
        let done = state.done.len();
        if done > 0 && self.missing.chunks > 0 {
            let done = counted(done, "chunk");
            events.note(&format!("continuing: {done} done, {} to go", self.missing.chunks));
        }
        if state.differences.is_empty() || self.missing.chunks == 0 {
            return;
        }
        let reasons = match self.reasons.is_empty() {
            true if self.to_ask == self.missing => {
                "the graph that is there keeps no answers of these models".to_owned()
            }
            true => "what the graph says beside its facts changed".to_owned(),
            false => self.reasons.join("; "),
        };
        let all = plan.size(plan.tasks(&HashSet::new())).questions;
        events.note(&format!(
            "{reasons}: {} of {all} to ask, {} to decide from kept answers",
            counted(self.to_ask.questions, "question"),
            self.missing.questions - self.to_ask.questions,
        ));
    }
}

/// Why questions are asked.
fn asked_for(plan: &Plan, unknown: &[Unknown]) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut subjects: BTreeSet<EntityId> = BTreeSet::new();
    for (relation, own) in plan.relations.iter().zip(unknown) {
        let name = &relation.name;
        if !own.new.is_empty() && own.new.len() == relation.subjects.len() {
            reasons.push(format!("`{name}` added"));
        } else {
            subjects.extend(&own.new);
        }
        match own.changed {
            0 => {}
            all if all == relation.subjects.len() => {
                reasons.push(format!("templates, examples or models of `{name}` changed"));
            }
            some => {
                reasons.push(format!("labels of {} of `{name}` changed", counted(some, "subject")));
            }
        }
    }
    if !subjects.is_empty() {
        reasons.insert(0, format!("{} added", counted(subjects.len(), "subject")));
    }
    reasons
}

/// How many questions are not asked any more.
fn gone(plan: &Plan, kept: &KeptAnswers) -> Option<String> {
    let of = |relation: &RelationPlan| {
        let is_known =
            |&&s: &&EntityId| kept.prompts(plan.question(relation, s, Asked::Facts)).is_some();
        relation.subjects.iter().filter(is_known).count()
    };
    let still: usize = plan.relations.iter().map(of).sum();
    let gone = kept.len().saturating_sub(still);
    (gone > 0).then(|| format!("{} not asked any more", counted(gone, "question")))
}

/// Why questions are decided again: numbers of relations changed, which the signature has as texts.
fn decided_for(plan: &Plan, differences: &[Difference]) -> Vec<String> {
    let mut names: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for Difference { part, was, is } in differences {
        let iri = part.strip_prefix("relation <").and_then(|part| part.strip_suffix('>'));
        let relation = plan.relations.iter().find(|relation| Some(&*relation.iri) == iri);
        if let (Some(relation), Some(was), Some(is)) = (relation, was, is) {
            for key in changed(was, is) {
                names.entry(key).or_default().push(&relation.name);
            }
        }
    }
    let of = |names: Vec<&str>| match names[..] {
        [name] => format!("`{name}`"),
        [first, second] => format!("`{first}` and `{second}`"),
        _ => counted(names.len(), "relation"),
    };
    names.into_iter().map(|(key, names)| format!("{key} of {} changed", of(names))).collect()
}

/// What differs between two texts that describe a relation's numbers: the correction's name, then others
/// with their values.
fn changed(was: &str, is: &str) -> BTreeSet<String> {
    let pieces = |text: &str| -> BTreeSet<String> {
        let named = |(at, piece): (usize, &str)| match at {
            0 => format!("correction {piece}"),
            _ => piece.to_owned(),
        };
        text.split(", ").enumerate().map(named).collect()
    };
    let key = |piece: &String| match piece.strip_prefix("correction ") {
        Some(_) => "correction".to_owned(),
        None => {
            let words = piece.split(' ').take_while(|word| word.parse::<f64>().is_err());
            words.collect::<Vec<_>>().join(" ")
        }
    };
    pieces(was).symmetric_difference(&pieces(is)).map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_named() {
        let names = |was, is| changed(was, is).into_iter().collect::<Vec<_>>().join("; ");
        let was = "log-linear by candidate, lambda 0.5, threshold 0.2, at most 1";
        assert_eq!(names(was, was), "");
        assert_eq!(
            names(was, "log-linear by candidate, lambda 0.4, threshold 0, at most 1"),
            "lambda; threshold"
        );
        assert_eq!(names(was, "linear, lambda 0.5, threshold 0.2, at most 1"), "correction");
        let more = "log-linear by candidate, lambda 0.5, mean 0.3 over 8 subjects, threshold 0.2, at most 1";
        assert_eq!(names(was, more), "mean");
    }
}
