//! Both models' whole distributions over the candidates, for the questions whose answers are known
//! and for the models' mean predictions. Nothing is corrected or selected.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::progress::{self, ENCODE, PREDICT, WRITE};
use super::stages::{self, Workers};
use super::{CHUNK_SUBJECTS, Encoded, Error, Plan, Predictor, Task, encode};
use crate::catalog::EntityId;
use crate::diagnostic::{Events, Progress};
use crate::shock::{Pair, Priors};

/// ln p over a relation's candidates, by each model.
pub type Distributions = Pair<Vec<f64>>;

/// Asks both models about `subjects[r]` of each relation `r` of the plan.
///
/// Gives by relation the subjects' distributions in order.
///
/// # Errors
/// The first error of any stage; [`Error::Interrupted`] where `stop` was set.
pub fn score(
    plan: &Plan,
    subjects: &[&[EntityId]],
    predictors: &mut [Predictor],
    workers: Workers,
    progress: &Progress<'_>,
    stop: &AtomicBool,
) -> Result<Vec<Vec<Distributions>>, Error> {
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
            let distributions = predictor.distributions(plan, encoded)?;
            progress.advance(PREDICT, prompts);
            Ok((chunk, prompts, distributions))
        }
    });
    let mut chunks = HashMap::new();
    let write = |(chunk, prompts, distributions): ((usize, u64), usize, Vec<Distributions>)| {
        chunks.insert(chunk, distributions);
        progress.advance(WRITE, prompts);
        Ok(())
    };
    stages::run(tasks(), workers, encode, predict.collect(), write, stop)?;
    let mut scored = vec![Vec::new(); subjects.len()];
    for task in tasks() {
        match chunks.remove(&(task.relation, task.index)) {
            Some(mut distributions) => scored[task.relation].append(&mut distributions),
            None => return Err(Error::Interrupted),
        }
    }
    Ok(scored)
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
                    scope.spawn(|| predictor.predict(plan, task.clone()).map(drop))
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

/// How many prompts [`score`] takes.
pub fn prompts(plan: &Plan, subjects: &[&[EntityId]]) -> usize {
    let of_relations = plan.relations.iter().zip(subjects);
    of_relations.map(|(relation, subjects)| relation.templates.len() * subjects.len()).sum()
}

/// Takes both models' mean predictions over each relation's own subjects into the plan.
///
/// # Errors
/// The first error of any stage; [`Error::Interrupted`] where `stop` was set.
pub fn take_priors(
    plan: &mut Plan,
    predictors: &mut [Predictor],
    workers: Workers,
    events: &dyn Events,
    stop: &AtomicBool,
) -> Result<(), Error> {
    let subjects: Vec<Vec<EntityId>> =
        plan.relations.iter().map(|relation| relation.prior_subjects.clone()).collect();
    let all: Vec<&[EntityId]> = subjects.iter().map(Vec::as_slice).collect();
    let progress = progress::begin(events, prompts(plan, &all));
    // One relation's distributions at a time: they are as large as its answer space.
    for (at, subjects) in subjects.iter().enumerate() {
        let mut only = vec![&[][..]; plan.relations.len()];
        only[at] = subjects;
        let scored = score(plan, &only, predictors, workers, &progress, stop)?;
        let relation = &mut plan.relations[at];
        relation.set_priors(&Priors::mean(relation.candidates.len(), &scored[at]));
    }
    Ok(())
}
