//! The end of a language model's graph: from the logits back to the projection that makes them.

use super::constants::Constants;
use super::names::uses;
use crate::onnx::proto::{GraphProto, NodeProto};

/// Operators that give the same at a position whatever is at the others, where all their inputs but
/// one are constants that are the same for every position.
const POSITION_WISE: [&str; 12] =
    ["Add", "Cast", "Clip", "Div", "Identity", "Max", "Min", "Mul", "Neg", "Sub", "Tanh", "Where"];

/// The nodes between a value and what it is computed from, position by position.
pub(super) struct Tail {
    pub source: Source,
    /// Indices of nodes, those of `source` among them.
    pub nodes: Vec<usize>,
    /// Those that only say how positions are laid out.
    pub reshapes: Vec<usize>,
}

/// What gives a tail its values.
pub(super) enum Source {
    /// The matrix product with the vocabulary's vectors, by its index.
    Projection(usize),
    /// The output of an `If`, which takes it from the output at the same place of a branch.
    Branches { node: usize, output: usize },
}

/// What a node does to the values at each position.
enum Role<'g> {
    Projection { width: i64 },
    PositionWise { of: &'g str },
    Reshape { of: &'g str },
    Branches,
}

/// The tail that ends in the value `name`; none where something else comes before a projection, or
/// where a value on the way serves another purpose too.
///
/// `vocabulary` is the last dimension of that value where it is known: without it, a `Reshape`
/// might put several positions into one.
pub(super) fn tail(
    graph: &GraphProto,
    name: &str,
    constants: &Constants,
    vocabulary: Option<i64>,
) -> Option<Tail> {
    let (mut nodes, mut reshapes) = (Vec::new(), Vec::new());
    let mut name = name;
    loop {
        if uses(graph, name) != 1 {
            return None;
        }
        let (node, output) = maker(graph, name)?;
        nodes.push(node);
        let source = match role(&graph.node[node], constants)? {
            Role::PositionWise { of } => {
                name = of;
                continue;
            }
            Role::Reshape { of } => {
                reshapes.push(node);
                name = of;
                continue;
            }
            Role::Projection { width } if reshapes.is_empty() || vocabulary == Some(width) => {
                Source::Projection(node)
            }
            Role::Branches if reshapes.is_empty() => {
                let mut branches = graph.node[node].graphs();
                if branches.any(|branch| branch.output.len() <= output) {
                    return None;
                }
                Source::Branches { node, output }
            }
            Role::Projection { .. } | Role::Branches => return None,
        };
        return Some(Tail { source, nodes, reshapes });
    }
}

/// The node that makes a value, and the place of that value among its outputs.
fn maker(graph: &GraphProto, name: &str) -> Option<(usize, usize)> {
    let place = |node: &NodeProto| node.output.iter().position(|output| output == name);
    graph.node.iter().enumerate().find_map(|(at, node)| Some((at, place(node)?)))
}

fn role<'g>(node: &'g NodeProto, constants: &Constants) -> Option<Role<'g>> {
    let operator = node.op_type.as_deref()?;
    match (node.domain.as_deref().unwrap_or_default(), operator) {
        ("" | "ai.onnx", "If") => Some(Role::Branches),
        ("" | "ai.onnx", "Reshape") => Some(Role::Reshape { of: node.input.first()? }),
        ("" | "ai.onnx", _) if POSITION_WISE.contains(&operator) => {
            let inputs = node.input.iter().filter(|input| !input.is_empty());
            let (fixed, computed): (Vec<_>, Vec<_>) =
                inputs.partition(|input| constants.shape(input).is_some());
            match computed[..] {
                [of] if fixed.iter().all(|input| constants.is_same_everywhere(input)) => {
                    Some(Role::PositionWise { of })
                }
                _ => None,
            }
        }
        (domain, _) => {
            projected(node, domain, operator, constants).map(|width| Role::Projection { width })
        }
    }
}

/// How many numbers a position has behind a projection; none where the node is none.
fn projected(node: &NodeProto, domain: &str, operator: &str, constants: &Constants) -> Option<i64> {
    let (hidden, weight) = (node.input.first()?, node.input.get(1)?);
    if constants.shape(hidden).is_some() {
        return None;
    }
    let matrix = match constants.shape(weight)? {
        &[rows, columns] => Some((rows, columns)),
        _ => None,
    };
    let int = |name: &str| node.parameter(name).and_then(|parameter| parameter.i);
    let on = |name: &str| int(name).is_some_and(|value| value != 0);
    match (domain, operator) {
        ("" | "ai.onnx", "MatMul") => matrix.map(|(_, width)| width),
        ("" | "ai.onnx", "Gemm") => {
            let bias = node.input.get(2).filter(|bias| !bias.is_empty());
            let fits = bias.is_none_or(|bias| {
                constants.shape(bias).is_some() && constants.is_same_everywhere(bias)
            });
            let (rows, columns) = matrix.filter(|_| fits && !on("transA"))?;
            Some(if on("transB") { rows } else { columns })
        }
        ("com.microsoft", "MatMulNBits") => {
            let inputs = node.input[1..].iter().filter(|input| !input.is_empty());
            let fixed = inputs.map(|input| constants.shape(input)).all(|shape| shape.is_some());
            int("N").filter(|_| fixed)
        }
        _ => None,
    }
}
