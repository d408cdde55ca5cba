//! The predict stage: both models side by side, mixed while the answer space is searched.

use std::borrow::Cow;
use std::thread;
use std::time::{Duration, Instant};

use super::score::{Distributions, Scored};
use super::{Encoded, Error, Plan, RelationPlan, Task};
use crate::lm::{
    self, Answer, Answers, Asked, Asking, Demand, Excluded, Found, LanguageModel, Method, Prompt,
    Rankings, Row, SearchTask, Ways,
};
use crate::shock::{MixingRule, Pair};

/// A chunk with an answer for each of its subjects, in order.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// The chunk.
    pub task: Task,
    /// The answers.
    pub answers: Vec<Answer>,
}

/// One worker's models.
pub struct Predictor {
    /// The finetuned model first, then the base, or both in one; one where nothing is mixed.
    models: Vec<Box<dyn LanguageModel>>,
    /// Whether the first of them is the base.
    only_base: bool,
    /// How long they were computing, side by side.
    time: Duration,
}

impl Predictor {
    /// A worker with the finetuned model, or with the finetuned and the base model in this order.
    pub fn new(models: Vec<Box<dyn LanguageModel>>) -> Self {
        Self { models, only_base: false, time: Duration::ZERO }
    }

    /// A worker with the base model alone.
    pub fn of_base(model: Box<dyn LanguageModel>) -> Self {
        Self { models: vec![model], only_base: true, time: Duration::ZERO }
    }

    /// What its models did until now: all their tokens, and the time in which at least one of them
    /// was computing.
    pub fn work(&self) -> ModelWork {
        let tokens = self.models.iter().map(|model| model.tokens()).sum();
        ModelWork { tokens, time: self.time }
    }

    /// Lets the models read prompts that nothing is asked of but what follows them: what a run takes
    /// at least.
    ///
    /// # Errors
    /// Where a model fails.
    pub fn feed(&mut self, prompts: &[Prompt]) -> Result<(), lm::Error> {
        let row = |prompt| Row {
            prompt,
            continuation: Cow::Borrowed(&[]),
            place: 0,
            wanted: Cow::Borrowed(&[0]),
            relative: true,
        };
        let rows: Vec<Row<'_>> = (0..prompts.len()).map(row).collect();
        for model in &mut self.models {
            model.open(&vec![prompts; model.models()], Asking::Once);
        }
        side_by_side(&mut self.models, &mut self.time, &rows).map(drop)
    }

    /// How many models answer.
    fn count(&self) -> usize {
        self.models.iter().map(|model| model.models()).sum()
    }

    /// Gives every model its prompts: those with examples to the models that read them.
    fn open(&mut self, plan: &Plan, batch: &[Encoded], asking: Asking) {
        let mut exampled = self.exampled(plan).into_iter();
        for model in &mut self.models {
            let own = exampled.by_ref().take(model.models());
            let prompts: Vec<Vec<Prompt>> = own
                .map(|exampled| batch.iter().flat_map(|e| e.prompts(exampled)).cloned().collect())
                .collect();
            let prompts: Vec<&[Prompt]> = prompts.iter().map(Vec::as_slice).collect();
            model.open(&prompts, asking);
        }
    }

    /// Whether each model reads examples, in their order.
    fn exampled(&self, plan: &Plan) -> [bool; 2] {
        let Pair { finetuned, base } = plan.exampled;
        [if self.only_base { base } else { finetuned }, base]
    }

