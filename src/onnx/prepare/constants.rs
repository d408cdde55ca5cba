//! The shapes of a graph's constants, by name: initializers, `Constant` nodes, and what is computed
//! from them alone without another shape coming in.

use std::collections::HashMap;

use crate::onnx::proto::{GraphProto, NodeProto};

/// What is constant in a graph and in those around it.
#[derive(Clone, Default)]
pub(super) struct Constants(HashMap<String, Vec<i64>>);

impl Constants {
    /// These and those of a graph inside the same scope, whose names come before them.
    pub(super) fn with(&self, graph: &GraphProto) -> Self {
        let mut all = self.clone();
        for tensor in &graph.initializer {
            all.0.insert(tensor.name.clone().unwrap_or_default(), tensor.dims.clone());
        }
        for node in &graph.node {
            let shape = all.made_by(node);
            for output in &node.output {
                match &shape {
                    Some(shape) => all.0.insert(output.clone(), shape.clone()),
                    None => all.0.remove(output),
                };
            }
        }
        all
    }

    /// The shape of a constant; none for what depends on the graph's inputs.
    pub(super) fn shape(&self, name: &str) -> Option<&[i64]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Whether a constant is the same for every position: all its dimensions but the last are 1.
    pub(super) fn is_same_everywhere(&self, name: &str) -> bool {
        let shape = self.shape(name).and_then(<[i64]>::split_last);
        shape.is_none_or(|(_, positions)| positions.iter().all(|&size| size == 1))
    }

    fn made_by(&self, node: &NodeProto) -> Option<Vec<i64>> {
        let input = || self.shape(node.input.first()?);
        match node.op_type.as_deref()? {
            "Constant" => {
                let value = node.attribute.first()?;
                Some(match value.name.as_deref()? {
                    "value" => value.t.as_ref()?.dims.clone(),
                    "value_float" | "value_int" => Vec::new(),
                    "value_floats" => vec![value.floats.len() as i64],
                    "value_ints" => vec![value.ints.len() as i64],
                    _ => return None,
                })
            }
            "Identity" | "Cast" | "DequantizeLinear" => input().map(<[i64]>::to_vec),
            "Transpose" => {
                let shape = input()?;
                match node.parameter("perm") {
                    Some(order) => {
                        let at = |&axis: &i64| shape.get(usize::try_from(axis).ok()?).copied();
                        order.ints.iter().map(at).collect()
                    }
                    None => Some(shape.iter().rev().copied().collect()),
                }
            }
            _ => None,
        }
    }
}
