//! Exports read back by the programs that people carry on with: each file by its real reader, in Python.
//!
//! The readers come with pip, pinned in requirements.txt, into a virtual environment that is kept between
//! runs. Where that is not to be had the test says so and counts for nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use kgbuild::graph::{
    Assertion, Chunk, ChunkRecord, EntityDescription, GraphWriter, Object, RunDescription,
};

const RELATION: &str = "http://www.wikidata.org/prop/direct/P36";
const CLASS: &str = "http://www.wikidata.org/entity/Q6256";

/// Subject, object, their labels, confidence: text that each format has to escape in its own way.
const FACTS: [(&str, &str, &str, &str, f64); 3] = [
    ("Q142", "Q90", "France", "Paris", 0.93),
    ("Q1009", "Q3808", "Cameroon", "Yaoundé", 0.75),
    ("Q1", "Q2", "A \"quoted\", <odd> & long\tname", "Ω; b|c", 0.5),
];

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers")
}

/// A finished graph of the facts.
fn graph(folder: &Path) {
    let run = RunDescription {
        signature: [("inputs".to_owned(), "1".to_owned())].into(),
        config_sha256: "00".into(),
        lambda: Some(0.5),
        correction: "linear".into(),
        version: "0".into(),
        ..RunDescription::default()
    };
    let mut writer = GraphWriter::open(folder, "https://example.org/g/", &run, false).unwrap();
    let iri = |id: &str| format!("http://www.wikidata.org/entity/{id}");
    let iris: Vec<[String; 2]> = FACTS.iter().map(|f| [iri(f.0), iri(f.1)]).collect();
    let assertions = iris.iter().zip(&FACTS).map(|([subject, object], fact)| Assertion {
        subject,
        relation: RELATION,
        object: Object::Entity(object),
        confidence: fact.4,
        corrected: None,
        finetuned: Some(0.25),
        base: Some(0.125),
        ambiguous: false,
    });
    let mut entities =
        vec![EntityDescription { iri: RELATION, label: "capital", types: Vec::new() }];
    for ([subject, object], fact) in iris.iter().zip(&FACTS) {
        entities.push(EntityDescription { iri: subject, label: fact.2, types: vec![CLASS] });
        entities.push(EntityDescription { iri: object, label: fact.3, types: Vec::new() });
    }
    writer
        .commit(&ChunkRecord {
            chunk: Chunk { relation: Arc::from(RELATION), index: 0 },
            assertions: assertions.collect(),
            entities,
            statistics: serde_json::json!({}),
        })
        .unwrap();
    writer.finish().unwrap();
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// Python with the readers; none where pip cannot fetch them, which is told.
fn python() -> Option<PathBuf> {
    let requirements = here().join("requirements.txt");
    let wanted = fs::read_to_string(&requirements).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readers");
    let (python, mark) = (folder.join("bin/python"), folder.join("requirements.txt"));
    if fs::read_to_string(&mark).is_ok_and(|has| has == wanted) {
        return Some(python);
    }
    let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).output();
    let installed = made.ok().filter(|made| made.status.success()).and_then(|_| {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        pip.arg(&requirements).stdin(Stdio::null()).output().ok()
    });
    match installed {
        Some(done) if done.status.success() => {
            fs::write(&mark, wanted).unwrap();
            Some(python)
        }
        failed => {
            let why = failed.map_or("python3 -m venv failed".to_owned(), |done| said(&done));
            println!("SKIPPED: THE READERS COULD NOT BE INSTALLED, NOTHING WAS TESTED: {why}");
            None
        }
    }
}

/// Writes an export with these arguments.
fn export(graph: &Path, arguments: &[&str], to: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kgbuild"));
    command.arg("export").arg(graph).args(arguments).arg("-o").arg(to);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
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
        ("usual.jsonld", &["--format", "json-ld"]),
        ("usual.rdf", &["--format", "rdf-xml"]),
        ("named.trig", &["--format", "trig", "--annotations", "named-graph"]),
        ("named.nq", &["--format", "n-quads", "--annotations", "named-graph"]),
        ("reification.nt", &["--format", "n-triples", "--annotations", "reification"]),
        ("rdf12.ttl", &[]),
        ("rdf12.nq", &["--format", "n-quads"]),
        ("edges.jsonl", &["--format", "jsonl"]),
        ("graph.graphml", &["--format", "graphml"]),
        ("csv", &["--format", "csv"]),
        ("neo4j", &["--format", "neo4j"]),
    ] {
        export(&graph_folder, arguments, &files.join(name));
    }
    let facts = serde_json::json!(FACTS);
    fs::write(files.join("facts.json"), facts.to_string()).unwrap();
    let mut read = Command::new(python);
    let output = read.arg("-I").arg(here().join("read.py")).arg(&files).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    println!("{}", said(&output));
}
