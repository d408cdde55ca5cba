//! The diagnosis of Frequency Shock: what finetuning did to how often each object is predicted.
//!
//! A *system* is a way to answer: the base model, the finetuned model, a correction. Each question
//! with an object is answered by every system's best candidate. The *shock* of an object is how
//! much more frequent it was among the training facts than the base model expected; Frequency Shock
//! is there if objects are over-predicted the more, the larger their shock.
//!
//! Invariant: all vectors by system have the order of the systems given, and all vectors by
//! question that of the questions that have objects. No number is infinite or NaN.

mod bands;

use serde::Serialize;

pub use bands::{Band, Bands, COMMON};

use super::calibration::Evidence;
use super::correlation::Correlation;
use super::logspace::log_sum_exp;
use super::mixture::Mixture;
use super::question::{Candidate, Question};

/// What is added to counts before a ratio of them is taken (Krichevsky and Trofimov's half), so
/// that what never occurs is neither impossible nor infinitely over-predicted.
pub const HALF: f64 = 0.5;

/// How a system answers a question.
pub type System<'a> = dyn Fn(&Question<'_>) -> Mixture + Sync + 'a;

/// A relation to be diagnosed.
pub struct RelationAnswers<'a> {
    /// Its held-out questions; those without objects are left out.
    pub questions: &'a [Question<'a>],
    /// By candidate, of how many training facts it is the object.
    pub training: &'a [u64],
    /// By candidate, how many natural facts it is the object of, where more are known than the
    /// questions'; else the questions' own objects say what is natural.
    pub natural: Option<&'a [u64]>,
    /// By candidate, ln of what its names have together of what is given by name.
    pub sums: &'a (dyn Fn(&[f64]) -> Vec<f64> + Sync),
    /// The systems, in the same order for every relation.
    pub systems: Vec<&'a System<'a>>,
}

/// An object of a relation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entity {
    /// Index in the relation's answer space.
    pub candidate: Candidate,
    /// Of how many training facts it is the object.
    pub training: u64,
    /// The same as a share of the relation's training facts; 0 where there are none.
    pub q_train: f64,
    /// Its share of the relation's natural facts.
    pub natural: f64,
    /// The base model's mean probability of it over the questions.
    pub base_prior: f64,
    /// The finetuned model's.
    pub finetuned_prior: f64,
    /// ln(q_train / q_base), both smoothed as shares of (count + ½) among all candidates, q_base
    /// with the count of questions that the base model expects it to answer:
    /// ln((n + ½) / (N + C/2)) − ln((M·π_b + ½) / (M + C/2)) with n of N training facts, M
    /// questions, C candidates. 0 where there are no training facts.
    pub shock: f64,
    /// How many questions it is the answer to; with several right objects each counts its share.
    pub gold: f64,
    /// By system, how many of these have a right first answer.
    pub right: Vec<f64>,
    /// By system, how many questions it is the first answer to.
    pub predicted: Vec<usize>,
}

impl Entity {
    /// ln((predicted + ½) / (gold + ½)) by a system: above 0 where it is over-predicted.
    pub fn over_prediction(&self, system: usize) -> f64 {
        ((self.predicted[system] as f64 + HALF) / (self.gold + HALF)).ln()
    }
}

/// How a system answered a relation's questions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SystemAnswers {
    /// By question, the rank from 1 of the best right candidate, nothing if none is right; 1 is a
    /// right answer.
    pub ranks: Vec<Option<usize>>,
    /// By question, what is known of the best candidate.
    pub evidence: Vec<Evidence>,
}

/// What is seen in a relation, or in all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many questions have objects.
    pub questions: usize,
    /// How many objects they have outside the answer space.
    pub outside: usize,
    /// How many facts the finetuned model was trained on whose objects are candidates.
    pub training_facts: u64,
    /// Entities in bands.
    pub bands: Bands,
    /// By system, how an entity's over-prediction goes with its shock.
    pub shock: Vec<Option<Correlation>>,
}

/// What is seen in a relation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RelationDiagnosis {
    /// In short.
    pub summary: Summary,
    /// The entities that training, gold or a prediction names, by index.
    pub entities: Vec<Entity>,
    /// By system.
    pub answers: Vec<SystemAnswers>,
}

/// What is seen in all relations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnosis {
    /// In short. Correlations are over the entities of all relations.
    pub summary: Summary,
    /// By relation, as given.
    pub relations: Vec<RelationDiagnosis>,
}

impl Diagnosis {
    /// Joins what was seen in relations, all with the same systems.
    pub fn of(relations: Vec<RelationDiagnosis>, systems: usize) -> Self {
        let entities = || relations.iter().flat_map(|relation| &relation.entities);
        let sum = |of: fn(&Summary) -> usize| relations.iter().map(|r| of(&r.summary)).sum();
        let summary = Summary {
            questions: sum(|summary| summary.questions),
            outside: sum(|summary| summary.outside),
            training_facts: relations.iter().map(|r| r.summary.training_facts).sum(),
            bands: bands(entities(), systems),
            shock: correlations(entities(), systems),
        };
        Self { summary, relations }
    }
}

