//! The values of a GGUF file, one after the other.

use std::ops::Range;
use std::path::Path;

use super::Value;
use crate::fetch;
use crate::onnx::Error;

/// Arrays of arrays are legal; deeper ones than this occur in no model.
const MAX_NESTING: usize = 4;
/// Bytes that are read at once of what stands in front of the tensors.
pub(super) const AHEAD: u64 = 1 << 20;

/// Why a file cannot be read.
#[derive(Debug)]
pub(super) enum ParseError {
    Corrupt { problem: String, at: u64 },
    Unsupported { problem: String, help: String },
    Read(fetch::Error),
}

impl ParseError {
    pub(super) fn in_file(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Self::Corrupt { problem, at } => {
                Error::Corrupt { path, format: "GGUF", problem, at: Some(at) }
            }
            Self::Unsupported { problem, help } => Error::Unsupported { path, problem, help },
            Self::Read(error) => error.into(),
        }
    }
}

/// Gives the bytes of a file at a range within it.
pub(super) type Read<'a> = &'a dyn Fn(Range<u64>) -> Result<Vec<u8>, fetch::Error>;

/// Goes through a file from its beginning.
pub(super) struct Cursor<'a> {
    read: Read<'a>,
    length: u64,
    pub(super) at: u64,
    /// What was read, and where in the file it begins.
    ahead: Vec<u8>,
    ahead_from: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(read: Read<'a>, length: u64) -> Self {
        Self { read, length, at: 0, ahead: Vec::new(), ahead_from: 0 }
    }

    pub(super) fn corrupt<T>(&self, problem: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError::Corrupt { problem: problem.into(), at: self.at })
    }

    fn left(&self) -> u64 {
        self.length - self.at
    }

    pub(super) fn take(&mut self, count: u64, what: &str) -> Result<&[u8], ParseError> {
        let left = self.left();
        if count > left {
            return self.corrupt(format!("{what} needs {count} bytes, but {left} are left"));
        }
        let end = self.at + count;
        if end > self.ahead_from + self.ahead.len() as u64 {
            let until = end.max(self.at.saturating_add(AHEAD)).min(self.length);
            self.ahead = (self.read)(self.at..until).map_err(ParseError::Read)?;
            self.ahead_from = self.at;
        }
        // No more than what lies ahead, which is in memory.
        let start = (self.at - self.ahead_from) as usize;
        self.at = end;
        Ok(&self.ahead[start..start + count as usize])
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], ParseError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64, what)?);
        Ok(array)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, ParseError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, ParseError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A number of things of at least `smallest` bytes each: more than fit cannot be meant.
    pub(super) fn count(&mut self, smallest: u64, what: &str) -> Result<u64, ParseError> {
        let start = self.at;
        let count = self.u64(what)?;
        if count > self.left() / smallest {
            self.at = start;
            return self.corrupt(format!("{what} is {count}, more than the file can hold"));
        }
        Ok(count)
    }

    pub(super) fn text(&mut self, what: &str) -> Result<String, ParseError> {
        let length = self.u64(what)?;
        let start = self.at;
        let bytes = self.take(length, what)?;
        String::from_utf8(bytes.to_vec())
            .map_err(|_| ParseError::Corrupt { problem: format!("{what} is not UTF-8"), at: start })
    }

    pub(super) fn value(
        &mut self,
        kind: u32,
        key: &str,
        depth: usize,
    ) -> Result<Value, ParseError> {
        Ok(match kind {
            0 => Value::Unsigned(u8::from_le_bytes(self.array(key)?).into()),
            1 => Value::Signed(i8::from_le_bytes(self.array(key)?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.array(key)?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.array(key)?).into()),
            4 => Value::Unsigned(self.u32(key)?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.array(key)?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array(key)?).into()),
            7 => Value::Bool(self.array::<1>(key)? != [0]),
            8 => Value::Text(self.text(key)?),
            9 if depth < MAX_NESTING => {
                let kind = self.u32(key)?;
                let smallest = match kind {
                    0 | 1 | 7 => 1,
                    2 | 3 => 2,
                    4..=6 => 4,
                    9 => 12,
                    _ => 8,
                };
                let count = self.count(smallest, key)?;
                let values = (0..count).map(|_| self.value(kind, key, depth + 1));
                Value::Array(values.collect::<Result<_, _>>()?)
            }
            10 => Value::Unsigned(self.u64(key)?),
            11 => Value::Signed(i64::from_le_bytes(self.array(key)?)),
            12 => Value::Float(f64::from_le_bytes(self.array(key)?)),
            _ => return self.corrupt(format!("`{key}` has the unknown value type {kind}")),
        })
    }
}
