//! The loss at the targets, and its derivatives, without all logits in memory at once.

use rayon::prelude::*;

use super::attention::bend;
use super::math::{exp_and_sum, largest};
use super::matrix::{Earlier, Matrix, MatrixMut, Threads, multiply};

/// Rows whose logits are in memory at once: 50 MB for a vocabulary of 50,000.
const ROWS: usize = 256;

/// A row's token, and the weight of its loss.
pub(crate) type Goal = (u32, f32);

/// What a hidden state is multiplied by, [vocabulary, width], and what logits are kept below.
#[derive(Clone, Copy)]
pub(crate) struct Output<'a> {
    pub weight: &'a [f32],
    pub width: usize,
    /// c in c · tanh(logit / c).
    pub cap: Option<f32>,
}

/// Derivatives of Σ weight · nll.
pub(crate) struct Derivatives<'a> {
    /// By the hidden rows: written.
    pub hidden: &'a mut [f32],
    /// By the output projection: added to, where it is trained.
    pub output: Option<&'a mut [f32]>,
}

/// -ln p(token) for each row of `hidden` [rows, width] under the output projection `output`, and the
/// derivatives where they are wanted.
pub(crate) fn evaluate(
    hidden: &[f32],
    Output { weight: output, width, cap }: Output<'_>,
    goals: &[Goal],
    mut derivatives: Option<Derivatives>,
) -> Vec<f64> {
    let vocabulary = output.len() / width;
    let output = Matrix::new(output, width);
    let mut nll = Vec::with_capacity(goals.len());
    let mut logits = vec![0.0; goals.len().min(ROWS) * vocabulary];
    for (chunk, goals) in goals.chunks(ROWS).enumerate() {
        let rows = chunk * ROWS * width..(chunk * ROWS + goals.len()) * width;
        let hidden = Matrix::new(&hidden[rows.clone()], width);
        let logits = &mut logits[..goals.len() * vocabulary];
        let target = MatrixMut::new(logits, vocabulary);
        multiply(target, Earlier::Replaced, 1.0, hidden, output.t(), Threads::All);
        let wanted = derivatives.is_some();
        let losses = logits
            .par_chunks_mut(vocabulary)
            .zip(goals)
            .map(|(logits, &goal)| row(logits, cap, goal, wanted));
        nll.par_extend(losses);
        if let Some(derivatives) = &mut derivatives {
            let logits = Matrix::new(logits, vocabulary);
            let target = MatrixMut::new(&mut derivatives.hidden[rows], width);
            multiply(target, Earlier::Replaced, 1.0, logits, output, Threads::All);
            if let Some(sum) = derivatives.output.as_deref_mut() {
                let sum = MatrixMut::new(sum, width);
                multiply(sum, Earlier::Added, 1.0, logits.t(), hidden, Threads::All);
            }
        }
    }
    nll
}

/// The loss of a row; its logits become the derivatives by them, weight · (p - 1 at the token), times what
/// the cap has.
fn row(logits: &mut [f32], cap: Option<f32>, (token, weight): Goal, derivatives: bool) -> f64 {
    let bent = cap.map(|cap| bend(logits, cap)).unwrap_or_default();
    let token = token as usize;
    let top = largest(logits);
    let own = f64::from(logits[token]);
    let sum = exp_and_sum(logits, top);
    if derivatives {
        let factor = (f64::from(weight) / sum) as f32;
        logits.iter_mut().for_each(|value| *value *= factor);
        logits[token] -= weight;
        logits.iter_mut().zip(&bent).for_each(|(value, bent)| *value *= bent);
    }
    f64::from(top) + sum.ln() - own
}
