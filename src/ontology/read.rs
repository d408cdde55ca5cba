//! From Turtle statements to an [`Ontology`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::disjoint::disjoint;
use super::implications::consequences;
use super::statements::{OWL, Statements, iri, local};
use super::terms::warn_of_unknown_terms;
use super::turtle::{self, Node, Statement};
use super::values::{ValuesOf, value_range};
use super::{AnyOf, Ontology, Relation, Template, TemplateError};
use crate::diagnostic::{At, Diagnostic, Diagnostics, Place};

pub(super) fn read(files: &[PathBuf]) -> Result<(Ontology, Diagnostics), Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    let mut statements = Statements::default();
    for (number, file) in files.iter().enumerate() {
        match turtle::read(file, number, |predicate| local(predicate).is_some()) {
            Ok(turtle) => add(&mut statements, turtle, file),
            Err(mut mistakes) => diagnostics.0.append(&mut mistakes.0),
        }
    }
    statements.restrictions = restrictions(&statements);
    warn_of_unknown_terms(&statements, &mut diagnostics);
    let mut ontology = Ontology {
        labels: labels(&statements),
        superclasses: superclasses(&statements),
        disjoint: disjoint(&statements),
        ..Ontology::default()
    };
    let mut templates = templates(&statements, &mut diagnostics);
    let properties = properties(&statements);
    for property in properties {
        let Some(place) = statements.first_places.get(&property) else { continue };
        match templates.remove(&property) {
            None => {
                ontology.others.insert(property, place.clone());
            }
            Some(templates) => {
                let relation =
                    relation(property, templates, place, &statements, &ontology, &mut diagnostics);
                ontology.relations.push(relation);
            }
        }
    }
    ontology.consequences = consequences(&statements, &ontology, &mut diagnostics);
    diagnostics.or(ontology)
}

fn add(statements: &mut Statements, turtle: turtle::Turtle, file: &Path) {
    let place = |at: At| Place { file: file.to_owned(), at };
    for (subject, at) in turtle.subjects {
        statements.first_places.entry(subject).or_insert_with(|| place(at));
    }
    for Statement { subject, predicate, object, at } in turtle.statements {
        if let Some((prefix, name)) = local(&predicate) {
            let objects = statements.by_predicate.entry(format!("{prefix}:{name}")).or_default();
            objects.entry(subject).or_default().push((object, place(at)));
        }
    }
}

/// The best label of everything: no language before `en` before `en-…` before the rest, and
/// then the smallest text.
fn labels(statements: &Statements) -> HashMap<String, String> {
    let mut best: HashMap<&str, (u8, &str)> = HashMap::new();
    for (subject, object, _) in statements.of("rdfs:label") {
        let (Some(subject), Node::Literal { value, language }) = (iri(subject), object) else {
            continue;
        };
        let rank = match language.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None => 0,
            Some("en") => 1,
            Some(language) if language.starts_with("en-") => 2,
            Some(_) => 3,
        };
        let label = (rank, value.trim());
        let kept = best.entry(subject).or_insert(label);
        *kept = label.min(*kept);
    }
    best.into_iter().map(|(iri, (_, label))| (iri.to_owned(), label.to_owned())).collect()
}

/// `rdfs:subClassOf`, and what `owl:equivalentClass` and a named `owl:unionOf` say of it.
fn superclasses(statements: &Statements) -> HashMap<String, BTreeSet<String>> {
    let mut above: HashMap<String, BTreeSet<String>> = HashMap::new();
    let mut insert = |class: &Node, superclass: &Node| {
        if let (Some(class), Some(superclass)) = (iri(class), iri(superclass)) {
            above.entry(class.to_owned()).or_default().insert(superclass.to_owned());
        }
    };
    for (class, superclass, _) in statements.of("rdfs:subClassOf") {
        insert(class, superclass);
    }
    for (one, other, _) in statements.of("owl:equivalentClass") {
        insert(one, other);
        insert(other, one);
    }
    for (union, head, _) in statements.of("owl:unionOf") {
        for member in statements.list(head).unwrap_or_default() {
            insert(member, union);
        }
    }
    above
}

/// Everything that is used as a property, sorted.
fn properties(statements: &Statements) -> BTreeSet<String> {
    let typed = statements.of("rdf:type").filter(|(_, class, _)| {
        iri(class).and_then(local).is_some_and(|(_, name)| name.ends_with("Property"))
    });
    ["kgb:template", "kgb:question", "kgb:maxObjects", "rdfs:domain", "rdfs:range"]
        .into_iter()
        .flat_map(|predicate| statements.of(predicate))
        .chain(typed)
        .filter_map(|(subject, _, _)| iri(subject))
        .map(str::to_owned)
        .collect()
}

