//! How much a run would do, counted by the code that does it, and how long it would take, from a few
//! seconds' trial.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{CHUNK_SUBJECTS, Error, Plan, Predictor, RelationPlan, Task, encode};
use crate::catalog::EntityId;
use crate::lm::Prompt;

/// Subjects of a relation whose prompts' tokens are counted.
const COUNTED: usize = 4096;
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
    /// Whether these are an estimate: of a relation with more than 4,096 subjects, by as many of them, evenly
    /// spread.
    pub estimated: bool,
    /// Candidates of the answer space.
    pub candidates: usize,
    /// The tokens of their names.
    pub candidate_tokens: usize,
}

impl WorkCounts {
    fn add(&mut self, other: &Self) {
        self.subjects += other.subjects;
        self.prompts += other.prompts;
        self.prompt_tokens += other.prompt_tokens;
        self.estimated |= other.estimated;
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
    /// Where a prompt of those that are counted cannot be encoded, or does not fit into the models' context.
    pub fn estimate(&self) -> Result<Estimate, Error> {
        let mut relations: Vec<WorkCounts> = self.relations.iter().map(WorkCounts::of).collect();
        for (at, counts) in relations.iter_mut().enumerate() {
            counts.prompt_tokens = self.prompt_tokens(at)?;
        }
        let mut total = WorkCounts::default();
        relations.iter().for_each(|counts| total.add(counts));
        Ok(Estimate { relations, total })
    }

    /// How many tokens a relation's prompts have together.
    fn prompt_tokens(&self, relation: usize) -> Result<usize, Error> {
        let all = &self.relations[relation].subjects;
        let some = some_of(all, COUNTED);
        let mut sum = 0;
        for (subjects, index) in some.chunks(CHUNK_SUBJECTS).zip(0..) {
            let encoded = encode(self, Task { relation, index, subjects: subjects.to_vec() })?;
            let lists = [false, true].map(|exampled| encoded.prompts(exampled));
            let tokens = |prompts: &[Prompt]| prompts.iter().map(Prompt::tokens).sum::<usize>();
            sum += lists.into_iter().map(tokens).max().unwrap_or(0);
        }
        Ok((sum as f64 * all.len() as f64 / some.len().max(1) as f64).round() as usize)
    }
}

impl WorkCounts {
    /// Of a relation, without its prompts' tokens.
    fn of(relation: &RelationPlan) -> Self {
        let candidates = relation.candidates.len();
        // Numbers that are not listed are of no use all at once.
        let listed = if relation.space.is_listed() { candidates } else { 0 };
        let tokens = (0..listed).map(|candidate| relation.space.tokens_of(candidate as u32));
        Self {
            subjects: relation.subjects.len(),
            prompts: relation.subjects.len() * relation.templates.len(),
            prompt_tokens: 0,
            estimated: relation.subjects.len() > COUNTED,
            candidates,
            candidate_tokens: tokens.sum(),
        }
    }
}

/// How long a run of the whole plan would take, by batches with relations that were not tried before,
/// until [`TRIAL`] is over. A relation's prompts take as long each as those of its first batch; where it
/// was not tried, as long as those that were.
///
/// # Errors
/// Where a model fails.
pub(super) fn try_out(plan: &Plan, predictors: &mut [Predictor]) -> Result<Duration, Error> {
    let Some(predictor) = predictors.first_mut() else { return Ok(Duration::ZERO) };
    let mut ask = |batch: Vec<Task>| {
        let begin = Instant::now();
        let encoded = batch.into_iter().map(|task| encode(plan, task));
        predictor.predict(plan, encoded.collect::<Result<_, _>>()?)?;
        Ok::<_, Error>(begin.elapsed().as_secs_f64())
    };
    let (nothing_done, nothing_kept) = (Default::default(), Default::default());
    let asked = plan.relations.iter().filter(|relation| !relation.subjects.is_empty()).count();
    let begin = Instant::now();
    // By relation, seconds a prompt.
    let mut rates: BTreeMap<usize, f64> = BTreeMap::new();
    let (mut spent, mut tried) = (0.0, 0);
    for batch in plan.batches(&nothing_done, &nothing_kept) {
        if batch.iter().all(|task| rates.contains_key(&task.relation)) {
            continue;
        }
        if tried == 0 {
            let mut few = batch[0].clone();
            few.subjects.truncate(WARM_UP);
            ask(vec![few])?;
        }
        let prompts: usize = batch.iter().map(|task| plan.prompts(task)).sum();
        let relations: Vec<usize> = batch.iter().map(|task| task.relation).collect();
        let seconds = ask(batch)?;
        for relation in relations {
            rates.entry(relation).or_insert(seconds / prompts as f64);
        }
        spent += seconds;
        tried += prompts;
        if begin.elapsed() > TRIAL || rates.len() == asked {
            break;
        }
    }
    let rate_of_all = if tried > 0 { spent / tried as f64 } else { 0.0 };
    let of_relation = |(at, relation): (usize, &RelationPlan)| {
        WorkCounts::of(relation).prompts as f64 * rates.get(&at).unwrap_or(&rate_of_all)
    };
    // Workers side by side share the cores, so that each is slower than one alone: no more than
    // what one was seen to do is promised.
    Ok(Duration::from_secs_f64(plan.relations.iter().enumerate().map(of_relation).sum()))
}
/// At most so many subjects of a list, evenly spread.
fn some_of(all: &[EntityId], most: usize) -> Vec<EntityId> {
    let most = all.len().min(most);
    (0..most).map(|i| all[i * all.len() / most]).collect()
}
