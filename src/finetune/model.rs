//! A model in training: frozen weights, parameters, and the loss of a batch.

use candle_core::{Device, Tensor, Var};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::lora::{initial_a, tensor_name};
use super::pass::{MOST_TAPES, Pass};
use super::values::Values;
use super::{Batch, EngineError, Gradients, Module, Trainable, graph};
use crate::onnx::checkpoint::in_blocks;
use crate::onnx::decoder::{
    EMBEDDING, LAST_NORM, LayerKind, Linear as Sizes, OUTPUT, layer_bias, layer_tensor,
};
use crate::onnx::{Blocks, DecoderConfig, Precision, Weights};

/// A decoder and what of it is trained, in f32 on one device.
pub struct Model {
    pub(super) config: DecoderConfig,
    pub(super) trainable: Trainable,
    pub(super) device: Device,
    pub(super) embedding: Weight,
    pub(super) layers: Vec<Layer>,
    pub(super) last_norm: Weight,
    /// The embedding again, where the model is tied.
    pub(super) output: Weight,
    pub(super) parameters: Vec<(String, Var)>,
}

/// A tensor, and its place among the parameters where it is one.
#[derive(Clone)]
pub(super) struct Weight {
    pub tensor: Tensor,
    pub trained: Option<usize>,
}

/// The weights of one layer; what it has none of is not there.
pub(super) struct Layer {
    pub kind: LayerKind,
    pub before_attention: Option<Weight>,
    /// What queries, keys and values are made by, in this order: one linear layer or three.
    pub inputs: Vec<Linear>,
    /// Of queries and keys.
    pub head_norms: Option<[Weight; 2]>,
    pub o: Linear,
    pub after_attention: Option<Weight>,
    pub before_feed_forward: Option<Weight>,
    /// What the gate and what it lets through are made by, in this order: one linear layer or two.
    pub gates: Vec<Linear>,
    pub down: Linear,
    pub after_feed_forward: Option<Weight>,
}

/// The weight of a linear layer, [out, in].
pub(super) enum Matrix {
    Plain(Weight),
    /// Frozen, on the CPU; its numbers are worked out where they are used, as QLoRA (Dettmers et al. 2023,
    /// arXiv 2305.14314) does.
    Blocks(Blocks),
}

impl Matrix {
    /// Its place among the parameters, where it is one.
    pub(super) fn trained(&self) -> Option<usize> {
        match self {
            Self::Plain(weight) => weight.trained,
            Self::Blocks(_) => None,
        }
    }

    /// Its numbers, on the CPU.
    pub(super) fn values(&self) -> Result<Values<'_>, EngineError> {
        match self {
            Self::Plain(weight) => Values::of(&weight.tensor),
            Self::Blocks(blocks) => Ok(Values::Owned(blocks.values())),
        }
    }
}

/// A linear layer.
pub(super) struct Linear {
    pub module: Module,
    pub weight: Matrix,
    pub bias: Option<Weight>,
    pub inner: usize,
    /// Places of A [rank, in] and B [out, rank] among the parameters.
    pub adapter: Option<(usize, usize)>,
}

impl Model {
    /// A model with the weights of a checkpoint, those of its layers kept in `precision`. Under LoRA, A is
    /// drawn from `seed` and B is zero.
    ///
    /// # Errors
    /// [`EngineError::Rank`], [`EngineError::NoModules`]; [`EngineError::Model`] where a weight cannot be read;
    /// [`EngineError::Tensor`] where the device has no room.
    pub fn new(
        config: &DecoderConfig,
        weights: &dyn Weights,
        precision: Precision,
        trainable: &Trainable,
        seed: u64,
        device: &Device,
    ) -> Result<Self, EngineError> {
        trainable.check()?;
        let mut builder = Builder {
            config,
            weights,
            precision,
            trainable,
            device,
            random: ChaCha8Rng::seed_from_u64(seed),
            parameters: Vec::new(),
        };
        let embedding = builder.weight(EMBEDDING, &[config.vocabulary, config.width])?;
        let layers = (0..config.layers.len()).map(|layer| builder.layer(layer));
        let layers = layers.collect::<Result<_, EngineError>>()?;
        let last_norm = builder.weight(LAST_NORM, &[config.width])?;
        let output = if config.tied {
            embedding.clone()
        } else {
            builder.weight(OUTPUT, &[config.vocabulary, config.width])?
        };
        Ok(Self {
            config: config.clone(),
            trainable: trainable.clone(),
            device: device.clone(),
            embedding,
            layers,
            last_norm,
            output,
            parameters: builder.parameters,
        })
    }

