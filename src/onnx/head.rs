//! The output matrix of a packed graph's model, for logits of single tokens.

use super::Error;
use super::decoder::{EMBEDDING, OUTPUT};
use super::decoder_checkpoint::OUTPUT_CAP;
use super::model_folder::ModelFolder;
use super::proto::data_type;
use super::validate::{External, external, read_model};
use crate::fetch::PiecedFile;

/// Independent partial sums, so that the compiler can use the machine's vectors.
const LANES: usize = 16;
/// Bytes of a number.
const SIZE: u64 = 4;

/// What a hidden state is multiplied with for the logits, a row a token. A row is read when it is
/// first asked for, and kept.
pub struct Head {
    file: PiecedFile,
    /// Where the matrix begins.
    offset: u64,
    width: usize,
    /// c in c · tanh(logit / c), if logits are kept below it.
    cap: Option<f64>,
    rows: Vec<Option<Box<[f32]>>>,
}

impl Head {
    /// Finds the output matrix of a model with a packed graph.
    ///
    /// # Errors
    /// Where the graph has none, or its file cannot be read.
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
        let cap = model.settings.get(OUTPUT_CAP).and_then(|cap| cap.as_f64());
        let file = PiecedFile::open(&model.graph.with_file_name(location))?;
        let sizes = within(offset, vocabulary, width, file.length());
        match sizes.filter(|_| tensor.data_type == Some(data_type::FLOAT)) {
            Some([vocabulary, width]) => {
                Ok(Self { file, offset, width, cap, rows: vec![None; vocabulary] })
            }
            None => Err(corrupt("its output matrix is not in f32, or cut off")),
        }
    }

    /// How many tokens it has, and how wide a hidden state is.
    pub fn sizes(&self) -> [usize; 2] {
        [self.rows.len(), self.width]
    }

    /// Reads the rows of these tokens, as far as they are not known yet.
    ///
    /// # Errors
    /// [`Error::Fetch`] where the file was shortened after it was opened, [`Error::Io`].
    pub fn load(&mut self, tokens: &[u32]) -> Result<(), Error> {
        for &token in tokens {
            let row = &mut self.rows[token as usize];
            if row.is_none() {
                let start = self.offset + u64::from(token) * SIZE * self.width as u64;
                let bytes = self.file.read(start..start + SIZE * self.width as u64)?;
                let (values, _) = bytes.as_chunks::<4>();
                *row = Some(values.iter().map(|value| f32::from_le_bytes(*value)).collect());
            }
        }
        Ok(())
    }

    /// The logit of a token after a hidden state, of the matrix's width.
    ///
    /// The same bits whatever else is asked for: a product of matrices sums in another order for
    /// other sizes.
    ///
    /// # Panics
    /// If the token was not [loaded](Self::load), or the state is not as wide as the matrix.
    pub fn logit(&self, hidden: &[f32], token: u32) -> f32 {
        assert_eq!(hidden.len(), self.width, "a hidden state is as wide as the output matrix");
        let row =
            self.rows[token as usize].as_deref().expect("a token is loaded before it is asked");
        let (rows, rest) = row.as_chunks::<LANES>();
        let (states, rest_of_states) = hidden.as_chunks::<LANES>();
        let mut sums = [0.0_f32; LANES];
        for (row, states) in rows.iter().zip(states) {
            for lane in 0..LANES {
                sums[lane] += row[lane] * states[lane];
            }
        }
        let rest = rest.iter().zip(rest_of_states).map(|(w, x)| w * x);
        let logit = sums.iter().copied().chain(rest).map(f64::from).sum::<f64>();
        self.cap.map_or(logit, |cap| cap * (logit / cap).tanh()) as f32
    }
}

/// The sizes of a matrix of f32 that begins at `offset`, if it lies within so many bytes.
fn within(offset: u64, rows: i64, columns: i64, bytes: u64) -> Option<[usize; 2]> {
    let (rows, columns) = (u64::try_from(rows).ok()?, u64::try_from(columns).ok()?);
    let end = columns.checked_mul(SIZE)?.checked_mul(rows)?.checked_add(offset)?;
    let sizes = [usize::try_from(rows).ok()?, usize::try_from(columns).ok()?];
    (columns > 0 && end <= bytes).then_some(sizes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{import, tiny};
    use super::*;
    use crate::diagnostic::Silent;
    use crate::fetch::Cache;

    #[test]
    fn a_matrix_lies_in_its_file() {
        assert_eq!(within(8, 3, 2, 32), Some([3, 2]));
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

    #[test]
    fn logits_are_products_and_a_shortened_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let gguf = folder.path().join("tiny.gguf");
        fs::write(&gguf, tiny::gguf()).unwrap();
        let cache = Cache::at(folder.path().join("cache"));
        let model = import(&gguf, &cache, &Silent).unwrap();
        let mut head = Head::open(&model).unwrap();
        head.load(&[4, 1, 4]).unwrap();
        let (shape, matrix) = &tiny::tensors(&tiny::config())[OUTPUT];
        let hidden: Vec<f32> = (0..shape[1]).map(|i| i as f32 - 2.5).collect();
        for token in [1, 4] {
            let row = &matrix[token * shape[1]..][..shape[1]];
            let expected: f32 = row.iter().zip(&hidden).map(|(w, x)| w * x).sum();
            assert!((head.logit(&hidden, token as u32) - expected).abs() < 1e-5);
        }
        let data = model.graph.with_file_name("model.onnx.data");
        fs::File::options().write(true).open(&data).unwrap().set_len(5).unwrap();
        let message = head.load(&[0]).unwrap_err().to_string();
        assert!(message.contains("model.onnx.data changed while it was read"), "{message}");
        head.load(&[1, 4]).unwrap();
    }
}
