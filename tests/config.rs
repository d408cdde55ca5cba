//! Pipelines of `tests/data/config/*.toml`, finetunings of `tests/data/config/finetune/*.toml` and
//! experiments of `tests/data/config/experiment/*.toml`, right and wrong, and what a person is told
//! of them.
//!
//! Beside each stands what is expected: `accepted` or `refused`, then everything that is said.
//! `KGBUILD_BLESS=1` writes what is said now, to be looked at before it is committed.

use std::fs;
use std::path::{Path, PathBuf};

use kgbuild::config::experiment::{self, Sizes, Skew};
use kgbuild::config::finetune::{self, Decay, HeldOut, Keep, Templates};
use kgbuild::config::{self, CorrectionMethod, Pipeline};
use kgbuild::diagnostic::Diagnostics;
use kgbuild::fetch::Source;
use kgbuild::graph::Durability;
use kgbuild::lm::{Method, Normalise};
use kgbuild::onnx::Module;
use kgbuild::runtime::Device;
use kgbuild::shock::Mixing;
use proptest::prelude::*;

const FOLDER: &str = "tests/data/config";
const FINETUNINGS: &str = "tests/data/config/finetune";
const EXPERIMENTS: &str = "tests/data/config/experiment";

fn said<T>(read: Result<(T, Diagnostics), Diagnostics>) -> String {
    match read {
        Ok((_, warnings)) => format!("accepted\n\n{}", warnings.render(false)),
        Err(found) => format!("refused\n\n{}", found.render(false)),
    }
}

