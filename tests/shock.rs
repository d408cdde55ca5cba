//! `kgbuild shock` as it is called, with a tiny model and an adapter of it: its tables, JSON and
//! HTML held against what `kgbuild run` measures, and what bad input gets.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kgbuild::diagnostic::Silent;
use kgbuild::fetch::{Cache, runtime_library};
use kgbuild::finetune::Card;
use serde_json::Value;
use tempfile::TempDir;

const PIPELINE: &str = r#"[models]
base = "base"
finetuned = "adapter"
[inputs]
ontology = "world.ttl"
subjects = "countries.csv"
candidates = "cities.csv"
gold = "gold.csv"
[correction]
method = "log-linear"
lambda = 0.4
[output]
folder = "graph"
[runtime]
device = "cpu"
"#;

const TUNING: &str = r#"[tuning]
facts = "tuning.csv"
file = "tuned.toml"
min_facts = 10
"#;

const ONTOLOGY: &str = include_str!("support/capital.ttl");

const CAPITAL: &str = "http://example.org/capital";
const KINDS: [(&str, &str); 4] =
    [("France", "Paris"), ("Italy", "Rome"), ("Japan", "Tokyo"), ("Chad", "Lyon")];

struct Workplace(TempDir);

impl Workplace {
    /// Of each kind, countries 0 to 3 are trained, 4 to 7 tuned on, 8 to 11 gold; those of the last
    /// kind are never trained.
    fn new() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        this.write("pipeline.toml", PIPELINE);
        this.write("world.ttl", ONTOLOGY);
        let entity = |label: &str, class: &str| {
            format!("http://example.org/{label},{label},http://example.org/{class}\n")
        };
        let (mut countries, mut cities) = (String::new(), String::new());
        let mut facts = [(); 3].map(|()| "subject,relation,object\n".to_owned());
        for (kind, capital) in KINDS {
            cities += &entity(capital, "City");
            for number in 0..12 {
                let country = format!("{kind}{number}");
                countries += &entity(&country, "Country");
                if (kind, number / 4) != ("Chad", 0) {
                    let [s, o] =
                        [&country, capital].map(|name| format!("http://example.org/{name}"));
                    facts[number / 4] += &format!("{s},{CAPITAL},{o}\n");
                }
            }
        }
        this.write("countries.csv", format!("iri,label,types\n{countries}"));
        this.write("cities.csv", format!("iri,label,types\n{cities}"));
        for (name, facts) in ["train.csv", "tuning.csv", "gold.csv"].iter().zip(facts) {
            this.write(name, facts);
        }
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/llama");
        for (from, to) in [("checkpoint", "base"), ("adapter", "adapter")] {
            for file in fs::read_dir(models.join(from)).unwrap() {
                let file = file.unwrap();
                let name = format!("{to}/{}", file.file_name().to_str().unwrap());
                this.write(&name, fs::read(file.path()).unwrap());
            }
        }
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn ended(&self, args: &[&str]) -> Output {
        let library = runtime_library(&Cache::from_environment().unwrap(), &Silent);
        let mut command = Command::new(env!("CARGO_BIN_EXE_kgbuild"));
        command.args(args).current_dir(self.0.path()).env_clear();
        command.env("PATH", env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path("home")).env("KGBUILD_CACHE", self.path("cache"));
        command.env("ORT_DYLIB_PATH", library.unwrap()).output().unwrap()
    }

    /// What a command that must end well prints, and what it says.
    fn out(&self, args: &[&str]) -> (String, String) {
        let Output { status, stdout, stderr } = self.ended(args);
        let [out, said] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(status.success(), "{args:?}:\n{said}");
        (out, said)
    }

    fn shock(&self, options: &[&str]) -> (String, String) {
        self.out(&[&["shock", "pipeline.toml"], options].concat())
    }

    fn json(&self, options: &[&str]) -> Value {
        serde_json::from_str(&self.shock(&[options, &["--json"]].concat()).0).unwrap()
    }

