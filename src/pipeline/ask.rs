//! Questions, asked without a graph.

use std::sync::Arc;

use super::asking::Asking;
use super::open::{take_needed_priors, workers};
use super::select::{Triple, select};
use super::{Error, MeansOf, Plan, PlannedJob, Predictor, RelationPlan, Selected, blocks};
use crate::catalog::EntityId;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::graph::DoneChunks;
use crate::lm::{CandidateIndex, Demand};
use crate::shock::Pair;

/// A candidate as the answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedObject {
    /// The IRI of an entity, the text of a value.
    pub object: String,
    /// What it is called.
    pub label: String,
    /// The calibrated probability that it is right, 0 to 1.
    pub confidence: f64,
    /// The finetuned model's probability of it, 0 to 1, where that model is asked.
    pub finetuned: Option<f64>,
    /// The base model's, where that is asked.
    pub base: Option<f64>,
}

/// What was answered to a question.
#[derive(Clone, Debug, PartialEq)]
pub struct AnsweredQuestion {
    /// The subject's IRI.
    pub subject: String,
    /// The relation's IRI.
    pub relation: String,
    /// The best candidates, the best first.
    pub objects: Vec<RankedObject>,
}

/// By relation of the plan, whose subjects are asked about.
type Asked = Vec<Arc<[EntityId]>>;

impl PlannedJob<'_> {
    /// Asks for a subject's objects, both by their IRIs: the `most` best candidates, the best first,
    /// whatever their confidence. Nothing is written.
    ///
    /// The models stay open for the next question.
    ///
    /// # Errors
    /// Where the pipeline does not ask this, or a model cannot be loaded or fails.
    pub fn ask(
        &mut self,
        subject: &str,
        relation: &str,
        most: usize,
    ) -> Result<Vec<RankedObject>, Error> {
        let mut answered = self.ask_about(&[subject], &[relation], most)?;
        Ok(answered.pop().map(|answered| answered.objects).unwrap_or_default())
    }

    /// The same of many subjects at once, by many relations, by all that fit where none is named: by relation, in
    /// the order of their IRIs, and by subject, in the order of the tables.
    ///
    /// # Errors
    /// Where the pipeline does not ask this, or a model cannot be loaded or fails; [`Error::Interrupted`] where
    /// the stop was set.
    pub fn ask_about(
        &mut self,
        subjects: &[&str],
        relations: &[&str],
        most: usize,
    ) -> Result<Vec<AnsweredQuestion>, Error> {
        let asked = self.asked(subjects, relations)?;
        let mut predictors = match self.asking.take() {
            Some(predictors) => predictors,
            None => self.open_to_ask(&asked)?,
        };
        let answered = self.answers(asked, most, &mut predictors);
        self.asking = Some(predictors);
        answered
    }

    /// The models, with what questions are asked with.
    fn open_to_ask(&mut self, asked: &Asked) -> Result<Vec<Predictor>, Error> {
        let prompts = asked.iter().zip(&self.plan.relations);
        let prompts = prompts.map(|(subjects, of)| subjects.len() * of.templates.len()).sum();
        let mut opened = self.predictors(prompts)?;
        let (of, keep) = (MeansOf::CorrectedRelations, &mut |_: &str, _| Ok(()));
        take_needed_priors(
            &self.pipeline,
            &mut self.plan,
            &mut opened,
            self.environment,
            of,
            keep,
        )?;
        Ok(opened)
    }

    /// Asks as a run does, of a plan that has these questions alone.
    fn answers(
        &mut self,
        asked: Asked,
        most: usize,
        predictors: &mut [Predictor],
    ) -> Result<Vec<AnsweredQuestion>, Error> {
        let plan = &mut self.plan;
        let groups = std::mem::replace(&mut plan.groups, blocks::groups(asked.iter()));
        let written: Vec<Demand> = plan.relations.iter().map(|of| of.rankings.mixed).collect();
        for relation in &mut plan.relations {
            let asked = &mut relation.rankings.mixed;
            *asked = Demand { most, threshold: 0.0, ..*asked };
        }
        let asking = Asking {
            plan,
            workers: workers(&self.pipeline),
            events: self.environment.events.as_ref(),
            stop: &self.environment.stop,
        };
        let selected = ask_all(&asking, predictors);
        plan.groups = groups;
        for (relation, written) in plan.relations.iter_mut().zip(written) {
            relation.rankings.mixed = written;
        }
        let mut answered: Vec<Vec<AnsweredQuestion>> = Vec::new();
        answered.resize_with(plan.relations.len(), Vec::new);
        for selected in selected? {
            answered[selected.task.relation].extend(plan.answered(&selected));
        }
        Ok(answered.into_iter().flatten().collect())
    }

    /// The subjects that are asked about, by relation of the plan.
    fn asked(&self, subjects: &[&str], relations: &[&str]) -> Result<Asked, Diagnostics> {
        let plan = &self.plan;
        for relation in relations {
            if !plan.relations.iter().any(|planned| &*planned.iri == *relation) {
                let known = plan.relations.iter().map(|planned| &*planned.iri);
                return Err(unknown("relation", relation, nearest(relation, known)));
            }
        }
        let mut ids = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let known =
                || (0..plan.subjects.len() as u32).map(|id| plan.subjects.iri(EntityId(id)));
            let id = plan.subjects.find(subject);
            ids.push(id.ok_or_else(|| unknown("subject", subject, nearest(subject, known())))?);
        }
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let mut asked = Asked::new();
        for planned in &plan.relations {
            let is_named = relations.contains(&&*planned.iri);
            if !is_named && !relations.is_empty() {
                asked.push(Arc::default());
                continue;
            }
            // In the table's order, which is that of the numbers.
            let fits = |id: &EntityId| planned.subjects.binary_search(id).is_ok();
            if let Some(other) = sorted.iter().find(|id| is_named && !fits(id)) {
                return Err(not_of_domain(plan.subjects.iri(*other), &planned.iri));
            }
            asked.push(sorted.iter().copied().filter(fits).collect());
        }
        Ok(asked)
    }
}

