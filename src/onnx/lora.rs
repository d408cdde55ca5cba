//! A PEFT LoRA adapter over an imported model, as branches of its graph.
//!
//! LoRA (Hu et al. 2021) adds a product of two thin matrices to a weight: W + s · B · A with
//! s = α / r, or α / √r where the adapter says `use_rslora`. Here the product is never added to
//! the weight: x · W gets s · (x · Aᵀ) · Bᵀ. In a packed graph a token gets it where the input
//! [`ADAPTED`] says 1, and nothing where it says 0: one session holds one copy of the weights for
//! the finetuned model and the base, whose tokens ride in the same run. An export, whose weights
//! bear the names that PEFT knows, always gets it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;
use serde::Deserialize;

use super::Error;
use super::builder::{Attribute, Dim, Element, attribute, value_info};
use super::checkpoint::transpose;
use super::import::ModelFolder;
use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto, data_type};
use super::safetensors_llama::TensorFile;
use super::validate::read_model;

/// The input that says for each token, [tokens, 1], whether the adapter acts on it: 1 or 0.
pub const ADAPTED: &str = "adapted";
/// The same of the wanted tokens.
const OF_WANTED: &str = "adapted of wanted";

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
    let left = match &mut model.graph {
        Some(graph) => adapt(graph, adaptations, base.packed),
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
    let pairs = pairs(file.shapes()?).map_err(|name| {
        let problem = format!("its tensor `{name}` is not part of a LoRA over linear layers");
        refuse(problem, "merge it into its base with PEFT and name that checkpoint")
    })?;
    if pairs.is_empty() {
        return Err(refuse("it holds no tensors".to_owned(), "train and save it again"));
    }
    let graph = model.graph.as_ref();
    let initializers: BTreeMap<&str, &TensorProto> = graph
        .iter()
        .flat_map(|graph| &graph.initializer)
        .filter_map(|tensor| Some((tensor.name.as_deref()?, tensor)))
        .collect();
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
        let tensor = initializers.get(name.as_str()).ok_or_else(|| {
            refuse(
                format!("the base {} has no `{name}`", base.named(&base.graph).display()),
                wrong_base,
            )
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
        adaptations.push(Adaptation {
            weight: name,
            rank: config.r,
            a: file.read(&a)?,
            b: file.read(&b)?,
            scale: config.scale(),
        });
    }
    Ok(adaptations)
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

/// Adds the branches of `adaptations` to a graph that multiplies by each of their weights once,
/// with a switch where it is a packed one. Gives the first weight by which it does not.
///
/// Weights that are multiplied with the same x share one product x · Aᵀ.
fn adapt(graph: &mut GraphProto, adaptations: Vec<Adaptation>, packed: bool) -> Option<String> {
    let narrow = if packed { add_switch(graph) } else { BTreeSet::new() };
    let mut by_weight: BTreeMap<String, Adaptation> =
        adaptations.into_iter().map(|a| (a.weight.clone(), a)).collect();
    // By x, the products that are adapted: where in the list of nodes they are, and by what.
    let mut by_input: Vec<(String, Vec<(usize, Adaptation)>)> = Vec::new();
    for (at, node) in graph.node.iter().enumerate() {
        let [x, weight] = node.input.as_slice() else { continue };
        if node.op_type.as_deref() != Some("MatMul") {
            continue;
        }
        let Some(adaptation) = by_weight.remove(weight) else { continue };
        match by_input.iter_mut().find(|(input, _)| input == x) {
            Some((_, products)) => products.push((at, adaptation)),
            None => by_input.push((x.clone(), vec![(at, adaptation)])),
        }
    }
    if let Some(left) = by_weight.into_keys().next() {
        return Some(left);
    }
    // What is to stand before and after a node.
    let mut added: BTreeMap<usize, [Vec<NodeProto>; 2]> = BTreeMap::new();
    for (x, products) in by_input {
        let name = |what: &str| format!("{x} adapted: {what}");
        let rank: usize = products.iter().map(|(_, adaptation)| adaptation.rank).sum();
        let inner = products[0].1.a.len() / products[0].1.rank;
        let a: Vec<f32> =
            products.iter().flat_map(|(_, adaptation)| adaptation.a.clone()).collect();
        graph.initializer.push(matrix(&name("A"), [inner, rank], &transpose(&a, rank, inner)));
        let switch = if narrow.contains(&x) { OF_WANTED } else { ADAPTED };
        let first = products[0].0;
        let [before, _] = added.entry(first).or_default();
        let product = [x.clone(), name("A")];
        if packed {
            before.push(node("MatMul", &product, &[&name("thin")], &[]));
            let switched = [name("thin"), switch.to_owned()];
            before.push(node("Mul", &switched, &[&name("switched")], &[]));
        } else {
            before.push(node("MatMul", &product, &[&name("switched")], &[]));
        }
        let parts: Vec<String> = (0..products.len()).map(|i| name(&format!("part {i}"))).collect();
        let sizes: Vec<i64> = products.iter().map(|(_, a)| a.rank as i64).collect();
        graph.initializer.push(list(&name("ranks"), &sizes));
        let outputs: Vec<&str> = parts.iter().map(String::as_str).collect();
        let inputs = [name("switched"), name("ranks")];
        before.push(node("Split", &inputs, &outputs, &[("axis", Attribute::Int(-1))]));
        for ((at, adaptation), part) in products.into_iter().zip(parts) {
            let Adaptation { weight, rank, b, scale, .. } = adaptation;
            let out = b.len() / rank;
            let scaled: Vec<f32> = b.iter().map(|b| scale * b).collect();
            let b = format!("{weight} adapted: B");
            graph.initializer.push(matrix(&b, [rank, out], &transpose(&scaled, out, rank)));
            let [plain, delta] = ["plain", "delta"].map(|what| format!("{weight} adapted: {what}"));
            let output = std::mem::replace(&mut graph.node[at].output[0], plain.clone());
            let [_, after] = added.entry(at).or_default();
            after.push(node("MatMul", &[part, b], &[&delta], &[]));
            after.push(node("Add", &[plain, delta], &[&output], &[]));
        }
    }
    let nodes = std::mem::take(&mut graph.node).into_iter().enumerate();
    graph.node = nodes
        .flat_map(|(at, node)| {
            let [before, after] = added.remove(&at).unwrap_or_default();
            before.into_iter().chain([node]).chain(after)
        })
        .collect();
    None
}

/// Adds the switch to a packed graph, and gives the values that have a row for each wanted token
/// and not for each token: their switch is [`OF_WANTED`].
fn add_switch(graph: &mut GraphProto) -> BTreeSet<String> {
    let narrow = of_wanted_tokens(graph);
    graph.input.push(value_info(ADAPTED, Element::F32, &[Dim::Named("tokens"), Dim::Size(1)]));
    let inputs = [ADAPTED.to_owned(), "wanted".to_owned()];
    let gather = node("Gather", &inputs, &[OF_WANTED], &[("axis", Attribute::Int(0))]);
    graph.node.insert(0, gather);
    narrow
}

fn of_wanted_tokens(graph: &GraphProto) -> BTreeSet<String> {
    let mut narrow: BTreeSet<String> = BTreeSet::new();
    for node in &graph.node {
        let gathers = node.op_type.as_deref() == Some("Gather")
            && node.input.get(1).is_some_and(|indices| indices == "wanted");
        if gathers || node.input.iter().any(|input| narrow.contains(input)) {
            narrow.extend(node.output.iter().cloned());
        }
    }
    narrow
}

fn node(op: &str, inputs: &[String], outputs: &[&str], with: &[(&str, Attribute)]) -> NodeProto {
    NodeProto {
        name: Some(outputs[0].to_owned()),
        op_type: Some(op.to_owned()),
        input: inputs.to_vec(),
        output: outputs.iter().map(|&output| output.to_owned()).collect(),
        attribute: with.iter().map(|(name, value)| attribute(name, value)).collect(),
        ..NodeProto::default()
    }
}

fn matrix(name: &str, shape: [usize; 2], values: &[f32]) -> TensorProto {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    constant(name, &shape.map(|size| size as i64), data_type::FLOAT, bytes)
}

fn list(name: &str, values: &[i64]) -> TensorProto {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    constant(name, &[values.len() as i64], data_type::INT64, bytes)
}

fn constant(name: &str, shape: &[i64], data_type: i32, bytes: Vec<u8>) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        dims: shape.to_vec(),
        data_type: Some(data_type),
        raw_data: Some(Bytes::from(bytes)),
        ..TensorProto::default()
    }
}

#[cfg(test)]
#[path = "lora_tests.rs"]
mod tests;
