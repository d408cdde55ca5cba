//! What a pair of models answered in an experiment, as they are and corrected.
//!
//! The corrections' numbers are chosen on the tuning questions alone; everything that is counted is
//! counted on the test questions.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diagnosis::System;
use crate::pipeline::{self, KnownQuestion, Plan};
use crate::shock::diagnosis::{self, COMMON, CurvePoint};
use crate::shock::tune::{Aim, MixingWeights, Numbers, TuneSettings};
use crate::shock::{Calibration, Evidence, Mixing, MixingRule, Mixture, Prior, Priors, Question};

/// A relation with fewer tuning questions takes the numbers of all together.
pub const MIN_QUESTIONS: usize = 15;

/// How a system mixes before anything is tuned; log-linearly it is at branchings.
fn rule(system: System) -> MixingRule {
    match system {
        System::Base => MixingRule::Linear { lambda: 0.0 },
        System::Finetuned => MixingRule::None,
        System::Linear => MixingRule::Linear { lambda: 0.5 },
        System::LogLinear | System::Prior => {
            MixingRule::LogLinear { lambda: 0.5, mixing: Mixing::Branching }
        }
    }
}

/// Whether a system is a correction, which is tuned.
fn is_correction(system: System) -> bool {
    !matches!(system, System::Base | System::Finetuned)
}

/// How a system answered the test questions that have objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SystemOutcome {
    /// By question, 1 where the best candidate is right, else 0.
    pub right: Vec<f64>,
    /// By question, 1 / the rank of the best right candidate; 0 where none is right.
    pub reciprocal_ranks: Vec<f64>,
    /// By question, the probability of the best candidate.
    pub probabilities: Vec<f64>,
    /// By question, its calibrated confidence; the probability where nothing was tuned.
    pub confidences: Vec<f64>,
    /// How many questions were answered with a common object.
    pub common: usize,
    /// How many with an object that is not common and was trained.
    pub rare_trained: usize,
    /// The λ and τ of all relations together, where they were tuned.
    pub weights: Option<MixingWeights>,
}

/// How often each candidate of a relation is the object of a fact.
#[derive(Clone, Debug, PartialEq)]
pub struct Frequencies {
    /// Of all facts of the relation.
    pub natural: Vec<usize>,
    /// Of the training facts.
    pub trained: Vec<usize>,
}

impl Frequencies {
    /// Whether the candidate is the object of so many of the relation's facts.
    fn is_common(&self, candidate: usize) -> bool {
        let all: usize = self.natural.iter().sum();
        self.natural[candidate] as f64 >= COMMON * all as f64
    }

    fn is_rare_trained(&self, candidate: usize) -> bool {
        !self.is_common(candidate) && self.trained[candidate] > 0
    }
}

/// A model's tuning and test questions, by relation of the plan.
pub struct Questions {
    /// Those that numbers are chosen on.
    pub tune: Vec<Vec<KnownQuestion>>,
    /// Those that are measured.
    pub test: Vec<Vec<KnownQuestion>>,
}

/// Gold counts of the test questions: common objects, and rare ones that were trained. A question
/// with several objects counts each as its share.
pub fn gold_counts(questions: &Questions, frequencies: &[Frequencies]) -> (f64, f64) {
    let (mut common, mut rare) = (0.0, 0.0);
    for (questions, frequencies) in questions.test.iter().zip(frequencies) {
        for question in questions {
            let share = 1.0 / (question.gold.len() + question.outside).max(1) as f64;
            for &object in &question.gold {
                let object = object as usize;
                common += if frequencies.is_common(object) { share } else { 0.0 };
                rare += if frequencies.is_rare_trained(object) { share } else { 0.0 };
            }
        }
    }
    (common, rare)
}

/// Answers the test questions by a system. The plan's corrections are left as the system's.
pub fn answer(
    plan: &mut Plan,
    questions: &Questions,
    frequencies: &[Frequencies],
    system: System,
) -> SystemOutcome {
    for (index, relation) in plan.relations.iter_mut().enumerate() {
        relation.correction = rule(system).into();
        relation.tau = None;
        if system == System::Prior {
            // Over all subjects, those of the test too: what their objects are is not used.
            let all = questions.tune[index].iter().chain(&questions.test[index]);
            let distributions = all.map(|question| &question.distributions);
            let priors = Priors::mean(relation.space.names().names(), distributions);
            let shift = Arc::new(relation.space.shift(&priors));
            relation.correction.prior = Some(Prior { tau: 0.5, shift });
            relation.tau = Some(0.5);
        }
    }
    let tuning = if is_correction(system) {
        pipeline::tune(plan, &questions.tune, MIN_QUESTIONS, Aim::F1)
    } else {
        None
    };
    let mut outcome = SystemOutcome {
        right: Vec::new(),
        reciprocal_ranks: Vec::new(),
        probabilities: Vec::new(),
        confidences: Vec::new(),
        common: 0,
        rare_trained: 0,
        weights: tuning.as_ref().map(|tuning| tuning.all.numbers.weights),
    };
    for (index, relation) in plan.relations.iter().enumerate() {
        let numbers = match &tuning {
            Some(tuning) => tuning.relations[index].numbers,
            None => relation.numbers(),
        };
        for known in &questions.test[index] {
            let question = known.question();
            if question.objects() > 0 {
                let mixed = relation.mix(&question, numbers.weights);
                outcome.add(&question, &mixed, numbers, &frequencies[index]);
            }
        }
    }
    outcome
}

