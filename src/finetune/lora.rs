//! What is trained: all weights, or LoRA matrices beside frozen ones.
//!
//! LoRA (Hu et al. 2021): a linear layer with weight W gives x Wᵀ + s (x Aᵀ) Bᵀ with A [rank, in],
//! B [out, rank] and s = α / rank. Only A and B are trained. B begins as zero, so that training
//! begins at the base model.

use std::fmt;
use std::str::FromStr;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Error;
use crate::onnx::LlamaConfig;

/// The weights that change.
#[derive(Clone, Debug, PartialEq)]
pub enum Trainable {
    /// LoRA matrices of `rank` for the linear layers `modules` of every layer.
    Lora {
        /// At least 1.
        rank: usize,
        /// The product of the matrices is scaled by alpha / rank.
        alpha: f64,
        /// At least one.
        modules: Vec<Module>,
    },
    /// Every weight of the model.
    All,
}

impl Trainable {
    /// # Errors
    /// [`Error::Rank`], [`Error::NoModules`].
    pub(super) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Lora { rank: 0, .. } => Err(Error::Rank),
            Self::Lora { modules, .. } if modules.is_empty() => Err(Error::NoModules),
            Self::Lora { alpha, .. } if !alpha.is_finite() => {
                Err(Error::NotFinite { what: "LoRA alpha".to_owned() })
            }
            _ => Ok(()),
        }
    }
}

/// A linear layer that every layer of a Llama has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Module {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// The attention's output.
    O,
    /// The feed-forward layer's gate.
    Gate,
    /// The feed-forward layer's way up.
    Up,
    /// The feed-forward layer's way down.
    Down,
}

impl Module {
    /// All seven, in the order of the forward pass.
    pub const ALL: [Self; 7] =
        [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];

    /// Its name in Hugging Face checkpoints and PEFT's `target_modules`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q => "q_proj",
            Self::K => "k_proj",
            Self::V => "v_proj",
            Self::O => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    /// The names of all, for messages.
    pub(super) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// Its place within a layer: `self_attn.q_proj`.
    pub(super) fn part(self) -> String {
        let block = match self {
            Self::Q | Self::K | Self::V | Self::O => "self_attn",
            Self::Gate | Self::Up | Self::Down => "mlp",
        };
        format!("{block}.{}", self.name())
    }

    /// Its weight's shape, (out, in).
    pub(super) fn shape(self, config: &LlamaConfig) -> (usize, usize) {
        let queries = config.heads * config.head_size;
        let keys = config.kv_heads * config.head_size;
        match self {
            Self::Q => (queries, config.width),
            Self::K | Self::V => (keys, config.width),
            Self::O => (config.width, queries),
            Self::Gate | Self::Up => (config.feed_forward, config.width),
            Self::Down => (config.width, config.feed_forward),
        }
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Module {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|module| module.name() == name);
        found.ok_or_else(|| Error::UnknownModule { name: name.to_owned() })
    }
}

/// The name under which PEFT saves a LoRA matrix of a layer; `side` is `A` or `B`.
pub(super) fn tensor_name(layer: usize, module: Module, side: &str) -> String {
    format!("base_model.model.model.layers.{layer}.{}.lora_{side}.weight", module.part())
}

/// First values of A [rank, in]: uniform within ±1/√in, which is what PEFT draws (Kaiming's uniform
/// initialisation, He et al. 2015, with a = √5: its bound is √(6 / ((1 + a²) in))).
pub(super) fn initial_a(rank: usize, inner: usize, random: &mut ChaCha8Rng) -> Vec<f32> {
    let bound = 1.0 / (inner as f32).sqrt();
    (0..rank * inner).map(|_| random.random_range(-bound..bound)).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::diagnostic::explained;

    #[test]
    fn a_is_uniform_within_its_bound() {
        let values = initial_a(8, 400, &mut ChaCha8Rng::seed_from_u64(1));
        let bound = 0.05;
        assert!(values.iter().all(|value| value.abs() <= bound));
        let mean: f32 = values.iter().sum::<f32>() / 3200.0;
        let square: f32 = values.iter().map(|value| value * value).sum::<f32>() / 3200.0;
        // The variance of a uniform distribution within ±b is b²/3.
        assert!(mean.abs() < 0.002 && (square / (bound * bound / 3.0) - 1.0).abs() < 0.05);
    }

    #[test]
    fn modules_are_read_by_name() {
        for module in Module::ALL {
            assert_eq!(module.name().parse::<Module>().unwrap(), module);
        }
        let message = explained(&"c_attn".parse::<Module>().unwrap_err());
        assert!(message.contains("`c_attn`") && message.contains("q_proj, k_proj"), "{message}");
    }

    #[test]
    fn nothing_to_train_is_refused() {
        let lora = |rank, modules| Trainable::Lora { rank, alpha: 16.0, modules };
        assert!(matches!(lora(0, vec![Module::Q]).check(), Err(Error::Rank)));
        assert!(matches!(lora(8, vec![]).check(), Err(Error::NoModules)));
        assert!(lora(8, vec![Module::Q]).check().is_ok());
    }
}
