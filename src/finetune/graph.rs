//! The model from candle's own operations, differentiated by candle: for devices other than the
//! CPU, and what `pass.rs` is tested against.

use candle_core::{D, Device, Tensor};

use super::model::{Layer, Linear, Matrix, Model, Weight};
use super::{Batch, EngineError, Gradients};
use crate::onnx::architecture::Activation;
use crate::onnx::decoder::Rotation;

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
    let scale = f64::from(model.config.embedding_scale);
    let mut x = (graph.weight(&model.embedding).index_select(&tokens, 0)? * scale)?;
    let longest = batch.lengths.iter().copied().max().unwrap_or(0);
    let rotations = model.config.rotations.iter();
    let turns = rotations.map(|rotation| Turns::new(rotation, longest, &model.device));
    let turns = turns.collect::<Result<Vec<Turns>>>()?;
    for layer in &model.layers {
        let turns = layer.kind.rotation.map(|number| &turns[number]);
        x = graph.layer(layer, &x, turns, &batch.spans())?;
    }
    let positions: Vec<u32> = batch.targets.iter().map(|target| target.position as u32).collect();
    let rows = x.index_select(&Tensor::new(positions, &model.device)?, 0)?;
    let rows = norm(&rows, &graph.weight(&model.last_norm), model.config.rms_epsilon)?;
    let logits = rows.matmul(&graph.weight(&model.output).t()?)?;
    let logits = capped(logits, model.config.output_cap)?;
    let tokens: Vec<u32> = batch.targets.iter().map(|target| target.token).collect();
    cross_entropy(&logits, &Tensor::new(tokens, &model.device)?)
}

impl Graph<'_> {
    fn weight(&self, weight: &Weight) -> Tensor {
        if self.followed { weight.tensor.clone() } else { weight.tensor.detach() }
    }

    fn linear(&self, linear: &Linear, x: &Tensor) -> Result<Tensor> {
        let weight = match &linear.weight {
            Matrix::Plain(weight) => self.weight(weight),
            Matrix::Blocks(kept) => Tensor::from_vec(kept.values(), &kept.shape, x.device())?,
        };
        let mut y = x.matmul(&weight.t()?)?;
        if let Some(bias) = &linear.bias {
            y = y.broadcast_add(&self.weight(bias))?;
        }
        let Some((a, b)) = linear.adapter else { return Ok(y) };
        let tensor = |at: usize| {
            let var = &self.model.parameters[at].1;
            if self.followed { var.as_tensor().clone() } else { var.as_detached_tensor() }
        };
        y + (x.matmul(&tensor(a).t()?)?.matmul(&tensor(b).t()?)? * self.model.scale())?
    }

    /// Linear layers side by side.
    fn linears(&self, linears: &[Linear], x: &Tensor) -> Result<Tensor> {
        let all = linears.iter().map(|linear| self.linear(linear, x));
        Tensor::cat(&all.collect::<Result<Vec<Tensor>>>()?, 1)
    }

    /// The norm of rows, where there is one.
    fn normed(&self, weight: Option<&Weight>, x: Tensor) -> Result<Tensor> {
        match weight {
            Some(weight) => norm(&x, &self.weight(weight), self.model.config.rms_epsilon),
            None => Ok(x),
        }
    }

    /// Queries or keys with their norm: of each head or of all together, as long as its weight is.
    fn norm_heads(&self, weight: Option<&Weight>, x: Tensor) -> Result<Tensor> {
        let Some(weight) = weight else { return Ok(x) };
        let (rows, columns) = x.dims2()?;
        let size = weight.tensor.elem_count();
        let heads = x.reshape((rows, columns / size, size))?;
        self.normed(Some(weight), heads)?.reshape((rows, columns))
    }

    fn layer(
        &self,
        layer: &Layer,
        x: &Tensor,
        turns: Option<&Turns>,
        spans: &[(usize, usize)],
    ) -> Result<Tensor> {
        let config = &self.model.config;
        let normed = self.normed(layer.before_attention.as_ref(), x.clone())?;
        let qkv = self.linears(&layer.inputs, &normed)?;
        let [queries, keys] = config.columns();
        let norms = layer.head_norms.as_ref();
        let q = self.norm_heads(norms.map(|[q, _]| q), qkv.narrow(1, 0, queries)?)?;
        let k = self.norm_heads(norms.map(|[_, k]| k), qkv.narrow(1, queries, keys)?)?;
        let v = qkv.narrow(1, queries + keys, keys)?;
        let looks = Looks {
            heads: config.heads,
            kv_heads: config.kv_heads,
            turns,
            window: if layer.kind.windowed { config.window } else { usize::MAX },
            scale: config.query_scale,
            cap: config.score_cap,
        };
        let mut seen = Vec::with_capacity(spans.len());
        for &(start, length) in spans {
            let [q, k, v] = [&q, &k, &v].map(|all| all.narrow(0, start, length));
            seen.push(attention(&q?, &k?, &v?, &looks)?);
        }
        let attended = self.linear(&layer.o, &Tensor::cat(&seen, 0)?)?;
        let x = (x + self.normed(layer.after_attention.as_ref(), attended)?)?;
        let normed = self.normed(layer.before_feed_forward.as_ref(), x.clone())?;
        let gate_up = self.linears(&layer.gates, &normed)?;
        let gate = gate_up.narrow(1, 0, config.feed_forward)?;
        let up = gate_up.narrow(1, config.feed_forward, config.feed_forward)?;
        let open = match config.architecture.activation {
            Activation::Silu => gate.silu()?,
            Activation::Gelu => gate.gelu()?,
        };
        let fed = self.linear(&layer.down, &(open * up)?)?;
        x + self.normed(layer.after_feed_forward.as_ref(), fed)?
    }
}

