//! Ways to answer questions with known answers, side by side: the models and the corrections.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::config::{self, Pipeline};
use crate::lm;
use crate::pipeline::{KnownQuestion, Plan, RelationPlan};
use crate::shock::diagnosis::{self, CurvePoint, Diagnosis, RelationAnswers};
use crate::shock::tune::{MixingWeights, TuneSettings};
use crate::shock::{Correction, Mixing, MixingRule, Mixture, Prior, Priors, Question, Shift};

/// A way to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// The base model alone.
    Base,
    /// The finetuned model alone.
    Finetuned,
    /// Both, mixed linearly.
    Linear,
    /// Both, mixed log-linearly.
    LogLinear,
    /// The finetuned model without a share of its shift, then both mixed: as the pipeline's prior
    /// correction says, else log-linearly.
    Prior,
}

impl System {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 5] =
        [Self::Base, Self::Finetuned, Self::Linear, Self::LogLinear, Self::Prior];

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Finetuned => "finetuned",
            Self::Linear => "linear",
            Self::LogLinear => "log-linear",
            Self::Prior => "prior",
        }
    }

    /// How a pipeline with this correction answers.
    pub fn of(correction: config::CorrectionMethod) -> Self {
        match correction {
            config::CorrectionMethod::None => Self::Finetuned,
            config::CorrectionMethod::Linear => Self::Linear,
            config::CorrectionMethod::LogLinear(_) => Self::LogLinear,
            config::CorrectionMethod::PriorLinear | config::CorrectionMethod::PriorLogLinear(_) => {
                Self::Prior
            }
        }
    }

    /// Its place in [`Self::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// λ of a pipeline that does not mix, where it is asked what mixing would do.
pub const UNSAID_LAMBDA: f64 = 0.5;

/// What is seen.
pub struct Diagnosed {
    /// Systems in the order of [`System::ALL`], relations in that of the plan.
    pub diagnosis: Diagnosis,
    /// By relation, the weights of its corrections.
    pub weights: Vec<MixingWeights>,
    /// All relations together along λ, without prior: mixed linearly and log-linearly.
    pub curves: [Vec<CurvePoint>; 2],
}

/// Answers the plan's known questions by every system and counts. `training` says by relation and
/// candidate of how many training facts it is the object.
///
/// The shift that [`System::Prior`] removes is the pipeline's where its correction removes one.
/// Elsewhere it is that of the mean predictions over the questions themselves, which uses none of
/// their answers.
pub fn answer_all(
    pipeline: &Pipeline,
    plan: &Plan,
    known: &[Vec<KnownQuestion>],
    training: &[Vec<u64>],
) -> Diagnosed {
    let lambdas = TuneSettings::default().lambdas;
    let relations: Vec<(&RelationPlan, &Vec<KnownQuestion>, &Vec<u64>)> =
        plan.relations.iter().zip(known).zip(training).map(|((r, k), t)| (r, k, t)).collect();
    let seen: Vec<_> = relations
        .par_iter()
        .map(|(relation, known, training)| {
            let systems = Systems::new(pipeline, relation, known);
            let questions: Vec<Question<'_>> = known.iter().map(KnownQuestion::question).collect();
            let answers: Vec<_> = System::ALL
                .into_iter()
                .map(|system| {
                    let systems = &systems;
                    move |question: &Question<'_>| systems.answer(system, question)
                })
                .collect();
            let seen = diagnosis::diagnose(&RelationAnswers {
                questions: &questions,
                training,
                natural: None,
                sums: &|names| relation.space.names().sum(names),
                systems: answers.iter().map(|answer| answer as _).collect(),
            });
            let curves = [System::Linear, System::LogLinear].map(|system| {
                diagnosis::lambda_curve(&questions, &lambdas, &|question, lambda| {
                    systems.mix(&systems.rule(system, lambda).into(), question).masses
                })
            });
            (seen, systems.weights, curves)
        })
        .collect();
    let nothing = |&lambda: &f64| CurvePoint::nothing(lambda);
    let mut curves = [(); 2].map(|()| lambdas.iter().map(nothing).collect::<Vec<_>>());
    let (mut of_relations, mut weights) = (Vec::new(), Vec::new());
    for (seen, own_weights, own_curves) in seen {
        of_relations.push(seen);
        weights.push(own_weights);
        for (sum, point) in curves.iter_mut().flatten().zip(own_curves.iter().flatten()) {
            sum.add(point);
        }
    }
    Diagnosed { diagnosis: Diagnosis::of(of_relations, System::ALL.len()), weights, curves }
}

