//! Where a training stands, on disk, so that it goes on after any end.
//!
//! Invariant: `checkpoint/latest.safetensors` is whole. It is written under another name, brought to
//! the disk and renamed, so that a killed process or a full disk leaves the one before it. It holds
//! every number exactly: a training that goes on ends with the same bits as one that was not
//! interrupted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use serde::{Deserialize, Serialize};

use super::card::{Evaluation, Step};
use crate::onnx::{self, TensorFile};

/// The checkpoints' folder in the output folder.
pub const FOLDER: &str = "checkpoint";
const FILE: &str = "latest.safetensors";
/// The key of [`Head`] in the file's metadata.
const HEAD: &str = "kgbuild";
/// The curves' names among the tensors.
const STEPS: &str = "curve.steps";
const EVALUATIONS: &str = "curve.evaluations";

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// All that a training needs to go on.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// What the weights depend on, by name.
    pub signature: BTreeMap<String, String>,
    /// A record of each step made.
    pub steps: Vec<Step>,
    /// The evaluations made.
    pub evaluations: Vec<Evaluation>,
    /// Tokens put through the model in steps.
    pub tokens: u64,
    /// Seconds that the training has taken.
    pub seconds: f64,
    /// The weights that are trained.
    pub parameters: Tensors,
    /// The optimiser's memory of past gradients.
    pub optimiser: Tensors,
    /// The weights at the lowest held-out loss; empty where they are not kept.
    pub best: Tensors,
}

/// What is no tensor.
#[derive(Serialize, Deserialize)]
struct Head {
    signature: BTreeMap<String, String>,
    tokens: u64,
    seconds: f64,
}

/// Why a checkpoint cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error(
        "cannot {doing} {}; the checkpoint before it, if there was one, is whole: mend the cause, \
         then run the same command again to go on from it",
        path.display()
    )]
    Io {
        /// As in `write`.
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The file is not one that kgbuild wrote.
    #[error(
        "the checkpoint {} is damaged ({problem}): delete it, or run with --fresh to start anew",
        path.display()
    )]
    Damaged { path: PathBuf, problem: String },
    /// A tensor cannot be read from its device.
    #[error("the weights cannot be read from the device")]
    Tensor(#[from] candle_core::Error),
}

impl Checkpoint {
    /// Writes it into `output`, in place of the one before.
    ///
    /// # Errors
    /// See [`Error`]; the one before is then still there.
    pub fn write(&self, output: &Path) -> Result<(), Error> {
        let folder = output.join(FOLDER);
        let path = folder.join(FILE);
        let io = |doing| {
            let path = path.clone();
            move |source| Error::Io { doing, path, source }
        };
        fs::create_dir_all(&folder).map_err(io("make the folder of"))?;
        let steps = curve(&self.steps, |s| {
            [s.learning_rate, s.loss, s.facts, s.text.unwrap_or(f64::NAN), s.gradient_norm]
        })?;
        let evaluations =
            curve(&self.evaluations, |e| [e.step as f64, e.facts, e.text.unwrap_or(f64::NAN)])?;
        let named = |kind: &'static str, tensors: &Tensors| -> Vec<(String, Tensor)> {
            tensors
                .iter()
                .map(|(name, tensor)| (format!("{kind}/{name}"), tensor.clone()))
                .collect()
        };
        let mut tensors = named("parameters", &self.parameters);
        tensors.extend(named("optimiser", &self.optimiser));
        tensors.extend(named("best", &self.best));
        tensors.push((STEPS.to_owned(), steps));
        tensors.push((EVALUATIONS.to_owned(), evaluations));
        let head =
            Head { signature: self.signature.clone(), tokens: self.tokens, seconds: self.seconds };
        let partial = tempfile::Builder::new()
            .prefix(".partial-")
            .tempfile_in(&folder)
            .map_err(io("write"))?;
        let mut out = BufWriter::new(partial.as_file());
        out.write_all(&header(&head, &tensors).map_err(|e| io("write")(e.into()))?)
            .map_err(io("write"))?;
        for (_, tensor) in &tensors {
            out.write_all(&bytes(tensor)?).map_err(io("write"))?;
        }
        out.flush().map_err(io("write"))?;
        drop(out);
        partial.as_file().sync_all().map_err(io("write"))?;
        partial.persist(&path).map_err(|error| io("rename")(error.error))?;
        // That the name is on the disk too.
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(io("write the folder of"))
    }

    /// The checkpoint in `output`; none where there is none. Its tensors are on the CPU.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(output: &Path) -> Result<Option<Self>, Error> {
        let path = output.join(FOLDER).join(FILE);
        let damaged = |problem: String| Error::Damaged { path: path.clone(), problem };
        let unreadable = |error: onnx::Error| match error {
            onnx::Error::Io { source, .. } => {
                Error::Io { doing: "read", path: path.clone(), source }
            }
            onnx::Error::Corrupt { problem, .. } => damaged(problem),
            other => damaged(other.to_string()),
        };
        let file = match TensorFile::open(&path) {
            Err(onnx::Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            file => file.map_err(unreadable)?,
        };
        let head = file.metadata(HEAD).ok_or_else(|| damaged("it has no head".to_owned()))?;
        let head: Head = serde_json::from_str(head).map_err(|error| damaged(error.to_string()))?;
        let mut read = Self {
            signature: head.signature,
            tokens: head.tokens,
            seconds: head.seconds,
            ..Self::default()
        };
        for name in file.shapes().into_keys() {
            let (dtype, shape, data) = file.bytes(&name).map_err(unreadable)?;
            let tensor = tensor(dtype, shape, &data)
                .ok_or_else(|| damaged(format!("`{name}` is of an unknown type")))??;
            let side = match name.split_once('/') {
                Some(("parameters", name)) => Some((&mut read.parameters, name)),
                Some(("optimiser", name)) => Some((&mut read.optimiser, name)),
                Some(("best", name)) => Some((&mut read.best, name)),
                _ => None,
            };
            if let Some((side, name)) = side {
                side.insert(name.to_owned(), tensor);
            } else if name == STEPS {
                read.steps = steps(&tensor)?;
            } else if name == EVALUATIONS {
                read.evaluations = evaluations(&tensor)?;
            }
        }
        Ok(Some(read))
    }

    /// Deletes the checkpoint in `output` and what a killed process left of one.
    ///
    /// # Errors
    /// Where it cannot be deleted.
    pub fn delete(output: &Path) -> Result<(), Error> {
        let folder = output.join(FOLDER);
        match fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error::Io { doing: "delete", path: folder, source })
            }
            _ => Ok(()),
        }
    }
}

