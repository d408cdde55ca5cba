//! Building an ONNX graph node by node.
//!
//! Weights go straight to a data file beside the graph: no more than one is in memory.

use std::fs;
use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;

use super::Error;
use super::data_file::DataFile;
use super::product::Product;
use super::proto::{
    AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, TypeValue,
    ValueInfoProto, attribute_type, data_type,
};

/// The operator set; every runtime since 2022 knows it, on the CPU and on CUDA.
const OPSET: i64 = 17;
/// Operators beyond these that ONNX Runtime has, and their set.
const BEYOND: [&str; 2] = ["GatherBlockQuantized", "MatMulNBits"];
const BEYOND_DOMAIN: &str = "com.microsoft";
const BEYOND_OPSET: i64 = 1;
/// The format version that belongs to the operator set.
const IR_VERSION: i64 = 8;

/// A value in the graph, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tensor(String);

/// A dimension of an input or output.
#[derive(Clone, Copy, Debug)]
pub enum Dim {
    /// Known when the graph is built.
    Size(usize),
    /// Decided by what is fed.
    Named(&'static str),
}

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug)]
pub enum Element {
    /// 32-bit floating point.
    F32,
    /// 64-bit integers with a sign.
    I64,
    /// A byte each: 0 or 1.
    Bool,
    /// Bytes.
    U8,
    /// Bytes with a sign.
    I8,
}

impl Element {
    fn code(self) -> i32 {
        match self {
            Self::F32 => data_type::FLOAT,
            Self::I64 => data_type::INT64,
            Self::Bool => data_type::BOOL,
            Self::U8 => data_type::UINT8,
            Self::I8 => data_type::INT8,
        }
    }
}

/// A node's parameter.
#[derive(Clone, Debug)]
pub enum Attribute {
    /// One integer.
    Int(i64),
    /// A list of integers: axes, a permutation.
    Ints(Vec<i64>),
}

/// A graph under construction, with its data file.
pub struct GraphBuilder {
    graph: GraphProto,
    data: DataFile,
    products: Vec<Product>,
}

