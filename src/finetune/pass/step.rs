//! One layer of the pass, forward and back.

use std::borrow::Cow;

use super::{Shape, add_rows, norm_backward, select};
use crate::finetune::model::{Layer, Linear, Model, Weight};
use crate::finetune::ops::attention::{self, Heads};
use crate::finetune::ops::linear::{self, Adapter, Columns};
use crate::finetune::ops::matrix::Earlier;
use crate::finetune::ops::{gate, norm};
use crate::finetune::values::Values;
use crate::finetune::{EngineError, Module};

/// What a layer leaves for the way back; rows of `attended` and behind it are those of the targets in
/// the last layer.
pub(super) struct Tape {
    x: Vec<f32>,
    /// As the linear layers give them.
    qkv: Vec<f32>,
    /// The same with queries and keys normed; empty where they are not.
    qkv_normed: Vec<f32>,
    seen: Vec<f32>,
    /// What attention gives; empty where it is not normed.
    attended: Vec<f32>,
    middle: Vec<f32>,
    gate_up: Vec<f32>,
    gated: Vec<f32>,
    /// What the feed-forward layer gives; empty where it is not normed.
    fed: Vec<f32>,
    /// x Aᵀ of each adapter, by [`Module`].
    inner: Inner,
}

impl Tape {
    /// Bytes of its numbers.
    pub(super) fn bytes(&self) -> usize {
        let Self { x, qkv, qkv_normed, seen, attended, middle, gate_up, gated, fed, inner } = self;
        let own = [x, qkv, qkv_normed, seen, attended, middle, gate_up, gated, fed];
        own.into_iter().chain(inner).map(|values| size_of_val(&values[..])).sum()
    }

    /// What entered the layer, alone.
    pub(super) fn into_input(self) -> Vec<f32> {
        self.x
    }
}

/// By [`Module`]; empty without an adapter.
type Inner = [Vec<f32>; Module::ALL.len()];

/// The derivatives by the parameters, as far as they are known.
type Sums = [Option<Vec<f32>>];

/// A layer's input and its position.
pub(super) struct Step<'a> {
    pub model: &'a Model,
    pub layer: &'a Layer,
    pub is_last: bool,
    pub shape: &'a Shape,
}