/// Clears away what a killed process left of a checkpoint that it was writing.
///
/// # Errors
/// Where it cannot be deleted.
pub fn clear_partial(output: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(output.join(FOLDER)) {
        Ok(entries) => entries,
        Err(_) => return Ok(()),
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(".partial-") {
            let path = entry.path();
            fs::remove_file(&path).map_err(|source| Error::Io { doing: "delete", path, source })?;
        }
    }
    Ok(())
}

/// A table of numbers, a row an item.
fn curve<T, const N: usize>(items: &[T], row: impl Fn(&T) -> [f64; N]) -> Result<Tensor, Error> {
    let values: Vec<f64> = items.iter().flat_map(row).collect();
    Ok(Tensor::from_vec(values, (items.len(), N), &Device::Cpu)?)
}

/// What [`curve`] made of a missing number.
fn some(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}

fn steps(tensor: &Tensor) -> Result<Vec<Step>, Error> {
    let rows = tensor.to_vec2::<f64>()?.into_iter().zip(1..);
    let step = |(row, step): (Vec<f64>, u64)| match row[..] {
        [learning_rate, loss, facts, text, gradient_norm] => {
            Some(Step { step, learning_rate, loss, facts, text: some(text), gradient_norm })
        }
        _ => None,
    };
    Ok(rows.filter_map(step).collect())
}

fn evaluations(tensor: &Tensor) -> Result<Vec<Evaluation>, Error> {
    let evaluation = |row: Vec<f64>| match row[..] {
        [step, facts, text] => Some(Evaluation { step: step as u64, facts, text: some(text) }),
        _ => None,
    };
    Ok(tensor.to_vec2::<f64>()?.into_iter().filter_map(evaluation).collect())
}

/// The beginning of a safetensors file: the length of its header as a little-endian u64, then the
/// header as JSON, padded by spaces to a multiple of eight.
fn header(head: &Head, tensors: &[(String, Tensor)]) -> Result<Vec<u8>, serde_json::Error> {
    let mut all = serde_json::Map::new();
    let metadata = serde_json::json!({ HEAD: serde_json::to_string(head)? });
    all.insert("__metadata__".to_owned(), metadata);
    let mut end = 0;
    for (name, tensor) in tensors {
        let start = end;
        end += tensor.elem_count() * tensor.dtype().size_in_bytes();
        let entry = serde_json::json!({
            "dtype": tensor.dtype().as_str().to_uppercase(),
            "shape": tensor.dims(),
            "data_offsets": [start, end],
        });
        all.insert(name.clone(), entry);
    }
    let mut text = serde_json::to_vec(&all)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    Ok([&(text.len() as u64).to_le_bytes()[..], &text].concat())
}