/// How often each object was trained: by the relation's IRI, then the object's.
pub type ObjectCounts = BTreeMap<String, BTreeMap<String, u64>>;

impl Plan {
    /// How often each candidate was trained, by relation and candidate.
    pub fn training_counts(&self, counts: &ObjectCounts) -> Vec<Vec<u64>> {
        let of_relation = |relation: &RelationPlan| {
            let mut of = vec![0; relation.candidates.len()];
            for (object, count) in counts.get(&*relation.iri).into_iter().flatten() {
                if let Some(candidate) = self.candidate(relation, object) {
                    of[candidate as usize] += count;
                }
            }
            of
        };
        self.relations.iter().map(of_relation).collect()
    }
}

/// A relation's ways to answer.
struct Systems<'p> {
    relation: &'p RelationPlan,
    weights: MixingWeights,
    /// Where log-linear mixing takes place.
    mixing: Mixing,
    /// How what is left of the finetuned model is mixed under [`System::Prior`].
    after_prior: System,
    shift: Arc<Shift>,
}

impl<'p> Systems<'p> {
    fn new(pipeline: &Pipeline, relation: &'p RelationPlan, known: &[KnownQuestion]) -> Self {
        let lambda = match pipeline.correction {
            config::CorrectionMethod::None => UNSAID_LAMBDA,
            _ => pipeline.lambda(&relation.iri),
        };
        let mixing = match pipeline.correction {
            config::CorrectionMethod::LogLinear(mixing)
            | config::CorrectionMethod::PriorLogLinear(mixing) => mixing,
            _ => Mixing::Branching,
        };
        let after_prior = match pipeline.correction {
            config::CorrectionMethod::PriorLinear => System::Linear,
            _ => System::LogLinear,
        };
        let shift = match &relation.correction.prior {
            Some(prior) => Arc::clone(&prior.shift),
            None => {
                let distributions = known.iter().map(|question| &question.distributions);
                let priors = Priors::mean(relation.space.names().names(), distributions);
                Arc::new(relation.space.shift(&priors))
            }
        };
        let tau = pipeline.tau(&relation.iri);
        let mean = pipeline.mean(&relation.iri, relation.candidates.len());
        let weights = MixingWeights { lambda, tau, mean };
        Self { relation, weights, mixing, after_prior, shift }
    }

    fn answer(&self, system: System, question: &Question<'_>) -> Mixture {
        let MixingWeights { lambda, tau, .. } = self.weights;
        match system {
            System::Base => {
                let alone = Question { finetuned: question.base, ..*question };
                self.mix(&MixingRule::None.into(), &alone)
            }
            System::Prior => {
                let prior = Some(Prior { tau, shift: Arc::clone(&self.shift) });
                let rule = self.rule(self.after_prior, lambda);
                self.mix(&Correction { prior, ..rule.into() }, question)
            }
            system => self.mix(&self.rule(system, lambda).into(), question),
        }
    }

    fn rule(&self, system: System, lambda: f64) -> MixingRule {
        match system {
            System::Linear => MixingRule::Linear { lambda },
            System::LogLinear => MixingRule::LogLinear { lambda, mixing: self.mixing },
            _ => MixingRule::None,
        }
    }

    fn mix(&self, correction: &Correction, question: &Question<'_>) -> Mixture {
        let Question { excluded, finetuned, base, .. } = *question;
        lm::mix(&self.relation.space, correction, excluded, finetuned, base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_have_their_places() {
        assert!(System::ALL.iter().enumerate().all(|(at, system)| system.index() == at));
        let own = |correction| System::of(correction).name();
        assert_eq!(own(config::CorrectionMethod::None), "finetuned");
        assert_eq!(own(config::CorrectionMethod::LogLinear(Mixing::Candidate)), "log-linear");
        assert_eq!(own(config::CorrectionMethod::PriorLinear), "prior");
    }
}
