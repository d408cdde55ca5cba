//! From Turtle statements to an [`Ontology`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::turtle::{self, Node, Statement};
use super::{AnyOf, KGB, Ontology, Relation, Template, TemplateError};
use crate::diagnostic::{At, Diagnostic, Diagnostics, Place};

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const RDFS: &str = "http://www.w3.org/2000/01/rdf-schema#";
const OWL: &str = "http://www.w3.org/2002/07/owl#";

/// The part of the name after the namespace, for each predicate that is read.
fn local(predicate: &str) -> Option<(&'static str, &str)> {
    [(KGB, "kgb"), (RDFS, "rdfs"), (OWL, "owl"), (RDF, "rdf")]
        .into_iter()
        .find_map(|(namespace, prefix)| Some((prefix, predicate.strip_prefix(namespace)?)))
}

/// What one predicate says: for each subject its objects, in the order of the files, each with
/// its place.
type Objects = BTreeMap<Node, Vec<(Node, Place)>>;

/// All statements of all files by their predicate, as `prefix:name`.
#[derive(Default)]
struct Facts {
    by_predicate: BTreeMap<String, Objects>,
    first_places: BTreeMap<String, Place>,
    /// For each property the restrictions on it, each with the class that it is stated for.
    restrictions: BTreeMap<Node, Vec<(String, Node)>>,
}

impl Facts {
    /// Subject, object and the object's place.
    fn of(&self, predicate: &str) -> impl Iterator<Item = (&Node, &Node, &Place)> {
        let all = self.by_predicate.get(predicate).into_iter().flatten();
        all.flat_map(|(s, objects)| objects.iter().map(move |(o, place)| (s, o, place)))
    }

    fn objects(&self, subject: &Node, predicate: &str) -> &[(Node, Place)] {
        let objects = self.by_predicate.get(predicate).and_then(|all| all.get(subject));
        objects.map_or(&[], Vec::as_slice)
    }

    fn object(&self, subject: &Node, predicate: &str) -> Option<&Node> {
        self.objects(subject, predicate).first().map(|(object, _)| object)
    }

    /// The members of an RDF list, or nothing if it is none. Lists that bite their tail end.
    fn list(&self, head: &Node) -> Option<Vec<&Node>> {
        let nil = Node::Iri(format!("{RDF}nil"));
        let mut members = Vec::new();
        let mut seen = BTreeSet::new();
        let mut node = head;
        while *node != nil {
            if !seen.insert(node) {
                return None;
            }
            members.push(self.object(node, "rdf:first")?);
            node = self.object(node, "rdf:rest")?;
        }
        Some(members)
    }

    /// The classes that a class expression names: itself, or the members of an `owl:unionOf`.
    fn any_of(&self, expression: &Node) -> Option<AnyOf> {
        if let Node::Iri(class) = expression {
            return Some(vec![class.clone()]);
        }
        let head = self.object(expression, "owl:unionOf")?;
        let classes: Option<Vec<_>> = self.list(head)?.into_iter().map(iri).collect();
        let mut classes: Vec<String> = classes?.into_iter().map(str::to_owned).collect();
        classes.sort_unstable();
        classes.dedup();
        (!classes.is_empty()).then_some(classes)
    }
}

fn iri(node: &Node) -> Option<&str> {
    match node {
        Node::Iri(iri) => Some(iri),
        _ => None,
    }
}

pub(super) fn read(files: &[PathBuf]) -> Result<(Ontology, Diagnostics), Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    let mut facts = Facts::default();
    for (number, file) in files.iter().enumerate() {
        match turtle::read(file, number, |predicate| local(predicate).is_some()) {
            Ok(turtle) => add(&mut facts, turtle, file),
            Err(mut mistakes) => diagnostics.0.append(&mut mistakes.0),
        }
    }
    facts.restrictions = restrictions(&facts);
    warn_of_unknown_terms(&facts, &mut diagnostics);
    let mut ontology = Ontology {
        labels: labels(&facts),
        superclasses: superclasses(&facts),
        ..Ontology::default()
    };
    let mut templates = templates(&facts, &mut diagnostics);
    let properties = properties(&facts);
    for property in properties {
        let Some(place) = facts.first_places.get(&property) else { continue };
        match templates.remove(&property) {
            None => {
                ontology.others.insert(property, place.clone());
            }
            Some(templates) => {
                let relation =
                    relation(property, templates, place, &facts, &ontology, &mut diagnostics);
                ontology.relations.push(relation);
            }
        }
    }
    diagnostics.or(ontology)
}