    /// What is said of bad input.
    fn refused(&self, options: &[&str]) -> String {
        let ended = self.ended(&[&["shock", "pipeline.toml", "-q"], options].concat());
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{options:?}:\n{said}");
        said
    }
}

/// A number of every system.
fn by_system(report: &Value, number: &str) -> Vec<f64> {
    let scores = report["all"]["scores"].as_array().unwrap();
    scores.iter().map(|scores| scores.pointer(number).unwrap().as_f64().unwrap()).collect()
}

fn sum(bands: &Value, of: impl Fn(&Value) -> &Value) -> f64 {
    bands.as_array().unwrap().iter().map(|band| of(band).as_f64().unwrap()).sum()
}

#[test]
fn what_is_seen_is_what_a_run_measures() {
    let place = Workplace::new();
    let report = place.json(&["--train", "train.csv"]);
    place.out(&["run", "pipeline.toml", "-q"]);
    let run = fs::read(place.path("graph/report.json")).unwrap();
    let total = &serde_json::from_slice::<Value>(&run).unwrap()["total"];
    let found = by_system(&report, "/precision_at_1/mean");
    for (system, name) in [(0, "base"), (1, "finetuned"), (3, "mixed")] {
        let measured = total[format!("{name}_precision_at_1")].as_f64().unwrap();
        assert!((found[system] - measured).abs() < 1e-6, "{name}: {found:?}, but {measured}");
    }
    assert_eq!(report["own"], "log-linear");
    assert_eq!(by_system(&report, "/gain/mean")[1], 0.0);

    // Both curves lead from the base to the finetuned model.
    for curve in ["linear_curve", "log_linear_curve"] {
        let points = report[curve].as_array().unwrap();
        let ends = [points.first(), points.last()].map(|p| p.unwrap()["right"].as_f64().unwrap());
        assert_eq!(ends.map(|right| right / 16.0), [found[0], found[1]], "{curve}");
    }
    // Every question has one object, and every system one answer to it.
    let all = &report["all"];
    assert_eq!((all["questions"].as_u64(), all["outside"].as_u64()), (Some(16), Some(0)));
    let training = &all["training"];
    for bands in
        [&all["by_frequency"], &training["by_training"], &training["seen"], &training["shock"]]
    {
        assert_eq!(sum(bands, |band| &band["gold"]), 16.0);
        for (system, p) in found.iter().enumerate() {
            assert_eq!(sum(bands, |band| &band["predicted"][system]), 16.0);
            assert!((sum(bands, |band| &band["right"][system]) / 16.0 - p).abs() < 1e-12);
        }
    }
    // Three capitals were trained four times each, that of Chad never.
    assert_eq!(training["facts"], 12);
    assert_eq!(training["seen"][1]["gold"], 4.0);
    let entities = report["relations"][0]["entities"].as_array().unwrap();
    let trained: BTreeMap<&str, u64> = entities
        .iter()
        .map(|e| (e["label"].as_str().unwrap(), e["training"].as_u64().unwrap()))
        .collect();
    assert_eq!(trained, [("Lyon", 0), ("Paris", 4), ("Rome", 4), ("Tokyo", 4)].into());
    let prior: f64 = entities.iter().map(|e| e["base_prior"].as_f64().unwrap()).sum();
    assert!((prior - 1.0).abs() < 1e-9, "{prior}");
}

