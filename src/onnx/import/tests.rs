//! Imports of a tiny model, whole and damaged.

use std::sync::Mutex;
use std::time::SystemTime;

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;
use tokenizers::Tokenizer;

use super::super::decoder_checkpoint::{DATA, IMPORTER_KEY};
use super::super::tiny;
use super::*;
use crate::diagnostic::{Silent, explained};

fn quiet(source: &Path, cache: &Cache) -> Result<ModelFolder, Error> {
    import(source, Precision::F32, cache, &Silent)
}

/// Hands on what is said.
struct Told<F: Fn(&str) + Send + Sync>(F);

impl<F: Fn(&str) + Send + Sync> Events for Told<F> {
    fn note(&self, text: &str) {
        (self.0)(text);
    }
}

/// An import and what is said of it.
fn told(source: &Path, cache: &Cache) -> (ModelFolder, Vec<String>) {
    let said = Mutex::new(Vec::new());
    let push = Told(|line: &str| said.lock().unwrap().push(line.to_owned()));
    let model = import(source, Precision::F32, cache, &push).unwrap();
    (model, said.into_inner().unwrap())
}

/// A folder with `tiny.gguf`, `checkpoint/` and a place for a cache.
fn sources() -> (TempDir, PathBuf, PathBuf, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let gguf = folder.path().join("tiny.gguf");
    fs::write(&gguf, tiny::gguf()).unwrap();
    let checkpoint = folder.path().join("checkpoint");
    fs::create_dir(&checkpoint).unwrap();
    tiny::write_safetensors(&checkpoint);
    let cache = Cache::at(folder.path().join("cache"));
    (folder, gguf, checkpoint, cache)
}

/// The names of what the cache holds of models.
fn kept(cache: &Cache) -> Vec<String> {
    let Ok(entries) = fs::read_dir(cache.root().join("models")) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != ".lock").collect()
}

/// Changes the last byte of a file, and leaves its time as it was where that is given.
fn flip_last(path: &Path, time: Option<SystemTime>) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
    if let Some(time) = time {
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }
}

fn bytes_of(model: &ModelFolder) -> (Vec<u8>, Vec<u8>) {
    (fs::read(&model.graph).unwrap(), fs::read(model.graph.with_file_name(DATA)).unwrap())
}

#[test]
fn both_formats_give_the_same_bytes() {
    let (_folder, gguf, checkpoint, cache) = sources();
    let from_gguf = quiet(&gguf, &cache).unwrap();
    let from_safetensors = quiet(&checkpoint, &cache).unwrap();
    assert_ne!(from_gguf.graph, from_safetensors.graph);
    assert!(bytes_of(&from_gguf) == bytes_of(&from_safetensors));
    let text = fs::read_to_string(from_gguf.config.unwrap()).unwrap();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["model_type"], "llama");
    assert_eq!(config["vocab_size"], tiny::TOKENS.len());
    assert_eq!(config["max_position_embeddings"], 16);
    assert_eq!(config["bos_token_id"], 5);
    assert_eq!(config[IMPORTER_KEY], IMPORTER_VERSION);
}

#[test]
fn the_tokenizer_of_a_gguf_file_merges_and_begins() {
    let (_folder, gguf, _, cache) = sources();
    let tokenizer = Tokenizer::from_file(quiet(&gguf, &cache).unwrap().tokenizer).unwrap();
    let ids = |text| tokenizer.encode(text, true).unwrap().get_ids().to_vec();
    assert_eq!(ids("abc a<end>b"), [5, 3, 2, 4, 0, 5, 1]);
}

