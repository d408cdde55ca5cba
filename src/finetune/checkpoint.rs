//! Where a training stands, on disk, so that it goes on after any end.
//!
//! Invariant: `checkpoint/latest.safetensors` is whole. It is written under another name, brought to
//! the disk and renamed, so that a killed process or a full disk leaves the one before it. It holds
//! every number exactly: a training that goes on ends with the same bits as one that was not
//! interrupted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use serde::{Deserialize, Serialize};

use super::card::{Evaluation, Step};
use crate::diagnostic::Explain;
use crate::files::{is_plain_file, is_plain_folder, is_taken};
use crate::onnx::{self, TensorFile};

/// The checkpoints' folder in the output folder.
pub(super) const FOLDER: &str = "checkpoint";
const FILE: &str = "latest.safetensors";
/// Begins the name of a checkpoint that is being written.
const PARTIAL: &str = ".partial-";
/// How the header of every checkpoint begins, after its length.
const BEGINNING: &[u8] = br#"{"__metadata__":{"kgbuild":"#;
/// The key of [`Head`] in the file's metadata.
const HEAD: &str = "kgbuild";
/// The curves' names among the tensors.
const STEPS: &str = "curve.steps";
const EVALUATIONS: &str = "curve.evaluations";

/// Tensors by name.
pub(super) type Tensors = BTreeMap<String, Tensor>;

/// All that a training needs to go on.
#[derive(Clone, Debug, Default)]
pub struct TrainingCheckpoint {
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
pub enum CheckpointError {
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
    /// The file is not one that kgbuild wrote, or not as it wrote it.
    #[error(
        "the checkpoint {} is damaged, or someone else's ({problem}): move it away to start anew, \
         or name another `folder` under [output]",
        path.display()
    )]
    Damaged { path: PathBuf, problem: String },
    /// There is something else where checkpoints go.
    #[error(
        "{} is where checkpoints go, and no training wrote it. Nothing was changed; move it away, \
         or name another `folder` under [output]",
        path.display()
    )]
    Foreign { path: PathBuf },
    /// A tensor cannot be read from its device.
    #[error("the weights cannot be read from the device")]
    Tensor(#[from] candle_core::Error),
}

impl Explain for CheckpointError {}

