//! What a finetuning reads besides its model and text: ontology, labels and facts, held against
//! each other.
//!
//! None of it needs a model, so that mistakes are told before anything is fetched. Invariant: the
//! training and the held-out facts are not empty, each has an object, and its relation has
//! templates and its entities have labels.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::catalog::Catalog;
use crate::config::finetune::{Finetune, HeldOut};
use crate::diagnostic::{At, Diagnostic, Diagnostics, Place, counted};
use crate::facts::{Facts, ObjectsOf};
use crate::ontology::{Ontology, Template, ValueRange};

/// How many examples a message names.
const SHOWN: usize = 10;

/// The inputs of a finetuning, without mistakes.
pub struct TrainingInputs {
    /// The facts to train on.
    pub train: Facts,
    /// The facts that measure the training.
    pub held_out: Facts,
    /// The labels of all subjects and objects.
    pub labels: Labels,
    /// The templates that a causal model can use, at least one, by the relation's IRI.
    pub templates: BTreeMap<String, Vec<Template>>,
    /// The values that objects may be, of relations whose objects are values.
    pub values: BTreeMap<String, ValueRange>,
}

/// The labels of entities from several tables; the first that has an entity decides.
pub struct Labels(Vec<Catalog>);

impl Labels {
    /// The label of the entity with this IRI.
    pub fn get(&self, iri: &str) -> Option<&str> {
        self.0.iter().find_map(|catalog| catalog.find(iri).map(|entity| catalog.label(entity)))
    }
}

impl TrainingInputs {
    /// Reads what `settings` name. Warnings come with it.
    ///
    /// # Errors
    /// All mistakes of all files; those of what the files say together only where each is sound.
    pub fn read(settings: &Finetune) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut notes = Diagnostics::default();
        let ontology = notes.keep(Ontology::read(&settings.ontology));
        let labels = labels(settings, &mut notes);
        let facts = &settings.facts;
        let objects = ontology.as_ref().map_or(ObjectsOf::Anything, ObjectsOf::Ontology);
        let train = notes.keep(Facts::read(&facts.train, objects));
        let held_out = match &facts.held_out {
            HeldOut::Files(files) => notes.keep(Facts::read(files, objects)),
            HeldOut::Share(_) => Some(Facts::default()),
        };
        let test = notes.keep(Facts::read(&facts.test, objects));
        let (Some(ontology), Some(labels), Some(train), Some(held_out), Some(test)) =
            (ontology, labels, train, held_out, test)
        else {
            return Err(notes);
        };
        notes.0.extend(ontology.refusals(&settings.named_relations));
        if notes.has_errors() {
            return Err(notes);
        }
        let train = usable(train, "training", settings, &mut notes);
        let (train, held_out) = match facts.held_out {
            HeldOut::Files(_) => (train, usable(held_out, "held-out", settings, &mut notes)),
            HeldOut::Share(share) => divide(train, share, settings, &mut notes),
        };
        for (one, other, names) in [
            (&train, &held_out, "both training and held-out facts"),
            (&train, &test, "both training and test facts"),
            (&held_out, &test, "both held-out and test facts"),
        ] {
            overlap(one, other, names, facts.allow_overlap, &mut notes);
        }
        let (mut templates, mut values) = (BTreeMap::new(), BTreeMap::new());
        for (role, facts) in [("training", &train), ("held-out", &held_out)] {
            known_relations(role, facts, &ontology, &mut notes);
            known_entities(role, facts, &labels, &ontology, &mut notes);
            for relation in facts.relations().filter_map(|iri| ontology.relation(iri)) {
                if !templates.contains_key(&relation.iri) {
                    let usable = relation.causal_templates(&mut notes).unwrap_or_default();
                    templates.insert(relation.iri.clone(), usable);
                    values.extend(relation.values.clone().map(|own| (relation.iri.clone(), own)));
                }
            }
        }
        notes.or(Self { train, held_out, labels, templates, values })
    }
}

impl TrainingInputs {
    /// What an object of a relation is called: an entity by its IRI, a value by its text.
    pub fn label_of_object(&self, relation: &str, object: &str) -> Cow<'_, str> {
        let value = self.values.get(relation).and_then(|values| {
            Some(Cow::Owned(values.written(values.position(object)?).swap_remove(0)))
        });
        let label = || self.labels.get(object).map(Cow::Borrowed);
        value.or_else(label).unwrap_or_else(|| Cow::Owned(object.to_owned()))
    }
}

