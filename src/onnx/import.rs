//! Checkpoints, opened, and converted to an ONNX folder in the cache, once.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokenizers::Tokenizer;

use super::checkpoint::Weights;
use super::family::Family;
use super::gguf::{Gguf, Value};
use super::gguf_llama::GgufWeights;
use super::llama::LlamaConfig;
use super::precision::{self, Precision};
use super::prepare::prepare;
use super::safetensors_llama::SafetensorsWeights;
use super::{Error, gguf_llama, gguf_tokenizer, llama_graph, lora, safetensors_llama, validate};
use crate::fetch::{Cache, sha256_of};

/// Raised whenever an import would come out differently: older ones in the cache are then unused.
pub const IMPORTER_VERSION: u32 = 2;

/// The key under which an imported `config.json` names its importer.
const IMPORTER_KEY: &str = "kgbuild_importer";

const GRAPH: &str = "model.onnx";
const DATA: &str = "model.onnx.data";
const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "config.json";

/// Where the exporters of the field put a language model's or a decoder's graph, the preferred first.
const GRAPHS: [&str; 6] = [
    "model.onnx",
    "decoder_model_merged.onnx",
    "decoder_model.onnx",
    "onnx/model.onnx",
    "onnx/decoder_model_merged.onnx",
    "onnx/decoder_model.onnx",
];

/// An encoder's graph, beside that of its decoder.
const ENCODER: &str = "encoder_model.onnx";
/// A graph that goes on behind a cache, beside [`BEGINS`], which does not.
const WITH_PAST: &str = "decoder_with_past_model.onnx";
const BEGINS: &str = "decoder_model.onnx";

/// The files beside a graph that say how its model is asked, the first that has a key counting.
const SETTINGS: [&str; 4] =
    [CONFIG, "generation_config.json", "tokenizer_config.json", "special_tokens_map.json"];

/// Types of models that count positions from behind the padding token's number.
const FROM_BEHIND_PADDING: [&str; 9] = [
    "camembert",
    "data2vec-text",
    "esm",
    "longformer",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
];

/// A model that a runtime can load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFolder {
    /// The `.onnx` file; of an encoder-decoder model the decoder's.
    pub graph: PathBuf,
    /// The file that `graph` was made from, where that is not itself: errors name it.
    pub exported: Option<PathBuf>,
    /// The encoder's, where the model has one.
    pub encoder: Option<PathBuf>,
    /// What goes on behind the cache of `graph`, where that is another file.
    pub with_past: Option<PathBuf>,
    /// Its `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// Its `config.json`, if it has one.
    pub config: Option<PathBuf>,
    /// Of the source: the GGUF file, or the checkpoint's or ONNX folder.
    pub sha256: String,
    /// How it reads.
    pub family: Family,
    /// What it computes in.
    pub precision: Precision,
    /// Whether logits are computed only where they are asked for.
    pub cut: bool,
    /// Whether `graph` is a packed one, which kgbuild wrote: see [`super::llama_graph`].
    pub packed: bool,
    /// What its files of settings say, the first that has a key counting.
    pub settings: serde_json::Map<String, serde_json::Value>,
}

impl ModelFolder {
    /// How errors call its graph's file, or one that lies beside it.
    pub fn named(&self, graph: &Path) -> PathBuf {
        match (&self.exported, graph.file_name()) {
            (Some(exported), Some(name)) => exported.with_file_name(name),
            _ => graph.to_owned(),
        }
    }

    /// A text among its settings; of a token that is described, its content.
    pub fn setting(&self, key: &str) -> Option<String> {
        let value = self.settings.get(key)?;
        Some(value.as_str().or_else(|| value["content"].as_str())?.to_owned())
    }

    /// A token's number among its settings; of several, the first.
    pub fn token(&self, key: &str) -> Option<u32> {
        let value = self.settings.get(key)?;
        value.as_u64().or_else(|| value[0].as_u64())?.try_into().ok()
    }

