//! From a model's logits to the answers of rows.

use super::{Row, logits};

/// One model's answers to rows, in their order.
pub(super) struct Output {
    values: Vec<f64>,
    starts: Vec<usize>,
}

impl Output {
    /// No answer yet.
    pub(super) fn new(rows: &[Row<'_>]) -> Self {
        let mut total = 0;
        let starts = rows
            .iter()
            .map(|row| {
                let start = total;
                total += row.wanted.len();
                start
            })
            .collect();
        Self { values: vec![f64::NAN; total], starts }
    }

    /// Takes a row's answer from its logits of the whole vocabulary; fails where one is NaN or
    /// infinite.
    pub(super) fn take(&mut self, index: usize, row: &Row<'_>, logits: &[f32]) -> Result<(), ()> {
        let total = logits::log_sum_exp(logits);
        if !total.is_finite() {
            return Err(());
        }
        self.set(index, row, |token| f64::from(logits[token as usize]) - total);
        Ok(())
    }

    /// Takes a row's answer as it is given for the tokens that it wants; fails where one is NaN or
    /// infinite.
    pub(super) fn take_given(
        &mut self,
        index: usize,
        row: &Row<'_>,
        given: impl Fn(u32) -> f32,
    ) -> Result<(), ()> {
        self.set(index, row, |token| f64::from(given(token)));
        // -∞ is a legal mask.
        let own = &self.values[self.starts[index]..][..row.wanted.len()];
        if own.iter().any(|value| value.is_nan() || *value == f64::INFINITY) {
            return Err(());
        }
        Ok(())
    }

    fn set(&mut self, index: usize, row: &Row<'_>, value: impl Fn(u32) -> f64) {
        let values = &mut self.values[self.starts[index]..];
        values.iter_mut().zip(row.wanted.iter()).for_each(|(to, &token)| *to = value(token));
    }

    /// The answers: for each row in order, for each wanted token in order.
    pub(super) fn values(self) -> Vec<f64> {
        self.values
    }
}
