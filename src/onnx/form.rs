//! How a source keeps its model: in which format, and under which names.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Error, gguf, lora, safetensors_weights};

/// Where the exporters of the field put a language model's or a decoder's graph, the preferred first.
const GRAPHS: [&str; 6] = [
    "model.onnx",
    "decoder_model_merged.onnx",
    "decoder_model.onnx",
    "onnx/model.onnx",
    "onnx/decoder_model_merged.onnx",
    "onnx/decoder_model.onnx",
];

/// An encoder's graph, beside that of its decoder.
pub(super) const ENCODER: &str = "encoder_model.onnx";
/// A graph that goes on behind a cache, beside [`BEGINS`], which does not.
pub(super) const WITH_PAST: &str = "decoder_with_past_model.onnx";
pub(super) const BEGINS: &str = "decoder_model.onnx";

/// The graphs of an exported folder as they lie in it: that of the model or decoder, the encoder's,
/// the one that goes on behind a cache. None where the source is no exported folder.
pub fn exported_graphs(source: &Path) -> Vec<PathBuf> {
    let Ok(Form::Onnx(graph)) = Form::of(source) else { return Vec::new() };
    let beside = [ENCODER, WITH_PAST].map(|name| graph.with_file_name(name));
    let beside: Vec<PathBuf> = beside.into_iter().filter(|path| path.is_file()).collect();
    [graph].into_iter().chain(beside).collect()
}

/// Whether a source is a checkpoint, which is converted before it is used.
///
/// # Errors
/// [`Error::NoModel`] where it is no model, [`Error::Io`].
pub fn is_checkpoint(source: &Path) -> Result<bool, Error> {
    Ok(!matches!(Form::of(source)?, Form::Onnx(_)))
}

/// How a source keeps its model.
pub(super) enum Form {
    Gguf,
    Safetensors,
    /// With the path of its graph.
    Onnx(PathBuf),
}

impl Form {
    /// The form of a file or folder.
    ///
    /// # Errors
    /// [`Error::NoModel`] where it is none, [`Error::Io`] where it is not there.
    pub(super) fn of(source: &Path) -> Result<Self, Error> {
        if source.is_dir() {
            if let Some(graph) = GRAPHS.iter().map(|name| source.join(name)).find(|p| p.is_file()) {
                return Ok(Self::Onnx(graph));
            }
            if safetensors_weights::is_checkpoint(source) {
                return Ok(Self::Safetensors);
            }
            let problem = if lora::is_lora_folder(source) {
                "it is a LoRA adapter, which needs its base"
            } else {
                "the folder holds no model.onnx and no model.safetensors"
            };
            return Err(Error::NoModel { path: source.to_owned(), problem: problem.to_owned() });
        }
        let mut begin = Vec::new();
        let file = fs::File::open(source).map_err(Error::io("read", source))?;
        file.take(4).read_to_end(&mut begin).map_err(Error::io("read", source))?;
        let named = source.extension().is_some_and(|name| name.eq_ignore_ascii_case("gguf"));
        if named || begin == gguf::MAGIC {
            return Ok(Self::Gguf);
        }
        let problem = "a single file must be a GGUF file".to_owned();
        Err(Error::NoModel { path: source.to_owned(), problem })
    }
}
