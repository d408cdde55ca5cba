//! AdamW: Adam with decoupled weight decay (Loshchilov and Hutter 2019), bias-corrected.

use std::cell::RefCell;
use std::collections::HashMap;

use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Tensor, Var};
use rayon::prelude::*;

use super::values::Values;
use super::{EngineError, Gradients};

/// The constants of AdamW; the learning rate is given to each step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWSettings {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the latter.
    pub epsilon: f64,
    /// What a step takes of each weight, times the learning rate. Vectors (the norms' weights) are
    /// left out, as is usual.
    pub weight_decay: f64,
}

impl Default for AdamWSettings {
    /// PyTorch's: 0.9, 0.999, 1e-8, 0.01.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 }
    }
}

/// The optimiser and its two moments of each parameter.
pub struct AdamW {
    settings: AdamWSettings,
    steps: u32,
    parameters: Vec<Parameter>,
}

struct Parameter {
    name: String,
    var: Var,
    decays: bool,
    moments: Moments,
}

/// Running means of the gradient and of its square.
enum Moments {
    Cpu { mean: Vec<f32>, square: Vec<f32> },
    Device { mean: Tensor, square: Tensor },
}

/// Names of the moments in a saved state, as PyTorch has them; behind the parameter's name.
const MEAN: &str = "exp_avg";
const SQUARE: &str = "exp_avg_sq";
const STEP: &str = "step";

impl AdamW {
    /// An optimiser that has made no step yet.
    ///
    /// # Errors
    /// Where memory for the moments cannot be had on the parameters' device.
    pub fn new(parameters: &[(String, Var)], settings: AdamWSettings) -> Result<Self, EngineError> {
        let parameters = parameters.iter().map(|(name, var)| {
            let moments = if var.device().is_cpu() {
                let zeros = vec![0.0; var.elem_count()];
                Moments::Cpu { mean: zeros.clone(), square: zeros }
            } else {
                Moments::Device { mean: var.zeros_like()?, square: var.zeros_like()? }
            };
            Ok(Parameter { name: name.clone(), var: var.clone(), decays: var.rank() > 1, moments })
        });
        Ok(Self { settings, steps: 0, parameters: parameters.collect::<Result<_, EngineError>>()? })
    }

    /// How many steps were made.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Changes the parameters by one step: with m and v the bias-corrected means of the gradient
    /// and of its square, w becomes w - rate · (m / (√v + ε) + decay · w).
    ///
    /// # Errors
    /// Where the gradients are not of these parameters, or the device fails.
    pub fn step(&mut self, gradients: &Gradients, learning_rate: f64) -> Result<(), EngineError> {
        let gradients = gradients.tensors();
        let fits = gradients.len() == self.parameters.len()
            && self.parameters.iter().zip(gradients).all(|(p, g)| p.var.shape() == g.shape());
        if !fits {
            let problem = "the gradients are those of other parameters".to_owned();
            return Err(EngineError::State { problem });
        }
        self.steps += 1;
        for (parameter, gradient) in self.parameters.iter_mut().zip(gradients) {
            let update = Update::new(&self.settings, self.steps, learning_rate, parameter.decays);
            parameter.step(gradient, update)?;
        }
        Ok(())
    }