/// The tables of entities, each on its own: subjects and candidates of a pipeline may describe one
/// entity differently, as long as they call it the same.
fn labels(settings: &Finetune, notes: &mut Diagnostics) -> Option<Labels> {
    let read: Vec<Option<Catalog>> = settings
        .entities
        .iter()
        .map(|file| notes.keep(Catalog::read(std::slice::from_ref(file), &settings.language)))
        .collect();
    let labels = Labels(read.into_iter().collect::<Option<Vec<_>>>()?);
    for (number, catalog) in labels.0.iter().enumerate() {
        let differ = |iri: &str, label: &str| labels.get(iri).is_some_and(|first| first != label);
        let others: Vec<&str> = catalog
            .ids()
            .map(|entity| (catalog.iri(entity), catalog.label(entity)))
            .filter(|(iri, label)| differ(iri, label))
            .map(|(iri, _)| iri)
            .collect();
        if !others.is_empty() {
            let message = format!(
                "a table before this one has another label, which is used, for {}: {}",
                counted(others.len(), "entity"),
                examples(others.iter().copied())
            );
            let help = "give an entity one label, so that a run asks as the training did";
            let warning = Diagnostic::warning("other-label", message).help(help);
            notes.push(warning.at(&settings.entities[number], At::File));
        }
    }
    Some(labels)
}

/// The facts of the wanted relations that have an object.
fn usable(facts: Facts, role: &str, settings: &Finetune, notes: &mut Diagnostics) -> Facts {
    let wanted = settings.facts.relations.as_deref();
    let is_wanted = |iri: &str| wanted.is_none_or(|all| all.iter().any(|one| one == iri));
    let (facts, others) = facts.split(|relation, _, _| is_wanted(relation));
    let place = place(&others);
    let mut note = |code, message: String| {
        notes.push(Diagnostic { place: place.clone(), ..Diagnostic::warning(code, message) });
    };
    if !others.is_empty() {
        let message = format!(
            "{} left out: `facts.relations` does not list {}",
            counted(others.count(), &format!("{role} fact")),
            examples(others.relations())
        );
        note("relation-not-listed", message);
    }
    let (facts, empty) = facts.split(|_, _, objects| !objects.is_empty());
    if !empty.is_empty() {
        let message = format!(
            "{} left out: known to have no object, and a model is finetuned on objects",
            counted(empty.len(), &format!("{role} question"))
        );
        note("no-object", message);
    }
    if facts.is_empty() {
        notes.push(nothing_left(role, &facts));
    }
    facts
}

fn nothing_left(role: &str, facts: &Facts) -> Diagnostic {
    let message = format!("there are no {role} facts");
    let help = match role {
        "held-out" => "they measure the training: name some, or leave `held_out` out",
        _ => "the files hold none that can be used",
    };
    Diagnostic { place: place(facts), ..Diagnostic::error("no-facts", message).help(help) }
}

/// Takes `share` of the questions out of the training facts, the same ones for the same seed
/// whatever other questions there are.
fn divide(
    facts: Facts,
    share: f64,
    settings: &Finetune,
    notes: &mut Diagnostics,
) -> (Facts, Facts) {
    let seed = settings.training.seed;
    let questions = facts.len();
    let (held_out, train) =
        facts.split(|relation, subject, _| draw(seed, relation, subject) < share);
    if questions > 0 && (held_out.is_empty() || train.is_empty()) {
        let side = if train.is_empty() { "trained" } else { "held out" };
        let questions = counted(questions, "question");
        let message = format!("a share of {share} of {questions} leaves none {side}");
        let help = "change `held_out_share`, or name files with `held_out`";
        let mistake = Diagnostic::error("no-facts", message).help(help);
        notes.push(Diagnostic { place: place(&train), ..mistake });
    }
    (train, held_out)
}

/// A number from 0 to below 1 that depends on nothing else.
fn draw(seed: u64, relation: &str, subject: &str) -> f64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(relation);
    hash.update([0]);
    hash.update(subject);
    let bytes: [u8; 32] = hash.finalize().into();
    let (words, _) = bytes.as_chunks::<8>();
    // The 53 bits that an f64 holds exactly.
    (u64::from_le_bytes(words[0]) >> 11) as f64 / (1_u64 << 53) as f64
}

fn overlap(one: &Facts, other: &Facts, names: &str, allowed: bool, notes: &mut Diagnostics) {
    let shared = one.overlap(other);
    if shared.is_empty() {
        return;
    }
    let examples: Vec<String> = shared
        .iter()
        .take(SHOWN)
        .map(|(relation, subject)| format!("\n     <{subject}> <{relation}>"))
        .collect();
    let more = match shared.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("\n     and {more} more"),
    };
    let questions = counted(shared.len(), "question");
    let message = format!("{names} have {questions}:{}{more}", examples.concat());
    let diagnostic = if allowed {
        Diagnostic::warning("overlap", message)
    } else {
        let help = "a model that has seen an answer is not measured by it: take them out of one of \
                    the two, or write `allow_overlap = true` under [facts]";
        Diagnostic::error("overlap", message).help(help)
    };
    notes.push(Diagnostic { place: place(other), ..diagnostic });
}

