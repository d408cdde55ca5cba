//! Exact best-first search of an answer space: the most probable candidates without scoring all.
//!
//! A prefix's mass bounds that of everything below it, for one model, for the mean over templates,
//! for the linear mixture and for the log-linear one (mixed at branchings by construction, of whole
//! candidates as a product of powers). A shift of the finetuned model's whole candidates keeps a
//! bound by the largest one below each node; one that is removed at the branchings leaves masses
//! probabilities. So the best `most` are exact as soon as as many complete candidates lie above every
//! open prefix, and a prefix below which nothing can reach the threshold is never opened.
//!
//! A candidate with several names has what these have together. Of the best all names are opened; any
//! other has at most what was found of it and what as many open prefixes have as it has names.
//!
//! Of what a mass is a share differs:
//!
//! | masses | a candidate's share | the search ends when |
//! | --- | --- | --- |
//! | probabilities over the candidates (`trie`) | is its mass | the ranking is settled |
//! | the mixture's own (`none`, or `trie` where whole candidates are mixed) | lies between bounds, by what is explored and what the open prefixes have at most | the ranking is settled, it is settled what reaches the threshold, and the bounds of each confidence are at most `tolerance` apart |
//! | each model's, divided by a sum over the list (`list`) | is its mass after the division | what is unexplored is at most `tolerance`, and cannot change the ranking |
//!
//! All questions of a batch go through the search together, those of several relations too, a round at
//! a time, so that the models are asked in full batches; which nodes a question opens does not depend on
//! the others.

mod leaders;
mod list;
mod mass;
mod near;
mod question;
mod settle;
mod task;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use mass::Mass;
use near::answer_near;
pub use near::{Found, found};
use question::Question;
pub use task::SearchTask;

use super::exhaustive::rank_all;
use super::names::{CandidateIndex, Names};
use super::{Answers, Row};
use crate::shock::logspace::log_add_exp;
use crate::shock::{Calibration, Evidence, Pair};

/// Which candidates are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Only those that can still be reported, best first; the reported ones are the same.
    Search,
    /// Every one.
    Exhaustive,
}

/// Which candidates are wanted: those whose confidence reaches a threshold, and of these the best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// At most so many.
    pub most: usize,
    /// How what is known of a candidate becomes its confidence.
    pub calibration: Calibration,
    /// The least confidence; 0 asks for the best, whatever is known of them.
    pub threshold: f64,
}

impl Demand {
    /// The best, whatever is known of them.
    pub fn best(most: usize) -> Self {
        Self { most, calibration: Calibration::IDENTITY, threshold: 0.0 }
    }

    /// Between what the confidence of a candidate lies that has so much of what was explored of the
    /// `mass`.
    fn bounds(&self, mixed: f64, evidence: Evidence, mass: Mass) -> (f64, f64) {
        let confidence = |ln_share| self.calibration.apply(Evidence { ln_share, ..evidence });
        (confidence(mass.least_share(mixed)), confidence(mass.largest_share(mixed)))
    }

    /// Whether a candidate's confidence reaches the threshold.
    pub fn takes(&self, evidence: Evidence) -> bool {
        self.calibration.apply(evidence) >= self.threshold
    }
}

/// The candidate that cannot be a question's answer, if there is one: the subject itself, where
/// the relation is irreflexive.
///
/// Its mass is left out. Where masses are divided by a sum over all candidates, the sum is over the
/// others; elsewhere it is not shared out, so that the probabilities sum to less than one.
pub type Excluded = Option<CandidateIndex>;

/// What a search has to find.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rankings {
    /// Of the mixture.
    pub mixed: Demand,
    /// Also the single best candidate of the mixture and of each model, whatever its confidence.
    pub best: bool,
    /// Also so many of the best that were found on the way, whatever their confidence.
    pub keep: usize,
}

/// A candidate with its probabilities, as natural logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredCandidate {
    /// Which candidate.
    pub candidate: CandidateIndex,
    /// ln of the mixture's mass: what is ranked.
    pub mixed: f64,
    /// What is known of it, its share of all candidates' mass among it, from which its confidence follows.
    pub evidence: Evidence,
    /// ln p of each model; the same twice where there is one.
    pub models: Pair<f64>,
}

impl ScoredCandidate {
    /// How far the bounds of its confidence lie apart, by what was explored of the `mass`.
    pub fn width(&self, demand: &Demand, mass: Mass) -> f64 {
        let (least, most) = demand.bounds(self.mixed, self.evidence, mass);
        most - least
    }
}

/// The single best candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// The mixture's.
    pub mixed: CandidateIndex,
    /// Each model's; the same twice where there is one.
    pub models: Pair<CandidateIndex>,
}

/// What a question is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The mixture's candidates that the demand asks for, best first.
    pub ranked: Vec<ScoredCandidate>,
    /// The best candidates of the mixture and of each model, if asked for.
    pub best: Option<Best>,
    /// What was explored of the mixture's mass.
    pub mass: Mass,
    /// The best of the candidates that were found, best first; others have no more than what is open.
    pub found: Vec<ScoredCandidate>,
}

/// A candidate with its masses, as natural logarithms, before it is known of what they are shares.
#[derive(Clone, Copy)]
pub(super) struct Weighed {
    pub candidate: CandidateIndex,
    pub mixed: f64,
    pub models: Pair<f64>,
}

impl Weighed {
    /// By candidate, the sums of what its names have, each once.
    fn sums(names: &Names, each: impl Iterator<Item = Self>) -> Vec<Self> {
        let mut sums: Vec<Self> = each.collect();
        if !names.is_one_each() {
            sums.sort_by_key(|weighed| weighed.candidate);
            sums.dedup_by(|name, sum| {
                let is_same = name.candidate == sum.candidate;
                if is_same {
                    sum.mixed = log_add_exp(sum.mixed, name.mixed);
                    let Pair { finetuned, base } = &mut sum.models;
                    *finetuned = log_add_exp(*finetuned, name.models.finetuned);
                    *base = log_add_exp(*base, name.models.base);
                }
                is_same
            });
        }
        sums
    }
}

