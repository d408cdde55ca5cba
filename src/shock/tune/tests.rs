//! Tuning on simulated relations in which a finetuned model is right more often than its base,
//! but over-predicts what its flat training set held.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::metrics::calibration::ProbabilityScores;
use crate::shock::logspace::normalise;
use crate::shock::{Correction, Mixing, MixingRule, Mixture, Pair, Prior, Priors, Shift};

fn error(scores: ProbabilityScores) -> f64 {
    scores.calibration_error
}

struct Simulated {
    distributions: Vec<Pair<Vec<f64>>>,
    gold: Vec<Vec<u32>>,
    shift: Arc<Shift>,
}

fn normal(random: &mut ChaCha8Rng) -> f64 {
    let [a, b] = [(); 2].map(|()| random.random_range(f64::EPSILON..1.0));
    (-2.0 * f64::ln(a)).sqrt() * (std::f64::consts::TAU * b).cos()
}

/// How well the two models know a relation, and how the finetuned one prefers what it was trained
/// on.
#[derive(Clone, Copy, Debug)]
struct Knowledge {
    candidates: usize,
    finetuned: f64,
    base: f64,
    shock: f64,
    objects: usize,
}

impl Knowledge {
    /// Between two: a relation that is partly as all are, partly of its own kind.
    fn towards(self, other: Self, share: f64) -> Self {
        let between = |a: f64, b: f64| a + share * (b - a);
        Self {
            finetuned: between(self.finetuned, other.finetuned),
            base: between(self.base, other.base),
            shock: between(self.shock, other.shock),
            ..self
        }
    }

    fn any(random: &mut ChaCha8Rng) -> Self {
        Self {
            candidates: random.random_range(10..40),
            finetuned: random.random_range(1.0..4.0),
            base: random.random_range(0.5..3.0),
            shock: random.random_range(0.0..3.0),
            objects: 1,
        }
    }

    /// Questions with so many objects each, a share `empty` of them with none.
    fn ask(self, questions: usize, empty: f64, random: &mut ChaCha8Rng) -> Simulated {
        let natural: Vec<f64> = (0..self.candidates).map(|o| -((o + 1) as f64).ln()).collect();
        let total: f64 = natural.iter().map(|ln| ln.exp()).sum();
        let mut simulated = Simulated {
            distributions: Vec::new(),
            gold: Vec::new(),
            shift: Arc::new(Shift {
                candidates: vec![],
                nodes: vec![],
                endings: vec![],
                least: vec![],
            }),
        };
        // A taste of each model for objects that is the same in all questions.
        let taste: Vec<f64> = (0..self.candidates).map(|_| 0.5 * normal(random)).collect();
        for _ in 0..questions {
            let mut gold = BTreeSet::new();
            let none = random.random::<f64>() < empty;
            while gold.len() < self.objects && !none {
                let mut left = random.random_range(0.0..total);
                let mut object = 0;
                while object + 1 < self.candidates && left > natural[object].exp() {
                    left -= natural[object].exp();
                    object += 1;
                }
                gold.insert(object as u32);
            }
            let mut base: Vec<f64> = Vec::new();
            let mut finetuned: Vec<f64> = Vec::new();
            for o in 0..self.candidates {
                let right = f64::from(u8::from(gold.contains(&(o as u32))));
                let shared = normal(random);
                base.push(natural[o] + taste[o] + self.base * right + shared);
                let rare = if o > self.candidates / 3 { self.shock } else { 0.0 };
                let own = 0.8 * shared + 0.6 * normal(random);
                finetuned.push(0.5 * natural[o] + rare + self.finetuned * right + own);
            }
            normalise(&mut base);
            normalise(&mut finetuned);
            simulated.distributions.push(Pair { finetuned, base });
            simulated.gold.push(gold.into_iter().collect());
        }
        let priors = Priors::mean(self.candidates, &simulated.distributions);
        let pairs = priors.finetuned.iter().zip(&priors.base);
        let candidates = pairs.map(|(&f, &b)| Shift::between(f, b)).collect();
        simulated.shift =
            Arc::new(Shift { candidates, nodes: vec![], endings: vec![], least: vec![] });
        simulated
    }
}

