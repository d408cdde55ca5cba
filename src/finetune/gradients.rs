//! The derivatives of a loss by every trained tensor.

use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Tensor, Var};
use rayon::prelude::*;

use super::EngineError;
use super::values::Values;

/// One tensor for each of the model's parameters, in their order and shape.
#[derive(Clone, Debug)]
pub struct Gradients(Vec<Tensor>);

/// Added to the norm that a clipped gradient is divided by, as PyTorch's `clip_grad_norm_` does.
const CLIP_EPSILON: f64 = 1e-6;

impl Gradients {
    pub(super) fn new(tensors: Vec<Tensor>) -> Self {
        Self(tensors)
    }

    /// The tensors, in the order of the parameters.
    pub fn tensors(&self) -> &[Tensor] {
        &self.0
    }

    /// √ of the sum of all squares, summed in f64 in a fixed order.
    ///
    /// # Errors
    /// [`EngineError::NotFinite`] naming the first parameter whose gradient holds a NaN or an infinity;
    /// `parameters` are the model's.
    pub fn norm(&self, parameters: &[(String, Var)]) -> Result<f64, EngineError> {
        let mut sum = 0.0;
        for (gradient, (name, _)) in self.0.iter().zip(parameters) {
            let squares = sum_of_squares(gradient)?;
            if !squares.is_finite() {
                return Err(EngineError::NotFinite { what: format!("gradient of {name}") });
            }
            sum += squares;
        }
        Ok(f64::sqrt(sum))
    }

    /// Scales all gradients so that their norm is at most `largest`. Gives the norm before.
    ///
    /// # Errors
    /// As [`Self::norm`].
    pub fn clip(&mut self, parameters: &[(String, Var)], largest: f64) -> Result<f64, EngineError> {
        let norm = self.norm(parameters)?;
        let factor = largest / (norm + CLIP_EPSILON);
        if factor < 1.0 {
            for gradient in &mut self.0 {
                if gradient.device().is_cpu() {
                    gradient.inplace_op1(&Scale(factor as f32))?;
                } else {
                    *gradient = gradient.affine(factor, 0.0)?;
                }
            }
        }
        Ok(norm)
    }
}

/// Multiplies in place: all gradients of a model may fill half of the memory.
struct Scale(f32);

impl InplaceOp1 for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (CpuStorage::F32(values), Some((from, to))) = (storage, layout.contiguous_offsets())
        else {
            return Err(candle_core::Error::msg("gradients are contiguous and in f32"));
        };
        let factor = self.0;
        values[from..to]
            .par_chunks_mut(PIECE)
            .for_each(|piece| piece.iter_mut().for_each(|value| *value *= factor));
        Ok(())
    }
}

fn sum_of_squares(gradient: &Tensor) -> Result<f64, EngineError> {
    if !gradient.device().is_cpu() {
        let sum = gradient.to_dtype(DType::F64)?.sqr()?.sum_all()?;
        return Ok(sum.to_scalar::<f64>()?);
    }
    let values = Values::of(gradient)?;
    // The pieces' sums are added in the pieces' order, whichever thread made them.
    let sums: Vec<f64> = values.par_chunks(PIECE).map(piece_of_squares).collect();
    Ok(sums.iter().sum())
}

/// Values that a thread takes at once.
const PIECE: usize = 1 << 16;

fn piece_of_squares(values: &[f32]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(value) * f64::from(value);
        }
    }
    let rest: f64 = rest.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn sample(values: &[&[f32]]) -> (Gradients, Vec<(String, Var)>) {
        let tensor = |values: &&[f32]| Tensor::new(*values, &Device::Cpu).unwrap();
        let gradients: Vec<Tensor> = values.iter().map(tensor).collect();
        let name = |(i, gradient): (usize, &Tensor)| {
            (format!("p{i}"), Var::from_tensor(&gradient.zeros_like().unwrap()).unwrap())
        };
        let parameters = gradients.iter().enumerate().map(name).collect();
        (Gradients::new(gradients), parameters)
    }

    #[test]
    fn the_norm_is_over_all_tensors() {
        let (mut gradients, parameters) = sample(&[&[1.0, 2.0], &[2.0, 4.0]]);
        assert_eq!(gradients.clip(&parameters, 6.0).unwrap(), 5.0);
        assert_eq!(gradients.tensors()[1].to_vec1::<f32>().unwrap(), [2.0, 4.0]);
        assert_eq!(gradients.clip(&parameters, 2.5).unwrap(), 5.0);
        let halved = gradients.tensors()[1].to_vec1::<f32>().unwrap();
        assert!((halved[0] - 1.0).abs() < 1e-6 && (halved[1] - 2.0).abs() < 1e-6);
    }

    #[test]
    fn a_gradient_that_is_no_number_is_named() {
        let (mut gradients, parameters) = sample(&[&[1.0], &[f32::NAN]]);
        let message = gradients.clip(&parameters, 1.0).unwrap_err().to_string();
        assert!(message.contains("gradient of p1"), "{message}");
    }
}
