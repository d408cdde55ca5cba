//! One question, asked without a graph.

use super::open::take_needed_priors;
use super::select::select;
use super::{Error, MeansOf, PlannedJob, Task, encode};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::lm::Demand;

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
        let (index, id) = self.question(subject, relation)?;
        let mut predictor = match self.asking.take() {
            Some(predictor) => predictor,
            None => {
                let mut opened = self.predictors(1)?;
                take_needed_priors(
                    &self.pipeline,
                    &mut self.plan,
                    &mut opened,
                    self.environment,
                    MeansOf::CorrectedRelations,
                    &mut |_, _| Ok(()),
                )?;
                opened.swap_remove(0)
            }
        };
        let plan = &mut self.plan;
        let written = plan.relations[index].rankings.mixed;
        plan.relations[index].rankings.mixed = Demand { most, threshold: 0.0, ..written };
        let task = Task { relation: index, index: 0, subjects: vec![id] };
        let predicted =
            encode(plan, task).and_then(|encoded| predictor.predict(plan, vec![encoded]));
        plan.relations[index].rankings.mixed = written;
        self.asking = Some(predictor);
        let asked = plan.asked;
        let selected = select(plan, predicted?.swap_remove(0));
        let object = |triple: &super::select::Triple| RankedObject {
            object: plan.object(&plan.relations[index], triple.object).into_owned(),
            label: plan.label(&plan.relations[index], triple.object).into_owned(),
            confidence: triple.confidence,
            finetuned: asked.finetuned.then_some(triple.models.finetuned),
            base: asked.base.then_some(triple.models.base),
        };
        Ok(selected.triples.iter().map(object).collect())
    }

    /// The relation's place in the plan, and the subject.
    fn question(
        &self,
        subject: &str,
        relation: &str,
    ) -> Result<(usize, crate::catalog::EntityId), Diagnostics> {
        let plan = &self.plan;
        let place = plan.relations.iter().position(|planned| &*planned.iri == relation);
        let place = place.ok_or_else(|| {
            let known = plan.relations.iter().map(|planned| &*planned.iri);
            unknown("relation", relation, nearest(relation, known))
        })?;
        let planned = &plan.relations[place];
        let id = plan.subjects.find(subject).filter(|id| planned.subjects.contains(id));
        let id = id.ok_or_else(|| {
            let known = planned.subjects.iter().map(|&id| plan.subjects.iri(id));
            unknown("subject", subject, nearest(subject, known))
        })?;
        Ok((place, id))
    }
}

fn unknown(what: &str, iri: &str, near: Option<&str>) -> Diagnostics {
    let message = format!("the pipeline does not ask about the {what} <{iri}>");
    let help = match near {
        Some(near) => format!("did you mean <{near}>?"),
        None => "name one of those that its ontology and tables have".to_owned(),
    };
    Diagnostic::error("unknown-question", message).help(help).into()
}
