//! An imported model computes what a plain reading of the Llama architecture computes.
//!
//! A tiny checkpoint with random weights is imported and run; beside it the same forward pass is
//! written with loops over f64, which shares no code with the graph.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::fs;
use std::path::Path;

use kgbuild::diagnostic::Silent;
use kgbuild::fetch::{self, Cache};
use kgbuild::lm::{self, Asking, LanguageModel, Prompt, Row};
use kgbuild::onnx;
use kgbuild::runtime::{Device, Runtime};
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize_to_file};
use serde_json::json;

/// The sizes of a checkpoint; `theta` and `factor` are those of RoPE.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    layers: usize,
    width: usize,
    heads: usize,
    kv_heads: usize,
    head_size: usize,
    inner: usize,
    vocabulary: usize,
    tied: bool,
    scaled: bool,
}

const THETA: f64 = 500.0;
const EPSILON: f64 = 1e-5;
/// Llama 3's scaling: factor, low and high frequency factor, original context.
const SCALING: (f64, f64, f64, f64) = (8.0, 1.0, 4.0, 64.0);

type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn weights(s: Sizes) -> Weights {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let (queries, keys) = (s.heads * s.head_size, s.kv_heads * s.head_size);
    let mut shapes = vec![
        ("model.embed_tokens.weight".to_owned(), vec![s.vocabulary, s.width]),
        ("model.norm.weight".to_owned(), vec![s.width]),
    ];
    if !s.tied {
        shapes.push(("lm_head.weight".to_owned(), vec![s.vocabulary, s.width]));
    }
    for layer in 0..s.layers {
        for (part, shape) in [
            ("input_layernorm", vec![s.width]),
            ("self_attn.q_proj", vec![queries, s.width]),
            ("self_attn.k_proj", vec![keys, s.width]),
            ("self_attn.v_proj", vec![keys, s.width]),
            ("self_attn.o_proj", vec![s.width, queries]),
            ("post_attention_layernorm", vec![s.width]),
            ("mlp.gate_proj", vec![s.inner, s.width]),
            ("mlp.up_proj", vec![s.inner, s.width]),
            ("mlp.down_proj", vec![s.width, s.inner]),
        ] {
            shapes.push((format!("model.layers.{layer}.{part}.weight"), shape));
        }
    }
    let all = shapes.into_iter().map(|(name, shape)| {
        let values = (0..shape.iter().product()).map(|_| next()).collect();
        (name, (shape, values))
    });
    all.collect()
}

fn write_checkpoint(folder: &Path, s: Sizes, weights: &Weights) {
    let mut config = json!({
        "model_type": "llama", "num_hidden_layers": s.layers, "hidden_size": s.width,
        "num_attention_heads": s.heads, "num_key_value_heads": s.kv_heads,
        "head_dim": s.head_size, "intermediate_size": s.inner, "vocab_size": s.vocabulary,
        "max_position_embeddings": 64, "rms_norm_eps": EPSILON, "rope_theta": THETA,
        "tie_word_embeddings": s.tied,
    });
    if s.scaled {
        let (factor, low, high, original) = SCALING;
        config["rope_scaling"] = json!({
            "rope_type": "llama3", "factor": factor, "low_freq_factor": low,
            "high_freq_factor": high, "original_max_position_embeddings": original,
        });
    }
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let tokenizer = json!({
        "version": "1.0", "added_tokens": [],
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []},
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let mut weights = weights.clone();
    if s.tied {
        // Some exports write the tied output a second time.
        let embedding = weights["model.embed_tokens.weight"].clone();
        weights.insert("lm_head.weight".to_owned(), embedding);
    }
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = weights
        .iter()
        .map(|(name, (shape, values))| {
            (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        (*name, TensorView::new(Dtype::F32, (*shape).clone(), bytes).unwrap())
    });
    serialize_to_file(views, None, &folder.join("model.safetensors")).unwrap();
}

/// The logits after the last token of one sequence, with loops.
struct Reference<'a> {
    s: Sizes,
    weights: &'a Weights,
}

impl Reference<'_> {
    fn weight(&self, name: &str) -> &[f32] {
        &self.weights[&format!("{name}.weight")].1
    }

    fn linear(&self, x: &[f64], name: &str) -> Vec<f64> {
        let rows = self.weight(name).chunks_exact(x.len());
        rows.map(|row| row.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum()).collect()
    }

    fn norm(&self, x: &[f64], name: &str) -> Vec<f64> {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        let root = (mean + EPSILON).sqrt();
        x.iter().zip(self.weight(name)).map(|(x, &w)| x / root * f64::from(w)).collect()
    }

    fn rotate(&self, x: &mut [f64], position: usize) {
        let half = self.s.head_size / 2;
        for head in x.chunks_exact_mut(self.s.head_size) {
            for i in 0..half {
                let mut frequency = THETA.powf(-(2.0 * i as f64) / self.s.head_size as f64);
                if self.s.scaled {
                    let (factor, low, high, original) = SCALING;
                    let wavelength = TAU / frequency;
                    if wavelength > original / low {
                        frequency /= factor;
                    } else if wavelength >= original / high {
                        let smooth = (original / wavelength - low) / (high - low);
                        frequency = (1.0 - smooth) * frequency / factor + smooth * frequency;
                    }
                }
                let (sin, cos) = (frequency * position as f64).sin_cos();
                let (a, b) = (head[i], head[i + half]);
                head[i] = a * cos - b * sin;
                head[i + half] = b * cos + a * sin;
            }
        }
    }

    fn logits(&self, ids: &[u32]) -> Vec<f64> {
        let s = self.s;
        let embedding = self.weight("model.embed_tokens");
        let mut hidden: Vec<Vec<f64>> = ids
            .iter()
            .map(|&id| {
                let row = &embedding[id as usize * s.width..][..s.width];
                row.iter().map(|&x| f64::from(x)).collect()
            })
            .collect();
        for layer in 0..s.layers {
            let name = |part: &str| format!("model.layers.{layer}.{part}");
            let mut queries = Vec::new();
            let mut keys = Vec::new();
            let mut values = Vec::new();
            for (position, x) in hidden.iter().enumerate() {
                let x = self.norm(x, &name("input_layernorm"));
                let mut query = self.linear(&x, &name("self_attn.q_proj"));
                let mut key = self.linear(&x, &name("self_attn.k_proj"));
                self.rotate(&mut query, position);
                self.rotate(&mut key, position);
                queries.push(query);
                keys.push(key);
                values.push(self.linear(&x, &name("self_attn.v_proj")));
            }
            for position in 0..ids.len() {
                let mut mixed = vec![0.0; s.heads * s.head_size];
                for head in 0..s.heads {
                    let shared = head / (s.heads / s.kv_heads) * s.head_size;
                    let query = &queries[position][head * s.head_size..][..s.head_size];
                    let scores: Vec<f64> = (0..=position)
                        .map(|at| {
                            let key = &keys[at][shared..][..s.head_size];
                            let dot: f64 = query.iter().zip(key).map(|(q, k)| q * k).sum();
                            (dot / (s.head_size as f64).sqrt()).exp()
                        })
                        .collect();
                    let sum: f64 = scores.iter().sum();
                    for (at, score) in scores.iter().enumerate() {
                        for i in 0..s.head_size {
                            mixed[head * s.head_size + i] += score / sum * values[at][shared + i];
                        }
                    }
                }
                let attended = self.linear(&mixed, &name("self_attn.o_proj"));
                hidden[position].iter_mut().zip(attended).for_each(|(x, y)| *x += y);
            }
            for x in &mut hidden {
                let normed = self.norm(x, &name("post_attention_layernorm"));
                let gate = self.linear(&normed, &name("mlp.gate_proj"));
                let up = self.linear(&normed, &name("mlp.up_proj"));
                let inner = gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u);
                let fed = self.linear(&inner.collect::<Vec<_>>(), &name("mlp.down_proj"));
                x.iter_mut().zip(fed).for_each(|(x, y)| *x += y);
            }
        }
        let last = self.norm(&hidden[ids.len() - 1], "model.norm");
        self.linear(&last, if s.tied { "model.embed_tokens" } else { "lm_head" })
    }
}

