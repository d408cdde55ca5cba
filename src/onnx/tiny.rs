//! A model of a few hundred weights as GGUF and as safetensors, for the tests of this room.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize_to_file};
use serde_json::json;

use super::architecture::Architecture;
use super::decoder::{Biases, DecoderConfig, LayerKind, Rotation, rope_frequencies};

/// The tokens; the fourth is merged from the first two, the last is a control token.
pub(crate) const TOKENS: [&str; 6] = ["a", "b", "c", "ab", "Ġ", "<end>"];

/// Tensors by their Hugging Face name.
pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Two layers, grouped queries, heads wider than width / heads, an output of its own.
pub(crate) fn config() -> DecoderConfig {
    DecoderConfig {
        architecture: Architecture::named("llama").unwrap(),
        layers: vec![LayerKind { rotation: Some(0), windowed: false }; 2],
        width: 8,
        heads: 4,
        kv_heads: 2,
        head_size: 4,
        feed_forward: 12,
        vocabulary: TOKENS.len(),
        context: 16,
        rms_epsilon: 1e-5,
        rotations: vec![Rotation { frequencies: rope_frequencies(100.0, 4), scale: 1.0 }],
        window: 16,
        biases: Biases::default(),
        embedding_scale: 1.0,
        query_scale: 0.5,
        score_cap: None,
        output_cap: None,
        tied: false,
    }
}

/// Weights between -0.5 and 0.5, multiples of 1/1024, all different.
pub(crate) fn tensors(config: &DecoderConfig) -> Tensors {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 22) as f32 / 1024.0 - 0.5
    };
    let all = config.weights().into_iter();
    all.map(|(name, shape)| {
        let values = (0..shape.iter().product()).map(|_| next()).collect();
        (name, (shape, values))
    })
    .collect()
}

/// Writes tensors as F32.
pub(crate) fn write_tensors(path: &Path, tensors: &Tensors) {
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        (*name, TensorView::new(Dtype::F32, (*shape).clone(), bytes).unwrap())
    });
    serialize_to_file(views, None, path).unwrap();
}

