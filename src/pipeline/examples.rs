//! Known facts that stand before prompts, so that a model sees how they are to be answered.

use super::inputs::{Inputs, RelationInputs};
use crate::catalog::Catalog;
use crate::config;
use crate::diagnostic::{Diagnostic, Diagnostics, counted};
use crate::facts::{Facts, ObjectsOf};
use crate::ontology::Ontology;

/// The facts from which examples are taken.
pub(super) struct Examples {
    facts: Facts,
    /// More labels than the pipeline's own tables have.
    entities: Option<Catalog>,
    /// What numbers are chosen on, which no example may give away.
    held_out: Option<Facts>,
    count: usize,
}

impl Examples {
    /// Reads them, if the pipeline has any; mistakes go to `notes`.
    pub(super) fn read(
        pipeline: &config::Pipeline,
        ontology: &Ontology,
        notes: &mut Diagnostics,
    ) -> Option<Self> {
        let settings = pipeline.examples.as_ref()?;
        let objects = ObjectsOf::Ontology(ontology);
        let facts = notes.keep(Facts::read(&settings.facts, objects));
        let held_out = match &pipeline.tuning {
            Some(tuning) => Some(notes.keep(Facts::read(&tuning.facts, objects))?),
            None => None,
        };
        let entities = match &settings.entities[..] {
            [] => None,
            files => Some(notes.keep(Catalog::read(files, &pipeline.inputs.language))?),
        };
        Some(Self { facts: facts?, entities, held_out, count: settings.count })
    }

    /// Labels of subjects and objects of facts of a relation, evenly spread over those that have
    /// labels, and whose subject is not among the pipeline's `own`, is not asked about otherwise, and
    /// not held out: the same whatever is asked.
    pub(super) fn of(
        &self,
        relation: &RelationInputs,
        inputs: &Inputs,
        own: &Catalog,
        notes: &mut Diagnostics,
    ) -> Vec<(String, String)> {
        let catalogs = [Some(&inputs.subjects), Some(&inputs.candidates), self.entities.as_ref()];
        let label = |iri: &str| {
            let catalogs = catalogs.iter().flatten();
            catalogs.filter_map(|catalog| Some(catalog.label(catalog.find(iri)?))).next()
        };
        let values = relation.relation.values.as_ref();
        let label_of_object = |object: &'_ str| match values {
            Some(values) => Some(values.written(values.position(object)?).swap_remove(0)),
            None => label(object).map(str::to_owned),
        };
        let iri_of_relation = &relation.relation.iri;
        let asked = |iri: &str| {
            let subject = inputs.subjects.find(iri);
            // In the table's order, which is that of the numbers.
            own.find(iri).is_some()
                || subject.is_some_and(|s| relation.subjects.binary_search(&s).is_ok())
                || self.held_out.as_ref().is_some_and(|f| f.objects(iri, iri_of_relation).is_some())
        };
        let questions = self.facts.questions(&relation.relation.iri);
        let known: Vec<(String, String)> = questions
            .filter(|(subject, _)| !asked(subject))
            .filter_map(|(subject, objects)| {
                Some((label(subject)?.to_owned(), label_of_object(objects.first()?)?))
            })
            .collect();
        let count = self.count.min(known.len());
        if count < self.count {
            let message = format!(
                "<{}> has {} instead of {}",
                relation.relation.iri,
                counted(count, "example"),
                self.count
            );
            notes.push(Diagnostic::warning("few-examples", message).help(
                "examples are facts with labels, of subjects that are not asked about: name more \
                 under [examples], or tables with their labels as its `entities`",
            ));
        }
        let pick = |at: usize| known[at * known.len() / count].clone();
        (0..count).map(pick).collect()
    }
}