    /// The moments by name, and the number of steps as `step`: what a checkpoint keeps.
    ///
    /// # Errors
    /// Where a tensor cannot be made.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>, EngineError> {
        let mut all = vec![(STEP.to_owned(), Tensor::new(self.steps, &Device::Cpu)?)];
        for Parameter { name, var, moments, .. } in &self.parameters {
            let (mean, square) = match moments {
                Moments::Cpu { mean, square } => (
                    Tensor::from_slice(mean, var.shape(), &Device::Cpu)?,
                    Tensor::from_slice(square, var.shape(), &Device::Cpu)?,
                ),
                Moments::Device { mean, square } => (mean.clone(), square.clone()),
            };
            all.push((format!("{name}.{MEAN}"), mean));
            all.push((format!("{name}.{SQUARE}"), square));
        }
        Ok(all)
    }

    /// Goes on from a saved state. On an error nothing is changed.
    ///
    /// # Errors
    /// [`EngineError::State`] where a tensor is missing or has another shape.
    pub fn restore(&mut self, state: &HashMap<String, Tensor>) -> Result<(), EngineError> {
        let find = |name: &str| {
            let problem = || EngineError::State { problem: format!("it has no `{name}`") };
            state.get(name).ok_or_else(problem)
        };
        let steps = find(STEP)?.to_scalar::<u32>()?;
        let mut restored = Vec::with_capacity(self.parameters.len());
        for Parameter { name, var, .. } in &self.parameters {
            let tensor = |moment: &str| {
                let name = format!("{name}.{moment}");
                let tensor = find(&name)?;
                if tensor.shape() != var.shape() {
                    let problem = format!(
                        "`{name}` has shape {:?} instead of {:?}",
                        tensor.dims(),
                        var.dims()
                    );
                    return Err(EngineError::State { problem });
                }
                Ok(tensor)
            };
            let (mean, square) = (tensor(MEAN)?, tensor(SQUARE)?);
            restored.push(if var.device().is_cpu() {
                let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
                Moments::Cpu { mean: values(mean)?, square: values(square)? }
            } else {
                let device = var.device();
                Moments::Device { mean: mean.to_device(device)?, square: square.to_device(device)? }
            });
        }
        for (parameter, moments) in self.parameters.iter_mut().zip(restored) {
            parameter.moments = moments;
        }
        self.steps = steps;
        Ok(())
    }
}

/// The numbers of one step, for one parameter.
#[derive(Clone, Copy)]
struct Update {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    /// The learning rate over the mean's bias correction.
    rate: f64,
    /// Root of the square's bias correction.
    root: f64,
    /// What is left of a weight after its decay.
    keep: f64,
}

impl Update {
    fn new(settings: &AdamWSettings, steps: u32, learning_rate: f64, decays: bool) -> Self {
        let AdamWSettings { beta1, beta2, epsilon, weight_decay } = *settings;
        let correction = |beta: f64| 1.0 - beta.powf(f64::from(steps));
        Self {
            beta1,
            beta2,
            epsilon,
            rate: learning_rate / correction(beta1),
            root: correction(beta2).sqrt(),
            keep: if decays { 1.0 - learning_rate * weight_decay } else { 1.0 },
        }
    }
}

impl Parameter {
    fn step(&mut self, gradient: &Tensor, update: Update) -> Result<(), EngineError> {
        match &mut self.moments {
            Moments::Cpu { mean, square } => {
                let gradient = gradient.contiguous()?;
                let gradient = Values::of(&gradient)?;
                let moments = RefCell::new((mean.as_mut_slice(), square.as_mut_slice()));
                self.var.inplace_op1(&CpuStep { update, gradient: &gradient, moments })?;
            }
            Moments::Device { mean, square } => {
                let Update { beta1, beta2, epsilon, rate, root, keep } = update;
                *mean = ((&*mean * beta1)? + (gradient * (1.0 - beta1))?)?;
                *square = ((&*square * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?;
                let divisor = ((square.sqrt()? / root)? + epsilon)?;
                let change = ((&*mean / divisor)? * rate)?;
                self.var.set(&((self.var.as_tensor() * keep)? - change)?)?;
            }
        }
        Ok(())
    }
}

/// One pass over parameter, gradient and moments.
struct CpuStep<'a> {
    update: Update,
    gradient: &'a [f32],
    moments: RefCell<(&'a mut [f32], &'a mut [f32])>,
}

/// Values that a thread takes at once: a few caches' worth.
const CHUNK: usize = 1 << 14;

impl InplaceOp1 for CpuStep<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (CpuStorage::F32(values), Some((from, to))) = (storage, layout.contiguous_offsets())
        else {
            return Err(candle_core::Error::msg("AdamW takes contiguous f32 parameters"));
        };
        let mut moments = self.moments.borrow_mut();
        let (mean, square) = &mut *moments;
        let update = self.update;
        values[from..to]
            .par_chunks_mut(CHUNK)
            .zip(self.gradient.par_chunks(CHUNK))
            .zip(mean.par_chunks_mut(CHUNK).zip(square.par_chunks_mut(CHUNK)))
            .for_each(|((values, gradient), (mean, square))| {
                update.apply(values, gradient, mean, square);
            });
        Ok(())
    }
}

