//! Both models' whole distributions over the candidates, for the questions whose answers are known
//! and for the models' mean predictions. Nothing is corrected or selected.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::means::RunningMeans;
use super::progress::{self, ENCODE, PREDICT, WRITE};
use super::shared_means::SharedMeans;
use super::stages::{self, Workers};
use super::{CHUNK_SUBJECTS, Encoded, Error, MeansOf, Plan, Predictor, RelationPlan, Task, encode};
use crate::catalog::EntityId;
use crate::diagnostic::{Events, Progress};
use crate::graph::KeptQuestion;
use crate::lm::CandidateIndex;
use crate::shock::{Pair, RunningMean};

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

/// What is done with what was answered to a chunk, and what is to be kept of that, chunk after chunk.
pub(super) type Take<'a, T> = dyn FnMut(&Task, Vec<T>, Vec<KeptQuestion>) -> Result<(), Error> + 'a;

/// How many outcomes a chunk's whole distributions have at most, where it has more than one subject.
const CHUNK_OUTCOMES: usize = 1 << 20;

/// Asks something about `subjects[r]` of each relation `r` of the plan, chunk by chunk. What is answered is
/// given to `take` in that order; only what was answered before an earlier chunk is held until that is.
///
/// # Errors
/// The first error of any stage or of `take`; [`Error::Interrupted`] where `stop` was set.
pub(super) fn ask_each<T: Send>(
    plan: &Plan,
    subjects: &[&[EntityId]],
    (predictors, workers): (&mut [Predictor], Workers),
    progress: &Progress<'_>,
    stop: &AtomicBool,
    ask: &Ask<'_, T>,
    take: &mut Take<'_, T>,
) -> Result<(), Error> {
    let tasks = || {
        subjects.iter().enumerate().flat_map(|(relation, subjects)| {
            let asked = &plan.relations[relation];
            let outcomes = asked.space.names().names().max(1);
            let most = match asked.nearness() {
                None => (CHUNK_OUTCOMES / outcomes).clamp(1, CHUNK_SUBJECTS),
                // What is searched has no whole distributions.
                Some(_) => CHUNK_SUBJECTS,
            };
            subjects.chunks(most).zip(0_u64..).map(move |(subjects, index)| Task {
                relation,
                index,
                subjects: subjects.to_vec(),
            })
        })
    };
    let encode = |(number, task): (usize, Task)| -> Result<(usize, Encoded), Error> {
        let encoded = encode(plan, task)?;
        progress.advance(ENCODE, encoded.count());
        Ok((number, encoded))
    };
    let predict = predictors.iter_mut().map(|predictor| {
        move |(number, encoded): (usize, Encoded)| {
            let (prompts, task) = (encoded.count(), encoded.task.clone());
            let answers = ask(predictor, plan, encoded)?;
            progress.advance(PREDICT, prompts);
            Ok((number, (task, prompts, answers, predictor.take_learnt())))
        }
    });
    // Those that others were faster than wait.
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    let write = |(number, asked)| -> Result<(), Error> {
        waiting.insert(number, asked);
        while let Some((task, prompts, answers, learnt)) = waiting.remove(&next) {
            take(&task, answers, learnt)?;
            progress.advance(WRITE, prompts);
            next += 1;
        }
        Ok(())
    };
    stages::run(tasks().enumerate(), workers, encode, predict.collect(), write, stop)?;
    if next == tasks().count() { Ok(()) } else { Err(Error::Interrupted) }
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
/// of which a shift is removed over all that the plan names for it, of others over fewer. Gives what it took.
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
) -> Result<SharedMeans, Error> {
    let mut taken = SharedMeans::default();
    let of_text: Vec<Vec<EntityId>> =
        plan.relations.iter().map(RelationPlan::subjects_of_text).collect();
    let of_means: Vec<Vec<EntityId>> =
        plan.relations.iter().map(|relation| relation.subjects_of_means(of)).collect();
    let slices =
        |all: &[Vec<EntityId>]| prompts(plan, &all.iter().map(|s| &s[..]).collect::<Vec<_>>());
    let progress = progress::begin(events, slices(&of_text) + slices(&of_means));
    let relations = plan.relations.len();
    for at in 0..relations {
        let only = |subjects| {
            let mut only = vec![&[][..]; relations];
            only[at] = subjects;
            only
        };
        if !of_text[at].is_empty() {
            let mut running: Vec<RunningMean> = Vec::new();
            let mut take = |task: &Task, read: Vec<Vec<Vec<f64>>>, learnt| {
                read.iter().for_each(|parts| add_text(&mut running, parts));
                let relation = &plan.relations[at].iri;
                keep(&format!("text after {relation} {}", task.index), learnt)
            };
            let (subjects, with) = (only(&of_text[at]), (&mut *predictors, workers));
            let ask = &Predictor::text_after;
            ask_each(plan, &subjects, with, &progress, stop, ask, &mut take)?;
            let means: Vec<Vec<f64>> = running.into_iter().map(RunningMean::mean).collect();
            let relation = &mut plan.relations[at];
            taken.of(&relation.iri).text.clone_from(&means);
            relation.space.set_text(means);
        }
        if !of_means[at].is_empty() {
            let mut running = RunningMeans::of(&plan.relations[at]);
            let mut take = |task: &Task, scored: Vec<Distributions>, learnt| {
                let relation = &plan.relations[at];
                scored.iter().for_each(|models| running.add(relation, models));
                keep(&format!("mean of {} {}", relation.iri, task.index), learnt)
            };
            let (subjects, with) = (only(&of_means[at]), (&mut *predictors, workers));
            let ask = &Predictor::distributions;
            ask_each(plan, &subjects, with, &progress, stop, ask, &mut take)?;
            let (relation, means) = (&mut plan.relations[at], running.mean());
            relation.set_mean_predictions(&means);
            taken.of(&relation.iri).predictions = Some(means);
        }
    }
    Ok(taken)
}

/// Counts what was read of a subject: by model and template and by candidate.
fn add_text(running: &mut Vec<RunningMean>, parts: &[Vec<f64>]) {
    if running.is_empty() {
        running.extend(parts.iter().map(|part| RunningMean::new(part.len())));
    }
    running.iter_mut().zip(parts).for_each(|(running, part)| running.add(part));
}
