//! The output matrix of a packed graph's model, for logits of single tokens.

use super::Error;
use super::blocks::{self, OFFSETS, ONES, SCALES, SIXTEENS};
use super::decoder::{EMBEDDING, OUTPUT};
use super::decoder_checkpoint::OUTPUT_CAP;
use super::model_folder::ModelFolder;
use super::proto::{GraphProto, ModelProto, TensorProto, data_type};
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
    place: Place,
    width: usize,
    /// c in c · tanh(logit / c), if logits are kept below it.
    cap: Option<f64>,
    rows: Vec<Option<Box<[f32]>>>,
}

/// Where in the file the rows are.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Of f32, from there on.
    Numbers(u64),
    /// Of integers in so many blocks a row.
    Blocks { count: usize, ones: u64, sixteens: Option<u64>, scales: u64, offsets: Option<u64> },
}

impl Head {
    /// Finds the output matrix of a model with a packed graph.
    ///
    /// # Errors
    /// Where the graph has none, or its file cannot be read.
    pub fn open(model: &ModelFolder) -> Result<Self, Error> {
        let proto = read_model(&model.graph)?;
        let corrupt = |what: &str| Error::corrupt(&model.graph, "ONNX", what.to_owned());
        let parts = Parts { model, proto: &proto };
        let is_there = |name: &&str| {
            parts.tensor(name).or_else(|| parts.tensor(&blocks::part(name, ONES))).is_some()
        };
        let name = [OUTPUT, EMBEDDING].into_iter().find(is_there);
        let name = name.ok_or_else(|| corrupt("it has no output matrix"))?;
        let location = parts.location(name)?;
        let location =
            location.ok_or_else(|| corrupt("its output matrix is in no file of its own"))?;
        let file = PiecedFile::open(&model.graph.with_file_name(location))?;
        let cap = model.settings.get(OUTPUT_CAP).and_then(|cap| cap.as_f64());
        let found = match parts.tensor(name) {
            Some(_) => parts
                .numbers(name, file.length())?
                .map(|(offset, sizes)| (Place::Numbers(offset), sizes)),
            None => parts.blocks(name, file.length())?,
        };
        let unusable = "its output matrix is neither in f32 nor in blocks, or cut off";
        let (place, [vocabulary, width]) = found.ok_or_else(|| corrupt(unusable))?;
        Ok(Self { file, place, width, cap, rows: vec![None; vocabulary] })
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
            if self.rows[token as usize].is_none() {
                self.rows[token as usize] = Some(self.read(u64::from(token))?.into());
            }
        }
        Ok(())
    }

    fn read(&self, row: u64) -> Result<Vec<f32>, Error> {
        let bytes = |from: u64, count: usize| -> Result<Vec<u8>, Error> {
            let start = from + row * count as u64;
            Ok(self.file.read(start..start + count as u64)?)
        };
        let numbers = |from: u64, count: usize| -> Result<Vec<f32>, Error> {
            let bytes = bytes(from, count * SIZE as usize)?;
            Ok(bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect())
        };
        let (count, ones, sixteens, scales, offsets) = match self.place {
            Place::Numbers(from) => return numbers(from, self.width),
            Place::Blocks { count, ones, sixteens, scales, offsets } => {
                (count, ones, sixteens, scales, offsets)
            }
        };
        let low = bytes(ones, self.width / 2)?;
        let high = sixteens.map(|from| bytes(from, self.width / 2)).transpose()?;
        let scales = numbers(scales, count)?;
        let offsets = offsets.map(|from| numbers(from, count)).transpose()?;
        let half = |bytes: &[u8], at: usize| f32::from(bytes[at / 2] >> (4 * (at % 2)) & 15);
        let value = |at: usize| {
            let q = match &high {
                Some(high) => half(&low, at) + 16.0 * (half(high, at) - 8.0),
                None => half(&low, at) - 8.0,
            };
            let block = at * count / self.width;
            scales[block] * q + offsets.as_ref().map_or(0.0, |offsets| offsets[block])
        };
        Ok((0..self.width).map(value).collect())
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

/// The constants of a packed graph.
struct Parts<'a> {
    model: &'a ModelFolder,
    proto: &'a ModelProto,
}

