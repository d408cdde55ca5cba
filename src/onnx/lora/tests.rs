//! Adapters over a tiny model.

use serde_json::json;
use tempfile::TempDir;

use super::super::{Precision, import, tiny};
use super::*;
use crate::diagnostic::{Silent, explained};
use crate::fetch::Cache;

const QUERY: &str = "model.layers.1.self_attn.q_proj";

/// A base, and an adapter folder of rank 2 over one projection [out 16, in 8].
fn base_and_adapter() -> (TempDir, ModelFolder, std::path::PathBuf, tiny::Tensors) {
    let folder = tempfile::tempdir().unwrap();
    let gguf = folder.path().join("tiny.gguf");
    fs::write(&gguf, tiny::gguf()).unwrap();
    let cache = Cache::at(folder.path().join("cache"));
    let base = import(&gguf, Precision::F32, &cache, &Silent).unwrap();
    let adapter = folder.path().join("adapter");
    fs::create_dir(&adapter).unwrap();
    let values = |count: usize| (0..count).map(|i| i as f32 / 8.0 - 1.0).collect::<Vec<_>>();
    let tensors = tiny::Tensors::from([
        (format!("{PREFIX}{QUERY}.lora_A.weight"), (vec![2, 8], values(16))),
        (format!("{PREFIX}{QUERY}.lora_B.weight"), (vec![16, 2], values(32))),
    ]);
    tiny::write_tensors(&adapter.join(WEIGHTS), &tensors);
    configure(&adapter, json!({}));
    (folder, base, adapter, tensors)
}

fn configure(adapter: &Path, changes: serde_json::Value) {
    let mut config = json!({
        "peft_type": "LORA", "r": 2, "lora_alpha": 6, "bias": "none", "rank_pattern": {},
        "modules_to_save": null, "target_modules": ["q_proj"],
    });
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    fs::write(adapter.join(CONFIG), config.to_string()).unwrap();
}

#[test]
fn matrices_are_read_with_their_scale() {
    let (_folder, base, adapter, tensors) = base_and_adapter();
    let value = |side: &str| tensors[&format!("{PREFIX}{QUERY}.lora_{side}.weight")].1.clone();
    for (changes, scale) in
        [(json!({}), 3.0), (json!({"use_rslora": true}), (6.0 / 2.0_f64.sqrt()) as f32)]
    {
        configure(&adapter, changes);
        let weight = format!("{QUERY}.weight");
        let expected = Adaptation { weight, rank: 2, a: value("A"), b: value("B"), scale };
        assert_eq!(read(&adapter, &base).unwrap(), [expected]);
    }
}

#[test]
fn a_weight_that_is_used_in_another_way_is_refused() {
    let (_folder, base, adapter, _) = base_and_adapter();
    let mut model = read_model(&base.graph).unwrap();
    let weight = format!("{QUERY}.weight");
    let nodes = &mut model.graph.as_mut().unwrap().node;
    let product = nodes.iter_mut().find(|node| node.input.contains(&weight)).unwrap();
    product.op_type = Some("Gemm".to_owned());
    model.metadata_props.clear();
    let altered = base.graph.with_file_name("altered.onnx");
    fs::write(&altered, model.encode_to_vec()).unwrap();
    let base = ModelFolder { graph: altered, ..base };
    let message = explained(&graph(&adapter, &base).unwrap_err());
    assert!(message.contains(&weight) && message.contains("not known"), "{message}");
}

#[test]
fn what_is_not_plain_lora_is_refused() {
    let (_folder, base, adapter, _) = base_and_adapter();
    for (changes, part) in [
        (json!({"peft_type": "LOHA"}), "`LOHA`"),
        (json!({"use_dora": true}), "`use_dora`"),
        (json!({"fan_in_fan_out": true}), "`fan_in_fan_out`"),
        (json!({"bias": "all"}), "`bias`"),
        (json!({"lora_bias": true}), "`lora_bias`"),
        (json!({"modules_to_save": ["lm_head"]}), "`modules_to_save`"),
        (json!({"rank_pattern": {"q_proj": 4}}), "`rank_pattern`"),
        (json!({"alpha_pattern": {"q_proj": 4}}), "`alpha_pattern`"),
        (json!({"r": 0}), "rank `r` is 0"),
        (json!({"r": 4}), "rank 4"),
        (json!({"lora_alpha": "x"}), "adapter_config.json"),
    ] {
        configure(&adapter, changes.clone());
        let message = explained(&read(&adapter, &base).unwrap_err());
        assert!(message.contains(part), "{changes}: {message}");
    }
}

#[test]
fn every_tensor_must_fit_the_base() {
    let (_folder, base, adapter, sound) = base_and_adapter();
    let a = format!("{PREFIX}{QUERY}.lora_A.weight");
    let renamed = |from: &str, to: &str| {
        let all = sound.clone().into_iter();
        all.map(|(name, tensor)| (name.replace(from, to), tensor)).collect::<tiny::Tensors>()
    };
    let mut one_side = sound.clone();
    one_side.remove(&a);
    let mut wrong_width = sound.clone();
    wrong_width.insert(a.clone(), (vec![2, 4], vec![0.0; 8]));
    let mut extra = sound.clone();
    extra.insert(format!("{PREFIX}lm_head.bias"), (vec![1], vec![0.0]));
    for (tensors, part) in [
        (one_side, "only one of"),
        (wrong_width, "which do not make a weight"),
        (extra, "`base_model.model.lm_head.bias`"),
        (renamed("layers.1", "layers.7"), "has no `model.layers.7.self_attn.q_proj.weight`"),
        (renamed("lora_A", "lora_E"), "lora_E"),
        (tiny::Tensors::new(), "no tensors"),
    ] {
        tiny::write_tensors(&adapter.join(WEIGHTS), &tensors);
        let message = explained(&read(&adapter, &base).unwrap_err());
        assert!(message.contains(part), "{part}: {message}");
    }
    tiny::write_tensors(&adapter.join(WEIGHTS), &sound);
    let bytes = fs::read(adapter.join(WEIGHTS)).unwrap();
    for length in [0, 4, 100, bytes.len() - 1] {
        fs::write(adapter.join(WEIGHTS), &bytes[..length]).unwrap();
        let message = explained(&read(&adapter, &base).unwrap_err());
        assert!(message.contains("not a sound safetensors file"), "{length}: {message}");
    }
}
