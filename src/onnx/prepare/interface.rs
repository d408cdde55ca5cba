//! Inputs and outputs in f32, whatever the graph computes in.

use std::collections::HashSet;

use super::asked::tensor;
use super::names::{Names, rename};
use super::node;
use crate::onnx::proto::{GraphProto, ValueInfoProto, data_type};

/// Lets every input and output of another floating-point type be f32, cast inside.
pub(super) fn in_f32(graph: &mut GraphProto, names: &mut Names) {
    // Old exporters list weights among the inputs; nobody feeds these.
    let weights: HashSet<_> = graph.initializer.iter().map(|tensor| tensor.name.clone()).collect();
    let mut inputs = std::mem::take(&mut graph.input);
    let mut casts = Vec::new();
    for input in inputs.iter_mut().filter(|input| !weights.contains(&input.name)) {
        let Some((name, own)) = to_f32(input) else { continue };
        let inner = names.fresh(&format!("{name}/own"));
        rename(graph, &name, &inner);
        casts.push(node("Cast", &[&name], &inner, ("to", own.into())));
    }
    graph.node.splice(0..0, casts);
    let mut outputs = std::mem::take(&mut graph.output);
    for output in &mut outputs {
        let Some((name, _)) = to_f32(output) else { continue };
        // An input that is passed on as it is: it is f32 by now.
        if inputs.iter().any(|input| input.name == output.name) {
            continue;
        }
        let inner = names.fresh(&format!("{name}/own"));
        rename(graph, &name, &inner);
        graph.node.push(node("Cast", &[&inner], &name, ("to", data_type::FLOAT.into())));
    }
    (graph.input, graph.output) = (inputs, outputs);
}

/// Declares a value f32, and gives its name and the type that it had; none where it stays.
fn to_f32(value: &mut ValueInfoProto) -> Option<(String, i32)> {
    let own = tensor(value)?.elem_type.as_mut()?;
    match *own {
        data_type::FLOAT16 | data_type::BFLOAT16 | data_type::DOUBLE => {
            let was = std::mem::replace(own, data_type::FLOAT);
            Some((value.name.clone()?, was))
        }
        _ => None,
    }
}
