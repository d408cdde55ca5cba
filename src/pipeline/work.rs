//! What a run has to do, beside what the graph has and what is remembered, and why.

use std::collections::{BTreeMap, BTreeSet};

use super::remember::Asked;
use super::{Plan, RelationPlan, Size};
use crate::catalog::EntityId;
use crate::diagnostic::{Events, counted};
use crate::graph::{Difference, DoneChunks, GraphState, KeptAnswers};

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
        let missing =
            plan.size(plan.tasks(state.map_or(&DoneChunks::default(), |state| &state.done)));
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
                if kept.prompts(plan.question(relation, subject, Asked::Facts)).next().is_none() {
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
        let mut reasons = asked_for(plan, &unknown, &state.differences);
        // Which subjects a crawl will find is not known, and what is kept of all shards is not for one.
        if plan.most_crawled() == 0 && plan.shard.is_none() {
            reasons.extend(gone(plan, kept));
        }
        reasons.extend(decided_for(plan, &state.differences));
        if reasons.is_empty() {
            let parts = state.differences.iter().map(|difference| difference.part.as_str());
            reasons = parts.map(|part| format!("{part} changed")).collect();
        }
        Self { missing, to_ask, reasons }
    }

    /// Whether what is there was made of other questions altogether, by all that is known of it.
    pub(super) fn is_of_others(plan: &Plan, state: &GraphState) -> bool {
        let is_known = |relation: &RelationPlan| {
            let of = |&s| state.kept.prompts(plan.question(relation, s, Asked::Facts)).next();
            relation.subjects.iter().any(|s| of(s).is_some())
        };
        !state.differences.is_empty()
            && !state.kept.is_empty()
            && !plan.relations.iter().any(is_known)
    }

    /// Why a graph is made in the place of another, in words; none where it is not.
    pub(super) fn reason(&self, state: &GraphState) -> Option<String> {
        // A shard that is new may have answers of the graph of all.
        if state.differences.is_empty() && state.kept.of_chunks() == 0 {
            return None;
        }
        Some(match self.reasons.is_empty() {
            true if state.differences.is_empty() => "the graph of all shards is there".to_owned(),
            true => "the graph that is there keeps no answers of these models".to_owned(),
            false => self.reasons.join("; "),
        })
    }

    /// Says what is done, and why, where there is a graph already.
    pub(super) fn announce(&self, plan: &Plan, state: Option<&GraphState>, events: &dyn Events) {
        let Some(state) = state else { return };
        let done = state.done.len();
        if done > 0 && self.missing.chunks > 0 {
            let done = counted(done, "chunk");
            events.note(&format!("continuing: {done} done, {} to go", self.missing.chunks));
        }
        let Some(reason) = self.reason(state).filter(|_| self.missing.chunks > 0) else { return };
        let all = plan.size(plan.tasks(&DoneChunks::default())).questions;
        events.note(&format!(
            "{reason}: {} of {all} to ask, {} to decide from kept answers",
            counted(self.to_ask.questions, "question"),
            self.missing.questions - self.to_ask.questions,
        ));
    }
}

/// Why questions are asked.
fn asked_for(plan: &Plan, unknown: &[Unknown], differences: &[Difference]) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut subjects: BTreeSet<EntityId> = BTreeSet::new();
    let (mut added, mut changed): (Vec<&str>, Vec<&str>) = Default::default();
    let mut labels = 0;
    for (relation, own) in plan.relations.iter().zip(unknown) {
        if !own.new.is_empty() && own.new.len() == relation.subjects.len() {
            added.push(&relation.name);
        } else {
            subjects.extend(&own.new);
        }
        match own.changed {
            0 => {}
            all if all == relation.subjects.len() => changed.push(&relation.name),
            some => labels += some,
        }
    }
    if !subjects.is_empty() {
        reasons.push(format!("{} added", counted(subjects.len(), "subject")));
    }
    if !added.is_empty() {
        reasons.push(format!("{} added", named(&added)));
    }
    let models: Vec<&str> = differences.iter().map(|difference| difference.part.as_str()).collect();
    let models: Vec<&str> = models.into_iter().filter(|part| part.ends_with(" model")).collect();
    if !models.is_empty() {
        reasons.push(format!("another {}", models.join(" and another ")));
    } else if !changed.is_empty() {
        reasons.push(format!(
            "templates, candidates or how they are asked of {} changed",
            named(&changed)
        ));
    }
    if labels > 0 {
        reasons.push(format!("labels of the subjects of {} changed", counted(labels, "question")));
    }
    reasons
}

/// Relations by their names, where they are few.
fn named(names: &[&str]) -> String {
    match names {
        [name] => format!("`{name}`"),
        [first, second] => format!("`{first}` and `{second}`"),
        _ => counted(names.len(), "relation"),
    }
}

/// How many questions are not asked any more.
fn gone(plan: &Plan, kept: &KeptAnswers) -> Option<String> {
    let of = |relation: &RelationPlan| {
        let is_known = |&&s: &&EntityId| {
            kept.prompts(plan.question(relation, s, Asked::Facts)).next().is_some()
        };
        relation.subjects.iter().filter(is_known).count()
    };
    let still: usize = plan.relations.iter().map(of).sum();
    let gone = kept.of_chunks().saturating_sub(still);
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
    names.into_iter().map(|(key, names)| format!("{key} of {} changed", named(&names))).collect()
}

/// What differs between two texts that describe a relation's numbers: the correction's name, then others
/// with their values.
fn changed(was: &str, is: &str) -> BTreeSet<String> {
    let pieces = |text: &str| -> BTreeSet<String> {
        // Over how many subjects a mean is taken follows from how many there are.
        let named = |(at, piece): (usize, &str)| match at {
            0 => format!("correction {piece}"),
            _ => piece.split(" over ").next().unwrap_or_default().to_owned(),
        };
        text.split(", ").enumerate().map(named).collect()
    };
    let key = |piece: &String| match piece.strip_prefix("correction ") {
        Some(_) => "correction".to_owned(),
        None => {
            let is_word = |word: &&str| word.chars().all(|c| c.is_ascii_alphabetic());
            piece.split(' ').take_while(is_word).collect::<Vec<_>>().join(" ")
        }
    };
    pieces(was).symmetric_difference(&pieces(is)).map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_named() {
        let names =
            |was: &str, is: &str| changed(was, is).into_iter().collect::<Vec<_>>().join("; ");
        let was = "log-linear by candidate, lambda 0.5, threshold 0.2, at most 1";
        assert_eq!(names(was, was), "");
        assert_eq!(
            names(was, "log-linear by candidate, lambda 0.4, threshold 0, at most 1"),
            "lambda; threshold"
        );
        assert_eq!(names(was, "linear, lambda 0.5, threshold 0.2, at most 1"), "correction");
        let more = "log-linear by candidate, lambda 0.5, mean 0.3 over 8 subjects, threshold 0.2, at most 1";
        assert_eq!(names(was, more), "mean");
        assert_eq!(names(more, &more.replace("over 8", "over 9")), "");
        let examples =
            |hash| format!("none, examples {hash} (finetuned true and base false), at most 1");
        assert_eq!(names(&examples("0a1"), &examples("f00")), "examples");
    }
}