fn add(facts: &mut Facts, turtle: turtle::Turtle, file: &Path) {
    let place = |at: At| Place { file: file.to_owned(), at };
    for (subject, at) in turtle.subjects {
        facts.first_places.entry(subject).or_insert_with(|| place(at));
    }
    for Statement { subject, predicate, object, at } in turtle.statements {
        if let Some((prefix, name)) = local(&predicate) {
            let objects = facts.by_predicate.entry(format!("{prefix}:{name}")).or_default();
            objects.entry(subject).or_default().push((object, place(at)));
        }
    }
}

/// Terms of our namespace that mean nothing here are most likely misspelt.
fn warn_of_unknown_terms(facts: &Facts, diagnostics: &mut Diagnostics) {
    let known = ["template", "question", "maxObjects"];
    for (predicate, objects) in &facts.by_predicate {
        let Some(name) = predicate.strip_prefix("kgb:").filter(|n| !known.contains(n)) else {
            continue;
        };
        let warning = Diagnostic::warning("unknown-term", format!("kgb:{name} is not read"));
        let near = known.iter().find(|k| strsim::damerau_levenshtein(k, name) <= 3);
        let warning = match near {
            Some(near) => warning.help(format!("did you mean kgb:{near}?")),
            None => warning,
        };
        for (_, place) in objects.values().flatten() {
            diagnostics.push(Diagnostic { place: Some(place.clone()), ..warning.clone() });
        }
    }
    warn_of_misspelt_terms(facts, diagnostics);
}

/// The terms of RDFS and OWL that are read here, as predicates and as classes.
const READ_TERMS: [&str; 14] = [
    "rdfs:label",
    "rdfs:domain",
    "rdfs:range",
    "rdfs:subClassOf",
    "owl:unionOf",
    "owl:equivalentClass",
    "owl:onProperty",
    "owl:maxCardinality",
    "owl:maxQualifiedCardinality",
    "owl:FunctionalProperty",
    "owl:IrreflexiveProperty",
    "owl:ObjectProperty",
    "owl:Class",
    "owl:Restriction",
];

/// Terms of RDFS and OWL that are not read, but are nearly one that is.
const OTHER_TERMS: [&str; 5] = [
    "rdfs:Class",
    "owl:minCardinality",
    "owl:minQualifiedCardinality",
    "owl:ReflexiveProperty",
    "owl:onProperties",
];

/// A term that is a slip of the pen away from one that is read would be passed over in silence.
fn warn_of_misspelt_terms(facts: &Facts, diagnostics: &mut Diagnostics) {
    let near = |term: &str| {
        let known = READ_TERMS.contains(&term) || OTHER_TERMS.contains(&term);
        let close = |read: &&&str| strsim::damerau_levenshtein(read, term) <= 2;
        if known { None } else { READ_TERMS.iter().find(close) }
    };
    let mut warn = |term: &str, place: &Place| {
        if let Some(near) = near(term) {
            let warning = Diagnostic::warning("unknown-term", format!("{term} is not read"))
                .help(format!("did you mean {near}?"));
            diagnostics.push(Diagnostic { place: Some(place.clone()), ..warning });
        }
    };
    for (predicate, objects) in &facts.by_predicate {
        for (_, place) in objects.values().flatten() {
            warn(predicate, place);
        }
    }
    for (_, class, place) in facts.of("rdf:type") {
        if let Some((prefix, name)) = iri(class).and_then(local) {
            warn(&format!("{prefix}:{name}"), place);
        }
    }
}