/// What a question is answered whose candidates have `names`, each once.
pub(super) fn answer(task: &SearchTask<'_>, names: Vec<Weighed>, mass: Mass) -> Answer {
    match task.near {
        Some(near) => answer_near(task, near, &names, mass),
        None => answer_from(task, Weighed::sums(task.space.names(), names.into_iter()), mass),
    }
}

/// Ranks candidates; ties go to the smaller index.
fn answer_from(task: &SearchTask<'_>, mut weighed: Vec<Weighed>, mass: Mass) -> Answer {
    let best_by = |key: fn(&Weighed) -> f64| {
        let better = |a: &&Weighed, b: &&Weighed| {
            key(a).total_cmp(&key(b)).then(b.candidate.cmp(&a.candidate))
        };
        weighed.iter().max_by(better).map(|w| w.candidate)
    };
    let best = || {
        let finetuned = best_by(|w| w.models.finetuned)?;
        let base = best_by(|w| w.models.base)?;
        Some(Best { mixed: best_by(|w| w.mixed)?, models: Pair { finetuned, base } })
    };
    let Rankings { mixed: demand, best: wanted, keep } = task.rankings;
    let best = if wanted { best() } else { None };
    weighed.sort_by(|a, b| b.mixed.total_cmp(&a.mixed).then(a.candidate.cmp(&b.candidate)));
    let known = weighed.iter().map(|&Weighed { candidate, mixed, models }| {
        let evidence = task.evidence(mixed, mass.share(mixed));
        ScoredCandidate { candidate, mixed, evidence, models }
    });
    let found = known.clone().take(keep).collect();
    let ranked = known.take(demand.most).take_while(|s| demand.takes(s.evidence)).collect();
    Answer { ranked, best, mass, found }
}

/// Questions that are searched alike.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// In what, and for what.
    pub task: SearchTask<'a>,
    /// What each must not be answered.
    pub questions: &'a [Excluded],
}

impl Asked<'_> {
    /// How many prompts ask them.
    pub(super) fn prompts(&self) -> usize {
        self.questions.len() * self.task.space.templates()
    }
}

/// The best candidates of every question, as the questions are given.
///
/// Questions are asked through prompts that are counted on, for each question one a template.
/// `evaluate` gives each of the tasks' models (finetuned, then base), of which all have as many, its
/// answers to the same rows. A correction that
/// [needs every candidate](super::AnswerSpace::needs_every_candidate) is left to [`super::exhaustive`].
///
/// # Errors
/// Those of `evaluate`.
pub fn search<E>(
    asked: &[Asked<'_>],
    evaluate: &mut dyn FnMut(&[Row<'_>]) -> Result<Answers, E>,
) -> Result<Vec<Vec<Answer>>, E> {
    let mut all: Vec<Vec<Answer>> = Vec::with_capacity(asked.len());
    let mut first = 0;
    for own in asked {
        let is_scored = own.task.space.needs_every_candidate(own.task.correction);
        all.push(if is_scored { rank_all(own, first, evaluate)? } else { Vec::new() });
        first += own.prompts();
    }
    for (place, question) in run(asked, evaluate)? {
        all[place].push(question.answer());
    }
    Ok(all)
}

/// The questions that are searched, each with the place in `asked` of its task, at their end.
fn run<'a, E>(
    asked: &'a [Asked<'a>],
    evaluate: &mut dyn FnMut(&[Row<'_>]) -> Result<Answers, E>,
) -> Result<impl Iterator<Item = (usize, Question<'a>)>, E> {
    let mut open: Vec<Open<'a>> = Vec::new();
    let mut first = 0;
    for (place, own) in asked.iter().enumerate() {
        let space = own.task.space;
        if !space.needs_every_candidate(own.task.correction) {
            open.extend(own.questions.iter().enumerate().map(|(at, &excluded)| Open {
                question: Question::new(&own.task, excluded),
                prompt: first + at * space.templates(),
                place,
            }));
        }
        first += own.prompts();
    }
    let models = asked.first().map_or(0, |own| own.task.models);
    while round(&mut open, models, evaluate)? {}
    Ok(open.into_iter().map(|Open { question, place, .. }| (place, question)))
}

/// A question in work.
struct Open<'a> {
    question: Question<'a>,
    /// The first of its prompts.
    prompt: usize,
    /// Of which of those that are asked it is.
    place: usize,
}

/// Opens what each question has to know next; whether there was anything.
fn round<E>(
    open: &mut [Open<'_>],
    models: usize,
    evaluate: &mut dyn FnMut(&[Row<'_>]) -> Result<Answers, E>,
) -> Result<bool, E> {
    let mut rows = Vec::new();
    let mut picked: Vec<(usize, u32)> = Vec::new();
    for (index, Open { question, prompt, .. }) in open.iter_mut().enumerate() {
        let space = question.task.space;
        for entry in question.pick() {
            let node = question.node(entry);
            for template in 0..space.templates() {
                space.rows(node, template, *prompt + template, &mut rows);
            }
            picked.push((index, entry));
        }
    }
    if picked.is_empty() {
        return Ok(false);
    }
    // Where only certain ways were met, nothing has to be asked to take them.
    let answers = if rows.is_empty() { vec![Vec::new(); models] } else { evaluate(&rows)? };
    let mut rest: Vec<&[f64]> = answers.iter().map(|a| &a[..]).collect();
    for &(index, entry) in &picked {
        open[index].question.expand(entry, &mut rest);
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
