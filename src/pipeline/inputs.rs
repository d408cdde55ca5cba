//! What a pipeline reads besides its models: the ontology, the tables and known facts, held
//! against each other.
//!
//! None of it needs a model, so that mistakes are told before anything is fetched.

use crate::catalog::{self, Catalog, EntityId};
use crate::config::Pipeline;
use crate::diagnostic::{At, Diagnostic, Diagnostics};
use crate::eval::Gold;
use crate::ontology::{Ontology, Relation, Template};

/// The inputs of a pipeline, without mistakes.
pub struct Inputs {
    pub ontology: Ontology,
    /// The entities to ask about.
    pub subjects: Catalog,
    /// The entities that may be answers.
    pub candidates: Catalog,
    /// Known facts, where the pipeline names some.
    pub gold: Option<Gold>,
    /// The relations to predict, sorted by IRI.
    pub relations: Vec<RelationInputs>,
}

/// What the inputs say of one relation.
pub struct RelationInputs {
    pub relation: Relation,
    /// The templates that a causal model can use, at least one.
    pub templates: Vec<Template>,
    /// The subjects that its domain admits, in the table's order.
    pub subjects: Vec<EntityId>,
    /// The candidates that its range admits, at least one; no two share a label.
    pub candidates: Vec<EntityId>,
}

impl Inputs {
    /// Reads what `pipeline` names. Warnings come with it.
    ///
    /// # Errors
    /// All mistakes of all files; those of what the files say together only where each is sound.
    pub fn read(pipeline: &Pipeline) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut notes = Diagnostics::default();
        let files = &pipeline.inputs;
        let ontology = keep(Ontology::read(&files.ontology), &mut notes);
        let subjects = keep(Catalog::read(&files.subjects), &mut notes);
        let candidates = keep(Catalog::read(&files.candidates), &mut notes);
        let gold = match &files.gold {
            Some(file) => keep(Gold::read(std::slice::from_ref(file)), &mut notes),
            None => None,
        };
        let (Some(ontology), Some(subjects), Some(candidates)) = (ontology, subjects, candidates)
        else {
            return Err(each_once(notes));
        };
        check_named(pipeline, &ontology, &mut notes);
        if notes.has_errors() {
            return Err(notes);
        }
        let mut inputs = Self { ontology, subjects, candidates, gold, relations: Vec::new() };
        let selected = match inputs.ontology.select(files.relations.as_deref()) {
            Ok(relations) => relations.into_iter().cloned().collect::<Vec<_>>(),
            Err(mistakes) => {
                notes.0.extend(mistakes.0.into_iter().map(|mistake| match mistake.place {
                    Some(_) => mistake,
                    None => mistake.at(&files.ontology[0], At::File),
                }));
                return Err(notes);
            }
        };
        for relation in selected {
            if let Some(read) = inputs.relation(relation, &mut notes) {
                inputs.relations.push(read);
            }
        }
        if inputs.relations.iter().all(|r| r.subjects.is_empty()) && !notes.has_errors() {
            let message = "no subject has a type that a relation's domain asks for";
            let help =
                "compare the column `types` of the subjects with `rdfs:domain` in the ontology";
            let mistake = Diagnostic::error("no-subject", message).help(help);
            notes.push(mistake.at(&files.subjects[0], At::File));
        }
        if let Some(gold) = &inputs.gold {
            notes.0.extend(gold.unasked(|relation, subject| inputs.asks(relation, subject)));
        }
        each_once(notes).or(inputs)
    }

    /// Whether the relation asks about the subject; nothing where it is not predicted.
    fn asks(&self, relation: &str, subject: &str) -> Option<bool> {
        let relation = self.relations.iter().find(|r| r.relation.iri == relation)?;
        let subject = self.subjects.find(subject);
        // In the table's order, which is that of the numbers.
        Some(subject.is_some_and(|s| relation.subjects.binary_search(&s).is_ok()))
    }

    fn relation(&self, relation: Relation, notes: &mut Diagnostics) -> Option<RelationInputs> {
        let space = catalog::answer_space(&self.ontology, &relation, &self.candidates);
        let space = keep(space, notes);
        let templates = usable_templates(&relation, notes);
        let space = space?;
        if let Some(gold) = &self.gold {
            notes.0.extend(gold.unreachable(&relation, &space, &self.candidates));
        }
        let subjects = catalog::subjects_of(&self.ontology, &relation, &self.subjects);
        let candidates = space.candidates;
        Some(RelationInputs { templates: templates?, relation, subjects, candidates })
    }
}

/// The relations that the pipeline names must be ones that can be predicted.
fn check_named(pipeline: &Pipeline, ontology: &Ontology, notes: &mut Diagnostics) {
    for (iri, place) in &pipeline.named_relations {
        if let Some(mut mistake) = ontology.refusal(iri) {
            mistake.place.get_or_insert_with(|| place.clone());
            notes.push(mistake);
        }
    }
}

/// A table that is read twice, as subjects and as candidates, has its mistakes twice.
fn each_once(notes: Diagnostics) -> Diagnostics {
    let mut once = Diagnostics::default();
    for note in notes.0 {
        if !once.0.contains(&note) {
            once.push(note);
        }
    }
    once
}

/// Collects diagnostics and gives the value if there is one.
fn keep<T>(result: Result<(T, Diagnostics), Diagnostics>, notes: &mut Diagnostics) -> Option<T> {
    let (value, mut found) = match result {
        Ok((value, warnings)) => (Some(value), warnings),
        Err(mistakes) => (None, mistakes),
    };
    notes.0.append(&mut found.0);
    value
}

/// The templates in which the object comes after the subject, as a causal model reads.
fn usable_templates(relation: &Relation, notes: &mut Diagnostics) -> Option<Vec<Template>> {
    let (unusable, usable): (Vec<Template>, Vec<Template>) =
        relation.templates.iter().cloned().partition(Template::object_first);
    let problem = |code, message: String| {
        let mut diagnostic = Diagnostic::error(code, message);
        diagnostic.place = Some(relation.place.clone());
        diagnostic
    };
    if usable.is_empty() {
        notes.push(
            problem(
                "object-before-subject",
                format!("every template of <{}> has [Y] before [X]", relation.iri),
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
        warning.place = Some(relation.place.clone());
        notes.push(warning);
    }
    if usable.iter().any(|t| t.object_has_space() != usable[0].object_has_space()) {
        notes.push(
            problem(
                "mixed-spacing",
                format!(
                    "some templates of <{}> have a space before [Y] and some not",
                    relation.iri
                ),
            )
            .help("the candidates' tokens depend on it: write all templates one way"),
        );
        return None;
    }
    Some(usable)
}
