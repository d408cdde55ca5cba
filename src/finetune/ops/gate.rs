//! The gate of the feed-forward layer (Shazeer 2020): act(gate) · up, with act(z) = z σ(u(z)).
//!
//! u is z for SiLU, and 2 √(2/π) (z + 0.044715 z³) for GELU by its approximation.

use rayon::prelude::*;

use super::math::sigmoid;
use crate::onnx::architecture::Activation;
use crate::onnx::decoder_graph::{GELU, GELU_CUBE};

/// Rows that a thread takes at once.
const ROWS: usize = 8;

/// u and its derivative.
#[inline(always)]
fn inner<const IS_GELU: bool>(z: f32) -> (f32, f32) {
    if IS_GELU {
        let (once, cube) = (GELU as f32, (GELU * GELU_CUBE) as f32);
        let square = z * z;
        (z * (once + cube * square), once + 3.0 * cube * square)
    } else {
        (z, 1.0)
    }
}

/// `gate_up` has rows of `inner` gates and then `inner` values; the result rows of `inner`.
pub(crate) fn forward(gate_up: &[f32], inner: usize, activation: Activation) -> Vec<f32> {
    match activation {
        Activation::Silu => forward_by::<false>(gate_up, inner),
        Activation::Gelu => forward_by::<true>(gate_up, inner),
    }
}

fn forward_by<const IS_GELU: bool>(gate_up: &[f32], width: usize) -> Vec<f32> {
    let mut y = vec![0.0; gate_up.len() / 2];
    y.par_chunks_mut(ROWS * width).zip(gate_up.par_chunks(2 * ROWS * width)).for_each(
        |(y, gate_up)| {
            let rows = gate_up.chunks_exact(2 * width);
            for (y, (gate, up)) in y.chunks_exact_mut(width).zip(rows.map(|r| r.split_at(width))) {
                for ((y, &gate), up) in y.iter_mut().zip(gate).zip(up) {
                    *y = gate * sigmoid(inner::<IS_GELU>(gate).0) * up;
                }
            }
        },
    );
    y
}

/// The derivatives by gate and value, in the layout of `gate_up`: with s = σ(u(gate)),
/// dy up s (1 + gate u' (1 - s)), and dy gate s.
pub(crate) fn backward(
    gate_up: &[f32],
    inner: usize,
    activation: Activation,
    dy: &[f32],
) -> Vec<f32> {
    let row = match activation {
        Activation::Silu => row_backward::<false>,
        Activation::Gelu => row_backward::<true>,
    };
    let mut dx = vec![0.0; gate_up.len()];
    let inputs = gate_up.par_chunks(2 * ROWS * inner).zip(dy.par_chunks(ROWS * inner));
    dx.par_chunks_mut(2 * ROWS * inner).zip(inputs).for_each(|(dx, (gate_up, dy))| {
        let rows = gate_up.chunks_exact(2 * inner).zip(dy.chunks_exact(inner));
        for (dx, (gate_up, dy)) in dx.chunks_exact_mut(2 * inner).zip(rows) {
            let (d_gate, d_up) = dx.split_at_mut(inner);
            let (gate, up) = gate_up.split_at(inner);
            row(gate, up, dy, d_gate, d_up);
        }
    });
    dx
}

/// Not inlined, so that the compiler knows the five slices to be apart and uses vectors.
#[inline(never)]
fn row_backward<const IS_GELU: bool>(
    gate: &[f32],
    up: &[f32],
    dy: &[f32],
    d_gate: &mut [f32],
    d_up: &mut [f32],
) {
    let count = dy.len();
    let (gate, up) = (&gate[..count], &up[..count]);
    let (d_gate, d_up) = (&mut d_gate[..count], &mut d_up[..count]);
    for i in 0..count {
        let (u, du) = inner::<IS_GELU>(gate[i]);
        let s = sigmoid(u);
        d_gate[i] = dy[i] * up[i] * s * (1.0 + gate[i] * du * (1.0 - s));
        d_up[i] = dy[i] * gate[i] * s;
    }
}
