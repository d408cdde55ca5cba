//! The names of a graph's values: which are taken, and giving a value another one.
//!
//! A new name is used nowhere yet, so a value can be renamed wherever its old name stands, in the
//! graphs inside nodes too: what shadows it there gets the same new name and shadows it still.

use std::collections::HashSet;

use crate::onnx::proto::{GraphProto, NodeProto, TensorProto};

/// The names that are taken, in a graph and those inside its nodes.
pub(super) struct Names(HashSet<String>);

impl Names {
    pub(super) fn of(graph: &mut GraphProto) -> Self {
        let mut taken = HashSet::new();
        let declared = graph.input.iter().chain(&graph.output);
        taken.extend(declared.filter_map(|value| value.name.clone()));
        each(graph, &mut |name| {
            taken.insert(name.clone());
        });
        Self(taken)
    }

    /// A new name that begins with `wish`.
    pub(super) fn fresh(&mut self, wish: &str) -> String {
        let mut name = wish.to_owned();
        while !self.0.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}

/// Gives the value `old` the name `new`, but for the declarations of the graph's own inputs and
/// outputs.
pub(super) fn rename(graph: &mut GraphProto, old: &str, new: &str) {
    each(graph, &mut |name| {
        if name == old {
            new.clone_into(name);
        }
    });
}

/// Visits every mention of a value but the declarations of the graph's own inputs and outputs.
fn each(graph: &mut GraphProto, visit: &mut impl FnMut(&mut String)) {
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(&mut *visit);
        for inner in node.graphs_mut() {
            let declared = inner.input.iter_mut().chain(&mut inner.output);
            declared.filter_map(|value| value.name.as_mut()).for_each(&mut *visit);
            each(inner, visit);
        }
    }
    let sparse = graph.sparse_initializer.iter_mut().filter_map(|sparse| sparse.values.as_mut());
    let tensors = graph.initializer.iter_mut().chain(sparse);
    tensors.filter_map(|tensor: &mut TensorProto| tensor.name.as_mut()).for_each(&mut *visit);
    graph.value_info.iter_mut().filter_map(|value| value.name.as_mut()).for_each(&mut *visit);
    for annotation in &mut graph.quantization_annotation {
        let parameters = &mut annotation.quant_parameter_tensor_names;
        let names = parameters.iter_mut().filter_map(|entry| entry.value.as_mut());
        annotation.tensor_name.iter_mut().chain(names).for_each(&mut *visit);
    }
}

/// How often a value is read: by nodes, by the graphs inside them, and as an output.
pub(super) fn uses(graph: &GraphProto, name: &str) -> usize {
    let reads = |node: &NodeProto| -> usize {
        let own = node.input.iter().filter(|input| *input == name).count();
        let inner = node.graphs().filter(|graph| !shadows(graph, name));
        own + inner.map(|graph| uses(graph, name)).sum::<usize>()
    };
    let outputs = graph.output.iter().filter(|output| output.name.as_deref() == Some(name)).count();
    outputs + graph.node.iter().map(reads).sum::<usize>()
}

/// Whether a graph inside a node has a value of its own by this name.
fn shadows(graph: &GraphProto, name: &str) -> bool {
    let made = graph.node.iter().flat_map(|node| &node.output).map(String::as_str);
    let kept = graph.initializer.iter().filter_map(|tensor| tensor.name.as_deref());
    let given = graph.input.iter().filter_map(|value| value.name.as_deref());
    made.chain(kept).chain(given).any(|own| own == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::{AttributeProto, ValueInfoProto};

    fn node(inputs: &[&str], outputs: &[&str], inner: Option<GraphProto>) -> NodeProto {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        NodeProto {
            input: owned(inputs),
            output: owned(outputs),
            attribute: vec![AttributeProto { g: inner, ..AttributeProto::default() }],
            ..NodeProto::default()
        }
    }

    fn value(name: &str) -> ValueInfoProto {
        ValueInfoProto { name: Some(name.to_owned()), ..ValueInfoProto::default() }
    }

    #[test]
    fn a_value_is_renamed_wherever_it_stands_but_in_the_graphs_own_declarations() {
        let inner = GraphProto {
            node: vec![node(&["x", "x"], &["y"], None)],
            output: vec![value("y")],
            ..GraphProto::default()
        };
        let mut graph = GraphProto {
            node: vec![node(&["x"], &["y"], Some(inner))],
            input: vec![value("x")],
            output: vec![value("y")],
            ..GraphProto::default()
        };
        assert_eq!((uses(&graph, "x"), uses(&graph, "y")), (3, 1));
        let mut names = Names::of(&mut graph);
        let new = [names.fresh("x"), names.fresh("x"), names.fresh("z")];
        assert_eq!(new, ["x_", "x__", "z"]);
        rename(&mut graph, "x", "x_");
        rename(&mut graph, "y", "z");
        let inner = graph.node[0].attribute[0].g.as_ref().unwrap();
        assert_eq!(inner.node[0], node(&["x_", "x_"], &["z"], None));
        assert_eq!(inner.output, [value("z")]);
        assert_eq!((&graph.node[0].input[0][..], &graph.node[0].output[0][..]), ("x_", "z"));
        assert_eq!((graph.input, graph.output), (vec![value("x")], vec![value("y")]));
    }
}
