//! One pass through the model on the CPU, forward and back, without a graph.
//!
//! The layers are all alike, so that the way back is written once: each layer's function takes the
//! derivatives by its result and gives those by its input. What it needs of the way forth is on the
//! [`Tape`] of its layer; where tapes take too much memory, the way back goes through a layer forth once more
//! (Chen et al. 2016, arXiv 1604.06174), which gives the same bits. The output projection runs at the targets'
//! positions only, and so does the last layer behind its attention.

use candle_core::{Device, Tensor};

use self::step::{Step, Tape};
use super::model::{Model, Weight};
use super::ops::attention::{Angles, Heads};
use super::ops::cross_entropy::{self, Derivatives, Goal, Output};
use super::ops::norm;
use super::values::Values;
use super::{Batch, EngineError, Gradients};
use crate::onnx::DecoderConfig;
use crate::onnx::decoder::LayerKind;

mod step;

/// Bytes of tapes that are kept from the way forth.
pub(super) const MOST_TAPES: usize = 1 << 30;

/// What a layer left on the way forth.
enum Left {
    Tape(Box<Tape>),
    /// What entered it, from which its tape is made anew.
    Input(Vec<f32>),
}

/// What is known after the way forth.
pub(super) struct Pass<'a> {
    model: &'a Model,
    tokens: Vec<u32>,
    shape: Shape,
    left: Vec<Left>,
    /// What entered the last norm, a row a target.
    last: Vec<f32>,
    /// The derivatives of the loss by what left it.
    d_normed: Vec<f32>,
    /// What is known of the parameters' derivatives.
    sums: Vec<Option<Vec<f32>>>,
}

/// How a batch's rows hang together.
struct Shape {
    /// Of each of the model's rotations.
    angles: Vec<Angles>,
    spans: Vec<(usize, usize)>,
    /// The row of each target.
    rows: Vec<usize>,
}

impl<'a> Pass<'a> {
    /// -ln p of each target, and the way back, with tapes of so many bytes at most in between.
    pub(super) fn new(
        model: &'a Model,
        batch: &Batch,
        most_tapes: usize,
    ) -> Result<(Vec<f64>, Self), EngineError> {
        let shape = Shape::new(model, batch);
        let mut left = Vec::with_capacity(model.layers.len());
        let mut kept = 0;
        let keep = |tape: Tape| {
            let bytes = tape.bytes();
            left.push(if kept + bytes <= most_tapes {
                kept += bytes;
                Left::Tape(Box::new(tape))
            } else {
                Left::Input(tape.into_input())
            });
        };
        let last = forward(model, batch, &shape, keep)?;
        let width = model.config.width;
        let normed =
            norm::forward(&last, &Values::of(&model.last_norm.tensor)?, model.config.rms_epsilon);
        let mut sums: Vec<Option<Vec<f32>>> = model.parameters.iter().map(|_| None).collect();
        let output = Values::of(&model.output.tensor)?;
        let mut d_normed = vec![0.0; normed.len()];
        let mut d_output = model.output.trained.map(|_| vec![0.0; output.len()]);
        let derivatives = Derivatives { hidden: &mut d_normed, output: d_output.as_deref_mut() };
        let head = Output { weight: &output, width, cap: model.config.output_cap };
        let nll = cross_entropy::evaluate(&normed, head, &goals(batch), Some(derivatives));
        drop(output);
        if let Some(at) = model.output.trained {
            sums[at] = d_output;
        }
        let tokens = batch.tokens.clone();
        Ok((nll, Self { model, tokens, shape, left, last, d_normed, sums }))
    }

    /// -ln p of each target and nothing else.
    pub(super) fn evaluate(model: &Model, batch: &Batch) -> Result<Vec<f64>, EngineError> {
        let last = forward(model, batch, &Shape::new(model, batch), drop)?;
        let weight = Values::of(&model.last_norm.tensor)?;
        let normed = norm::forward(&last, &weight, model.config.rms_epsilon);
        let output = Values::of(&model.output.tensor)?;
        let (width, cap) = (model.config.width, model.config.output_cap);
        let head = Output { weight: &output, width, cap };
        Ok(cross_entropy::evaluate(&normed, head, &goals(batch), None))
    }

    /// The derivatives of the loss by all parameters.
    pub(super) fn backward(self) -> Result<Gradients, EngineError> {
        let Self { model, tokens, shape, left, last, d_normed, mut sums } = self;
        let mut dx = vec![0.0; last.len()];
        norm_backward(model, &model.last_norm, &last, &d_normed, Some(&mut dx), &mut sums)?;
        for (at, left) in left.into_iter().enumerate().rev() {
            let is_last = at + 1 == model.layers.len();
            let step = Step { model, layer: &model.layers[at], is_last, shape: &shape };
            let tape = match left {
                Left::Tape(tape) => tape,
                Left::Input(x) => Box::new(step.forward(x)?.1),
            };
            // Below the first layer only the embedding can be trained.
            let wants_input = at > 0 || model.embedding.trained.is_some();
            dx = step.backward(&tape, dx, wants_input, &mut sums)?;
        }
        if let Some(at) = model.embedding.trained {
            let width = model.config.width;
            let sum = sums[at].get_or_insert_with(|| vec![0.0; model.config.vocabulary * width]);
            let scale = model.config.embedding_scale;
            for (token, dx) in tokens.iter().zip(dx.chunks_exact(width)) {
                let row = &mut sum[*token as usize * width..][..width];
                row.iter_mut().zip(dx).for_each(|(sum, dx)| *sum += scale * dx);
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
        let longest = batch.lengths.iter().copied().max().unwrap_or(0);
        let angles = model.config.rotations.iter().map(|rotation| Angles::new(rotation, longest));
        let rows = batch.targets.iter().map(|target| target.position).collect();
        Self { angles: angles.collect(), spans: batch.spans(), rows }
    }

    /// How a layer attends.
    fn heads(&self, config: &DecoderConfig, kind: LayerKind) -> Heads<'_> {
        Heads {
            heads: config.heads,
            kv_heads: config.kv_heads,
            size: config.head_size,
            angles: kind.rotation.map(|number| &self.angles[number]),
            window: if kind.windowed { config.window } else { usize::MAX },
            scale: config.query_scale as f32,
            cap: config.score_cap,
        }
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
    let scale = model.config.embedding_scale;
    let mut x: Vec<f32> = rows.flatten().map(|value| scale * value).collect();
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
    weight: &Weight,
    x: &[f32],
    dy: &[f32],
    dx: Option<&mut [f32]>,
    sums: &mut [Option<Vec<f32>>],
) -> Result<(), EngineError> {
    let (epsilon, size) = (model.config.rms_epsilon, weight.tensor.elem_count());
    if let Some(at) = weight.trained {
        sums[at] = Some(norm::backward_weight(x, size, epsilon, dy));
    }
    if let Some(dx) = dx {
        norm::backward(x, &Values::of(&weight.tensor)?, epsilon, dy, dx);
    }
    Ok(())
}
