//! A whole tiny model: the pass written by hand against candle's graph and against finite
//! differences.

use candle_core::{Device, Tensor};
use proptest::prelude::*;
use rayon::ThreadPoolBuilder;

use super::pass::Pass;
use super::{
    AdamW, AdamWSettings, Batch, EngineError, Gradients, Model, Module, Target, Trainable, graph,
};
use crate::diagnostic::{Silent, explained};
use crate::fetch::Cache;
use crate::onnx::decoder::{Biases, LayerKind, Rotation};
use crate::onnx::tiny::{self, Tensors};
use crate::onnx::{self, Architecture, Bits, Blocks, DecoderConfig, Precision, Weights, lora};

impl Weights for Tensors {
    fn path(&self) -> &std::path::Path {
        std::path::Path::new("tensors")
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.get(name).map(|(shape, _)| shape.clone())
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, onnx::Error> {
        Ok(self[name].1.clone())
    }
}

/// The linear layers of a model that keeps none together.
const LAYERS: [Module; 7] =
    [Module::Q, Module::K, Module::V, Module::O, Module::Gate, Module::Up, Module::Down];

/// The tiny model as other architectures would have it.
const KINDS: [&str; 7] = ["llama", "qwen2", "qwen3", "gemma2", "gemma3_text", "phi3", "olmo2"];

/// The tiny model's sizes in an architecture, with all that is special to it.
fn config_of(architecture: &str) -> DecoderConfig {
    let plain = DecoderConfig {
        architecture: Architecture::named(architecture).unwrap(),
        ..tiny::config()
    };
    let rotation = |pairs: usize, scale: f64| Rotation {
        frequencies: (0..pairs).map(|i| 0.6f64.powi(i as i32)).collect(),
        scale,
    };
    let near = LayerKind { rotation: Some(0), windowed: true };
    let far = LayerKind { rotation: Some(0), windowed: false };
    match architecture {
        "qwen2" => DecoderConfig {
            biases: Biases { inputs: true, output: true, feed_forward: true },
            ..plain
        },
        "gemma2" => DecoderConfig {
            layers: vec![near, far],
            window: 3,
            embedding_scale: 1.5,
            query_scale: 0.7,
            score_cap: Some(1.5),
            output_cap: Some(3.0),
            ..plain
        },
        "gemma3_text" => DecoderConfig {
            layers: vec![LayerKind { rotation: Some(1), ..near }, far],
            rotations: vec![rotation(2, 1.0), rotation(2, 1.0)],
            window: 2,
            embedding_scale: 1.5,
            ..plain
        },
        "phi3" => DecoderConfig {
            layers: vec![far, LayerKind { rotation: None, ..near }],
            rotations: vec![rotation(1, 1.2)],
            window: 4,
            ..plain
        },
        _ => plain,
    }
}

/// The tiny model, with another vocabulary where that is asked for, and weights to match.
fn model(trainable: &Trainable, tied: bool) -> Model {
    model_of("llama", trainable, tied)
}

fn model_of(architecture: &str, trainable: &Trainable, tied: bool) -> Model {
    let config = DecoderConfig { tied, vocabulary: 11, ..config_of(architecture) };
    let model =
        Model::new(&config, &tiny::tensors(&config), Precision::F32, trainable, 7, &Device::Cpu)
            .unwrap();
    // B begins as zero, which would hide A.
    for (i, (name, var)) in model.parameters().iter().enumerate() {
        if name.contains("lora_B") {
            let count = var.elem_count();
            let values: Vec<f32> = (0..count).map(|j| ((i * 31 + j) as f32).sin()).collect();
            var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap()).unwrap();
        }
    }
    model
}

fn lora(modules: &[Module]) -> Trainable {
    Trainable::Lora { rank: 3, alpha: 4.5, modules: modules.to_vec() }
}

