//! The products of a graph with weights, by the weights' names: where an adapter acts.

use serde::{Deserialize, Serialize};

use super::proto::{GraphProto, ModelProto, StringStringEntryProto};

/// The key of a model's metadata under which its products are told.
const KEY: &str = "kgbuild.products";

/// A product x · W, however many nodes make it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Product {
    /// The name of W.
    pub weight: String,
    /// Of W, [in, out].
    pub shape: [usize; 2],
    /// The name of x.
    pub input: String,
    /// The name of the product.
    pub output: String,
}

impl Product {
    /// What a model tells of its products; where it tells nothing, each `MatMul` with a matrix that is a
    /// constant. In the order of the graph.
    pub(super) fn all(model: &ModelProto) -> Vec<Self> {
        let told = model.metadata_props.iter().find(|entry| entry.key.as_deref() == Some(KEY));
        let told = told.and_then(|entry| serde_json::from_str(entry.value.as_deref()?).ok());
        told.unwrap_or_else(|| model.graph.as_ref().map(found).unwrap_or_default())
    }

    /// What tells a model's products in its metadata, where it has any.
    pub(super) fn told(products: &[Self]) -> Vec<StringStringEntryProto> {
        if products.is_empty() {
            return Vec::new();
        }
        let value = serde_json::json!(products).to_string();
        vec![StringStringEntryProto { key: Some(KEY.to_owned()), value: Some(value) }]
    }
}

fn found(graph: &GraphProto) -> Vec<Product> {
    let shapes: std::collections::HashMap<&str, &[i64]> = graph
        .initializer
        .iter()
        .filter_map(|tensor| Some((tensor.name.as_deref()?, &tensor.dims[..])))
        .collect();
    let of = |node: &super::proto::NodeProto| {
        let ([x, weight], [output]) = (node.input.as_slice(), node.output.as_slice()) else {
            return None;
        };
        let &&[inner, out] = shapes.get(weight.as_str())? else { return None };
        let multiplies = node.op_type.as_deref() == Some("MatMul");
        multiplies.then(|| Product {
            weight: weight.clone(),
            shape: [inner, out].map(|size| usize::try_from(size).unwrap_or_default()),
            input: x.clone(),
            output: output.clone(),
        })
    };
    graph.node.iter().filter_map(of).collect()
}
