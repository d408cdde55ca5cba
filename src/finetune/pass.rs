//! One pass through the model on the CPU, forward and back, without a graph.
//!
//! The layers are all alike, so that the way back is written once: each layer's function takes the
//! derivatives by its result and gives those by its input. What it needs of the way forth is on the
//! [`Tape`] of its layer. The output projection runs at the targets' positions only, and so does the
//! last layer behind its attention.

use candle_core::{Device, Tensor};

use super::model::{Layer, Linear, Model};
use super::ops::attention::{self, Heads};
use super::ops::cross_entropy::{self, Derivatives, Goal};
use super::ops::linear::{self, Adapter, Columns};
use super::ops::matrix::Earlier;
use super::ops::{gate, norm};
use super::values::Values;
use super::{Batch, EngineError, Gradients, Module};

/// What is known after the way forth.
pub(super) struct Pass<'a> {
    model: &'a Model,
    tokens: Vec<u32>,
    shape: Shape,
    tapes: Vec<Tape>,
    /// What entered the last norm, a row a target.
    last: Vec<f32>,
    /// The derivatives of the loss by what left it.
    d_normed: Vec<f32>,
    /// What is known of the parameters' derivatives.
    sums: Vec<Option<Vec<f32>>>,
}

/// How a batch's rows hang together.
struct Shape {
    heads: Heads,
    spans: Vec<(usize, usize)>,
    /// The row of each target.
    rows: Vec<usize>,
}

/// What a layer leaves for the way back; rows of `middle` and behind it are those of the targets in
/// the last layer.
struct Tape {
    x: Vec<f32>,
    normed: Vec<f32>,
    qkv: Vec<f32>,
    seen: Vec<f32>,
    middle: Vec<f32>,
    middle_normed: Vec<f32>,
    gate_up: Vec<f32>,
    gated: Vec<f32>,
    /// x Aᵀ of each adapter, by [`Module`].
    inner: [Vec<f32>; 7],
}

/// A layer's input and its position.
struct Step<'a> {
    model: &'a Model,
    layer: &'a Layer,
    is_last: bool,
    shape: &'a Shape,
}

impl<'a> Pass<'a> {
    /// -ln p of each target, and the way back.
    pub(super) fn new(model: &'a Model, batch: &Batch) -> Result<(Vec<f64>, Self), EngineError> {
        let shape = Shape::new(model, batch);
        let mut tapes = Vec::with_capacity(model.layers.len());
        let last = forward(model, batch, &shape, |tape| tapes.push(tape))?;
        let width = model.config.width;
        let normed =
            norm::forward(&last, &Values::of(&model.last_norm.tensor)?, model.config.rms_epsilon);
        let mut sums: Vec<Option<Vec<f32>>> = model.parameters.iter().map(|_| None).collect();
        let output = Values::of(&model.output.tensor)?;
        let mut d_normed = vec![0.0; normed.len()];
        let mut d_output = model.output.trained.map(|_| vec![0.0; output.len()]);
        let derivatives = Derivatives { hidden: &mut d_normed, output: d_output.as_deref_mut() };
        let nll =
            cross_entropy::evaluate(&normed, &output, width, &goals(batch), Some(derivatives));
        drop(output);
        if let Some(at) = model.output.trained {
            sums[at] = d_output;
        }
        let tokens = batch.tokens.clone();
        Ok((nll, Self { model, tokens, shape, tapes, last, d_normed, sums }))
    }

    /// -ln p of each target and nothing else.
    pub(super) fn evaluate(model: &Model, batch: &Batch) -> Result<Vec<f64>, EngineError> {
        let last = forward(model, batch, &Shape::new(model, batch), drop)?;
        let weight = Values::of(&model.last_norm.tensor)?;
        let normed = norm::forward(&last, &weight, model.config.rms_epsilon);
        let output = Values::of(&model.output.tensor)?;
        let width = model.config.width;
        Ok(cross_entropy::evaluate(&normed, &output, width, &goals(batch), None))
    }

    /// The derivatives of the loss by all parameters.
    pub(super) fn backward(self) -> Result<Gradients, EngineError> {
        let Self { model, tokens, shape, tapes, last, d_normed, mut sums } = self;
        let mut dx = vec![0.0; last.len()];
        norm_backward(model, &model.last_norm, &last, &d_normed, Some(&mut dx), &mut sums)?;
        for (at, tape) in tapes.into_iter().enumerate().rev() {
            let is_last = at + 1 == model.layers.len();
            let step = Step { model, layer: &model.layers[at], is_last, shape: &shape };
            // Below the first layer only the embedding can be trained.
            let wants_input = at > 0 || model.embedding.trained.is_some();
            dx = step.backward(&tape, dx, wants_input, &mut sums)?;
        }
        if let Some(at) = model.embedding.trained {
            let width = model.config.width;
            let sum = sums[at].get_or_insert_with(|| vec![0.0; model.config.vocabulary * width]);
            for (token, dx) in tokens.iter().zip(dx.chunks_exact(width)) {
                let row = &mut sum[*token as usize * width..][..width];
                row.iter_mut().zip(dx).for_each(|(sum, dx)| *sum += dx);
            }
        }
        let tensors = sums.into_iter().zip(&model.parameters).map(|(sum, (_, var))| match sum {
            Some(values) => Tensor::from_vec(values, var.shape(), &Device::Cpu),
            None => var.zeros_like(),
        });
        Ok(Gradients::new(tensors.collect::<candle_core::Result<_>>()?))
    }
}