    /// How many tokens its configuration says it takes, under any of its usual names.
    pub fn context(&self) -> Option<usize> {
        let named = |names: &[&str]| {
            self.settings
                .get("model_type")
                .and_then(|n| n.as_str())
                .is_some_and(|n| names.contains(&n))
        };
        // Their positions are relative: what they say is what they were trained with.
        if named(&["t5", "mt5", "longt5", "umt5"]) {
            return None;
        }
        let names = ["max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"];
        let context = names.iter().find_map(|key| self.settings.get(*key)?.as_u64())?;
        // RoBERTa and its kin count positions from behind the padding token's number.
        let reserved = if named(&FROM_BEHIND_PADDING) {
            self.settings.get("pad_token_id").and_then(|id| id.as_u64()).unwrap_or(1) + 1
        } else {
            0
        };
        usize::try_from(context.saturating_sub(reserved)).ok()
    }
}

/// A model of the Llama family as its source has it, whatever the format.
pub struct Checkpoint {
    pub config: LlamaConfig,
    /// By Hugging Face name, in the row order of Hugging Face.
    pub weights: Box<dyn Weights>,
    pub tokenizer: Tokenizer,
    /// The text of `tokenizer.json`.
    tokenizer_json: String,
    /// What `config.json` says beside the sizes: the ids of special tokens, for instance.
    keys: serde_json::Map<String, serde_json::Value>,
}

/// Opens a GGUF file or a safetensors folder of the Llama family. Weights are read when asked for.
///
/// # Errors
/// See [`Error`]: [`Error::Unsupported`] for an ONNX folder too, which can be run, not trained.
pub fn open_checkpoint(source: &Path) -> Result<Checkpoint, Error> {
    match Form::of(source)? {
        Form::Gguf => from_gguf(source),
        Form::Safetensors => from_safetensors(source),
        Form::Onnx(graph) => Err(Error::unsupported(
            &graph,
            "it is an ONNX graph, which can be used but not trained",
            "name the GGUF file or the safetensors folder that it was made from",
        )),
    }
}

/// Makes a model loadable: a GGUF file or safetensors folder is converted, into the cache, under
/// the hash of its source; an ONNX folder is checked and used where it is.
///
/// `report` is told, in a sentence, before anything slow begins.
///
/// # Errors
/// See [`Error`]. Nothing half written bears its final name, even if the process is killed.
pub fn import(
    source: &Path,
    cache: &Cache,
    report: &mut dyn FnMut(&str),
) -> Result<ModelFolder, Error> {
    match Form::of(source)? {
        Form::Gguf => converted(source, cache, report, from_gguf),
        Form::Safetensors => converted(source, cache, report, from_safetensors),
        Form::Onnx(graph) => onnx_folder(source, graph, cache, report),
    }
}

/// The graphs of an exported folder as they lie in it: that of the model or decoder, the encoder's,
/// the one that goes on behind a cache. None where the source is no exported folder.
pub fn exported_graphs(source: &Path) -> Vec<PathBuf> {
    let Ok(Form::Onnx(graph)) = Form::of(source) else { return Vec::new() };
    let beside = [ENCODER, WITH_PAST].map(|name| graph.with_file_name(name));
    let beside: Vec<PathBuf> = beside.into_iter().filter(|path| path.is_file()).collect();
    [graph].into_iter().chain(beside).collect()
}

/// How a source keeps its model.
enum Form {
    Gguf,
    Safetensors,
    /// With the path of its graph.
    Onnx(PathBuf),
}

impl Form {
    fn of(source: &Path) -> Result<Self, Error> {
        if source.is_dir() {
            if let Some(graph) = GRAPHS.iter().map(|name| source.join(name)).find(|p| p.is_file()) {
                return Ok(Self::Onnx(graph));
            }
            if safetensors_llama::is_checkpoint(source) {
                return Ok(Self::Safetensors);
            }
            let problem = if lora::is_lora_folder(source) {
                "it is a LoRA adapter, which needs its base"
            } else {
                "the folder holds no model.onnx and no model.safetensors"
            };
            return Err(Error::NoModel { path: source.to_owned(), problem: problem.to_owned() });
        }
        fs::metadata(source).map_err(Error::io("read", source))?;
        if source.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")) {
            return Ok(Self::Gguf);
        }
        let problem = "a single file must be a .gguf file".to_owned();
        Err(Error::NoModel { path: source.to_owned(), problem })
    }
}

