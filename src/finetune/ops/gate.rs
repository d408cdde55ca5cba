//! The gate of the feed-forward layer (SwiGLU, Shazeer 2020): silu(gate) · up, silu(x) = x σ(x).

use rayon::prelude::*;

use super::math::sigmoid;

/// Rows that a thread takes at once.
const ROWS: usize = 8;

/// `gate_up` has rows of `inner` gates and then `inner` values; the result rows of `inner`.
pub(crate) fn forward(gate_up: &[f32], inner: usize) -> Vec<f32> {
    let mut y = vec![0.0; gate_up.len() / 2];
    y.par_chunks_mut(ROWS * inner).zip(gate_up.par_chunks(2 * ROWS * inner)).for_each(
        |(y, gate_up)| {
            let rows = gate_up.chunks_exact(2 * inner);
            for (y, (gate, up)) in y.chunks_exact_mut(inner).zip(rows.map(|r| r.split_at(inner))) {
                for ((y, &gate), up) in y.iter_mut().zip(gate).zip(up) {
                    *y = gate * sigmoid(gate) * up;
                }
            }
        },
    );
    y
}

/// The derivatives by gate and value, in the layout of `gate_up`: with s = σ(gate),
/// dy up s (1 + gate (1 - s)), and dy gate s.
pub(crate) fn backward(gate_up: &[f32], inner: usize, dy: &[f32]) -> Vec<f32> {
    let mut dx = vec![0.0; gate_up.len()];
    let inputs = gate_up.par_chunks(2 * ROWS * inner).zip(dy.par_chunks(ROWS * inner));
    dx.par_chunks_mut(2 * ROWS * inner).zip(inputs).for_each(|(dx, (gate_up, dy))| {
        let rows = gate_up.chunks_exact(2 * inner).zip(dy.chunks_exact(inner));
        for (dx, (gate_up, dy)) in dx.chunks_exact_mut(2 * inner).zip(rows) {
            let (d_gate, d_up) = dx.split_at_mut(inner);
            let (gate, up) = gate_up.split_at(inner);
            row_backward(gate, up, dy, d_gate, d_up);
        }
    });
    dx
}

/// Not inlined, so that the compiler knows the five slices to be apart and uses vectors.
#[inline(never)]
fn row_backward(gate: &[f32], up: &[f32], dy: &[f32], d_gate: &mut [f32], d_up: &mut [f32]) {
    let count = dy.len();
    let (gate, up) = (&gate[..count], &up[..count]);
    let (d_gate, d_up) = (&mut d_gate[..count], &mut d_up[..count]);
    for i in 0..count {
        let s = sigmoid(gate[i]);
        d_gate[i] = dy[i] * up[i] * s * (1.0 + gate[i] * (1.0 - s));
        d_up[i] = dy[i] * gate[i] * s;
    }
}
