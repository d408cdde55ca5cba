//! Checkpoints of decoders, opened, whatever their format, and written as ONNX folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::json;
use tokenizers::Tokenizer;

use super::checkpoint::Weights;
use super::conversation::{Conversation, TEMPLATE, TEMPLATE_FILE};
use super::decoder::DecoderConfig;
use super::form::Form;
use super::gguf::{Gguf, Value};
use super::gguf_decoder::GgufWeights;
use super::import::IMPORTER_VERSION;
use super::safetensors_weights::SafetensorsWeights;
use super::{
    Error, Precision, decoder_graph, gguf_decoder, gguf_tokenizer, safetensors_decoder, validate,
};
use crate::fetch::{FileHashes, digest_of_bytes};

/// The key under which an imported `config.json` names its importer.
pub(super) const IMPORTER_KEY: &str = "kgbuild_importer";

/// The key of what logits are kept below by tanh, if they are.
pub(super) const OUTPUT_CAP: &str = "final_logit_softcapping";

/// Where a folder says more of its tokens.
pub(super) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
pub(super) const SPECIAL_TOKENS: &str = "special_tokens_map.json";

pub(super) const GRAPH: &str = "model.onnx";
pub(super) const DATA: &str = "model.onnx.data";
pub(super) const TOKENIZER: &str = "tokenizer.json";
pub(super) const CONFIG: &str = "config.json";

/// A decoder as its source has it, whatever the format.
pub struct Checkpoint {
    /// Its sizes, as the weights bear them out.
    pub config: DecoderConfig,
    /// By Hugging Face name, in the row order of Hugging Face.
    pub weights: Box<dyn Weights>,
    /// Made of the text of `tokenizer.json`, or of what a GGUF file says.
    pub tokenizer: Tokenizer,
    /// How many weights are kept in which type: `Q4_K`, `BF16`.
    pub kinds: BTreeMap<String, u64>,
    /// The text of `tokenizer.json`.
    tokenizer_json: String,
    /// What `config.json` says beside the sizes: the ids of special tokens, for instance.
    keys: serde_json::Map<String, serde_json::Value>,
    /// The hashes of the files that it is read from. Weights that are read later are what was
    /// hashed, or an error.
    pub(super) files: FileHashes,
}

/// Opens a GGUF file or a safetensors folder of a decoder. Weights are read when asked for.
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

pub(super) fn from_gguf(source: &Path) -> Result<Checkpoint, Error> {
    let gguf = Gguf::open(source)?;
    let config = gguf_decoder::config(&gguf)?;
    let weights = Box::new(GgufWeights::new(gguf, &config));
    config.check(weights.as_ref(), source, "GGUF")?;
    let gguf = weights.gguf();
    let kinds = gguf.kinds();
    let files = gguf.hashes().clone();
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
    for (token, id) in [("bos_token", "bos_token_id"), ("eos_token", "eos_token_id")] {
        let id = keys.get(id).and_then(|id| id.as_u64()).and_then(|id| u32::try_from(id).ok());
        keys.extend(
            id.and_then(|id| tokenizer.id_to_token(id)).map(|text| (token.to_owned(), json!(text))),
        );
    }
    if let Some(Value::Text(template)) = gguf.metadata("tokenizer.chat_template") {
        keys.insert(TEMPLATE.to_owned(), json!(template));
    }
    Ok(Checkpoint { config, weights, tokenizer, kinds, tokenizer_json, keys, files })
}

pub(super) fn from_safetensors(source: &Path) -> Result<Checkpoint, Error> {
    let mut files = FileHashes::new();
    let path = source.join(CONFIG);
    let text = read_text(&path, &mut files)?;
    let config = safetensors_decoder::config(&path, &text)?;
    let mut keys = parse_settings(&path, &text)?;
    keys.extend(conversation(source, &mut files)?);
    let weights = Box::new(SafetensorsWeights::open(source, &config, &mut files)?);
    config.check(weights.as_ref(), source, "safetensors")?;
    let kinds = weights.kinds();
    let from = source.join(TOKENIZER);
    let tokenizer_json = read_text(&from, &mut files)?;
    let tokenizer_json = without_added_beyond(tokenizer_json, config.vocabulary);
    let tokenizer = validate::parse_tokenizer(&from, tokenizer_json.as_bytes())?;
    let last = tokenizer.get_vocab(true).into_values().max();
    if let Some(last) = last
        && last as usize >= config.vocabulary
    {
        let rows = config.vocabulary;
        let problem = format!("it has tokens up to number {last}, but the model only {rows} rows");
        return Err(Error::corrupt(&from, TOKENIZER, problem));
    }
    Ok(Checkpoint { config, weights, tokenizer, kinds, tokenizer_json, keys, files })
}

