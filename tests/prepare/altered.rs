//! Ends of graphs, names and types that no exporter at hand writes, but others may.

use kgbuild::onnx::Error;
use kgbuild::onnx::proto::{
    AttributeProto, Dimension, DimensionValue, NodeProto, OperatorSetIdProto, TensorProto,
    TypeValue, ValueInfoProto, data_type,
};
use prost::bytes::Bytes;

use super::*;

const UINT8: i32 = 2;
const INT8: i32 = 3;
/// The size of the hidden states and of the vocabulary of the graph that is altered.
const WIDTH: usize = 16;
const VOCABULARY: usize = 320;
const HIDDEN: &str = "/model/norm/Mul_1_output_0";
const EMBEDDING: &str = "model.embed_tokens.weight";

fn altered(form: &str, alter: impl FnOnce(&mut GraphProto)) -> (PathBuf, tempfile::TempDir) {
    let mut model = decoded(&model(form));
    model
        .opset_import
        .push(OperatorSetIdProto { domain: Some("com.microsoft".to_owned()), version: Some(1) });
    alter(model.graph.as_mut().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    fs::write(&path, model.encode_to_vec()).unwrap();
    (path, folder)
}

/// The same graph with `nodes`, of operator, inputs and output, in place of its projection.
fn with_head(constants: Vec<TensorProto>, nodes: Vec<NodeProto>) -> (PathBuf, tempfile::TempDir) {
    altered("qwen2/optimum/model.onnx", |graph| {
        let head = graph.node.pop().unwrap();
        assert_eq!((&head.input[0][..], &head.output[0][..]), (HIDDEN, "logits"));
        graph.initializer.extend(constants);
        graph.node.extend(nodes);
    })
}

fn node(operator: &str, inputs: &[&str], output: &str, ints: &[(&str, i64)]) -> NodeProto {
    let attribute = |&(name, value): &(&str, i64)| AttributeProto {
        name: Some(name.to_owned()),
        i: Some(value),
        r#type: Some(2),
        ..AttributeProto::default()
    };
    NodeProto {
        op_type: Some(operator.to_owned()),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: output.split(' ').map(str::to_owned).collect(),
        attribute: ints.iter().map(attribute).collect(),
        ..NodeProto::default()
    }
}

/// The projection of the graph that is altered.
fn projection(output: &str) -> NodeProto {
    node("MatMul", &[HIDDEN, "model.embed_tokens.weight_transposed"], output, &[])
}

fn constant(name: &str, kind: i32, shape: &[usize], bytes: Vec<u8>) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        dims: shape.iter().map(|&size| size as i64).collect(),
        data_type: Some(kind),
        raw_data: Some(Bytes::from(bytes)),
        ..TensorProto::default()
    }
}

fn floats(name: &str, shape: &[usize]) -> TensorProto {
    let values = (0..shape.iter().product()).map(|at: usize| (at % 7) as f32 / 8.0 + 0.25);
    constant(name, data_type::FLOAT, shape, values.flat_map(f32::to_le_bytes).collect())
}

fn ints(name: &str, values: &[i64]) -> TensorProto {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    constant(name, data_type::INT64, &[values.len()], bytes)
}

fn bytes(name: &str, kind: i32, shape: &[usize]) -> TensorProto {
    let values = (0..shape.iter().product()).map(|at: usize| (at * 37 % 251) as u8).collect();
    constant(name, kind, shape, values)
}

/// Prepares and runs a graph; `readers` are those of the asked rows, where they are cut.
fn check_altered(graph: &Path, readers: &[&str], bound: f32) {
    let (prepared, _cache) = prepared(graph);
    let inner = decoded(&prepared.graph).graph.unwrap();
    assert_eq!(readers_of_asked(&inner), readers);
    assert_eq!(prepared.cut, !readers.is_empty());
    check(graph, &prepared, &[], bound);
}

#[test]
fn a_tail_that_takes_each_position_by_itself_follows_the_cut() {
    let (graph, _folder) = with_head(
        vec![
            floats("cap", &[]),
            floats("bias", &[1, 1, VOCABULARY]),
            bytes("allowed", data_type::BOOL, &[1, VOCABULARY]),
            floats("floor", &[1]),
        ],
        vec![
            projection("raw"),
            node("Div", &["raw", "cap"], "scaled", &[]),
            node("Tanh", &["scaled"], "bent", &[]),
            node("Mul", &["cap", "bent"], "capped", &[]),
            node("Add", &["bias", "capped"], "biased", &[]),
            node("Where", &["allowed", "biased", "floor"], "masked", &[]),
            node("Cast", &["masked"], "logits", &[("to", 1)]),
        ],
    );
    check_altered(&graph, &["MatMul"], F32);
}

