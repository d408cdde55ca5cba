//! Questions with known answers, scored by both models: what tuning and diagnosis work on.

use super::score::Distributions;
use super::{Plan, RelationPlan};
use crate::catalog::EntityId;
use crate::lm::Excluded;
use crate::metrics::ranking;
use crate::shock::{Candidate, Pair, Question};

/// A question of a relation with both models' distributions and its known answers.
#[derive(Clone, Debug)]
pub struct KnownQuestion {
    /// Who is asked about.
    pub subject: EntityId,
    /// How many candidates the relation has.
    pub candidates: usize,
    /// ln p over the names of the relation's candidates, by each model.
    pub distributions: Distributions,
    /// The candidate that cannot be the answer.
    pub excluded: Excluded,
    /// The candidates that are known objects.
    pub gold: Vec<Candidate>,
    /// How many known objects are no candidates.
    pub outside: usize,
}

impl KnownQuestion {
    /// As tuning and diagnosis see it.
    pub fn question(&self) -> Question<'_> {
        let Pair { finetuned, base } = &self.distributions;
        Question {
            candidates: self.candidates,
            finetuned,
            base,
            excluded: self.excluded,
            gold: &self.gold,
            outside: self.outside,
        }
    }
}

impl Plan {
    /// How many questions have a known object among their relation's candidates.
    pub fn answerable(&self) -> usize {
        let of_relation = |relation: &RelationPlan| {
            let has_answer = |subject: &&EntityId| {
                let objects =
                    self.gold.as_ref()?.objects(self.subjects.iri(**subject), &relation.iri)?;
                objects.iter().find_map(|object| self.candidate(relation, object))
            };
            relation.subjects.iter().filter(|subject| has_answer(subject).is_some()).count()
        };
        self.relations.iter().map(of_relation).sum()
    }

    /// By subject of a relation with a known object, whether the majority answer is right.
    pub(super) fn majority(&self, relation: &RelationPlan) -> Vec<f64> {
        let objects = |subject: &EntityId| {
            self.gold.as_ref()?.objects(self.subjects.iri(*subject), &relation.iri)
        };
        let known = relation.subjects.iter().filter_map(objects);
        ranking::majority(&known.filter(|objects| !objects.is_empty()).collect::<Vec<_>>())
    }

    /// Joins a relation's subjects, of which `scored` has both models' distributions, with what the
    /// facts know of them; those of which they know nothing are left out.
    pub fn known_questions(
        &self,
        relation: &RelationPlan,
        scored: Vec<Distributions>,
    ) -> Vec<KnownQuestion> {
        let known = |(&subject, distributions): (&EntityId, Distributions)| {
            let facts = self.gold.as_ref()?;
            let objects = facts.objects(self.subjects.iri(subject), &relation.iri)?;
            let gold: Vec<Candidate> =
                objects.iter().filter_map(|object| self.candidate(relation, object)).collect();
            Some(KnownQuestion {
                subject,
                candidates: relation.candidates.len(),
                distributions,
                excluded: self.excluded(relation, subject),
                outside: objects.len() - gold.len(),
                gold,
            })
        };
        relation.subjects.iter().zip(scored).filter_map(known).collect()
    }
}
