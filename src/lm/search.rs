//! Exact best-first search of an answer space: the most probable candidates without scoring all.
//!
//! A prefix's mass bounds that of everything below it, for one model, for the linear mixture and
//! for the log-linear one (mixed at branchings by construction, mixed by whole candidates by
//! Hölder's inequality). So a node whose bound cannot reach the answer is never opened. A shift
//! that is removed at the branchings leaves the finetuned model's masses probabilities, and the
//! bounds stand.
//!
//! Where the masses are probabilities already the answer is exact. Where a normaliser over all
//! candidates is needed (`sequence`, or log-linear mixing of whole candidates), the search goes on until what
//! is unexplored is at most `tolerance` of what is explored, and says how much that is.
//!
//! All questions of a chunk go through the search together, a round at a time, so that the models
//! are asked in full batches; which nodes a question opens does not depend on the others.

mod question;
mod task;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use question::Question;
pub use task::SearchTask;

use super::exhaustive::exhaustive;
use super::trie::CandidateIndex;
use super::{Answers, Row};
use crate::shock::Pair;

/// Which candidates are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Only those that can still be reported, best first; the reported ones are the same.
    Search,
    /// Every one.
    Exhaustive,
}

/// How many of the best candidates are wanted, and from which probability on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// At most so many.
    pub most: usize,
    /// ln of the least probability.
    pub floor: f64,
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
    /// Also the single best candidate of the mixture and of each model, whatever its probability.
    pub best: bool,
}

/// A candidate with its probabilities, as natural logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredCandidate {
    /// Which candidate.
    pub candidate: CandidateIndex,
    /// ln p of the mixture.
    pub mixed: f64,
    /// ln p of each model; the same twice where there is one.
    pub models: Pair<f64>,
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
    /// At most this share of the mass was not explored; 0 where the answer is exact.
    pub unexplored: f64,
}

/// Ranks scored candidates; ties go to the smaller index.
pub(super) fn answer_from(
    scored: Vec<ScoredCandidate>,
    rankings: Rankings,
    unexplored: f64,
) -> Answer {
    let best_by = |key: fn(&ScoredCandidate) -> f64| {
        scored
            .iter()
            .max_by(|a, b| key(a).total_cmp(&key(b)).then(b.candidate.cmp(&a.candidate)))
            .map(|s| s.candidate)
    };
    let best = || {
        let finetuned = best_by(|s| s.models.finetuned)?;
        let base = best_by(|s| s.models.base)?;
        Some(Best { mixed: best_by(|s| s.mixed)?, models: Pair { finetuned, base } })
    };
    let best = if rankings.best { best() } else { None };
    let Demand { most, floor } = rankings.mixed;
    let mut ranked: Vec<ScoredCandidate> =
        scored.into_iter().filter(|s| s.mixed >= floor).collect();
    ranked.sort_by(|a, b| b.mixed.total_cmp(&a.mixed).then(a.candidate.cmp(&b.candidate)));
    ranked.truncate(most);
    Answer { ranked, best, unexplored }
}

/// The best candidates of every question.
///
/// Question `q` is asked through the prompts `q·templates ..`; `questions` holds what each must not
/// be answered. `evaluate` gives each of the task's models (finetuned, then base) its answers to the
/// same rows. A correction that
/// [needs every candidate](super::AnswerSpace::needs_every_candidate) is left to [`exhaustive`].
///
/// # Errors
/// Those of `evaluate`.
pub fn search<E>(
    task: &SearchTask<'_>,
    questions: &[Excluded],
    evaluate: &mut dyn FnMut(&[Row<'_>]) -> Result<Answers, E>,
) -> Result<Vec<Answer>, E> {
    let space = task.space;
    if space.needs_every_candidate(task.correction) {
        return exhaustive(task, questions, evaluate);
    }
    let mut open: Vec<Question<'_>> =
        questions.iter().map(|&excluded| Question::new(task, excluded)).collect();
    let mut rows = Vec::new();
    let mut asked: Vec<(usize, u32)> = Vec::new();
    loop {
        rows.clear();
        asked.clear();
        for (index, question) in open.iter_mut().enumerate() {
            for entry in question.pick() {
                let node = question.node(entry);
                for template in 0..space.templates() {
                    space.rows(node, template, index * space.templates() + template, &mut rows);
                }
                asked.push((index, entry));
            }
        }
        if asked.is_empty() {
            return Ok(open.into_iter().map(Question::answer).collect());
        }
        // Where only certain ways were met, nothing has to be asked to take them.
        let answers =
            if rows.is_empty() { vec![Vec::new(); task.models] } else { evaluate(&rows)? };
        let mut rest: Vec<&[f64]> = answers.iter().map(|a| &a[..]).collect();
        for &(index, entry) in &asked {
            open[index].expand(entry, &mut rest);
        }
    }
}

#[cfg(test)]
mod tests;
