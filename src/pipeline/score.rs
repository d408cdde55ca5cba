//! Both models' whole distributions over the candidates, for the questions whose answers are known
//! and for the models' mean predictions. Nothing is corrected or selected.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::progress::{self, ENCODE, PREDICT, WRITE};
use super::stages::{self, Workers};
use super::{CHUNK_SUBJECTS, Encoded, Error, MeansOf, Plan, Predictor, RelationPlan, Task, encode};
use crate::catalog::EntityId;
use crate::diagnostic::{Events, Progress};
use crate::graph::KeptQuestion;
use crate::lm::CandidateIndex;
use crate::shock::{Mean, Pair};

/// ln p over the names of a relation's candidates, by each model.
pub type Distributions = Pair<Vec<f64>>;

/// What both models give a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// ln p by name.
    pub distributions: Distributions,
    /// Where not all candidates are scored: by name that was found, its candidate.
    pub found: Option<Vec<CandidateIndex>>,
}

impl From<Distributions> for Scored {
    fn from(distributions: Distributions) -> Self {
        Self { distributions, found: None }
    }
}

/// What a predictor answers to a chunk: something for each of its subjects.
pub(super) type Ask<'a, T> =
    dyn Fn(&mut Predictor, &Plan, Encoded) -> Result<Vec<T>, Error> + Sync + 'a;

/// What is answered about subjects: by relation, in their order, and what is to be kept of that.
pub(super) struct AskedEach<T> {
    pub answers: Vec<Vec<T>>,
    pub learnt: Vec<KeptQuestion>,
}

/// Asks something about `subjects[r]` of each relation `r` of the plan, chunk by chunk.
///
/// # Errors
/// The first error of any stage; [`Error::Interrupted`] where `stop` was set.
pub(super) fn ask_each<T: Send>(
    plan: &Plan,
    subjects: &[&[EntityId]],
    predictors: &mut [Predictor],
    workers: Workers,
    progress: &Progress<'_>,
    stop: &AtomicBool,
    ask: &Ask<'_, T>,
) -> Result<AskedEach<T>, Error> {
    let tasks = || {
        subjects.iter().enumerate().flat_map(|(relation, subjects)| {
            subjects.chunks(CHUNK_SUBJECTS).zip(0_u64..).map(move |(subjects, index)| Task {
                relation,
                index,
                subjects: subjects.to_vec(),
            })
        })
    };
    let encode = |task| -> Result<Encoded, Error> {
        let encoded = encode(plan, task)?;
        progress.advance(ENCODE, encoded.count());
        Ok(encoded)
    };
    let predict = predictors.iter_mut().map(|predictor| {
        move |encoded: Encoded| {
            let (prompts, chunk) = (encoded.count(), (encoded.task.relation, encoded.task.index));
            let answers = ask(predictor, plan, encoded)?;
            progress.advance(PREDICT, prompts);
            Ok((chunk, prompts, (answers, predictor.take_learnt())))
        }
    });
    let mut chunks = HashMap::new();
    let write = |(chunk, prompts, asked)| {
        chunks.insert(chunk, asked);
        progress.advance(WRITE, prompts);
        Ok(())
    };
    stages::run(tasks(), workers, encode, predict.collect(), write, stop)?;
    let mut answers: Vec<Vec<T>> = subjects.iter().map(|_| Vec::new()).collect();
    let mut learnt = Vec::new();
    for task in tasks() {
        match chunks.remove(&(task.relation, task.index)) {
            Some((mut own, mut kept)) => {
                answers[task.relation].append(&mut own);
                learnt.append(&mut kept);
            }
            None => return Err(Error::Interrupted),
        }
    }
    Ok(AskedEach { answers, learnt })
}

/// Subjects with which the speed of workers is tried, for each of them.
const TRIAL_SUBJECTS: usize = 16;

