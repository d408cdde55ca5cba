//! Splitting a relation's facts: what is tested, what is tuned on, and training sets of growing
//! skew from the rest.
//!
//! Invariants: a question is in one of the three parts only; test and tuning questions have the
//! natural distribution of objects; the training sets of one seed have equally many facts as far as
//! the facts allow. Everything is a pure function of the facts and the seed.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::source::RelationFacts;
use crate::config::experiment::{Sizes, Skew};

/// A subject and one of its objects, by label.
pub type Fact<'a> = (&'a str, &'a str);

/// The parts of one relation's facts. A question of the test or tuning part comes with all its
/// objects, one of the pool too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split<'a> {
    /// What is measured.
    pub test: Vec<Fact<'a>>,
    /// What the numbers of the corrections are chosen on.
    pub tune: Vec<Fact<'a>>,
    /// What may be trained on.
    pool: Vec<Fact<'a>>,
}

/// Splits a relation's questions by a seed. The test takes no more than half of them, so that enough are
/// left for training sets to differ in skew.
pub fn split(relation: &RelationFacts, sizes: Sizes, seed: u64) -> Split<'_> {
    let mut questions: Vec<(&String, &BTreeSet<String>)> = relation.facts.iter().collect();
    questions.shuffle(&mut random(relation, seed, "split"));
    let test = sizes.test.min(questions.len() / 2);
    let tune = sizes.tune.min(questions.len() - test);
    let (test, rest) = questions.split_at(test);
    let (tune, pool) = rest.split_at(tune);
    Split { test: facts(test), tune: facts(tune), pool: facts(pool) }
}

/// The facts of some questions.
fn facts<'a>(questions: &[(&'a String, &'a BTreeSet<String>)]) -> Vec<Fact<'a>> {
    let of = |&(subject, objects): &(&'a String, &'a BTreeSet<String>)| {
        objects.iter().map(move |object| (subject.as_str(), object.as_str()))
    };
    questions.iter().flat_map(of).collect()
}

impl<'a> Split<'a> {
    /// How many facts there are to train on.
    pub fn trainable(&self) -> usize {
        self.pool.len()
    }

    /// At most `size` training facts of the given skew.
    pub fn train(
        &self,
        relation: &RelationFacts,
        skew: Skew,
        size: usize,
        seed: u64,
    ) -> Vec<Fact<'a>> {
        let mut pool = self.pool.clone();
        pool.shuffle(&mut random(relation, seed, skew.name()));
        match skew {
            Skew::Natural => {}
            Skew::Flattened => {
                // The first fact of every object, then the second of every object, and so on.
                let mut rounds: BTreeMap<&str, usize> = BTreeMap::new();
                let mut round = |object| {
                    let count = rounds.entry(object).or_default();
                    *count += 1;
                    *count
                };
                let mut numbered: Vec<(usize, Fact<'a>)> =
                    pool.into_iter().map(|fact| (round(fact.1), fact)).collect();
                numbered.sort_by_key(|(round, _)| *round);
                pool = numbered.into_iter().map(|(_, fact)| fact).collect();
            }
            Skew::Rare => {
                let counts = relation.object_counts();
                pool.sort_by_key(|(_, object)| counts.get(object).copied().unwrap_or(0));
            }
        }
        pool.truncate(size);
        pool
    }
}

/// How far a training set's objects are from the natural distribution: the total variation
/// distance, half the sum of the differences of the shares, 0 to 1.
pub fn distance(relation: &RelationFacts, train: &[Fact<'_>]) -> f64 {
    let natural = relation.object_counts();
    let all: usize = natural.values().sum();
    let mut counts: BTreeMap<&str, usize> = natural.keys().map(|object| (*object, 0)).collect();
    train.iter().for_each(|(_, object)| *counts.entry(object).or_default() += 1);
    let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    let difference = |(object, count): (&&str, &usize)| {
        let natural = share(natural.get(object).copied().unwrap_or(0), all);
        (share(*count, train.len()) - natural).abs()
    };
    counts.iter().map(difference).sum::<f64>() / 2.0
}

/// Randomness for one purpose, relation and seed.
fn random(relation: &RelationFacts, seed: u64, purpose: &str) -> ChaCha8Rng {
    let hash = Sha256::digest(format!("{seed}\n{purpose}\n{}", relation.name));
    ChaCha8Rng::from_seed(hash.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 60 subjects with the object a, 30 with b, 6 with c, 2 with d, 1 with e and one with both.
    fn relation() -> RelationFacts {
        let objects = [("a", 60), ("b", 30), ("c", 6), ("d", 2), ("e", 1)];
        let mut facts: BTreeMap<String, BTreeSet<String>> = objects
            .iter()
            .flat_map(|&(o, n)| (0..n).map(move |i| (format!("{o}{i}"), o.to_owned())))
            .map(|(subject, object)| (subject, BTreeSet::from([object])))
            .collect();
        facts.insert("both".into(), BTreeSet::from(["a".into(), "e".into()]));
        RelationFacts { name: "P1".into(), templates: vec![], facts }
    }

    const SIZES: Sizes = Sizes { train: 20, tune: 30, test: 40 };

    #[test]
    fn parts_share_no_question_and_depend_on_the_seed_only() {
        let relation = relation();
        let parts = split(&relation, SIZES, 1);
        assert_eq!(parts, split(&relation, SIZES, 1));
        assert_ne!(parts, split(&relation, SIZES, 2));
        let subjects =
            |facts: &[Fact<'_>]| facts.iter().map(|f| f.0.to_owned()).collect::<BTreeSet<_>>();
        let (test, tune, pool) =
            (subjects(&parts.test), subjects(&parts.tune), subjects(&parts.pool));
        assert_eq!((test.len(), tune.len(), pool.len()), (40, 30, 30));
        assert!(test.is_disjoint(&tune) && test.is_disjoint(&pool) && tune.is_disjoint(&pool));
    }

    #[test]
    fn training_sets_grow_in_skew() {
        let relation = relation();
        let parts = split(&relation, Sizes { train: 20, tune: 0, test: 0 }, 3);
        let train = |skew| parts.train(&relation, skew, 20, 3);
        let counts = |skew| {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            train(skew).iter().for_each(|(_, object)| *counts.entry(object).or_default() += 1);
            counts
        };
        // e and d run out after two rounds, the others share what is left.
        let flattened = counts(Skew::Flattened);
        assert_eq!((flattened["d"], flattened["e"]), (2, 2));
        assert!(["a", "b", "c"].iter().all(|o| (5..=6).contains(&flattened[o])), "{flattened:?}");
        // All of e, d and c, then b, never the commonest.
        let rare = counts(Skew::Rare);
        assert_eq!(rare, BTreeMap::from([("b", 10), ("c", 6), ("d", 2), ("e", 2)]));
        let far = |skew| distance(&relation, &train(skew));
        assert!(
            far(Skew::Natural) < far(Skew::Flattened) && far(Skew::Flattened) < far(Skew::Rare)
        );
    }

    #[test]
    fn distances_by_hand() {
        let relation = relation();
        let all: Vec<Fact<'_>> = relation
            .facts
            .iter()
            .flat_map(|(s, os)| os.iter().map(move |o| (s.as_str(), o.as_str())))
            .collect();
        assert_eq!(distance(&relation, &all), 0.0);
        // 101 facts, 2 of e: training on e alone is 99/101 away.
        let away = distance(&relation, &[("e0", "e")]);
        assert!((away - 99.0 / 101.0).abs() < 1e-15);
    }
}
