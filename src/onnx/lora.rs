//! A PEFT LoRA adapter over an imported model, as branches of its graph.
//!
//! LoRA (Hu et al. 2021) adds a product of two thin matrices to a weight: W + s · B · A with
//! s = α / r, or α / √r where the adapter says `use_rslora`. Here the product is never added to
//! the weight: x · W gets s · (x · Aᵀ) · Bᵀ. In a packed graph a token gets it where the input
//! [`ADAPTED`] says 1, and nothing where it says 0: one session holds one copy of the weights for
//! the finetuned model and the base, whose tokens ride in the same run. An export, whose weights
//! bear the names that PEFT knows, always gets it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use prost::Message;
use serde::Deserialize;

use self::branches::adapt;
use super::Error;
use super::model_folder::ModelFolder;
use super::product::Product;
use super::proto::{ModelProto, TensorProto};
use super::tensor_file::TensorFile;
use super::validate::read_model;

mod branches;

pub use branches::ADAPTED;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// What helps where the base is an export, whose weights mostly have other names and places.
const NAME_THE_CHECKPOINT: &str = "name the GGUF file or safetensors folder that the base was \
                                   exported from, or merge the adapter and export that";
/// What PEFT puts before the name of a module of the base.
const PREFIX: &str = "base_model.model.";

/// What an adapter adds to one weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Adaptation {
    /// The weight's name in the base's graph, where it is stored `[in, out]`.
    pub weight: String,
    /// Rows of A and columns of B, at least 1.
    pub rank: usize,
    /// [rank, in], row-major.
    pub a: Vec<f32>,
    /// [out, rank], row-major.
    pub b: Vec<f32>,
    /// s in W + s · B · A.
    pub scale: f32,
}

/// Whether a folder is a PEFT adapter.
pub fn is_lora_folder(path: &Path) -> bool {
    path.join(CONFIG).is_file()
}

/// What an adapter says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterDescription {
    /// The model that it was trained over, as it names it.
    pub base: Option<String>,
    /// PEFT's `r`, the same for all layers.
    pub rank: usize,
    /// The kinds of layers that it changes.
    pub modules: Vec<String>,
}

/// Reads what an adapter says of itself.
///
/// # Errors
/// [`Error::Corrupt`] where its configuration is none, [`Error::Io`].
pub fn describe(folder: &Path) -> Result<AdapterDescription, Error> {
    let config = config(folder)?;
    let modules = match config.target_modules {
        Some(serde_json::Value::Array(names)) => {
            names.iter().filter_map(|name| name.as_str()).map(str::to_owned).collect()
        }
        Some(serde_json::Value::String(pattern)) => vec![pattern],
        _ => Vec::new(),
    };
    Ok(AdapterDescription { base: config.base_model_name_or_path, rank: config.r, modules })
}

fn config(folder: &Path) -> Result<Config, Error> {
    let path = folder.join(CONFIG);
    let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    serde_json::from_str(&text).map_err(|error| Error::corrupt(&path, CONFIG, error.to_string()))
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
    base_model_name_or_path: Option<String>,
    target_modules: Option<serde_json::Value>,
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

/// The graph of the imported model `base` with the adapter in `folder`, as the bytes of an ONNX
/// file. Its weights stay in the base's data file.
///
/// # Errors
/// Those of [`read`].
pub fn graph(folder: &Path, base: &ModelFolder) -> Result<Vec<u8>, Error> {
    let mut model = read_model(&base.graph)?;
    let adaptations = adaptations(folder, base, &model)?;
    let products = Product::all(&model);
    let left = match &mut model.graph {
        Some(graph) => adapt(graph, &products, adaptations, base.packed),
        None => None,
    };
    if let Some(weight) = left {
        return Err(Error::Adapter {
            path: folder.to_owned(),
            problem: format!(
                "the base {} multiplies by `{weight}` in a way that is not known",
                base.named(&base.graph).display()
            ),
            help: NAME_THE_CHECKPOINT.to_owned(),
        });
    }
    Ok(model.encode_to_vec())
}

/// What the adapter in `folder` adds to the weights of the imported model `base`, sorted by weight.
///
/// # Errors
/// [`Error::Adapter`] where the adapter asks for more than plain LoRA, where one of its tensors
/// belongs to no weight of the base, or where shapes do not fit; [`Error::Corrupt`]; [`Error::Io`].
pub fn read(folder: &Path, base: &ModelFolder) -> Result<Vec<Adaptation>, Error> {
    adaptations(folder, base, &read_model(&base.graph)?)
}

fn adaptations(
    folder: &Path,
    base: &ModelFolder,
    model: &ModelProto,
) -> Result<Vec<Adaptation>, Error> {
    let config = config(folder)?;
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
    let pairs = pairs(file.shapes()).map_err(|name| {
        let problem = format!("its tensor `{name}` is not part of a LoRA over linear layers");
        refuse(problem, "merge it into its base with PEFT and name that checkpoint")
    })?;
    if pairs.is_empty() {
        return Err(refuse("it holds no tensors".to_owned(), "train and save it again"));
    }
    let shapes = shapes(model);
    let wrong_base = if base.packed {
        "name the base that the adapter was trained over"
    } else {
        NAME_THE_CHECKPOINT
    };
    let mut adaptations = Vec::new();
    for (module, pair) in pairs {
        let Pair { a: Some((a, a_shape)), b: Some((b, b_shape)) } = pair else {
            let problem = format!("`{module}` has only one of lora_A and lora_B");
            return Err(refuse(problem, "train and save it again"));
        };
        let name = format!("{module}.weight");
        let shape = shapes.get(&name).ok_or_else(|| {
            let base = base.named(&base.graph);
            refuse(format!("the base {} has no `{name}`", base.display()), wrong_base)
        })?;
        if let Some(problem) = unfit(&module, &a_shape, &b_shape, shape, config.r) {
            return Err(refuse(problem, wrong_base));
        }
        let (a, b) = (file.read(&a)?, file.read(&b)?);
        adaptations.push(Adaptation { weight: name, rank: config.r, a, b, scale: config.scale() });
    }
    Ok(adaptations)
}

/// The shapes of a model's weights, `[in, out]` where they are multiplied with, by name.
fn shapes(model: &ModelProto) -> BTreeMap<String, Vec<usize>> {
    let size = |size: &i64| usize::try_from(*size).unwrap_or_default();
    let of =
        |tensor: &TensorProto| Some((tensor.name.clone()?, tensor.dims.iter().map(size).collect()));
    let tensors = model.graph.iter().flat_map(|graph| &graph.initializer);
    let products = Product::all(model).into_iter();
    let products = products.map(|product| (product.weight, product.shape.to_vec()));
    tensors.filter_map(of).chain(products).collect()
}

/// Why the matrices of a module do not fit the base's weight, which is stored `[in, out]`; none
/// where they do.
fn unfit(module: &str, a: &[usize], b: &[usize], base: &[usize], rank: usize) -> Option<String> {
    let fits = matches!(
        (a, b, base),
        (&[rank_a, inner], &[out, rank_b], &[base_inner, base_out])
            if rank_a == rank && rank_b == rank && inner == base_inner && out == base_out
    );
    (!fits).then(|| {
        format!(
            "`{module}` has A {a:?} and B {b:?}, which do not make a weight of rank {rank} for the \
             base's {base:?} [in, out]"
        )
    })
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

#[cfg(test)]
mod tests;
