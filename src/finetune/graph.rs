//! The model from candle's own operations, differentiated by candle: for devices other than the
//! CPU, and what `pass.rs` is tested against.

use candle_core::{D, Device, Tensor};

use super::model::{Layer, Linear, Model, Weight};
use super::{Batch, EngineError, Gradients};

type Result<T> = candle_core::Result<T>;

/// -ln p of each target, and the weighted loss with its graph.
pub(super) fn loss(
    model: &Model,
    batch: &Batch,
) -> std::result::Result<(Vec<f64>, Tensor), EngineError> {
    let nll = forward(model, batch, true)?;
    let weights: Vec<f32> = batch.targets.iter().map(|target| target.weight).collect();
    let loss = (&nll * Tensor::new(weights, &model.device)?)?.sum_all()?;
    Ok((to_f64(&nll)?, loss))
}

/// -ln p of each target.
pub(super) fn evaluate(model: &Model, batch: &Batch) -> std::result::Result<Vec<f64>, EngineError> {
    Ok(to_f64(&forward(model, batch, false)?)?)
}

/// The derivatives by the model's parameters.
pub(super) fn backward(
    model: &Model,
    loss: &Tensor,
) -> std::result::Result<Gradients, EngineError> {
    let mut store = loss.backward()?;
    let gradient = |(_, var): &(_, candle_core::Var)| match store.remove(var) {
        Some(gradient) => gradient.contiguous(),
        None => var.zeros_like(),
    };
    Ok(Gradients::new(model.parameters.iter().map(gradient).collect::<Result<_>>()?))
}

fn to_f64(values: &Tensor) -> Result<Vec<f64>> {
    Ok(values.to_device(&Device::Cpu)?.to_vec1::<f32>()?.into_iter().map(f64::from).collect())
}

/// A model and whether its parameters are followed.
struct Graph<'a> {
    model: &'a Model,
    followed: bool,
}

fn forward(model: &Model, batch: &Batch, followed: bool) -> Result<Tensor> {
    let graph = Graph { model, followed };
    let tokens = Tensor::new(&batch.tokens[..], &model.device)?;
    let mut x = graph.weight(&model.embedding).index_select(&tokens, 0)?;
    let longest = batch.lengths.iter().copied().max().unwrap_or(0);
    let rotation = Rotation::new(&model.config.rotations[0].frequencies, longest, &model.device)?;
    for layer in &model.layers {
        x = graph.layer(layer, &x, &rotation, &batch.spans())?;
    }
    let positions: Vec<u32> = batch.targets.iter().map(|target| target.position as u32).collect();
    let rows = x.index_select(&Tensor::new(positions, &model.device)?, 0)?;
    let rows = norm(&rows, &graph.weight(&model.last_norm), model.config.rms_epsilon)?;
    let logits = rows.matmul(&graph.weight(&model.output).t()?)?;
    let tokens: Vec<u32> = batch.targets.iter().map(|target| target.token).collect();
    cross_entropy(&logits, &Tensor::new(tokens, &model.device)?)
}

impl Graph<'_> {
    fn weight(&self, weight: &Weight) -> Tensor {
        if self.followed { weight.tensor.clone() } else { weight.tensor.detach() }
    }

    fn linear(&self, linear: &Linear, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.weight(&linear.weight).t()?)?;
        let Some((a, b)) = linear.adapter else { return Ok(y) };
        let tensor = |at: usize| {
            let var = &self.model.parameters[at].1;
            if self.followed { var.as_tensor().clone() } else { var.as_detached_tensor() }
        };
        y + (x.matmul(&tensor(a).t()?)?.matmul(&tensor(b).t()?)? * self.model.scale())?
    }

    fn layer(
        &self,
        layer: &Layer,
        x: &Tensor,
        rotation: &Rotation,
        spans: &[(usize, usize)],
    ) -> Result<Tensor> {
        let config = &self.model.config;
        let normed = norm(x, &self.weight(&layer.input_norm), config.rms_epsilon)?;
        let [q, k, v] = [&layer.q, &layer.k, &layer.v].map(|linear| self.linear(linear, &normed));
        let (q, k, v) = (q?, k?, v?);
        let mut seen = Vec::with_capacity(spans.len());
        for &(start, length) in spans {
            let [q, k, v] = [&q, &k, &v].map(|all| all.narrow(0, start, length));
            seen.push(attention(&q?, &k?, &v?, config.heads, config.kv_heads, rotation)?);
        }
        let x = (x + self.linear(&layer.o, &Tensor::cat(&seen, 0)?)?)?;
        let normed = norm(&x, &self.weight(&layer.post_norm), config.rms_epsilon)?;
        let gated =
            (self.linear(&layer.gate, &normed)?.silu()? * self.linear(&layer.up, &normed)?)?;
        x + self.linear(&layer.down, &gated)?
    }
}

