//! Prepared graphs against the ones they were made from, in ONNX Runtime, output by output.

use std::fs;
use std::path::{Path, PathBuf};

use kgbuild::diagnostic::{Events, Silent};
use kgbuild::fetch::{Cache, sha256_of};
use kgbuild::onnx::proto::{EXTERNAL, GraphProto, ModelProto};
use kgbuild::onnx::{self, GraphPrecision, Prepared, graph_precision, prepare};
use ort::session::Session;
use ort::value::TensorElementType;
use prost::Message;

use self::running::{Floats, Outputs, of, open, run};

mod altered;
mod cached;
mod running;

/// Between the f32 numbers of two graphs, which may sum in another order.
const F32: f32 = 1e-5;
/// Between f16 numbers below 2: the last bit.
const F16: f32 = 1.0 / 1024.0;

/// The file under the test data.
fn model(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models").join(path)
}

/// Prepares a graph in a cache of its own, which is removed with what is returned.
fn prepared(graph: &Path) -> (Prepared, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    (prepare_alone(graph, &cache, &Silent).unwrap(), folder)
}

/// Prepares a graph as the only one of the folder it lies in.
fn prepare_alone(
    graph: &Path,
    cache: &Cache,
    events: &dyn Events,
) -> Result<Prepared, onnx::Error> {
    let source = graph.parent().unwrap();
    prepare(graph, source, &sha256_of(source).unwrap(), cache, events)
}

fn decoded(graph: &Path) -> ModelProto {
    ModelProto::decode(&fs::read(graph).unwrap()[..]).unwrap()
}

/// Rows of equal length, of tokens that every model has.
fn rows(count: i64, length: i64, from: i64) -> Vec<Vec<i64>> {
    let row = |row| (0..length).map(|at| 5 + (31 * row + 17 * at + from) % 90).collect();
    (0..count).map(row).collect()
}

/// The largest difference; shapes must be equal, for logits without the rows.
fn difference(new: &Outputs, old: &Outputs) -> f32 {
    assert!(new.keys().eq(old.keys()));
    let mut largest: f32 = 0.0;
    for (name, old) in old {
        let new = &new[name];
        if name == "logits" {
            let [rows, positions, vocabulary] = old.shape[..] else { panic!("{:?}", old.shape) };
            assert_eq!(new.shape, [rows * positions, vocabulary]);
        } else {
            assert_eq!(new.shape, old.shape, "{name}");
        }
        largest = largest.max(furthest(&new.values, &old.values));
    }
    largest
}

/// The largest difference of two numbers at the same place.
fn furthest(new: &[f32], old: &[f32]) -> f32 {
    assert_eq!(new.len(), old.len());
    let differences = new.iter().zip(old).map(|(new, old)| {
        assert!(new.is_finite() && old.is_finite(), "{new}, {old}");
        (new - old).abs()
    });
    differences.fold(0.0, f32::max)
}

/// The rows of logits at `positions`.
fn at(logits: &Floats, positions: &[i64]) -> Vec<f32> {
    let size = *logits.shape.last().unwrap() as usize;
    let row = |&at: &i64| &logits.values[at as usize * size..][..size];
    positions.iter().flat_map(row).copied().collect()
}

/// Runs both graphs on several rows, from their beginning and behind a cache, and compares.
fn check(graph: &Path, prepared: &Prepared, behind: &[i64], bound: f32) {
    let (mut old, mut new) = (open(graph), open(&prepared.graph));
    let mut differences = Vec::new();
    let cached = old.inputs().iter().any(|input| input.name().starts_with("past_key_values"));
    let asks = new.inputs().iter().any(|input| input.name() == "positions");
    for (count, length) in [(3, 5), (1, 1), (2, 7)] {
        let tokens = rows(count, length, 0);
        let all: Vec<i64> = (0..count * length).collect();
        let before = run(&mut old, &tokens, None, &[]);
        let after = run(&mut new, &tokens, None, &all);
        differences.push(difference(&after, &before));
        for &step in behind {
            let tokens = rows(count, step, 7);
            let all: Vec<i64> = (0..count * step).collect();
            let before = run(&mut old, &tokens, Some(&before), &[]);
            let after = run(&mut new, &tokens, Some(&after), &all);
            differences.push(difference(&after, &before));
        }
        if asks {
            let some = [count * length - 1, 0, length / 2, length / 2];
            let logits = &run(&mut new, &tokens, None, &some)["logits"];
            differences.push(furthest(&logits.values, &at(&before["logits"], &some)));
            let none = &run(&mut new, &tokens, None, &[])["logits"];
            assert_eq!(none.shape, [0, *logits.shape.last().unwrap()]);
        }
    }
    assert_eq!(cached, !behind.is_empty());
    let largest = differences.into_iter().fold(0.0, f32::max);
    println!("{}: {largest:.1e}", graph.display());
    assert!(largest <= bound, "{}: {largest:.1e}", graph.display());
    check_interface(&old, &new);
    check_weights(&prepared.graph);
}

