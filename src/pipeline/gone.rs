//! Why a fact of an older graph is not in the new one, as far as the plan knows.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use super::Plan;
use crate::catalog::{EntityId, Objects};
use crate::graph::GoneFact;

/// What says so.
pub(super) struct Gone<'a> {
    plan: &'a Plan,
    /// By relation, its subjects; those that were needed so far.
    subjects: RefCell<HashMap<usize, HashSet<EntityId>>>,
}

impl<'a> Gone<'a> {
    pub(super) fn of(plan: &'a Plan) -> Self {
        Self { plan, subjects: RefCell::default() }
    }

    /// The reason, in words.
    pub(super) fn why(&self, fact: &GoneFact<'_>) -> String {
        let plan = self.plan;
        if fact.derived {
            return "it does not follow from what is in the graph any more".to_owned();
        }
        let at = plan.relations.binary_search_by(|relation| (*relation.iri).cmp(fact.relation));
        let Ok(at) = at else { return "its relation is not asked about any more".to_owned() };
        let relation = &plan.relations[at];
        if !self.asks(at, fact.subject) {
            let known = plan.known.as_ref();
            let known = known.and_then(|known| known.objects(fact.subject, fact.relation));
            return match known.is_some_and(|objects| !objects.is_empty()) {
                true => "what is known of its subject is not asked any more".to_owned(),
                false => "its subject is not asked about any more".to_owned(),
            };
        }
        if relation.candidates.position(&plan.candidates, fact.object).is_none() {
            return "its object is no candidate any more".to_owned();
        }
        match fact.instead {
            Some(instead) => {
                let entity = match relation.candidates {
                    Objects::Entities(_) => plan.candidates.find(instead),
                    Objects::Values(_) => None,
                };
                let name = entity.map_or(instead, |entity| plan.candidates.label(entity));
                format!("{name} is there now")
            }
            None => {
                let threshold = relation.rankings.mixed.threshold;
                format!("it does not reach the threshold of {threshold} any more")
            }
        }
    }

    fn asks(&self, relation: usize, subject: &str) -> bool {
        let mut subjects = self.subjects.borrow_mut();
        let own = subjects
            .entry(relation)
            .or_insert_with(|| self.plan.relations[relation].subjects.iter().copied().collect());
        self.plan.subjects.find(subject).is_some_and(|subject| own.contains(&subject))
    }
}