/// Asks all questions of a plan.
fn ask_all(asking: &Asking<'_>, predictors: &mut [Predictor]) -> Result<Vec<Selected>, Error> {
    let (plan, done) = (asking.plan, DoneChunks::default());
    let chunks = plan.tasks(&done).count();
    let mut answered = Vec::with_capacity(chunks);
    let take = |selected: Selected| {
        answered.push(selected);
        Ok(())
    };
    asking.ask(predictors, &done, |predicted| select(plan, predicted), take)?;
    if answered.len() < chunks {
        return Err(Error::Interrupted);
    }
    answered.sort_by_key(|selected| (selected.task.relation, selected.task.index));
    Ok(answered)
}

impl Plan {
    /// What was answered to a chunk's questions.
    fn answered(&self, selected: &Selected) -> Vec<AnsweredQuestion> {
        let relation = &self.relations[selected.task.relation];
        let object = |triple: &Triple| {
            self.ranked(relation, triple.object, triple.confidence, triple.models)
        };
        let of = |&subject: &EntityId| AnsweredQuestion {
            subject: self.subjects.iri(subject).to_owned(),
            relation: relation.iri.to_string(),
            objects: selected.triples.iter().filter(|t| t.subject == subject).map(object).collect(),
        };
        selected.task.subjects.iter().map(of).collect()
    }

    /// A relation's candidate as an answer.
    pub(super) fn ranked(
        &self,
        relation: &RelationPlan,
        object: CandidateIndex,
        confidence: f64,
        models: Pair<f64>,
    ) -> RankedObject {
        RankedObject {
            object: self.object(relation, object).into_owned(),
            label: self.label(relation, object).into_owned(),
            confidence,
            finetuned: self.asked.finetuned.then_some(models.finetuned),
            base: self.asked.base.then_some(models.base),
        }
    }
}

fn not_of_domain(subject: &str, relation: &str) -> Diagnostics {
    let message =
        format!("the pipeline does not ask about <{subject}> by the relation <{relation}>");
    let help = "its types are not of the relation's domain, or what is known of it is not asked";
    Diagnostic::error("unknown-question", message).help(help).into()
}

fn unknown(what: &str, iri: &str, near: Option<&str>) -> Diagnostics {
    let message = format!("the pipeline does not ask about the {what} <{iri}>");
    let help = match near {
        Some(near) => format!("did you mean <{near}>?"),
        None => "name one of those that its ontology and tables have".to_owned(),
    };
    Diagnostic::error("unknown-question", message).help(help).into()
}