/// The best label of everything: no language before `en` before `en-…` before the rest, and
/// then the smallest text.
fn labels(facts: &Facts) -> HashMap<String, String> {
    let mut best: HashMap<&str, (u8, &str)> = HashMap::new();
    for (subject, object, _) in facts.of("rdfs:label") {
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
fn superclasses(facts: &Facts) -> HashMap<String, BTreeSet<String>> {
    let mut above: HashMap<String, BTreeSet<String>> = HashMap::new();
    let mut insert = |class: &Node, superclass: &Node| {
        if let (Some(class), Some(superclass)) = (iri(class), iri(superclass)) {
            above.entry(class.to_owned()).or_default().insert(superclass.to_owned());
        }
    };
    for (class, superclass, _) in facts.of("rdfs:subClassOf") {
        insert(class, superclass);
    }
    for (one, other, _) in facts.of("owl:equivalentClass") {
        insert(one, other);
        insert(other, one);
    }
    for (union, head, _) in facts.of("owl:unionOf") {
        for member in facts.list(head).unwrap_or_default() {
            insert(member, union);
        }
    }
    above
}

/// Everything that is used as a property, sorted.
fn properties(facts: &Facts) -> BTreeSet<String> {
    let typed = facts.of("rdf:type").filter(|(_, class, _)| {
        iri(class).and_then(local).is_some_and(|(_, name)| name.ends_with("Property"))
    });
    ["kgb:template", "kgb:question", "kgb:maxObjects", "rdfs:domain", "rdfs:range"]
        .into_iter()
        .flat_map(|predicate| facts.of(predicate))
        .chain(typed)
        .filter_map(|(subject, _, _)| iri(subject))
        .map(str::to_owned)
        .collect()
}

/// The templates and then the questions of each property. One of which all are wrong keeps an empty
/// list, so that its other mistakes are reported too.
fn templates(facts: &Facts, diagnostics: &mut Diagnostics) -> HashMap<String, Vec<Template>> {
    let mut templates: HashMap<String, Vec<Template>> = HashMap::new();
    type Parse = fn(&str) -> Result<Template, TemplateError>;
    let kinds: [(&str, &str, Parse); 2] = [
        ("kgb:template", "template", Template::parse),
        ("kgb:question", "question", Template::parse_question),
    ];
    for (predicate, kind, parse) in kinds {
        for (subject, object, place) in facts.of(predicate) {
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
    facts: &Facts,
    ontology: &Ontology,
    diagnostics: &mut Diagnostics,
) -> Relation {
    let subject = Node::Iri(iri);
    let mut classes = |predicate: &str| {
        let mut all = Vec::new();
        for (object, at) in facts.objects(&subject, predicate) {
            match facts.any_of(object) {
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
    let (domain, range) = (classes("rdfs:domain"), classes("rdfs:range"));
    let max_objects = max_objects(&subject, &domain, facts, ontology, diagnostics);
    let irreflexive = is_of_class(&subject, "IrreflexiveProperty", facts);
    let Node::Iri(iri) = subject else { unreachable!("made from an IRI above") };
    let label = ontology.labels.get(&iri).cloned();
    let place = place.clone();
    Relation { iri, label, templates, domain, range, max_objects, irreflexive, place }
}

/// Whether a property is of a class of OWL's.
fn is_of_class(property: &Node, class: &str, facts: &Facts) -> bool {
    let class = Node::Iri(format!("{OWL}{class}"));
    facts.objects(property, "rdf:type").iter().any(|(object, _)| *object == class)
}

/// The smallest of all bounds on the relation's number of objects.
fn max_objects(
    relation: &Node,
    domain: &[AnyOf],
    facts: &Facts,
    ontology: &Ontology,
    diagnostics: &mut Diagnostics,
) -> Option<u32> {
    let functional = is_of_class(relation, "FunctionalProperty", facts);
    let mut bounds: Vec<u32> = functional.then_some(1).into_iter().collect();

    let own = facts.objects(relation, "kgb:maxObjects").iter();
    for (object, place) in own.chain(max_cardinalities(relation, domain, facts, ontology)) {
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
fn restrictions(facts: &Facts) -> BTreeMap<Node, Vec<(String, Node)>> {
    let mut restrictions: BTreeMap<Node, Vec<(String, Node)>> = BTreeMap::new();
    for (class, restriction, _) in facts.of("rdfs:subClassOf") {
        if let (Some(class), Some(property)) =
            (iri(class), facts.object(restriction, "owl:onProperty"))
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
    facts: &'a Facts,
    ontology: &'a Ontology,
) -> impl Iterator<Item = &'a (Node, Place)> + use<'a> {
    let restrictions = facts.restrictions.get(relation).into_iter().flatten();
    let holding = restrictions
        .filter(|(class, _)| domain.iter().any(|any| any.iter().all(|c| ontology.is_a(c, class))));
    holding.flat_map(|(_, restriction)| {
        ["owl:maxCardinality", "owl:maxQualifiedCardinality"]
            .into_iter()
            .flat_map(|predicate| facts.objects(restriction, predicate))
    })
}