/// Writes `config.json`, `tokenizer.json` and `model.safetensors`.
pub(crate) fn write_safetensors(folder: &Path) {
    let config = config();
    let json = json!({
        "model_type": "llama",
        "num_hidden_layers": config.layers.len(),
        "hidden_size": config.width,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_size,
        "intermediate_size": config.feed_forward,
        "vocab_size": config.vocabulary,
        "max_position_embeddings": config.context,
        "rms_norm_eps": config.rms_epsilon,
        "rope_theta": 100.0,
    });
    fs::write(folder.join("config.json"), json.to_string()).unwrap();
    let vocabulary: BTreeMap<&str, usize> =
        TOKENS.iter().enumerate().map(|(id, token)| (*token, id)).collect();
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": [["a", "b"]]},
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    write_tensors(&folder.join("model.safetensors"), &tensors(&config));
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// The same model as a GGUF file, with the rows of queries and keys interleaved.
pub(crate) fn gguf() -> Vec<u8> {
    gguf_merging("a b")
}

/// What the file says of the model: keys, their types in the format, and values as they are written.
fn metadata(config: &DecoderConfig, merge: &str) -> Vec<(&'static str, u32, Vec<u8>)> {
    let mut metadata: Vec<(&str, u32, Vec<u8>)> = Vec::new();
    let string = |value: &str| {
        let mut out = Vec::new();
        text(&mut out, value);
        out
    };
    let strings = |values: &[&str]| {
        let mut out = 8u32.to_le_bytes().to_vec();
        out.extend((values.len() as u64).to_le_bytes());
        values.iter().for_each(|value| text(&mut out, value));
        out
    };
    metadata.push(("general.architecture", 8, string("llama")));
    for (key, value) in [
        ("llama.block_count", config.layers.len()),
        ("llama.embedding_length", config.width),
        ("llama.attention.head_count", config.heads),
        ("llama.attention.head_count_kv", config.kv_heads),
        ("llama.attention.key_length", config.head_size),
        ("llama.attention.value_length", config.head_size),
        ("llama.feed_forward_length", config.feed_forward),
        ("llama.context_length", config.context),
        ("tokenizer.ggml.bos_token_id", 5),
    ] {
        metadata.push((key, 4, (value as u32).to_le_bytes().to_vec()));
    }
    for (key, value) in [
        ("llama.rope.freq_base", 100.0f32),
        ("llama.attention.layer_norm_rms_epsilon", config.rms_epsilon),
    ] {
        metadata.push((key, 6, value.to_le_bytes().to_vec()));
    }
    metadata.push(("tokenizer.ggml.model", 8, string("gpt2")));
    metadata.push(("tokenizer.ggml.pre", 8, string("gpt-2")));
    metadata.push(("tokenizer.ggml.tokens", 9, strings(&TOKENS)));
    metadata.push(("tokenizer.ggml.merges", 9, strings(&[merge])));
    metadata.push(("tokenizer.ggml.add_bos_token", 7, vec![1]));
    let mut types = 5u32.to_le_bytes().to_vec();
    types.extend(6u64.to_le_bytes());
    types.extend([1i32, 1, 1, 1, 1, 3].iter().flat_map(|kind| kind.to_le_bytes()));
    metadata.push(("tokenizer.ggml.token_type", 9, types));
    metadata
}

/// [`gguf`] with another merge of its tokens.
pub(crate) fn gguf_merging(merge: &str) -> Vec<u8> {
    let config = config();
    file(metadata(&config, merge), &tensors(&config))
}

/// [`gguf`] with other metadata: the text of a key.
pub(crate) fn gguf_saying(key: &'static str, value: &str) -> Vec<u8> {
    let config = config();
    let mut metadata = metadata(&config, "a b");
    let mut written = Vec::new();
    text(&mut written, value);
    metadata.retain(|(other, _, _)| *other != key);
    metadata.push((key, 8, written));
    file(metadata, &tensors(&config))
}

/// [`gguf`] in two parts; the first has the metadata.
pub(crate) fn gguf_parts() -> [Vec<u8>; 2] {
    let config = config();
    let mut first = tensors(&config);
    let second = first.split_off("model.layers.1");
    let said = |number: u16| {
        [("split.no", number), ("split.count", 2)]
            .map(|(key, value)| (key, 2, value.to_le_bytes().to_vec()))
    };
    let whole = metadata(&config, "a b").into_iter();
    [file(whole.chain(said(0)).collect(), &first), file(said(1).to_vec(), &second)]
}

/// A GGUF file, with the rows of queries and keys interleaved.
fn file(metadata: Vec<(&str, u32, Vec<u8>)>, tensors: &Tensors) -> Vec<u8> {
    let config = config();
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, kind, value) in metadata {
        text(&mut out, key);
        out.extend(kind.to_le_bytes());
        out.extend(value);
    }
    let mut data: Vec<u8> = Vec::new();
    for (name, (shape, values)) in tensors {
        data.resize(data.len().next_multiple_of(32), 0);
        text(&mut out, &super::gguf_decoder::to_gguf(name, config.architecture).unwrap());
        out.extend((shape.len() as u32).to_le_bytes());
        out.extend(shape.iter().rev().flat_map(|&size| (size as u64).to_le_bytes()));
        out.extend(0u32.to_le_bytes());
        out.extend((data.len() as u64).to_le_bytes());
        let values = if name.contains("q_proj") || name.contains("k_proj") {
            interleaved(values, config.head_size, config.width)
        } else {
            values.clone()
        };
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend(data);
    out
}

/// Rows of each head in the order 0, half, 1, half + 1, ...
fn interleaved(values: &[f32], head_size: usize, row: usize) -> Vec<f32> {
    let half = head_size / 2;
    let heads = values.chunks_exact(head_size * row);
    heads
        .flat_map(|head| {
            let order = (0..half).flat_map(|i| [i, i + half]);
            order.flat_map(|at| head[at * row..][..row].to_vec()).collect::<Vec<f32>>()
        })
        .collect()
}
