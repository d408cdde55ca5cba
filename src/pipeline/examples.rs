//! Known facts that stand before prompts, so that a model sees how they are to be answered.

use super::inputs::{Inputs, RelationInputs};
use crate::catalog::Catalog;
use crate::config;
use crate::diagnostic::{Diagnostic, Diagnostics, counted};
use crate::facts::Facts;
use crate::ontology::Template;

/// The facts from which examples are taken.
pub struct Examples {
    facts: Facts,
    /// More labels than the pipeline's own tables have.
    entities: Option<Catalog>,
    count: usize,
}

impl Examples {
    /// Reads them; mistakes go to `notes`.
    pub fn read(settings: &config::Examples, notes: &mut Diagnostics) -> Option<Self> {
        let facts = notes.keep(Facts::read(&settings.facts));
        let entities = match &settings.entities[..] {
            [] => None,
            files => Some(notes.keep(Catalog::read(files))?),
        };
        Some(Self { facts: facts?, entities, count: settings.count })
    }

    /// Labels of subjects and objects of facts of a relation, evenly spread over those that have
    /// labels and whose subject it does not ask about.
    pub fn of(
        &self,
        relation: &RelationInputs,
        inputs: &Inputs,
        notes: &mut Diagnostics,
    ) -> Vec<(String, String)> {
        let catalogs = [Some(&inputs.subjects), Some(&inputs.candidates), self.entities.as_ref()];
        let label = |iri: &str| {
            let catalogs = catalogs.iter().flatten();
            catalogs.filter_map(|catalog| Some(catalog.label(catalog.find(iri)?))).next()
        };
        let asked = |iri: &str| {
            let subject = inputs.subjects.find(iri);
            // In the table's order, which is that of the numbers.
            subject.is_some_and(|subject| relation.subjects.binary_search(&subject).is_ok())
        };
        let questions = self.facts.questions(&relation.relation.iri);
        let known: Vec<(&str, &str)> = questions
            .filter(|(subject, _)| !asked(subject))
            .filter_map(|(subject, objects)| Some((label(subject)?, label(objects.first()?)?)))
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
        let pick = |at: usize| known[at * known.len() / count];
        let picked = (0..count).map(pick);
        picked.map(|(subject, object)| (subject.to_owned(), object.to_owned())).collect()
    }
}

/// Examples as the text that stands before a prompt: a line each, in the relation's templates by
/// turns. All templates have the same in front, so that it is computed once.
pub fn text(templates: &[Template], examples: &[(String, String)]) -> String {
    let lines = examples.iter().zip(templates.iter().cycle());
    lines.map(|((subject, object), template)| template.filled(subject, object) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_take_turns() {
        let templates = ["[X] is in [Y].", "[X] lies in [Y]"].map(|t| Template::parse(t).unwrap());
        let example = |subject: &str, object: &str| (subject.to_owned(), object.to_owned());
        let examples =
            [example("Rome", "Italy"), example("Oslo", "Norway"), example("Bonn", "Germany")];
        let expected = "Rome is in Italy.\nOslo lies in Norway\nBonn is in Germany.\n";
        assert_eq!(text(&templates, &examples), expected);
        assert_eq!(text(&templates, &[]), "");
    }
}
