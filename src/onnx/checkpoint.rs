//! What every checkpoint format gives: weights by their Hugging Face name.

use std::path::Path;

use super::Error;
use super::blocks::{Bits, Blocks};

/// Tensors by name, in the orientation of PyTorch: a linear layer's weight is `[out, in]`.
pub trait Weights {
    /// The file or folder that they are of, for messages.
    fn path(&self) -> &Path;

    /// The names of all tensors.
    fn names(&self) -> Vec<String>;

    /// The shape of a tensor, outermost dimension first; none where there is no such tensor.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;

    /// A tensor's values in row-major order.
    ///
    /// # Errors
    /// Where it cannot be read or is not there.
    fn read(&self, name: &str) -> Result<Vec<f32>, Error>;

    /// A matrix as the integers in blocks that it is kept in; none where it is kept in plain numbers.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn blocks(&self, _name: &str) -> Result<Option<Blocks>, Error> {
        Ok(None)
    }
}

/// A matrix of [rows, columns] in blocks: as it is kept, or rounded to so many bits; none where rows are not
/// whole blocks.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn in_blocks(
    weights: &dyn Weights,
    name: &str,
    shape: [usize; 2],
    bits: Bits,
) -> Result<Option<Blocks>, Error> {
    match weights.blocks(name)? {
        Some(kept) => Ok(Some(kept)),
        None => Ok(Blocks::round(&to_be_rounded(weights, name)?, shape, bits)),
    }
}

/// A tensor's values, of which all are finite: what is not a number would be rounded to one.
///
/// # Errors
/// [`Error::Corrupt`] where one is not; where they cannot be read.
pub(crate) fn to_be_rounded(weights: &dyn Weights, name: &str) -> Result<Vec<f32>, Error> {
    let values = weights.read(name)?;
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(at) => {
            let problem = format!("value {at} of `{name}` is {}", values[at]);
            Err(Error::corrupt(weights.path(), "model", problem))
        }
    }
}

/// The transpose of a row-major matrix of `rows` x `columns`.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    // Tiles that fit the first-level cache: both sides are then read and written by the line.
    const TILE: usize = 32;
    let mut out = vec![0.0; values.len()];
    for row_tile in (0..rows).step_by(TILE) {
        for column_tile in (0..columns).step_by(TILE) {
            for row in row_tile..rows.min(row_tile + TILE) {
                for column in column_tile..columns.min(column_tile + TILE) {
                    out[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One(Vec<f32>);

    impl Weights for One {
        fn path(&self) -> &Path {
            Path::new("here")
        }

        fn names(&self) -> Vec<String> {
            vec!["w".to_owned()]
        }

        fn shape(&self, _: &str) -> Option<Vec<usize>> {
            Some(vec![1, self.0.len()])
        }

        fn read(&self, _: &str) -> Result<Vec<f32>, Error> {
            Ok(self.0.clone())
        }
    }

    #[test]
    fn what_is_not_a_number_is_not_rounded() {
        for bits in [Bits::Four, Bits::Eight] {
            assert!(in_blocks(&One(vec![1.0; 32]), "w", [1, 32], bits).unwrap().is_some());
            for bad in [f32::NAN, f32::INFINITY] {
                let mut values = vec![1.0; 32];
                values[7] = bad;
                let error = in_blocks(&One(values), "w", [1, 32], bits).unwrap_err().to_string();
                let expected = format!("here is not a sound model file: value 7 of `w` is {bad}");
                assert_eq!(error, expected);
            }
        }
    }

    #[test]
    fn rows_become_columns() {
        assert_eq!(
            transpose(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3),
            [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]
        );
        let (rows, columns) = (45, 70);
        let values: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
        assert_eq!(transpose(&transpose(&values, rows, columns), columns, rows), values);
    }
}