impl<'a> Parts<'a> {
    fn tensor(&self, name: &str) -> Option<&'a TensorProto> {
        let initializers =
            self.proto.graph.iter().flat_map(|graph: &GraphProto| &graph.initializer);
        initializers.into_iter().find(|tensor| tensor.name.as_deref() == Some(name))
    }

    fn external(&self, name: &str) -> Result<Option<(&'a TensorProto, External<'a>)>, Error> {
        let Some(tensor) = self.tensor(name) else { return Ok(None) };
        Ok(external(&self.model.graph, tensor)?.map(|place| (tensor, place)))
    }

    /// The file with a matrix.
    fn location(&self, name: &str) -> Result<Option<&'a str>, Error> {
        let found = match self.external(name)? {
            None => self.external(&blocks::part(name, ONES))?,
            found => found,
        };
        Ok(found.map(|(_, place)| place.location))
    }

    /// Where a matrix of f32 begins, and its rows and columns; none where it is not one, or not within so
    /// many bytes.
    fn numbers(&self, name: &str, bytes: u64) -> Result<Option<(u64, [usize; 2])>, Error> {
        let Some((tensor, place)) = self.external(name)? else { return Ok(None) };
        let &[rows, columns] = &tensor.dims[..] else { return Ok(None) };
        let is_number = tensor.data_type == Some(data_type::FLOAT);
        let sizes = within(place.offset, [rows, columns], SIZE, bytes).filter(|_| is_number);
        Ok(sizes.map(|sizes| (place.offset, sizes)))
    }

    /// The same of a matrix in blocks.
    fn blocks(&self, name: &str, bytes: u64) -> Result<Option<(Place, [usize; 2])>, Error> {
        let plane = |what: &str| -> Result<Option<(u64, [usize; 2], usize)>, Error> {
            let found = self.external(&blocks::part(name, what))?;
            Ok(found.and_then(|(tensor, place)| {
                let &[rows, count, half] = &tensor.dims[..] else { return None };
                let row = count.checked_mul(half)?;
                let [rows, row] = within(place.offset, [rows, row], 1, bytes)?;
                Some((place.offset, [rows, 2 * row], usize::try_from(count).ok()?))
            }))
        };
        let Some((ones, sizes, count)) = plane(ONES)? else { return Ok(None) };
        let of_blocks = |what: &str| -> Result<Option<u64>, Error> {
            let found = self.numbers(&blocks::part(name, what), bytes)?;
            Ok(found.filter(|(_, own)| *own == [sizes[0], count]).map(|(offset, _)| offset))
        };
        let Some(scales) = of_blocks(SCALES)? else { return Ok(None) };
        let sixteens = plane(SIXTEENS)?.filter(|plane| (plane.1, plane.2) == (sizes, count));
        let sixteens = sixteens.map(|(offset, ..)| offset);
        let offsets = of_blocks(OFFSETS)?;
        // One that is there and does not fit is not left out.
        let is_there = |what: &str| self.tensor(&blocks::part(name, what)).is_some();
        if is_there(SIXTEENS) != sixteens.is_some() || is_there(OFFSETS) != offsets.is_some() {
            return Ok(None);
        }
        let place = Place::Blocks { count, ones, sixteens, scales, offsets };
        Ok(Some((place, sizes)))
    }
}

/// The sizes of a matrix of values of `size` bytes that begins at `offset`, if it lies within so many bytes.
fn within(offset: u64, sizes: [i64; 2], size: u64, bytes: u64) -> Option<[usize; 2]> {
    let [rows, columns] = sizes.map(u64::try_from);
    let (rows, columns) = (rows.ok()?, columns.ok()?);
    let end = columns.checked_mul(size)?.checked_mul(rows)?.checked_add(offset)?;
    let sizes = [usize::try_from(rows).ok()?, usize::try_from(columns).ok()?];
    (columns > 0 && end <= bytes).then_some(sizes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{Precision, import, tiny};
    use super::*;
    use crate::diagnostic::Silent;
    use crate::fetch::Cache;

    #[test]
    fn a_matrix_lies_in_its_file() {
        assert_eq!(within(8, [3, 2], SIZE, 32), Some([3, 2]));
        assert_eq!(within(9, [3, 2], SIZE, 32), None);
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
            assert_eq!(
                within(offset, [rows, columns], SIZE, 32),
                None,
                "{offset} {rows} {columns}"
            );
        }
    }

    #[test]
    fn logits_are_products_and_a_shortened_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let gguf = folder.path().join("tiny.gguf");
        fs::write(&gguf, tiny::gguf()).unwrap();
        let cache = Cache::at(folder.path().join("cache"));
        let model = import(&gguf, Precision::F32, &cache, &Silent).unwrap();
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
