//! The messages of the ONNX format, for reading and writing `.onnx` files.
//!
//! Field numbers and types are those of the ONNX specification (IR version 10 and later). Left out
//! are training graphs and multi-device annotations, which inference ignores. Bytes are shared
//! with the buffer that was decoded, so that a memory-mapped model is not copied.

use prost::Message;
use prost::bytes::Bytes;

pub use types::*;

pub mod data_type;
mod types;

/// A model: a graph, the operator sets it needs, and its local functions.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    /// The version of the format itself, as in 10.
    #[prost(int64, optional, tag = "1")]
    pub ir_version: Option<i64>,
    /// The program that wrote it.
    #[prost(string, optional, tag = "2")]
    pub producer_name: Option<String>,
    /// That program's version.
    #[prost(string, optional, tag = "3")]
    pub producer_version: Option<String>,
    /// Whose model it is, as a reversed domain name.
    #[prost(string, optional, tag = "4")]
    pub domain: Option<String>,
    /// Counted by its maker.
    #[prost(int64, optional, tag = "5")]
    pub model_version: Option<i64>,
    /// Free text for people.
    #[prost(string, optional, tag = "6")]
    pub doc_string: Option<String>,
    /// What is computed.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// One for each domain of its operators.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// Free text of whoever made it, by key.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
    /// Operators that its nodes may use beside those of the sets.
    #[prost(message, repeated, tag = "25")]
    pub functions: Vec<FunctionProto>,
}

/// Nodes in an order in which they can run, with their inputs, outputs and constants.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    /// Each after the nodes whose outputs it takes.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// For people.
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    /// Constants: the weights.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// Free text for people.
    #[prost(string, optional, tag = "10")]
    pub doc_string: Option<String>,
    /// What is fed; may name constants too, which then have a default.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    /// What is computed.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
    /// Types of values between nodes, as far as they are said.
    #[prost(message, repeated, tag = "13")]
    pub value_info: Vec<ValueInfoProto>,
    /// Scales and zero points of tensors.
    #[prost(message, repeated, tag = "14")]
    pub quantization_annotation: Vec<TensorAnnotation>,
    /// Constants that are mostly zero.
    #[prost(message, repeated, tag = "15")]
    pub sparse_initializer: Vec<SparseTensorProto>,
    /// Free text of whoever made it, by key.
    #[prost(message, repeated, tag = "16")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// One operator's use.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    /// Names of values, by position; empty for an optional one that is left out.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of the values that it makes, each made once in a graph.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// For people; may be empty.
    #[prost(string, optional, tag = "3")]
    pub name: Option<String>,
    /// The operator's name in its domain.
    #[prost(string, optional, tag = "4")]
    pub op_type: Option<String>,
    /// Parameters, in any order.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    /// Free text for people.
    #[prost(string, optional, tag = "6")]
    pub doc_string: Option<String>,
    /// The operator's; empty for ONNX's own.
    #[prost(string, optional, tag = "7")]
    pub domain: Option<String>,
    /// Which of several functions of that name.
    #[prost(string, optional, tag = "8")]
    pub overload: Option<String>,
    /// Free text of whoever made it, by key.
    #[prost(message, repeated, tag = "9")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// A node's parameter; `type` says which field holds it.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    /// What the operator calls it.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// One float.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// One integer.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// One text, in UTF-8.
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub s: Option<Bytes>,
    /// One tensor.
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    /// A graph within: a branch or a body.
    #[prost(message, optional, tag = "6")]
    pub g: Option<GraphProto>,
    /// Several floats.
    #[prost(float, repeated, packed = "false", tag = "7")]
    pub floats: Vec<f32>,
    /// Several integers.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    /// Several texts.
    #[prost(bytes = "bytes", repeated, tag = "9")]
    pub strings: Vec<Bytes>,
    /// Several tensors.
    #[prost(message, repeated, tag = "10")]
    pub tensors: Vec<TensorProto>,
    /// Several graphs within.
    #[prost(message, repeated, tag = "11")]
    pub graphs: Vec<GraphProto>,
    /// Free text for people.
    #[prost(string, optional, tag = "13")]
    pub doc_string: Option<String>,
    /// The type of a value.
    #[prost(message, optional, tag = "14")]
    pub tp: Option<TypeProto>,
    /// Several types.
    #[prost(message, repeated, tag = "15")]
    pub type_protos: Vec<TypeProto>,
    /// One of `AttributeProto.AttributeType`; see [`attribute_type`].
    #[prost(int32, optional, tag = "20")]
    pub r#type: Option<i32>,
    /// In a function: the parameter of the function that it stands for.
    #[prost(string, optional, tag = "21")]
    pub ref_attr_name: Option<String>,
    /// One tensor that is mostly zero.
    #[prost(message, optional, tag = "22")]
    pub sparse_tensor: Option<SparseTensorProto>,
    /// Several of them.
    #[prost(message, repeated, tag = "23")]
    pub sparse_tensors: Vec<SparseTensorProto>,
}

