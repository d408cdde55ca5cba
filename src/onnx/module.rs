//! The linear layers of a decoder, which a LoRA adapter can change.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DecoderConfig;

/// A linear layer of a decoder. Of a model that keeps several as one weight, the names of the parts stand
/// for the whole.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Module {
    /// Queries.
    #[serde(rename = "q_proj")]
    Q,
    /// Keys.
    #[serde(rename = "k_proj")]
    K,
    /// Values.
    #[serde(rename = "v_proj")]
    V,
    /// Queries, keys and values as one weight.
    #[serde(rename = "qkv_proj")]
    Qkv,
    /// The attention's output.
    #[serde(rename = "o_proj")]
    O,
    /// The feed-forward layer's gate.
    #[serde(rename = "gate_proj")]
    Gate,
    /// The feed-forward layer's way up.
    #[serde(rename = "up_proj")]
    Up,
    /// The feed-forward layer's gate and way up as one weight.
    #[serde(rename = "gate_up_proj")]
    GateUp,
    /// The feed-forward layer's way down.
    #[serde(rename = "down_proj")]
    Down,
}

impl Module {
    /// All, in the order of the forward pass.
    pub const ALL: [Self; 9] = [
        Self::Q,
        Self::K,
        Self::V,
        Self::Qkv,
        Self::O,
        Self::Gate,
        Self::Up,
        Self::GateUp,
        Self::Down,
    ];

    /// Whether a model has it, or keeps it as a part of another.
    pub(crate) fn is_of(self, config: &DecoderConfig) -> bool {
        config.linears().iter().any(|linear| linear.module.is_among(&[self]))
    }

    /// Whether a list of modules names this one, or a part of it.
    pub(crate) fn is_among(self, modules: &[Self]) -> bool {
        let parts: &[Self] = match self {
            Self::Qkv => &[Self::Q, Self::K, Self::V],
            Self::GateUp => &[Self::Gate, Self::Up],
            _ => &[],
        };
        modules.contains(&self) || parts.iter().any(|part| modules.contains(part))
    }

    /// Its name in Hugging Face checkpoints and PEFT's `target_modules`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q => "q_proj",
            Self::K => "k_proj",
            Self::V => "v_proj",
            Self::Qkv => "qkv_proj",
            Self::O => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::GateUp => "gate_up_proj",
            Self::Down => "down_proj",
        }
    }

    /// The names of all, for messages.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// Its place within a layer: `self_attn.q_proj`.
    pub(crate) fn part(self) -> String {
        let block = match self {
            Self::Q | Self::K | Self::V | Self::Qkv | Self::O => "self_attn",
            Self::Gate | Self::Up | Self::GateUp | Self::Down => "mlp",
        };
        format!("{block}.{}", self.name())
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_read_by_the_name_that_they_have() {
        for module in Module::ALL {
            let written = serde_json::to_value(module).unwrap();
            assert_eq!(written, module.name());
            assert_eq!(serde_json::from_value::<Module>(written).unwrap(), module);
        }
        assert!(serde_json::from_str::<Module>("\"c_attn\"").is_err());
    }
}
