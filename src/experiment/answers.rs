//! From both models' distributions to a cell's result: which questions are tuned on and which are
//! tested, and how often each candidate is an object.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::cell::Cell;
use super::files::relation_iri;
use super::{
    CellResult, Fact, Frequencies, Questions, RelationFacts, Split, answer, distance, gold_counts,
    lambda_curve,
};
use crate::config::experiment::Skew;
use crate::diagnosis::System;
use crate::pipeline::{KnownQuestion, KnownQuestions, Plan, RelationPlan, Scored, ScoredQuestions};
use crate::shock::{Pair, majority};

/// The parts of a seed's facts, by relation.
pub(super) struct Parts<'a> {
    pub splits: Vec<Split<'a>>,
    /// The training facts of each kind of training set, by relation.
    pub train: BTreeMap<Skew, Vec<Vec<Fact<'a>>>>,
}

/// Puts both models' distributions together and counts. `known` are the questions as the base was
/// asked them; the finetuned model was asked the same in the same order, from the same files.
pub(super) fn result(
    cell: &Cell,
    signature: String,
    relations: &[RelationFacts],
    parts: &Parts<'_>,
    known: &mut KnownQuestions<'_>,
    base: &ScoredQuestions,
    finetuned: &ScoredQuestions,
) -> CellResult {
    let train = &parts.train[&cell.skew];
    let plan = &mut known.plan;
    let facts_of = FactsOf::new(relations, plan);
    let questions = facts_of.questions(plan, &parts.splits, base, finetuned);
    let frequencies = facts_of.frequencies(plan, train);
    let outcomes: BTreeMap<System, _> = System::ALL
        .into_iter()
        .map(|system| (system, answer(plan, &questions, &frequencies, system)))
        .collect();
    let curves = [System::Linear, System::LogLinear]
        .map(|system| (system, lambda_curve(plan, &questions, system)));
    let distances = relations.iter().zip(train).map(|(relation, facts)| distance(relation, facts));
    let of_majority = |known: &Vec<_>| majority(known.iter().map(KnownQuestion::question));
    let (gold_common, gold_rare_trained) = gold_counts(&questions, &frequencies);
    CellResult {
        signature,
        seed: cell.seed,
        skew: cell.skew,
        passes: cell.passes,
        mixture: cell.mixture,
        training_facts: train.iter().map(Vec::len).sum(),
        distance: distances.sum::<f64>() / relations.len().max(1) as f64,
        gold_common,
        gold_rare_trained,
        majority: questions.test.iter().flat_map(of_majority).collect(),
        outcomes,
        curves: curves.into_iter().collect(),
    }
}

/// The experiment's relations, and which of them each relation of a plan is: a plan has its own
/// order.
struct FactsOf<'a> {
    relations: &'a [RelationFacts],
    /// By relation of the plan.
    index: Vec<usize>,
}

impl<'a> FactsOf<'a> {
    fn new(relations: &'a [RelationFacts], plan: &Plan) -> Self {
        let numbered = relations.iter().map(relation_iri).zip(0..);
        let by_iri: BTreeMap<String, usize> = numbered.collect();
        // The plan is read from the ontology that was written of these relations.
        let index = plan.relations.iter().map(|relation| by_iri[&*relation.iri]).collect();
        Self { relations, index }
    }

    fn questions(
        &self,
        plan: &Plan,
        splits: &[Split<'_>],
        base: &ScoredQuestions,
        finetuned: &ScoredQuestions,
    ) -> Questions {
        let mut questions = Questions { tune: Vec::new(), test: Vec::new() };
        let scored = base.iter().zip(finetuned);
        for ((relation, &index), (base, finetuned)) in
            plan.relations.iter().zip(&self.index).zip(scored)
        {
            // Each model was asked alone, and its distribution stands for both.
            let both = base.iter().zip(finetuned);
            let scored = both.map(|(base, finetuned)| {
                Scored::from(Pair {
                    finetuned: finetuned.distributions.finetuned.clone(),
                    base: base.distributions.base.clone(),
                })
            });
            let known = plan.known_questions(relation, scored.collect());
            let tested: BTreeSet<&str> = splits[index].test.iter().map(|fact| fact.0).collect();
            let (test, tune) = known
                .into_iter()
                .partition(|known| tested.contains(plan.subjects.label(known.subject)));
            questions.test.push(test);
            questions.tune.push(tune);
        }
        questions
    }

    /// How often each candidate of each relation of the plan is the object of a fact.
    fn frequencies(&self, plan: &Plan, train: &[Vec<Fact<'_>>]) -> Vec<Frequencies> {
        let of = |(relation, &index): (&RelationPlan, &usize)| {
            let natural = self.relations[index].object_counts();
            let mut trained: BTreeMap<&str, usize> = BTreeMap::new();
            train[index].iter().for_each(|(_, object)| *trained.entry(object).or_default() += 1);
            let numbers = 0..relation.candidates.len() as u32;
            let labels = numbers.map(|candidate| plan.label(relation, candidate));
            let count = |counts: &BTreeMap<&str, usize>, label: Cow<'_, str>| {
                counts.get(&*label).copied().unwrap_or(0)
            };
            Frequencies {
                natural: labels.clone().map(|label| count(&natural, label)).collect(),
                trained: labels.map(|label| count(&trained, label)).collect(),
            }
        };
        plan.relations.iter().zip(&self.index).map(of).collect()
    }
}
