//! Reading GGUF files, versions 2 and 3: metadata, and where each tensor is.
//!
//! Invariant: whatever the bytes, opening gives a value or an error that names the byte, and every
//! [`TensorInfo`] of an opened file lies within it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use self::cursor::{Cursor, ParseError, Read};
use super::Error;
use super::blocks::Blocks;
use super::gguf_quantisation::Quantisation;
use crate::fetch::{self, FileHashes, PiecedFile};

mod cursor;

/// What a file begins with.
pub(super) const MAGIC: &[u8; 4] = b"GGUF";
const DEFAULT_ALIGNMENT: u64 = 32;

/// A metadata value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Array(Vec<Value>),
}

/// A tensor's shape, outermost dimension first, its type, and its bytes in the file.
#[derive(Clone, Debug)]
pub(super) struct TensorInfo {
    pub shape: Vec<usize>,
    pub quantisation: Quantisation,
    pub bytes: Range<u64>,
    /// Which of the model's files has it.
    file: usize,
}

/// What stands in front of a file's tensors.
#[derive(Debug)]
struct Header {
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

/// An opened GGUF file, with the others where it is the first of several.
pub(super) struct Gguf {
    /// The first has the metadata.
    files: Vec<PiecedFile>,
    hashes: FileHashes,
    header: Header,
}

impl Gguf {
    /// Opens, hashes and checks a file and, where it is the first of several by its name, the others.
    /// Tensor data is read later, by [`Self::tensor`], and is then what was hashed.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the byte; [`Error::Unsupported`] for a tensor of a type that cannot
    /// be read, or a file that is not the first of several; [`Error::Io`].
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let (mut files, mut hashes) = (Vec::new(), FileHashes::new());
        let mut whole: Option<Header> = None;
        let parts = fetch::parts(path);
        for (number, part) in parts.iter().enumerate() {
            let (file, sha256) = PiecedFile::hashed(part)?;
            let read = |range| file.read(range);
            let mut header = parse(&read, file.length()).map_err(|error| error.in_file(part))?;
            header.check_part(number, parts.len(), part)?;
            header.tensors.values_mut().for_each(|tensor| tensor.file = number);
            match &mut whole {
                None => whole = Some(header),
                Some(whole) => whole.add(header).map_err(|name| {
                    Error::corrupt(part, "GGUF", format!("`{name}` occurs in another part too"))
                })?,
            }
            files.push(file);
            hashes.insert(part.clone(), sha256);
        }
        let header = whole.unwrap_or_else(|| unreachable!("a file is its own part at least"));
        Ok(Self { files, hashes, header })
    }

    /// The file, the first of several.
    pub(super) fn path(&self) -> &Path {
        self.files[0].path()
    }

    /// The SHA-256 of each file's bytes.
    pub(super) fn hashes(&self) -> &FileHashes {
        &self.hashes
    }

    /// The metadata value of `key`.
    pub(super) fn metadata(&self, key: &str) -> Option<&Value> {
        self.header.metadata.get(key)
    }

    /// The tensors' names, sorted.
    pub(super) fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.header.tensors.keys().map(String::as_str)
    }

    /// How many weights are kept in which type, by the types' names.
    pub(super) fn kinds(&self) -> BTreeMap<String, u64> {
        let mut kinds = BTreeMap::new();
        for tensor in self.header.tensors.values() {
            let weights = tensor.shape.iter().product::<usize>() as u64;
            *kinds.entry(tensor.quantisation.name().to_owned()).or_default() += weights;
        }
        kinds
    }

    /// A tensor's shape, outermost dimension first.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.header.tensors.get(name)?.shape)
    }

    /// A tensor's values, dequantised, in row-major order; none where there is no such tensor.
    ///
    /// # Errors
    /// [`Error::Fetch`] where the file is no longer what it was when it was opened, [`Error::Io`].
    pub(super) fn tensor(&self, name: &str) -> Result<Option<Vec<f32>>, Error> {
        let Some(info) = self.header.tensors.get(name) else { return Ok(None) };
        let mut values = Vec::with_capacity(info.shape.iter().product());
        let quantisation = info.quantisation;
        self.files[info.file].steps(info.bytes.clone(), quantisation.block_bytes(), |bytes| {
            values.extend_from_slice(&quantisation.dequantise(bytes));
        })?;
        Ok(Some(values))
    }

    /// A matrix as the integers in blocks that it is kept in; none where it is kept in plain numbers or
    /// is no matrix.
    ///
    /// # Errors
    /// As [`Self::tensor`].
    pub(super) fn blocks(&self, name: &str) -> Result<Option<Blocks>, Error> {
        let Some(info) = self.header.tensors.get(name) else { return Ok(None) };
        let quantisation = info.quantisation;
        let &[rows, columns] = &info.shape[..] else { return Ok(None) };
        let Some(mut blocks) = quantisation.empty([rows, columns]) else { return Ok(None) };
        self.files[info.file].steps(info.bytes.clone(), quantisation.block_bytes(), |bytes| {
            quantisation.unpack(bytes, &mut blocks);
        })?;
        Ok(Some(blocks))
    }
}

