//! RMS norm (Zhang and Sennrich 2019): y = g x / √(mean(x²) + ε), for each row.

use rayon::prelude::*;

use super::math::dot;

/// Rows that a thread takes at once.
const ROWS: usize = 16;

fn inverse_root(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (dot(x, x) / x.len() as f32 + epsilon).sqrt()
}

/// y, of the shape of `x`; a row has as many values as `weight`.
pub(crate) fn forward(x: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let width = weight.len();
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(ROWS * width).zip(x.par_chunks(ROWS * width)).for_each(|(y, x)| {
        for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            let scale = inverse_root(x, epsilon);
            for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
                *y = x * scale * weight;
            }
        }
    });
    y
}

/// Adds the derivative by x to `dx`: with r the inverse root,
/// r g dy - x r³ mean(x g dy).
pub(crate) fn backward(x: &[f32], weight: &[f32], epsilon: f32, dy: &[f32], dx: &mut [f32]) {
    let width = weight.len();
    let chunk = ROWS * width;
    let inputs = x.par_chunks(chunk).zip(dy.par_chunks(chunk));
    dx.par_chunks_mut(chunk).zip(inputs).for_each(|(dx, (x, dy))| {
        let mut scaled = vec![0.0; width];
        let rows = x.chunks_exact(width).zip(dy.chunks_exact(width));
        for (dx, (x, dy)) in dx.chunks_exact_mut(width).zip(rows) {
            for ((scaled, dy), weight) in scaled.iter_mut().zip(dy).zip(weight) {
                *scaled = dy * weight;
            }
            let scale = inverse_root(x, epsilon);
            let back = dot(x, &scaled) * scale * scale * scale / width as f32;
            for ((dx, x), scaled) in dx.iter_mut().zip(x).zip(&scaled) {
                *dx += scale * scaled - back * x;
            }
        }
    });
}

/// The derivative by the weight: Σ over rows of dy x r.
pub(crate) fn backward_weight(x: &[f32], width: usize, epsilon: f32, dy: &[f32]) -> Vec<f32> {
    let mut sum = vec![0.0; width];
    for (x, dy) in x.chunks_exact(width).zip(dy.chunks_exact(width)) {
        let scale = inverse_root(x, epsilon);
        for ((sum, x), dy) in sum.iter_mut().zip(x).zip(dy) {
            *sum += dy * x * scale;
        }
    }
    sum
}
