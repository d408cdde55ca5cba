//! The predict stage: both models side by side, mixed while the answer space is searched.

use std::borrow::Cow;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::remember::{Asked as For, BatchMemory};
use super::score::{Distributions, Scored};
use super::{Encoded, Error, Plan, RelationPlan, Task};
use crate::graph::{KeptAnswers, KeptQuestion};
use crate::lm::{
    self, Answer, AnswerSpace, Answers, Asked, Asking, Demand, Excluded, Found, LanguageModel,
    Method, Prompt, Rankings, Row, SearchTask, Ways,
};
use crate::shock::{MixingRule, Pair};

/// A chunk with an answer for each of its subjects, in order.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// The chunk.
    pub task: Task,
    /// The answers.
    pub answers: Vec<Answer>,
    /// What the models said to each, where that is kept.
    pub kept: Vec<KeptQuestion>,
}

/// What answers rows.
type Evaluate<'a> = dyn FnMut(&[Row<'_>]) -> Result<Answers, Error> + 'a;

/// One worker's models.
pub struct Predictor {
    /// The finetuned model first, then the base, or both in one; one where nothing is mixed.
    models: Vec<Box<dyn LanguageModel>>,
    /// Whether the first of them is the base.
    only_base: bool,
    /// How long they were computing, side by side.
    time: Duration,
    /// What was answered before, where it is remembered.
    kept: Option<Arc<KeptAnswers>>,
    /// What was learnt since it was last taken.
    learnt: Vec<KeptQuestion>,
}

impl Predictor {
    /// A worker with the finetuned model, or with the finetuned and the base model in this order.
    pub fn new(models: Vec<Box<dyn LanguageModel>>) -> Self {
        let (time, kept, learnt) = (Duration::ZERO, None, Vec::new());
        Self { models, only_base: false, time, kept, learnt }
    }

    /// A worker with the base model alone.
    pub fn of_base(model: Box<dyn LanguageModel>) -> Self {
        Self { only_base: true, ..Self::new(vec![model]) }
    }

    /// How many models answer.
    fn count(&self, plan: &Plan) -> usize {
        match self.models[..] {
            [] => plan.models.len(),
            _ => self.models.iter().map(|model| model.models()).sum(),
        }
    }

    /// A worker without models, for what is remembered.
    pub(super) fn of_memory() -> Self {
        Self::new(Vec::new())
    }

    /// The same worker, which asks only for what is not kept, and says what is to be.
    #[must_use]
    pub fn remembering(self, kept: Arc<KeptAnswers>) -> Self {
        Self { kept: Some(kept), ..self }
    }

    /// What it remembers, if it does.
    pub(super) fn kept(&self) -> Option<Arc<KeptAnswers>> {
        self.kept.clone()
    }

    /// What was learnt since this was last called: for each question that was asked, what the models said.
    pub(super) fn take_learnt(&mut self) -> Vec<KeptQuestion> {
        std::mem::take(&mut self.learnt)
    }

