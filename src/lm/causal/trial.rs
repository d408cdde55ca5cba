//! What a graph can do is tried, not believed.
//!
//! Some exports were traced with one token behind the cache, and give wrong numbers, without an
//! error, for several: they lack the mask among these. Kernels of others refuse some shapes. So a
//! few tokens are computed in each way that is to be used, and must come out alike.

use super::graph::{Batch, Graph};
use super::inputs::{Behind, CacheRow};
use crate::lm::{Error, logits};

/// Largest difference of a token's ln p between two ways: well above what the order of sums in
/// `f32` makes, well below what a wrong mask does.
const TOLERANCE: f64 = 1e-3;

/// Rows of a trial: kernels treat a single one in their own way.
const ROWS: usize = 2;
/// Tokens of a row, and how many of them are in the cache when the others are computed.
const LENGTH: usize = 6;
const CACHED: usize = 2;

/// What a graph was found to do.
pub struct Abilities {
    /// Logits at each position.
    pub vocabulary: usize,
    /// How many tokens it takes at a time behind a cache; none where its cache is of no use.
    pub step: Option<usize>,
}

/// Tries a graph out, on some twenty tokens.
///
/// # Errors
/// Where it cannot even be run without a cache.
pub fn abilities(graph: &mut Graph) -> Result<Abilities, Error> {
    let vocabulary = graph.run(&[vec![0]], Behind::NOTHING, false)?.vocabulary;
    // Spread over the vocabulary, whose first tokens are often special ones.
    let token = |at: usize| (at * vocabulary / (ROWS * LENGTH)) as u32;
    let sequences: Vec<Vec<u32>> =
        (0..ROWS).map(|row| (0..LENGTH).map(|at| token(row * LENGTH + at)).collect()).collect();
    let whole = graph.run(&sequences, Behind::NOTHING, false)?;
    let mut step = None;
    if graph.has_cache() {
        let cut = |from: usize, to: usize| -> Vec<Vec<u32>> {
            sequences.iter().map(|tokens| tokens[from..to].to_vec()).collect()
        };
        let cache = [graph.run(&cut(0, CACHED), Behind::NOTHING, true)?.kept];
        let rows: Vec<CacheRow> = (0..ROWS).map(|row| CacheRow { batch: 0, row }).collect();
        let behind = Behind { batches: &cache, rows: &rows, length: CACHED };
        let rest = cut(CACHED, LENGTH);
        step = [usize::MAX, 1].into_iter().find(|&step| {
            graph.run_by_steps(&rest, behind, step).is_ok_and(|batch| agree(&whole, &batch))
        });
    }
    Ok(Abilities { vocabulary, step })
}

/// Whether two batches give the same probabilities at the last positions that both have.
fn agree(a: &Batch, b: &Batch) -> bool {
    let positions = a.positions.min(b.positions);
    a.vocabulary == b.vocabulary
        && (0..ROWS)
            .all(|row| (0..positions).all(|before| same(a.row(row, before), b.row(row, before))))
}

fn same(a: &[f32], b: &[f32]) -> bool {
    let (a_total, b_total) = (logits::log_sum_exp(a), logits::log_sum_exp(b));
    a.iter().zip(b).all(|(&a, &b)| {
        let difference = (f64::from(a) - a_total) - (f64::from(b) - b_total);
        // A logit of -∞ is a legal mask.
        difference.abs() <= TOLERANCE || (a == f32::NEG_INFINITY && b == a)
    })
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn only_probabilities_count() {
        assert!(same(&[1.0, 2.0, f32::NEG_INFINITY], &[4.0, 5.0, f32::NEG_INFINITY]));
        assert!(!same(&[1.0, 2.0], &[1.0, 2.01]));
        assert!(!same(&[1.0, f32::NEG_INFINITY], &[1.0, 2.0]));
        assert!(!same(&[f32::NAN, 1.0], &[f32::NAN, 1.0]));
    }
}