impl TrainingCheckpoint {
    /// Writes it into `output`, in place of the one before.
    ///
    /// # Errors
    /// See [`CheckpointError`]; the one before is then still there.
    pub fn write(&self, output: &Path) -> Result<(), CheckpointError> {
        let folder = output.join(FOLDER);
        let path = folder.join(FILE);
        let io = |doing| {
            let path = path.clone();
            move |source| CheckpointError::Io { doing, path, source }
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
        let partial =
            tempfile::Builder::new().prefix(PARTIAL).tempfile_in(&folder).map_err(io("write"))?;
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
    /// See [`CheckpointError`].
    pub fn read(output: &Path) -> Result<Option<Self>, CheckpointError> {
        let path = output.join(FOLDER).join(FILE);
        let damaged = |problem: String| CheckpointError::Damaged { path: path.clone(), problem };
        let unreadable = |error| unreadable(&path, error);
        let file = match TensorFile::open(&path) {
            Err(onnx::Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            file => file.map_err(unreadable)?,
        };
        let head = head(&file).map_err(damaged)?;
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
}

/// Why a checkpoint's file cannot be read.
fn unreadable(path: &Path, error: onnx::Error) -> CheckpointError {
    let damaged = |problem| CheckpointError::Damaged { path: path.to_owned(), problem };
    match error {
        onnx::Error::Io { source, .. } => {
            CheckpointError::Io { doing: "read", path: path.to_owned(), source }
        }
        onnx::Error::Corrupt { problem, .. } => damaged(problem),
        other => damaged(other.to_string()),
    }
}

/// The head of a checkpoint, or why it is none.
fn head(file: &TensorFile) -> Result<Head, String> {
    let head = file.metadata(HEAD).ok_or("it has no head")?;
    serde_json::from_str(head).map_err(|error| error.to_string())
}

/// What trainings left of checkpoints in an output folder.
pub(super) struct Left {
    folder: PathBuf,
    latest: Option<PathBuf>,
    /// Those that a killed process was writing.
    partial: Vec<PathBuf>,
}

impl Left {
    /// Looks for it. Someone else's files beside a checkpoint are left alone.
    ///
    /// # Errors
    /// [`CheckpointError::Foreign`] where there is something else and no checkpoint, [`CheckpointError::Damaged`] where
    /// something else has the checkpoint's name, or where the folder cannot be read.
    pub(super) fn find(output: &Path) -> Result<Self, CheckpointError> {
        let folder = output.join(FOLDER);
        let mut left = Self { folder: folder.clone(), latest: None, partial: Vec::new() };
        if !is_taken(&folder) {
            return Ok(left);
        }
        if !is_plain_folder(&folder) {
            return Err(CheckpointError::Foreign { path: folder });
        }
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| CheckpointError::Io { doing: "read", path, source }
        };
        let mut other: Option<PathBuf> = None;
        for entry in fs::read_dir(&folder).map_err(io(&folder))? {
            let entry = entry.map_err(io(&folder))?;
            let (name, path) = (entry.file_name(), entry.path());
            let is_partial = name.to_string_lossy().starts_with(PARTIAL);
            if name == FILE && is_plain_file(&path) {
                let file = TensorFile::open(&path).map_err(|error| unreadable(&path, error))?;
                let damaged = |problem| CheckpointError::Damaged { path: path.clone(), problem };
                head(&file).map_err(damaged)?;
                left.latest = Some(path);
            } else if is_partial && is_plain_file(&path) && is_begun(&path).map_err(io(&path))? {
                left.partial.push(path);
            } else if is_taken(&path) {
                // Its name is the same whatever the folder's order.
                other = other.into_iter().chain([path]).min();
            }
        }
        match other {
            Some(path) if left.latest.is_none() => Err(CheckpointError::Foreign { path }),
            _ => Ok(left),
        }
    }

    /// Deletes what killed processes were writing.
    ///
    /// # Errors
    /// Where it cannot be deleted.
    pub(super) fn delete_partial(&self) -> Result<(), CheckpointError> {
        self.partial.iter().try_for_each(|path| delete(path, fs::remove_file(path)))
    }

    /// Deletes the checkpoint and what killed processes were writing, and the folder, unless
    /// someone else's files are in it.
    ///
    /// # Errors
    /// Where it cannot be deleted.
    pub(super) fn delete(&self) -> Result<(), CheckpointError> {
        self.delete_partial()?;
        if let Some(path) = &self.latest {
            delete(path, fs::remove_file(path))?;
        }
        match fs::remove_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            removed => delete(&self.folder, removed),
        }
    }
}

/// The outcome of deleting a path, which may be gone already.
fn delete(path: &Path, outcome: io::Result<()>) -> Result<(), CheckpointError> {
    match outcome {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(CheckpointError::Io { doing: "delete", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Whether a file begins as a checkpoint does, or is as empty as one that is not begun; one that is
/// gone meanwhile is none.
fn is_begun(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    let length = size_of::<u64>();
    let mut beginning = Vec::new();
    file.take((length + BEGINNING.len()) as u64).read_to_end(&mut beginning)?;
    Ok(beginning.is_empty() || beginning.get(length..) == Some(BEGINNING))
}

/// A table of numbers, a row an item.
fn curve<T, const N: usize>(
    items: &[T],
    row: impl Fn(&T) -> [f64; N],
) -> Result<Tensor, CheckpointError> {
    let values: Vec<f64> = items.iter().flat_map(row).collect();
    Ok(Tensor::from_vec(values, (items.len(), N), &Device::Cpu)?)
}

/// What [`curve`] made of a missing number.
fn some(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}

fn steps(tensor: &Tensor) -> Result<Vec<Step>, CheckpointError> {
    let rows = tensor.to_vec2::<f64>()?.into_iter().zip(1..);
    let step = |(row, step): (Vec<f64>, u64)| match row[..] {
        [learning_rate, loss, facts, text, gradient_norm] => {
            Some(Step { step, learning_rate, loss, facts, text: some(text), gradient_norm })
        }
        _ => None,
    };
    Ok(rows.filter_map(step).collect())
}

fn evaluations(tensor: &Tensor) -> Result<Vec<Evaluation>, CheckpointError> {
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
fn bytes(tensor: &Tensor) -> Result<Vec<u8>, CheckpointError> {
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
fn tensor(dtype: Dtype, shape: &[usize], data: &[u8]) -> Option<Result<Tensor, CheckpointError>> {
    let dtype = match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::I64 => DType::I64,
        Dtype::U32 => DType::U32,
        _ => return None,
    };
    Some(Tensor::from_raw_buffer(data, dtype, shape, &Device::Cpu).map_err(CheckpointError::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> TrainingCheckpoint {
        let tensor = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
        let step = |step: u64, text| Step {
            step,
            learning_rate: 1e-4 / 3.0,
            loss: 0.1 + 0.2,
            facts: 1.0 / 3.0,
            text,
            gradient_norm: f64::MIN_POSITIVE,
        };
        TrainingCheckpoint {
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
        assert!(TrainingCheckpoint::read(output.path()).unwrap().is_none());
        let written = checkpoint();
        written.write(output.path()).unwrap();
        written.write(output.path()).unwrap();
        let read = TrainingCheckpoint::read(output.path()).unwrap().unwrap();
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
        for _ in 0..2 {
            Left::find(output.path()).unwrap().delete().unwrap();
            assert!(!output.path().join(FOLDER).exists());
        }
        assert!(TrainingCheckpoint::read(output.path()).unwrap().is_none());
    }

    #[test]
    fn a_checkpoint_that_is_cut_off_is_damaged() {
        let output = tempfile::tempdir().unwrap();
        checkpoint().write(output.path()).unwrap();
        let path = output.path().join(FOLDER).join(FILE);
        let whole = fs::read(&path).unwrap();
        for length in [0, 4, 20, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            let error = TrainingCheckpoint::read(output.path()).unwrap_err();
            assert!(matches!(error, CheckpointError::Damaged { .. }), "{length}: {error}");
        }
    }

    #[test]
    fn what_is_half_written_is_cleared_away_and_nothing_like_it() {
        let output = tempfile::tempdir().unwrap();
        let folder = output.path().join(FOLDER);
        checkpoint().write(output.path()).unwrap();
        let whole = fs::read(folder.join(FILE)).unwrap();
        let partial = |length: usize| folder.join(format!(".partial-{length}"));
        let lengths = [0, 100, whole.len()];
        for length in lengths {
            fs::write(partial(length), &whole[..length]).unwrap();
        }
        fs::write(folder.join(".partial-mine"), "mine").unwrap();
        fs::write(folder.join(".partial-novel"), "It was a dark and stormy night. ".repeat(9))
            .unwrap();
        fs::create_dir(folder.join(".partial-folder")).unwrap();
        Left::find(output.path()).unwrap().delete_partial().unwrap();
        assert!(lengths.iter().all(|&length| !partial(length).exists()));
        assert!(TrainingCheckpoint::read(output.path()).unwrap().is_some());

        Left::find(output.path()).unwrap().delete().unwrap();
        let mut names: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".partial-folder", ".partial-mine", ".partial-novel"]);
        // Without a checkpoint the folder is someone's.
        let error = Left::find(output.path()).map(drop).unwrap_err();
        assert!(matches!(error, CheckpointError::Foreign { .. }), "{error}");
    }
}