/// Values of `AttributeProto::type` that the builder writes.
pub mod attribute_type {
    /// The value is [`i`](super::AttributeProto::i).
    pub const INT: i32 = 2;
    /// The values are [`ints`](super::AttributeProto::ints).
    pub const INTS: i32 = 7;
}

/// The value of `TensorProto::data_location` that says: in a file of its own.
pub const EXTERNAL: i32 = 1;

/// A tensor with its values, or with where in another file they are.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// Its shape; empty for a scalar. Values are row-major.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// See [`data_type`].
    #[prost(int32, optional, tag = "2")]
    pub data_type: Option<i32>,
    /// Where the tensor is one part of a larger one.
    #[prost(message, optional, tag = "3")]
    pub segment: Option<SegmentProto>,
    /// Values of 32-bit floats, unless they are raw.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Values of all types of up to 32 bits but floats; halves by their bits.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Values that are texts.
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub string_data: Vec<Bytes>,
    /// Values of 64-bit integers with a sign.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// What nodes take it by.
    #[prost(string, optional, tag = "8")]
    pub name: Option<String>,
    /// Values of any type but texts, little-endian, in place of the lists.
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub raw_data: Option<Bytes>,
    /// Values of 64-bit floats.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Values of integers without a sign, of 32 and 64 bits.
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    /// Free text for people.
    #[prost(string, optional, tag = "12")]
    pub doc_string: Option<String>,
    /// Keys `location`, `offset` and `length`, where `data_location` is [`EXTERNAL`].
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    /// Here where there is none or 0.
    #[prost(int32, optional, tag = "14")]
    pub data_location: Option<i32>,
    /// Free text of whoever made it, by key.
    #[prost(message, repeated, tag = "16")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// Which part of a split tensor this is.
#[derive(Clone, PartialEq, Message)]
pub struct SegmentProto {
    /// Index of its first value.
    #[prost(int64, optional, tag = "1")]
    pub begin: Option<i64>,
    /// Index after its last value.
    #[prost(int64, optional, tag = "2")]
    pub end: Option<i64>,
}

/// A tensor of which only the values at `indices` are not zero.
#[derive(Clone, PartialEq, Message)]
pub struct SparseTensorProto {
    /// A list of n values.
    #[prost(message, optional, tag = "1")]
    pub values: Option<TensorProto>,
    /// Where they are: `[n]`, row-major, or `[n, rank]`.
    #[prost(message, optional, tag = "2")]
    pub indices: Option<TensorProto>,
    /// The whole tensor's shape.
    #[prost(int64, repeated, packed = "false", tag = "3")]
    pub dims: Vec<i64>,
}

/// An operator set by domain and version.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSetIdProto {
    /// Empty for ONNX's own.
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    /// From 1 up.
    #[prost(int64, optional, tag = "2")]
    pub version: Option<i64>,
}