/// How many prompts a second workers answer that work side by side, on a few of the plan's.
///
/// # Errors
/// Where a model fails.
pub fn prompts_per_second(plan: &Plan, predictors: &mut [Predictor]) -> Result<f64, Error> {
    let relations = plan.relations.iter().enumerate();
    let Some((relation, most)) = relations.max_by_key(|(_, relation)| relation.subjects.len())
    else {
        return Ok(0.0);
    };
    let mut tasks = Vec::new();
    for subjects in most.subjects.chunks(TRIAL_SUBJECTS).cycle().take(predictors.len()) {
        tasks.push(encode(plan, Task { relation, index: 0, subjects: subjects.to_vec() })?);
    }
    let prompts: usize = tasks.iter().map(Encoded::count).sum();
    let mut seconds = f64::INFINITY;
    // The first round warms up.
    for _ in 0..2 {
        let start = Instant::now();
        std::thread::scope(|scope| {
            let workers = predictors.iter_mut().zip(&tasks);
            let threads: Vec<_> = workers
                .map(|(predictor, task)| {
                    scope.spawn(|| predictor.predict(plan, vec![task.clone()]).map(drop))
                })
                .collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(asked) => asked,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        seconds = start.elapsed().as_secs_f64();
    }
    Ok(prompts as f64 / seconds)
}

/// How many prompts ask about so many subjects.
pub fn prompts(plan: &Plan, subjects: &[&[EntityId]]) -> usize {
    let of_relations = plan.relations.iter().zip(subjects);
    of_relations.map(|(relation, subjects)| relation.templates.len() * subjects.len()).sum()
}

/// What is done with what the models said, under a name.
pub(super) type Keep<'a> = dyn FnMut(&str, Vec<KeptQuestion>) -> Result<(), Error> + 'a;

/// Takes both models' mean predictions over each relation's own subjects into the plan: of relations
/// of which a shift is removed over all that the plan names for it, of others over fewer.
///
/// # Errors
/// The first error of any stage; [`Error::Interrupted`] where `stop` was set.
pub fn take_priors(
    plan: &mut Plan,
    predictors: &mut [Predictor],
    workers: Workers,
    events: &dyn Events,
    stop: &AtomicBool,
    of: MeansOf,
    keep: &mut Keep<'_>,
) -> Result<(), Error> {
    let of_text: Vec<Vec<EntityId>> =
        plan.relations.iter().map(RelationPlan::subjects_of_text).collect();
    let of_means: Vec<Vec<EntityId>> =
        plan.relations.iter().map(|relation| relation.subjects_of_means(of)).collect();
    let slices =
        |all: &[Vec<EntityId>]| prompts(plan, &all.iter().map(|s| &s[..]).collect::<Vec<_>>());
    let progress = progress::begin(events, slices(&of_text) + slices(&of_means));
    // One relation's answers at a time: they are as large as its answer space.
    let relations = plan.relations.len();
    for at in 0..relations {
        let only = |subjects| {
            let mut only = vec![&[][..]; relations];
            only[at] = subjects;
            only
        };
        if !of_text[at].is_empty() {
            let subjects = only(&of_text[at]);
            let ask = &Predictor::text_after;
            let read = ask_each(plan, &subjects, predictors, workers, &progress, stop, ask)?;
            plan.relations[at].space.set_text(mean_of(&read.answers[at]));
            keep(&format!("text after {}", plan.relations[at].iri), read.learnt)?;
        }
        if !of_means[at].is_empty() {
            let subjects = only(&of_means[at]);
            let ask = &Predictor::distributions;
            let scored = ask_each(plan, &subjects, predictors, workers, &progress, stop, ask)?;
            plan.relations[at].set_mean_predictions(&scored.answers[at]);
            keep(&format!("mean of {}", plan.relations[at].iri), scored.learnt)?;
        }
    }
    Ok(())
}

/// By model and template and by candidate, the mean over subjects, of which there is one at least.
fn mean_of(read: &[Vec<Vec<f64>>]) -> Vec<Vec<f64>> {
    let parts = 0..read[0].len();
    parts.map(|part| Mean::of(read[0][part].len(), read.iter().map(|parts| &parts[part]))).collect()
}