/// An exported folder; its tokenizer may lie one level above the graph.
fn onnx_folder(
    folder: &Path,
    graph: PathBuf,
    cache: &Cache,
    report: &mut dyn FnMut(&str),
) -> Result<ModelFolder, Error> {
    let near_graph = graph.parent().unwrap_or(folder).to_owned();
    let near = |name: &str| Some(near_graph.join(name)).filter(|path| path.is_file());
    let find = |name| {
        [near_graph.as_path(), folder].map(|f| f.join(name)).into_iter().find(|p| p.is_file())
    };
    let Some(tokenizer) = find(TOKENIZER) else {
        let problem = format!("there is no {TOKENIZER} beside {}", graph.display());
        return Err(Error::NoModel { path: folder.to_owned(), problem });
    };
    let encoder = near(ENCODER);
    let begins = graph.file_name().is_some_and(|name| name == BEGINS);
    // Without an encoder it was traced with one token behind a cache, and gives wrong numbers for a
    // prompt's others.
    let with_past = near(WITH_PAST).filter(|_| begins && encoder.is_some());
    for graph in [Some(&graph), encoder.as_ref(), with_past.as_ref()].into_iter().flatten() {
        validate::check_model(graph)?;
    }
    validate::read_tokenizer(&tokenizer)?;
    let mut settings = serde_json::Map::new();
    for path in SETTINGS.iter().rev().filter_map(|name| find(name)) {
        settings.extend(read_settings(&path)?);
    }
    let inputs = validate::inputs(&graph)?;
    let names: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let config = serde_json::Value::Object(settings.clone());
    let packed = names.contains(&"trees");
    let family = if packed {
        Family::Causal
    } else {
        Family::of(encoder.is_some(), Some(&config), &names).map_err(|problem| {
            let help = "export the model for text generation (causal), fill-mask or \
                        text2text-generation, and name that folder";
            Error::unsupported(folder, problem, help)
        })?
    };
    let mut precision = precision::of(&graph)?;
    for other in encoder.iter().chain(&with_past) {
        // Of several the one that asks for most care: what is computed together then matters.
        if precision::of(other)? == Precision::Int8 {
            precision = Precision::Int8;
        }
    }
    let sha256 = sha256_of(folder)?;
    let mut model = ModelFolder {
        exported: (!packed).then(|| graph.clone()),
        graph,
        encoder,
        with_past,
        tokenizer,
        config: find(CONFIG),
        sha256,
        family,
        precision,
        cut: packed,
        packed,
        settings,
    };
    if !packed {
        let prepared = prepare(&model.graph, &model.sha256, cache, report)?;
        (model.graph, model.cut) = (prepared.graph, prepared.cut);
        for graph in model.encoder.iter_mut().chain(&mut model.with_past) {
            *graph = prepare(graph, &model.sha256, cache, report)?.graph;
        }
    }
    Ok(model)
}

fn read_settings(path: &Path) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    serde_json::from_str(&text).map_err(|error| Error::corrupt(path, "JSON", error.to_string()))
}

fn converted(
    source: &Path,
    cache: &Cache,
    report: &mut dyn FnMut(&str),
    open: fn(&Path) -> Result<Checkpoint, Error>,
) -> Result<ModelFolder, Error> {
    let sha256 = sha256_of(source)?;
    let folder = cache.root().join("models").join(format!("{sha256}-{IMPORTER_VERSION}"));
    let model = |settings| ModelFolder {
        graph: folder.join(GRAPH),
        exported: None,
        encoder: None,
        with_past: None,
        tokenizer: folder.join(TOKENIZER),
        config: Some(folder.join(CONFIG)),
        sha256: sha256.clone(),
        family: Family::Causal,
        precision: Precision::F32,
        cut: true,
        packed: true,
        settings,
    };
    let config = folder.join(CONFIG);
    if folder.is_dir() {
        let whole =
            validate::check_model(&folder.join(GRAPH)).is_ok() && folder.join(TOKENIZER).is_file();
        if let (true, Ok(settings)) = (whole, read_settings(&config)) {
            return Ok(model(settings));
        }
        report(&format!("{} is damaged and is made again", folder.display()));
        fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
    }
    report(&format!("converting {} to ONNX, once", source.display()));
    let scratch = cache.scratch()?;
    let checkpoint = open(source)?;
    checkpoint.write(checkpoint.weights.as_ref(), scratch.path())?;
    let parent = cache.root().join("models");
    fs::create_dir_all(&parent).map_err(Error::io("create", &parent))?;
    if let Err(error) = fs::rename(scratch.path(), &folder) {
        // Another process was as quick and made the same: its folder is as good as this one.
        if !folder.join(GRAPH).is_file() {
            return Err(Error::io("write", &folder)(error));
        }
    }
    Ok(model(read_settings(&config)?))
}