impl Step<'_> {
    fn heads(&self) -> Heads<'_> {
        self.shape.heads(&self.model.config, self.layer.kind)
    }

    /// Where the results of queries, keys and values lie, and of gate and value.
    fn columns(&self, module: Module) -> Columns {
        let config = &self.model.config;
        let [queries, keys] = config.columns();
        let stride = queries + 2 * keys;
        let inner = config.feed_forward;
        match module {
            Module::Q => Columns { from: 0, count: queries, stride },
            Module::K => Columns { from: queries, count: keys, stride },
            Module::V => Columns { from: queries + keys, count: keys, stride },
            Module::Qkv => Columns::all(stride),
            Module::Gate => Columns { from: 0, count: inner, stride: 2 * inner },
            Module::Up => Columns { from: inner, count: inner, stride: 2 * inner },
            Module::GateUp => Columns::all(2 * inner),
            Module::O | Module::Down => Columns::all(config.width),
        }
    }

    pub(super) fn forward(&self, x: Vec<f32>) -> Result<(Vec<f32>, Tape), EngineError> {
        let Self { model, layer, shape, .. } = *self;
        let config = &model.config;
        let width = config.width;
        let mut inner = Inner::default();
        let normed = self.normed(layer.before_attention.as_ref(), &x)?;
        let mut qkv = vec![0.0; x.len() / width * self.heads().columns()];
        for linear in &layer.inputs {
            self.linear(linear, &normed, &mut qkv, &mut inner)?;
        }
        let qkv_normed = self.norm_heads(&qkv)?;
        let asked = if qkv_normed.is_empty() { &qkv } else { &qkv_normed };
        let mut seen = attention::forward(&self.heads(), &shape.spans, asked);
        let residual = if self.is_last {
            seen = select(&seen, layer.o.inner, &shape.rows);
            Cow::Owned(select(&x, width, &shape.rows))
        } else {
            Cow::Borrowed(&x)
        };
        let mut attended = vec![0.0; residual.len()];
        self.linear(&layer.o, &seen, &mut attended, &mut inner)?;
        let (middle, attended) = self.added(layer.after_attention.as_ref(), attended, &residual)?;
        drop(residual);
        let normed = self.normed(layer.before_feed_forward.as_ref(), &middle)?;
        let mut gate_up = vec![0.0; middle.len() / width * 2 * config.feed_forward];
        for linear in &layer.gates {
            self.linear(linear, &normed, &mut gate_up, &mut inner)?;
        }
        let activation = config.architecture.activation;
        let gated = gate::forward(&gate_up, config.feed_forward, activation);
        let mut fed = vec![0.0; middle.len()];
        self.linear(&layer.down, &gated, &mut fed, &mut inner)?;
        let (y, fed) = self.added(layer.after_feed_forward.as_ref(), fed, &middle)?;
        drop(normed);
        let tape = Tape { x, qkv, qkv_normed, seen, attended, middle, gate_up, gated, fed, inner };
        Ok((y, tape))
    }

    /// The norm of rows, where there is one.
    fn normed<'x>(
        &self,
        weight: Option<&Weight>,
        x: &'x [f32],
    ) -> Result<Cow<'x, [f32]>, EngineError> {
        Ok(match weight {
            Some(weight) => {
                let weight = Values::of(&weight.tensor)?;
                Cow::Owned(norm::forward(x, &weight, self.model.config.rms_epsilon))
            }
            None => Cow::Borrowed(x),
        })
    }

    /// The residual and what is added to it, normed where it is; and what was normed.
    fn added(
        &self,
        weight: Option<&Weight>,
        mut found: Vec<f32>,
        residual: &[f32],
    ) -> Result<(Vec<f32>, Vec<f32>), EngineError> {
        let (mut sum, kept) = match weight {
            Some(_) => (self.normed(weight, &found)?.into_owned(), std::mem::take(&mut found)),
            None => (found, Vec::new()),
        };
        sum.iter_mut().zip(residual).for_each(|(sum, residual)| *sum += residual);
        Ok((sum, kept))
    }

    /// Queries, keys and values with the norms of queries and keys; empty where there are none.
    fn norm_heads(&self, qkv: &[f32]) -> Result<Vec<f32>, EngineError> {
        let Some(weights) = &self.layer.head_norms else { return Ok(Vec::new()) };
        let mut out = qkv.to_vec();
        for (weight, module) in weights.iter().zip([Module::Q, Module::K]) {
            let columns = self.columns(module);
            let x = columns.copied(qkv);
            columns.replace(&mut out, &self.normed(Some(weight), &x)?);
        }
        Ok(out)
    }

    /// The way back through [`Self::norm_heads`].
    fn norm_heads_backward(
        &self,
        qkv: &[f32],
        d_qkv: &mut [f32],
        sums: &mut Sums,
    ) -> Result<(), EngineError> {
        let Some(weights) = &self.layer.head_norms else { return Ok(()) };
        for (weight, module) in weights.iter().zip([Module::Q, Module::K]) {
            let columns = self.columns(module);
            let (x, dy) = (columns.copied(qkv), columns.copied(d_qkv));
            let mut dx = vec![0.0; x.len()];
            norm_backward(self.model, weight, &x, &dy, Some(&mut dx), sums)?;
            columns.replace(d_qkv, &dx);
        }
        Ok(())
    }

    /// Writes a linear layer's result to its columns of `y`, and x Aᵀ, where it has an adapter, to `inner`.
    fn linear(
        &self,
        linear: &Linear,
        x: &[f32],
        y: &mut [f32],
        inner: &mut Inner,
    ) -> Result<(), EngineError> {
        let columns = self.columns(linear.module);
        linear::forward(x, linear.inner, &linear.weight.values()?, y, columns);
        if let Some(bias) = &linear.bias {
            linear::add_bias(&Values::of(&bias.tensor)?, y, columns);
        }
        if let Some((a, b)) = linear.adapter {
            let parameter = |at: usize| Values::of(self.model.parameters[at].1.as_tensor());
            let (a, b) = (parameter(a)?, parameter(b)?);
            let adapter = self.adapter(&a, &b);
            inner[linear.module as usize] =
                linear::forward_adapter(x, linear.inner, &adapter, y, columns);
        }
        Ok(())
    }

    fn adapter<'b>(&self, a: &'b [f32], b: &'b [f32]) -> Adapter<'b> {
        Adapter { a, b, rank: self.model.rank(), scale: self.model.scale() as f32 }
    }

    /// The derivatives by the layer's input, from those by its result; nothing where they are not
    /// wanted.
    pub(super) fn backward(
        &self,
        tape: &Tape,
        mut dy: Vec<f32>,
        wants_input: bool,
        sums: &mut Sums,
    ) -> Result<Vec<f32>, EngineError> {
        self.feed_forward_backward(tape, &mut dy, sums)?;
        let Self { layer, shape, .. } = *self;
        let width = self.model.config.width;
        let d_attended =
            self.unnormed(layer.after_attention.as_ref(), &tape.attended, &dy, sums)?;
        let mut d_seen = vec![0.0; tape.seen.len()];
        self.linear_backward(&layer.o, &tape.seen, tape, &d_attended, Some(&mut d_seen), sums)?;
        drop(d_attended);
        if self.is_last {
            let (all_dy, all_seen) = (dy, d_seen);
            dy = vec![0.0; tape.x.len()];
            add_rows(&all_dy, width, &shape.rows, &mut dy);
            d_seen = vec![0.0; tape.x.len() / width * layer.o.inner];
            add_rows(&all_seen, layer.o.inner, &shape.rows, &mut d_seen);
        }
        let asked = if tape.qkv_normed.is_empty() { &tape.qkv } else { &tape.qkv_normed };
        let mut d_qkv = attention::backward(&self.heads(), &shape.spans, asked, &d_seen);
        self.norm_heads_backward(&tape.qkv, &mut d_qkv, sums)?;
        let normed = self.normed(layer.before_attention.as_ref(), &tape.x)?;
        let mut d_normed = vec![0.0; if wants_input { tape.x.len() } else { 0 }];
        for linear in &layer.inputs {
            let dx = wants_input.then_some(&mut d_normed[..]);
            self.linear_backward(linear, &normed, tape, &d_qkv, dx, sums)?;
        }
        if wants_input {
            self.add_unnormed(layer.before_attention.as_ref(), &tape.x, &d_normed, &mut dy, sums)?;
        }
        Ok(dy)
    }

    /// From the derivatives by the layer's result to those by what attention and the residual make.
    fn feed_forward_backward(
        &self,
        tape: &Tape,
        dy: &mut [f32],
        sums: &mut Sums,
    ) -> Result<(), EngineError> {
        let Self { model, layer, .. } = *self;
        let config = &model.config;
        let d_fed = self.unnormed(layer.after_feed_forward.as_ref(), &tape.fed, dy, sums)?;
        let mut d_gated = vec![0.0; tape.gated.len()];
        self.linear_backward(&layer.down, &tape.gated, tape, &d_fed, Some(&mut d_gated), sums)?;
        drop(d_fed);
        let activation = config.architecture.activation;
        let d_gate_up = gate::backward(&tape.gate_up, config.feed_forward, activation, &d_gated);
        let normed = self.normed(layer.before_feed_forward.as_ref(), &tape.middle)?;
        let mut d_normed = vec![0.0; tape.middle.len()];
        for linear in &layer.gates {
            self.linear_backward(linear, &normed, tape, &d_gate_up, Some(&mut d_normed), sums)?;
        }
        self.add_unnormed(layer.before_feed_forward.as_ref(), &tape.middle, &d_normed, dy, sums)
    }

    /// The derivatives by what a norm took, from those by what it gave; the same where there is none.
    fn unnormed<'d>(
        &self,
        weight: Option<&Weight>,
        x: &[f32],
        dy: &'d [f32],
        sums: &mut Sums,
    ) -> Result<Cow<'d, [f32]>, EngineError> {
        if weight.is_none() {
            return Ok(Cow::Borrowed(dy));
        }
        let mut dx = vec![0.0; x.len()];
        self.add_unnormed(weight, x, dy, &mut dx, sums)?;
        Ok(Cow::Owned(dx))
    }

    /// The same, added to `dx`.
    fn add_unnormed(
        &self,
        weight: Option<&Weight>,
        x: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        sums: &mut Sums,
    ) -> Result<(), EngineError> {
        match weight {
            Some(weight) => norm_backward(self.model, weight, x, dy, Some(dx), sums),
            None => {
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
                Ok(())
            }
        }
    }

    /// Adds to `dx`, where it is wanted, and gives `sums` the parameters' derivatives.
    fn linear_backward(
        &self,
        linear: &Linear,
        x: &[f32],
        tape: &Tape,
        dy: &[f32],
        mut dx: Option<&mut [f32]>,
        sums: &mut Sums,
    ) -> Result<(), EngineError> {
        let columns = self.columns(linear.module);
        if let Some(dx) = dx.as_deref_mut() {
            let weight = linear.weight.values()?;
            linear::backward_input(dy, columns, &weight, linear.inner, dx, Earlier::Added);
        }
        if let Some(at) = linear.weight.trained() {
            sums[at] = Some(linear::backward_weight(x, linear.inner, dy, columns));
        }
        if let Some(at) = linear.bias.as_ref().and_then(|bias| bias.trained) {
            sums[at] = Some(linear::backward_bias(dy, columns));
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
