//! Pipelines of `tests/data/config/*.toml`, right and wrong, and what a person is told of them.
//!
//! Beside each stands what is expected: `accepted` or `refused`, then everything that is said.
//! `KGBUILD_BLESS=1` writes what is said now, to be looked at before it is committed.

use std::fs;
use std::path::{Path, PathBuf};

use kgbuild::config::{self, Annotation, Correction, Device, Method, Mixing, Normalise, Pipeline};
use proptest::prelude::*;

const FOLDER: &str = "tests/data/config";

fn said(file: &Path) -> String {
    match config::read(file) {
        Ok((_, warnings)) => format!("accepted\n\n{}", warnings.render(false)),
        Err(found) => format!("refused\n\n{}", found.render(false)),
    }
}

fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

fn hold_against(expected: &Path, found: &str, wrong: &mut Vec<String>) {
    if std::env::var_os("KGBUILD_BLESS").is_some() {
        fs::write(expected, found).unwrap();
    }
    let text = fs::read_to_string(expected).unwrap_or_default();
    if text != found {
        let shown = expected.display();
        wrong.push(format!("--- {shown} expects\n{text}\n--- but it is\n{found}"));
    }
}

#[test]
fn every_pipeline_is_answered_as_expected() {
    let cases = cases();
    assert!(cases.len() >= 20);
    let mut wrong = Vec::new();
    for file in &cases {
        hold_against(&file.with_extension("expected"), &said(file), &mut wrong);
    }
    assert!(
        wrong.is_empty(),
        "{}\nIf that is as it should be: KGBUILD_BLESS=1 cargo test --release --test config",
        wrong.join("\n")
    );
}

#[test]
fn each_case_is_accepted_or_refused_as_its_name_says() {
    let accepted = ["accepted-", "no-effect", "base-iri-end", "few-threads"];
    for file in cases() {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let expected = accepted.iter().any(|start| name.starts_with(start));
        assert_eq!(config::read(&file).is_ok(), expected, "{name}");
    }
}

#[test]
fn a_pipeline_that_cannot_be_read_is_said_so() {
    for path in ["tests/data/config/no-such.toml", "tests/data/config", ""] {
        let found = config::read(Path::new(path)).unwrap_err();
        assert_eq!(found.0.iter().map(|d| d.code).collect::<Vec<_>>(), ["unreadable"]);
        assert!(found.render(false).contains(&format!("--> {path}")));
    }
}

fn accepted(name: &str) -> Pipeline {
    config::read(&Path::new(FOLDER).join(name)).unwrap().0
}

#[test]
fn every_key_arrives() {
    let p36 = "http://www.wikidata.org/prop/direct/P36";
    let pipeline = accepted("accepted-whole.toml");
    let folder = Path::new(FOLDER);
    assert_eq!(pipeline.models.finetuned.unwrap().path(), Some(folder.join("files/adapter")));
    let base = pipeline.models.base.unwrap();
    assert_eq!(base.source, "pypi:some-model==0.1.2#inside/model.gguf");
    assert!(base.sha256.unwrap().starts_with("b179c952"));
    assert_eq!(pipeline.inputs.ontology, [folder.join("files/ontology.ttl")]);
    assert_eq!(pipeline.inputs.subjects, [folder.join("files/subjects.csv")]);
    assert_eq!(pipeline.inputs.candidates, [folder.join("files/candidates.csv")]);
    assert_eq!(pipeline.inputs.gold, Some(folder.join("files/gold.csv")));
    assert_eq!(pipeline.inputs.relations, Some(vec![p36.to_owned()]));
    assert_eq!(pipeline.prediction.normalise, Normalise::Sequence);
    assert_eq!(pipeline.prediction.method, Method::Exhaustive);
    assert_eq!(pipeline.prediction.tolerance, 1e-9);
    assert_eq!(pipeline.correction, Correction::LogLinear(Mixing::Candidate));
    assert_eq!(pipeline.output.folder, folder.join("out"));
    assert_eq!(pipeline.output.annotation, Annotation::Reification);
    assert_eq!(pipeline.output.base_iri, "https://example.org/run/");
    assert_eq!(pipeline.runtime.device, Device::Cpu);
    assert_eq!(pipeline.runtime.library, None);
    let runtime = &pipeline.runtime;
    assert_eq!((runtime.workers, runtime.encode_workers, runtime.threads), (2, 2, Some(4)));
    assert_eq!((runtime.token_budget, runtime.channel_capacity), (4096, 1));
    assert_eq!(pipeline.named_relations.len(), 3);
}

