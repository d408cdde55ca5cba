//! The smallest models: what shows whether an execution provider works at all, and whether it multiplies
//! integers as they are.

use prost::Message;
use prost::bytes::Bytes;

use super::builder::{Attribute, Dim, Element, attribute, value_info};
use super::proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, data_type};

/// A model whose output `y` is max(0, `x`), f32 of shape \[1\].
pub fn smallest_model() -> Vec<u8> {
    let relu = node("Relu", &["x"], "y", &[]);
    model([1], vec![relu], Vec::new())
}

/// Rows of the matrix that [`integer_model`] multiplies with.
pub const INTEGERS: usize = 64;

/// What [`integer_model`] gives for each of its numbers at 255: (255 - 128) · 127, once for each.
pub const PRODUCT: f32 = 127.0 * 127.0 * INTEGERS as f32;

/// A model that takes 64 numbers from 0 to 255 as `x`, \[1, 64\], and multiplies each, 128 taken away, with
/// 127: their sum is `y`, \[1, 16\], sixteen times. Products of pairs do not fit into 16 bits, as some
/// processors keep them.
pub fn integer_model() -> Vec<u8> {
    const COLUMNS: usize = 16;
    let to = |kind: i32| [("to", Attribute::Int(i64::from(kind)))];
    let nodes = vec![
        node("Cast", &["x"], "bytes", &to(data_type::UINT8)),
        node("MatMulInteger", &["bytes", "weights", "middle"], "product", &[]),
        node("Cast", &["product"], "y", &to(data_type::FLOAT)),
    ];
    let constant = |name: &str, kind: i32, dims: &[usize], bytes: Vec<u8>| TensorProto {
        name: Some(name.to_owned()),
        dims: dims.iter().map(|&size| size as i64).collect(),
        data_type: Some(kind),
        raw_data: Some(Bytes::from(bytes)),
        ..TensorProto::default()
    };
    let weights = vec![127; INTEGERS * COLUMNS];
    let constants = vec![
        constant("weights", data_type::INT8, &[INTEGERS, COLUMNS], weights),
        constant("middle", data_type::UINT8, &[], vec![128]),
    ];
    model([1, INTEGERS], nodes, constants)
}

fn node(op: &str, inputs: &[&str], output: &str, with: &[(&str, Attribute)]) -> NodeProto {
    NodeProto {
        op_type: Some(op.to_owned()),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute: with.iter().map(|(name, value)| attribute(name, value)).collect(),
        ..NodeProto::default()
    }
}

/// A model from `x`, of that shape, to `y`, both in f32.
fn model<const N: usize>(
    shape: [usize; N],
    node: Vec<NodeProto>,
    initializer: Vec<TensorProto>,
) -> Vec<u8> {
    let value = |name: &str, dims: &[Dim]| value_info(name, Element::F32, dims);
    let of_y = shape.map(|_| Dim::Named("any"));
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { version: Some(17), ..Default::default() }],
        graph: Some(GraphProto {
            name: Some("probe".to_owned()),
            node,
            input: vec![value("x", &shape.map(Dim::Size))],
            output: vec![value("y", &of_y)],
            initializer,
            ..Default::default()
        }),
        ..Default::default()
    }
    .encode_to_vec()
}
