//! The predict stage: both models side by side, mixed while the answer space is searched.

use std::thread;

use super::score::Distributions;
use super::{Encoded, Error, Plan, Task};
use crate::lm::{self, Answer, Answers, LanguageModel, Row};

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
    /// The finetuned model first, then the base; one where nothing is mixed.
    models: Vec<Box<dyn LanguageModel>>,
}

impl Predictor {
    /// A worker with one model, or with the finetuned and the base model in this order.
    pub fn new(models: Vec<Box<dyn LanguageModel>>) -> Self {
        Self { models }
    }

    /// Answers a chunk's questions.
    ///
    /// # Errors
    /// Where a model fails.
    pub fn predict(&mut self, plan: &Plan, encoded: Encoded) -> Result<Predicted, Error> {
        let Encoded { task, prompts } = encoded;
        let relation = &plan.relations[task.relation];
        let questions = plan.questions(&task);
        let models = self.models.len();
        self.models.iter_mut().for_each(|model| model.open(&prompts));
        let mut evaluate = |rows: &[Row<'_>]| side_by_side(&mut self.models, rows);
        let (space, correction, rankings) =
            (&relation.space, &relation.correction, relation.rankings);
        let answers = if relation.exhaustive {
            lm::exhaustive(space, correction, models, &questions, rankings, &mut evaluate)
        } else {
            let tolerance = relation.tolerance;
            lm::search(space, correction, models, &questions, rankings, tolerance, &mut evaluate)
        }?;
        Ok(Predicted { task, answers })
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
        let Encoded { task, prompts } = encoded;
        let relation = &plan.relations[task.relation];
        let questions = plan.questions(&task);
        let models = self.models.len();
        self.models.iter_mut().for_each(|model| model.open(&prompts));
        let mut evaluate = |rows: &[Row<'_>]| side_by_side(&mut self.models, rows);
        Ok(lm::distributions(&relation.space, models, &questions, &mut evaluate)?)
    }
}

/// Asks every model the same rows, each in a thread of its own.
fn side_by_side(
    models: &mut [Box<dyn LanguageModel>],
    rows: &[Row<'_>],
) -> Result<Answers, lm::Error> {
    let Some((first, others)) = models.split_first_mut() else { return Ok(Vec::new()) };
    thread::scope(|scope| {
        let others: Vec<_> = others
            .iter_mut()
            .map(|model| scope.spawn(|| model.next_log_probabilities(rows)))
            .collect();
        let first = first.next_log_probabilities(rows);
        let others = others.into_iter().map(|thread| match thread.join() {
            Ok(answer) => answer,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        std::iter::once(first).chain(others).collect()
    })
}
