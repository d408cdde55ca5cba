//! What an experiment writes so that the commands of every user do the work, and can be repeated by
//! hand: an ontology, tables, and a finetune.toml and a pipeline.toml for each model.
//!
//! Entities are named by their labels' places among all labels, so that the same label has the same
//! IRI under every seed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use super::source::RelationFacts;
use super::split::Fact;

/// The start of all IRIs.
const NAMESPACE: &str = "urn:kgbuild:experiment:";

/// IRIs for all labels of the experiment's facts.
pub struct Names<'a> {
    numbers: BTreeMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    /// Names every subject and object.
    pub fn new(relations: &'a [RelationFacts]) -> Self {
        let labels: BTreeSet<&str> = relations
            .iter()
            .flat_map(|relation| &relation.facts)
            .flat_map(|(subject, objects)| objects.iter().chain([subject]))
            .map(String::as_str)
            .collect();
        Self { numbers: labels.into_iter().zip(0..).collect() }
    }

    /// The IRI of the entity with this label, which is one of the experiment's facts.
    fn entity(&self, label: &str) -> String {
        format!("{NAMESPACE}entity:{}", self.numbers[label])
    }
}

/// The IRI of a relation.
pub fn relation_iri(relation: &RelationFacts) -> String {
    format!("{NAMESPACE}relation:{}", encoded(&relation.name))
}

fn class(relation: &RelationFacts, role: &str) -> String {
    format!("{NAMESPACE}class:{}-{role}", encoded(&relation.name))
}

/// A name as it may stand in an IRI: any file name can be a relation's.
fn encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => text.push(byte.into()),
            _ => {
                let _infallible = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// Writes the ontology: every relation with its templates, and as its range its own objects.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_ontology(file: &Path, relations: &[RelationFacts]) -> io::Result<()> {
    let mut text = String::from(
        "@prefix kgb: <https://w3id.org/kgbuild#> .\n\
         @prefix owl: <http://www.w3.org/2002/07/owl#> .\n\
         @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n",
    );
    for relation in relations {
        let templates: Vec<String> =
            relation.templates.iter().map(|template| quoted(template)).collect();
        let _infallible = write!(
            text,
            "\n<{}> a owl:ObjectProperty ;\n    rdfs:label {} ;\n    rdfs:domain <{}> ;\n    \
             rdfs:range <{}> ;\n    kgb:template {} .\n",
            relation_iri(relation),
            quoted(&relation.name),
            class(relation, "subject"),
            class(relation, "object"),
            templates.join(" ,\n        ")
        );
    }
    fs::write(file, text)
}

/// A string of Turtle.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// Writes the entities of all relations that are objects, subjects, or both, with the classes that
/// make them so.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_entities(
    file: &Path,
    names: &Names<'_>,
    relations: &[RelationFacts],
    subjects: bool,
    objects: bool,
) -> io::Result<()> {
    let mut classes: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for relation in relations {
        for (subject, of_subject) in &relation.facts {
            if subjects {
                classes.entry(subject).or_default().insert(class(relation, "subject"));
            }
            for object in of_subject.iter().filter(|_| objects) {
                classes.entry(object).or_default().insert(class(relation, "object"));
            }
        }
    }
    let rows = classes.iter().map(|(label, classes)| {
        let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
        [names.entity(label), (*label).to_owned(), classes.join("|")]
    });
    write_table(file, ["iri", "label", "types"], rows)
}

/// Writes facts as a table of IRIs.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_facts(
    file: &Path,
    names: &Names<'_>,
    facts: &[(&RelationFacts, &[Fact<'_>])],
) -> io::Result<()> {
    let rows = facts.iter().flat_map(|(relation, facts)| {
        facts.iter().map(|(subject, object)| {
            [names.entity(subject), relation_iri(relation), names.entity(object)]
        })
    });
    write_table(file, ["subject", "relation", "object"], rows)
}

fn write_table(
    file: &Path,
    header: [&str; 3],
    rows: impl Iterator<Item = [String; 3]>,
) -> io::Result<()> {
    let mut table = csv::Writer::from_path(file)?;
    table.write_record(header)?;
    for row in rows {
        table.write_record(row)?;
    }
    table.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::facts::Facts;
    use crate::ontology::Ontology;

    #[test]
    fn what_is_written_reads_without_a_warning() {
        let facts = |pairs: &[(&str, &str)]| {
            let mut facts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for (s, o) in pairs {
                facts.entry((*s).into()).or_default().insert((*o).into());
            }
            facts
        };
        let relations = [
            RelationFacts {
                name: "P1".into(),
                templates: vec!["[X] \"is\" in [Y].".into(), "[X]\r lies \\ in [Y]".into()],
                facts: facts(&[("Paris, \"the\" city", "France"), ("Bonn", "Germany")]),
            },
            RelationFacts {
                name: "capital of: <é>".into(),
                templates: vec!["The capital of [X] is [Y]".into()],
                facts: facts(&[("France", "Paris, \"the\" city")]),
            },
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let names = Names::new(&relations);
        write_ontology(&path("o.ttl"), &relations).unwrap();
        write_entities(&path("e.csv"), &names, &relations, true, true).unwrap();
        let trained = [("Bonn", "Germany")];
        write_facts(&path("f.csv"), &names, &[(&relations[0], &trained)]).unwrap();
        let (ontology, warnings) = Ontology::read(&[path("o.ttl")]).unwrap();
        assert_eq!((ontology.relations().len(), warnings.0.len()), (2, 0));
        let read = |iri: &str| ontology.relations().iter().find(|r| r.iri == iri).unwrap();
        for relation in &relations {
            let templates = &read(&relation_iri(relation)).templates;
            let texts: Vec<&str> = templates.iter().map(|template| template.text()).collect();
            assert_eq!(texts, relation.templates);
        }
        let (catalog, warnings) = Catalog::read(&[path("e.csv")], "en").unwrap();
        assert_eq!((catalog.len(), warnings.0.len()), (4, 0));
        let (facts, warnings) =
            Facts::read(&[path("f.csv")], crate::facts::ObjectsOf::Anything).unwrap();
        assert_eq!((facts.len(), warnings.0.len()), (1, 0));
        let bonn = catalog.ids().find(|&id| catalog.label(id) == "Bonn").unwrap();
        let objects = facts.objects(catalog.iri(bonn), &relation_iri(&relations[0])).unwrap();
        assert_eq!(catalog.label(catalog.find(&objects[0]).unwrap()), "Germany");
    }
}
