//! What a layer is made of, forward and backward, over slices of f32 on the CPU.
//!
//! A function `forward` gives an operation's result; `backward` takes the derivatives of the loss by
//! that result and gives those by the operation's inputs. Matrices are row-major, a row a token.
//! Results are the same bits whatever the number of threads: work is split by rows of the result,
//! and sums over rows are folded in their order.

pub(super) mod attention;
pub(super) mod cross_entropy;
pub(super) mod gate;
pub(super) mod linear;
pub(super) mod math;
pub(super) mod matrix;
pub(super) mod norm;
#[cfg(test)]
mod tests;