/// A key and its value.
#[derive(Clone, PartialEq, Message)]
pub struct StringStringEntryProto {
    /// Each once in its list.
    #[prost(string, optional, tag = "1")]
    pub key: Option<String>,
    /// Numbers in decimal.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// Quantisation parameters of a tensor, by name.
#[derive(Clone, PartialEq, Message)]
pub struct TensorAnnotation {
    /// The tensor that is quantised.
    #[prost(string, optional, tag = "1")]
    pub tensor_name: Option<String>,
    /// Under `SCALE_TENSOR` and `ZERO_POINT_TENSOR` the names of tensors.
    #[prost(message, repeated, tag = "2")]
    pub quant_parameter_tensor_names: Vec<StringStringEntryProto>,
}

/// An operator that the model defines by other operators.
#[derive(Clone, PartialEq, Message)]
pub struct FunctionProto {
    /// What nodes call it by.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// Names of its values, by position.
    #[prost(string, repeated, tag = "4")]
    pub input: Vec<String>,
    /// Names of its values, by position.
    #[prost(string, repeated, tag = "5")]
    pub output: Vec<String>,
    /// Names of its parameters that must be given.
    #[prost(string, repeated, tag = "6")]
    pub attribute: Vec<String>,
    /// Each after the nodes whose outputs it takes.
    #[prost(message, repeated, tag = "7")]
    pub node: Vec<NodeProto>,
    /// Free text for people.
    #[prost(string, optional, tag = "8")]
    pub doc_string: Option<String>,
    /// The sets that its nodes are of.
    #[prost(message, repeated, tag = "9")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// Whose operator it is.
    #[prost(string, optional, tag = "10")]
    pub domain: Option<String>,
    /// Its parameters that have a default.
    #[prost(message, repeated, tag = "11")]
    pub attribute_proto: Vec<AttributeProto>,
    /// Types of its values, as far as they are said.
    #[prost(message, repeated, tag = "12")]
    pub value_info: Vec<ValueInfoProto>,
    /// Which of several of that name.
    #[prost(string, optional, tag = "13")]
    pub overload: Option<String>,
    /// Free text of whoever made it, by key.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

impl GraphProto {
    /// Its constants, and those of the graphs inside its nodes.
    pub fn tensors(&self) -> Vec<&TensorProto> {
        let mut all: Vec<&TensorProto> = self.initializer.iter().collect();
        for node in &self.node {
            all.extend(node.attribute.iter().filter_map(|attribute| attribute.t.as_ref()));
            node.graphs().for_each(|graph| all.extend(graph.tensors()));
        }
        all
    }

    /// The same, to be changed.
    pub fn tensors_mut(&mut self) -> Vec<&mut TensorProto> {
        let mut all: Vec<&mut TensorProto> = self.initializer.iter_mut().collect();
        for attribute in self.node.iter_mut().flat_map(|node| &mut node.attribute) {
            all.extend(&mut attribute.t);
            let graphs = attribute.g.iter_mut().chain(&mut attribute.graphs);
            graphs.for_each(|graph| all.extend(graph.tensors_mut()));
        }
        all
    }
}

impl NodeProto {
    /// The parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name))
    }

    /// The graphs inside it: the branches of an `If`, the body of a `Loop`.
    pub fn graphs(&self) -> impl Iterator<Item = &GraphProto> {
        self.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
    }

    /// The same, to be changed.
    pub fn graphs_mut(&mut self) -> impl Iterator<Item = &mut GraphProto> {
        let attributes = self.attribute.iter_mut();
        attributes.flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs))
    }
}

impl TensorProto {
    /// A tensor's value of the external-data key `key`.
    pub fn external(&self, key: &str) -> Option<&str> {
        let entry = self.external_data.iter().find(|entry| entry.key.as_deref() == Some(key))?;
        entry.value.as_deref()
    }
}
