//! The templates of a relation that a family of models can use.

use super::{Relation, Template};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Why a template cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of the mistake.
    pub code: &'static str,
    /// What the template is like, after its subject: `has [Y] before [X]`.
    pub problem: &'static str,
    /// Why that does not do.
    pub reason: &'static str,
    /// What to write instead.
    pub instead: &'static str,
}

impl Refusal {
    /// What a model that reads from left to right cannot use.
    pub fn by_causal(template: &Template) -> Option<Self> {
        if template.is_question() {
            return Some(Self {
                code: "question",
                problem: "has no place for the object",
                reason: "a causal model says the object where [Y] stands",
                instead: "write a kgb:template with [X] before [Y]",
            });
        }
        template.object_first().then_some(Self {
            code: "object-before-subject",
            problem: "has [Y] before [X]",
            reason: "a causal model reads from left to right",
            instead: "write one with [X] before [Y]",
        })
    }
}

impl Relation {
    /// The templates that a causal model can use: see [`Self::usable_templates`].
    pub fn causal_templates(&self, notes: &mut Diagnostics) -> Option<Vec<Template>> {
        self.usable_templates(self.templates.iter().collect(), &Refusal::by_causal, notes)
    }

    /// Those of `templates`, its own, that nothing refuses, all with a space before the object or all without.
    /// Warnings, and why there are none, go to `notes`.
    pub fn usable_templates(
        &self,
        templates: Vec<&Template>,
        refusal: &dyn Fn(&Template) -> Option<Refusal>,
        notes: &mut Diagnostics,
    ) -> Option<Vec<Template>> {
        let (mut usable, mut refused) = (Vec::new(), Vec::new());
        for template in templates {
            match refusal(template) {
                None => usable.push(template.clone()),
                Some(refusal) => refused.push((template, refusal)),
            }
        }
        let problem = |code, message: String| {
            let mut diagnostic = Diagnostic::error(code, message);
            diagnostic.place = Some(self.place.clone());
            diagnostic
        };
        if let (true, Some((_, first))) = (usable.is_empty(), refused.first()) {
            let Refusal { code, problem: like, reason, instead } = first;
            let message = format!("every template of <{}> {like}", self.iri);
            notes.push(problem(code, message).help(format!("{reason}: {instead}")));
            return None;
        }
        for (template, Refusal { code, problem: like, reason, .. }) in refused {
            let message = format!("the template {:?} is left out: it {like}", template.text());
            let mut warning = Diagnostic::warning(code, message).help(reason);
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
