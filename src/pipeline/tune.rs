//! Tuning a pipeline's numbers on questions with known answers.

use std::sync::Arc;

use rayon::prelude::*;

use super::{Error, Job, KnownQuestion, KnownQuestions, MeansOf, Plan, RelationPlan, tuned};
use crate::config::{self, Pipeline, TunedFile};
use crate::diagnostic::{At, Diagnostic, Diagnostics, Place};
use crate::files::{WriteError, unwritable, write_whole};
use crate::lm;
use crate::shock::tune::{self, Aim, GridScores, MixingWeights, Numbers, TuneSettings, Tuning};
use crate::shock::{Correction, MeanRemoval, MixingRule, Mixture, Prior, Question};

/// The shares of the finetuned model's shift that are tried where one is removed.
const TAUS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// The shares of the mean prediction that are tried.
const MEANS: [f64; 4] = [0.0, 0.2, 0.35, 0.5];

impl RelationPlan {
    /// The relation's correction with other weights.
    pub fn correction_with(&self, weights: MixingWeights) -> Correction {
        let MixingWeights { lambda, tau, mean: share } = weights;
        let rule = match self.correction.rule {
            MixingRule::None => MixingRule::None,
            MixingRule::Linear { .. } => MixingRule::Linear { lambda },
            MixingRule::LogLinear { mixing, .. } => MixingRule::LogLinear { lambda, mixing },
        };
        let prior = self.correction.prior.as_ref();
        let mean = self.correction.mean.as_ref();
        Correction {
            prior: prior.map(|p| Prior { tau, shift: Arc::clone(&p.shift) }),
            rule,
            mean: mean.map(|m| MeanRemoval { share, means: Arc::clone(&m.means) }),
        }
    }

    /// A question's mixture over the candidates, corrected with the given weights.
    pub fn mix(&self, question: &Question<'_>, weights: MixingWeights) -> Mixture {
        let correction = self.correction_with(weights);
        if let Some(windows) = question.windows {
            let both = question.finetuned.iter().zip(question.base);
            let names: Vec<f64> = both.map(|(&f, &b)| correction.rule.mix(f, b)).collect();
            return Mixture::of_windows(windows, &names);
        }
        lm::mix(&self.space, &correction, question.excluded, question.finetuned, question.base)
    }

    /// The numbers that it has now.
    pub fn numbers(&self) -> Numbers {
        let lambda = self.correction.rule.lambda();
        Numbers {
            weights: MixingWeights { lambda, tau: self.tau.unwrap_or(0.0), mean: self.mean },
            calibration: self.rankings.mixed.calibration,
            threshold: self.rankings.mixed.threshold,
        }
    }
}

/// Chooses numbers for every relation of the plan on its known questions, which are by relation;
/// thresholds for `aim`.
/// `None` where all relations together have fewer than `min_questions` that can be answered.
pub fn tune(
    plan: &Plan,
    known: &[Vec<KnownQuestion>],
    min_questions: usize,
    aim: Aim,
) -> Option<Tuning> {
    let removes_shift = plan.relations.iter().any(|relation| relation.tau.is_some());
    let mixes = plan.relations.iter().any(|r| r.correction.rule != MixingRule::None);
    let settings = TuneSettings {
        taus: if removes_shift { TAUS.to_vec() } else { vec![0.0] },
        means: MEANS.to_vec(),
        aim,
        lambdas: if mixes { TuneSettings::default().lambdas } else { vec![1.0] },
        min_questions,
    };
    let mixers: Vec<_> = plan
        .relations
        .iter()
        .map(|relation| {
            move |question: &Question<'_>, weights: MixingWeights| relation.mix(question, weights)
        })
        .collect();
    let relations: Vec<tune::RelationQuestions<'_>> = plan
        .relations
        .iter()
        .zip(known)
        .zip(&mixers)
        .map(|((relation, known), mix)| tune::RelationQuestions {
            questions: known.iter().map(KnownQuestion::question).collect(),
            most: relation.rankings.mixed.most,
            untuned: relation.numbers(),
            mix,
        })
        .collect();
    let grid = settings.grid();
    let scores: Vec<GridScores> =
        relations.par_iter().map(|relation| GridScores::of(relation, &grid)).collect();
    tune::tune(&relations, &scores, &settings)
}

/// A plan with the numbers that were chosen for its relations, which are in the pipeline's file of
/// tuned numbers.
pub struct TunedPlan {
    /// What was asked.
    pub plan: Plan,
    /// The numbers, in the plan's order.
    pub chosen: Tuning,
}

impl Job<'_> {
    /// Chooses the pipeline's numbers on the held-out facts that its `[tuning]` names, and writes
    /// them to the file that it names.
    ///
    /// # Errors
    /// Mistakes of the inputs, facts that must not be tuned on, and what keeps the models from being
    /// asked; [`Error::Interrupted`] where the stop was set. Nothing was written then.
    pub fn tune(self) -> Result<TunedPlan, Error> {
        let pipeline = self.pipeline.clone();
        let tuning = pipeline.tuning.as_ref().ok_or_else(|| no_section(&pipeline))?;
        if let Some(mistake) = unwritable("tuning.file", &tuning.file) {
            return Err(at(&tuning.place, mistake));
        }
        TunedFile::replaceable(&tuning.file)?;
        tuned::untested(&pipeline, tuning)?;
        let mut questions = self.questions(&tuning.facts, &tuning.entities)?;
        let answerable = questions.plan.answerable();
        if answerable < tuning.min_facts {
            return Err(too_few(tuning, answerable));
        }
        let scored = questions.ask(MeansOf::AllRelations)?;
        let known = questions.known(scored);
        let KnownQuestions { plan, models, .. } = questions;
        let chosen = tune(&plan, &known, tuning.min_facts, pipeline.aim);
        let chosen = chosen.ok_or_else(|| too_few(tuning, answerable))?;
        let made_from = tuned::made_from(&pipeline, &models)?;
        let numbers = tuned::file_of(&pipeline, &plan, &chosen, made_from);
        let text = numbers.to_text().map_err(std::io::Error::other);
        let text = text.map_err(WriteError::of(&tuning.file))?;
        write_whole(&tuning.file, text.as_bytes())?;
        Ok(TunedPlan { plan, chosen })
    }
}

fn no_section(pipeline: &Pipeline) -> Diagnostics {
    let message = "the pipeline does not say what to tune on";
    let help = "add `[tuning]` with `facts = \"…\"`, tables of held-out facts, and `file = \"…\"`, \
                where the numbers go";
    let mistake = Diagnostic::error("no-tuning", message).help(help);
    mistake.at(&pipeline.file, At::File).into()
}

fn too_few(tuning: &config::TuningSettings, answerable: usize) -> Error {
    let message = format!(
        "{answerable} of the held-out questions can be answered, and tuning takes {} at least",
        tuning.min_facts
    );
    let help = "name more facts, whose objects are candidates; or lower `tuning.min_facts`";
    at(&tuning.facts_place, Diagnostic::error("too-few-facts", message).help(help))
}

fn at(place: &Place, mistake: Diagnostic) -> Error {
    Diagnostics::from(Diagnostic { place: Some(place.clone()), ..mistake }).into()
}
