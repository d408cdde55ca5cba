//! How much a run would do, counted by the code that does it, and how long it would take, from a few
//! seconds' trial.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{CHUNK_SUBJECTS, Error, Plan, Predictor, RelationPlan, Task, encode};
use crate::lm::Prompt;

/// How long a trial goes on before no more relations are tried.
const TRIAL: Duration = Duration::from_secs(4);
/// Subjects of the question that warms the models up.
const WARM_UP: usize = 4;

/// How much a run would do for a relation, or for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkCounts {
    /// Subjects to be asked about.
    pub subjects: usize,
    /// Prompts: one a subject and template.
    pub prompts: usize,
    /// Their tokens; where models read different prompts, those of the one that reads most.
    pub prompt_tokens: usize,
    /// Candidates of the answer space.
    pub candidates: usize,
    /// Their tokens.
    pub candidate_tokens: usize,
}

impl WorkCounts {
    fn add(&mut self, other: &Self) {
        self.subjects += other.subjects;
        self.prompts += other.prompts;
        self.prompt_tokens += other.prompt_tokens;
        self.candidates += other.candidates;
        self.candidate_tokens += other.candidate_tokens;
    }
}

/// How much a run would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// By relation of the plan.
    pub relations: Vec<WorkCounts>,
    /// Their sum.
    pub total: WorkCounts,
}

impl Plan {
    /// Counts what all chunks together would take.
    ///
    /// # Errors
    /// Where a prompt cannot be encoded, or does not fit into the models' context.
    pub fn estimate(&self) -> Result<Estimate, Error> {
        let mut relations: Vec<WorkCounts> = self.relations.iter().map(WorkCounts::of).collect();
        let nothing_done = Default::default();
        for task in self.tasks(&nothing_done) {
            let relation = task.relation;
            let encoded = encode(self, task)?;
            let lists = [false, true].map(|exampled| encoded.prompts(exampled));
            let tokens = |prompts: &[Prompt]| prompts.iter().map(Prompt::tokens).sum::<usize>();
            relations[relation].prompt_tokens += lists.into_iter().map(tokens).max().unwrap_or(0);
        }
        let mut total = WorkCounts::default();
        relations.iter().for_each(|counts| total.add(counts));
        Ok(Estimate { relations, total })
    }
}

impl WorkCounts {
    /// Of a relation, without its prompts' tokens.
    fn of(relation: &RelationPlan) -> Self {
        let candidates = relation.candidates.len();
        let tokens = (0..candidates).map(|candidate| relation.space.tokens(candidate as u32).len());
        Self {
            subjects: relation.subjects.len(),
            prompts: relation.subjects.len() * relation.templates.len(),
            prompt_tokens: 0,
            candidates,
            candidate_tokens: tokens.sum(),
        }
    }
}

/// How long a run of the whole plan would take, by the first chunk of each relation, largest
/// relations first, until [`TRIAL`] is over. A relation that was not tried takes as long a prompt as
/// those that were.
///
/// # Errors
/// Where a model fails.
pub(super) fn try_out(plan: &Plan, predictors: &mut [Predictor]) -> Result<Duration, Error> {
    let Some(predictor) = predictors.first_mut() else { return Ok(Duration::ZERO) };
    let prompts = |relation: usize, subjects: usize| {
        (plan.relations[relation].templates.len() * subjects) as f64
    };
    let mut order: Vec<usize> = (0..plan.relations.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(WorkCounts::of(&plan.relations[at]).prompts));
    // The first chunks of the relations, with the subjects that these share.
    let nothing_done = Default::default();
    let mut firsts: BTreeMap<usize, Task> = BTreeMap::new();
    for task in plan.tasks(&nothing_done) {
        firsts.entry(task.relation).or_insert(task);
        if firsts.len() == plan.relations.len() {
            break;
        }
    }
    let mut ask = |relation: usize, most: usize| {
        let mut task = firsts[&relation].clone();
        if most < task.subjects.len() {
            // Without its block, of whose subjects some are missing.
            task.subjects.truncate(most);
            task.block = None;
        }
        let asked = task.subjects.len();
        let begin = Instant::now();
        predictor.predict(plan, vec![encode(plan, task)?])?;
        Ok::<_, Error>((asked, begin.elapsed().as_secs_f64()))
    };
    let begin = Instant::now();
    // Seconds and prompts of what was tried, seconds that the tried relations take, and the prompts
    // of the others.
    let (mut spent, mut tried, mut seconds, mut untried) = (0.0, 0.0, 0.0, 0.0);
    for (place, &relation) in order.iter().enumerate() {
        let all = plan.relations[relation].subjects.len();
        if all == 0 {
            continue;
        }
        if tried > 0.0 && begin.elapsed() > TRIAL {
            untried += prompts(relation, all);
            continue;
        }
        if place == 0 {
            ask(relation, WARM_UP)?;
        }
        let (asked, took) = ask(relation, CHUNK_SUBJECTS)?;
        spent += took;
        tried += prompts(relation, asked);
        seconds += took * all as f64 / asked as f64;
    }
    if tried > 0.0 {
        seconds += untried * spent / tried;
    }
    // Workers side by side share the cores, so that each is slower than one alone: no more than
    // what one was seen to do is promised.
    Ok(Duration::from_secs_f64(seconds))
}
