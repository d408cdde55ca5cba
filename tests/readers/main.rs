//! Exports read back by the programs that people carry on with: each file by its real reader, in Python.
//!
//! The readers come with pip, pinned in requirements.txt, into a virtual environment that is kept between
//! runs. Where that is not to be had the tests say so and count for nothing.

#[path = "../support/python.rs"]
mod python;
mod readme;
mod shapes;
mod support;

use std::fs;

use kgbuild::graph::{Object, RangeSchema, Schema};

use python::{python, run_script, said};
use support::{class, export, export_in, relation, wd, wdt, write_graph};

/// Subject, object, their labels, confidence: text that each format has to escape in its own way.
const FACTS: [(&str, &str, &str, &str, f64); 3] = [
    ("Q142", "Q90", "France", "Paris", 0.93),
    ("Q1009", "Q3808", "Cameroon", "Yaoundé", 0.75),
    ("Q1", "Q2", "A \"quoted\", <odd> & long\tname", "Ω; b|c", 0.5),
];

/// A finished graph of the facts.
fn graph(folder: &std::path::Path) {
    let iris: Vec<[String; 2]> = FACTS.iter().map(|fact| [wd(fact.0), wd(fact.1)]).collect();
    let (country, city, capital) = (wd("Q6256"), wd("Q5119"), wdt("P36"));
    let (mut entities, mut facts) = (Vec::new(), Vec::new());
    for ([subject, object], fact) in iris.iter().zip(&FACTS) {
        entities.push((subject.as_str(), fact.2, "", country.as_str()));
        entities.push((object.as_str(), fact.3, "another \"name\"", city.as_str()));
        facts.push((subject.as_str(), capital.as_str(), Object::Entity(object), fact.4));
    }
    let range = RangeSchema::Entities(vec![vec![wd("Q515"), wd("Q5119")]]);
    let schema = Schema {
        relations: vec![relation("P36", "capital", range)],
        classes: vec![class("Q5119", "capital city", &["Q515"])],
    };
    write_graph(folder, schema, &entities, &facts);
}

#[test]
fn every_export_is_read_by_its_real_reader() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (graph_folder, files) = (folder.path().join("graph"), folder.path().join("files"));
    graph(&graph_folder);
    fs::create_dir(&files).unwrap();
    for (name, arguments) in [
        ("none.ttl", &["--annotations", "none"][..]),
        ("reification.ttl", &["--annotations", "reification"]),
        ("none.jsonld", &["--format", "json-ld", "--annotations", "none"]),
        ("usual.jsonld", &["--format", "json-ld", "--prefix", "g=https://example.org/g/"]),
        ("usual.rdf", &["--format", "rdf-xml"]),
        ("named.jsonld", &["--format", "json-ld", "--annotations", "named-graph"]),
        ("named.trig", &["--format", "trig", "--annotations", "named-graph"]),
        ("named.nq", &["--format", "n-quads", "--annotations", "named-graph"]),
        ("reification.nt", &["--format", "n-triples", "--annotations", "reification"]),
        ("rdf12.ttl", &[]),
        ("rdf12.nq", &["--format", "n-quads"]),
        ("all.nt", &["--annotations", "none", "--format", "n-triples", "--include", ALL]),
        ("all.ttl", &["--annotations", "none", "--include", ALL]),
        ("all.jsonld", &["--annotations", "none", "--format", "json-ld", "--include", ALL]),
        ("all.rdf", &["--annotations", "none", "--format", "rdf-xml", "--include", ALL]),
        ("edges.jsonl", &["--format", "jsonl"]),
        ("graph.graphml", &["--format", "graphml"]),
        ("csv", &["--format", "csv"]),
        ("neo4j", &["--format", "neo4j"]),
        ("parquet", &["--format", "parquet", "--include", "labels,aliases"]),
    ] {
        export(&graph_folder, arguments, &files.join(name));
    }
    let facts = serde_json::json!(FACTS);
    fs::write(files.join("facts.json"), facts.to_string()).unwrap();
    run_script(&python, "read.py", &files);
}

const ALL: &str = "schema,labels,aliases,provenance";

/// What does not go together is refused with exit code 2 and what would do, and leaves nothing.
#[test]
fn what_a_format_cannot_hold_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    graph(&here.join("graph"));
    for (arguments, problem) in [
        (&["--include", "label"][..], "a similar value exists: 'labels'"),
        (&["--include", "labels,nothing"], "possible values: schema, labels, aliases"),
        (&["--format", "csv", "--include", "schema"], "`csv` has no place for `schema`"),
        (&["--format", "parquet", "--include", "provenance"], "take a format of RDF"),
        (&["--format", "parquet", "--shapes"], "`parquet` has no place for shapes"),
        (&["--format", "jsonl", "--shapes"], "take `--format turtle`"),
        (&["--shapes", "--min-confidence", "0.5"], "cannot be used with"),
        (&["--shapes", "--include", "labels"], "cannot be used with"),
    ] {
        let output = export_in(here, &[&["graph", "-o", "new"], arguments].concat());
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(problem), "{arguments:?}: {said}");
        assert!(!here.join("new").exists(), "{arguments:?} left something");
    }
    let output = export_in(here, &["graph", "--format", "parquet"]);
    assert!(said(&output).contains("name a new folder for them with `-o FOLDER`"));
}