#[test]
fn weights_are_transposed_aligned_and_mapped_by_name() {
    let (_folder, _, checkpoint, cache) = sources();
    let model = quiet(&checkpoint, &cache).unwrap();
    let (graph, data) = bytes_of(&model);
    assert!(graph.len() < 40_000, "weights belong into the data file: {}", graph.len());
    let proto = validate::read_model(&model.graph).unwrap();
    let name = "model.layers.1.mlp.down_proj.weight";
    let initializers = proto.graph.unwrap().initializer;
    let tensor = initializers.iter().find(|t| t.name.as_deref() == Some(name)).unwrap();
    assert_eq!(tensor.dims, [12, 8]);
    let place = validate::external(&model.graph, tensor).unwrap().unwrap();
    assert_eq!(place.offset % 4096, 0);
    let values: Vec<f32> = data[place.offset as usize..][..place.length as usize]
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    let (_, expected) = &tiny::tensors(&tiny::config())[name];
    assert_eq!(values[8 + 3], expected[3 * 12 + 1]); // [in 1, out 3] is [out 3, in 1]
}

#[test]
fn a_second_import_does_nothing_and_a_damaged_one_is_made_again() {
    let (_folder, gguf, _, cache) = sources();
    let model = quiet(&gguf, &cache).unwrap();
    let whole = bytes_of(&model);
    assert_eq!(told(&gguf, &cache), (model.clone(), Vec::new()));
    fs::write(model.graph.with_file_name(DATA), &whole.1[..whole.1.len() - 1]).unwrap();
    let (_, said) = told(&gguf, &cache);
    assert!(said[0].contains("damaged"), "{said:?}");
    assert!(bytes_of(&model) == whole);
}

#[test]
fn what_changes_in_the_cache_is_made_again() {
    let (_folder, gguf, _, cache) = sources();
    let model = quiet(&gguf, &cache).unwrap();
    let whole = bytes_of(&model);
    let data = model.graph.with_file_name(DATA);
    let tokenizer = fs::read(&model.tokenizer).unwrap();
    for (file, damage) in [
        (DATA, &(|| flip_last(&data, Some(SystemTime::UNIX_EPOCH))) as &dyn Fn()),
        (GRAPH, &|| flip_last(&model.graph, Some(SystemTime::UNIX_EPOCH))),
        (TOKENIZER, &|| fs::write(&model.tokenizer, "").unwrap()),
        (CONFIG, &|| fs::write(model.config.as_ref().unwrap(), "{}").unwrap()),
    ] {
        damage();
        let (again, said) = told(&gguf, &cache);
        assert_eq!(again, model);
        assert!(said[0].contains("made again") && said[0].contains(file), "{said:?}");
        assert!(bytes_of(&model) == whole && fs::read(&model.tokenizer).unwrap() == tokenizer);
    }
    // What size and time hide, only a verifying cache finds.
    flip_last(&data, Some(fs::metadata(&data).unwrap().modified().unwrap()));
    let (_, said) = told(&gguf, &cache);
    assert!(said.is_empty() && bytes_of(&model) != whole, "{said:?}");
    let cache = cache.verifying(true);
    let (_, said) = told(&gguf, &cache);
    assert!(said[0].contains("made again") && said[0].contains(DATA), "{said:?}");
    assert!(bytes_of(&model) == whole);
}

#[test]
fn a_source_that_changes_between_hashing_and_conversion_is_not_kept() {
    let (_folder, gguf, checkpoint, cache) = sources();
    let append = |path: &Path| {
        let bytes = [&fs::read(path).unwrap()[..], b"\n"].concat();
        fs::write(path, bytes).unwrap();
    };
    let weights = checkpoint.join("model.safetensors");
    for (source, change) in [
        (&gguf, &(|| flip_last(&gguf, None)) as &(dyn Fn() + Sync)),
        (&checkpoint, &|| flip_last(&weights, None)),
        (&checkpoint, &|| append(&checkpoint.join(CONFIG))),
        (&checkpoint, &|| append(&checkpoint.join(TOKENIZER))),
        (&checkpoint, &|| fs::write(checkpoint.join("another"), "").unwrap()),
    ] {
        // After the source was hashed, and before it is opened.
        let refused = converted(source, Precision::F32, &cache, &Silent, |source| {
            change();
            if source.is_dir() { from_safetensors(source) } else { from_gguf(source) }
        });
        let message = refused.unwrap_err().to_string();
        let named = format!("{} changed while it was read", source.display());
        assert!(message.contains(&named), "{message}");
        assert_eq!(kept(&cache), [""; 0]);
    }
    // Left alone, it is kept under its own hash.
    let model = quiet(&gguf, &cache).unwrap();
    assert_eq!(model.sha256, sha256_of(&gguf).unwrap());
    assert_eq!(kept(&cache), [format!("{}-{IMPORTER_VERSION}.{BESIDE_VERSION}", model.sha256)]);
}