/// ln p of every token after each row, which ride in one run.
fn run(model: &mut dyn LanguageModel, rows: &[Vec<u32>]) -> Vec<Vec<f64>> {
    let prompts: Vec<Prompt> = rows.iter().map(|row| Prompt::before(row.clone())).collect();
    model.open(&[&prompts], Asking::Once);
    let all: Vec<u32> = (0..model.vocabulary() as u32).collect();
    let ask = |prompt| Row {
        prompt,
        continuation: Cow::Borrowed(&[]),
        place: 0,
        wanted: Cow::Borrowed(&all),
        relative: false,
    };
    let asked: Vec<Row<'_>> = (0..rows.len()).map(ask).collect();
    let answers = model.answer(&asked).unwrap();
    answers[0].chunks_exact(all.len()).map(<[f64]>::to_vec).collect()
}

#[test]
fn the_graph_computes_what_loops_compute() {
    let cache = Cache::from_environment().unwrap();
    let library = fetch::runtime_library(&cache, &Silent).unwrap();
    let runtime = Runtime::load(&library, Device::Cpu).unwrap();

    let grouped = Sizes {
        layers: 3,
        width: 12,
        heads: 6,
        kv_heads: 2,
        head_size: 4,
        inner: 20,
        vocabulary: 11,
        tied: true,
        scaled: false,
    };
    let single = Sizes { layers: 1, heads: 3, kv_heads: 3, head_size: 8, ..grouped };
    let own_output = Sizes { tied: false, scaled: true, head_size: 10, ..grouped };
    for sizes in [grouped, single, own_output] {
        let weights = weights(sizes);
        let folder = tempfile::tempdir().unwrap();
        write_checkpoint(folder.path(), sizes, &weights);
        let cache = Cache::at(folder.path().join("cache"));
        let model = onnx::import(folder.path(), onnx::Precision::F32, &cache, &Silent).unwrap();
        let mut opened = lm::open(&runtime, &model, None, 1, 1, 2048).unwrap();
        let rows = [vec![3, 1, 4, 1, 5, 9, 2, 6], vec![10, 0, 7], vec![8], vec![2, 7, 1, 8, 2]];
        let reference = Reference { s: sizes, weights: &weights };
        for (row, found) in rows.iter().zip(run(opened.as_mut(), &rows)) {
            let expected = reference.logits(row);
            let total = expected.iter().map(|x| x.exp()).sum::<f64>().ln();
            for (found, expected) in found.iter().zip(expected) {
                let difference = (found - (expected - total)).abs();
                assert!(difference < 2e-4, "{sizes:?} {row:?}: {found}, not {expected}");
            }
        }
    }
}