impl Header {
    /// Holds that a file is part `number` of `count`, as it says itself.
    fn check_part(&self, number: usize, count: usize, path: &Path) -> Result<(), Error> {
        let said = |key: &str| match self.metadata.get(key) {
            Some(Value::Unsigned(said)) => usize::try_from(*said).ok(),
            _ => None,
        };
        let is_alone = |count: Option<usize>| count.is_none_or(|count| count < 2);
        match (said("split.no"), said("split.count")) {
            (_, own) if count == 1 && is_alone(own) => Ok(()),
            (Some(own), Some(all)) if (own, all) == (number, count) => Ok(()),
            (own, all) => {
                let own = own.map_or("part".to_owned(), |own| format!("part {}", own + 1));
                let all = all.map_or("a model".to_owned(), |all| all.to_string());
                let help = "name the first part, whose name ends in -00001-of- and their number, and \
                            keep the names that the parts were made with";
                Err(Error::unsupported(path, format!("it is {own} of {all}"), help))
            }
        }
    }

    /// Takes the tensors of another part, or gives the name of one that is there.
    fn add(&mut self, part: Self) -> Result<(), String> {
        for (name, tensor) in part.tensors {
            if self.tensors.contains_key(&name) {
                return Err(name);
            }
            self.tensors.insert(name, tensor);
        }
        Ok(())
    }
}

fn parse(read: Read<'_>, length: u64) -> Result<Header, ParseError> {
    let mut cursor = Cursor::new(read, length);
    check_version(&mut cursor)?;
    let tensor_count = cursor.count(24, "the number of tensors")?;
    let metadata_count = cursor.count(13, "the number of metadata entries")?;
    let mut metadata = BTreeMap::new();
    for _ in 0..metadata_count {
        let key = cursor.text("a metadata key")?;
        let kind = cursor.u32(&key)?;
        let value = cursor.value(kind, &key, 0)?;
        metadata.insert(key, value);
    }
    let alignment = match metadata.get("general.alignment") {
        None => DEFAULT_ALIGNMENT,
        Some(Value::Unsigned(alignment)) if alignment.is_power_of_two() => *alignment,
        Some(other) => return cursor.corrupt(format!("the alignment is {other:?}")),
    };
    let mut placed = Vec::new();
    for _ in 0..tensor_count {
        let at = cursor.at;
        let (name, offset, info) = tensor_info(&mut cursor)?;
        placed.push((at, name, offset, info));
    }
    let Some(start) = cursor.at.checked_next_multiple_of(alignment) else {
        return cursor.corrupt(format!("the alignment is {alignment}"));
    };
    let mut tensors = BTreeMap::new();
    for (at, name, offset, mut info) in placed {
        let place = start
            .checked_add(offset)
            .and_then(|begin| Some(begin..begin.checked_add(info.bytes.end)?));
        let Some(place) = place.filter(|place| place.end <= length) else {
            let problem = format!(
                "the tensor `{name}` begins at {offset} of the data and is {} bytes long, but the \
                 file ends before it does: it is cut off",
                info.bytes.end
            );
            return Err(ParseError::Corrupt { problem, at });
        };
        info.bytes = place;
        if tensors.insert(name.clone(), info).is_some() {
            return Err(ParseError::Corrupt { problem: format!("`{name}` occurs twice"), at });
        }
    }
    Ok(Header { metadata, tensors })
}

fn check_version(cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
    if cursor.take(4, "the magic number")? != MAGIC {
        cursor.at = 0;
        return cursor.corrupt("it does not begin with `GGUF`");
    }
    let version = cursor.u32("the version")?;
    if (2..=3).contains(&version) {
        return Ok(());
    }
    let swapped = version.swap_bytes();
    let (version, order) = match swapped {
        2..=3 => (swapped, " in big-endian order"),
        _ => (version, ""),
    };
    Err(ParseError::Unsupported {
        problem: format!("it is GGUF version {version}{order}"),
        help: "versions 2 and 3 in little-endian order can be read".to_owned(),
    })
}

/// A tensor's name, its offset in the data, and the rest; its `bytes` still begin at 0.
fn tensor_info(cursor: &mut Cursor<'_>) -> Result<(String, u64, TensorInfo), ParseError> {
    let name = cursor.text("a tensor's name")?;
    let dimensions = cursor.u32(&name)?;
    if !(1..=4).contains(&dimensions) {
        return cursor.corrupt(format!("the tensor `{name}` has {dimensions} dimensions"));
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let at = cursor.at;
        match usize::try_from(cursor.u64(&name)?) {
            Ok(size) if size > 0 => shape.push(size),
            _ => {
                let problem = format!("the tensor `{name}` has an impossible dimension");
                return Err(ParseError::Corrupt { problem, at });
            }
        }
    }
    let row = shape[0] as u64;
    // The file has the innermost dimension first.
    shape.reverse();
    let number = cursor.u32(&name)?;
    let quantisation =
        Quantisation::from_number(number).map_err(|readable| ParseError::Unsupported {
            problem: format!("the tensor `{name}` has GGUF type {number}"),
            help: format!("quantise the model as one of {readable}"),
        })?;
    let rows = shape[..shape.len() - 1].iter().try_fold(1u64, |n, &s| n.checked_mul(s as u64));
    let length = quantisation.bytes(row).zip(rows).and_then(|(row, rows)| row.checked_mul(rows));
    let Some(length) = length else {
        let problem = format!("the tensor `{name}` of shape {shape:?} is not made of whole blocks");
        return cursor.corrupt(problem);
    };
    let offset = cursor.u64(&name)?;
    Ok((name, offset, TensorInfo { shape, quantisation, bytes: 0..length, file: 0 }))
}

#[cfg(test)]
mod tests;