impl Update {
    fn apply(&self, values: &mut [f32], gradient: &[f32], mean: &mut [f32], square: &mut [f32]) {
        let (beta1, beta2) = (self.beta1 as f32, self.beta2 as f32);
        let (rest1, rest2) = ((1.0 - self.beta1) as f32, (1.0 - self.beta2) as f32);
        let (rate, root) = (self.rate as f32, (1.0 / self.root) as f32);
        let (keep, epsilon) = (self.keep as f32, self.epsilon as f32);
        let moments = mean.iter_mut().zip(square);
        for ((value, &gradient), (mean, square)) in values.iter_mut().zip(gradient).zip(moments) {
            *mean = beta1 * *mean + rest1 * gradient;
            *square = beta2 * *square + rest2 * gradient * gradient;
            *value = keep * *value - rate * *mean / (square.sqrt() * root + epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(values: &[f32]) -> (String, Var) {
        let tensor = Tensor::from_slice(values, (1, values.len()), &Device::Cpu).unwrap();
        ("w".to_owned(), Var::from_tensor(&tensor).unwrap())
    }

    fn gradients(values: &[f32]) -> Gradients {
        Gradients::new(vec![Tensor::from_slice(values, (1, values.len()), &Device::Cpu).unwrap()])
    }

    fn values(parameter: &(String, Var)) -> Vec<f32> {
        parameter.1.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Worked out by hand. Step 1: m̂ = g and v̂ = g², so that the step is the learning rate times the
    /// sign: 2 (1 - 0.1 · 0.5) - 0.1 = 1.8. Step 2 with g = -1 after 3: m = 0.9 · 0.3 - 0.1 = 0.17,
    /// m̂ = 0.17 / 0.19; v = 0.75 · 2.25 + 0.25 = 1.9375, v̂ = v / 0.4375;
    /// w = 1.8 · 0.95 - 0.1 · 0.894737 / 2.104417 = 1.667483.
    #[test]
    fn two_steps() {
        let parameter = parameter(&[2.0]);
        let settings = AdamWSettings { beta1: 0.9, beta2: 0.75, epsilon: 0.0, weight_decay: 0.5 };
        let mut optimiser = AdamW::new(std::slice::from_ref(&parameter), settings).unwrap();
        optimiser.step(&gradients(&[3.0]), 0.1).unwrap();
        assert!((values(&parameter)[0] - 1.8).abs() < 1e-6);
        optimiser.step(&gradients(&[-1.0]), 0.1).unwrap();
        assert!((values(&parameter)[0] - 1.667_483).abs() < 1e-6, "{:?}", values(&parameter));
    }

    #[test]
    fn a_restored_state_goes_on_with_the_same_bits() {
        let step = |optimiser: &mut AdamW, i: i32| {
            let gradient: Vec<f32> = (0..40_000).map(|j| ((i * 7 + j) as f32).sin()).collect();
            optimiser.step(&gradients(&gradient), 0.01).unwrap();
        };
        let first = parameter(&vec![0.5; 40_000]);
        let parameters = std::slice::from_ref(&first);
        let mut optimiser = AdamW::new(parameters, AdamWSettings::default()).unwrap();
        (0..3).for_each(|i| step(&mut optimiser, i));
        let second = ("w".to_owned(), Var::from_tensor(&first.1.copy().unwrap()).unwrap());
        let mut restored =
            AdamW::new(std::slice::from_ref(&second), AdamWSettings::default()).unwrap();
        restored.restore(&optimiser.state().unwrap().into_iter().collect()).unwrap();
        assert_eq!(restored.steps(), 3);
        (3..6).for_each(|i| {
            step(&mut optimiser, i);
            step(&mut restored, i);
        });
        assert!(values(&first) == values(&second));
    }

    #[test]
    fn another_models_state_is_refused() {
        let (small, large) = (parameter(&[1.0]), parameter(&[1.0, 2.0]));
        let of = |p: &(String, Var)| {
            AdamW::new(std::slice::from_ref(p), AdamWSettings::default()).unwrap()
        };
        let state = of(&small).state().unwrap().into_iter().collect();
        let message = of(&large).restore(&state).unwrap_err().to_string();
        assert!(message.contains("w.exp_avg") && message.contains("[1, 2]"), "{message}");
        let message = of(&small).restore(&HashMap::new()).unwrap_err().to_string();
        assert!(message.contains("`step`"), "{message}");
    }
}
