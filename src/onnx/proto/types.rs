//! The messages that say of which type and shape a value is.

use prost::{Message, Oneof};

use super::StringStringEntryProto;

/// The name and type of an input, an output or a value between nodes.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    /// What nodes take it by.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// None where it is left to be inferred.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
    /// Free text for people.
    #[prost(string, optional, tag = "3")]
    pub doc_string: Option<String>,
    /// Free text of whoever made it, by key.
    #[prost(message, repeated, tag = "4")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// The type of a value.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// None where nothing is said.
    #[prost(oneof = "TypeValue", tags = "1, 4, 5, 7, 8, 9")]
    pub value: Option<TypeValue>,
    /// What it stands for, in words that ONNX lists, as in `TEXT`.
    #[prost(string, optional, tag = "6")]
    pub denotation: Option<String>,
}

/// What a [`TypeProto`] is.
#[derive(Clone, PartialEq, Oneof)]
pub enum TypeValue {
    /// Dense.
    #[prost(message, tag = "1")]
    Tensor(TensorTypeProto),
    /// A list of values of one type.
    #[prost(message, tag = "4")]
    Sequence(Box<ElementTypeProto>),
    /// Values by key.
    #[prost(message, tag = "5")]
    Map(Box<MapTypeProto>),
    /// Known to its maker alone.
    #[prost(message, tag = "7")]
    Opaque(OpaqueTypeProto),
    /// A tensor that is mostly zero.
    #[prost(message, tag = "8")]
    SparseTensor(TensorTypeProto),
    /// A value or none.
    #[prost(message, tag = "9")]
    Optional(Box<ElementTypeProto>),
}

/// The type of a dense or sparse tensor; without a shape, of any rank.
#[derive(Clone, PartialEq, Message)]
pub struct TensorTypeProto {
    /// See [`data_type`](super::data_type).
    #[prost(int32, optional, tag = "1")]
    pub elem_type: Option<i32>,
    /// May have a rank and leave its sizes open.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// The type of what a sequence or an optional holds.
#[derive(Clone, PartialEq, Message)]
pub struct ElementTypeProto {
    /// That of each element.
    #[prost(message, optional, boxed, tag = "1")]
    pub elem_type: Option<Box<TypeProto>>,
}

/// The type of a map.
#[derive(Clone, PartialEq, Message)]
pub struct MapTypeProto {
    /// See [`data_type`](super::data_type); integers and texts alone.
    #[prost(int32, optional, tag = "1")]
    pub key_type: Option<i32>,
    /// That of each value.
    #[prost(message, optional, boxed, tag = "2")]
    pub value_type: Option<Box<TypeProto>>,
}

/// A type that only its domain knows.
#[derive(Clone, PartialEq, Message)]
pub struct OpaqueTypeProto {
    /// Whose type it is.
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    /// Its name there.
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
}

/// A tensor's dimensions.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// The outermost first; none for a scalar.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// One dimension: its size, or a name for a size that the inputs decide.
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// None where nothing is known of it.
    #[prost(oneof = "DimensionValue", tags = "1, 2")]
    pub value: Option<DimensionValue>,
    /// What it stands for, in words that ONNX lists, as in `DATA_BATCH`.
    #[prost(string, optional, tag = "3")]
    pub denotation: Option<String>,
}

/// What a [`Dimension`] is.
#[derive(Clone, PartialEq, Oneof)]
pub enum DimensionValue {
    /// At least 0.
    #[prost(int64, tag = "1")]
    Size(i64),
    /// The same wherever the size is, as in `batch_size`.
    #[prost(string, tag = "2")]
    Name(String),
}