/// Diagnoses a relation.
pub fn diagnose(relation: &RelationAnswers<'_>) -> RelationDiagnosis {
    let questions: Vec<&Question<'_>> =
        relation.questions.iter().filter(|question| question.objects() > 0).collect();
    let systems = relation.systems.len();
    let mut entities = Entities::new(relation, &questions);
    let mut answers = Vec::with_capacity(systems);
    for (system, answer) in relation.systems.iter().enumerate() {
        let mut own = SystemAnswers { ranks: Vec::new(), evidence: Vec::new() };
        for question in &questions {
            let mixed = answer(question);
            let best = question.best(&mixed.masses);
            entities.count(system, question, best);
            own.ranks.push(question.rank(&mixed.masses));
            own.evidence.push(best.map_or(Evidence::NONE, |best| mixed.evidence(best)));
        }
        answers.push(own);
    }
    let entities = entities.named();
    let summary = Summary {
        questions: questions.len(),
        outside: questions.iter().map(|question| question.outside).sum(),
        training_facts: relation.training.iter().sum(),
        bands: bands(entities.iter(), systems),
        shock: correlations(entities.iter(), systems),
    };
    RelationDiagnosis { summary, entities, answers }
}

/// How right a mixing weight makes a relation's answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// λ, the share of the finetuned model.
    pub lambda: f64,
    /// How many questions have a right first answer.
    pub right: usize,
    /// Of how many with objects.
    pub questions: usize,
    /// The sum of their reciprocal ranks.
    pub reciprocal_ranks: f64,
}

impl CurvePoint {
    /// Of no question.
    pub fn nothing(lambda: f64) -> Self {
        Self { lambda, right: 0, questions: 0, reciprocal_ranks: 0.0 }
    }

    /// Adds the questions of another point at the same λ.
    pub fn add(&mut self, other: &Self) {
        self.right += other.right;
        self.questions += other.questions;
        self.reciprocal_ranks += other.reciprocal_ranks;
    }
}

/// P@1 and reciprocal rank of a relation's questions along the mixing weight; the points of
/// several relations may be added up.
pub fn lambda_curve(
    questions: &[Question<'_>],
    lambdas: &[f64],
    mix: &(dyn Fn(&Question<'_>, f64) -> Vec<f64> + Sync),
) -> Vec<CurvePoint> {
    let point = |&lambda: &f64| {
        let mut point = CurvePoint::nothing(lambda);
        for question in questions.iter().filter(|question| question.objects() > 0) {
            point.questions += 1;
            if let Some(rank) = question.rank(&mix(question, lambda)) {
                point.right += usize::from(rank == 1);
                point.reciprocal_ranks += 1.0 / rank as f64;
            }
        }
        point
    };
    lambdas.iter().map(point).collect()
}

/// All candidates of a relation, named or not.
struct Entities(Vec<Entity>);

impl Entities {
    fn new(relation: &RelationAnswers<'_>, questions: &[&Question<'_>]) -> Self {
        let candidates = relation.training.len();
        let systems = relation.systems.len();
        let mut gold = vec![0.0; candidates];
        let mut priors = [vec![0.0; candidates], vec![0.0; candidates]];
        for question in questions {
            for &object in question.gold {
                gold[object as usize] += 1.0 / question.objects() as f64;
            }
            for (prior, names) in priors.iter_mut().zip([question.finetuned, question.base]) {
                let ln_p = (relation.sums)(names);
                // A model's own masses sum to what it leaves to the candidates.
                let total = log_sum_exp(&ln_p);
                let share = |x: f64| if x == f64::NEG_INFINITY { 0.0 } else { (x - total).exp() };
                prior.iter_mut().zip(&ln_p).for_each(|(sum, &x)| *sum += share(x));
            }
        }
        let count = questions.len() as f64;
        let training_facts = relation.training.iter().sum::<u64>() as f64;
        let natural: Vec<f64> = match relation.natural {
            Some(natural) => natural.iter().map(|&n| n as f64).collect(),
            None => gold.clone(),
        };
        let natural_facts: f64 = natural.iter().sum();
        let share = |part: f64, all: f64| if all > 0.0 { part / all } else { 0.0 };
        let room = HALF * candidates as f64;
        let entity = |candidate: usize| {
            let training = relation.training[candidate] as f64;
            let expected = priors[1][candidate];
            let shock = ((training + HALF) / (training_facts + room)).ln()
                - ((expected + HALF) / (count + room)).ln();
            Entity {
                candidate: candidate as Candidate,
                training: relation.training[candidate],
                q_train: share(training, training_facts),
                natural: share(natural[candidate], natural_facts),
                base_prior: share(expected, count),
                finetuned_prior: share(priors[0][candidate], count),
                shock: if training_facts > 0.0 { shock } else { 0.0 },
                gold: gold[candidate],
                right: vec![0.0; systems],
                predicted: vec![0; systems],
            }
        };
        Self((0..candidates).map(entity).collect())
    }

    fn count(&mut self, system: usize, question: &Question<'_>, best: Option<Candidate>) {
        let Some(best) = best else { return };
        self.0[best as usize].predicted[system] += 1;
        if question.is_right(best) {
            for &object in question.gold {
                self.0[object as usize].right[system] += 1.0 / question.objects() as f64;
            }
        }
    }

    fn named(self) -> Vec<Entity> {
        let named = |entity: &Entity| {
            entity.training > 0 || entity.gold > 0.0 || entity.predicted.iter().any(|&n| n > 0)
        };
        self.0.into_iter().filter(named).collect()
    }
}

fn bands<'e>(entities: impl Iterator<Item = &'e Entity>, systems: usize) -> Bands {
    let mut bands = Bands::empty(systems);
    entities.for_each(|entity| bands.add(entity));
    bands
}

fn correlations<'e>(
    entities: impl Iterator<Item = &'e Entity> + Clone,
    systems: usize,
) -> Vec<Option<Correlation>> {
    let of = |system| {
        let pairs = entities.clone().map(|e| (e.shock, e.over_prediction(system)));
        Correlation::of(&pairs.collect::<Vec<_>>())
    };
    (0..systems).map(of).collect()
}

#[cfg(test)]
mod tests;