#[test]
fn a_card_says_what_was_trained() {
    let place = Workplace::new();
    let iri = |name: &str| format!("http://example.org/{name}");
    let mut card = Card {
        object_counts: [(CAPITAL.to_owned(), [(iri("Lyon"), 7)].into())].into(),
        ..Card::default()
    };
    place.write("adapter/training.json", serde_json::to_vec(&card).unwrap());
    let (out, said) = place.shock(&["--json", "--train", "train.csv"]);
    assert!(said.contains("unused-training-facts"), "{said}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["all"]["training"]["facts"], 7);
    assert!(report["training"].as_str().unwrap().ends_with("adapter/training.json"));

    card.trained.insert(CAPITAL.to_owned(), BTreeSet::from([iri("Chad9")]));
    place.write("adapter/training.json", serde_json::to_vec(&card).unwrap());
    let said = place.refused(&[]);
    assert!(said.contains("1 of the 16 questions") && said.contains("trained-facts"), "{said}");
}

#[test]
fn without_training_counts_it_is_said_what_is_left_out() {
    let place = Workplace::new();
    let (out, _) = place.shock(&["--html", "s.html"]);
    assert!(
        out.contains("cannot be said: nothing is known of what the finetuned model was trained on")
    );
    assert!(
        out.contains("P@1") && out.contains("log-linear *") && !out.contains("seen in training  ")
    );
    let page = fs::read_to_string(place.path("s.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 3);
    let report = place.json(&[]);
    assert_eq!((&report["training"], &report["all"]["training"]), (&Value::Null, &Value::Null));

    let (out, said) = place.shock(&["--train", "train.csv", "--html", "s.html", "-o", "s.txt"]);
    assert_eq!(out, "");
    assert!(said.contains("report: s.html"), "{said}");
    let text = fs::read_to_string(place.path("s.txt")).unwrap();
    assert!(text.contains("trained 2 to 4 times") && text.contains("right if unseen"), "{text}");
    for word in ["ECE", "linear, log-linear, prior", "base prior", "rare", "q_train / q_base"] {
        assert!(text.contains(&format!("\n{word}: ")), "{word} is not explained in\n{text}");
    }
    let page = fs::read_to_string(place.path("s.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    assert_eq!(page.matches("<svg").count(), 5);
    assert!(!page.contains("<script") && !page.contains("href=") && !page.contains("src="));
}

#[test]
fn tuned_numbers_are_used_and_facts_that_they_saw_are_told() {
    let place = Workplace::new();
    place.write("pipeline.toml", format!("{PIPELINE}{TUNING}"));
    let (_, said) = place.shock(&[]);
    assert!(said.contains("not-tuned"), "{said}");
    let (out, _) = place.out(&["tune", "pipeline.toml", "-q"]);
    assert_eq!(out, "", "the numbers are in their file");
    let (out, said) = place.shock(&["--json", "--train", "train.csv"]);
    assert!(!said.contains("tuned-on-these") && !said.contains("not-tuned"), "{said}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let text = fs::read_to_string(place.path("tuned.toml")).unwrap();
    let tuned: toml::Table = text.parse().unwrap();
    let numbers = tuned["relations"].get(CAPITAL).unwrap_or(&tuned["all"]);
    assert_eq!(report["all"]["lambda"].as_f64(), numbers["lambda"].as_float());
    let own = &report["all"]["scores"][3];
    assert!(own["calibrated_error"].is_number() && !own["calibrated_reliability"].is_null());
    assert!(report["all"]["scores"][2]["calibrated_error"].is_null());

    let (_, said) = place.shock(&["--facts", "gold.csv", "--facts", "tuning.csv"]);
    assert!(said.contains("tuned on 16 of these 32 questions"), "{said}");
    // Without gold facts, those of the tuning are what is left.
    let without = PIPELINE.replace("gold = \"gold.csv\"\n", "");
    place.write("pipeline.toml", format!("{without}{TUNING}"));
    let (_, said) = place.shock(&[]);
    assert!(said.contains("tuned on 16 of these 16 questions"), "{said}");
}

#[test]
fn a_relation_without_facts_has_numbers_but_no_measures() {
    let place = Workplace::new();
    place.write("pipeline.toml", format!("{PIPELINE}{TUNING}"));
    let sea = ONTOLOGY.split_once("ex:capital").unwrap().1.replace("capital", "sea");
    place.write("world.ttl", format!("{ONTOLOGY}\nex:sea{sea}"));
    let (table, _) = place.out(&["tune", "pipeline.toml"]);
    let row = table.lines().find(|line| line.starts_with("sea *")).unwrap();
    assert!(row.contains(" - ") && !row.contains("0.000"), "{table}");
    assert!(table.contains("\nall: ") && table.contains("\nbefore: "), "{table}");

    let tuned = fs::read_to_string(place.path("tuned.toml")).unwrap();
    assert!(tuned.contains(CAPITAL), "{tuned}");
    place.write("tuned.toml", tuned.replace(CAPITAL, "http://example.org/capitol"));
    for command in ["check", "run"] {
        let (_, said) = place.out(&[command, "pipeline.toml"]);
        let warned = "the tuned numbers of <http://example.org/capitol> are of no use";
        assert!(said.contains(warned) && said.contains(&format!("`{CAPITAL}`?")), "{said}");
    }
}

#[test]
fn a_pipeline_that_does_not_mix_is_diagnosed_too() {
    let place = Workplace::new();
    let mixed = "method = \"log-linear\"\nlambda = 0.4";
    place.write("pipeline.toml", PIPELINE.replace(mixed, "method = \"none\""));
    let (out, said) = place.shock(&["--json", "--train", "train.csv"]);
    assert!(said.contains("the pipeline does not mix"), "{said}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&report["own"], report["all"]["lambda"].as_f64()),
        (&"finetuned".into(), Some(0.5))
    );
    // The prior correction's shift is there when the pipeline removes one, and when it does not.
    let prior = "method = \"prior\"\nlambda = 0.4\ntau = 0.5";
    place.write("pipeline.toml", PIPELINE.replace(mixed, prior));
    let report = place.json(&["--train", "train.csv"]);
    assert_eq!((&report["own"], report["all"]["tau"].as_f64()), (&"prior".into(), Some(0.5)));
}

#[test]
fn bad_input_is_told() {
    let place = Workplace::new();
    let said = place.refused(&["--train", "gold.csv"]);
    assert!(said.contains("16 of the 16 questions are among the training facts"), "{said}");
    place.write(
        "empty.csv",
        format!("subject,relation,object\nhttp://example.org/Chad9,{CAPITAL},\n"),
    );
    let said = place.refused(&["--facts", "empty.csv"]);
    assert!(said.contains("no-question") && said.contains("empty.csv"), "{said}");
    let fact = |subject: &str, relation: &str| {
        let capital = "http://example.org/Paris";
        format!("subject,relation,object\nhttp://example.org/{subject},{relation},{capital}\n")
    };
    for (facts, wanted) in [
        ("subject,relation,object\n".to_owned(), "error[no-facts]: the table holds no facts"),
        (fact("Chad9", "http://example.org/sea"), "no fact has a relation that is predicted"),
        (fact("Nowhere", CAPITAL), "or `--entities` for `kgbuild shock`"),
        (fact("Land", CAPITAL), "compare the column `types` of the subjects"),
    ] {
        place.write("none-asked.csv", facts);
        place.write("land.csv", "iri,label,types\nhttp://example.org/Land,Land,e:Land\n");
        let said = place.refused(&["--facts", "none-asked.csv", "--entities", "land.csv"]);
        assert!(said.contains(wanted) && !said.contains("gold"), "{wanted} is not in {said}");
    }
    assert!(place.refused(&["--facts", "none.csv"]).contains("none.csv"));
    assert!(place.refused(&["--html", "no/s.html"]).contains("there is no folder"));
    place.write("pipeline.toml", PIPELINE.replace("gold = \"gold.csv\"\n", ""));
    let said = place.refused(&[]);
    assert!(said.contains("no-facts") && said.contains("--facts"), "{said}");
    let only = PIPELINE.replace("finetuned = \"adapter\"\n", "");
    let only = only.replace("[correction]\nmethod = \"log-linear\"\nlambda = 0.4\n", "");
    place.write("pipeline.toml", only);
    let said = place.refused(&[]);
    assert!(said.contains("names no finetuned model"), "{said}");
}
