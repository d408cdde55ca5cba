//! Models made loadable: checkpoints converted to an ONNX folder in the cache, once; exported
//! folders looked at, and their graphs prepared.

use std::fs;
use std::path::{Path, PathBuf};

use super::conversation::{TEMPLATE, TEMPLATE_FILE};
use super::decoder_checkpoint::{
    CONFIG, Checkpoint, GRAPH, SPECIAL_TOKENS, TOKENIZER, TOKENIZER_CONFIG, from_gguf,
    from_safetensors, parse_settings,
};
use super::family::Family;
use super::form::{BEGINS, ENCODER, Form, WITH_PAST};
use super::graph_precision::{self, GraphPrecision};
use super::model_folder::ModelFolder;
use super::prepare::prepare;
use super::{Error, Precision, validate};
use crate::diagnostic::Events;
use crate::fetch::{self, Cache, sha256_of};

/// Raised whenever an import would come out differently: older ones in the cache are then unused.
pub const IMPORTER_VERSION: u32 = 6;

/// Raised whenever something else would lie beside an import's graph, and no number in it.
const BESIDE_VERSION: u32 = 1;

/// The files beside a graph that say how its model is asked, the first that has a key counting.
const SETTINGS: [&str; 4] = [CONFIG, "generation_config.json", TOKENIZER_CONFIG, SPECIAL_TOKENS];

/// Makes a model loadable: a GGUF file or safetensors folder is converted, into the cache, under
/// the hash of its source and `precision`; an ONNX folder is checked and used where it is.
///
/// `events` are told before anything slow begins.
///
/// # Errors
/// See [`Error`]: [`Error::Fetch`] where the source changes meanwhile, [`Error::Unsupported`] where a
/// precision is chosen for an ONNX folder. Nothing half written bears its final name, even if the
/// process is killed.
pub fn import(
    source: &Path,
    precision: Precision,
    cache: &Cache,
    events: &dyn Events,
) -> Result<ModelFolder, Error> {
    match Form::of(source)? {
        Form::Gguf => converted(source, precision, cache, events, from_gguf),
        Form::Safetensors => converted(source, precision, cache, events, from_safetensors),
        Form::Onnx(graph) => {
            check_precision(source, precision)?;
            onnx_folder(source, graph, cache, events)
        }
    }
}

/// Holds that a model can be kept in a precision: an ONNX folder is what it is.
///
/// # Errors
/// [`Error::Unsupported`] where it cannot; those of looking at it.
pub fn check_precision(source: &Path, precision: Precision) -> Result<(), Error> {
    match Form::of(source)? {
        Form::Onnx(graph) if precision != Precision::F32 => {
            let problem = format!("it is an ONNX graph, which cannot be made {precision}");
            let help = "name the GGUF file or safetensors folder that it was made from, or leave \
                        `precision` out";
            Err(Error::unsupported(&graph, problem, help))
        }
        _ => Ok(()),
    }
}

/// The files of an exported folder.
struct Exported {
    graph: PathBuf,
    encoder: Option<PathBuf>,
    with_past: Option<PathBuf>,
}

/// What is read of an exported folder's graphs.
struct Seen {
    /// The names of the first graph's inputs.
    inputs: Vec<String>,
    precision: GraphPrecision,
}

impl Exported {
    fn of(graph: PathBuf) -> Self {
        let near = |name: &str| Some(graph.with_file_name(name)).filter(|path| path.is_file());
        let encoder = near(ENCODER);
        let begins = graph.file_name().is_some_and(|name| name == BEGINS);
        // Without an encoder it was traced with one token behind a cache, and gives wrong numbers
        // for a prompt's others.
        let with_past = near(WITH_PAST).filter(|_| begins && encoder.is_some());
        Self { graph, encoder, with_past }
    }

    /// Reads each graph once, and looks for its weights.
    fn look(&self) -> Result<Seen, Error> {
        let model = validate::checked_model(&self.graph)?;
        let mut precision = graph_precision::of_model(&model);
        let inputs = validate::inputs(&model);
        for other in self.encoder.iter().chain(&self.with_past) {
            let model = validate::checked_model(other)?;
            // Of several the one that asks for most care: what is computed together then matters.
            let other = graph_precision::of_model(&model);
            if other.depends_on_batch() {
                precision = other;
            }
        }
        Ok(Seen { inputs, precision })
    }
}