#[test]
fn a_source_that_is_cut_off_during_its_conversion_is_an_error_that_names_it() {
    let (folder, gguf, checkpoint, _) = sources();
    let weights = checkpoint.join("model.safetensors");
    let from_gguf = (from_gguf(&gguf).unwrap(), &gguf);
    let from_safetensors = (from_safetensors(&checkpoint).unwrap(), &weights);
    for (opened, file) in [from_gguf, from_safetensors] {
        fs::File::options().write(true).open(file).unwrap().set_len(50).unwrap();
        let written = opened.write(opened.weights.as_ref(), Precision::F32, folder.path());
        let message = written.unwrap_err().to_string();
        let named = format!("{} changed while it was read", file.display());
        assert!(message.contains(&named), "{message}");
    }
}

#[test]
fn weights_that_no_hash_covers_are_refused() {
    let (_folder, _, checkpoint, cache) = sources();
    let hidden = checkpoint.join(".weights.safetensors");
    fs::rename(checkpoint.join("model.safetensors"), hidden).unwrap();
    let names = tiny::tensors(&tiny::config()).into_keys();
    let map: serde_json::Map<_, _> =
        names.map(|name| (name, json!(".weights.safetensors"))).collect();
    let index = json!({ "weight_map": map }).to_string();
    fs::write(checkpoint.join("model.safetensors.index.json"), index).unwrap();
    let message = explained(&quiet(&checkpoint, &cache).unwrap_err());
    assert!(message.contains(".weights.safetensors belongs to the model"), "{message}");
    assert_eq!(kept(&cache), [""; 0]);
}

#[test]
fn imports_at_the_same_time_end_in_one_whole_folder() {
    let (_folder, gguf, _, cache) = sources();
    let models: Vec<ModelFolder> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| quiet(&gguf, &cache))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
    });
    assert!(models.iter().all(|model| *model == models[0]));
    validate::checked_model(&models[0].graph).unwrap();
    let left: Vec<_> =
        fs::read_dir(cache.root()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["models"]);
}

#[test]
fn an_onnx_folder_is_checked_and_used_where_it_is() {
    let (folder, gguf, _, cache) = sources();
    let model = quiet(&gguf, &cache).unwrap();
    let export = folder.path().join("export");
    fs::create_dir_all(export.join("onnx")).unwrap();
    fs::copy(&model.graph, export.join("onnx").join(GRAPH)).unwrap();
    fs::copy(model.graph.with_file_name(DATA), export.join("onnx").join(DATA)).unwrap();

    let message = explained(&quiet(&export, &cache).unwrap_err());
    assert!(message.contains("no tokenizer.json"), "{message}");
    fs::write(export.join(TOKENIZER), "{\"model\": 1}").unwrap();
    let message = explained(&quiet(&export, &cache).unwrap_err());
    assert!(message.contains("not a sound tokenizer.json"), "{message}");
    fs::copy(&model.tokenizer, export.join(TOKENIZER)).unwrap();
    let used = quiet(&export, &cache).unwrap();
    assert_eq!(used.graph, export.join("onnx/model.onnx"));
    assert_eq!(used.tokenizer, export.join(TOKENIZER));
    assert_eq!(used.config, None);

    let data = export.join("onnx").join(DATA);
    let whole = fs::read(&data).unwrap();
    fs::write(&data, &whole[..whole.len() / 2]).unwrap();
    let message = explained(&quiet(&export, &cache).unwrap_err());
    assert!(message.contains("but the file has"), "{message}");
    fs::remove_file(&data).unwrap();
    let message = explained(&quiet(&export, &cache).unwrap_err());
    assert!(message.contains("model.onnx.data"), "{message}");
    let graph = export.join("onnx").join(GRAPH);
    let whole = fs::read(&graph).unwrap();
    fs::write(&graph, &whole[..whole.len() / 2]).unwrap();
    let message = explained(&quiet(&export, &cache).unwrap_err());
    assert!(message.contains("not a sound ONNX file"), "{message}");
}

