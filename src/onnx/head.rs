//! The output matrix of a packed graph's model, for logits of single tokens.

use std::fs::File;

use memmap2::Mmap;

use super::Error;
use super::import::ModelFolder;
use super::llama::{EMBEDDING, OUTPUT};
use super::proto::data_type;
use super::validate::{External, external, read_model};

/// Independent partial sums, so that the compiler can use the machine's vectors.
const LANES: usize = 16;

/// What a hidden state is multiplied with for the logits, a row a token; mapped, not read.
///
/// Its `vocabulary` rows of `width` numbers lie in `data` from `offset` on.
pub struct Head {
    data: Mmap,
    offset: usize,
    vocabulary: usize,
    width: usize,
}

impl Head {
    /// Maps the output matrix of a model with a packed graph.
    ///
    /// # Errors
    /// Where the graph has none, or its file cannot be mapped.
    pub fn open(model: &ModelFolder) -> Result<Self, Error> {
        let proto = read_model(&model.graph)?;
        let initializers = || proto.graph.iter().flat_map(|graph| &graph.initializer);
        let named = |name| initializers().find(|tensor| tensor.name.as_deref() == Some(name));
        let corrupt = |what: &str| Error::corrupt(&model.graph, "ONNX", what.to_owned());
        let tensor = named(OUTPUT).or_else(|| named(EMBEDDING));
        let tensor = tensor.ok_or_else(|| corrupt("it has no output matrix"))?;
        let place = external(&model.graph, tensor)?;
        let (&[vocabulary, width], Some(External { location, offset, .. })) =
            (&tensor.dims[..], place)
        else {
            return Err(corrupt("its output matrix is no matrix in a file of its own"));
        };
        let path = model.graph.with_file_name(location);
        let file = File::open(&path).map_err(Error::io("read", &path))?;
        // SAFETY: the map is only read; see the remark at `Gguf::open`.
        let data = unsafe { Mmap::map(&file) }.map_err(Error::io("map", &path))?;
        let sizes = within(offset, vocabulary, width, data.len());
        match sizes.filter(|_| tensor.data_type == Some(data_type::FLOAT)) {
            Some((offset, vocabulary, width)) => Ok(Self { data, offset, vocabulary, width }),
            None => Err(corrupt("its output matrix is not in f32, or cut off")),
        }
    }

    /// How many tokens it has, and how wide a hidden state is.
    pub fn sizes(&self) -> [usize; 2] {
        [self.vocabulary, self.width]
    }

    /// The logit of a token after a hidden state, of the matrix's width.
    ///
    /// The same bits whatever else is asked for: a product of matrices sums in another order for
    /// other sizes.
    ///
    /// # Panics
    /// Where the matrix has no row for the token, or the state is not as wide as it.
    pub fn logit(&self, hidden: &[f32], token: u32) -> f32 {
        let token = token as usize;
        assert!(token < self.vocabulary, "token {token} of {}", self.vocabulary);
        assert_eq!(hidden.len(), self.width, "a hidden state is as wide as the output matrix");
        // A row that there is lies within `data`, so that none of this can overflow.
        let row = &self.data[self.offset + token * 4 * self.width..][..4 * self.width];
        let (row, _) = row.as_chunks::<4>();
        let (rows, rest) = row.as_chunks::<LANES>();
        let (states, rest_of_states) = hidden.as_chunks::<LANES>();
        let mut sums = [0.0_f32; LANES];
        for (row, states) in rows.iter().zip(states) {
            for lane in 0..LANES {
                sums[lane] += f32::from_le_bytes(row[lane]) * states[lane];
            }
        }
        let rest = rest.iter().zip(rest_of_states).map(|(w, x)| f32::from_le_bytes(*w) * x);
        sums.iter().copied().chain(rest).map(f64::from).sum::<f64>() as f32
    }
}

/// Where a matrix of f32 begins, and its sizes, if it lies within so many bytes.
fn within(offset: u64, rows: i64, columns: i64, bytes: usize) -> Option<(usize, usize, usize)> {
    let offset = usize::try_from(offset).ok()?;
    let (rows, columns) = (usize::try_from(rows).ok()?, usize::try_from(columns).ok()?);
    let end = columns.checked_mul(4)?.checked_mul(rows)?.checked_add(offset)?;
    (end <= bytes).then_some((offset, rows, columns))
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn a_matrix_lies_in_its_file() {
        assert_eq!(within(8, 3, 2, 32), Some((8, 3, 2)));
        assert_eq!(within(9, 3, 2, 32), None);
        // Sizes whose bytes, counted in 64 bits, are none, few or negative.
        for (offset, rows, columns) in [
            (0, 3, 1 << 62),
            (0, 1 << 62, 4),
            (0, -1, 2),
            (0, 2, -1),
            (0, i64::MIN, 1),
            (u64::MAX, 1, 1),
            (u64::MAX - 3, 1, 1),
        ] {
            assert_eq!(within(offset, rows, columns, 32), None, "{offset} {rows} {columns}");
        }
    }
}
