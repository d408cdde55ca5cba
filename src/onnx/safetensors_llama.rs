//! A safetensors checkpoint of the Llama family: `config.json` and `model.safetensors`, or its
//! shards with `model.safetensors.index.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Error;
use super::checkpoint::Weights;
use super::llama::{LlamaConfig, rope_frequencies};
use super::llama_checkpoint::read_text;
use super::tensor_file::TensorFile;
use crate::fetch::FileHashes;

const FORMAT: &str = "safetensors";
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Whether a folder holds a checkpoint of this kind.
pub(super) fn is_checkpoint(folder: &Path) -> bool {
    folder.join(SINGLE).is_file() || folder.join(INDEX).is_file()
}

/// The keys of a `config.json` that make a difference here.
#[derive(Deserialize)]
struct RawConfig {
    model_type: String,
    num_hidden_layers: usize,
    hidden_size: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    rms_norm_eps: f32,
    rope_theta: Option<f64>,
    rope_scaling: Option<serde_json::Value>,
    /// Where newer exports keep θ and the scaling.
    rope_parameters: Option<serde_json::Value>,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default = "silu")]
    hidden_act: String,
}

fn silu() -> String {
    "silu".to_owned()
}

/// Llama 3's scaling of long wavelengths.
#[derive(Deserialize)]
struct Llama3Scaling {
    factor: f64,
    low_freq_factor: f64,
    high_freq_factor: f64,
    original_max_position_embeddings: f64,
}

/// Reads the `text` of the `config.json` at `path`.
///
/// # Errors
/// [`Error::Corrupt`] where it is not one, [`Error::Unsupported`] for what is no plain Llama.
pub(super) fn config(path: &Path, text: &str) -> Result<LlamaConfig, Error> {
    let raw: RawConfig = serde_json::from_str(text)
        .map_err(|error| Error::corrupt(path, "config.json", error.to_string()))?;
    let unsupported = |problem: String| {
        let help = "export the model to ONNX with its own tools and name that folder";
        Error::unsupported(path, problem, help)
    };
    if raw.model_type != "llama" {
        return Err(unsupported(format!("its model type is `{}`, not `llama`", raw.model_type)));
    }
    if raw.attention_bias || raw.mlp_bias {
        return Err(unsupported("its layers have biases".to_owned()));
    }
    if raw.hidden_act != "silu" {
        return Err(unsupported(format!("its activation is `{}`, not `silu`", raw.hidden_act)));
    }
    if raw.num_attention_heads == 0 {
        return Err(Error::corrupt(path, "config.json", "it has no attention head"));
    }
    let head_size = raw.head_dim.unwrap_or(raw.hidden_size / raw.num_attention_heads);
    let nested = raw.rope_parameters.as_ref();
    let theta = raw.rope_theta.or_else(|| nested?.get("rope_theta")?.as_f64());
    let mut rope = rope_frequencies(theta.unwrap_or(10_000.0), head_size);
    if let Some(scaling) = raw.rope_scaling.as_ref().or(nested).filter(|value| !value.is_null()) {
        let kind = scaling.get("rope_type").or_else(|| scaling.get("type"));
        match kind.and_then(|kind| kind.as_str()).unwrap_or("default") {
            "default" => {}
            "llama3" => {
                let scaling = Llama3Scaling::deserialize(scaling)
                    .map_err(|error| Error::corrupt(path, "config.json", error.to_string()))?;
                rope.iter_mut().for_each(|frequency| *frequency = scaling.scaled(*frequency));
            }
            other => return Err(unsupported(format!("it uses RoPE scaling of type `{other}`"))),
        }
    }
    Ok(LlamaConfig {
        layers: raw.num_hidden_layers,
        width: raw.hidden_size,
        heads: raw.num_attention_heads,
        kv_heads: raw.num_key_value_heads.unwrap_or(raw.num_attention_heads),
        head_size,
        feed_forward: raw.intermediate_size,
        vocabulary: raw.vocab_size,
        context: raw.max_position_embeddings,
        rms_epsilon: raw.rms_norm_eps,
        rope_frequencies: rope,
        tied: raw.tie_word_embeddings,
    })
}

impl Llama3Scaling {
    /// Short wavelengths stay, those beyond the original context are stretched by `factor`, and
    /// between them the two are mixed linearly in the number of turns.
    fn scaled(&self, frequency: f64) -> f64 {
        let turns = self.original_max_position_embeddings * frequency / std::f64::consts::TAU;
        let span = self.high_freq_factor - self.low_freq_factor;
        let kept = ((turns - self.low_freq_factor) / span).clamp(0.0, 1.0);
        frequency * (kept + (1.0 - kept) / self.factor)
    }
}

/// All tensors of a checkpoint's files.
pub(super) struct SafetensorsWeights {
    folder: PathBuf,
    files: Vec<TensorFile>,
    /// Shape, and which of the files.
    tensors: BTreeMap<String, (Vec<usize>, usize)>,
}

impl SafetensorsWeights {
    /// Opens the files of a folder, and adds their hashes to `read`. `tied`: a copy of the embedding
    /// as output is passed over.
    ///
    /// # Errors
    /// [`Error::Corrupt`] or [`Error::Io`] naming the file.
    pub(super) fn open(folder: &Path, tied: bool, read: &mut FileHashes) -> Result<Self, Error> {
        let mut this =
            Self { folder: folder.to_owned(), files: Vec::new(), tensors: BTreeMap::new() };
        for name in shards(folder, read)? {
            let path = folder.join(name);
            let (file, sha256) = TensorFile::hashed(&path)?;
            read.insert(path, sha256);
            for (name, shape) in file.shapes() {
                let is_copy = tied && name == super::llama::OUTPUT;
                if !is_copy && !name.ends_with(".rotary_emb.inv_freq") {
                    this.tensors.insert(name, (shape, this.files.len()));
                }
            }
            this.files.push(file);
        }
        Ok(this)
    }
}

fn shards(folder: &Path, read: &mut FileHashes) -> Result<Vec<String>, Error> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let path = folder.join(INDEX);
    if !path.is_file() {
        return Ok(vec![SINGLE.to_owned()]);
    }
    let text = read_text(&path, read)?;
    let index: Index = serde_json::from_str(&text)
        .map_err(|error| Error::corrupt(&path, "safetensors index", error.to_string()))?;
    let mut files: Vec<String> = index.weight_map.into_values().collect();
    files.sort();
    files.dedup();
    if let Some(file) = files.iter().find(|file| file.contains(['/', '\\'])) {
        let problem = format!("the shard `{file}` is not in the same folder");
        return Err(Error::corrupt(&path, "safetensors index", problem));
    }
    Ok(files)
}

impl Weights for SafetensorsWeights {
    fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|(shape, _)| shape.clone())
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, Error> {
        match self.tensors.get(name) {
            Some((_, file)) => self.files[*file].read(name),
            None => Err(Error::corrupt(&self.folder.join(SINGLE), FORMAT, format!("no `{name}`"))),
        }
    }
}