#[test]
fn what_is_no_model_is_told_what_is() {
    let (folder, _, checkpoint, cache) = sources();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let message = explained(&quiet(&empty, &cache).unwrap_err());
    assert!(message.contains("no model.onnx and no model.safetensors"), "{message}");
    fs::write(empty.join("adapter_config.json"), "{}").unwrap();
    let message = explained(&quiet(&empty, &cache).unwrap_err());
    assert!(message.contains("needs its base"), "{message}");
    let message = explained(&quiet(&checkpoint.join(CONFIG), &cache).unwrap_err());
    assert!(message.contains("must be a GGUF file"), "{message}");
    let message = explained(&quiet(&folder.path().join("none.gguf"), &cache).unwrap_err());
    assert!(message.contains("none.gguf"), "{message}");
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_refused() {
    let (_folder, _, checkpoint, cache) = sources();
    let path = checkpoint.join(CONFIG);
    let sound: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for (key, value, part) in [
        ("model_type", json!("mamba"), "`mamba`"),
        ("attention_bias", json!(true), "no `model.layers.0.self_attn.q_proj.bias`"),
        ("rope_scaling", json!({"type": "yarn"}), "`yarn`"),
        ("hidden_act", json!("relu"), "`relu`, not `silu`"),
        ("layer_types", json!(["linear_attention"]), "`linear_attention`"),
        ("final_logit_softcapping", json!(0.0), "cap of logits is 0"),
        ("num_hidden_layers", json!(3), "model.layers.2"),
        ("num_hidden_layers", json!(1), "belongs to no plain llama"),
        ("num_hidden_layers", json!(1_000_000_000), "number of layers is 1000000000"),
        ("hidden_size", json!(9), "has shape"),
        ("head_dim", json!(1_000_000_000_000u64), "head size"),
        ("num_key_value_heads", json!(3), "cannot share"),
        ("num_attention_heads", json!(0), "no attention head"),
        ("max_position_embeddings", json!(2_000_000_000), "positions"),
        ("rope_theta", json!(-1.0), "rotating"),
        ("vocab_size", json!("many"), "config.json"),
    ] {
        let mut config = sound.clone();
        config[key] = value;
        fs::write(&path, config.to_string()).unwrap();
        let message = explained(&quiet(&checkpoint, &cache).unwrap_err());
        assert!(message.contains(part), "{key}: {message}");
    }
    assert_eq!(kept(&cache), [""; 0]);
}

#[test]
fn a_file_in_parts_is_found_from_the_first() {
    let (folder, gguf, _, cache) = sources();
    let whole = bytes_of(&quiet(&gguf, &cache).unwrap());
    let part = |at: usize| folder.path().join(format!("tiny-0000{at}-of-00002.gguf"));
    let [first, second] = tiny::gguf_parts();
    fs::write(part(1), &first).unwrap();
    let message = explained(&quiet(&part(1), &cache).unwrap_err());
    assert!(message.contains("tiny-00002-of-00002.gguf"), "{message}");
    fs::write(part(2), &second).unwrap();
    assert!(bytes_of(&quiet(&part(1), &cache).unwrap()) == whole);
    let message = explained(&quiet(&part(2), &cache).unwrap_err());
    assert!(message.contains("it is part 2 of 2") && message.contains("-00001-of-"), "{message}");
    // Parts of another cut, or twice the same.
    fs::write(part(2), &first).unwrap();
    let message = explained(&quiet(&part(1), &cache).unwrap_err());
    assert!(message.contains("it is part 1 of 2"), "{message}");
    fs::write(part(1), fs::read(&gguf).unwrap()).unwrap();
    let message = explained(&quiet(&part(1), &cache).unwrap_err());
    assert!(message.contains("it is part of a model"), "{message}");
}

#[test]
fn a_file_that_cannot_be_read_is_refused_before_it_is_converted() {
    let (_folder, gguf, _, cache) = sources();
    for (key, value, part) in [
        ("general.architecture", "mamba", "`mamba`; known are llama, qwen2,"),
        ("tokenizer.ggml.pre", "unheard-of", "`unheard-of`; known are gpt-2,"),
        ("tokenizer.ggml.model", "rwkv", "its tokenizer is `rwkv`"),
        ("tokenizer.ggml.model", "llama", "no list `tokenizer.ggml.scores`"),
        ("llama.rope.scaling.type", "yarn", "`yarn`"),
    ] {
        fs::write(&gguf, tiny::gguf_saying(key, value)).unwrap();
        let said = Mutex::new(Vec::new());
        let push = Told(|line: &str| said.lock().unwrap().push(line.to_owned()));
        let message = explained(&import(&gguf, Precision::F32, &cache, &push).unwrap_err());
        assert!(message.contains(part), "{key}: {message}");
        assert!(said.into_inner().unwrap().is_empty(), "{key}");
    }
    assert_eq!(kept(&cache), [""; 0]);
}

#[test]
fn shards_and_narrow_types_are_read() {
    let (_folder, _, checkpoint, cache) = sources();
    let whole = bytes_of(&quiet(&checkpoint, &cache).unwrap());
    // The tiny model's weights have ten bits, which f16 holds exactly.
    fs::remove_file(checkpoint.join("model.safetensors")).unwrap();
    let mut all = tiny::tensors(&tiny::config());
    let half = all.split_off("model.layers.1");
    let mut map = serde_json::Map::new();
    for (file, tensors) in [("model-1.safetensors", all), ("model-2.safetensors", half)] {
        let bytes: Vec<_> = tensors
            .iter()
            .map(|(name, (shape, values))| {
                let halves = values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes());
                (name, shape, halves.collect::<Vec<u8>>())
            })
            .collect();
        let views = bytes.iter().map(|(name, shape, bytes)| {
            let dtype = safetensors::Dtype::F16;
            let view = safetensors::tensor::TensorView::new(dtype, (*shape).clone(), bytes);
            (*name, view.unwrap())
        });
        safetensors::serialize_to_file(views, None, &checkpoint.join(file)).unwrap();
        map.extend(tensors.keys().map(|name| (name.clone(), json!(file))));
    }
    let index = json!({ "weight_map": map }).to_string();
    fs::write(checkpoint.join("model.safetensors.index.json"), index).unwrap();
    assert!(bytes_of(&quiet(&checkpoint, &cache).unwrap()) == whole);

    let shard = checkpoint.join("model-2.safetensors");
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..bytes.len() - 1]).unwrap();
    let message = explained(&quiet(&checkpoint, &cache).unwrap_err());
    assert!(message.contains("model-2.safetensors is not a sound"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A damaged file is refused, or is another sound model; never a panic, never a half folder.
    #[test]
    fn a_damaged_gguf_file_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        keep in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("cache"));
        let path = folder.path().join("m.gguf");
        let mut bytes = tiny::gguf();
        // The first 3,000 bytes are metadata and tensor infos, where damage tells.
        for (index, byte) in changes {
            bytes[index.index(3000)] = byte;
        }
        if let Some(keep) = keep {
            bytes.truncate(keep.index(bytes.len()));
        }
        fs::write(&path, &bytes).unwrap();
        match quiet(&path, &cache) {
            Ok(model) => {
                validate::checked_model(&model.graph).unwrap();
            }
            Err(error) => {
                prop_assert!(error.to_string().contains("m.gguf"), "{}", error);
                prop_assert!(kept(&cache).is_empty());
            }
        }
    }
}
