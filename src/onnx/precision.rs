//! Which precision an exported graph computes in.
//!
//! What matters to a caller is whether a row's numbers are its own. Eight-bit graphs that scale
//! their activations as they run take the scale from the whole batch, so that a row depends on the
//! rows beside it; all others compute each row by itself, more or less exactly.

use std::fmt;
use std::path::Path;

use super::Error;
use super::proto::{GraphProto, ModelProto, NodeProto, data_type};
use super::validate::read_model;

/// What a graph computes in, by its roughest part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// All in f32.
    F32,
    /// Some weights are in f16.
    F16,
    /// Some weights are in bf16.
    Bf16,
    /// Activations are quantised to 8 bits, most often by the range that they have in a batch.
    Int8,
    /// Weights have 8 or fewer bits, activations are floating-point numbers.
    WeightOnly,
}

/// Operators on quantised activations.
const INT8: [&str; 9] = [
    "ConvInteger",
    "DynamicQuantizeLSTM",
    "DynamicQuantizeLinear",
    "DynamicQuantizeMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "QAttention",
    "QLinearMatMul",
    "QuantizeLinear",
];
/// Operators on quantised weights.
const WEIGHT_ONLY: [&str; 4] =
    ["DequantizeLinear", "GatherBlockQuantized", "MatMulBnb4", "MatMulNBits"];

/// The precision of the graph in this file.
///
/// # Errors
/// [`Error::Corrupt`] where it is no ONNX file, [`Error::Io`].
pub fn of(graph: &Path) -> Result<Precision, Error> {
    Ok(of_model(&read_model(graph)?))
}

/// The precision of a graph that was read.
pub(super) fn of_model(model: &ModelProto) -> Precision {
    let functions = model.functions.iter().flat_map(|function| &function.node);
    let nodes = model.graph.iter().flat_map(|graph| &graph.node).chain(functions);
    let mut operators = Vec::new();
    nodes.for_each(|node| collect(node, &mut operators));
    let any = |of: &[&str]| operators.iter().any(|operator| of.contains(operator));
    if any(&INT8) {
        return Precision::Int8;
    }
    if any(&WEIGHT_ONLY) {
        return Precision::WeightOnly;
    }
    let tensors: Vec<_> = model.graph.iter().flat_map(GraphProto::tensors).collect();
    let has = |kind: i32| tensors.iter().any(|tensor| tensor.data_type == Some(kind));
    if has(data_type::FLOAT16) {
        Precision::F16
    } else if has(data_type::BFLOAT16) {
        Precision::Bf16
    } else {
        Precision::F32
    }
}

/// The operators of a node and of the graphs inside it.
fn collect<'m>(node: &'m NodeProto, operators: &mut Vec<&'m str>) {
    operators.extend(node.op_type.as_deref());
    node.graphs().flat_map(|graph| &graph.node).for_each(|node| collect(node, operators));
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Int8 => "8 bits, activations too",
            Self::WeightOnly => "floating point with quantised weights",
        })
    }
}