#[test]
fn a_relation_has_its_own_numbers_or_the_general_ones() {
    let numbers = |pipeline: &Pipeline, iri: &str| {
        (pipeline.lambda(iri), pipeline.threshold(iri), pipeline.max_objects(iri))
    };
    let whole = accepted("accepted-whole.toml");
    assert_eq!(numbers(&whole, "http://www.wikidata.org/prop/direct/P36"), (0.3, 0.2, Some(3)));
    assert_eq!(numbers(&whole, "http://example.org/other"), (1.0, 0.0, Some(10)));
    let least = accepted("accepted-least.toml");
    assert_eq!(numbers(&least, "http://example.org/other"), (0.0, 0.5, None));
    assert_eq!(least.correction, Correction::None);
    // Lambda has no effect there, and the finetuned model predicts alone.
    let none = accepted("no-effect.toml");
    assert_eq!(numbers(&none, "http://www.wikidata.org/prop/direct/P36"), (1.0, 0.5, None));
}

#[test]
fn how_the_machine_is_used_is_no_part_of_what_results_depend_on() {
    let json = |name: &str| serde_json::to_value(accepted(name)).unwrap();
    assert_eq!(json("few-threads.toml"), json("accepted-two-models.toml"));
    assert_ne!(json("no-effect-of-mixing.toml"), json("accepted-two-models.toml"));
}

#[test]
fn the_committed_schema_is_the_codes() {
    let mut wrong = Vec::new();
    hold_against(Path::new("pipelines/pipeline.schema.json"), &config::schema(), &mut wrong);
    assert!(
        wrong.is_empty(),
        "{}\nTo rewrite it: KGBUILD_BLESS=1 cargo test --release --test config",
        wrong.join("\n")
    );
}

/// Pieces of pipelines, so that random texts come past the syntax.
fn piece() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "models",
        "inputs",
        "prediction",
        "correction",
        "selection",
        "output",
        "runtime",
        "base",
        "finetuned",
        "source",
        "sha256",
        "ontology",
        "subjects",
        "candidates",
        "gold",
        "relations",
        "normalise",
        "method",
        "tolerance",
        "lambda",
        "mixing",
        "threshold",
        "max_objects",
        "folder",
        "annotation",
        "base_iri",
        "device",
        "library",
        "workers",
        "encode_workers",
        "threads",
        "token_budget",
        "channel_capacity",
        "\"http://example.org/r\"",
        "x",
        "\"\"",
    ]);
    let value = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:?}").replace("NaN", "nan")),
        prop::sample::select(vec![
            "\"trie\"",
            "\"sequence\"",
            "\"none\"",
            "\"linear\"",
            "\"log-linear\"",
            "\"\"",
            "1",
            "\"hf:a/b\"",
            "\"files/gold.csv\"",
            "[\"a\", 1]",
            "[]",
            "{}",
            "{ source = \"a\" }",
            "true",
            "1979-05-27",
            "0.5",
            "\"\\u0000\"",
            "\"branching\"",
            "\"http://e.org/\"",
            "",
        ])
        .prop_map(str::to_owned),
    ];
    prop_oneof![
        prop::collection::vec(word.clone(), 1..4)
            .prop_map(|path| format!("[{}]\n", path.join("."))),
        (prop::collection::vec(word, 1..3), value)
            .prop_map(|(path, value)| format!("{} = {value}\n", path.join("."))),
    ]
}

fn answers(text: &[u8]) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pipeline.toml");
    fs::write(&file, text)?;
    match config::read(&file) {
        Ok((_, warnings)) => prop_assert!(!warnings.has_errors()),
        Err(found) => {
            prop_assert!(found.has_errors());
            // What agrees with the schema must fit the structs.
            prop_assert!(found.0.iter().all(|d| d.code != "not-understood"), "{found}");
            prop_assert!(!found.render(true).is_empty());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        answers(&bytes)?;
    }

    #[test]
    fn any_text_is_answered(text in "(\\PC|[\\[\\]={}\"'\n\r\t.#])*") {
        answers(text.as_bytes())?;
    }

    #[test]
    fn any_keys_and_values_are_answered(pieces in prop::collection::vec(piece(), 0..12)) {
        answers(pieces.concat().as_bytes())?;
    }
}