fn cases(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
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
fn every_file_is_answered_as_expected() {
    let [pipelines, finetunings, experiments] = [FOLDER, FINETUNINGS, EXPERIMENTS].map(cases);
    assert!(pipelines.len() >= 20 && finetunings.len() >= 8 && experiments.len() >= 10);
    let mut wrong = Vec::new();
    for file in &pipelines {
        let said = said(config::read(file));
        hold_against(&file.with_extension("expected"), &said, &mut wrong);
    }
    for file in &finetunings {
        let said = said(finetune::read(file));
        hold_against(&file.with_extension("expected"), &said, &mut wrong);
    }
    for file in &experiments {
        let said = said(experiment::read(file, None));
        hold_against(&file.with_extension("expected"), &said, &mut wrong);
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
    let pipelines = cases(FOLDER).into_iter().map(|file| (config::read(&file).is_ok(), file));
    let finetunings =
        cases(FINETUNINGS).into_iter().map(|file| (finetune::read(&file).is_ok(), file));
    let experiments =
        cases(EXPERIMENTS).into_iter().map(|file| (experiment::read(&file, None).is_ok(), file));
    for (found, file) in pipelines.chain(finetunings).chain(experiments) {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let expected = accepted.iter().any(|start| name.starts_with(start));
        assert_eq!(found, expected, "{}", file.display());
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
    let finetuned = pipeline.models.finetuned.unwrap().source;
    assert_eq!(finetuned, Source::Local(folder.join("files/adapter")));
    let base = pipeline.models.base.unwrap();
    assert_eq!(base.written, "pypi:some-model==0.1.2#inside/model.gguf");
    assert!(base.sha256.unwrap().starts_with("b179c952"));
    assert_eq!(pipeline.inputs.ontology, [folder.join("files/ontology.ttl")]);
    assert_eq!(pipeline.inputs.subjects, [folder.join("files/subjects.csv")]);
    assert_eq!(pipeline.inputs.candidates, [folder.join("files/candidates.csv")]);
    assert_eq!(pipeline.inputs.gold, [folder.join("files/gold.csv")]);
    assert_eq!(pipeline.inputs.relations, Some(vec![p36.to_owned()]));
    assert_eq!(pipeline.prediction.normalise, Normalise::List);
    assert_eq!(pipeline.prediction.method, Method::Exhaustive);
    assert_eq!(pipeline.prediction.tolerance, 1e-9);
    assert_eq!(pipeline.correction, CorrectionMethod::LogLinear(Mixing::Candidate));
    assert_eq!(pipeline.output.folder, folder.join("out"));
    assert_eq!(pipeline.output.durability, Durability::Chunk);
    assert_eq!(accepted("accepted-two-models.toml").output.durability, Durability::Periodic);
    assert_eq!(pipeline.output.base_iri, "https://example.org/run/");
    assert_eq!(pipeline.runtime.device, Device::Cpu);
    let runtime = &pipeline.runtime;
    assert_eq!((runtime.workers, runtime.encode_workers, runtime.threads), (Some(2), 2, Some(4)));
    assert_eq!((runtime.token_budget, runtime.channel_capacity), (4096, 1));
    assert_eq!(pipeline.named_relations.len(), 3);
}

#[test]
fn every_key_of_a_finetuning_arrives() {
    let read = |name: &str| finetune::read(&Path::new(FINETUNINGS).join(name)).unwrap().0;
    let files = |names: &[&str]| -> Vec<PathBuf> {
        names.iter().map(|name| Path::new(FINETUNINGS).join("files").join(name)).collect()
    };
    let whole = read("accepted-whole.toml");
    assert_eq!(whole.base.written, "pypi:some-model==0.1.2#inside/model.gguf");
    assert!(whole.base.sha256.unwrap().starts_with("b179c952"));
    assert_eq!(whole.facts.train, files(&["train.csv", "more.jsonl"]));
    assert_eq!(whole.facts.held_out, HeldOut::Files(files(&["more.jsonl"])));
    assert_eq!(whole.facts.test, files(&["test.csv"]));
    let p36 = "http://www.wikidata.org/prop/direct/P36";
    assert_eq!(whole.facts.relations, Some(vec![p36.to_owned()]));
    assert_eq!(whole.named_relations.len(), 1);
    assert!(whole.facts.allow_overlap);
    assert_eq!(whole.ontology, files(&["world.ttl"]));
    assert_eq!(whole.entities, files(&["entities.csv", "others.csv"]));
    let training = whole.training;
    assert_eq!((training.method, training.rank, training.alpha), (finetune::Method::Lora, 4, 16.0));
    // In the order of a layer, however they are listed.
    assert_eq!(training.modules, [Module::Q, Module::Down]);
    assert_eq!((training.epochs, training.batch_size), (2, 32));
    assert_eq!((training.learning_rate, training.warmup_share), (0.001, 0.1));
    assert_eq!((training.decay, training.weight_decay), (Decay::Cosine, 0.0));
    assert_eq!((training.clip_norm, training.seed), (0.5, 7));
    assert_eq!((training.templates, training.keep), (Templates::All, Keep::Last));
    assert_eq!((training.evaluate_every, training.patience), (0.25, Some(3)));
    assert_eq!((training.checkpoint_every, training.threads), (10, Some(2)));
    assert_eq!(training.device, Device::Cpu);
    let mixture = whole.mixture.unwrap();
    assert_eq!((mixture.weight, mixture.sequence_length, mixture.sequences), (0.3, 64, 4));
    assert_eq!(mixture.text.written, "pypi:some-text==1.0#data/text.json");
    assert_eq!(mixture.field.as_deref(), Some("extract"));
    assert_eq!(mixture.end_of_text.as_deref(), Some("<|endoftext|>"));
    assert_eq!(whole.folder, Path::new(FINETUNINGS).join("out"));

    let least = read("accepted-least.toml");
    assert_eq!((least.facts.held_out, least.mixture), (HeldOut::Share(0.1), None));
    assert_eq!((least.training.learning_rate, least.training.alpha), (5e-4, 16.0));
    // All weights are changed by smaller steps than an adapter's.
    assert_eq!(read("no-effect.toml").training.learning_rate, 2e-5);
}

#[test]
fn every_key_of_an_experiment_arrives() {
    let folder = Path::new(EXPERIMENTS);
    let read = |name: &str| experiment::read(&folder.join(name), None).unwrap().0;
    let whole = read("accepted-whole.toml");
    assert_eq!(whole.base.written, "pypi:some-model==0.1.2#inside/model.gguf");
    assert_eq!(whole.facts, folder.join("files"));
    assert_eq!((whole.templates, whole.object_tokens), (3, Some(1)));
    assert_eq!(whole.sizes, Sizes { train: 7, tune: 8, test: 9 });
    assert_eq!((whole.least, whole.threads), (18, Some(2)));
    assert_eq!((&whole.seeds[..], &whole.passes[..]), (&[4, 0][..], &[5, 2][..]));
    assert_eq!(whole.skews, [Skew::Rare, Skew::Natural]);
    // Only what is written is handed on.
    let training: toml::Table = "method = 'lora'\nrank = 4\nmodules = ['o_proj']\nbatch_size = 3\n\
                                 learning_rate = 0.01\ndevice = 'cpu'\nthreads = 2"
        .parse()
        .unwrap();
    assert_eq!(whole.training, training);
    assert_eq!(whole.mixture, "weight = 0.25\nsequences = 1".parse::<toml::Table>().unwrap());
    assert!(whole.text.sha256.unwrap().starts_with("b179c952"));
    assert_eq!(whole.folder, folder.join("out"));

    let least = read("accepted-least.toml");
    assert_eq!((least.object_tokens, least.training.len(), least.threads), (None, 0, None));
    assert_eq!((least.seeds.len(), least.skews.len(), least.passes.len()), (3, 3, 2));
    // What each model has of its own is said once.
    let training = read("no-effect.toml").training;
    assert_eq!(training.keys().collect::<Vec<_>>(), ["method", "rank"]);
    // Facts that a person names take the place of the file's.
    let (other, _) =
        experiment::read(&folder.join("accepted-least.toml"), Some(Path::new("a"))).unwrap();
    assert_eq!(other.facts, Path::new("a"));
}

/// The same source from every folder, with its hash.
#[test]
fn a_source_can_be_written_elsewhere() {
    let whole = Path::new(EXPERIMENTS).join("accepted-whole.toml");
    let whole = experiment::read(&whole, None).unwrap().0;
    assert_eq!(whole.base.anywhere()["source"].as_str().unwrap(), whole.base.written);
    let text = whole.text.anywhere();
    let there = Path::new(EXPERIMENTS).join("files/text.txt");
    let written = Path::new(text["source"].as_str().unwrap());
    assert!(written.is_absolute());
    assert_eq!(written.canonicalize().unwrap(), there.canonicalize().unwrap());
    assert_eq!(text["sha256"].as_str(), whole.text.sha256.as_deref());
    let least = Path::new(EXPERIMENTS).join("accepted-least.toml");
    assert!(experiment::read(&least, None).unwrap().0.base.anywhere().is_str());
}

#[test]
fn the_shipped_experiments_have_nothing_to_be_said_of() {
    for name in ["short", "long"] {
        let file = format!("pipelines/frequency-shock/{name}.toml");
        let said = said(experiment::read(Path::new(&file), None));
        assert_eq!(said, "accepted\n\n", "{file}");
    }
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
    assert_eq!(least.correction, CorrectionMethod::None);
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
fn the_committed_schemas_are_the_codes() {
    let mut wrong = Vec::new();
    hold_against(Path::new("pipelines/pipeline.schema.json"), &config::schema(), &mut wrong);
    hold_against(Path::new("pipelines/finetune.schema.json"), &finetune::schema(), &mut wrong);
    let experiment = Path::new("pipelines/experiment.schema.json");
    hold_against(experiment, &experiment::schema(), &mut wrong);
    assert!(
        wrong.is_empty(),
        "{}\nTo rewrite it: KGBUILD_BLESS=1 cargo test --release --test config",
        wrong.join("\n")
    );
}

/// Keys of a pipeline, and a few that are none.
const WORDS: [&str; 36] = [
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
];

/// Values of all kinds, right and wrong.
const VALUES: [&str; 20] = [
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
];

/// Pieces of pipelines, so that random texts come past the syntax.
fn piece() -> impl Strategy<Value = String> {
    let word = prop::sample::select(&WORDS[..]);
    let value = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:?}").replace("NaN", "nan")),
        prop::sample::select(&VALUES[..]).prop_map(str::to_owned),
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