/// Sequences of these lengths with varied tokens; every third position is a target.
fn batch(lengths: &[usize], seed: usize) -> Batch {
    let count: usize = lengths.iter().sum();
    let token = |i: usize| ((i * i + 3 * i + seed) % 11) as u32;
    let positions = (0..count).filter(|i| i % 3 == seed % 3 || i + 1 == count);
    Batch {
        tokens: (0..count).map(token).collect(),
        lengths: lengths.to_vec(),
        targets: positions
            .map(|i| Target { position: i, token: token(i + 5), weight: 0.1 + (i % 4) as f32 })
            .collect(),
    }
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn largest(tensor: &Tensor) -> f32 {
    flat(tensor).into_iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

fn both_ways(model: &Model, batch: &Batch) -> [(Vec<f64>, Gradients); 2] {
    let loss = model.loss(batch).unwrap();
    let by_hand = (loss.nll.clone(), loss.backward().unwrap());
    let (nll, loss) = graph::loss(model, batch).unwrap();
    [by_hand, (nll, graph::backward(model, &loss).unwrap())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_pass_agrees_with_the_graph(
        lengths in prop::collection::vec(1usize..9, 1..6),
        kind in prop::sample::select(KINDS.to_vec()),
        modules in prop::sample::subsequence(LAYERS.to_vec(), 0..=7),
        tied: bool,
        seed in 0usize..100,
    ) {
        let trainable = if modules.is_empty() { Trainable::All } else { lora(&modules) };
        let model = model_of(kind, &trainable, tied);
        let batch = batch(&lengths, seed);
        let [(nll, gradients), (expected_nll, expected)] = both_ways(&model, &batch);
        prop_assert_eq!(&model.evaluate(&batch).unwrap(), &nll);
        let evaluated = graph::evaluate(&model, &batch).unwrap();
        prop_assert_eq!(&evaluated, &expected_nll);
        for (found, expected) in nll.iter().zip(&expected_nll) {
            prop_assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        let all = model.parameters().iter().zip(gradients.tensors()).zip(expected.tensors());
        for (((name, _), found), expected) in all {
            let size = largest(expected);
            let difference = largest(&(found - expected).unwrap());
            prop_assert!(difference <= 3e-5 * (1.0 + size), "{name}: {difference} of {size}");
        }
    }
}

/// Central differences along the gradient's own direction and along others, for each tensor.
fn assert_agrees_with_differences(kind: &str, trainable: &Trainable, tied: bool) {
    const STEP: f64 = 4e-3;
    let model = model_of(kind, trainable, tied);
    let batch = batch(&[5, 2, 7], 1);
    let gradients = model.loss(&batch).unwrap().backward().unwrap();
    for ((name, var), gradient) in model.parameters().iter().zip(gradients.tensors()) {
        let gradient = flat(gradient);
        let norm = gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt();
        assert!(norm > 1e-4, "{name} has the gradient {norm}");
        let before = flat(var);
        let own = gradient.iter().map(|&g| f64::from(g) / norm).collect::<Vec<f64>>();
        let other: Vec<f64> = (0..before.len()).map(|i| ((i * 13 + 5) as f64).sin()).collect();
        let length = other.iter().map(|v| v * v).sum::<f64>().sqrt();
        let other = other.iter().map(|v| v / length).collect();
        for direction in [own, other] {
            let at = |step: f64| {
                let moved = before.iter().zip(&direction);
                let moved: Vec<f32> =
                    moved.map(|(&value, d)| (f64::from(value) + step * d) as f32).collect();
                var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap()).unwrap();
                model.loss(&batch).unwrap().value
            };
            let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            at(0.0);
            let expected: f64 =
                gradient.iter().zip(&direction).map(|(&g, d)| f64::from(g) * d).sum();
            // The error of f32 losses of size 50 over the step, and of the third derivative.
            assert!(
                (difference - expected).abs() <= 0.01 + 0.01 * norm,
                "{name}: {difference} by differences, {expected} by the gradient"
            );
        }
    }
}

#[test]
fn every_gradient_is_not_zero_and_agrees_with_differences() {
    for kind in KINDS {
        assert_agrees_with_differences(kind, &lora(&Module::ALL), false);
        assert_agrees_with_differences(kind, &Trainable::All, false);
        assert_agrees_with_differences(kind, &Trainable::All, true);
    }
}

/// Where B is zero, A's gradient is too: it is dyᵀ-weighted by B. It is B that moves first.
#[test]
fn at_the_start_only_b_moves() {
    let config = tiny::config();
    let trainable = lora(&Module::ALL);
    let model =
        Model::new(&config, &tiny::tensors(&config), Precision::F32, &trainable, 7, &Device::Cpu)
            .unwrap();
    let base = Model::new(
        &config,
        &tiny::tensors(&config),
        Precision::F32,
        &Trainable::All,
        0,
        &Device::Cpu,
    )
    .unwrap();
    let mut batch = batch(&[6, 3], 0);
    batch.tokens.iter_mut().for_each(|token| *token %= 6);
    batch.targets.iter_mut().for_each(|target| target.token %= 6);
    assert_eq!(model.evaluate(&batch).unwrap(), base.evaluate(&batch).unwrap());
    let gradients = model.loss(&batch).unwrap().backward().unwrap();
    for ((name, _), gradient) in model.parameters().iter().zip(gradients.tensors()) {
        assert_eq!(largest(gradient) > 0.0, name.contains("lora_B"), "{name}");
    }
}

/// Loss and gradients with a number of threads.
fn with_threads(threads: usize, model: &Model, batch: &Batch) -> (Vec<f64>, Vec<Vec<f32>>) {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let loss = model.loss(batch).unwrap();
        let nll = loss.nll.clone();
        (nll, loss.backward().unwrap().tensors().iter().map(flat).collect())
    })
}

/// Wide enough for products to be shared among threads, and for rows of whole blocks.
fn wide() -> DecoderConfig {
    DecoderConfig {
        width: 64,
        heads: 4,
        kv_heads: 2,
        head_size: 16,
        feed_forward: 192,
        vocabulary: 600,
        context: 128,
        rotations: vec![Rotation {
            frequencies: (0..8).map(|i| 0.5f64.powi(i)).collect(),
            scale: 1.0,
        }],
        ..tiny::config()
    }
}

/// Weights of few bits are trained over as their numbers in f32 are, by not a bit otherwise.
#[test]
fn an_adapter_over_blocks_is_that_over_their_numbers() {
    let config = wide();
    let tensors = tiny::tensors(&config);
    let batch = batch(&[9, 3, 14], 2);
    for (precision, bits) in [(Precision::Q4, Bits::Four), (Precision::Q8, Bits::Eight)] {
        let rounded = tensors.iter().map(|(name, (shape, values))| {
            let values = match shape[..] {
                [rows, columns] if name.contains("proj") => {
                    Blocks::round(values, [rows, columns], bits).unwrap().values()
                }
                _ => values.clone(),
            };
            (name.clone(), (shape.clone(), values))
        });
        let rounded: Tensors = rounded.collect();
        let gradients = |tensors: &Tensors, precision| {
            let trainable = lora(&LAYERS);
            let model = Model::new(&config, tensors, precision, &trainable, 7, &Device::Cpu);
            with_threads(2, &model.unwrap(), &batch)
        };
        assert!(gradients(&tensors, precision) == gradients(&rounded, Precision::F32));
        assert!(gradients(&tensors, precision) != gradients(&tensors, Precision::F32));
    }
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let config = wide();
    for trainable in [lora(&Module::ALL), Trainable::All] {
        let tensors = tiny::tensors(&config);
        let model =
            Model::new(&config, &tensors, Precision::F32, &trainable, 7, &Device::Cpu).unwrap();
        let batch = batch(&[90, 3, 40, 12, 101], 2);
        let one = with_threads(1, &model, &batch);
        for threads in [2, 3, 5] {
            assert!(with_threads(threads, &model, &batch) == one, "{threads} threads");
        }
    }
}

/// A sequence's losses are its own: the others of its batch may change rounding only.
/// Where tapes have no room, the way back makes them anew, of all layers or of some: not a bit differs.
#[test]
fn the_bits_do_not_depend_on_the_tapes_that_are_kept() {
    for kind in KINDS {
        for trainable in [Trainable::All, lora(&LAYERS)] {
            let (model, batch) = (model_of(kind, &trainable, false), batch(&[5, 3, 7], 1));
            let gradients = |most: usize| {
                let (nll, pass) = Pass::new(&model, &batch, most).unwrap();
                let gradients = pass.backward().unwrap();
                let all = gradients.tensors().iter().map(flat).collect::<Vec<Vec<f32>>>();
                (nll, all)
            };
            let kept = gradients(usize::MAX);
            for most in [0, 20_000] {
                assert!(gradients(most) == kept, "{kind}, {most}");
            }
        }
    }
}

#[test]
fn sequences_do_not_see_each_other() {
    let model = model(&lora(&Module::ALL), false);
    let together = batch(&[5, 8, 1], 0);
    let nll = model.evaluate(&together).unwrap();
    let mut alone = Vec::new();
    let mut start = 0;
    for &length in &together.lengths {
        let own = |target: &&Target| (start..start + length).contains(&target.position);
        let shifted = |target: &Target| Target { position: target.position - start, ..*target };
        let batch = Batch {
            tokens: together.tokens[start..start + length].to_vec(),
            lengths: vec![length],
            targets: together.targets.iter().filter(own).map(shifted).collect(),
        };
        if !batch.targets.is_empty() {
            alone.extend(model.evaluate(&batch).unwrap());
        }
        start += length;
    }
    assert_eq!(nll.len(), alone.len());
    for (together, alone) in nll.iter().zip(alone) {
        assert!((together - alone).abs() < 1e-5, "{together} {alone}");
    }
}

fn train(model: &Model, batch: &Batch, steps: usize) -> Vec<f64> {
    let mut optimiser = AdamW::new(model.parameters(), AdamWSettings::default()).unwrap();
    let step = |_| {
        let loss = model.loss(batch).unwrap();
        let value = loss.value;
        let mut gradients = loss.backward().unwrap();
        gradients.clip(model.parameters(), 1.0).unwrap();
        optimiser.step(&gradients, 0.02).unwrap();
        value
    };
    (0..steps).map(step).collect()
}

#[test]
fn training_lowers_the_loss() {
    for trainable in [lora(&Module::ALL), lora(&[Module::Down]), Trainable::All] {
        let losses = train(&model(&trainable, true), &batch(&[5, 4], 2), 40);
        assert!(losses[39] < 0.9 * losses[0], "{trainable:?}: {losses:?}");
    }
}

/// What was trained, saved and read again as the base's finetuned model is.
#[test]
fn what_is_saved_is_what_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    let saved = folder.path().join("saved");
    std::fs::create_dir(&source).unwrap();
    std::fs::create_dir(&saved).unwrap();
    tiny::write_safetensors(&source);
    let checkpoint = onnx::open_checkpoint(&source).unwrap();
    let new = |trainable: &Trainable| {
        let weights = checkpoint.weights.as_ref();
        Model::new(&checkpoint.config, weights, Precision::F32, trainable, 7, &Device::Cpu).unwrap()
    };
    let cache = Cache::at(folder.path().join("cache"));
    let base = onnx::import(&source, onnx::Precision::F32, &cache, &Silent).unwrap();

    let model = new(&lora(&[Module::V, Module::Down]));
    for (_, var) in model.parameters() {
        let values: Vec<f32> = (0..var.elem_count()).map(|i| (i as f32).cos()).collect();
        var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap()).unwrap();
    }
    model.save(&saved, &checkpoint, "the base").unwrap();
    let adaptations = lora::read(&saved, &base).unwrap();
    assert_eq!(adaptations.len(), 4);
    let weight = "model.layers.1.mlp.down_proj.weight";
    let found = adaptations.iter().find(|adaptation| adaptation.weight == weight).unwrap();
    let parameter = |side: &str| -> Vec<f32> {
        let name = format!("base_model.model.model.layers.1.mlp.down_proj.lora_{side}.weight");
        flat(model.parameters().iter().find(|(n, _)| *n == name).unwrap().1.as_tensor())
    };
    assert_eq!((&found.a, &found.b), (&parameter("A"), &parameter("B")));
    assert_eq!(found.scale, 1.5);

    let whole = folder.path().join("whole");
    std::fs::create_dir(&whole).unwrap();
    let model = new(&Trainable::All);
    model.save(&whole, &checkpoint, "the base").unwrap();
    // Untrained, it is what an import of the checkpoint gives.
    for file in ["model.onnx", "model.onnx.data", "config.json", "tokenizer.json"] {
        let imported = base.graph.with_file_name(file);
        assert!(std::fs::read(whole.join(file)).unwrap() == std::fs::read(imported).unwrap());
    }
    train(
        &model,
        &Batch {
            tokens: vec![0, 1],
            lengths: vec![2],
            targets: vec![Target { position: 1, token: 2, weight: 1.0 }],
        },
        1,
    );
    model.save(&whole, &checkpoint, "the base").unwrap();
    onnx::import(&whole, onnx::Precision::F32, &cache, &Silent).unwrap();
    let data = |folder: &std::path::Path| std::fs::read(folder.join("model.onnx.data")).unwrap();
    assert!(data(&whole) != data(base.graph.parent().unwrap()));
}