    /// Answers the questions of chunks that are searched together: all at once, or those of one
    /// relation.
    ///
    /// # Errors
    /// Where a model fails.
    pub fn predict(&mut self, plan: &Plan, batch: Vec<Encoded>) -> Result<Vec<Predicted>, Error> {
        let relation = |encoded: &Encoded| &plan.relations[encoded.task.relation];
        let is_searched = |encoded: &Encoded| relation(encoded).method == Method::Search;
        let asking = if batch.iter().all(is_searched) { Asking::Stepwise } else { Asking::Once };
        self.open(plan, &batch, asking);
        let questions: Vec<Vec<Excluded>> =
            batch.iter().map(|encoded| plan.questions(&encoded.task)).collect();
        let models = self.count();
        let asked: Vec<Asked<'_>> = batch
            .iter()
            .zip(&questions)
            .map(|(encoded, questions)| Asked { task: relation(encoded).search(models), questions })
            .collect();
        let mut evaluate = |rows: &[Row<'_>]| side_by_side(&mut self.models, &mut self.time, rows);
        let answers = if asking == Asking::Stepwise {
            lm::search(&asked, &mut evaluate)?
        } else {
            lm::exhaustive(&asked, &mut evaluate)?
        };
        let answered = batch.into_iter().zip(answers);
        Ok(answered.map(|(Encoded { task, .. }, answers)| Predicted { task, answers }).collect())
    }

    /// For each of a chunk's questions in order, by model and template, ln p of the text after each
    /// candidate.
    ///
    /// # Errors
    /// Where a model fails.
    pub fn text_after(
        &mut self,
        plan: &Plan,
        encoded: Encoded,
    ) -> Result<Vec<Vec<Vec<f64>>>, Error> {
        self.open(plan, std::slice::from_ref(&encoded), Asking::Once);
        let relation = &plan.relations[encoded.task.relation];
        let (models, questions) = (self.count(), encoded.task.subjects.len());
        let mut evaluate = |rows: &[Row<'_>]| side_by_side(&mut self.models, &mut self.time, rows);
        let RelationPlan { space, texts, .. } = relation;
        Ok(lm::text_after(space, texts, models, questions, &mut evaluate)?)
    }

    /// Both models' distributions over all candidates, for each of a chunk's questions in order.
    ///
    /// # Errors
    /// Where a model fails.
    pub fn distributions(
        &mut self,
        plan: &Plan,
        encoded: Encoded,
    ) -> Result<Vec<Distributions>, Error> {
        self.open(plan, std::slice::from_ref(&encoded), Asking::Once);
        let task = encoded.task;
        let relation = &plan.relations[task.relation];
        let questions = plan.questions(&task);
        let models = self.count();
        let mut evaluate = |rows: &[Row<'_>]| side_by_side(&mut self.models, &mut self.time, rows);
        Ok(lm::distributions(&relation.space, models, &questions, &mut evaluate)?)
    }

    /// What both models give each of a chunk's questions in order: their distributions, or what a search
    /// finds where not all candidates are scored.
    ///
    /// # Errors
    /// Where a model fails.
    pub fn score(&mut self, plan: &Plan, encoded: Encoded) -> Result<Vec<Scored>, Error> {
        let relation = &plan.relations[encoded.task.relation];
        let Some(near) = relation.nearness() else {
            let all = self.distributions(plan, encoded)?.into_iter();
            return Ok(all.map(Scored::from).collect());
        };
        self.open(plan, std::slice::from_ref(&encoded), Asking::Stepwise);
        let questions = plan.questions(&encoded.task);
        // Neither model outweighs the other: what is likely by any mixture is found.
        let correction = MixingRule::Linear { lambda: 0.5 }.into();
        let rankings = Rankings { mixed: Demand::best(1), best: false };
        let task = relation.search(self.count());
        let task = SearchTask { correction: &correction, rankings, near: Some(near), ..task };
        let mut evaluate = |rows: &[Row<'_>]| side_by_side(&mut self.models, &mut self.time, rows);
        let asked = [Asked { task, questions: &questions }];
        let found = lm::found(&asked, &mut evaluate)?.into_iter().flatten();
        let scored =
            |found: Found| Scored { distributions: found.models, found: Some(found.owners) };
        Ok(found.map(scored).collect())
    }

    /// Each model's probabilities of all candidates in every way, for each of a chunk's questions in order.
    ///
    /// # Errors
    /// Where a model fails.
    pub fn ways(&mut self, plan: &Plan, encoded: Encoded) -> Result<Vec<Vec<Ways>>, Error> {
        self.open(plan, std::slice::from_ref(&encoded), Asking::Once);
        let (questions, models) = (plan.questions(&encoded.task), self.count());
        let space = &plan.relations[encoded.task.relation].space;
        let mut evaluate = |rows: &[Row<'_>]| side_by_side(&mut self.models, &mut self.time, rows);
        Ok(lm::ways(space, models, &questions, &mut evaluate)?)
    }
}

impl RelationPlan {
    /// How its questions are searched with so many models.
    fn search(&self, models: usize) -> SearchTask<'_> {
        SearchTask {
            space: &self.space,
            correction: &self.correction,
            models,
            rankings: self.rankings,
            tolerance: self.tolerance,
            near: self.near,
        }
    }
}

/// What a worker's models did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelWork {
    /// Tokens that were computed, by all models together.
    pub tokens: u64,
    /// How long that took.
    pub time: Duration,
}

/// Asks every model the same rows, each in a thread of its own.
fn side_by_side(
    models: &mut [Box<dyn LanguageModel>],
    time: &mut Duration,
    rows: &[Row<'_>],
) -> Result<Answers, lm::Error> {
    let start = Instant::now();
    let Some((first, others)) = models.split_first_mut() else { return Ok(Vec::new()) };
    thread::scope(|scope| {
        let others: Vec<_> =
            others.iter_mut().map(|model| scope.spawn(|| model.answer(rows))).collect();
        let first = first.answer(rows);
        let others = others.into_iter().map(|thread| match thread.join() {
            Ok(answer) => answer,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        let answers: Vec<Answers> =
            std::iter::once(first).chain(others).collect::<Result<_, _>>()?;
        *time += start.elapsed();
        Ok(answers.into_iter().flatten().collect())
    })
}
