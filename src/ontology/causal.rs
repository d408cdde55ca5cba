//! The templates of a relation that a causal model can use, which reads from left to right.

use super::{Relation, Template};
use crate::diagnostic::{Diagnostic, Diagnostics};

impl Relation {
    /// The templates in which the object comes after the subject, all with a space before the
    /// object or all without. Warnings, and why there are none, go to `notes`.
    pub fn causal_templates(&self, notes: &mut Diagnostics) -> Option<Vec<Template>> {
        let (unusable, usable): (Vec<Template>, Vec<Template>) =
            self.templates.iter().cloned().partition(Template::object_first);
        let problem = |code, message: String| {
            let mut diagnostic = Diagnostic::error(code, message);
            diagnostic.place = Some(self.place.clone());
            diagnostic
        };
        if usable.is_empty() {
            notes.push(
                problem(
                    "object-before-subject",
                    format!("every template of <{}> has [Y] before [X]", self.iri),
                )
                .help("a causal model reads from left to right: write one with [X] before [Y]"),
            );
            return None;
        }
        for template in unusable {
            let message =
                format!("the template {:?} is left out: it has [Y] before [X]", template.text());
            let mut warning = Diagnostic::warning("object-before-subject", message)
                .help("a causal model reads from left to right");
            warning.place = Some(self.place.clone());
            notes.push(warning);
        }
        if usable.iter().any(|t| t.object_has_space() != usable[0].object_has_space()) {
            notes.push(
                problem(
                    "mixed-spacing",
                    format!(
                        "some templates of <{}> have a space before [Y] and some not",
                        self.iri
                    ),
                )
                .help("the candidates' tokens depend on it: write all templates one way"),
            );
            return None;
        }
        Some(usable)
    }
}