impl SystemOutcome {
    /// The share of the questions whose best answer is right; 0 without questions.
    pub fn p_at_1(&self) -> f64 {
        self.right.iter().sum::<f64>() / self.right.len().max(1) as f64
    }

    fn add(
        &mut self,
        question: &Question<'_>,
        mixed: &Mixture,
        numbers: Numbers,
        frequencies: &Frequencies,
    ) {
        let best = question.best(&mixed.masses);
        let right = best.is_some_and(|best| question.is_right(best));
        let evidence = best.map_or(Evidence::NONE, |best| mixed.evidence(best));
        self.right.push(f64::from(u8::from(right)));
        self.reciprocal_ranks
            .push(question.rank(&mixed.masses).map_or(0.0, |rank| 1.0 / rank as f64));
        self.probabilities.push(Calibration::IDENTITY.apply(evidence));
        self.confidences.push(numbers.calibration.apply(evidence));
        if let Some(best) = best {
            self.common += usize::from(frequencies.is_common(best as usize));
            self.rare_trained += usize::from(frequencies.is_rare_trained(best as usize));
        }
    }
}

/// P@1 on the test questions with one λ for all relations, by λ from 0 to 1 in steps of 0.05.
pub fn lambda_curve(plan: &mut Plan, questions: &Questions, system: System) -> Vec<(f64, f64)> {
    plan.relations.iter_mut().for_each(|relation| relation.correction = rule(system).into());
    let lambdas = TuneSettings::default().lambdas;
    let mut curve: Vec<CurvePoint> = lambdas.iter().map(|&l| CurvePoint::nothing(l)).collect();
    for (relation, known) in plan.relations.iter().zip(&questions.test) {
        let questions: Vec<Question<'_>> = known.iter().map(KnownQuestion::question).collect();
        let mix = |question: &Question<'_>, lambda| {
            relation.mix(question, MixingWeights { lambda, tau: 0.0, mean: 0.0 }).masses
        };
        let own = diagnosis::lambda_curve(&questions, &lambdas, &mix);
        curve.iter_mut().zip(&own).for_each(|(sum, point)| sum.add(point));
    }
    let p_at_1 = |point: CurvePoint| point.right as f64 / point.questions.max(1) as f64;
    curve.into_iter().map(|point| (point.lambda, p_at_1(point))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::EntityId;
    use crate::shock::Pair;

    /// Four candidates: half of all facts, one in twenty just so, one in a hundred, none.
    fn frequencies() -> Frequencies {
        Frequencies { natural: vec![94, 5, 1, 0], trained: vec![0, 2, 1, 0] }
    }

    fn known(gold: &[u32], outside: usize) -> KnownQuestion {
        let uniform = vec![0.25_f64.ln(); 4];
        KnownQuestion {
            windows: None,
            subject: EntityId(0),
            candidates: 4,
            distributions: Pair { finetuned: uniform.clone(), base: uniform },
            excluded: None,
            gold: gold.to_vec(),
            outside,
        }
    }

    #[test]
    fn common_is_a_twentieth_of_the_facts() {
        let frequencies = frequencies();
        let common: Vec<bool> = (0..4).map(|c| frequencies.is_common(c)).collect();
        assert_eq!(common, [true, true, false, false]);
        let rare: Vec<bool> = (0..4).map(|c| frequencies.is_rare_trained(c)).collect();
        assert_eq!(rare, [false, false, true, false]);
    }

    #[test]
    fn gold_is_counted_by_shares() {
        let questions = Questions {
            // Tuning questions are not counted.
            tune: vec![vec![known(&[0], 0)], vec![]],
            test: vec![
                // One common; a third of each of a common, a rare trained and one outside; nothing.
                vec![known(&[1], 0), known(&[0, 2], 1), known(&[], 0)],
                vec![known(&[2], 0), known(&[3], 0)],
            ],
        };
        let (common, rare) = gold_counts(&questions, &[frequencies(), frequencies()]);
        assert!((common - 4.0 / 3.0).abs() < 1e-12 && (rare - 4.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn answers_by_hand() {
        let mut outcome = SystemOutcome {
            right: vec![],
            reciprocal_ranks: vec![],
            probabilities: vec![],
            confidences: vec![],
            common: 0,
            rare_trained: 0,
            weights: None,
        };
        let numbers = Numbers {
            weights: MixingWeights { lambda: 1.0, tau: 0.0, mean: 0.0 },
            // A bias of ln 3 turns 1/2 into 3/4.
            calibration: Calibration { bias: 3.0_f64.ln(), ..Calibration::IDENTITY },
            threshold: 0.0,
        };
        let ln = |ps: [f64; 4]| ps.map(f64::ln);
        // Right with a common object; wrong with a rare trained one, the gold third.
        for (gold, mixed) in [(0, ln([0.5, 0.3, 0.1, 0.1])), (0, ln([0.2, 0.25, 0.5, 0.05]))] {
            let known = known(&[gold], 0);
            let mixed = Mixture::of_probabilities(mixed.to_vec());
            outcome.add(&known.question(), &mixed, numbers, &frequencies());
        }
        assert_eq!(outcome.right, [1.0, 0.0]);
        assert_eq!(outcome.reciprocal_ranks, [1.0, 1.0 / 3.0]);
        assert_eq!((outcome.common, outcome.rare_trained), (1, 1));
        assert_eq!(outcome.p_at_1(), 0.5);
        for (p, confidence) in outcome.probabilities.iter().zip(&outcome.confidences) {
            assert!((p - 0.5).abs() < 1e-12 && (confidence - 0.75).abs() < 1e-12);
        }
    }
}