/// The templates and then the questions of each property. One of which all are wrong keeps an empty
/// list, so that its other mistakes are reported too.
fn templates(
    statements: &Statements,
    diagnostics: &mut Diagnostics,
) -> HashMap<String, Vec<Template>> {
    let mut templates: HashMap<String, Vec<Template>> = HashMap::new();
    type Parse = fn(&str) -> Result<Template, TemplateError>;
    let kinds: [(&str, &str, Parse); 2] = [
        ("kgb:template", "template", Template::parse),
        ("kgb:question", "question", Template::parse_question),
    ];
    for (predicate, kind, parse) in kinds {
        for (subject, object, place) in statements.of(predicate) {
            let Some(property) = iri(subject) else { continue };
            let list = templates.entry(property.to_owned()).or_default();
            let mut mistake = |message: String, help: &str| {
                let diagnostic = Diagnostic::error("bad-template", message).help(help);
                diagnostics.push(Diagnostic { place: Some(place.clone()), ..diagnostic });
            };
            let Node::Literal { value, .. } = object else {
                mistake(format!("a {kind} of <{property}> is no text"), "write it in quotes");
                continue;
            };
            match parse(value) {
                Ok(template) if list.contains(&template) => {}
                Ok(template) => list.push(template),
                Err(error) => {
                    let help = match error {
                        TemplateError::Missing { .. } if kind == "question" => {
                            "[X] is the place of the subject, in capitals"
                        }
                        TemplateError::Missing { .. } => {
                            "[X] is the place of the subject and [Y] that of the object, in capitals"
                        }
                        TemplateError::Repeated { .. } => {
                            "each place may stand once: say the rest with a pronoun"
                        }
                        TemplateError::Answered => {
                            "write it as a kgb:template, or ask so that [Y] is the answer"
                        }
                    };
                    mistake(format!("in the {kind} \"{value}\", {error}"), help);
                }
            }
        }
    }
    templates
}

fn relation(
    iri: String,
    templates: Vec<Template>,
    place: &Place,
    statements: &Statements,
    ontology: &Ontology,
    diagnostics: &mut Diagnostics,
) -> Relation {
    let subject = Node::Iri(iri);
    let values = value_range(&subject, statements, diagnostics);
    let mut classes = |predicate: &str| {
        let mut all = Vec::new();
        for (object, at) in statements.objects(&subject, predicate) {
            match statements.any_of(object) {
                Some(any) => all.push(any),
                None => {
                    let message = format!(
                        "the {predicate} of {subject} is neither a class nor a union of classes"
                    );
                    let diagnostic = Diagnostic::error("bad-class", message)
                        .help("name a class, or write [ owl:unionOf ( ex:City ex:Village ) ]");
                    diagnostics.push(Diagnostic { place: Some(at.clone()), ..diagnostic });
                }
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    };
    let domain = classes("rdfs:domain");
    let (range, values) = match values {
        ValuesOf::Entities => (classes("rdfs:range"), None),
        ValuesOf::Range(values) => (Vec::new(), Some(values)),
        ValuesOf::Mistaken => (Vec::new(), None),
    };
    let max_objects = max_objects(&subject, &domain, statements, ontology, diagnostics);
    let irreflexive = is_of_class(&subject, "IrreflexiveProperty", statements);
    let Node::Iri(iri) = subject else { unreachable!("made from an IRI above") };
    let label = ontology.labels.get(&iri).cloned();
    let place = place.clone();
    Relation { iri, label, templates, domain, range, values, max_objects, irreflexive, place }
}

/// Whether a property is of a class of OWL's.
pub(super) fn is_of_class(property: &Node, class: &str, statements: &Statements) -> bool {
    let class = Node::Iri(format!("{OWL}{class}"));
    statements.objects(property, "rdf:type").iter().any(|(object, _)| *object == class)
}

/// The smallest of all bounds on the relation's number of objects.
pub(super) fn max_objects(
    relation: &Node,
    domain: &[AnyOf],
    statements: &Statements,
    ontology: &Ontology,
    diagnostics: &mut Diagnostics,
) -> Option<u32> {
    let functional = is_of_class(relation, "FunctionalProperty", statements);
    let mut bounds: Vec<u32> = functional.then_some(1).into_iter().collect();

    let own = statements.objects(relation, "kgb:maxObjects").iter();
    for (object, place) in own.chain(max_cardinalities(relation, domain, statements, ontology)) {
        let bound = match object {
            Node::Literal { value, .. } => value.parse().ok(),
            _ => None,
        };
        match bound {
            Some(bound) if bound > 0 => bounds.push(bound),
            _ => {
                let message = format!("{relation} cannot have at most {object} objects");
                let diagnostic = Diagnostic::error("bad-max-objects", message)
                    .help("write a whole number from 1 on, as in: kgb:maxObjects 3");
                diagnostics.push(Diagnostic { place: Some(place.clone()), ..diagnostic });
            }
        }
    }
    bounds.into_iter().min()
}

/// What `rdfs:subClassOf` says with an `owl:Restriction` on a property.
fn restrictions(statements: &Statements) -> BTreeMap<Node, Vec<(String, Node)>> {
    let mut restrictions: BTreeMap<Node, Vec<(String, Node)>> = BTreeMap::new();
    for (class, restriction, _) in statements.of("rdfs:subClassOf") {
        if let (Some(class), Some(property)) =
            (iri(class), statements.object(restriction, "owl:onProperty"))
        {
            let of_property = restrictions.entry(property.clone()).or_default();
            of_property.push((class.to_owned(), restriction.clone()));
        }
    }
    restrictions
}

/// The `owl:maxCardinality` statements that hold for every subject of the relation: those for a
/// class that its domain lies within.
fn max_cardinalities<'a>(
    relation: &Node,
    domain: &'a [AnyOf],
    statements: &'a Statements,
    ontology: &'a Ontology,
) -> impl Iterator<Item = &'a (Node, Place)> + use<'a> {
    let restrictions = statements.restrictions.get(relation).into_iter().flatten();
    let holding = restrictions
        .filter(|(class, _)| domain.iter().any(|any| any.iter().all(|c| ontology.is_a(c, class))));
    holding.flat_map(|(_, restriction)| {
        ["owl:maxCardinality", "owl:maxQualifiedCardinality"]
            .into_iter()
            .flat_map(|predicate| statements.objects(restriction, predicate))
    })
}