#[test]
fn a_product_of_matrices_loses_the_reshape_behind_it() {
    let (graph, _folder) = with_head(
        vec![
            ints("flat", &[-1, WIDTH as i64]),
            ints("vocabulary", &[VOCABULARY as i64]),
            floats("bias", &[VOCABULARY]),
            floats("more", &[1, VOCABULARY]),
        ],
        vec![
            node("Shape", &["input_ids"], "sizes", &[]),
            node("Concat", &["sizes", "vocabulary"], "shape", &[("axis", 0)]),
            node("Reshape", &[HIDDEN, "flat"], "rows", &[]),
            node("Gemm", &["rows", EMBEDDING, "bias"], "product", &[("transB", 1)]),
            node("Add", &["product", "more"], "sum", &[]),
            node("Reshape", &["sum", "shape"], "laid", &[]),
            node("Sub", &["laid", "more"], "logits", &[]),
        ],
    );
    check_altered(&graph, &["Gemm"], F32);
}

#[test]
fn a_product_with_four_bit_weights_is_cut() {
    let mut product = node(
        "MatMulNBits",
        &[HIDDEN, "packed", "scales"],
        "logits",
        &[("K", WIDTH as i64), ("N", VOCABULARY as i64), ("bits", 4), ("block_size", 16)],
    );
    product.domain = Some("com.microsoft".to_owned());
    let (graph, _folder) = with_head(
        vec![bytes("packed", UINT8, &[VOCABULARY, 1, WIDTH / 2]), floats("scales", &[VOCABULARY])],
        vec![product],
    );
    check_altered(&graph, &["MatMulNBits"], 1e-4);
    assert_eq!(graph_precision::of(&graph).unwrap(), GraphPrecision::InBlocks);
}

#[test]
fn an_eight_bit_product_keeps_the_scale_of_all_positions() {
    let (graph, _folder) = with_head(
        vec![bytes("weight", INT8, &[WIDTH, VOCABULARY]), floats("scale", &[])],
        vec![
            node("DynamicQuantizeLinear", &[HIDDEN], "eight own zero", &[]),
            node("MatMulInteger", &["eight", "weight", "zero"], "whole", &[]),
            node("Cast", &["whole"], "float", &[("to", 1)]),
            node("Mul", &["own", "scale"], "scales", &[]),
            node("Mul", &["float", "scales"], "logits", &[]),
        ],
    );
    check_altered(&graph, &[], 0.0);
    assert_eq!(graph_precision::of(&graph).unwrap(), GraphPrecision::Int8);
}

#[test]
fn logits_of_unknown_origin_are_gathered() {
    for (tail, outputs) in [
        (node("Erf", &["raw"], "logits", &[]), &[][..]),
        // What is read elsewhere too.
        (node("Identity", &["raw"], "logits", &[]), &["raw"]),
        (node("Add", &["raw", "raw"], "logits", &[]), &[]),
        // It is of the vocabulary here, but its axis might be another.
        (node("Softmax", &["raw"], "logits", &[("axis", 2)]), &[]),
    ] {
        let (graph, _folder) = altered("qwen2/optimum/model.onnx", |graph| {
            graph.node.pop();
            graph.node.extend([projection("raw"), tail]);
            for name in outputs {
                let mut more = graph.output[0].clone();
                more.name = Some((*name).to_owned());
                graph.output.push(more);
            }
        });
        check_altered(&graph, &[], F32);
    }
}

/// The type of an input or output.
fn tensor(value: &mut ValueInfoProto) -> &mut kgbuild::onnx::proto::TensorTypeProto {
    match value.r#type.as_mut().unwrap().value.as_mut().unwrap() {
        TypeValue::Tensor(tensor) => tensor,
        _ => panic!("no tensor"),
    }
}

#[test]
fn a_graph_that_says_it_gives_the_last_position_counts_rows() {
    let (graph, _folder) = altered("qwen2/optimum/model.onnx", |graph| {
        let mut head = graph.node.pop().unwrap();
        graph.initializer.extend([ints("from", &[-1]), ints("to", &[i64::MAX]), ints("at", &[1])]);
        graph.node.push(node("Slice", &[HIDDEN, "from", "to", "at"], "last", &[]));
        head.input[0] = "last".to_owned();
        graph.node.push(head);
        let shape = tensor(&mut graph.output[0]).shape.as_mut().unwrap();
        let value = Some(DimensionValue::Size(1));
        shape.dim[1] = Dimension { value, ..Dimension::default() };
    });
    let (prepared, _cache) = prepared(&graph);
    assert!(prepared.cut);
    let tokens = rows(3, 4, 0);
    let before = run(&mut open(&graph), &tokens, None, &[]);
    let after = run(&mut open(&prepared.graph), &tokens, None, &[2, 0]);
    let expected = at(&before["logits"], &[2, 0]);
    assert!(furthest(&after["logits"].values, &expected) <= F32);
}

