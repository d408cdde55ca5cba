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
pub struct Head {
    data: Mmap,
    offset: usize,
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
        let (offset, width) = (offset as usize, width as usize);
        let end = (vocabulary as usize).checked_mul(4 * width).and_then(|s| s.checked_add(offset));
        if tensor.data_type != Some(data_type::FLOAT) || end.is_none_or(|end| end > data.len()) {
            return Err(corrupt("its output matrix is not in f32, or cut off"));
        }
        Ok(Self { data, offset, width })
    }

    /// The logit of a token after a hidden state, of the matrix's width.
    ///
    /// The same bits whatever else is asked for: a product of matrices sums in another order for
    /// other sizes.
    pub fn logit(&self, hidden: &[f32], token: u32) -> f32 {
        let start = self.offset + token as usize * 4 * self.width;
        let (row, _) = self.data[start..start + 4 * self.width].as_chunks::<4>();
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