impl Simulated {
    fn questions(&self) -> Vec<Question<'_>> {
        let pairs = self.distributions.iter().zip(&self.gold);
        pairs
            .map(|(Pair { finetuned, base }, gold)| Question {
                candidates: base.len(),
                finetuned,
                base,
                excluded: None,
                gold,
                outside: 0,
                windows: None,
            })
            .collect()
    }

    fn mix(&self) -> impl Fn(&Question<'_>, MixingWeights) -> Mixture + Sync {
        |question, MixingWeights { lambda, tau, .. }| {
            let rule = MixingRule::LogLinear { lambda, mixing: Mixing::Candidate };
            let prior = Some(Prior { tau, shift: Arc::clone(&self.shift) });
            let correction = Correction { prior, ..rule.into() };
            let finetuned = match correction.active_prior() {
                Some(prior) => {
                    prior.remove(question.finetuned, self.shift.candidates.iter().copied())
                }
                None => question.finetuned.to_vec(),
            };
            Mixture::of_probabilities(rule.mix_all(&finetuned, question.base))
        }
    }
}

const UNTUNED: Numbers = Numbers {
    weights: MixingWeights { lambda: 0.5, tau: 0.0, mean: 0.0 },
    calibration: Calibration::IDENTITY,
    threshold: 0.0,
};

/// Tunes simulated relations.
fn tuned(simulated: &[Simulated], settings: &TuneSettings) -> Option<Tuning> {
    let most = |s: &Simulated| s.gold.iter().map(Vec::len).max().unwrap_or(1);
    let mixes: Vec<_> = simulated.iter().map(Simulated::mix).collect();
    let relations: Vec<RelationQuestions<'_>> = simulated
        .iter()
        .zip(&mixes)
        .map(|(s, mix)| RelationQuestions {
            questions: s.questions(),
            most: most(s),
            untuned: UNTUNED,
            mix,
        })
        .collect();
    let scores: Vec<GridScores> =
        relations.iter().map(|r| GridScores::of(r, &settings.grid())).collect();
    tune(&relations, &scores, settings)
}

#[test]
fn tuning_beats_the_untuned_numbers_on_questions_it_did_not_see() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let simulated: Vec<Simulated> =
        (0..8).map(|_| Knowledge::any(&mut random).ask(150, 0.2, &mut random)).collect();
    let settings = TuneSettings { taus: vec![0.0, 0.5, 1.0], ..TuneSettings::default() };
    let tuning = tuned(&simulated, &settings).unwrap();
    let TunedRelation { untuned, fitted, crossfitted, .. } = tuning.all;
    assert!(crossfitted.p_at_1 > untuned.p_at_1 + 0.03, "{untuned:?} {crossfitted:?}");
    assert!(crossfitted.f1 > untuned.f1 + 0.05, "{untuned:?} {crossfitted:?}");
    assert!(error(crossfitted.confidences) < error(crossfitted.shares) / 2.0, "{crossfitted:?}");
    assert!(error(crossfitted.confidences) < 0.05, "{crossfitted:?}");
    assert!(fitted.mrr >= crossfitted.mrr, "a fit looks better than it is");
    assert!(fitted.f1 >= crossfitted.f1, "{fitted:?} {crossfitted:?}");
    assert_eq!(tuning.all.questions, 1200);
    assert_eq!(tuning.all.answerable, tuning.relations.iter().map(|r| r.answerable).sum::<usize>());
    assert_eq!(tuning.all.facts, tuning.all.answerable);
    assert!(tuning.relations.iter().all(|relation| relation.own));
    assert!(tuning.outcomes.iter().all(|outcomes| outcomes.len() == 150));
    assert_eq!(tuned(&simulated, &settings), Some(tuning), "the same every time");
}

#[test]
fn a_relation_with_few_questions_takes_the_numbers_of_all() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let simulated: Vec<Simulated> = [100, 100, 19, 0]
        .map(|questions| Knowledge::any(&mut random).ask(questions, 0.0, &mut random))
        .into();
    let tuning = tuned(&simulated, &TuneSettings::default()).unwrap();
    let own: Vec<bool> = tuning.relations.iter().map(|relation| relation.own).collect();
    assert_eq!(own, [true, true, false, false]);
    assert_eq!(tuning.relations[2].numbers, tuning.all.numbers);
    assert_eq!(tuning.relations[2].answerable, 19);
    assert_eq!(tuning.relations[3].crossfitted, Measures::default());
    assert_eq!(tuned(&simulated[2..], &TuneSettings::default()), None, "19 are too few altogether");
}

