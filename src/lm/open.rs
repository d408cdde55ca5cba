//! From a model's files to one that can be asked.

use std::path::{Path, PathBuf};

use super::seq2seq::Part;
use super::{Batching, CausalModel, Error, LanguageModel, MaskedModel, PackedModel, Seq2SeqModel};
use crate::diagnostic::{Explain, Fault};
use crate::onnx::{self, Family, GraphPrecision, Head, ModelFolder, lora};
use crate::runtime::{self, Runtime};

/// Why a model cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Its files, or the adapter's, are broken or of a kind that is not supported.
    #[error(transparent)]
    Files(#[from] onnx::Error),
    /// ONNX Runtime refuses it.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// Its graph is not a language model's.
    #[error(transparent)]
    Graph(#[from] Error),
    /// ONNX Runtime refuses it, most likely for what it computes in.
    #[error(
        "{model} computes in {precision}, which this device does not know for all of its operators"
    )]
    Precision {
        /// The model's file.
        model: PathBuf,
        /// What it computes in.
        precision: GraphPrecision,
        /// What ONNX Runtime says.
        #[source]
        source: runtime::Error,
    },
    /// A precision that this machine gets wrong.
    #[error(
        "precision = \"int8\", but this processor multiplies 8-bit integers wrongly: it keeps sums in \
         16 bits, which are too few"
    )]
    Integers,
}

impl Explain for OpenError {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::Files(error) => Some(error),
            Self::Runtime(error) => Some(error),
            Self::Graph(error) => Some(error),
            Self::Precision { .. } | Self::Integers => None,
        }
    }

    fn fault(&self) -> Fault {
        match self {
            // One that fails when it is first tried is not for this machine.
            Self::Graph(_) | Self::Precision { .. } | Self::Integers => Fault::User,
            Self::Files(error) => error.fault(),
            Self::Runtime(error) => error.fault(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Precision { .. } => {
                Some("export the model in f32, or run it on a device that does".to_owned())
            }
            Self::Integers => Some(
                "write precision = \"q8\" or \"q4\" under [models], or leave it out".to_owned(),
            ),
            _ => self.inner()?.help(),
        }
    }
}

/// Bytes of the widest of a packed graph's values in a run: more rows make its products no faster.
const WIDEST: u64 = 16 << 20;

/// How many tokens of a model ride in one run at most, by the width of its feed-forward layers.
fn most_tokens(model: &ModelFolder) -> usize {
    let width = model.settings.get("intermediate_size").and_then(|width| width.as_u64());
    let most = WIDEST / (4 * width.unwrap_or(1).max(1));
    usize::try_from(most).map_or(usize::MAX, |most| most.max(128))
}

/// Opens a model, with the LoRA adapter of a folder where one is named, in a session with
/// `threads` of its own.
///
/// With an adapter and `models` = 2 the finetuned model and its base answer together, from one
/// copy of the weights. `token_budget` is how many tokens are computed at once, fewer of wide models.
///
/// # Errors
/// See [`OpenError`].
pub fn open(
    runtime: &Runtime,
    model: &ModelFolder,
    adapter: Option<&Path>,
    models: usize,
    threads: usize,
    token_budget: usize,
) -> Result<Box<dyn LanguageModel>, OpenError> {
    let (graph, named) = (&model.graph, &model.named(&model.graph));
    let batching =
        Batching { tokens: token_budget.max(1), alone: model.precision.depends_on_batch() };
    let integers = model.packed && model.precision == GraphPrecision::Int8;
    // What cannot be tried cannot be opened either, and says why.
    if integers && runtime.multiplies_integers().is_ok_and(|right| !right) {
        return Err(OpenError::Integers);
    }
    let session = match adapter {
        Some(adapter) => {
            runtime.session_from_memory(&lora::graph(adapter, model)?, graph, threads)?
        }
        None => runtime.session(graph, named, threads).map_err(|source| {
            let half = matches!(model.precision, GraphPrecision::F16 | GraphPrecision::Bf16);
            match source {
                runtime::Error::Open { .. } if half => {
                    let (model, precision) = (named.clone(), model.precision);
                    OpenError::Precision { model, precision, source }
                }
                source => source.into(),
            }
        })?,
    };
    if model.packed {
        let head = Head::open(model)?;
        let in_blocks = model.precision == GraphPrecision::InBlocks;
        let token_budget = token_budget.min(most_tokens(model));
        let packed = PackedModel::new(session, named, head, in_blocks, models, token_budget)?;
        return Ok(Box::new(packed));
    }
    Ok(match (model.family, &model.encoder) {
        (Family::EncoderDecoder, Some(encoder)) => {
            let open = |file: &PathBuf| -> Result<Part, OpenError> {
                let named = model.named(file);
                Ok((runtime.session(file, &named, threads)?, named))
            };
            let with_past = model.with_past.as_ref().map(open).transpose()?;
            let decoder = (session, named.clone());
            Box::new(Seq2SeqModel::new(open(encoder)?, decoder, with_past, batching)?)
        }
        (Family::Masked, _) => Box::new(MaskedModel::new(session, named, batching)?),
        _ => Box::new(CausalModel::new(session, named, batching)?),
    })
}
