//! Asking both models the questions whose answers are known, for tuning and diagnosis.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::failure::{Failure, show};
use super::models::{model_failure, open_models, workers};
use super::say::say;
use crate::catalog::EntityId;
use crate::config::Pipeline;
use crate::diagnostic::{At, Diagnostic, Diagnostics};
use crate::facts::Facts;
use crate::fetch::Cache;
use crate::finetune::card::{CARD, Card};
use crate::pipeline::{self, Distributions, Inputs, KnownQuestion, LocatedModels, Plan, Progress};
use crate::runtime::Runtime;

/// A pipeline's questions with known answers, ready to be asked.
pub struct Known {
    /// Its subjects are those of the known questions.
    pub plan: Plan,
    /// The models that are asked.
    pub models: LocatedModels,
    /// What the finetuned model was trained on, if it says so.
    pub card: Option<Card>,
}

/// Both models' distributions, by relation of the plan and subject of the relation.
pub type Scored = Vec<Vec<Distributions>>;

impl Known {
    /// Reads the questions that `facts` answers; `entities` are tables with labels of their
    /// subjects, beside the pipeline's.
    ///
    /// # Errors
    /// Mistakes of the inputs and models, and facts that must not be used: those that the finetuned
    /// model was trained on.
    pub fn read(
        pipeline: &Pipeline,
        entities: &[PathBuf],
        facts: &[PathBuf],
        cache: &Cache,
    ) -> Result<Self, Failure> {
        let (inputs, warnings) = Inputs::read_questions(pipeline, entities, facts)?;
        show(&warnings);
        let models = pipeline::locate(pipeline, cache, &mut say).map_err(Failure::bad_input)?;
        let card = match models.finetuned_folder() {
            Some(folder) if folder.join(CARD).is_file() => {
                Some(Card::read(folder).map_err(Failure::bad_input)?)
            }
            _ => None,
        };
        if let (Some(card), Some(facts)) = (&card, &inputs.gold) {
            untrained(card, facts)?;
        }
        let prompter = models.prompter().map_err(Failure::bad_input)?;
        let (plan, warnings) = Plan::new(pipeline, inputs, prompter, models.context)?;
        show(&warnings);
        Ok(Self { plan, models, card })
    }

    /// Asks the questions, and before them what a correction needs to know of the models' mean
    /// predictions. Nothing where `stop` was set.
    ///
    /// # Errors
    /// Where a model cannot be loaded or fails.
    pub fn ask(
        &mut self,
        pipeline: &Pipeline,
        runtime: &Runtime,
        quiet: bool,
        stop: &AtomicBool,
    ) -> Result<Option<Scored>, Failure> {
        let plan = &mut self.plan;
        let chunks = plan.size(plan.tasks(&Default::default())).chunks;
        let mut predictors = open_models(pipeline, plan, &self.models, runtime, chunks)?;
        let workers = workers(pipeline);
        if pipeline.correction.removes_shift() {
            say("taking the models' mean predictions");
            let done = pipeline::take_priors(plan, &mut predictors, workers, quiet, stop);
            if !done.map_err(model_failure)? {
                return Ok(None);
            }
        }
        let subjects: Vec<&[EntityId]> =
            plan.relations.iter().map(|relation| relation.subjects.as_slice()).collect();
        let progress = Progress::new(pipeline::prompts(plan, &subjects), quiet);
        let scored = pipeline::score(plan, &subjects, &mut predictors, workers, &progress, stop);
        progress.finish();
        scored.map_err(model_failure)
    }

    /// The questions with both models' distributions and their answers, by relation of the plan.
    pub fn questions(&self, scored: Scored) -> Vec<Vec<KnownQuestion>> {
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