#[test]
fn types_of_inputs_and_outputs_that_no_fixture_has_become_f32() {
    let form = "opt/optimum-with-past/model.onnx";
    let (graph, _folder) = altered(form, |graph| {
        for (values, name, kind) in [
            (&mut graph.input, "past_key_values.0.key", data_type::BFLOAT16),
            (&mut graph.output, "present.1.value", data_type::DOUBLE),
        ] {
            let value = values.iter_mut().find(|value| value.name.as_deref() == Some(name));
            tensor(value.unwrap()).elem_type = Some(kind);
        }
        for name in graph.node.iter_mut().flat_map(|n| n.input.iter_mut().chain(&mut n.output)) {
            if ["past_key_values.0.key", "present.1.value"].contains(&&name[..]) {
                name.push_str("/f32");
            }
        }
        let (past, present) = ("past_key_values.0.key", "present.1.value");
        let first = node("Cast", &[past], &format!("{past}/f32"), &[("to", 1)]);
        graph.node.insert(0, first);
        let to = i64::from(data_type::DOUBLE);
        graph.node.push(node("Cast", &[&format!("{present}/f32")], present, &[("to", to)]));
    });
    let (prepared, _cache) = prepared(&graph);
    // A key below 4 with the eight bits of bf16.
    check(&model(form), &prepared, &[1], 1.0 / 64.0);
}

#[test]
fn a_large_constant_inside_a_node_is_moved_too() {
    let (graph, _folder) = altered("qwen2/optimum/model.onnx", |graph| {
        let is_embedding = |tensor: &TensorProto| tensor.name.as_deref() == Some(EMBEDDING);
        let at = graph.initializer.iter().position(is_embedding).unwrap();
        let mut made = node("Constant", &[], EMBEDDING, &[]);
        made.attribute.push(AttributeProto {
            name: Some("value".to_owned()),
            t: Some(graph.initializer.remove(at)),
            r#type: Some(4),
            ..AttributeProto::default()
        });
        graph.node.insert(0, made);
    });
    check_altered(&graph, &["MatMul"], F32);
}

#[test]
fn weights_inside_branches_are_moved_and_known_there() {
    let form = "gpt2/legacy-decoder_model_merged/decoder_model_merged.onnx";
    let (graph, _folder) = altered(form, |graph| {
        let head =
            |tensor: &TensorProto| tensor.name.as_deref() == Some("onnx::MatMul_693_merged_0");
        let at = graph.initializer.iter().position(head).unwrap();
        let weight = graph.initializer.remove(at);
        for branch in graph.node.iter_mut().flat_map(NodeProto::graphs_mut) {
            branch.initializer.push(weight.clone());
        }
    });
    let (prepared, _cache) = prepared(&graph);
    assert!(prepared.cut);
    check(&graph, &prepared, &[1], F32);
}

#[test]
fn an_operator_set_that_counts_no_axes_from_the_end_is_gathered() {
    let (graph, _folder) = altered("qwen2/optimum/model.onnx", |graph| {
        let is_embedding = |tensor: &TensorProto| tensor.name.as_deref() == Some(EMBEDDING);
        graph.initializer.retain(is_embedding);
        graph.initializer.push(floats("weight", &[WIDTH, VOCABULARY]));
        graph.input.truncate(1);
        graph.node = vec![
            node("Gather", &[EMBEDDING, "input_ids"], "hidden", &[]),
            node("MatMul", &["hidden", "weight"], "logits", &[]),
        ];
    });
    check_altered(&graph, &["MatMul"], F32);
    let mut model = decoded(&graph);
    model.opset_import[0].version = Some(9);
    fs::write(&graph, model.encode_to_vec()).unwrap();
    check_altered(&graph, &[], F32);
}

#[test]
fn a_value_of_that_name_steps_aside_an_input_of_it_is_refused() {
    let named = |graph: &mut GraphProto, declared: bool| {
        if declared {
            graph.input[2].name = Some("positions".to_owned());
        }
        for name in graph.node.iter_mut().flat_map(|n| n.input.iter_mut().chain(&mut n.output)) {
            if name == if declared { "position_ids" } else { HIDDEN } {
                "positions".clone_into(name);
            }
        }
    };
    let (graph, _folder) = altered("qwen2/optimum/model.onnx", |graph| named(graph, false));
    check_altered(&graph, &["MatMul"], F32);
    let (graph, folder) = altered("qwen2/optimum/model.onnx", |graph| named(graph, true));
    let refused = prepare_alone(&graph, &Cache::at(folder.path()), &Silent);
    let Err(error @ Error::Unsupported { .. }) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("`positions` of its own"), "{error}");
}
