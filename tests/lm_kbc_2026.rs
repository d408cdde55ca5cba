//! `scripts/lm-kbc-2026.py` from its data to its scores: on 37 of the challenge's lines, two folds, and a
//! tiny model that knows nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn data() -> PathBuf {
    here().join("tests/data/lm-kbc-2026")
}

/// Runs the script; none where there is no Python, which is told.
fn script(folder: &Path, words: &[&str]) -> Option<Output> {
    let ended = Command::new("python3")
        .arg(here().join("scripts/lm-kbc-2026.py"))
        .args([data(), folder.join("out")])
        .args(["--folds", "2", "--min-facts", "1", "--kgbuild", env!("CARGO_BIN_EXE_kgbuild")])
        .arg("--base")
        .arg(folder.join("model"))
        .arg("--text")
        .arg(folder.join("text.json"))
        .args(words)
        .output();
    match ended {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("THE SCRIPT OF LM-KBC 2026 WAS NOT TRIED: python3 does not start: {error}");
            None
        }
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// Every file below a folder that the script itself writes, with what is in it.
fn written(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for fold in ["fold-1", "fold-2", "val"] {
        for entry in fs::read_dir(folder.join("out").join(fold)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && path.file_name().unwrap() != "tuned.toml" {
                files.push((path.clone(), fs::read(path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sentence = "There is a land. It has a river and a king. ".repeat(60);
    let text = serde_json::json!([{ "extract": sentence }]);
    fs::write(folder.path().join("text.json"), text.to_string()).unwrap();
    // A model that takes longer texts than the fixture says: its positions are angles.
    let (from, to) =
        (here().join("tests/data/models/llama/checkpoint"), folder.path().join("model"));
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(&from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let mut config: Value =
        serde_json::from_slice(&fs::read(to.join("config.json")).unwrap()).unwrap();
    config["max_position_embeddings"] = 1024.into();
    fs::write(to.join("config.json"), config.to_string()).unwrap();
    folder
}

#[test]
fn no_question_is_asked_of_what_was_trained_on_it() {
    let folder = workplace();
    let Some(ended) = script(folder.path(), &["--prepare"]) else { return };
    assert!(ended.status.success(), "{}", said(&ended));
    let mut asked = 0;
    for fold in ["fold-1", "fold-2"] {
        let questions = |name: &str| -> Vec<String> {
            let text = fs::read_to_string(folder.path().join("out").join(fold).join(name)).unwrap();
            let question = |line: &str| line.split(',').take(2).collect::<Vec<_>>().join(" ");
            let mut all: Vec<String> = text.lines().skip(1).map(question).collect();
            all.dedup();
            all
        };
        let tested = questions("test.csv");
        asked += tested.len();
        for name in ["train.csv", "held-out.csv", "stop.csv"] {
            assert!(questions(name).iter().all(|question| !tested.contains(question)), "{name}");
        }
        let held_out = questions("held-out.csv");
        assert!(!held_out.is_empty());
        assert!(questions("train.csv").iter().all(|question| !held_out.contains(question)));
    }
    assert_eq!(asked, 32);
    // Again: the same files.
    let before = written(folder.path());
    assert!(script(folder.path(), &["--prepare"]).unwrap().status.success());
    assert!(written(folder.path()) == before);
}

#[test]
fn from_the_lines_to_the_scores() {
    let folder = workplace();
    let Some(ended) = script(folder.path(), &[]) else { return };
    assert!(ended.status.success(), "{}", said(&ended));
    let scores = |split: &str| -> Value {
        let file = folder.path().join("out").join(format!("{split}.json"));
        serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
    };
    let [train, val] = ["train", "val"].map(scores);
    for (scores, questions, relations) in [(&train, 32, 6), (&val, 5, 5)] {
        assert_eq!(scores["rules"], "lm-kbc-2026");
        assert_eq!(scores["all"]["questions"], questions);
        assert_eq!(scores["relations"].as_array().unwrap().len(), relations);
        assert_eq!(scores["outside_gold"]["questions"], 0, "each subject is found by its label");
    }
    let always_empty = train["all"]["always_empty"]["f1"].as_f64().unwrap();
    assert!((always_empty - 6.0 / 32.0).abs() < 1e-12);
    // The same command finds all of it done.
    let again = script(folder.path(), &[]).unwrap();
    assert!(again.status.success(), "{}", said(&again));
    assert!(!said(&again).contains("kgbuild tune"), "{}", said(&again));
    assert_eq!(scores("train"), train);
}

#[test]
fn bad_input_is_told() {
    let folder = workplace();
    let Some(ended) = script(folder.path(), &["--folds", "1"]) else { return };
    assert_eq!(ended.status.code(), Some(2));
    assert!(said(&ended).contains("2 or more"), "{}", said(&ended));
}
