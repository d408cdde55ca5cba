//! Graphs to be exported, and their exports.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use kgbuild::graph::{
    Assertion, Chunk, ChunkRecord, ClassSchema, EntityDescription, GraphWriter, Object,
    RangeSchema, RelationSchema, RunDescription, Schema,
};

use crate::python::said;

pub fn wd(id: &str) -> String {
    format!("http://www.wikidata.org/entity/{id}")
}

pub fn wdt(id: &str) -> String {
    format!("http://www.wikidata.org/prop/direct/{id}")
}

/// An entity: IRI, label, alias, class.
pub type Entity<'a> = (&'a str, &'a str, &'a str, &'a str);

/// A fact: subject, relation, object, confidence.
pub type Fact<'a> = (&'a str, &'a str, Object<'a>, f64);

/// A finished graph of the facts in a folder.
pub fn write_graph(folder: &Path, schema: Schema, entities: &[Entity<'_>], facts: &[Fact<'_>]) {
    let labelled: Vec<(String, Option<String>)> =
        schema.relations.iter().map(|r| (r.iri.clone(), r.label.clone())).collect();
    let run = RunDescription {
        signature: [("inputs".to_owned(), "1".to_owned())].into(),
        config_sha256: "00".into(),
        lambda: Some(0.5),
        correction: "linear".into(),
        precision: None,
        version: "0".into(),
        schema,
        shard: None,
        ..RunDescription::default()
    };
    let mut writer = GraphWriter::open(folder, "https://example.org/g/", &run, false).unwrap();
    for (relation, label) in &labelled {
        let of = facts.iter().filter(|fact| fact.1 == relation);
        let assertions = of.map(|(subject, _, object, confidence)| Assertion {
            subject,
            relation,
            object: object.clone(),
            confidence: *confidence,
            corrected: None,
            finetuned: Some(0.25),
            base: Some(0.125),
            ambiguous: false,
        });
        let label = label.iter().map(|label| EntityDescription {
            iri: relation,
            label,
            aliases: vec![],
            types: vec![],
        });
        let entities = entities.iter().map(|&(iri, label, alias, class)| EntityDescription {
            iri,
            label,
            aliases: some(alias),
            types: some(class),
        });
        writer
            .commit(&ChunkRecord {
                chunk: Chunk { relation: Arc::from(relation.as_str()), index: 0 },
                assertions: assertions.collect(),
                entities: entities.chain(label).collect(),
                statistics: serde_json::json!({}),
                kept: Vec::new(),
                candidates: serde_json::Value::Null,
            })
            .unwrap();
    }
    writer.finish(None).unwrap();
}

/// What is not empty.
fn some(text: &str) -> Vec<&str> {
    Some(text).filter(|text| !text.is_empty()).into_iter().collect()
}

/// A relation between entities, of which nothing more is known.
pub fn relation(id: &str, label: &str, range: RangeSchema) -> RelationSchema {
    RelationSchema {
        iri: wdt(id),
        label: Some(label.to_owned()),
        domain: Vec::new(),
        range,
        max_objects: None,
        irreflexive: false,
        unit: None,
        tolerance: None,
    }
}

/// A class below another.
pub fn class(id: &str, label: &str, above: &[&str]) -> ClassSchema {
    ClassSchema {
        iri: wd(id),
        label: Some(label.to_owned()),
        superclasses: above.iter().map(|id| wd(id)).collect(),
    }
}

/// Runs `kgbuild export` with these arguments in a folder.
pub fn export_in(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kgbuild"));
    command.arg("export").args(arguments).current_dir(folder).stdin(Stdio::null());
    command.output().unwrap()
}

/// Writes an export with these arguments.
pub fn export(graph: &Path, arguments: &[&str], to: &Path) {
    let ends = [graph.to_str().unwrap(), "-o", to.to_str().unwrap()];
    let output = export_in(Path::new("/"), &[&ends, arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
}