/// An exported folder; its tokenizer may lie one level above the graph.
fn onnx_folder(
    folder: &Path,
    graph: PathBuf,
    cache: &Cache,
    events: &dyn Events,
) -> Result<ModelFolder, Error> {
    let near_graph = graph.parent().unwrap_or(folder).to_owned();
    let find = |name| {
        [near_graph.as_path(), folder].map(|f| f.join(name)).into_iter().find(|p| p.is_file())
    };
    let Some(tokenizer) = find(TOKENIZER) else {
        let problem = format!("there is no {TOKENIZER} beside {}", graph.display());
        return Err(Error::NoModel { path: folder.to_owned(), problem });
    };
    let exported = Exported::of(graph);
    let Seen { inputs, precision } = exported.look()?;
    validate::read_tokenizer(&tokenizer)?;
    let mut settings = serde_json::Map::new();
    for path in SETTINGS.iter().rev().filter_map(|name| find(name)) {
        settings.extend(read_settings(&path)?);
    }
    if let Some(path) = find(TEMPLATE_FILE) {
        let template = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        settings.insert(TEMPLATE.to_owned(), template.into());
    }
    let packed = inputs.iter().any(|name| name == "trees");
    let family = match packed {
        true => Family::Causal,
        false => family_of(folder, &exported, &settings, &inputs)?,
    };
    let sha256 = sha256_of(folder)?;
    let Exported { graph, encoder, with_past } = exported;
    let mut model = ModelFolder {
        exported: (!packed).then(|| graph.clone()),
        graph,
        encoder,
        with_past,
        tokenizer,
        config: find(CONFIG),
        sha256,
        family,
        precision,
        cut: packed,
        packed,
        settings,
    };
    if !packed {
        let prepared = |graph: &Path| prepare(graph, folder, &model.sha256, cache, events);
        let main = prepared(&model.graph)?;
        let [encoder, with_past] = [&model.encoder, &model.with_past].map(|graph| {
            graph.as_deref().map(|graph| prepared(graph).map(|made| made.graph)).transpose()
        });
        (model.encoder, model.with_past) = (encoder?, with_past?);
        (model.graph, model.cut) = (main.graph, main.cut);
    }
    Ok(model)
}

fn family_of(
    folder: &Path,
    exported: &Exported,
    settings: &serde_json::Map<String, serde_json::Value>,
    inputs: &[String],
) -> Result<Family, Error> {
    let names: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let config = serde_json::Value::Object(settings.clone());
    Family::of(exported.encoder.is_some(), Some(&config), &names).map_err(|problem| {
        let help = "export the model for text generation (causal), fill-mask or \
                    text2text-generation, and name that folder";
        Error::unsupported(folder, problem, help)
    })
}

fn read_settings(path: &Path) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    parse_settings(path, &text)
}

fn converted(
    source: &Path,
    precision: Precision,
    cache: &Cache,
    events: &dyn Events,
    open: impl FnOnce(&Path) -> Result<Checkpoint, Error>,
) -> Result<ModelFolder, Error> {
    let sha256 = sha256_of(source)?;
    let mut name = format!("{sha256}-{IMPORTER_VERSION}.{BESIDE_VERSION}");
    if precision != Precision::F32 {
        name += &format!("-{precision}");
    }
    let folder = cache.root().join("models").join(name);
    let settings = |folder: &Path| {
        validate::checked_model(&folder.join(GRAPH))?;
        read_settings(&folder.join(CONFIG))
    };
    let settings = cache.entry(&folder, events, settings, |scratch| {
        // Nothing is converted before all is known to be supported.
        let checkpoint = open(source)?;
        events.note(&format!("converting {} to ONNX, once", source.display()));
        fetch::unchanged(source, &sha256, &checkpoint.files)?;
        checkpoint.write(checkpoint.weights.as_ref(), precision, scratch)
    })?;
    Ok(ModelFolder {
        graph: folder.join(GRAPH),
        exported: None,
        encoder: None,
        with_past: None,
        tokenizer: folder.join(TOKENIZER),
        config: Some(folder.join(CONFIG)),
        sha256,
        family: Family::Causal,
        precision: precision.of_graph(),
        cut: true,
        packed: true,
        settings,
    })
}

#[cfg(test)]
mod tests;