/// c · tanh(x / c), where there is a c.
pub(super) fn capped(x: Tensor, cap: Option<f32>) -> Result<Tensor> {
    match cap {
        Some(cap) => (x / f64::from(cap))?.tanh()? * f64::from(cap),
        None => Ok(x),
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

/// Cosines and sines of a rotation, [positions, pairs].
pub(super) struct Turns {
    cos: Tensor,
    sin: Tensor,
}

impl Turns {
    pub(super) fn new(rotation: &Rotation, positions: usize, device: &Device) -> Result<Self> {
        let [cos, sin] = rotation.tables(positions);
        let shape = (positions, rotation.frequencies.len());
        let tensor = |values| Tensor::from_vec(values, shape, device);
        Ok(Self { cos: tensor(cos)?, sin: tensor(sin)? })
    }

    /// Rotates heads [heads, length, size].
    fn apply(&self, heads: &Tensor) -> Result<Tensor> {
        let (_, length, size) = heads.dims3()?;
        let pairs = self.cos.dim(1)?;
        let (cos, sin) = (self.cos.narrow(0, 0, length)?, self.sin.narrow(0, 0, length)?);
        let first = heads.narrow(2, 0, pairs)?;
        let second = heads.narrow(2, pairs, pairs)?;
        let mut turned = vec![
            (first.broadcast_mul(&cos)? - second.broadcast_mul(&sin)?)?,
            (second.broadcast_mul(&cos)? + first.broadcast_mul(&sin)?)?,
        ];
        if size > 2 * pairs {
            turned.push(heads.narrow(2, 2 * pairs, size - 2 * pairs)?);
        }
        Tensor::cat(&turned, 2)
    }
}

/// How attention weighs: see [`super::ops::attention::Heads`].
pub(super) struct Looks<'a> {
    pub heads: usize,
    pub kv_heads: usize,
    pub turns: Option<&'a Turns>,
    pub window: usize,
    pub scale: f64,
    pub cap: Option<f32>,
}

/// Causal attention over one sequence: q [length, heads · size], k and v [length, kv_heads · size].
pub(super) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, looks: &Looks<'_>) -> Result<Tensor> {
    let Looks { heads, kv_heads, turns, window, scale, cap } = *looks;
    let length = q.dim(0)?;
    let size = q.dim(1)? / heads;
    let by_head =
        |x: &Tensor, heads: usize| x.reshape((length, heads, size))?.transpose(0, 1)?.contiguous();
    let turned = |x: Tensor| match turns {
        Some(turns) => turns.apply(&x),
        None => Ok(x),
    };
    // Each key-value head serves neighbouring query heads.
    let repeated = |x: Tensor| {
        let group = heads / kv_heads;
        x.unsqueeze(1)?
            .broadcast_as((kv_heads, group, length, size))?
            .reshape((heads, length, size))
    };
    let q = turned(by_head(q, heads)?)?;
    let k = repeated(turned(by_head(k, kv_heads)?)?)?;
    let v = repeated(by_head(v, kv_heads)?)?;
    let scores = capped((q.matmul(&k.transpose(1, 2)?.contiguous()?)? * scale)?, cap)?;
    let hidden = |i: usize, j: usize| j > i || i - j >= window;
    let hidden: Vec<f32> = (0..length)
        .flat_map(|i| (0..length).map(move |j| if hidden(i, j) { f32::NEG_INFINITY } else { 0.0 }))
        .collect();
    let scores = scores.broadcast_add(&Tensor::from_vec(hidden, (length, length), q.device())?)?;
    let shifted = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let p = shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?;
    p.matmul(&v.contiguous()?)?.transpose(0, 1)?.reshape((length, heads * size))
}