    /// Lets `search` ask the models about a batch, for what is not remembered.
    fn asking<T>(
        &mut self,
        plan: &Plan,
        batch: &[Encoded],
        asking: Asking,
        of: For,
        search: impl FnOnce(&mut Evaluate<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(kept) = self.kept.clone() else {
            self.open(plan, batch, asking);
            return search(&mut |rows| {
                Ok(side_by_side(&mut self.models, &mut self.time, rows, None)?)
            });
        };
        let mut memory = BatchMemory::of(plan, &kept, batch, of)?;
        let mut is_open = false;
        let found = search(&mut |rows| {
            memory.answer(rows, &mut |rows, asked| {
                if self.models.is_empty() {
                    return Err(Error::NoModels);
                }
                if !is_open {
                    self.open(plan, batch, asking);
                    is_open = true;
                }
                Ok(side_by_side(&mut self.models, &mut self.time, rows, Some(asked))?)
            })
        })?;
        self.learnt.extend(memory.into_kept());
        Ok(found)
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
        side_by_side(&mut self.models, &mut self.time, &rows, None).map(drop)
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
        let questions: Vec<Vec<Excluded>> =
            batch.iter().map(|encoded| plan.questions(&encoded.task)).collect();
        let models = self.count(plan);
        let asked: Vec<Asked<'_>> = batch
            .iter()
            .zip(&questions)
            .map(|(encoded, questions)| Asked { task: relation(encoded).search(models), questions })
            .collect();
        let answers = self.asking(plan, &batch, asking, For::Facts, |evaluate| match asking {
            Asking::Stepwise => lm::search(&asked, evaluate),
            Asking::Once => lm::exhaustive(&asked, evaluate),
        })?;
        let mut learnt = self.take_learnt().into_iter();
        let answered = batch.into_iter().zip(answers);
        let predicted = answered.map(|(Encoded { task, .. }, answers)| {
            let kept = learnt.by_ref().take(task.subjects.len()).collect();
            Predicted { task, answers, kept }
        });
        Ok(predicted.collect())
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
        let RelationPlan { space, texts, .. } = &plan.relations[encoded.task.relation];
        let (models, questions) = (self.count(plan), encoded.task.subjects.len());
        self.asking(plan, std::slice::from_ref(&encoded), Asking::Once, For::Text, |evaluate| {
            lm::text_after(space, texts, models, questions, evaluate)
        })
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
        self.everything(plan, &encoded, |space, models, questions, evaluate| {
            lm::distributions(space, models, questions, evaluate)
        })
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
        let questions = plan.questions(&encoded.task);
        // Neither model outweighs the other: what is likely by any mixture is found.
        let correction = MixingRule::Linear { lambda: 0.5 }.into();
        let rankings = Rankings { mixed: Demand::best(1), best: false, keep: 0 };
        let task = relation.search(self.count(plan));
        let task = SearchTask { correction: &correction, rankings, near: Some(near), ..task };
        let asked = [Asked { task, questions: &questions }];
        let batch = std::slice::from_ref(&encoded);
        let found = self
            .asking(plan, batch, Asking::Stepwise, For::Facts, |evaluate| {
                lm::found(&asked, evaluate)
            })?
            .into_iter()
            .flatten();
        let scored =
            |found: Found| Scored { distributions: found.models, found: Some(found.owners) };
        Ok(found.map(scored).collect())
    }

    /// Each model's probabilities of all candidates in every way, for each of a chunk's questions in order.
    ///
    /// # Errors
    /// Where a model fails.
    pub fn ways(&mut self, plan: &Plan, encoded: Encoded) -> Result<Vec<Vec<Ways>>, Error> {
        self.everything(plan, &encoded, |space, models, questions, evaluate| {
            lm::ways(space, models, questions, evaluate)
        })
    }

    /// Lets `score` ask about all candidates, for each of a chunk's questions in order.
    fn everything<T>(
        &mut self,
        plan: &Plan,
        encoded: &Encoded,
        score: impl FnOnce(&AnswerSpace, usize, &[Excluded], &mut Evaluate<'_>) -> Result<Vec<T>, Error>,
    ) -> Result<Vec<T>, Error> {
        let space = &plan.relations[encoded.task.relation].space;
        let (questions, models) = (plan.questions(&encoded.task), self.count(plan));
        let batch = std::slice::from_ref(encoded);
        self.asking(plan, batch, Asking::Once, For::Everything, |evaluate| {
            score(space, models, &questions, evaluate)
        })
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

/// Asks every model the same rows, each in a thread of its own; or of them those that are `asked`, by model.
fn side_by_side(
    models: &mut [Box<dyn LanguageModel>],
    time: &mut Duration,
    rows: &[Row<'_>],
    asked: Option<&[Vec<bool>]>,
) -> Result<Answers, lm::Error> {
    let start = Instant::now();
    let mut first = 0;
    let asking = models.iter_mut().map(|model| {
        let own = first..first + model.models();
        first = own.end;
        let asked = asked.map(|asked| &asked[own]);
        // All rows of all models are what models answer best.
        let asked = asked.filter(|asked| asked.iter().flatten().any(|is_asked| !is_asked));
        move || match asked {
            None => model.answer(rows),
            Some(asked) => model.answer_some(rows, asked),
        }
    });
    let mut asking = asking.collect::<Vec<_>>().into_iter();
    let Some(mut first) = asking.next() else { return Ok(Vec::new()) };
    thread::scope(|scope| {
        let others: Vec<_> = asking.map(|ask| scope.spawn(ask)).collect();
        let first = first();
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
