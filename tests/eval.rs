//! `kgbuild eval` as it is called: on a graph and on files, its table, JSON and HTML, and what bad
//! input gets.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use assert_cmd::Command;
use kgbuild::graph::{
    Assertion, Chunk, ChunkRecord, EntityDescription, GraphWriter, ModelDescription, Object,
    RunDescription,
};
use serde_json::Value;

const CAPITAL: &str = "http://example.org/capital";

/// A graph of three capitals, one of them wrong, in `folder/out`; finished or not.
fn graph(folder: &Path, finished: bool) {
    let model = ModelDescription { source: "base".into(), sha256: "00".into() };
    let run = RunDescription {
        signature: [("inputs".to_owned(), "1".to_owned())].into(),
        base_model: Some(model.clone()),
        finetuned_model: Some(model),
        config_sha256: "00".into(),
        lambda: Some(0.5),
        tuned_sha256: None,
        correction: "linear".into(),
        precision: None,
        version: "0".into(),
        schema: Default::default(),
        shard: None,
    };
    let base = "https://example.org/g/";
    let mut writer = GraphWriter::open(&folder.join("out"), base, &run, true).unwrap();
    let answers = [("France", "Paris", 0.9), ("Peru", "Lima", 0.75), ("Chad", "Paris", 0.5)];
    let iri = |name: &str| format!("http://example.org/{name}");
    let pairs: Vec<(String, String)> = answers.iter().map(|(s, o, _)| (iri(s), iri(o))).collect();
    let assertions = pairs.iter().zip(&answers).map(|((subject, object), answer)| Assertion {
        subject,
        relation: CAPITAL,
        object: Object::Entity(object),
        confidence: answer.2,
        corrected: (answer.2 == 0.5).then_some(0.75),
        finetuned: None,
        base: None,
        ambiguous: false,
    });
    let labelled = pairs.iter().zip(&answers).flat_map(|((s, o), a)| [(s, a.0), (o, a.1)]);
    let mut entities: Vec<EntityDescription<'_>> = labelled
        .map(|(iri, label)| EntityDescription { iri, label, aliases: vec![], types: vec![] })
        .collect();
    entities.push(EntityDescription {
        iri: CAPITAL,
        label: "has capital",
        aliases: vec![],
        types: vec![],
    });
    let record = ChunkRecord {
        chunk: Chunk { relation: Arc::from(CAPITAL), index: 0 },
        assertions: assertions.collect(),
        entities,
        statistics: Value::Null,
        kept: Vec::new(),
        candidates: serde_json::Value::Null,
    };
    writer.commit(&record).unwrap();
    if finished {
        writer.finish(None).unwrap();
    }
}

const GOLD: &str = "subject,relation,object\n\
    http://example.org/France,http://example.org/capital,http://example.org/Paris\n\
    http://example.org/Peru,http://example.org/capital,http://example.org/Lima\n\
    http://example.org/Chad,http://example.org/capital,http://example.org/Ndjamena\n\
    http://example.org/Laos,http://example.org/capital,http://example.org/Vientiane\n\
    http://example.org/Antarctica,http://example.org/capital,\n";

fn command(folder: &Path, args: &[&str]) -> assert_cmd::assert::Assert {
    Command::new(env!("CARGO_BIN_EXE_kgbuild")).current_dir(folder).arg("eval").args(args).assert()
}

fn out(folder: &Path, args: &[&str]) -> String {
    String::from_utf8(command(folder, args).success().get_output().stdout.clone()).unwrap()
}

/// What is said of bad input.
fn refused(folder: &Path, args: &[&str]) -> String {
    String::from_utf8(command(folder, args).code(2).get_output().stderr.clone()).unwrap()
}

