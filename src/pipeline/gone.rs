//! Why a fact of an older graph is not in the new one, as far as the plan knows.

use super::Plan;
use crate::graph::GoneFact;

impl Plan {
    /// The reason, in words.
    pub(super) fn why_gone(&self, fact: &GoneFact<'_>) -> String {
        if fact.derived {
            return "it does not follow from what is in the graph any more".to_owned();
        }
        let at = self.relations.binary_search_by(|relation| (*relation.iri).cmp(fact.relation));
        let Ok(at) = at else { return "its relation is not asked about any more".to_owned() };
        let relation = &self.relations[at];
        let subject = self.subjects.find(fact.subject);
        // In the table's order, which is that of the numbers.
        if subject.is_none_or(|subject| relation.subjects.binary_search(&subject).is_err()) {
            let known = self.known.as_ref();
            let known = known.and_then(|known| known.objects(fact.subject, fact.relation));
            return match known.is_some_and(|objects| !objects.is_empty()) {
                true => "what is known of its subject is not asked any more".to_owned(),
                false => "its subject is not asked about any more".to_owned(),
            };
        }
        if self.candidate(relation, fact.object).is_none() {
            return "its object is no candidate any more".to_owned();
        }
        match fact.instead {
            Some(instead) => {
                let named = |candidate| self.label(relation, candidate);
                let name = self.candidate(relation, instead).map_or(instead.into(), named);
                format!("{name} is there now")
            }
            None => {
                let threshold = relation.rankings.mixed.threshold;
                format!("it does not reach the threshold of {threshold} any more")
            }
        }
    }
}
