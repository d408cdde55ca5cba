//! Causal attention with rotated queries and keys, for sequences laid end to end.
//!
//! Rotation is that of RoFormer (Su et al. 2021) in the layout of Hugging Face: value i of a head's
//! first half and value i of its second half are a pair. Query heads share keys and values in groups
//! (Ainslie et al. 2023). A layer may see a window of positions only, or keep its scores small by tanh
//! (Gemma 2). Each sequence and each group of heads is computed by itself.

use rayon::prelude::*;

use super::math::{dot, exp_and_sum, largest};
use super::matrix::{Earlier, Matrix, MatrixMut, Threads, multiply};
use crate::onnx::decoder::Rotation;

/// Cosines and sines of a rotation by position and pair, `[positions, pairs]`.
pub(crate) struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
    pairs: usize,
}

impl Angles {
    /// Those of so many positions.
    pub(crate) fn new(rotation: &Rotation, positions: usize) -> Self {
        let [cos, sin] = rotation.tables(positions);
        Self { cos, sin, pairs: rotation.frequencies.len() }
    }

    /// Rotates a head's values at a position; `direction` is 1, or -1 for what the derivatives by the
    /// result are turned back by.
    fn rotate(&self, head: &mut [f32], position: usize, direction: f32) {
        let angles = position * self.pairs..(position + 1) * self.pairs;
        let (first, second) = head[..2 * self.pairs].split_at_mut(self.pairs);
        let pairs = first.iter_mut().zip(second);
        for ((a, b), (cos, sin)) in
            pairs.zip(self.cos[angles.clone()].iter().zip(&self.sin[angles]))
        {
            let sin = direction * sin;
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}

/// Sizes of an attention layer, and how it weighs.
#[derive(Clone, Copy)]
pub(crate) struct Heads<'a> {
    /// Query heads.
    pub heads: usize,
    /// Key-value heads, each for `heads / kv_heads` neighbouring query heads.
    pub kv_heads: usize,
    /// Values of a head.
    pub size: usize,
    /// How queries and keys are rotated, if they are.
    pub angles: Option<&'a Angles>,
    /// How many positions are seen at most, one's own included.
    pub window: usize,
    /// What products of queries and keys are multiplied by.
    pub scale: f32,
    /// c in c · tanh(score / c).
    pub cap: Option<f32>,
}

impl Heads<'_> {
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Values of a row of queries, keys and values.
    pub(crate) fn columns(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.size
    }

    /// Rotates rows of heads whose positions go round, each `length` long.
    fn rotate(&self, rows: &mut [f32], length: usize, direction: f32) {
        if let Some(angles) = self.angles {
            for (i, row) in rows.chunks_exact_mut(self.size).enumerate() {
                angles.rotate(row, i % length, direction);
            }
        }
    }
}

/// Queries [group · length, size], head by head, keys and values [length, size] of a sequence for
/// one key-value head; queries and keys are rotated.
struct Piece {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    /// Attention of each query to each position, [group · length, length]; zero for what is not seen.
    p: Vec<f32>,
    /// What the cap multiplies derivatives by the scores with, of the same shape; empty without one.
    bent: Vec<f32>,
}

/// Which sequence, (start, length), and which key-value head.
type Task = ((usize, usize), usize);

fn tasks(heads: &Heads<'_>, spans: &[(usize, usize)]) -> Vec<Task> {
    spans.iter().flat_map(|&span| (0..heads.kv_heads).map(move |head| (span, head))).collect()
}

/// Copies heads `head..head + count` of a sequence's rows, head by head.
fn gather(
    rows: &[f32],
    stride: usize,
    (start, length): (usize, usize),
    head: usize,
    count: usize,
    size: usize,
) -> Vec<f32> {
    let mut out = Vec::with_capacity(count * length * size);
    for head in head..head + count {
        for row in start..start + length {
            out.extend_from_slice(&rows[row * stride + head * size..][..size]);
        }
    }
    out
}

/// Copies back what [`gather`] copied.
fn scatter(
    from: &[f32],
    rows: &mut [f32],
    stride: usize,
    (start, length): (usize, usize),
    head: usize,
    size: usize,
) {
    for (i, values) in from.chunks_exact(size).enumerate() {
        let (head, row) = (head + i / length, start + i % length);
        rows[row * stride + head * size..][..size].copy_from_slice(values);
    }
}

impl Piece {
    fn new(heads: &Heads<'_>, qkv: &[f32], (span, head): Task) -> Self {
        let (group, size, stride, length) = (heads.group(), heads.size, heads.columns(), span.1);
        let mut q = gather(qkv, stride, span, head * group, group, size);
        let mut k = gather(qkv, stride, span, heads.heads + head, 1, size);
        let v = gather(qkv, stride, span, heads.heads + heads.kv_heads + head, 1, size);
        heads.rotate(&mut q, length, 1.0);
        heads.rotate(&mut k, length, 1.0);
        let mut p = vec![0.0; group * length * length];
        let (q_view, k_view) = (Matrix::new(&q, size), Matrix::new(&k, size));
        let target = MatrixMut::new(&mut p, length);
        multiply(target, Earlier::Replaced, heads.scale, q_view, k_view.t(), Threads::One);
        let bent = heads.cap.map(|cap| bend(&mut p, cap)).unwrap_or_default();
        for (i, row) in p.chunks_exact_mut(length).enumerate() {
            let end = i % length + 1;
            let (seen, later) = row.split_at_mut(end);
            let (before, seen) = seen.split_at_mut(end.saturating_sub(heads.window));
            let sum = exp_and_sum(seen, largest(seen));
            let factor = (1.0 / sum) as f32;
            seen.iter_mut().for_each(|value| *value *= factor);
            before.fill(0.0);
            later.fill(0.0);
        }
        Self { q, k, v, p, bent }
    }
}