#[test]
fn a_graph_is_scored() {
    let folder = tempfile::tempdir().unwrap();
    graph(folder.path(), true);
    fs::write(folder.path().join("gold.csv"), GOLD).unwrap();
    let json = out(folder.path(), &["out", "--gold", "gold.csv", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let all = &json["all"];
    assert_eq!(json["relations"][0]["name"], "has capital");
    assert_eq!((&all["questions"], &all["without_object"]), (&5.into(), &1.into()));
    assert_eq!(all["ranking"]["precision_at_1"], 0.5);
    // France and Peru right, Chad wrong, Laos unanswered, Antarctica rightly so.
    assert_eq!(all["macro_average"]["precision"], 0.8);
    assert_eq!(all["macro_average"]["recall"], 0.6);
    assert_eq!(all["macro_average"]["f1"], 0.6);
    assert_eq!(all["always_empty"]["f1"], 0.2);
    assert_eq!(all["counts"], serde_json::json!({"predicted": 3, "gold": 4, "found": 2}));
    let error = all["calibration"]["expected_calibration_error"].as_f64().unwrap();
    assert!((error - (0.1 + 0.25 + 0.5) / 3.0).abs() < 1e-12, "{error}");
    let before = &all["before_calibration"];
    // Peru and Chad were equally sure: one bin, half of it right.
    let error = before["expected_calibration_error"].as_f64().unwrap();
    assert!((error - (0.1 + 2.0 * 0.25) / 3.0).abs() < 1e-12, "{error}");

    let table = out(folder.path(), &["out/store", "--gold", "gold.csv"]);
    assert!(table.contains("predicting nothing would score 0.200"), "{table}");
    assert!(table.contains("A graph holds only what passed its run's threshold"), "{table}");
}

#[test]
fn a_graph_is_scored_by_label_against_lm_kbc() {
    let folder = tempfile::tempdir().unwrap();
    graph(folder.path(), true);
    let gold = r#"{"SubjectEntity": "france", "Relation": "HasCapital", "ObjectEntities": [["Paris", "City of Light"]]}
        {"SubjectEntity": "Peru", "Relation": "HasCapital", "ObjectEntities": [["LIMA"], ["Cuzco"]]}"#;
    fs::write(folder.path().join("dev.jsonl"), gold).unwrap();
    let json = out(folder.path(), &["out", "--gold", "dev.jsonl", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["all"]["counts"], serde_json::json!({"predicted": 2, "gold": 3, "found": 2}));
    assert_eq!(json["outside_gold"]["questions"], 1);
    let f1 = json["all"]["macro_average"]["f1"].as_f64().unwrap();
    assert!((f1 - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12, "{f1}");
}

/// Several predictions are one; a table of what is wrong has what is not right within the tolerance.
#[test]
fn by_the_rules_of_2026_and_several_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let line = |subject: &str, relation: &str, objects: &str| {
        format!(
            "{{\"SubjectEntity\": \"{subject}\", \"Relation\": \"{relation}\", \
             \"ObjectEntities\": [{objects}]}}\n"
        )
    };
    let gold = line("Elba", "hasArea", "[\"223\"]")
        + &line("Symi", "hasArea", "[\"57.865\"]")
        + &line("Peru", "hasCapital", "[\"Lima\", \"Ciudad de los Reyes\"]");
    fs::write(at("gold.jsonl"), gold).unwrap();
    fs::write(at("one.jsonl"), line("Elba", "hasArea", "\"230\"")).unwrap();
    let two = line("Symi", "hasArea", "\"1,000\"") + &line("Peru", "hasCapital", "\"LIMA.\"");
    fs::write(at("two.jsonl"), two).unwrap();
    let words = ["one.jsonl", "two.jsonl", "--gold", "gold.jsonl", "--rules", "lm-kbc-2026"];
    let words = [&words[..], &["--wrong", "wrong.csv"]].concat();
    let table = out(folder.path(), &words);
    assert!(table.contains("by the rules of LM-KBC 2026, over questions"), "{table}");
    assert!(table.contains("within 5 % of the gold one"), "{table}");
    let wrong = fs::read_to_string(at("wrong.csv")).unwrap();
    assert_eq!(wrong.lines().skip(1).collect::<Vec<_>>(), ["hasArea,symi,57.865,\"1,000\","]);
    let json = out(folder.path(), &[&words[..6], &["--tolerance", "0", "--json"]].concat());
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["rules"], &json["tolerance"]), (&"lm-kbc-2026".into(), &0.0.into()));
    assert_eq!(json["predictions"], serde_json::json!(["one.jsonl", "two.jsonl"]));
    assert!((json["all"]["macro_average"]["f1"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-12);
}

#[test]
fn what_an_interrupted_run_made_is_read_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    graph(folder.path(), false);
    fs::write(folder.path().join("gold.csv"), GOLD).unwrap();
    let assert = command(folder.path(), &["out", "--gold", "gold.csv"]).success();
    let said = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(said.contains("warning[unfinished-graph]"), "{said}");
    for args in [&["query", "out", "ASK { ?s ?p ?o }"][..], &["export", "out"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kgbuild"));
        let assert = command.current_dir(folder.path()).args(args).assert().success();
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(said.contains("warning[unfinished-graph]"), "{args:?}: {said}");
    }
}

#[test]
fn table_and_page_are_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    graph(folder.path(), true);
    fs::write(at("gold.csv"), GOLD).unwrap();
    let words = ["out", "--gold", "gold.csv", "--html", "r.html", "-o", "scores.txt"];
    assert_eq!(out(folder.path(), &words), "");
    assert!(fs::read_to_string(at("scores.txt")).unwrap().starts_with("relation"));
    let page = fs::read_to_string(at("r.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    // P@1, F1, reliability before and after, calibration errors.
    assert_eq!(page.matches("<svg").count(), 5);
    assert!(page.contains("has capital"));
    assert!(!page.contains("<script") && !page.contains("href="));
    let said = refused(folder.path(), &["out", "--gold", "gold.csv", "--html", "no/r.html"]);
    assert!(said.contains("there is no folder"), "{said}");
    // What cannot be written takes nothing with it. Permissions do not bind root; /proc binds all.
    let words = ["--gold", "gold.csv", "out", "--html", "/proc/r.html", "-o", "/proc/scores.txt"];
    let ended = command(folder.path(), &words).code(2);
    let [table, said] = [&ended.get_output().stdout, &ended.get_output().stderr];
    assert!(String::from_utf8_lossy(table).starts_with("relation"));
    let said = String::from_utf8_lossy(said);
    assert!(said.contains("/proc/r.html") && said.contains("/proc/scores.txt"), "{said}");
}

#[test]
fn bad_input_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    at("gold.csv", GOLD);
    at("empty.csv", "subject,relation,object\n");
    at("good.jsonl", "");
    at(
        "bad.jsonl",
        "{\"subject\": \"e:a\", \"relation\": \"e:r\", \"objects\": [\n\
         {\"subject\": \"e:a\", \"relation\": \"e:r\", \"objects\": [{\"object\": \"e:o\", \
         \"confidence\": 2}]}\n",
    );
    at("labels.jsonl", r#"{"SubjectEntity": "a", "Relation": "r", "ObjectEntities": ["b"]}"#);
    at("lm.jsonl", r#"{"SubjectEntity": "a", "Relation": "r", "ObjectEntities": [["b"]]}"#);
    at("broken.jsonl", "{\"SubjectEntity\": \"a\", \"Relation\": \"r\"}\n{\"Sub\n");
    at("iris.jsonl", r#"{"subject": "e:a", "relation": "e:r", "objects": [{"object": "e:o"}]}"#);
    let cases: &[(&[&str], &[&str])] = &[
        (&["none", "--gold", "gold.csv"], &["cannot-read", "none"]),
        (&["good.jsonl", "--gold", "none.csv"], &["cannot-read", "none.csv"]),
        (&[".", "--gold", "gold.csv"], &["there is no store at"]),
        (&["good.jsonl", "--gold", "empty.csv"], &["empty-gold", "empty.csv"]),
        (
            &["bad.jsonl", "--gold", "gold.csv"],
            &[
                "bad.jsonl:1",
                "not JSON",
                "bad.jsonl:2",
                "the confidence 2 is no number from 0 to 1",
            ],
        ),
        (&["good.jsonl", "--gold", "broken.jsonl"], &["broken.jsonl:1", "broken.jsonl:2"]),
        (&["labels.jsonl", "--gold", "gold.csv"], &["labels-without-iris", "labels.jsonl:1"]),
        (&["iris.jsonl", "--gold", "lm.jsonl"], &["no-labels", "iris.jsonl"]),
        (&["--gold", "gold.csv", "--gold", "lm.jsonl", "good.jsonl"], &["two-kinds-of-gold"]),
        (&["good.jsonl", "--gold", "gold.csv", "--min-confidence", "2"], &["from 0 to 1"]),
        (&["good.jsonl"], &["--gold"]),
    ];
    for (args, expected) in cases {
        let said = refused(folder.path(), args);
        for expected in *expected {
            assert!(said.contains(expected), "{args:?}: {expected:?} is not in\n{said}");
        }
    }
    // An empty file of predictions is one that predicts nothing.
    let table = out(folder.path(), &["good.jsonl", "--gold", "gold.csv"]);
    assert!(table.contains("Macro F1 0.200"), "{table}");
}
