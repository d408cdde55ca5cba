//! Logits only at the positions that are asked for.
//!
//! Most of what a small model computes for a prompt is the product with the whole vocabulary, at
//! positions where nobody looks. So the asked positions are gathered before it where the end of the
//! graph is known ([`tail`]), and from its result where it is not: an eight-bit product, for
//! instance, takes its scale from all positions.

use super::constants::Constants;
use super::names::{Names, rename};
use super::node;
use super::tail::{Source, tail};
use crate::onnx::proto::{
    Dimension, DimensionValue, GraphProto, NodeProto, TensorTypeProto, TypeValue, ValueInfoProto,
};

/// What to ask of a graph, and what is the same in those inside it.
pub(super) struct Ask<'a> {
    /// The input with the positions.
    pub positions: &'a str,
    /// The operator set.
    pub opset: i64,
    /// The last dimension of the logits, where it is said.
    pub vocabulary: Option<i64>,
    pub names: &'a mut Names,
}

/// The first operator set in which `Flatten` counts axes from the end.
const COUNTS_FROM_THE_END: i64 = 11;

impl Ask<'_> {
    /// Lets output `at` of `graph` have the rows of the asked positions, instead of all, and tells
    /// whether they are gathered before the projection.
    pub(super) fn only(&mut self, graph: &mut GraphProto, at: usize, outer: &Constants) -> bool {
        let constants = outer.with(graph);
        let name = graph.output[at].name.clone().unwrap_or_default();
        let counts = self.opset >= COUNTS_FROM_THE_END;
        let tail = tail(graph, &name, &constants, self.vocabulary).filter(|_| counts);
        let all = self.names.fresh(&format!("{name}/all"));
        rename(graph, &name, &all);
        if let Some(shape) = tensor(&mut graph.output[at]).and_then(|t| t.shape.as_mut()) {
            let asked = DimensionValue::Name("asked".to_owned());
            let asked = Dimension { value: Some(asked), denotation: None };
            shape.dim.drain(..shape.dim.len().saturating_sub(1));
            shape.dim.insert(0, asked);
        }
        let Some(tail) = tail else {
            let made = self.gather(&all, &name, if counts { -1 } else { 2 });
            graph.node.extend(made);
            return false;
        };
        let changed: Vec<String> =
            tail.nodes.iter().flat_map(|&node| graph.node[node].output.clone()).collect();
        graph.value_info.retain(|v| v.name.as_ref().is_none_or(|name| !changed.contains(name)));
        for &reshape in &tail.reshapes {
            let reshape = &mut graph.node[reshape];
            reshape.op_type = Some("Identity".to_owned());
            reshape.input.truncate(1);
            reshape.attribute.clear();
        }
        // Constants of three dimensions may have brought back one for the rows.
        graph.node.push(node("Flatten", &[&all], &name, ("axis", -1)));
        match tail.source {
            Source::Projection(at) => {
                let hidden = graph.node[at].input[0].clone();
                let asked = self.names.fresh(&format!("{hidden}/asked"));
                graph.node[at].input[0].clone_from(&asked);
                let made = self.gather(&hidden, &asked, -1);
                graph.node.splice(at..at, made);
                true
            }
            Source::Branches { node, output } => {
                let mut cut = true;
                for branch in graph.node[node].graphs_mut() {
                    cut &= self.only(branch, output, &constants);
                }
                cut
            }
        }
    }

    /// The nodes that gather the asked rows of `from`, whose positions end before `axis`, as `to`.
    fn gather(&mut self, from: &str, to: &str, axis: i64) -> [NodeProto; 2] {
        let rows = self.names.fresh(&format!("{from}/rows"));
        [
            node("Flatten", &[from], &rows, ("axis", axis)),
            node("Gather", &[&rows, self.positions], to, ("axis", 0)),
        ]
    }
}

/// The last dimension of a tensor, where it is said and has a size.
pub(super) fn last_size(value: &mut ValueInfoProto) -> Option<i64> {
    size(tensor(value)?.shape.as_ref()?.dim.last()?)
}

fn size(dimension: &Dimension) -> Option<i64> {
    match dimension.value {
        Some(DimensionValue::Size(size)) => Some(size),
        _ => None,
    }
}

/// The type of a value that is a dense tensor.
pub(super) fn tensor(value: &mut ValueInfoProto) -> Option<&mut TensorTypeProto> {
    match value.r#type.as_mut()?.value.as_mut()? {
        TypeValue::Tensor(tensor) => Some(tensor),
        _ => None,
    }
}