#[test]
fn a_functional_relation_that_always_has_an_object_is_always_answered() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let simulated = [Knowledge::any(&mut random).ask(60, 0.0, &mut random)];
    let tuning = tuned(&simulated, &TuneSettings::default()).unwrap();
    assert_eq!(tuning.relations[0].numbers.threshold, 0.0);
    assert_eq!(tuning.relations[0].crossfitted.written, 60);
}

#[test]
fn a_relation_with_several_objects_writes_what_is_likely() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let kind = Knowledge { candidates: 40, finetuned: 4.0, base: 3.0, shock: 1.0, objects: 3 };
    let simulated = [kind.ask(150, 0.1, &mut random)];
    let tuning = tuned(&simulated, &TuneSettings::default()).unwrap();
    let TunedRelation { untuned, crossfitted, numbers, facts, .. } = tuning.relations[0];
    assert_eq!(facts, 3 * tuning.relations[0].answerable);
    assert!(numbers.threshold > 0.0, "what was not judged is not written");
    assert!(untuned.f1 > 0.0 && crossfitted.f1 > untuned.f1, "{untuned:?} {crossfitted:?}");
    // Three objects share the probability, but each is certain for itself.
    assert!(
        error(crossfitted.written_confidences) < error(crossfitted.written_shares) / 2.0,
        "{crossfitted:?}"
    );
    assert!(error(crossfitted.written_confidences) < 0.07, "{crossfitted:?}");
}

/// Where nothing is known of the questions' objects, it is best to write none.
#[test]
fn a_relation_without_objects_gets_a_threshold_that_writes_little() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let kind = Knowledge { candidates: 30, finetuned: 3.0, base: 2.0, shock: 1.0, objects: 1 };
    let simulated = [kind.ask(200, 0.75, &mut random)];
    let tuning = tuned(&simulated, &TuneSettings::default()).unwrap();
    let TunedRelation { untuned, crossfitted, .. } = tuning.relations[0];
    assert_eq!(untuned.written, 200);
    assert!(crossfitted.written < 100, "{crossfitted:?}");
    assert!(crossfitted.f1 > 0.7, "{crossfitted:?}");
}

/// What the constant of shrinkage is measured on.
#[test]
fn own_and_pooled_questions_together_choose_better_than_either_alone() {
    const RELATIONS: usize = 12;
    const TIMES: u64 = 12;
    const QUESTIONS: usize = 20;
    let grid = TuneSettings::default().grid();
    let shrinkages = [0.0, SHRINKAGE, 1e9];
    let mut worth = [0.0; 3];
    for (alike, time) in [0.0, 0.5, 0.8].into_iter().flat_map(|a| (0..TIMES).map(move |t| (a, t))) {
        let mut random = ChaCha8Rng::seed_from_u64(time);
        let common = Knowledge::any(&mut random);
        let knowledge: Vec<Knowledge> =
            (0..RELATIONS).map(|_| Knowledge::any(&mut random).towards(common, alike)).collect();
        let curves: Vec<Curve> = knowledge
            .iter()
            .map(|k| {
                let seen = k.ask(QUESTIONS, 0.0, &mut random);
                let mix = seen.mix();
                let questions = seen.questions();
                let relation =
                    RelationQuestions { questions, most: 1, untuned: UNTUNED, mix: &mix };
                GridScores::of(&relation, &grid).curve(grid.len(), |_| true)
            })
            .collect();
        let pooled = curves.iter().fold(Curve::nothing(grid.len()), Curve::and);
        for (own, knowledge) in curves.iter().zip(&knowledge) {
            let unseen = knowledge.ask(200, 0.0, &mut random);
            let mix = unseen.mix();
            for (worth, shrinkage) in worth.iter_mut().zip(shrinkages) {
                let weights = grid[own.best(&pooled, shrinkage, 0..grid.len())];
                let right = |q: &Question<'_>| q.rank(&mix(q, weights).masses) == Some(1);
                let right = unseen.questions().iter().filter(|q| right(q)).count();
                *worth += right as f64 / (200 * RELATIONS as u64 * TIMES * 3) as f64;
            }
        }
    }
    let [own, both, pooled] = worth;
    assert!(both > own && both > pooled, "{own} alone, {both} together, {pooled} pooled");
}
