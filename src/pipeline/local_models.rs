//! The models that a pipeline names and that lie here, looked at without converting them.

use super::ModelsError;
use crate::config::Pipeline;
use crate::fetch::ModelSource;
use crate::lm::{Chat, PrompterError};
use crate::onnx::{self, lora};

/// Holds that the local checkpoints which `pipeline` names can be read, without converting them.
///
/// # Errors
/// What an import of them would say before it begins.
pub(super) fn check_local(pipeline: &Pipeline) -> Result<(), ModelsError> {
    let named = pipeline.models.base.iter().chain(&pipeline.models.finetuned);
    for path in named.filter_map(ModelSource::path) {
        if lora::is_lora_folder(path) {
            continue;
        }
        if !onnx::is_checkpoint(path)? {
            onnx::check_precision(path, pipeline.models.precision)?;
            continue;
        }
        let checkpoint = onnx::open_checkpoint(path)?;
        if let Some(conversation) = checkpoint.conversation()
            && pipeline.models.chat
        {
            Chat::new(path.display().to_string(), conversation).map_err(PrompterError::from)?;
        }
    }
    Ok(())
}
