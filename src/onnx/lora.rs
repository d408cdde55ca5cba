//! A PEFT LoRA adapter over an imported model, as replacements for its weights.
//!
//! LoRA (Hu et al. 2021) adds a product of two thin matrices to a weight: W + s · B · A with
//! s = α / r, or α / √r where the adapter says `use_rslora`. The merged weights are handed to the
//! runtime when it loads the base's graph, so that no second copy of the model is written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;

use super::Error;
use super::import::ModelFolder;
use super::proto::{TensorProto, data_type};
use super::safetensors_llama::TensorFile;
use super::validate::{External, external, read_model};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// What PEFT puts before the name of a module of the base.
const PREFIX: &str = "base_model.model.";

/// A weight that takes the place of an initializer of the base's graph.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightOverride {
    /// The initializer's name.
    pub name: String,
    /// Its shape, `[in, out]` for a linear layer.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub data: Vec<f32>,
}

/// Whether a folder is a PEFT adapter.
pub fn is_lora_folder(path: &Path) -> bool {
    path.join(CONFIG).is_file()
}

/// The keys of `adapter_config.json` that make a difference here.
#[derive(Deserialize)]
struct Config {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    lora_bias: bool,
    bias: Option<String>,
    modules_to_save: Option<Vec<String>>,
    rank_pattern: Option<serde_json::Map<String, serde_json::Value>>,
    alpha_pattern: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Config {
    /// What the adapter asks for that is not done here.
    fn refused(&self) -> Option<String> {
        let has = |pattern: &Option<serde_json::Map<_, _>>| {
            pattern.as_ref().is_some_and(|pattern| !pattern.is_empty())
        };
        if self.peft_type != "LORA" {
            return Some(format!("its type is `{}`, not `LORA`", self.peft_type));
        }
        let asked = [
            ("use_dora", self.use_dora),
            ("fan_in_fan_out", self.fan_in_fan_out),
            ("lora_bias", self.lora_bias),
            ("bias", self.bias.as_ref().is_some_and(|bias| bias != "none")),
            ("modules_to_save", self.modules_to_save.as_ref().is_some_and(|m| !m.is_empty())),
            ("rank_pattern", has(&self.rank_pattern)),
            ("alpha_pattern", has(&self.alpha_pattern)),
        ];
        let (key, _) = asked.iter().find(|(_, asked)| *asked)?;
        Some(format!("its `{key}` asks for what is not supported"))
    }

    fn scale(&self) -> f32 {
        let rank = self.r as f64;
        let divisor = if self.use_rslora { rank.sqrt() } else { rank };
        (self.lora_alpha / divisor) as f32
    }
}

/// The thin matrices of one module, `a` [rank, in] and `b` [out, rank].
#[derive(Default)]
struct Pair {
    a: Option<(String, Vec<usize>)>,
    b: Option<(String, Vec<usize>)>,
}

/// The merged weights of the adapter in `folder` over the imported model `base`.
///
/// # Errors
/// [`Error::Adapter`] where the adapter asks for more than plain LoRA, where one of its tensors
/// belongs to no weight of the base, or where shapes do not fit; [`Error::Corrupt`]; [`Error::Io`].
pub fn merge(folder: &Path, base: &ModelFolder) -> Result<Vec<WeightOverride>, Error> {
    let path = folder.join(CONFIG);
    let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    let config: Config = serde_json::from_str(&text)
        .map_err(|error| Error::corrupt(&path, CONFIG, error.to_string()))?;
    let refuse = |problem: String, help: &str| Error::Adapter {
        path: folder.to_owned(),
        problem,
        help: help.to_owned(),
    };
    if let Some(problem) = config.refused() {
        return Err(refuse(problem, "merge it into its base with PEFT and name that checkpoint"));
    }
    if config.r == 0 {
        return Err(refuse("its rank `r` is 0".to_owned(), "train it with a rank of 1 or more"));
    }
    let file = TensorFile::open(&folder.join(WEIGHTS))?;
    let pairs = pairs(file.shapes()?).map_err(|name| {
        let problem = format!("its tensor `{name}` is not part of a LoRA over linear layers");
        refuse(problem, "merge it into its base with PEFT and name that checkpoint")
    })?;
    if pairs.is_empty() {
        return Err(refuse("it holds no tensors".to_owned(), "train and save it again"));
    }
    let model = read_model(&base.graph)?;
    let initializers: BTreeMap<&str, &TensorProto> = model
        .graph
        .iter()
        .flat_map(|graph| &graph.initializer)
        .filter_map(|tensor| Some((tensor.name.as_deref()?, tensor)))
        .collect();
    let wrong_base = "name the base that the adapter was trained over";
    let mut overrides = Vec::new();
    for (module, pair) in pairs {
        let Pair { a: Some((a, a_shape)), b: Some((b, b_shape)) } = pair else {
            let problem = format!("`{module}` has only one of lora_A and lora_B");
            return Err(refuse(problem, "train and save it again"));
        };
        let name = format!("{module}.weight");
        let tensor = initializers.get(name.as_str()).ok_or_else(|| {
            refuse(format!("the base {} has no `{name}`", base.graph.display()), wrong_base)
        })?;
        let shape: Vec<usize> = tensor.dims.iter().map(|&dim| dim as usize).collect();
        let fits = matches!(
            (&a_shape[..], &b_shape[..], &shape[..]),
            (&[rank_a, inner], &[out, rank_b], &[base_inner, base_out])
                if rank_a == config.r && rank_b == config.r && inner == base_inner && out == base_out
        );
        if !fits {
            let problem = format!(
                "`{module}` has A {a_shape:?} and B {b_shape:?}, which do not make a weight of \
                 rank {} for the base's {shape:?} [in, out]",
                config.r
            );
            return Err(refuse(problem, wrong_base));
        }
        let mut data = stored(base, tensor)?;
        add_product(&mut data, &file.read(&a)?, &file.read(&b)?, config.r, config.scale());
        overrides.push(WeightOverride { name, shape, data });
    }
    Ok(overrides)
}

/// Tensors by the module that they change, or the name of one that changes none.
fn pairs(shapes: BTreeMap<String, Vec<usize>>) -> Result<BTreeMap<String, Pair>, String> {
    let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
    for (name, shape) in shapes {
        let inner = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(".weight"));
        let Some((module, side)) = inner.and_then(|inner| inner.rsplit_once('.')) else {
            return Err(name);
        };
        let pair = pairs.entry(module.to_owned()).or_default();
        match side {
            "lora_A" => pair.a = Some((name, shape)),
            "lora_B" => pair.b = Some((name, shape)),
            _ => return Err(name),
        }
    }
    Ok(pairs)
}

