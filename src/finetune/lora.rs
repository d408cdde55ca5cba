//! What is trained: all weights, or LoRA matrices beside frozen ones.
//!
//! LoRA (Hu et al. 2021): a linear layer with weight W gives x Wᵀ + s (x Aᵀ) Bᵀ with A [rank, in],
//! B [out, rank] and s = α / rank. Only A and B are trained. B begins as zero, so that training
//! begins at the base model.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::EngineError;
use crate::onnx::Module;

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
    /// [`EngineError::Rank`], [`EngineError::NoModules`].
    pub(super) fn check(&self) -> Result<(), EngineError> {
        match self {
            Self::Lora { rank: 0, .. } => Err(EngineError::Rank),
            Self::Lora { modules, .. } if modules.is_empty() => Err(EngineError::NoModules),
            Self::Lora { alpha, .. } if !alpha.is_finite() => {
                Err(EngineError::NotFinite { what: "LoRA alpha".to_owned() })
            }
            _ => Ok(()),
        }
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
    fn nothing_to_train_is_refused() {
        let lora = |rank, modules| Trainable::Lora { rank, alpha: 16.0, modules };
        assert!(matches!(lora(0, vec![Module::Q]).check(), Err(EngineError::Rank)));
        assert!(matches!(lora(8, vec![]).check(), Err(EngineError::NoModules)));
        assert!(lora(8, vec![Module::Q]).check().is_ok());
    }
}
