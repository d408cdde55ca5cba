//! Why a model cannot be asked.

use crate::diagnostic::Explain;
use crate::lm::{ChatError, TokenizerError};
use crate::onnx::Family;

/// Why a model's tokenizer cannot ask it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrompterError {
    /// It cannot be read or encode a text.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A masked model without a mask.
    #[error("{tokenizer} has no mask token, which a masked language model needs")]
    NoMask {
        /// The tokenizer's file.
        tokenizer: String,
    },
    /// A decoder of which is not known how its texts begin or end.
    #[error("{config} has no `{key}`, without which an encoder-decoder model cannot be asked")]
    NoToken {
        /// The configuration's file.
        config: String,
        /// The missing key.
        key: &'static str,
    },
    /// A model that is to be asked by a chat template, and cannot be.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// A model that holds no conversations.
    #[error("a {family} model is not asked by a chat template, as `chat = true` says")]
    NoChat {
        /// The model's family.
        family: Family,
    },
    /// The mask is not where the template has it.
    #[error("the tokenizer does not keep its mask token whole in {text:?}")]
    LostMask {
        /// The text.
        text: String,
    },
}

impl Explain for PrompterError {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::Tokenizer(error) => Some(error),
            Self::Chat(error) => Some(error),
            _ => None,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::NoChat { .. } => "leave `chat` out",
            Self::NoMask { .. } => {
                "export the tokenizer anew, with its tokenizer_config.json, which names the \
                 `mask_token`"
            }
            Self::NoToken { .. } => {
                "put the model's own config.json and generation_config.json beside its graphs"
            }
            _ => return self.inner()?.help(),
        };
        Some(help.to_owned())
    }
}