/// g x / √(mean(x²) + ε).
pub(super) fn norm(x: &Tensor, weight: &Tensor, epsilon: f32) -> Result<Tensor> {
    let root = (x.sqr()?.mean_keepdim(D::Minus1)? + f64::from(epsilon))?.sqrt()?;
    x.broadcast_div(&root)?.broadcast_mul(weight)
}

/// -ln softmax(logits)[token], for each row.
pub(super) fn cross_entropy(logits: &Tensor, tokens: &Tensor) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let normaliser = shifted.exp()?.sum(D::Minus1)?.log()?;
    let own = shifted.gather(&tokens.unsqueeze(1)?, 1)?.squeeze(1)?;
    normaliser - own
}

/// Cosines and sines, [positions, head_size / 2].
pub(super) struct Rotation {
    cos: Tensor,
    sin: Tensor,
}

impl Rotation {
    pub(super) fn new(frequencies: &[f64], positions: usize, device: &Device) -> Result<Self> {
        let angles = (0..positions).flat_map(|at| frequencies.iter().map(move |f| at as f64 * f));
        let (cos, sin): (Vec<f32>, Vec<f32>) =
            angles.map(|angle| (angle.cos() as f32, angle.sin() as f32)).unzip();
        let shape = (positions, frequencies.len());
        let tensor = |values| Tensor::from_vec(values, shape, device);
        Ok(Self { cos: tensor(cos)?, sin: tensor(sin)? })
    }

    /// Rotates heads [heads, length, size].
    fn apply(&self, heads: &Tensor) -> Result<Tensor> {
        let (_, length, size) = heads.dims3()?;
        let (cos, sin) = (self.cos.narrow(0, 0, length)?, self.sin.narrow(0, 0, length)?);
        let first = heads.narrow(2, 0, size / 2)?;
        let second = heads.narrow(2, size / 2, size / 2)?;
        let turned = [
            (first.broadcast_mul(&cos)? - second.broadcast_mul(&sin)?)?,
            (second.broadcast_mul(&cos)? + first.broadcast_mul(&sin)?)?,
        ];
        Tensor::cat(&turned, 2)
    }
}

/// Causal attention over one sequence: q [length, heads · size], k and v [length, kv_heads · size].
pub(super) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    kv_heads: usize,
    rotation: &Rotation,
) -> Result<Tensor> {
    let length = q.dim(0)?;
    let size = q.dim(1)? / heads;
    let by_head =
        |x: &Tensor, heads: usize| x.reshape((length, heads, size))?.transpose(0, 1)?.contiguous();
    // Each key-value head serves neighbouring query heads.
    let repeated = |x: Tensor| {
        let group = heads / kv_heads;
        x.unsqueeze(1)?
            .broadcast_as((kv_heads, group, length, size))?
            .reshape((heads, length, size))
    };
    let q = rotation.apply(&by_head(q, heads)?)?;
    let k = repeated(rotation.apply(&by_head(k, kv_heads)?)?)?;
    let v = repeated(by_head(v, kv_heads)?)?;
    let scores = (q.matmul(&k.transpose(1, 2)?.contiguous()?)? / (size as f64).sqrt())?;
    let later: Vec<f32> = (0..length)
        .flat_map(|i| (0..length).map(move |j| if j > i { f32::NEG_INFINITY } else { 0.0 }))
        .collect();
    let scores = scores.broadcast_add(&Tensor::from_vec(later, (length, length), q.device())?)?;
    let shifted = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let p = shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?;
    p.matmul(&v.contiguous()?)?.transpose(0, 1)?.reshape((length, heads * size))
}
