//! What the graphs of a model say of themselves, for people.

use std::path::Path;

use super::Error;
use super::proto::{DimensionValue, TypeValue, ValueInfoProto, data_type};
use super::validate::read_model;

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
