//! The smallest causal language models: an embedding and an output projection, so that what comes
//! next depends on the last character alone. A few kilobytes, run by the real ONNX Runtime.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kgbuild::onnx::builder::{Dim, Element, GraphBuilder};
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::json;

/// Size of a hidden state.
pub const WIDTH: usize = 8;
/// Printable ASCII, a token each.
pub const VOCABULARY: usize = 95;

/// Writes a sound model folder.
pub fn write(folder: &Path, seed: u32) {
    write_with(folder, seed, |_| {});
}

/// Writes a model folder whose embedding, a row for each character, is changed before.
pub fn write_with(folder: &Path, seed: u32, change: impl FnOnce(&mut [f32])) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("tokenizer.json"), tokenizer()).unwrap();
    fs::write(folder.join("config.json"), r#"{"max_position_embeddings": 128}"#).unwrap();
    let mut graph = GraphBuilder::new("tiny", &folder.join("model.onnx.data")).unwrap();
    let free = [Dim::Named("batch"), Dim::Named("sequence")];
    let ids = graph.input("input_ids", Element::I64, &free);
    let mut embedding = numbers(seed, VOCABULARY * WIDTH);
    change(&mut embedding);
    let embedding = graph.weight("embedding.weight", &[VOCABULARY, WIDTH], &embedding).unwrap();
    let head = numbers(seed + 100, VOCABULARY * WIDTH);
    let head = graph.weight("head.weight", &[WIDTH, VOCABULARY], &head).unwrap();
    let hidden = graph.gather(&embedding, &ids, 0);
    let logits = graph.matmul(&hidden, &head);
    let dims = [free[0], free[1], Dim::Size(VOCABULARY)];
    graph.output(logits, "logits", Element::F32, &dims);
    graph.finish(&folder.join("model.onnx")).unwrap();
}

/// Numbers between -2 and 2 that depend on the seed alone (a linear congruential generator with
/// the constants of Numerical Recipes).
fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761);
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 22) as f32 - 2.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// A byte-pair encoding without pairs. What is not in its alphabet leaves no token.
pub fn tokenizer() -> String {
    let vocabulary: BTreeMap<String, u32> =
        (0..VOCABULARY as u32).map(|id| (char::from(b' ' + id as u8).to_string(), id)).collect();
    let json = json!({
        "version": "1.0",
        "added_tokens": [],
        "model": { "type": "BPE", "vocab": vocabulary, "merges": [] },
    });
    json.to_string()
}

/// Writes a LoRA adapter of rank 2 over the output projection.
pub fn write_adapter(folder: &Path, inner: usize) {
    let config = r#"{"peft_type": "LORA", "r": 2, "lora_alpha": 4}"#;
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("adapter_config.json"), config).unwrap();
    let tensors = [
        ("base_model.model.head.lora_A.weight", vec![2, inner]),
        ("base_model.model.head.lora_B.weight", vec![VOCABULARY, 2]),
    ];
    write_safetensors(&folder.join("adapter_model.safetensors"), &tensors);
}

/// Writes a safetensors checkpoint of the Llama family with one layer.
pub fn write_checkpoint(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("tokenizer.json"), tokenizer()).unwrap();
    let config = json!({
        "model_type": "llama",
        "num_hidden_layers": 1,
        "hidden_size": WIDTH,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": true,
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let layer = |part: &str| format!("model.layers.0.{part}.weight");
    let names = [
        ("model.embed_tokens.weight".to_owned(), vec![VOCABULARY, WIDTH]),
        (layer("input_layernorm"), vec![WIDTH]),
        (layer("self_attn.q_proj"), vec![WIDTH, WIDTH]),
        (layer("self_attn.k_proj"), vec![WIDTH, WIDTH]),
        (layer("self_attn.v_proj"), vec![WIDTH, WIDTH]),
        (layer("self_attn.o_proj"), vec![WIDTH, WIDTH]),
        (layer("post_attention_layernorm"), vec![WIDTH]),
        (layer("mlp.gate_proj"), vec![16, WIDTH]),
        (layer("mlp.up_proj"), vec![16, WIDTH]),
        (layer("mlp.down_proj"), vec![WIDTH, 16]),
        ("model.norm.weight".to_owned(), vec![WIDTH]),
    ];
    let tensors: Vec<(&str, Vec<usize>)> =
        names.iter().map(|(name, shape)| (name.as_str(), shape.clone())).collect();
    write_safetensors(&folder.join("model.safetensors"), &tensors);
}

fn write_safetensors(path: &Path, tensors: &[(&str, Vec<usize>)]) {
    let data: Vec<Vec<u8>> = (0..)
        .zip(tensors)
        .map(|(seed, (_, shape))| {
            numbers(seed, shape.iter().product()).iter().flat_map(|x| x.to_le_bytes()).collect()
        })
        .collect();
    let views = tensors.iter().zip(&data).map(|((name, shape), data)| {
        (*name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
    });
    fs::write(path, serialize(views, None).unwrap()).unwrap();
}

/// The beginning of a GGUF file of the Llama family: a header that promises one tensor of
/// 16 numbers, and the numbers.
pub fn gguf() -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let mut file = [&b"GGUF"[..], &3_u32.to_le_bytes()].concat();
    file.extend([1_u64.to_le_bytes(), 1_u64.to_le_bytes()].concat());
    file.extend(text("general.architecture"));
    file.extend([&8_u32.to_le_bytes()[..], &text("llama")].concat());
    file.extend([text("output_norm.weight"), 1_u32.to_le_bytes().to_vec()].concat());
    file.extend(16_u64.to_le_bytes());
    file.extend(0_u32.to_le_bytes()); // F32
    file.extend(0_u64.to_le_bytes());
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend(std::iter::repeat_n(1_f32.to_le_bytes(), 16).flatten());
    file
}