/// The values in row-major order, little-endian.
fn bytes(tensor: &Tensor) -> Result<Vec<u8>, Error> {
    let flat = tensor.flatten_all()?;
    let little = match flat.dtype() {
        DType::F64 => flat.to_vec1::<f64>()?.into_iter().flat_map(f64::to_le_bytes).collect(),
        DType::F32 => flat.to_vec1::<f32>()?.into_iter().flat_map(f32::to_le_bytes).collect(),
        DType::I64 => flat.to_vec1::<i64>()?.into_iter().flat_map(i64::to_le_bytes).collect(),
        DType::U32 => flat.to_vec1::<u32>()?.into_iter().flat_map(u32::to_le_bytes).collect(),
        other => return Err(candle_core::Error::UnsupportedDTypeForOp(other, "checkpoint").into()),
    };
    Ok(little)
}

/// The tensor of these bytes; nothing for a type that [`bytes`] does not write.
fn tensor(dtype: Dtype, shape: &[usize], data: &[u8]) -> Option<Result<Tensor, Error>> {
    let dtype = match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::I64 => DType::I64,
        Dtype::U32 => DType::U32,
        _ => return None,
    };
    Some(Tensor::from_raw_buffer(data, dtype, shape, &Device::Cpu).map_err(Error::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let tensor = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
        let step = |step: u64, text| Step {
            step,
            learning_rate: 1e-4 / 3.0,
            loss: 0.1 + 0.2,
            facts: 1.0 / 3.0,
            text,
            gradient_norm: f64::MIN_POSITIVE,
        };
        Checkpoint {
            signature: BTreeMap::from([("rank".to_owned(), "8".to_owned())]),
            steps: vec![step(1, None), step(2, Some(2.0_f64.sqrt()))],
            evaluations: vec![Evaluation { step: 2, facts: 0.7, text: None }],
            tokens: 12,
            seconds: 0.5,
            parameters: Tensors::from([("a/b".to_owned(), tensor(&[1.0, f32::MIN_POSITIVE]))]),
            optimiser: Tensors::from([("t".to_owned(), Tensor::new(7_i64, &Device::Cpu).unwrap())]),
            best: Tensors::from([("a/b".to_owned(), tensor(&[-0.0, 3.5]))]),
        }
    }

    fn values(tensors: &Tensors) -> Vec<Vec<u8>> {
        tensors.values().map(|tensor| bytes(tensor).unwrap()).collect()
    }

    #[test]
    fn all_numbers_come_back_bit_by_bit() {
        let output = tempfile::tempdir().unwrap();
        assert!(Checkpoint::read(output.path()).unwrap().is_none());
        let written = checkpoint();
        written.write(output.path()).unwrap();
        written.write(output.path()).unwrap();
        let read = Checkpoint::read(output.path()).unwrap().unwrap();
        assert_eq!(read.signature, written.signature);
        assert_eq!((&read.steps, &read.evaluations), (&written.steps, &written.evaluations));
        assert_eq!((read.tokens, read.seconds), (12, 0.5));
        for (read, written) in [
            (&read.parameters, &written.parameters),
            (&read.optimiser, &written.optimiser),
            (&read.best, &written.best),
        ] {
            assert_eq!(values(read), values(written));
        }
        let names: Vec<_> = fs::read_dir(output.path().join(FOLDER)).unwrap().flatten().collect();
        assert_eq!(names.len(), 1, "nothing half written is left");
        Checkpoint::delete(output.path()).unwrap();
        Checkpoint::delete(output.path()).unwrap();
        assert!(Checkpoint::read(output.path()).unwrap().is_none());
    }

    #[test]
    fn a_checkpoint_that_is_cut_off_is_damaged() {
        let output = tempfile::tempdir().unwrap();
        checkpoint().write(output.path()).unwrap();
        let path = output.path().join(FOLDER).join(FILE);
        let whole = fs::read(&path).unwrap();
        for length in [0, 4, 20, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            let error = Checkpoint::read(output.path()).unwrap_err();
            assert!(matches!(error, Error::Damaged { .. }), "{length}: {error}");
        }
    }

    #[test]
    fn what_is_half_written_is_cleared_away() {
        let output = tempfile::tempdir().unwrap();
        clear_partial(output.path()).unwrap();
        checkpoint().write(output.path()).unwrap();
        let partial = output.path().join(FOLDER).join(".partial-abc");
        fs::write(&partial, "x").unwrap();
        clear_partial(output.path()).unwrap();
        assert!(!partial.exists());
        assert!(Checkpoint::read(output.path()).unwrap().is_some());
    }
}
