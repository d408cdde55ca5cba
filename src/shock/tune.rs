//! Tuning on held-out questions: the weights of a correction, the calibration, the threshold.
//!
//! Each number is chosen by relation, held towards what all relations say together; a relation with
//! too few questions takes what all say. Everything is deterministic.
//!
//! Numbers chosen on questions look better on these than on others. So what is reported beside the
//! fit is *cross-fitted*: questions are dealt into [`FOLDS`] parts, and each part is answered with
//! numbers chosen on the others.

mod measures;
mod threshold;
mod weights;

use serde::{Deserialize, Serialize};

pub use measures::{Judgement, Measures, Outcome};
pub use threshold::{Aim, f1};
pub use weights::{GridScores, MixingWeights};

use super::calibration::{Calibration, Observation};
use super::mixture::Mixture;
use super::question::{Question, majority};
use crate::metrics::mean;
use threshold::{Judged, best_threshold, least_threshold};
use weights::{Curve, SHRINKAGE};

/// Parts into which questions are dealt, by turns.
pub const FOLDS: usize = 5;

/// ln of the least share of an answer that is judged, but for the best one: what is below is
/// not written by any sensible threshold, and too much to fit a calibration by.
const JUDGED: f64 = -6.907_755_278_982_137; // 1/1000

/// How much the pooled calibration is held towards none, in answers.
const TOWARDS_NONE: f64 = 2.0;

/// How much a relation's calibration is held towards the pooled one, in answers.
///
/// On simulated relations with 25 to 150 questions each, from all alike to all different, the
/// cross-fitted log loss with 30 is within 0.002 of that of the best of 0.1, 5, 15, 30, 60, 200.
const TOWARDS_POOLED: f64 = 30.0;

/// A relation's mixture of a question's distributions under weights.
pub type Mix<'a> = dyn Fn(&Question<'_>, MixingWeights) -> Mixture + Sync + 'a;

/// A relation's held-out questions.
pub struct RelationQuestions<'a> {
    /// The questions.
    pub questions: Vec<Question<'a>>,
    /// How many objects a subject has at most; 1 for a functional relation.
    pub most: usize,
    /// What it has without tuning.
    pub untuned: Numbers,
    /// Mixes a question's distributions.
    pub mix: &'a Mix<'a>,
}

/// What is chosen for a relation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// λ, τ and κ.
    #[serde(flatten)]
    pub weights: MixingWeights,
    /// From probability to confidence.
    pub calibration: Calibration,
    /// From which confidence on an answer is written, between 0 and 1.
    pub threshold: f64,
}

/// From what to choose, and when not to.
#[derive(Clone, Debug, PartialEq)]
pub struct TuneSettings {
    /// The mixing weights to try; not empty.
    pub lambdas: Vec<f64>,
    /// The shares of the shift to try; not empty.
    pub taus: Vec<f64>,
    /// The shares of the mean prediction to try; not empty.
    pub means: Vec<f64>,
    /// What thresholds are chosen for.
    pub aim: Aim,
    /// A relation gets numbers of its own from so many questions with an object on; all relations
    /// together get any from as many on.
    pub min_questions: usize,
}

impl Default for TuneSettings {
    /// λ from 0 to 1 in steps of 0.05, nothing removed, at least 20 questions.
    fn default() -> Self {
        let lambdas = (0..=20).map(|i| f64::from(i) / 20.0).collect();
        Self { lambdas, taus: vec![0.0], means: vec![0.0], aim: Aim::F1, min_questions: 20 }
    }
}

impl TuneSettings {
    /// Every triple of λ, τ and κ.
    pub fn grid(&self) -> Vec<MixingWeights> {
        let mut grid = Vec::new();
        for &mean in &self.means {
            for &tau in &self.taus {
                grid.extend(self.lambdas.iter().map(|&lambda| MixingWeights { lambda, tau, mean }));
            }
        }
        grid
    }
}

