//! An adapter's thin matrices as branches of its base's graph.

use std::collections::{BTreeMap, BTreeSet};

use prost::bytes::Bytes;

use super::Adaptation;
use crate::onnx::builder::{Attribute, Dim, Element, attribute, value_info};
use crate::onnx::checkpoint::transpose;
use crate::onnx::product::Product;
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto, data_type};

/// The input that says for each token, [tokens, 1], whether the adapter acts on it: 1 or 0.
pub const ADAPTED: &str = "adapted";
/// The same of the wanted tokens.
const OF_WANTED: &str = "adapted of wanted";

/// A product of the graph that is adapted: where in the list of nodes it is given, and by what.
type Adapted = (usize, Adaptation);

/// What is to stand before and after a node, by its place.
type Added = BTreeMap<usize, [Vec<NodeProto>; 2]>;

/// Adds the branches of `adaptations` to a graph that multiplies by each of their weights once, in
/// `products`, with a switch where it is a packed one. Gives the first weight by which it does not.
///
/// Weights that are multiplied with the same x share one product x · Aᵀ.
pub(super) fn adapt(
    graph: &mut GraphProto,
    products: &[Product],
    adaptations: Vec<Adaptation>,
    packed: bool,
) -> Option<String> {
    let narrow = if packed { add_switch(graph) } else { BTreeSet::new() };
    let by_input = match by_input(graph, products, adaptations) {
        Ok(by_input) => by_input,
        Err(left) => return Some(left),
    };
    let mut added = Added::new();
    for (x, products) in by_input {
        let switch = if narrow.contains(&x) { OF_WANTED } else { ADAPTED };
        let parts = narrow_down(graph, &x, &products, packed.then_some(switch), &mut added);
        for (product, part) in products.into_iter().zip(parts) {
            widen(graph, product, part, &mut added);
        }
    }
    let nodes = std::mem::take(&mut graph.node).into_iter().enumerate();
    graph.node = nodes
        .flat_map(|(at, node)| {
            let [before, after] = added.remove(&at).unwrap_or_default();
            before.into_iter().chain([node]).chain(after)
        })
        .collect();
    None
}

/// By x, the products that are adapted, in the graph's order; or the first weight that is in none.
fn by_input(
    graph: &GraphProto,
    products: &[Product],
    adaptations: Vec<Adaptation>,
) -> Result<Vec<(String, Vec<Adapted>)>, String> {
    let mut by_weight: BTreeMap<String, Adaptation> =
        adaptations.into_iter().map(|a| (a.weight.clone(), a)).collect();
    let places: BTreeMap<&str, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(at, node)| node.output.iter().map(move |output| (output.as_str(), at)))
        .collect();
    let mut by_input: Vec<(String, Vec<Adapted>)> = Vec::new();
    for Product { weight, input, output, .. } in products {
        let Some(&at) = places.get(output.as_str()) else { continue };
        let Some(adaptation) = by_weight.remove(weight) else { continue };
        match by_input.iter_mut().find(|(x, _)| x == input) {
            Some((_, products)) => products.push((at, adaptation)),
            None => by_input.push((input.clone(), vec![(at, adaptation)])),
        }
    }
    match by_weight.into_keys().next() {
        Some(left) => Err(left),
        None => Ok(by_input),
    }
}