fn goals(batch: &Batch) -> Vec<Goal> {
    batch.targets.iter().map(|target| (target.token, target.weight)).collect()
}

impl Shape {
    fn new(model: &Model, batch: &Batch) -> Self {
        let config = &model.config;
        let longest = batch.lengths.iter().copied().max().unwrap_or(0);
        let heads = Heads::new(
            config.heads,
            config.kv_heads,
            config.head_size,
            &config.rotations[0].frequencies,
            longest,
        );
        let rows = batch.targets.iter().map(|target| target.position).collect();
        Self { heads, spans: batch.spans(), rows }
    }
}

/// The last hidden states at the targets. `keep` is given the tape of each layer.
fn forward(
    model: &Model,
    batch: &Batch,
    shape: &Shape,
    mut keep: impl FnMut(Tape),
) -> Result<Vec<f32>, EngineError> {
    let width = model.config.width;
    let embedding = Values::of(&model.embedding.tensor)?;
    let rows = batch.tokens.iter().map(|&token| &embedding[token as usize * width..][..width]);
    let mut x: Vec<f32> = rows.flatten().copied().collect();
    drop(embedding);
    for (at, layer) in model.layers.iter().enumerate() {
        let is_last = at + 1 == model.layers.len();
        let (y, tape) = Step { model, layer, is_last, shape }.forward(x)?;
        keep(tape);
        x = y;
    }
    Ok(x)
}

/// Copies of some rows.
fn select(values: &[f32], width: usize, rows: &[usize]) -> Vec<f32> {
    rows.iter().flat_map(|&row| &values[row * width..][..width]).copied().collect()
}

/// Adds rows to where [`select`] took them from.
fn add_rows(from: &[f32], width: usize, rows: &[usize], to: &mut [f32]) {
    for (&row, from) in rows.iter().zip(from.chunks_exact(width)) {
        to[row * width..][..width].iter_mut().zip(from).for_each(|(to, from)| *to += from);
    }
}

/// The way back through a norm: adds to `dx` and to the weight's sum, where they are wanted.
fn norm_backward(
    model: &Model,
    weight: &super::model::Weight,
    x: &[f32],
    dy: &[f32],
    dx: Option<&mut [f32]>,
    sums: &mut [Option<Vec<f32>>],
) -> Result<(), EngineError> {
    let epsilon = model.config.rms_epsilon;
    if let Some(at) = weight.trained {
        sums[at] = Some(norm::backward_weight(x, model.config.width, epsilon, dy));
    }
    if let Some(dx) = dx {
        norm::backward(x, &Values::of(&weight.tensor)?, epsilon, dy, dx);
    }
    Ok(())
}

