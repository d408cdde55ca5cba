//! Exported graphs rewritten, into the cache, once: logits only where they are asked for, f32 in
//! and out, weights in files that can be mapped.
//!
//! The graph that comes out has one more input, `positions`: int64 \[asked\], indices into the
//! positions of the logits, row by row. They may come in any order, again and again, or not at all.
//! Its `logits` are f32 \[asked, vocabulary\]. All else has the name it had. A graph without
//! `logits`, an encoder, has no positions.

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;

use self::asked::{Ask, last_size};
use self::constants::Constants;
use self::names::{Names, rename};
use super::Error;
use super::proto::{
    AttributeProto, Dimension, DimensionValue, ModelProto, NodeProto, StringStringEntryProto,
    TensorShapeProto, TensorTypeProto, TypeProto, TypeValue, ValueInfoProto, attribute_type,
    data_type,
};
use super::validate::{checked_model, decode, read_bytes};
use crate::diagnostic::Events;
use crate::fetch::{self, Cache, FileHashes, digest_of_bytes};

mod asked;
mod constants;
mod interface;
mod names;
mod tail;
mod weights;

/// Raised whenever a graph would come out differently: older ones in the cache are then unused.
pub const PREPARER_VERSION: u32 = 1;

const POSITIONS: &str = "positions";
const LOGITS: &str = "logits";

/// The key under which a prepared graph bears the version that made it, and those of the facts that
/// [`Prepared`] tells.
const VERSION_KEY: &str = "kgbuild.prepared";
const CUT_KEY: &str = "kgbuild.cut";

/// A graph in the cache that takes `positions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The `.onnx` file; what it needs is beside it.
    pub graph: PathBuf,
    /// Whether the projection on the vocabulary is computed at the asked positions alone. Else they
    /// are gathered from its result; a graph without logits has none.
    pub cut: bool,
}

/// Rewrites the exported graph in the file `graph`, or finds what an earlier run made of it.
///
/// `source` is the model's folder, in which graphs have different file names, and `sha256` its hash.
/// `events` are told where something in the cache is made again.
///
/// # Errors
/// [`Error::Unsupported`] where the graph has `positions` of its own; [`Error::Corrupt`];
/// [`Error::Fetch`] where the cache cannot be written, or the folder has another hash by what was
/// read of it; [`Error::Io`].
pub fn prepare(
    graph: &Path,
    source: &Path,
    sha256: &str,
    cache: &Cache,
    events: &dyn Events,
) -> Result<Prepared, Error> {
    let name = graph.file_name().unwrap_or_default();
    let parent = cache.root().join("models").join(format!("{sha256}-prepared-{PREPARER_VERSION}"));
    // A folder for each graph of a model, so that each appears whole.
    let folder = parent.join(graph.file_stem().unwrap_or_default());
    cache.entry(
        &folder,
        events,
        |folder| open(&folder.join(name)),
        |scratch| {
            let bytes = read_bytes(graph)?;
            let mut read = FileHashes::from([(graph.to_owned(), digest_of_bytes(&bytes))]);
            let mut model = decode(graph, bytes)?;
            rewrite(&mut model, graph)?;
            weights::store(&mut model, graph, scratch, &mut read)?;
            fetch::unchanged(source, sha256, &read)?;
            let path = scratch.join(name);
            fs::write(&path, model.encode_to_vec()).map_err(Error::io("write", &path))
        },
    )
}

/// What is in the cache.
fn open(file: &Path) -> Result<Prepared, Error> {
    let model = checked_model(file)?;
    let value = |key: &str| {
        let mut entries = model.metadata_props.iter();
        entries.find(|entry| entry.key.as_deref() == Some(key))?.value.as_deref()
    };
    if value(VERSION_KEY) != Some(PREPARER_VERSION.to_string().as_str()) {
        return Err(Error::corrupt(file, "ONNX", "it is of another version of kgbuild"));
    }
    Ok(Prepared { graph: file.to_owned(), cut: value(CUT_KEY) == Some("true") })
}

fn rewrite(model: &mut ModelProto, file: &Path) -> Result<(), Error> {
    let default = model
        .opset_import
        .iter()
        .find(|opset| matches!(opset.domain.as_deref().unwrap_or_default(), "" | "ai.onnx"));
    let opset = default.and_then(|opset| opset.version).unwrap_or(1);
    let graph = model.graph.get_or_insert_default();
    let mut names = Names::of(graph);
    let mut cut = false;
    if let Some(at) = graph.output.iter().position(|output| output.name.as_deref() == Some(LOGITS))
    {
        let mut declared = graph.input.iter().chain(&graph.output);
        if declared.any(|value| value.name.as_deref() == Some(POSITIONS)) {
            let problem = format!("it has an input or output `{POSITIONS}` of its own");
            return Err(Error::unsupported(file, problem, "export it with another name for that"));
        }
        if !graph.node.iter().flat_map(|node| &node.output).any(|name| name == LOGITS) {
            return Err(Error::corrupt(file, "ONNX", format!("no node makes its `{LOGITS}`")));
        }
        let own = names.fresh(POSITIONS);
        if own != POSITIONS {
            rename(graph, POSITIONS, &own);
        }
        let logits = &mut graph.output[at];
        let vocabulary = last_size(logits);
        let names = &mut names;
        let mut ask = Ask { positions: POSITIONS, opset, vocabulary, names };
        cut = ask.only(graph, at, &Constants::default());
        graph.input.push(positions());
    }
    interface::in_f32(graph, &mut names);
    for (key, value) in [(VERSION_KEY, PREPARER_VERSION.to_string()), (CUT_KEY, cut.to_string())] {
        model.metadata_props.retain(|entry| entry.key.as_deref() != Some(key));
        let entry = StringStringEntryProto { key: Some(key.to_owned()), value: Some(value) };
        model.metadata_props.push(entry);
    }
    Ok(())
}

/// The input that asks.
fn positions() -> ValueInfoProto {
    let asked =
        Dimension { value: Some(DimensionValue::Name("asked".to_owned())), denotation: None };
    let tensor = TensorTypeProto {
        elem_type: Some(data_type::INT64),
        shape: Some(TensorShapeProto { dim: vec![asked] }),
    };
    ValueInfoProto {
        name: Some(POSITIONS.to_owned()),
        r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), denotation: None }),
        ..ValueInfoProto::default()
    }
}

/// A node with one output and one parameter; nameless, as names of nodes must not be taken.
fn node(operator: &str, inputs: &[&str], output: &str, parameter: (&str, i64)) -> NodeProto {
    let parameter = AttributeProto {
        name: Some(parameter.0.to_owned()),
        i: Some(parameter.1),
        r#type: Some(attribute_type::INT),
        ..AttributeProto::default()
    };
    NodeProto {
        op_type: Some(operator.to_owned()),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute: vec![parameter],
        ..NodeProto::default()
    }
}