    /// What is trained, by the name that PEFT (LoRA) or Hugging Face (all weights) gives it. A
    /// tensor that is set here is what the next loss is computed with.
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    /// The model's sizes.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Σ weight · -ln p(token) over the batch's targets, ready to be differentiated.
    ///
    /// On the CPU it is computed by the threads of the current rayon pool, and is the same bits
    /// whatever their number.
    ///
    /// # Errors
    /// [`EngineError::Batch`]; [`EngineError::NotFinite`] where the loss is no number.
    pub fn loss(&self, batch: &Batch) -> Result<Loss<'_>, EngineError> {
        batch.check(&self.config)?;
        let (nll, way_back) = if self.device.is_cpu() {
            let (nll, pass) = Pass::new(self, batch, MOST_TAPES)?;
            (nll, WayBack::Pass(Box::new(pass)))
        } else {
            let (nll, loss) = graph::loss(self, batch)?;
            (nll, WayBack::Graph(loss))
        };
        let pairs = nll.iter().zip(&batch.targets);
        let value: f64 = pairs.map(|(nll, target)| nll * f64::from(target.weight)).sum();
        if !value.is_finite() {
            return Err(EngineError::NotFinite { what: "loss".to_owned() });
        }
        Ok(Loss { value, nll, model: self, way_back })
    }

    /// -ln p(token) of each target, in their order, with nothing kept for a way back: for held-out
    /// facts.
    ///
    /// # Errors
    /// As [`Self::loss`].
    pub fn evaluate(&self, batch: &Batch) -> Result<Vec<f64>, EngineError> {
        batch.check(&self.config)?;
        let nll = if self.device.is_cpu() {
            Pass::evaluate(self, batch)?
        } else {
            graph::evaluate(self, batch)?
        };
        if nll.iter().any(|nll| !nll.is_finite()) {
            return Err(EngineError::NotFinite { what: "loss".to_owned() });
        }
        Ok(nll)
    }

    /// What the adapters' product is multiplied by: α / rank.
    pub(super) fn scale(&self) -> f64 {
        match self.trainable {
            Trainable::Lora { rank, alpha, .. } => alpha / rank as f64,
            Trainable::All => 0.0,
        }
    }

    /// The rank of the adapters; 0 where there are none.
    pub(super) fn rank(&self) -> usize {
        match self.trainable {
            Trainable::Lora { rank, .. } => rank,
            Trainable::All => 0,
        }
    }
}

struct Builder<'a> {
    config: &'a DecoderConfig,
    weights: &'a dyn Weights,
    precision: Precision,
    trainable: &'a Trainable,
    device: &'a Device,
    random: ChaCha8Rng,
    parameters: Vec<(String, Var)>,
}