/// Numbers with what they rest on and what they are worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TunedRelation {
    /// The numbers.
    pub numbers: Numbers,
    /// Whether they rest on this relation's questions; else they are those of all relations.
    pub own: bool,
    /// How many questions there are, with and without objects.
    pub questions: usize,
    /// How many of them have an object in the answer space: what λ and τ rest on.
    pub answerable: usize,
    /// How many objects their subjects have.
    pub facts: usize,
    /// How many of these are outside the answer space.
    pub outside: usize,
    /// P@1 of the majority answer.
    pub majority: f64,
    /// Answered with the untuned numbers.
    pub untuned: Measures,
    /// Answered with numbers chosen on the same questions: too good.
    pub fitted: Measures,
    /// Answered with numbers chosen on other questions.
    pub crossfitted: Measures,
}

/// What tuning found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tuning {
    /// Numbers chosen on all questions, which relations with too few take. Its measures are over
    /// the questions of all relations, each answered with its relation's numbers.
    pub all: TunedRelation,
    /// By relation, as given.
    pub relations: Vec<TunedRelation>,
    /// By relation and question, the cross-fitted answers.
    #[serde(skip)]
    pub outcomes: Vec<Vec<Outcome>>,
}

impl RelationQuestions<'_> {
    fn mixed(&self, question: &Question<'_>, weights: MixingWeights) -> Mixture {
        (self.mix)(question, weights)
    }

    /// The answers to a question that could be written, best first.
    fn observe(&self, question: &Question<'_>, weights: MixingWeights) -> Vec<Observation> {
        self.judged(question, &self.mixed(question, weights))
    }

    fn judged(&self, question: &Question<'_>, mixed: &Mixture) -> Vec<Observation> {
        let ranked = question.ranked(&mixed.masses, self.most, JUDGED + mixed.total);
        let observe =
            |&c: &u32| Observation { evidence: mixed.evidence(c), right: question.is_right(c) };
        ranked.iter().map(observe).collect()
    }

    fn answerable(&self) -> usize {
        self.questions.iter().filter(|question| !question.gold.is_empty()).count()
    }
}

/// Chooses numbers for each relation and for all. `scores` are the relations' own, over
/// [`TuneSettings::grid`]. `None` where there are too few questions to choose anything.
pub fn tune(
    relations: &[RelationQuestions<'_>],
    scores: &[GridScores],
    settings: &TuneSettings,
) -> Option<Tuning> {
    let answerable: usize = relations.iter().map(RelationQuestions::answerable).sum();
    if answerable < settings.min_questions.max(1) {
        return None;
    }
    let tuner = Tuner { relations, scores, settings, grid: settings.grid() };
    let fit = tuner.fit(&|_| true);
    let answer = |numbers: &dyn Fn(usize) -> Numbers, keep: &dyn Fn(usize) -> bool| {
        let each = relations.iter().enumerate().map(|(index, relation)| {
            let questions = relation.questions.iter().enumerate().filter(|&(at, _)| keep(at));
            let numbers = numbers(index);
            questions.map(|(_, q)| Outcome::of(relation, q, numbers)).collect::<Vec<_>>()
        });
        each.collect::<Vec<_>>()
    };
    let untuned = answer(&|relation| relations[relation].untuned, &|_| true);
    let fitted = answer(&|relation| fit.relations[relation], &|_| true);
    let mut folds: Vec<Vec<std::vec::IntoIter<Outcome>>> = (0..FOLDS)
        .map(|fold| {
            let others = tuner.fit(&|question| question % FOLDS != fold);
            let answers = answer(&|relation| others.relations[relation], &|q| q % FOLDS == fold);
            answers.into_iter().map(Vec::into_iter).collect()
        })
        .collect();
    let outcomes: Vec<Vec<Outcome>> = relations
        .iter()
        .enumerate()
        .map(|(index, relation)| {
            let questions = 0..relation.questions.len();
            questions.filter_map(|question| folds[question % FOLDS][index].next()).collect()
        })
        .collect();
    let of_majority = |r: &RelationQuestions<'_>| majority(r.questions.iter().copied());
    let tuned = |range: std::ops::Range<usize>, numbers, own| {
        let questions = || relations[range.clone()].iter().flat_map(|r| &r.questions);
        let measure =
            |outcomes: &[Vec<Outcome>]| Measures::of(outcomes[range.clone()].iter().flatten());
        TunedRelation {
            numbers,
            own,
            questions: questions().count(),
            answerable: questions().filter(|q| !q.gold.is_empty()).count(),
            facts: questions().map(Question::objects).sum(),
            outside: questions().map(|q| q.outside).sum(),
            majority: mean(relations[range.clone()].iter().flat_map(of_majority)).unwrap_or(0.0),
            untuned: measure(&untuned),
            fitted: measure(&fitted),
            crossfitted: measure(&outcomes),
        }
    };
    let each = (0..relations.len())
        .map(|index| tuned(index..index + 1, fit.relations[index], tuner.has_own(index)));
    let each = each.collect();
    let all = tuned(0..relations.len(), fit.all, true);
    Some(Tuning { all, relations: each, outcomes })
}

struct Tuner<'a> {
    relations: &'a [RelationQuestions<'a>],
    scores: &'a [GridScores],
    settings: &'a TuneSettings,
    grid: Vec<MixingWeights>,
}

