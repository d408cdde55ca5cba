//! Asking both models the questions whose answers are known, for tuning and diagnosis.

use std::path::PathBuf;

use super::open::{open_models, take_needed_priors, workers};
use super::score::{Ask, ask_each};
use super::{
    Environment, Error, Inputs, KnownQuestion, LocatedModels, MeansOf, Plan, Predictor, Scored,
    Task, locate, prompts,
};
use crate::catalog::EntityId;
use crate::config::Pipeline;
use crate::diagnostic::{At, Diagnostic, Diagnostics};
use crate::facts::Facts;
use crate::finetune::card::{CARD, Card};
use crate::lm::Ways;

/// A pipeline's questions with known answers, ready to be asked.
pub struct KnownQuestions<'e> {
    environment: &'e Environment,
    pipeline: Pipeline,
    /// Its subjects are those of the known questions.
    pub plan: Plan,
    /// The models that are asked.
    pub models: LocatedModels,
    /// What the finetuned model was trained on, if it says so.
    pub card: Option<Card>,
}

/// What both models give, by relation of the plan and subject of the relation.
pub type ScoredQuestions = Vec<Vec<Scored>>;

impl<'e> KnownQuestions<'e> {
    /// Reads the questions that `facts` answers; `entities` are tables with labels of their
    /// subjects, beside the pipeline's.
    ///
    /// # Errors
    /// Mistakes of the inputs and models, and facts that must not be used: those that the finetuned
    /// model was trained on.
    pub fn read(
        pipeline: Pipeline,
        environment: &'e Environment,
        entities: &[PathBuf],
        facts: &[PathBuf],
    ) -> Result<Self, Error> {
        let events = environment.events.as_ref();
        let (inputs, warnings) = Inputs::read_questions(&pipeline, entities, facts)?;
        events.warn(&warnings);
        let models = locate(&pipeline, environment.cache()?, events)?;
        let card = match models.finetuned_folder() {
            Some(folder) if folder.join(CARD).is_file() => Some(Card::read(folder)?),
            _ => None,
        };
        if let (Some(card), Some(facts)) = (&card, &inputs.gold) {
            untrained(card, facts)?;
        }
        let (plan, warnings) = Plan::new(&pipeline, inputs, models.prompter()?, &models)?;
        events.warn(&warnings);
        Ok(Self { environment, pipeline, plan, models, card })
    }

    /// Asks the questions, and before them for the models' mean predictions.
    ///
    /// # Errors
    /// Where a model cannot be loaded or fails; [`Error::Interrupted`] where the stop was set.
    pub fn ask(&mut self, means: MeansOf) -> Result<ScoredQuestions, Error> {
        self.ask_by(means, &Predictor::score)
    }

    /// The same for each way of [`lm::Ways`](crate::lm::Ways), from which every rule to rank by follows: by
    /// relation of the plan, subject of the relation, and model.
    ///
    /// # Errors
    /// Those of [`Self::ask`].
    pub fn ask_ways(&mut self) -> Result<Vec<Vec<Vec<Ways>>>, Error> {
        self.ask_by(MeansOf::CorrectedRelations, &Predictor::ways)
    }

    fn ask_by<T: Send>(&mut self, means: MeansOf, ask: &Ask<'_, T>) -> Result<Vec<Vec<T>>, Error> {
        let Self { environment, pipeline, plan, models, .. } = self;
        let events = environment.events.as_ref();
        let runtime = environment.runtime(pipeline.runtime.device)?;
        let size = plan.size(plan.tasks(&Default::default()));
        let mut predictors = open_models(pipeline, plan, models, runtime, size.prompts)?;
        let keep_nothing = &mut |_: &str, _| Ok(());
        take_needed_priors(pipeline, plan, &mut predictors, environment, means, keep_nothing)?;
        let workers = workers(pipeline);
        let subjects: Vec<&[EntityId]> =
            plan.relations.iter().map(|relation| &*relation.subjects).collect();
        let progress = super::progress::begin(events, prompts(plan, &subjects));
        let stop = &environment.stop;
        let mut answers: Vec<Vec<T>> = subjects.iter().map(|_| Vec::new()).collect();
        let mut take = |task: &Task, mut own: Vec<T>, _| {
            answers[task.relation].append(&mut own);
            Ok(())
        };
        let with = (&mut predictors[..], workers);
        ask_each(plan, &subjects, with, &progress, stop, ask, &mut take)?;
        Ok(answers)
    }

    /// The questions with both models' distributions and their answers, by relation of the plan.
    pub fn known(&self, scored: ScoredQuestions) -> Vec<Vec<KnownQuestion>> {
        let relations = self.plan.relations.iter().zip(scored);
        relations.map(|(relation, scored)| self.plan.known_questions(relation, scored)).collect()
    }
}

/// Facts that a model was trained on say nothing about what it knows of others.
fn untrained(card: &Card, facts: &Facts) -> Result<(), Diagnostics> {
    let trained: Vec<(&str, &str)> = facts
        .relations()
        .flat_map(|relation| facts.questions(relation).map(move |(subject, _)| (subject, relation)))
        .filter(|(subject, relation)| card.is_trained(subject, relation))
        .collect();
    let Some((subject, relation)) = trained.first() else { return Ok(()) };
    let message = format!(
        "{} of the {} questions were trained by the finetuned model, as <{subject}> for \
         <{relation}>",
        trained.len(),
        facts.len()
    );
    let help = "name facts that it has not seen; its training.json lists those that it has";
    let mut mistake = Diagnostic::error("trained-facts", message).help(help);
    if let Some(file) = facts.files().first() {
        mistake = mistake.at(file, At::File);
    }
    Err(mistake.into())
}