impl Builder<'_> {
    fn parameter(
        &mut self,
        name: String,
        values: Vec<f32>,
        shape: &[usize],
    ) -> Result<usize, EngineError> {
        let var = Var::from_vec(values, shape, self.device)?;
        self.parameters.push((name, var));
        Ok(self.parameters.len() - 1)
    }

    fn weight(&mut self, name: &str, shape: &[usize]) -> Result<Weight, EngineError> {
        let values = self.weights.read(name)?;
        if *self.trainable == Trainable::All {
            let at = self.parameter(name.to_owned(), values, shape)?;
            let tensor = self.parameters[at].1.as_tensor().clone();
            return Ok(Weight { tensor, trained: Some(at) });
        }
        Ok(Weight { tensor: Tensor::from_vec(values, shape, self.device)?, trained: None })
    }

    /// A linear layer's weight; in blocks where these are chosen, on other devices than the CPU their
    /// numbers.
    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Matrix, EngineError> {
        let kept = match self.precision.layer_bits() {
            Some(bits) => in_blocks(self.weights, name, shape, bits)?,
            None => None,
        };
        Ok(match kept {
            None => Matrix::Plain(self.weight(name, &shape)?),
            Some(blocks) if self.device.is_cpu() => Matrix::Blocks(blocks),
            Some(blocks) => {
                let tensor = Tensor::from_vec(blocks.values(), &shape, self.device)?;
                Matrix::Plain(Weight { tensor, trained: None })
            }
        })
    }

    fn layer(&mut self, layer: usize) -> Result<Layer, EngineError> {
        let norms = &self.config.architecture.norms;
        let before_attention = self.norm(layer, norms.before_attention)?;
        let (mut inputs, mut gates, mut o, mut down) = (Vec::new(), Vec::new(), None, None);
        for sizes in self.config.linears() {
            let linear = self.linear(layer, sizes)?;
            match sizes.module {
                Module::Q | Module::K | Module::V | Module::Qkv => inputs.push(linear),
                Module::O => o = Some(linear),
                Module::Gate | Module::Up | Module::GateUp => gates.push(linear),
                Module::Down => down = Some(linear),
            }
        }
        let (Some(o), Some(down)) = (o, down) else {
            unreachable!("every layer gives back what attention and feed-forward layer took")
        };
        let head_norms = match self.config.head_norms() {
            Some([queries, keys]) => Some([
                self.weight(&layer_tensor(layer, "self_attn.q_norm"), &[queries])?,
                self.weight(&layer_tensor(layer, "self_attn.k_norm"), &[keys])?,
            ]),
            None => None,
        };
        Ok(Layer {
            kind: self.config.layers[layer],
            before_attention,
            inputs,
            head_norms,
            o,
            after_attention: self.norm(layer, norms.after_attention)?,
            before_feed_forward: self.norm(layer, norms.before_feed_forward)?,
            gates,
            down,
            after_feed_forward: self.norm(layer, norms.after_feed_forward)?,
        })
    }

    fn norm(&mut self, layer: usize, part: Option<&str>) -> Result<Option<Weight>, EngineError> {
        let width = [self.config.width];
        part.map(|part| self.weight(&layer_tensor(layer, part), &width)).transpose()
    }

    fn linear(&mut self, layer: usize, sizes: Sizes) -> Result<Linear, EngineError> {
        let Sizes { module, out, inner, biased } = sizes;
        let weight = self.matrix(&layer_tensor(layer, &module.part()), [out, inner])?;
        let bias = biased.then(|| self.weight(&layer_bias(layer, &module.part()), &[out]));
        let adapter = match self.trainable {
            Trainable::Lora { rank, modules, .. } if module.is_among(modules) => {
                let a = initial_a(*rank, inner, &mut self.random);
                let a = self.parameter(tensor_name(layer, module, "A"), a, &[*rank, inner])?;
                let b = vec![0.0; out * rank];
                let b = self.parameter(tensor_name(layer, module, "B"), b, &[out, *rank])?;
                Some((a, b))
            }
            _ => None,
        };
        Ok(Linear { module, weight, bias: bias.transpose()?, inner, adapter })
    }
}

/// The loss of a batch, and the way back to its derivatives.
pub struct Loss<'a> {
    /// Σ weight · nll.
    pub value: f64,
    /// -ln p(token) of each target, in their order.
    pub nll: Vec<f64>,
    model: &'a Model,
    way_back: WayBack<'a>,
}

enum WayBack<'a> {
    Pass(Box<Pass<'a>>),
    Graph(Tensor),
}

impl Loss<'_> {
    /// The derivatives of the loss by each parameter.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn backward(self) -> Result<Gradients, EngineError> {
        match self.way_back {
            WayBack::Pass(pass) => pass.backward(),
            WayBack::Graph(loss) => graph::backward(self.model, &loss),
        }
    }
}