/// x · Aᵀ for all products of x at once, before the first of them, times the switch where there is
/// one. Gives the names of the products' parts of it.
fn narrow_down(
    graph: &mut GraphProto,
    x: &str,
    products: &[Adapted],
    switch: Option<&str>,
    added: &mut Added,
) -> Vec<String> {
    let name = |what: &str| format!("{x} adapted: {what}");
    let (first, adaptation) = &products[0];
    let rank: usize = products.iter().map(|(_, adaptation)| adaptation.rank).sum();
    let inner = adaptation.a.len() / adaptation.rank;
    let a: Vec<f32> = products.iter().flat_map(|(_, adaptation)| adaptation.a.clone()).collect();
    graph.initializer.push(matrix(&name("A"), [inner, rank], &transpose(&a, rank, inner)));
    let [before, _] = added.entry(*first).or_default();
    let product = [x.to_owned(), name("A")];
    if let Some(switch) = switch {
        before.push(node("MatMul", &product, &[&name("thin")], &[]));
        let switched = [name("thin"), switch.to_owned()];
        before.push(node("Mul", &switched, &[&name("switched")], &[]));
    } else {
        before.push(node("MatMul", &product, &[&name("switched")], &[]));
    }
    let parts: Vec<String> = (0..products.len()).map(|i| name(&format!("part {i}"))).collect();
    let sizes: Vec<i64> = products.iter().map(|(_, a)| a.rank as i64).collect();
    graph.initializer.push(list(&name("ranks"), &sizes));
    let outputs: Vec<&str> = parts.iter().map(String::as_str).collect();
    let inputs = [name("switched"), name("ranks")];
    before.push(node("Split", &inputs, &outputs, &[("axis", Attribute::Int(-1))]));
    parts
}

/// The part of x · Aᵀ that is a product's, times s · Bᵀ, added to the product.
fn widen(graph: &mut GraphProto, product: Adapted, part: String, added: &mut Added) {
    let (at, Adaptation { weight, rank, b, scale, .. }) = product;
    let out = b.len() / rank;
    let scaled: Vec<f32> = b.iter().map(|b| scale * b).collect();
    let b = format!("{weight} adapted: B");
    graph.initializer.push(matrix(&b, [rank, out], &transpose(&scaled, out, rank)));
    let [plain, delta] = ["plain", "delta"].map(|what| format!("{weight} adapted: {what}"));
    let output = std::mem::replace(&mut graph.node[at].output[0], plain.clone());
    let [_, after] = added.entry(at).or_default();
    after.push(node("MatMul", &[part, b], &[&delta], &[]));
    after.push(node("Add", &[plain, delta], &[&output], &[]));
}

/// Adds the switch to a packed graph, and gives the values that have a row for each wanted token
/// and not for each token: their switch is [`OF_WANTED`].
fn add_switch(graph: &mut GraphProto) -> BTreeSet<String> {
    let narrow = of_wanted_tokens(graph);
    graph.input.push(value_info(ADAPTED, Element::F32, &[Dim::Named("tokens"), Dim::Size(1)]));
    let inputs = [ADAPTED.to_owned(), "wanted".to_owned()];
    let gather = node("Gather", &inputs, &[OF_WANTED], &[("axis", Attribute::Int(0))]);
    graph.node.insert(0, gather);
    narrow
}

fn of_wanted_tokens(graph: &GraphProto) -> BTreeSet<String> {
    let mut narrow: BTreeSet<String> = BTreeSet::new();
    for node in &graph.node {
        let gathers = node.op_type.as_deref() == Some("Gather")
            && node.input.get(1).is_some_and(|indices| indices == "wanted");
        if gathers || node.input.iter().any(|input| narrow.contains(input)) {
            narrow.extend(node.output.iter().cloned());
        }
    }
    narrow
}

fn node(op: &str, inputs: &[String], outputs: &[&str], with: &[(&str, Attribute)]) -> NodeProto {
    NodeProto {
        name: Some(outputs[0].to_owned()),
        op_type: Some(op.to_owned()),
        input: inputs.to_vec(),
        output: outputs.iter().map(|&output| output.to_owned()).collect(),
        attribute: with.iter().map(|(name, value)| attribute(name, value)).collect(),
        ..NodeProto::default()
    }
}

fn matrix(name: &str, shape: [usize; 2], values: &[f32]) -> TensorProto {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    constant(name, &shape.map(|size| size as i64), data_type::FLOAT, bytes)
}

fn list(name: &str, values: &[i64]) -> TensorProto {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    constant(name, &[values.len() as i64], data_type::INT64, bytes)
}

fn constant(name: &str, shape: &[i64], data_type: i32, bytes: Vec<u8>) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        dims: shape.to_vec(),
        data_type: Some(data_type),
        raw_data: Some(Bytes::from(bytes)),
        ..TensorProto::default()
    }
}
