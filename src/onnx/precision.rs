//! Which precisions an exported graph computes in: f32 alone is supported.
//!
//! Eight-bit graphs that scale their activations as they run take the scale from the whole batch:
//! a row's probabilities would depend on the rows beside it.

use std::path::Path;

use super::Error;
use super::proto::{GraphProto, TensorProto, data_type};
use super::validate::read_model;

/// Operators that compute with 8 bits, or with 4.
const EIGHT_BITS: [&str; 6] = [
    "DynamicQuantizeLinear",
    "DynamicQuantizeMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "QLinearMatMul",
    "QuantizeLinear",
];
const FOUR_BITS: [&str; 2] = ["MatMulNBits", "MatMulBnb4"];

/// Checks that an exported graph is in f32.
///
/// # Errors
/// [`Error::Unsupported`] naming what it is in instead; [`Error::Io`]; [`Error::Corrupt`].
pub(super) fn check(graph: &Path) -> Result<(), Error> {
    let model = read_model(graph)?;
    match model.graph.as_ref().and_then(other) {
        None => Ok(()),
        Some(precision) => Err(Error::unsupported(
            graph,
            format!("it computes in {precision}, which is not supported yet"),
            "export the model in f32",
        )),
    }
}

/// The first sign of another precision, in this graph or those inside its nodes.
fn other(graph: &GraphProto) -> Option<&'static str> {
    let half = |tensor: &TensorProto| {
        matches!(tensor.data_type, Some(data_type::FLOAT16 | data_type::BFLOAT16))
    };
    if graph.initializer.iter().any(half) {
        return Some("half precision");
    }
    graph.node.iter().find_map(|node| {
        let operator = node.op_type.as_deref().unwrap_or_default();
        if EIGHT_BITS.contains(&operator) {
            return Some("8 bits");
        }
        if FOUR_BITS.contains(&operator) {
            return Some("4 bits");
        }
        node.attribute.iter().find_map(|attribute| {
            let constant = attribute.t.as_ref().filter(|tensor| half(tensor));
            let inner = || attribute.g.iter().chain(&attribute.graphs).find_map(other);
            constant.map(|_| "half precision").or_else(inner)
        })
    })
}