/// Numbers for all and by relation.
struct Fit {
    all: Numbers,
    relations: Vec<Numbers>,
}

impl Tuner<'_> {
    fn has_own(&self, relation: usize) -> bool {
        self.relations[relation].answerable() >= self.settings.min_questions
    }

    /// Chooses on the questions that `keep` names by their index in their relation.
    fn fit(&self, keep: &dyn Fn(usize) -> bool) -> Fit {
        let (pooled, weights) = self.weights(keep);
        let observations = self.observe(&weights, keep);
        let (calibration, calibrations) = self.calibrations(&observations);
        let judged = self.judge(observations, &calibrations, keep);
        let thresholds = self.thresholds(&judged);
        let own = weights.into_iter().zip(calibrations).zip(thresholds.1);
        let all = Numbers { weights: pooled, calibration, threshold: thresholds.0 };
        let numbers = own.map(|((weights, calibration), threshold)| Numbers {
            weights,
            calibration,
            threshold,
        });
        let own_or_all = |(index, own): (usize, Numbers)| {
            let chosen = if self.has_own(index) { own } else { all };
            match self.settings.aim {
                Aim::Threshold => {
                    Numbers { threshold: self.relations[index].untuned.threshold, ..chosen }
                }
                _ => chosen,
            }
        };
        Fit { all, relations: numbers.enumerate().map(own_or_all).collect() }
    }

    /// λ and τ of all, and by relation.
    ///
    /// All relations' questions count alike: a relation with many has more to say about what all
    /// have in common.
    fn weights(&self, keep: &dyn Fn(usize) -> bool) -> (MixingWeights, Vec<MixingWeights>) {
        let points = self.grid.len();
        let curves: Vec<Curve> = self.scores.iter().map(|s| s.curve(points, keep)).collect();
        let nothing = Curve::nothing(points);
        let pooled = curves.iter().fold(nothing.clone(), Curve::and);
        let blocks = self.settings.means.len();
        let block = |index: usize| index * points / blocks..(index + 1) * points / blocks;
        // What removing a mean prediction gains has to be beyond chance: it costs scoring every
        // candidate for some subjects.
        let (mut all, mut all_block) = (pooled.best(&nothing, 0.0, block(0)), 0);
        for other in 1..blocks {
            let point = pooled.best(&nothing, 0.0, block(other));
            if GridScores::are_better(self.scores, point, all, keep) {
                (all, all_block) = (point, other);
            }
        }
        let own = curves.iter().zip(self.scores).enumerate().map(|(index, (curve, scores))| {
            if !self.has_own(index) {
                return self.grid[all];
            }
            let mut best = curve.best(&pooled, SHRINKAGE, block(all_block));
            for other in (0..blocks).filter(|&other| other != all_block) {
                let point = curve.best(&pooled, SHRINKAGE, block(other));
                if scores.is_better(point, best, keep) {
                    best = point;
                }
            }
            self.grid[best]
        });
        (self.grid[all], own.collect())
    }

    /// By relation and kept question, the answers that could be written.
    fn observe(
        &self,
        weights: &[MixingWeights],
        keep: &dyn Fn(usize) -> bool,
    ) -> Vec<Vec<Vec<Observation>>> {
        let each = self.relations.iter().zip(weights).map(|(relation, &weights)| {
            let kept = relation.questions.iter().enumerate().filter(|&(index, _)| keep(index));
            kept.map(|(_, question)| relation.observe(question, weights)).collect()
        });
        each.collect()
    }

    /// The calibration of all, and by relation.
    ///
    /// It is fitted on every answer that a threshold could let through, so that a confidence is
    /// the share of right ones among the answers of that confidence, the second as well as the
    /// first of a question.
    fn calibrations(
        &self,
        observations: &[Vec<Vec<Observation>>],
    ) -> (Calibration, Vec<Calibration>) {
        let everything: Vec<Observation> =
            observations.iter().flatten().flatten().copied().collect();
        let all = Calibration::fit(&everything, Calibration::IDENTITY, TOWARDS_NONE);
        let own = observations.iter().enumerate().map(|(index, own)| {
            let own: Vec<Observation> = own.iter().flatten().copied().collect();
            if self.has_own(index) { Calibration::fit(&own, all, TOWARDS_POOLED) } else { all }
        });
        (all, own.collect())
    }

    fn judge(
        &self,
        observations: Vec<Vec<Vec<Observation>>>,
        calibrations: &[Calibration],
        keep: &dyn Fn(usize) -> bool,
    ) -> Vec<Vec<Judged>> {
        let relations = self.relations.iter().zip(observations).zip(calibrations);
        let each = relations.map(|((relation, observations), calibration)| {
            let kept = relation.questions.iter().enumerate().filter(|&(index, _)| keep(index));
            let judge =
                |((_, question), seen): ((usize, &Question<'_>), Vec<Observation>)| Judged {
                    answers: seen
                        .iter()
                        .map(|o| (calibration.apply(o.evidence), o.right))
                        .collect(),
                    objects: question.objects(),
                };
            kept.zip(observations).map(judge).collect()
        });
        each.collect()
    }

    /// The threshold that is best for weighted questions, of relations that are functional or not.
    fn threshold(&self, judged: &[(f64, &Judged)], functional: bool) -> f64 {
        match self.settings.aim {
            Aim::F1 => best_threshold(judged, functional),
            Aim::Precision(share) => least_threshold(judged, share),
            // Of a relation without numbers of its own; others have one already.
            Aim::Threshold => self.relations.first().map_or(1.0, |r| r.untuned.threshold),
        }
    }

    /// The threshold of all, and by relation.
    ///
    /// A relation is held towards those of its own kind: functional ones gain by answering even
    /// when in doubt, others do not.
    fn thresholds(&self, judged: &[Vec<Judged>]) -> (f64, Vec<f64>) {
        let of = |kind: Option<bool>| -> Vec<&Judged> {
            let relations = self.relations.iter().zip(judged);
            let same = relations.filter(|(r, _)| kind.is_none_or(|k| k == (r.most == 1)));
            same.flat_map(|(_, judged)| judged).collect()
        };
        let functional = self.relations.iter().all(|relation| relation.most == 1);
        let all: Vec<(f64, &Judged)> = of(None).into_iter().map(|j| (1.0, j)).collect();
        let own = self.relations.iter().zip(judged).map(|(relation, own)| {
            let kind = of(Some(relation.most == 1));
            let share = SHRINKAGE / kind.len().max(1) as f64;
            let own = own.iter().map(|judged| (1.0, judged));
            let weighted: Vec<(f64, &Judged)> =
                own.chain(kind.into_iter().map(|judged| (share, judged))).collect();
            self.threshold(&weighted, relation.most == 1)
        });
        (self.threshold(&all, functional), own.collect())
    }
}

#[cfg(test)]
mod tests;
