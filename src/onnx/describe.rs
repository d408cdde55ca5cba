//! What the files of a model say of themselves, for people.

use std::path::Path;

use super::proto::{DimensionValue, TypeValue, ValueInfoProto, data_type};
use super::validate::read_model;
use super::{Checkpoint, DecoderConfig, Error, Family};

/// A graph's inputs and outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// In the graph's order, without those that are constants.
    pub inputs: Vec<ValueDescription>,
    /// In the graph's order.
    pub outputs: Vec<ValueDescription>,
}

/// An input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueDescription {
    /// What it is fed or fetched by.
    pub name: String,
    /// Its type and shape: `int64 [batch_size, sequence_length]`.
    pub kind: String,
}

/// Reads a graph's inputs and outputs from its file.
///
/// # Errors
/// [`Error::Corrupt`] where it is no ONNX file, [`Error::Io`].
pub fn describe(graph: &Path) -> Result<Interface, Error> {
    let model = read_model(graph)?;
    let graph = model.graph.unwrap_or_default();
    // Older exports list their weights among the inputs.
    let weights: Vec<&Option<String>> =
        graph.initializer.iter().map(|tensor| &tensor.name).collect();
    let inputs = graph.input.iter().filter(|input| !weights.contains(&&input.name));
    Ok(Interface {
        inputs: inputs.map(value).collect(),
        outputs: graph.output.iter().map(value).collect(),
    })
}

impl Checkpoint {
    /// What its files say, as names and values: architecture, weights, sizes, and what a run takes.
    pub fn description(&self) -> Vec<(String, String)> {
        let DecoderConfig { architecture, layers, width, heads, head_size, kv_heads, .. } =
            &self.config;
        let total: u64 = self.kinds.values().sum();
        let share = |(kind, count): (&String, &u64)| {
            format!("{kind} {:.1} %", 100.0 * *count as f64 / total as f64)
        };
        let kinds: Vec<String> = self.kinds.iter().map(share).collect();
        let layers = layers.len();
        let gigabytes = self.bytes() as f64 / 1e9;
        let known = [
            ("family", format!("{} ({})", Family::Causal, architecture.class)),
            ("weights", format!("{:.1} million: {}", total as f64 / 1e6, kinds.join(", "))),
            (
                "layers",
                format!(
                    "{layers} of width {width}; {heads} heads of {head_size}, {kv_heads} for keys and \
                     values"
                ),
            ),
            ("context", format!("{} tokens", self.config.context)),
            ("tokenizer", format!("{} tokens", self.tokenizer.get_vocab_size(true))),
            ("memory", format!("{gigabytes:.1} GB of weights in f32, and what a run computes")),
            ("note", "it is converted to ONNX once, when it is first used".to_owned()),
        ];
        known.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
}

fn value(info: &ValueInfoProto) -> ValueDescription {
    let kind = match info.r#type.as_ref().and_then(|ty| ty.value.as_ref()) {
        Some(TypeValue::Tensor(tensor)) => {
            let element = element(tensor.elem_type.unwrap_or_default());
            match &tensor.shape {
                None => element,
                Some(shape) => {
                    let sizes = shape.dim.iter().map(|dimension| match &dimension.value {
                        Some(DimensionValue::Size(size)) => size.to_string(),
                        Some(DimensionValue::Name(name)) => name.clone(),
                        None => "?".to_owned(),
                    });
                    format!("{element} [{}]", sizes.collect::<Vec<_>>().join(", "))
                }
            }
        }
        _ => "no tensor".to_owned(),
    };
    ValueDescription { name: info.name.clone().unwrap_or_default(), kind }
}

fn element(code: i32) -> String {
    let name = match code {
        data_type::FLOAT => "float32",
        data_type::INT64 => "int64",
        data_type::BOOL => "bool",
        data_type::FLOAT16 => "float16",
        data_type::BFLOAT16 => "bfloat16",
        data_type::DOUBLE => "float64",
        data_type::INT32 => "int32",
        other => return format!("type {other}"),
    };
    name.to_owned()
}
