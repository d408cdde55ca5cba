//! Which predicted question answers which gold question.

use std::collections::{HashMap, HashSet};

use super::gold::Gold;
use super::name::{Name, Naming, fold_relation};
use super::predictions::{PredictedObject, Predictions};
use super::report::Outside;

/// A relation of gold and the number of one of its questions.
pub(super) type GoldKey<'g> = (&'g str, usize);

/// Gold questions by what they ask.
pub(super) struct GoldIndex<'g> {
    gold: &'g Gold,
    /// By the relation's name, then by the subject's id or label.
    questions: HashMap<String, HashMap<&'g str, Vec<GoldKey<'g>>>>,
}

impl<'g> GoldIndex<'g> {
    pub(super) fn of(gold: &'g Gold) -> Self {
        let mut all: HashMap<String, HashMap<&str, Vec<GoldKey<'g>>>> = HashMap::new();
        for (relation, questions) in &gold.relations {
            let name = match gold.by.naming {
                Naming::Iri => relation.clone(),
                Naming::Label => fold_relation(relation),
            };
            let of_relation = all.entry(name).or_default();
            for (number, question) in questions.iter().enumerate() {
                for key in question.subject.id.iter().chain(question.subject.labels()) {
                    of_relation.entry(key).or_default().push((relation, number));
                }
            }
        }
        Self { gold, questions: all }
    }

    /// The gold questions that a predicted one answers, by its subject and what its relation is called: several
    /// where subjects share a label.
    pub(super) fn asked(&self, subject: &Name, relation: &[String]) -> Vec<GoldKey<'g>> {
        let of_relation = relation.iter().find_map(|name| self.questions.get(name));
        let Some(of_relation) = of_relation else { return Vec::new() };
        let keys = subject.id.iter().chain(subject.labels());
        let mut found: Vec<GoldKey<'g>> =
            keys.filter_map(|key| of_relation.get(key.as_str())).flatten().copied().collect();
        found.retain(|(relation, number)| {
            self.gold.relations[*relation][*number].subject.means(subject)
        });
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The predicted objects of each gold question, best first, each once.
pub(super) fn assign<'g, 'p>(
    gold: &'g Gold,
    predictions: &'p Predictions,
) -> (HashMap<GoldKey<'g>, Vec<&'p PredictedObject>>, Outside) {
    let index = GoldIndex::of(gold);
    let mut answers: HashMap<GoldKey<'g>, Vec<&'p PredictedObject>> = HashMap::new();
    let mut outside = predictions.outside;
    for question in &predictions.questions {
        let asked = index.asked(&question.subject, &question.relation);
        if asked.is_empty() {
            outside.add(question.objects.len());
        }
        for key in asked {
            answers.entry(key).or_default().extend(&question.objects);
        }
    }
    for objects in answers.values_mut() {
        // Several subjects of one label: what all of them predict is ranked anew.
        if objects.iter().all(|object| object.confidence.is_some()) {
            objects.sort_by(|a, b| {
                b.confidence.unwrap_or(0.0).total_cmp(&a.confidence.unwrap_or(0.0))
            });
        }
        let mut seen = HashSet::new();
        objects.retain(|object| object.name.is_empty() || seen.insert(&object.name));
        if gold.by.naming == Naming::Label {
            *objects = told_apart(objects);
        }
    }
    (answers, outside)
}

/// Of objects that mean the same, as a graph and a file may name them, the first.
fn told_apart<'p>(objects: &[&'p PredictedObject]) -> Vec<&'p PredictedObject> {
    let mut kept: Vec<&PredictedObject> = Vec::with_capacity(objects.len());
    for object in objects {
        if object.name.is_empty() || !kept.iter().any(|k| k.name.means(&object.name)) {
            kept.push(object);
        }
    }
    kept
}