/// All that is f32 now, and what must have stayed.
fn check_interface(old: &Session, new: &Session) {
    let own = new.inputs().iter().filter(|input| input.name() != "positions");
    let inputs = own.zip(old.inputs());
    for (new, old) in inputs.chain(new.outputs().iter().zip(old.outputs())) {
        assert_eq!(new.name(), old.name());
        let ((new_type, new_shape), (old_type, old_shape)) = (of(new), of(old));
        match old_type {
            TensorElementType::Float16 => assert_eq!(new_type, TensorElementType::Float32),
            other => assert_eq!(new_type, other),
        }
        if new.name() == "logits" {
            assert_eq!(new_shape, [-1, old_shape[2]]);
        } else {
            assert_eq!(new_shape, old_shape);
        }
    }
    let given = |session: &Session| (session.inputs().len(), session.outputs().len());
    let asks = usize::from(new.inputs().iter().any(|input| input.name() == "positions"));
    assert_eq!(given(new), (given(old).0 + asks, given(old).1));
}

/// No large weight is in the graph, and those that were moved can be mapped.
fn check_weights(graph: &Path) {
    let weights = format!("{}.weights", graph.file_name().unwrap().to_str().unwrap());
    for tensor in decoded(graph).graph.unwrap().tensors() {
        assert!(tensor.raw_data.as_ref().is_none_or(|data| data.len() < 1024));
        if tensor.data_location == Some(EXTERNAL) && tensor.external("location") == Some(&weights) {
            let offset: u64 = tensor.external("offset").unwrap().parse().unwrap();
            assert_eq!(offset % 4096, 0);
        }
    }
}

/// The operators that read the asked rows, in a graph and the branches inside it.
fn readers_of_asked(graph: &GraphProto) -> Vec<String> {
    let mut readers = Vec::new();
    for node in &graph.node {
        if node.input.get(1).is_some_and(|input| input == "positions") {
            let reads = graph.node.iter().filter(|other| other.input.contains(&node.output[0]));
            readers.extend(reads.filter_map(|node| node.op_type.clone()));
        }
        readers.extend(node.graphs().flat_map(readers_of_asked));
    }
    readers
}

#[test]
fn every_exported_form_gives_the_same_where_it_is_asked() {
    for (graph, behind, bound) in [
        ("gpt2/optimum/model.onnx", &[][..], F32),
        ("gpt2/optimum-with-past/model.onnx", &[1, 3], F32),
        ("gpt2/legacy-decoder_model/decoder_model.onnx", &[], F32),
        ("opt/optimum/model.onnx", &[], F32),
        ("opt/optimum-with-past/model.onnx", &[1, 3], F32),
        ("opt/f16/model.onnx", &[1, 3], F16),
        // Its projection is in f32.
        ("opt/int8/model.onnx", &[1, 3], F32),
        ("qwen2/optimum/model.onnx", &[], F32),
        ("qwen2/optimum-with-past/model.onnx", &[1, 3], F32),
        ("llama/optimum/model.onnx", &[], F32),
        ("llama/optimum-with-past/model.onnx", &[1, 3], F32),
        ("llama/dynamo/model.onnx", &[], F32),
        // Its attention takes one token at a time behind several rows' caches.
        ("llama/genai/model.onnx", &[1], F32),
        ("llama-tied/hub/onnx/model.onnx", &[1, 3], F32),
        ("qwen3/optimum-with-past/model.onnx", &[1, 3], F32),
        ("gpt-neox/optimum-with-past/model.onnx", &[1, 3], F32),
        ("gemma/optimum-with-past/model.onnx", &[1, 3], F32),
        ("gemma2/optimum-with-past/model.onnx", &[1, 3], F32),
        ("phi/optimum-with-past/model.onnx", &[1, 3], F32),
        ("gptj/optimum-with-past/model.onnx", &[1, 3], F32),
        ("bert/optimum/model.onnx", &[], F32),
        ("roberta/hub/onnx/model.onnx", &[], F32),
        ("distilbert/optimum/model.onnx", &[], F32),
        ("albert/optimum/model.onnx", &[], F32),
        ("electra/optimum/model.onnx", &[], F32),
        ("deberta/optimum/model.onnx", &[], F32),
        ("deberta-v2/optimum/model.onnx", &[], F32),
        ("t5/optimum/decoder_model.onnx", &[], F32),
        ("t5-tied/optimum/decoder_model.onnx", &[], F32),
        ("mt5/optimum/decoder_model.onnx", &[], F32),
        ("bart/optimum/decoder_model.onnx", &[], F32),
    ] {
        let (prepared, _cache) = prepared(&model(graph));
        assert!(prepared.cut, "{graph}");
        let inner = decoded(&prepared.graph).graph.unwrap();
        let readers = readers_of_asked(&inner);
        assert!(
            ["MatMul", "Gemm"].contains(&&*readers[0]) && readers.len() == 1,
            "{graph}: {readers:?}"
        );
        check(&model(graph), &prepared, behind, bound);
    }
}

#[test]
fn both_branches_of_a_merged_decoder_are_cut() {
    let graph = model("gpt2/legacy-decoder_model_merged/decoder_model_merged.onnx");
    let (prepared, _cache) = prepared(&graph);
    assert!(prepared.cut);
    let inner = decoded(&prepared.graph).graph.unwrap();
    assert_eq!(readers_of_asked(&inner), ["MatMul", "MatMul"]);
    check(&graph, &prepared, &[1], F32);
}

#[test]
fn precisions_are_told_apart() {
    for (form, expected, words) in [
        ("opt/optimum", GraphPrecision::F32, "f32"),
        ("opt/f16", GraphPrecision::F16, "f16"),
        ("opt/int8", GraphPrecision::Int8, "8 bits, activations too"),
    ] {
        let found = graph_precision::of(&model(form).join("model.onnx")).unwrap();
        assert_eq!((found, &found.to_string()[..]), (expected, words), "{form}");
    }
}
