//! Questions with known answers, scored by both models: what tuning and diagnosis work on.

use super::score::{Distributions, Scored};
use super::{Plan, RelationPlan};
use crate::catalog::EntityId;
use crate::lm::Excluded;
use crate::metrics::ranking;
use crate::ontology::Near;
use crate::shock::{Candidate, Pair, Question, Windows};

/// A question of a relation with both models' distributions and its known answers.
#[derive(Clone, Debug)]
pub struct KnownQuestion {
    /// Who is asked about.
    pub subject: EntityId,
    /// How many candidates the relation has.
    pub candidates: usize,
    /// ln p over the names of the relation's candidates, by each model; where they are not all scored, of
    /// the names that were found.
    pub distributions: Distributions,
    /// Where they are not all scored, the candidates that were found.
    pub windows: Option<Windows>,
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
            windows: self.windows.as_ref(),
        }
    }
}

impl KnownQuestion {
    /// The same of the candidates that were found alone, of which `owners` has each name's.
    fn near(self, near: Near, owners: &[Candidate]) -> Self {
        let windows = Windows::new(owners, |candidate| near.around(candidate));
        let is_right = |&place: &Candidate| {
            let answer = windows.found()[place as usize];
            self.gold.iter().any(|&truth| near.is_right(answer, truth))
        };
        let found = windows.found().len();
        let gold: Vec<Candidate> = (0..found as Candidate).filter(is_right).collect();
        // What no candidate that was found is near to is out of reach.
        let missed = if gold.is_empty() { self.gold.len() } else { 0 };
        Self {
            candidates: found,
            outside: self.outside + missed,
            gold,
            excluded: None,
            windows: Some(windows),
            ..self
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

    /// Joins a relation's subjects, of which `scored` has what the models gave, with what the facts know of
    /// them; those of which they know nothing are left out.
    pub fn known_questions(
        &self,
        relation: &RelationPlan,
        scored: Vec<Scored>,
    ) -> Vec<KnownQuestion> {
        let known = |(&subject, scored): (&EntityId, Scored)| {
            let facts = self.gold.as_ref()?;
            let objects = facts.objects(self.subjects.iri(subject), &relation.iri)?;
            let gold: Vec<Candidate> =
                objects.iter().filter_map(|object| self.candidate(relation, object)).collect();
            let Scored { distributions, found } = scored;
            let known = KnownQuestion {
                subject,
                candidates: relation.candidates.len(),
                distributions,
                windows: None,
                excluded: self.excluded(relation, subject),
                outside: objects.len() - gold.len(),
                gold,
            };
            Some(match (found, relation.nearness()) {
                (Some(owners), Some(near)) => known.near(near, &owners),
                _ => known,
            })
        };
        relation.subjects.iter().zip(scored).filter_map(known).collect()
    }
}
