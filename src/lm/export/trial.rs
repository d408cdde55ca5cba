//! What a graph can do is tried, not believed.
//!
//! Some exports were traced with one token behind the cache, and give wrong numbers, without an
//! error, for several: they lack the mask among these. Kernels of others refuse some shapes. So a
//! few tokens are computed in each way that is to be used, and must come out alike.

use ort::value::DynValue;

use super::graph::{Feed, Graph, Ran};
use super::inputs::{Behind, CacheRow, States};
use crate::lm::{Error, logits};

/// Largest difference of a token's ln p between two ways: well above what the order of sums in
/// `f32` makes, well below what a wrong mask does.
const TOLERANCE: f64 = 1e-3;

/// Rows of a trial: kernels treat a single one in their own way.
const ROWS: usize = 2;
/// Tokens of a row, and how many of them are in the cache when the others are computed.
const LENGTH: usize = 6;
const CACHED: usize = 2;

/// Some twenty tokens with which a model is tried.
pub(crate) struct Trial {
    sequences: Vec<Vec<u32>>,
}

impl Trial {
    /// Tokens spread over a vocabulary, whose first ones are often special.
    pub(crate) fn new(vocabulary: usize) -> Self {
        let token = |at: usize| (at * vocabulary / (ROWS * LENGTH)) as u32;
        let row = |row| (0..LENGTH).map(|at| token(row * LENGTH + at)).collect();
        Self { sequences: (0..ROWS).map(row).collect() }
    }

    /// The tokens, as rows of equal length.
    pub(crate) fn sequences(&self) -> &[Vec<u32>] {
        &self.sequences
    }

    fn cut(&self, from: usize, to: usize) -> Vec<Vec<u32>> {
        self.sequences.iter().map(|tokens| tokens[from..to].to_vec()).collect()
    }
}

/// How many tokens at a time give the right numbers behind a cache, the most first; none where no
/// number does.
///
/// `first` computes the beginning of a text, `next` what is behind its cache; none where `first`
/// does both. `states` are an encoder's for the trial's rows.
///
/// # Errors
/// Where `first` cannot even be run without a cache.
pub(crate) fn steps(
    trial: &Trial,
    first: &mut Graph,
    mut next: Option<&mut Graph>,
    states: Option<&DynValue>,
) -> Result<Option<usize>, Error> {
    let rows: Vec<CacheRow> = (0..ROWS).map(|row| CacheRow { batch: 0, row }).collect();
    let states = states.map(std::slice::from_ref);
    let states = states.map(|batches| States { batches, rows: &rows, length: LENGTH });
    let last: Vec<usize> = (1..=ROWS).map(|row| row * LENGTH - 1).collect();
    let feed = Feed { states, ..Feed::new(&trial.sequences, &last) };
    let whole = first.run(&feed)?;
    if !next.as_deref().unwrap_or(first).inputs().cached() {
        return Ok(None);
    }
    let keep = next.as_deref().unwrap_or(first).places();
    let (beginnings, rest) = (trial.cut(0, CACHED), trial.cut(CACHED, LENGTH));
    let feed = Feed { keep: &keep, states, ..Feed::new(&beginnings, &[]) };
    // One that cannot give its cache for no logits is asked for some.
    let Ok(ran) = first.run(&feed) else { return Ok(None) };
    let cache = [ran.kept];
    let behind = Behind { batches: &cache, rows: &rows, length: CACHED };
    let feed = Feed { behind, states, ..Feed::new(&rest, &[]) };
    let next = match &mut next {
        Some(next) => next,
        None => first,
    };
    let mut right = |step| next.run_by_steps(&feed, step).is_ok_and(|ran| agree(&whole, &ran));
    // By twos: what is behind a cache is kept, and gone on behind.
    if right(usize::MAX) && right(2) {
        return Ok(Some(usize::MAX));
    }
    Ok(right(1).then_some(1))
}

/// Whether two runs give the same probabilities after the last token of each row.
fn agree(a: &Ran, b: &Ran) -> bool {
    a.vocabulary == b.vocabulary && (0..ROWS).all(|row| same(a.row(row), b.row(row)))
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
