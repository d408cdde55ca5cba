//! Checkpoints, opened, and converted to an ONNX folder in the cache, once.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokenizers::Tokenizer;

use super::checkpoint::Weights;
use super::gguf::{Gguf, Value};
use super::gguf_llama::GgufWeights;
use super::llama::LlamaConfig;
use super::safetensors_llama::SafetensorsWeights;
use super::{Error, gguf_llama, gguf_tokenizer, llama_graph, lora, safetensors_llama, validate};
use crate::fetch::{Cache, sha256_of};

/// Raised whenever an import would come out differently: older ones in the cache are then unused.
pub const IMPORTER_VERSION: u32 = 1;

/// The key under which an imported `config.json` names its importer.
const IMPORTER_KEY: &str = "kgbuild_importer";

const GRAPH: &str = "model.onnx";
const DATA: &str = "model.onnx.data";
const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "config.json";

/// Where the exporters of the field put a causal language model's graph, the preferred first.
const GRAPHS: [&str; 6] = [
    "model.onnx",
    "decoder_model_merged.onnx",
    "decoder_model.onnx",
    "onnx/model.onnx",
    "onnx/decoder_model_merged.onnx",
    "onnx/decoder_model.onnx",
];

/// A model that a runtime can load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFolder {
    /// The `.onnx` file.
    pub graph: PathBuf,
    /// Its `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// Its `config.json`, if it has one.
    pub config: Option<PathBuf>,
    /// Of the source: the GGUF file, or the checkpoint's or ONNX folder.
    pub sha256: String,
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
        Form::Onnx(graph) => onnx_folder(source, graph),
    }
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
///
/// A `decoder_with_past_model.onnx` is passed over: it was traced with one token behind a cache,
/// and gives wrong numbers for a prompt.
fn onnx_folder(folder: &Path, graph: PathBuf) -> Result<ModelFolder, Error> {
    let near_graph = graph.parent().unwrap_or(folder);
    let find = |name| [near_graph, folder].map(|f| f.join(name)).into_iter().find(|p| p.is_file());
    let Some(tokenizer) = find(TOKENIZER) else {
        let problem = format!("there is no {TOKENIZER} beside {}", graph.display());
        return Err(Error::NoModel { path: folder.to_owned(), problem });
    };
    validate::check_model(&graph)?;
    validate::read_tokenizer(&tokenizer)?;
    let config = find(CONFIG);
    Ok(ModelFolder { graph, tokenizer, config, sha256: sha256_of(folder)? })
}

fn converted(
    source: &Path,
    cache: &Cache,
    report: &mut dyn FnMut(&str),
    open: fn(&Path) -> Result<Checkpoint, Error>,
) -> Result<ModelFolder, Error> {
    let sha256 = sha256_of(source)?;
    let folder = cache.root().join("models").join(format!("{sha256}-{IMPORTER_VERSION}"));
    let model = ModelFolder {
        graph: folder.join(GRAPH),
        tokenizer: folder.join(TOKENIZER),
        config: Some(folder.join(CONFIG)),
        sha256,
    };
    if folder.is_dir() {
        if validate::check_model(&model.graph).is_ok() && model.tokenizer.is_file() {
            return Ok(model);
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
        if !model.graph.is_file() {
            return Err(Error::io("write", &folder)(error));
        }
    }
    Ok(model)
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
    let ids = tokenizer.get_vocab_size(true);
    if ids > config.vocabulary {
        let problem = format!("it has {ids} tokens, but the model only {} rows", config.vocabulary);
        return Err(Error::corrupt(&from, TOKENIZER, problem));
    }
    let tokenizer_json = fs::read_to_string(&from).map_err(Error::io("read", &from))?;
    let path = source.join(CONFIG);
    let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    let keys = serde_json::from_str(&text)
        .map_err(|error| Error::corrupt(&path, CONFIG, error.to_string()))?;
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