impl Step<'_> {
    /// Where the results of queries, keys and values lie, and of gate and value.
    fn columns(&self, module: Module) -> Columns {
        let config = &self.model.config;
        let (queries, keys) = (config.heads * config.head_size, config.kv_heads * config.head_size);
        let stride = queries + 2 * keys;
        let inner = config.feed_forward;
        match module {
            Module::Q => Columns { from: 0, count: queries, stride },
            Module::K => Columns { from: queries, count: keys, stride },
            Module::V => Columns { from: queries + keys, count: keys, stride },
            Module::Gate => Columns { from: 0, count: inner, stride: 2 * inner },
            Module::Up => Columns { from: inner, count: inner, stride: 2 * inner },
            Module::O | Module::Down => Columns::all(config.width),
        }
    }

    fn forward(&self, x: Vec<f32>) -> Result<(Vec<f32>, Tape), EngineError> {
        let Self { model, layer, shape, .. } = *self;
        let config = &model.config;
        let (width, epsilon) = (config.width, config.rms_epsilon);
        let normed = norm::forward(&x, &Values::of(&layer.input_norm.tensor)?, epsilon);
        let rows = x.len() / width;
        let mut qkv = vec![0.0; rows * shape.heads.columns()];
        let q = self.linear(&layer.q, &normed, &mut qkv)?;
        let k = self.linear(&layer.k, &normed, &mut qkv)?;
        let v = self.linear(&layer.v, &normed, &mut qkv)?;
        let mut seen = attention::forward(&shape.heads, &shape.spans, &qkv);
        let residual = if self.is_last {
            seen = select(&seen, layer.o.inner, &shape.rows);
            &select(&x, width, &shape.rows)
        } else {
            &x
        };
        let mut middle = vec![0.0; residual.len()];
        let o = self.linear(&layer.o, &seen, &mut middle)?;
        add(&mut middle, residual);
        let middle_normed = norm::forward(&middle, &Values::of(&layer.post_norm.tensor)?, epsilon);
        let mut gate_up = vec![0.0; middle.len() / width * 2 * config.feed_forward];
        let gate = self.linear(&layer.gate, &middle_normed, &mut gate_up)?;
        let up = self.linear(&layer.up, &middle_normed, &mut gate_up)?;
        let gated = gate::forward(&gate_up, config.feed_forward);
        let mut y = vec![0.0; middle.len()];
        let down = self.linear(&layer.down, &gated, &mut y)?;
        add(&mut y, &middle);
        let inner = [q, k, v, o, gate, up, down];
        Ok((y, Tape { x, normed, qkv, seen, middle, middle_normed, gate_up, gated, inner }))
    }

    /// Writes a linear layer's result to its columns of `y`. Gives x Aᵀ, empty without an adapter.
    fn linear(&self, linear: &Linear, x: &[f32], y: &mut [f32]) -> Result<Vec<f32>, EngineError> {
        let columns = self.columns(linear.module);
        linear::forward(x, linear.inner, &Values::of(&linear.weight.tensor)?, y, columns);
        let Some((a, b)) = linear.adapter else { return Ok(Vec::new()) };
        let parameter = |at: usize| Values::of(self.model.parameters[at].1.as_tensor());
        let (a, b) = (parameter(a)?, parameter(b)?);
        let adapter = self.adapter(&a, &b);
        Ok(linear::forward_adapter(x, linear.inner, &adapter, y, columns))
    }

    fn adapter<'b>(&self, a: &'b [f32], b: &'b [f32]) -> Adapter<'b> {
        Adapter { a, b, rank: self.model.rank(), scale: self.model.scale() as f32 }
    }

    /// The derivatives by the layer's input, from those by its result; nothing where they are not
    /// wanted.
    fn backward(
        &self,
        tape: &Tape,
        mut dy: Vec<f32>,
        wants_input: bool,
        sums: &mut [Option<Vec<f32>>],
    ) -> Result<Vec<f32>, EngineError> {
        let Self { model, layer, shape, .. } = *self;
        let config = &model.config;
        let width = config.width;
        let mut d_gated = vec![0.0; tape.gated.len()];
        self.linear_backward(&layer.down, &tape.gated, tape, &dy, Some(&mut d_gated), sums)?;
        let d_gate_up = gate::backward(&tape.gate_up, config.feed_forward, &d_gated);
        let mut d_normed = vec![0.0; tape.middle_normed.len()];
        for linear in [&layer.gate, &layer.up] {
            let input = &tape.middle_normed;
            self.linear_backward(linear, input, tape, &d_gate_up, Some(&mut d_normed), sums)?;
        }
        norm_backward(model, &layer.post_norm, &tape.middle, &d_normed, Some(&mut dy), sums)?;
        let mut d_seen = vec![0.0; tape.seen.len()];
        self.linear_backward(&layer.o, &tape.seen, tape, &dy, Some(&mut d_seen), sums)?;
        if self.is_last {
            let (all_dy, all_seen) = (dy, d_seen);
            dy = vec![0.0; tape.x.len()];
            add_rows(&all_dy, width, &shape.rows, &mut dy);
            d_seen = vec![0.0; tape.x.len() / width * layer.o.inner];
            add_rows(&all_seen, layer.o.inner, &shape.rows, &mut d_seen);
        }
        let d_qkv = attention::backward(&shape.heads, &shape.spans, &tape.qkv, &d_seen);
        let mut d_normed = vec![0.0; if wants_input { tape.normed.len() } else { 0 }];
        for linear in [&layer.q, &layer.k, &layer.v] {
            let dx = wants_input.then_some(&mut d_normed[..]);
            self.linear_backward(linear, &tape.normed, tape, &d_qkv, dx, sums)?;
        }
        if wants_input {
            norm_backward(model, &layer.input_norm, &tape.x, &d_normed, Some(&mut dy), sums)?;
        }
        Ok(dy)
    }

    /// Adds to `dx`, where it is wanted, and gives `sums` the parameters' derivatives.
    fn linear_backward(
        &self,
        linear: &Linear,
        x: &[f32],
        tape: &Tape,
        dy: &[f32],
        mut dx: Option<&mut [f32]>,
        sums: &mut [Option<Vec<f32>>],
    ) -> Result<(), EngineError> {
        let columns = self.columns(linear.module);
        if let Some(dx) = dx.as_deref_mut() {
            let weight = Values::of(&linear.weight.tensor)?;
            linear::backward_input(dy, columns, &weight, linear.inner, dx, Earlier::Added);
        }
        if let Some(at) = linear.weight.trained {
            sums[at] = Some(linear::backward_weight(x, linear.inner, dy, columns));
        }
        if let Some((a_at, b_at)) = linear.adapter {
            let parameter = |at: usize| Values::of(self.model.parameters[at].1.as_tensor());
            let (a, b) = (parameter(a_at)?, parameter(b_at)?);
            let adapter = self.adapter(&a, &b);
            let inner = &tape.inner[linear.module as usize];
            let (da, db) =
                linear::backward_adapter(x, linear.inner, inner, &adapter, dy, columns, dx);
            sums[a_at] = Some(da);
            sums[b_at] = Some(db);
        }
        Ok(())
    }
}

fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}