#[test]
fn what_cannot_be_trained_is_named() {
    let config = tiny::config();
    let rank_zero = Trainable::Lora { rank: 0, alpha: 1.0, modules: vec![Module::Q] };
    let refused =
        Model::new(&config, &tiny::tensors(&config), Precision::F32, &rank_zero, 1, &Device::Cpu);
    assert!(matches!(refused.err(), Some(EngineError::Rank)));

    let model = model(&lora(&[Module::Q]), false);
    let sound = batch(&[3, 2], 0);
    let refused = |change: &dyn Fn(&mut Batch)| {
        let mut batch = sound.clone();
        change(&mut batch);
        model.loss(&batch).err().unwrap().to_string()
    };
    assert!(refused(&|batch| batch.lengths[0] = 4).contains("5 tokens"));
    assert!(refused(&|batch| batch.tokens[1] = 11).contains("token 11"));
    assert!(refused(&|batch| batch.targets[0].position = 5).contains("at 5"));
    assert!(refused(&|batch| batch.targets.clear()).contains("no target"));
    assert!(refused(&|batch| batch.lengths = vec![0, 5]).contains("0 tokens"));
    let long = Batch { tokens: vec![0; 17], lengths: vec![17], ..sound.clone() };
    assert!(model.loss(&long).err().unwrap().to_string().contains("1 to 16"));
    assert!(refused(&|batch| batch.targets[0].weight = f32::NAN).contains("NaN"));

    let (_, var) = &model.parameters()[0];
    var.set(&(var.as_tensor() * f64::NAN).unwrap()).unwrap();
    assert!(matches!(model.loss(&sound).err(), Some(EngineError::NotFinite { .. })));
    assert!(matches!(model.evaluate(&sound).err(), Some(EngineError::NotFinite { .. })));
}

#[test]
fn an_onnx_graph_cannot_be_opened_for_training() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    tiny::write_safetensors(&source);
    let cache = Cache::at(folder.path().join("cache"));
    let imported = onnx::import(&source, onnx::Precision::F32, &cache, &Silent).unwrap();
    let error = onnx::open_checkpoint(imported.graph.parent().unwrap()).err().unwrap();
    assert!(explained(&error).contains("GGUF"), "{error}");
}