fn from_gguf(source: &Path) -> Result<Checkpoint, Error> {
    let gguf = Gguf::open(source)?;
    let config = gguf_llama::config(&gguf)?;
    let weights = Box::new(GgufWeights::new(gguf, &config));
    config.check(weights.as_ref(), source, "GGUF")?;
    let gguf = weights.gguf();
    let tokenizer = gguf_tokenizer::tokenizer(gguf, config.vocabulary)?;
    let tokenizer_json = tokenizer
        .to_string(false)
        .map_err(|error| Error::corrupt(source, "GGUF", format!("its tokenizer: {error}")))?;
    let mut keys = serde_json::Map::new();
    for (key, from) in [
        ("bos_token_id", "tokenizer.ggml.bos_token_id"),
        ("eos_token_id", "tokenizer.ggml.eos_token_id"),
        ("pad_token_id", "tokenizer.ggml.padding_token_id"),
    ] {
        if let Some(Value::Unsigned(id)) = gguf.metadata(from) {
            keys.insert(key.to_owned(), json!(id));
        }
    }
    Ok(Checkpoint { config, weights, tokenizer, tokenizer_json, keys })
}

fn from_safetensors(source: &Path) -> Result<Checkpoint, Error> {
    let config = safetensors_llama::config(source)?;
    let weights = Box::new(SafetensorsWeights::open(source, config.tied)?);
    config.check(weights.as_ref(), source, "safetensors")?;
    let from = source.join(TOKENIZER);
    let tokenizer = validate::read_tokenizer(&from)?;
    let last = tokenizer.get_vocab(true).into_values().max();
    if let Some(last) = last
        && last as usize >= config.vocabulary
    {
        let rows = config.vocabulary;
        let problem = format!("it has tokens up to number {last}, but the model only {rows} rows");
        return Err(Error::corrupt(&from, TOKENIZER, problem));
    }
    let tokenizer_json = fs::read_to_string(&from).map_err(Error::io("read", &from))?;
    let keys = read_settings(&source.join(CONFIG))?;
    Ok(Checkpoint { config, weights, tokenizer, tokenizer_json, keys })
}

impl Checkpoint {
    /// Writes an ONNX folder (graph, weights, `config.json`, `tokenizer.json`) of this model with
    /// `weights`: its own, or what training made of them.
    ///
    /// # Errors
    /// Where a weight cannot be read or a file not be written.
    pub fn write(&self, weights: &dyn Weights, folder: &Path) -> Result<(), Error> {
        let path = folder.join(TOKENIZER);
        fs::write(&path, &self.tokenizer_json).map_err(Error::io("write", &path))?;
        let config = &self.config;
        let keys = json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "num_hidden_layers": config.layers,
            "hidden_size": config.width,
            "num_attention_heads": config.heads,
            "num_key_value_heads": config.kv_heads,
            "head_dim": config.head_size,
            "intermediate_size": config.feed_forward,
            "vocab_size": config.vocabulary,
            "max_position_embeddings": config.context,
            "rms_norm_eps": config.rms_epsilon,
            "tie_word_embeddings": config.tied,
            "torch_dtype": "float32",
            IMPORTER_KEY: IMPORTER_VERSION,
        });
        let mut all = self.keys.clone();
        if let serde_json::Value::Object(keys) = keys {
            all.extend(keys);
        }
        let path = folder.join(CONFIG);
        let text = format!("{:#}\n", serde_json::Value::Object(all));
        fs::write(&path, text).map_err(Error::io("write", &path))?;
        llama_graph::write(config, weights, &folder.join(GRAPH), &folder.join(DATA))
    }
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