impl GraphBuilder {
    /// A graph named `name` whose weights go into the new file `data_path`.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub fn new(name: &str, data_path: &Path) -> Result<Self, Error> {
        Ok(Self {
            graph: GraphProto { name: Some(name.to_owned()), ..GraphProto::default() },
            data: DataFile::create(data_path)?,
            products: Vec::new(),
        })
    }

    /// Declares an input.
    pub fn input(&mut self, name: &str, element: Element, dims: &[Dim]) -> Tensor {
        self.graph.input.push(value_info(name, element, dims));
        Tensor(name.to_owned())
    }

    /// Makes `tensor`, which no node reads yet, an output called `name`.
    ///
    /// # Panics
    /// If `tensor` is not the output of a node.
    pub fn output(&mut self, tensor: Tensor, name: &str, element: Element, dims: &[Dim]) -> Tensor {
        // Renamed, not passed through an Identity, which would copy every key and value.
        let made = self.graph.node.iter_mut().rev().flat_map(|node| &mut node.output);
        let slot = made.into_iter().find(|output| **output == tensor.0);
        *slot.expect("an output is made by a node") = name.to_owned();
        let products = self.products.iter_mut().filter(|product| product.output == tensor.0);
        products.for_each(|product| name.clone_into(&mut product.output));
        self.graph.output.push(value_info(name, element, dims));
        Tensor(name.to_owned())
    }

    /// A constant kept in the data file under `name`, row-major.
    ///
    /// # Errors
    /// [`Error::Io`] where the data file cannot be written.
    ///
    /// # Panics
    /// If `values` are not as many as `shape` says.
    pub fn weight(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Result<Tensor, Error> {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "{name} has shape {shape:?}");
        let bytes = |chunk: &[f32]| -> Vec<u8> {
            chunk.iter().flat_map(|value| value.to_le_bytes()).collect()
        };
        self.stored(name, Element::F32, shape, values.chunks(1 << 16).map(bytes))
    }

    /// The same of bytes, with a sign or without.
    ///
    /// # Errors
    /// [`Error::Io`] where the data file cannot be written.
    ///
    /// # Panics
    /// If `bytes` are not as many as `shape` says.
    pub fn bytes(
        &mut self,
        name: &str,
        element: Element,
        shape: &[usize],
        bytes: &[u8],
    ) -> Result<Tensor, Error> {
        assert_eq!(shape.iter().product::<usize>(), bytes.len(), "{name} has shape {shape:?}");
        self.stored(name, element, shape, [bytes])
    }

    fn stored<P: AsRef<[u8]>>(
        &mut self,
        name: &str,
        element: Element,
        shape: &[usize],
        parts: impl IntoIterator<Item = P>,
    ) -> Result<Tensor, Error> {
        let mut tensor = TensorProto {
            name: Some(name.to_owned()),
            dims: shape.iter().map(|&size| size as i64).collect(),
            data_type: Some(element.code()),
            ..TensorProto::default()
        };
        self.data.append(&mut tensor, parts)?;
        self.graph.initializer.push(tensor);
        Ok(Tensor(name.to_owned()))
    }

    /// A constant of the data file in another shape, as `name`; the data are there once.
    ///
    /// # Panics
    /// If there is no such constant.
    pub fn reshaped(&mut self, of: &Tensor, name: &str, shape: &[usize]) -> Tensor {
        let found = self.graph.initializer.iter().find(|t| t.name.as_deref() == Some(&*of.0));
        let mut tensor = found.expect("a constant of this graph").clone();
        tensor.name = Some(name.to_owned());
        tensor.dims = shape.iter().map(|&size| size as i64).collect();
        self.graph.initializer.push(tensor);
        Tensor(name.to_owned())
    }

    /// Tells that `product` is the product of `x` with a weight of [in, out].
    pub fn tell_product(&mut self, weight: &str, shape: [usize; 2], x: &Tensor, product: &Tensor) {
        self.products.push(Product {
            weight: weight.to_owned(),
            shape,
            input: x.0.clone(),
            output: product.0.clone(),
        });
    }

    /// A small constant of integers inside the graph: a list, for shapes and axes.
    pub fn ints(&mut self, values: &[i64]) -> Tensor {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(data_type::INT64, vec![values.len() as i64], bytes)
    }

    /// A single integer inside the graph.
    pub fn int(&mut self, value: i64) -> Tensor {
        self.constant(data_type::INT64, Vec::new(), value.to_le_bytes().to_vec())
    }

    /// A single number inside the graph.
    pub fn number(&mut self, value: f32) -> Tensor {
        self.constant(data_type::FLOAT, Vec::new(), value.to_le_bytes().to_vec())
    }

    /// A single byte inside the graph.
    pub fn byte(&mut self, value: u8) -> Tensor {
        self.constant(data_type::UINT8, Vec::new(), vec![value])
    }

    fn constant(&mut self, data_type: i32, dims: Vec<i64>, bytes: Vec<u8>) -> Tensor {
        let raw_data = Some(Bytes::from(bytes));
        let same = |tensor: &&TensorProto| {
            tensor.raw_data == raw_data
                && tensor.dims == dims
                && tensor.data_type == Some(data_type)
        };
        if let Some(found) = self.graph.initializer.iter().find(same) {
            return Tensor(found.name.clone().unwrap_or_default());
        }
        let name = format!("constant_{}", self.graph.initializer.len());
        self.graph.initializer.push(TensorProto {
            name: Some(name.clone()),
            dims,
            data_type: Some(data_type),
            raw_data,
            ..TensorProto::default()
        });
        Tensor(name)
    }

    /// A node of `op` with one output.
    pub fn node(&mut self, op: &str, inputs: &[&Tensor], with: &[(&str, Attribute)]) -> Tensor {
        let [output] = self.node_with_outputs(op, inputs, with);
        output
    }

    /// A node of `op` with `N` outputs.
    pub fn node_with_outputs<const N: usize>(
        &mut self,
        op: &str,
        inputs: &[&Tensor],
        attributes: &[(&str, Attribute)],
    ) -> [Tensor; N] {
        let name = format!("{op}_{}", self.graph.node.len());
        let outputs: [Tensor; N] = std::array::from_fn(|i| Tensor(format!("{name}:{i}")));
        self.graph.node.push(NodeProto {
            name: Some(name),
            op_type: Some(op.to_owned()),
            domain: BEYOND.contains(&op).then(|| BEYOND_DOMAIN.to_owned()),
            input: inputs.iter().map(|tensor| tensor.0.clone()).collect(),
            output: outputs.iter().map(|tensor| tensor.0.clone()).collect(),
            attribute: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
            ..NodeProto::default()
        });
        outputs
    }

    /// `a + b`, broadcast.
    pub fn add(&mut self, a: &Tensor, b: &Tensor) -> Tensor {
        self.node("Add", &[a, b], &[])
    }

    /// `a * b` element by element, broadcast.
    pub fn mul(&mut self, a: &Tensor, b: &Tensor) -> Tensor {
        self.node("Mul", &[a, b], &[])
    }

    /// The matrix product, over the last two axes.
    pub fn matmul(&mut self, a: &Tensor, b: &Tensor) -> Tensor {
        self.node("MatMul", &[a, b], &[])
    }

    /// The same elements in another shape: 0 keeps a dimension, -1 is what is left.
    pub fn reshape(&mut self, a: &Tensor, shape: &[i64]) -> Tensor {
        let shape = self.ints(shape);
        self.node("Reshape", &[a, &shape], &[])
    }

    /// The axes in another order.
    pub fn transpose(&mut self, a: &Tensor, order: &[i64]) -> Tensor {
        self.node("Transpose", &[a], &[("perm", Attribute::Ints(order.to_vec()))])
    }

    /// Tensors one after the other along `axis`.
    pub fn concat(&mut self, parts: &[&Tensor], axis: i64) -> Tensor {
        self.node("Concat", parts, &[("axis", Attribute::Int(axis))])
    }

    /// The entries of `a` along `axis` at `indices`.
    pub fn gather(&mut self, a: &Tensor, indices: &Tensor, axis: i64) -> Tensor {
        self.node("Gather", &[a, indices], &[("axis", Attribute::Int(axis))])
    }

    /// New axes of size one, at `axes` of the result.
    pub fn unsqueeze(&mut self, a: &Tensor, axes: &[i64]) -> Tensor {
        let axes = self.ints(axes);
        self.node("Unsqueeze", &[a, &axes], &[])
    }

    /// The size of `a` along `axis`, as a single integer.
    pub fn size(&mut self, a: &Tensor, axis: i64) -> Tensor {
        let only = [("start", Attribute::Int(axis)), ("end", Attribute::Int(axis + 1))];
        let list = self.node("Shape", &[a], &only);
        let first = self.ints(&[0]);
        self.node("Squeeze", &[&list, &first], &[])
    }

    /// `a` with elements of another type.
    pub fn cast(&mut self, a: &Tensor, to: Element) -> Tensor {
        self.node("Cast", &[a], &[("to", Attribute::Int(i64::from(to.code())))])
    }

    /// Writes the graph to `path`, which must be in the data file's folder, and closes both files.
    ///
    /// # Errors
    /// [`Error::Io`] where one of them cannot be written.
    pub fn finish(self, path: &Path) -> Result<(), Error> {
        self.data.finish()?;
        let set = |domain: &str, version| OperatorSetIdProto {
            domain: Some(domain.to_owned()),
            version: Some(version),
        };
        let goes_beyond = self.graph.node.iter().any(|node| node.domain.is_some());
        let beyond = goes_beyond.then(|| set(BEYOND_DOMAIN, BEYOND_OPSET));
        let sets = [set("", OPSET)].into_iter().chain(beyond).collect();
        let model = ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some(env!("CARGO_PKG_NAME").to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            opset_import: sets,
            metadata_props: Product::told(&self.products),
            graph: Some(self.graph),
            ..ModelProto::default()
        };
        fs::write(path, model.encode_to_vec()).map_err(Error::io("write", path))
    }
}

pub(super) fn value_info(name: &str, element: Element, dims: &[Dim]) -> ValueInfoProto {
    let dimension = |dim: &Dim| Dimension {
        value: Some(match dim {
            Dim::Size(size) => DimensionValue::Size(*size as i64),
            Dim::Named(name) => DimensionValue::Name((*name).to_owned()),
        }),
        denotation: None,
    };
    let tensor = TensorTypeProto {
        elem_type: Some(element.code()),
        shape: Some(TensorShapeProto { dim: dims.iter().map(dimension).collect() }),
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), denotation: None }),
        ..ValueInfoProto::default()
    }
}

pub(super) fn attribute(name: &str, value: &Attribute) -> AttributeProto {
    let mut attribute = AttributeProto { name: Some(name.to_owned()), ..AttributeProto::default() };
    match value {
        Attribute::Int(i) => {
            attribute.i = Some(*i);
            attribute.r#type = Some(attribute_type::INT);
        }
        Attribute::Ints(ints) => {
            attribute.ints.clone_from(ints);
            attribute.r#type = Some(attribute_type::INTS);
        }
    }
    attribute
}