fn known_relations(role: &str, facts: &Facts, ontology: &Ontology, notes: &mut Diagnostics) {
    let unknown: Vec<&str> =
        facts.relations().filter(|iri| ontology.relation(iri).is_none()).collect();
    if unknown.is_empty() {
        return;
    }
    let count: usize =
        unknown.iter().flat_map(|iri| facts.questions(iri)).map(|(_, o)| o.len()).sum();
    let message = format!(
        "the ontology has no template for {} of {}: {}",
        counted(unknown.len(), "relation"),
        counted(count, &format!("{role} fact")),
        examples(unknown.iter().copied())
    );
    // What the ontology says of the first is most often true of all.
    let help = ontology.refusal(unknown[0]).and_then(|refusal| refusal.help).unwrap_or_default();
    let help = format!("{help} (or list the relations to train under `facts.relations`)");
    let mistake = Diagnostic::error("unknown-relation", message).help(help);
    notes.push(Diagnostic { place: place(facts), ..mistake });
}

fn known_entities(
    role: &str,
    facts: &Facts,
    labels: &Labels,
    ontology: &Ontology,
    notes: &mut Diagnostics,
) {
    let (mut unknown, mut count) = (BTreeSet::new(), 0);
    for relation in facts.relations() {
        let are_values = ontology.relation(relation).is_some_and(|known| known.values.is_some());
        for (subject, objects) in facts.questions(relation) {
            let lacks_subject = labels.get(subject).is_none();
            unknown.extend(lacks_subject.then_some(subject));
            for object in objects {
                let lacks_object = !are_values && labels.get(object).is_none();
                unknown.extend(lacks_object.then_some(object.as_str()));
                count += usize::from(lacks_subject || lacks_object);
            }
        }
    }
    if unknown.is_empty() {
        return;
    }
    let message = format!(
        "the tables under `inputs.entities` lack {} of {}: {}",
        counted(unknown.len(), "entity"),
        counted(count, &format!("{role} fact")),
        examples(unknown.iter().copied())
    );
    let help = "add them with their labels, or take their facts out";
    let mistake = Diagnostic::error("unknown-entity", message).help(help);
    notes.push(Diagnostic { place: place(facts), ..mistake });
}

/// The first of these IRIs, and how many more there are.
fn examples<'a>(iris: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<String> = iris.map(|iri| format!("<{iri}>")).collect();
    let shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The first of the files from which the facts were read.
fn place(facts: &Facts) -> Option<Place> {
    facts.files().first().map(|file| Place { file: file.clone(), at: At::File })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_called_as_texts_write_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ontology.ttl");
        let text = "@prefix kgb: <https://w3id.org/kgbuild#> .
            @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
            @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
            <e:born> rdfs:range xsd:date ; kgb:minimum \"1890-01-01\"^^xsd:date ;
                kgb:maximum \"1890-12-31\"^^xsd:date ; kgb:template \"[X] was born on [Y].\" .";
        std::fs::write(&file, text).unwrap();
        let (ontology, _) = Ontology::read(&[file]).unwrap();
        let values = ontology.relation("e:born").unwrap().values.clone().unwrap();
        let inputs = TrainingInputs {
            train: Facts::default(),
            held_out: Facts::default(),
            labels: Labels(Vec::new()),
            templates: BTreeMap::new(),
            values: BTreeMap::from([("e:born".to_owned(), values)]),
        };
        assert_eq!(inputs.label_of_object("e:born", "1890-03-12"), "12 March 1890");
        // Outside of what is asked for, as it stands in the table.
        assert_eq!(inputs.label_of_object("e:born", "1990-03-12"), "1990-03-12");
        assert_eq!(inputs.label_of_object("e:other", "e:x"), "e:x");
    }

    #[test]
    fn what_is_drawn_depends_on_all_three() {
        let drawn = draw(0, "e:r", "e:a");
        assert_eq!(drawn, draw(0, "e:r", "e:a"));
        for other in [draw(1, "e:r", "e:a"), draw(0, "e:s", "e:a"), draw(0, "e:r", "e:b")] {
            assert_ne!(drawn, other);
        }
    }

    #[test]
    fn a_share_of_many_is_that_share() {
        let held = (0..10_000).filter(|i| draw(7, "e:r", &format!("e:{i}")) < 0.2).count();
        // Five standard deviations of a binomial distribution.
        assert!(held.abs_diff(2000) < 200, "{held}");
    }

    proptest! {
        #[test]
        fn draws_lie_between_0_and_1(seed: u64, subject in ".*") {
            prop_assert!((0.0..1.0).contains(&draw(seed, "e:r", &subject)));
        }
    }
}