/// The values of an external initializer.
fn stored(base: &ModelFolder, tensor: &TensorProto) -> Result<Vec<f32>, Error> {
    let Some(External { location, offset, length }) = external(&base.graph, tensor)? else {
        let problem = "its weights are inside the graph, where an adapter cannot replace them";
        return Err(Error::unsupported(
            &base.graph,
            problem,
            "name the GGUF file or safetensors folder of the base instead of an ONNX export",
        ));
    };
    let path = base.graph.with_file_name(location);
    let values: i64 = tensor.dims.iter().product();
    if tensor.data_type != Some(data_type::FLOAT) || u64::try_from(4 * values) != Ok(length) {
        let problem = "its weights are not in f32";
        return Err(Error::unsupported(&base.graph, problem, "name a base in f32"));
    }
    let mut bytes = vec![0; length as usize];
    let mut file = File::open(&path).map_err(Error::io("read", &path))?;
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(Error::io("read", &path))?;
    let (chunks, _) = bytes.as_chunks::<4>();
    Ok(chunks.iter().map(|value| f32::from_le_bytes(*value)).collect())
}

/// Adds `scale` · (B · A)ᵀ to `weight` [in, out].
fn add_product(weight: &mut [f32], a: &[f32], b: &[f32], rank: usize, scale: f32) {
    let (inner, out) = (a.len() / rank, b.len() / rank);
    let b = super::checkpoint::transpose(b, out, rank);
    for (i, row) in weight.chunks_exact_mut(out).enumerate() {
        for k in 0..rank {
            let factor = scale * a[k * inner + i];
            for (value, b) in row.iter_mut().zip(&b[k * out..]) {
                *value += factor * b;
            }
        }
    }
}

#[cfg(test)]
#[path = "lora_tests.rs"]
mod tests;
