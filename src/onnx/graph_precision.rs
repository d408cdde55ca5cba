//! Which precision an exported graph computes in.
//!
//! What matters to a caller is whether a row's numbers are its own. Eight-bit graphs that scale
//! their activations as they run take the scale from the whole batch, and products with weights in blocks
//! of a few bits add up otherwise for a row that is left over (by some 3e-7), so that a row depends on the
//! rows beside it; all others compute each row by itself, more or less exactly.

use std::fmt;
use std::path::Path;

use super::Error;
use super::proto::{GraphProto, ModelProto, NodeProto, data_type};
use super::validate::read_model;

/// What a graph computes in, by its roughest part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphPrecision {
    /// All in f32.
    F32,
    /// Some weights are in f16.
    F16,
    /// Some weights are in bf16.
    Bf16,
    /// Activations are quantised to 8 bits, most often by the range that they have in a batch.
    Int8,
    /// Weights have 8 or fewer bits in blocks that the product takes as they are.
    InBlocks,
    /// Weights have 8 or fewer bits, activations are floating-point numbers.
    WeightOnly,
}

impl GraphPrecision {
    /// Whether a row's numbers depend on the rows beside it.
    pub fn depends_on_batch(self) -> bool {
        matches!(self, Self::Int8 | Self::InBlocks)
    }
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
/// Products with weights in blocks, whose kernel is another for a row that is left over.
const IN_BLOCKS: [&str; 2] = ["MatMulBnb4", "MatMulNBits"];
/// Other operators on quantised weights.
const WEIGHT_ONLY: [&str; 2] = ["DequantizeLinear", "GatherBlockQuantized"];

/// The precision of the graph in this file.
///
/// # Errors
/// [`Error::Corrupt`] where it is no ONNX file, [`Error::Io`].
pub fn of(graph: &Path) -> Result<GraphPrecision, Error> {
    Ok(of_model(&read_model(graph)?))
}

/// The precision of a graph that was read.
pub(super) fn of_model(model: &ModelProto) -> GraphPrecision {
    let functions = model.functions.iter().flat_map(|function| &function.node);
    let nodes = model.graph.iter().flat_map(|graph| &graph.node).chain(functions);
    let mut operators = Vec::new();
    nodes.for_each(|node| collect(node, &mut operators));
    let any = |of: &[&str]| operators.iter().any(|operator| of.contains(operator));
    if any(&INT8) {
        return GraphPrecision::Int8;
    }
    if any(&IN_BLOCKS) {
        return GraphPrecision::InBlocks;
    }
    if any(&WEIGHT_ONLY) {
        return GraphPrecision::WeightOnly;
    }
    let tensors: Vec<_> = model.graph.iter().flat_map(GraphProto::tensors).collect();
    let has = |kind: i32| tensors.iter().any(|tensor| tensor.data_type == Some(kind));
    if has(data_type::FLOAT16) {
        GraphPrecision::F16
    } else if has(data_type::BFLOAT16) {
        GraphPrecision::Bf16
    } else {
        GraphPrecision::F32
    }
}

/// The operators of a node and of the graphs inside it.
fn collect<'m>(node: &'m NodeProto, operators: &mut Vec<&'m str>) {
    operators.extend(node.op_type.as_deref());
    node.graphs().flat_map(|graph| &graph.node).for_each(|node| collect(node, operators));
}

impl fmt::Display for GraphPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Int8 => "8 bits, activations too",
            Self::InBlocks => "floating point with weights in blocks of a few bits",
            Self::WeightOnly => "floating point with quantised weights",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roughest_operator_says_whether_rows_are_their_own() {
        let of = |operators: &[&str]| {
            let node = |name: &&str| NodeProto {
                op_type: Some((*name).to_owned()),
                ..NodeProto::default()
            };
            let node = operators.iter().map(node).collect();
            let graph = GraphProto { node, ..GraphProto::default() };
            of_model(&ModelProto { graph: Some(graph), ..ModelProto::default() })
        };
        for (operators, expected, depends) in [
            (&["MatMul", "Add"][..], GraphPrecision::F32, false),
            (&["DequantizeLinear", "MatMul"], GraphPrecision::WeightOnly, false),
            (&["GatherBlockQuantized", "MatMulNBits"], GraphPrecision::InBlocks, true),
            (&["MatMulNBits", "DynamicQuantizeLinear"], GraphPrecision::Int8, true),
        ] {
            let found = of(operators);
            assert_eq!((found, found.depends_on_batch()), (expected, depends));
        }
    }
}