/// Replaces x by y = c · tanh(x / c), and gives dy/dx = 1 - (y / c)².
pub(crate) fn bend(values: &mut [f32], cap: f32) -> Vec<f32> {
    let bend = |value: &mut f32| {
        let share = (*value / cap).tanh();
        *value = cap * share;
        1.0 - share * share
    };
    values.iter_mut().map(bend).collect()
}

/// What each position's query heads see, [rows, heads · size], from `qkv` [rows, columns].
pub(crate) fn forward(heads: &Heads<'_>, spans: &[(usize, usize)], qkv: &[f32]) -> Vec<f32> {
    let tasks = tasks(heads, spans);
    let pieces: Vec<Vec<f32>> = tasks
        .par_iter()
        .map(|&task| {
            let Piece { p, v, .. } = Piece::new(heads, qkv, task);
            let length = task.0.1;
            let mut seen = vec![0.0; heads.group() * length * heads.size];
            let target = MatrixMut::new(&mut seen, heads.size);
            let (p, v) = (Matrix::new(&p, length), Matrix::new(&v, heads.size));
            multiply(target, Earlier::Replaced, 1.0, p, v, Threads::One);
            seen
        })
        .collect();
    let stride = heads.heads * heads.size;
    let mut out = vec![0.0; qkv.len() / heads.columns() * stride];
    for (piece, (span, head)) in pieces.iter().zip(tasks) {
        scatter(piece, &mut out, stride, span, head * heads.group(), heads.size);
    }
    out
}

/// The derivatives by `qkv`, from those by what was seen, [rows, heads · size].
pub(crate) fn backward(
    heads: &Heads<'_>,
    spans: &[(usize, usize)],
    qkv: &[f32],
    dy: &[f32],
) -> Vec<f32> {
    let tasks = tasks(heads, spans);
    let pieces: Vec<[Vec<f32>; 3]> =
        tasks.par_iter().map(|&task| piece_backward(heads, qkv, dy, task)).collect();
    let (group, size, stride) = (heads.group(), heads.size, heads.columns());
    let mut out = vec![0.0; qkv.len()];
    for ([dq, dk, dv], (span, head)) in pieces.iter().zip(tasks) {
        scatter(dq, &mut out, stride, span, head * group, size);
        scatter(dk, &mut out, stride, span, heads.heads + head, size);
        scatter(dv, &mut out, stride, span, heads.heads + heads.kv_heads + head, size);
    }
    out
}

/// With y = p v and p the softmax of s: dv = pᵀ dy, dp = dy vᵀ, ds = p (dp - Σ p dp), times what the cap
/// has; dq = scale ds k, dk = scale dsᵀ q, then both turned back.
fn piece_backward(heads: &Heads<'_>, qkv: &[f32], dy: &[f32], task: Task) -> [Vec<f32>; 3] {
    let (span, head) = task;
    let (group, size, length) = (heads.group(), heads.size, span.1);
    let Piece { q, k, v, p, bent } = Piece::new(heads, qkv, task);
    let dy = gather(dy, heads.heads * size, span, head * group, group, size);
    let (dy, p_view) = (Matrix::new(&dy, size), Matrix::new(&p, length));
    let product = |columns: usize, rows: usize, factor: f32, a: Matrix, b: Matrix| {
        let mut out = vec![0.0; rows * columns];
        let target = MatrixMut::new(&mut out, columns);
        multiply(target, Earlier::Replaced, factor, a, b, Threads::One);
        out
    };
    let dv = product(size, length, 1.0, p_view.t(), dy);
    let mut ds = product(length, group * length, 1.0, dy, Matrix::new(&v, size).t());
    for (ds, p) in ds.chunks_exact_mut(length).zip(p.chunks_exact(length)) {
        let mean = dot(ds, p);
        for (ds, p) in ds.iter_mut().zip(p) {
            *ds = p * (*ds - mean);
        }
    }
    ds.iter_mut().zip(&bent).for_each(|(ds, bent)| *ds *= bent);
    let ds = Matrix::new(&ds, length);
    let mut dq = product(size, group * length, heads.scale, ds, Matrix::new(&k, size));
    let mut dk = product(size, length, heads.scale, ds.t(), Matrix::new(&q, size));
    heads.rotate(&mut dq, length, -1.0);
    heads.rotate(&mut dk, length, -1.0);
    [dq, dk, dv]
}