/// What a safetensors folder says of how conversations are written, where it says it so that it can be read.
fn conversation(
    source: &Path,
    files: &mut FileHashes,
) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    let mut found = serde_json::Map::new();
    for name in [SPECIAL_TOKENS, TOKENIZER_CONFIG] {
        let path = source.join(name);
        if !path.is_file() {
            continue;
        }
        // Who asks no conversation needs none of it.
        let settings = parse_settings(&path, &read_text(&path, files)?).unwrap_or_default();
        let wanted = |key: &str| ["bos_token", "eos_token", TEMPLATE].contains(&key);
        found.extend(settings.into_iter().filter(|(key, value)| wanted(key) && !value.is_null()));
    }
    let path = source.join(TEMPLATE_FILE);
    if path.is_file() {
        found.insert(TEMPLATE.to_owned(), json!(read_text(&path, files)?));
    }
    Ok(found)
}

/// The text of a `tokenizer.json` without added tokens that the model has no rows for: Gemma 3's for images
/// in models of text alone, for instance. A text that cannot be read stays as it is.
fn without_added_beyond(text: String, rows: usize) -> String {
    let Ok(mut json) = serde_json::from_str::<serde_json::Value>(&text) else { return text };
    let Some(added) = json.get_mut("added_tokens").and_then(|added| added.as_array_mut()) else {
        return text;
    };
    let has_row = |token: &serde_json::Value| match token["id"].as_u64() {
        Some(id) => usize::try_from(id).is_ok_and(|id| id < rows),
        None => true,
    };
    let before = added.len();
    added.retain(has_row);
    if added.len() == before { text } else { json.to_string() }
}

/// Reads a text, and adds its hash to `files`.
///
/// # Errors
/// [`Error::Io`]; [`Error::Corrupt`] where it is not UTF-8.
pub(super) fn read_text(path: &Path, files: &mut FileHashes) -> Result<String, Error> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    files.insert(path.to_owned(), digest_of_bytes(&bytes));
    String::from_utf8(bytes).map_err(|error| Error::corrupt(path, "text", error.to_string()))
}

/// The keys of a file of settings.
///
/// # Errors
/// [`Error::Corrupt`] where it is no JSON object.
pub(super) fn parse_settings(
    path: &Path,
    text: &str,
) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    serde_json::from_str(text).map_err(|error| Error::corrupt(path, "JSON", error.to_string()))
}

impl Checkpoint {
    /// How its conversations are written, if its files say so.
    pub fn conversation(&self) -> Option<Conversation> {
        Conversation::of(&self.keys)
    }

    /// Bytes of its weights in f32, as a run holds them.
    pub fn bytes(&self) -> u64 {
        let weights = self.config.weights().into_iter();
        weights.map(|(_, shape)| 4 * shape.iter().product::<usize>() as u64).sum()
    }

    /// Writes an ONNX folder (graph, weights, `config.json`, `tokenizer.json`) of this model with
    /// `weights`: its own, or what training made of them, kept in `precision`.
    ///
    /// # Errors
    /// Where a weight cannot be read or a file not be written.
    pub fn write(
        &self,
        weights: &dyn Weights,
        precision: Precision,
        folder: &Path,
    ) -> Result<(), Error> {
        let path = folder.join(TOKENIZER);
        fs::write(&path, &self.tokenizer_json).map_err(Error::io("write", &path))?;
        let config = &self.config;
        let keys = json!({
            "architectures": [config.architecture.class],
            "model_type": config.architecture.name,
            "num_hidden_layers": config.layers.len(),
            "hidden_size": config.width,
            "num_attention_heads": config.heads,
            "num_key_value_heads": config.kv_heads,
            "head_dim": config.head_size,
            "intermediate_size": config.feed_forward,
            "vocab_size": config.vocabulary,
            "max_position_embeddings": config.context,
            "rms_norm_eps": config.rms_epsilon,
            "tie_word_embeddings": config.tied,
            OUTPUT_CAP: config.output_cap,
            "torch_dtype": "float32",
            "kgbuild_precision": precision,
            IMPORTER_KEY: IMPORTER_VERSION,
        });
        let mut all = self.keys.clone();
        if let serde_json::Value::Object(keys) = keys {
            all.extend(keys);
        }
        let path = folder.join(CONFIG);
        let text = format!("{:#}\n", serde_json::Value::Object(all));
        fs::write(&path, text).map_err(Error::io("write", &path))?;
        decoder_graph::write(config, weights, precision, &folder.join(GRAPH), &folder.join(DATA))
    }
}
