//! Both models' whole distributions over the candidates, for the questions whose answers are known
//! and for the models' mean predictions. Nothing is corrected or selected.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::progress::Stage;
use super::stages::{self, Workers};
use super::{CHUNK_SUBJECTS, Encoded, Error, Plan, Predictor, Progress, Task, encode};
use crate::catalog::EntityId;
use crate::shock::Priors;

/// ln p over a relation's candidates, of the finetuned and of the base model.
pub type Distributions = [Vec<f64>; 2];

/// Asks both models about `subjects[r]` of each relation `r` of the plan.
///
/// Gives by relation the subjects' distributions in order. When `stop` is set, what was begun is
/// finished and nothing is given.
///
/// # Errors
/// The first error of any stage.
pub fn score(
    plan: &Plan,
    subjects: &[&[EntityId]],
    predictors: &mut [Predictor],
    workers: Workers,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<Option<Vec<Vec<Distributions>>>, Error> {
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
        progress.add(Stage::Encode, encoded.prompts.len());
        Ok(encoded)
    };
    let predict = predictors.iter_mut().map(|predictor| {
        move |encoded: Encoded| {
            let (prompts, chunk) =
                (encoded.prompts.len(), (encoded.task.relation, encoded.task.index));
            let distributions = predictor.distributions(plan, encoded)?;
            progress.add(Stage::Predict, prompts);
            Ok((chunk, prompts, distributions))
        }
    });
    let mut chunks = HashMap::new();
    let write = |(chunk, prompts, distributions): ((usize, u64), usize, Vec<Distributions>)| {
        chunks.insert(chunk, distributions);
        progress.add(Stage::Write, prompts);
        Ok(())
    };
    let ended = stages::run(tasks(), workers, encode, predict.collect(), write, stop);
    progress.finish();
    ended?;
    let mut scored = vec![Vec::new(); subjects.len()];
    for task in tasks() {
        match chunks.remove(&(task.relation, task.index)) {
            Some(mut distributions) => scored[task.relation].append(&mut distributions),
            None => return Ok(None),
        }
    }
    Ok(Some(scored))
}

/// Subjects with which the speed of workers is tried.
const TRIAL_SUBJECTS: usize = 24;

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
    let subjects: Vec<EntityId> = most.subjects.iter().take(TRIAL_SUBJECTS).copied().collect();
    let encoded = encode(plan, Task { relation, index: 0, subjects })?;
    let prompts = encoded.prompts.len() * predictors.len();
    let mut seconds = f64::INFINITY;
    // The first round warms up.
    for _ in 0..2 {
        let start = Instant::now();
        let (encoded, ask) = (&encoded, |predictor: &mut Predictor, encoded: Encoded| {
            predictor.predict(plan, encoded).map(drop)
        });
        std::thread::scope(|scope| {
            let threads: Vec<_> = predictors
                .iter_mut()
                .map(|predictor| scope.spawn(move || ask(predictor, encoded.clone())))
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
/// Gives whether it was done; it is not where `stop` was set.
///
/// # Errors
/// The first error of any stage.
pub fn take_priors(
    plan: &mut Plan,
    predictors: &mut [Predictor],
    workers: Workers,
    quiet: bool,
    stop: &AtomicBool,
) -> Result<bool, Error> {
    let subjects: Vec<Vec<EntityId>> =
        plan.relations.iter().map(|relation| relation.prior_subjects.clone()).collect();
    let subjects: Vec<&[EntityId]> = subjects.iter().map(Vec::as_slice).collect();
    let progress = Progress::new(prompts(plan, &subjects), quiet);
    let Some(scored) = score(plan, &subjects, predictors, workers, &progress, stop)? else {
        return Ok(false);
    };
    for (relation, distributions) in plan.relations.iter_mut().zip(&scored) {
        relation.set_priors(&Priors::mean(relation.candidates.len(), distributions));
    }
    Ok(true)
}
