//! A safetensors file, read tensor by tensor.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensorError};

use super::Error;
use crate::fetch::PiecedFile;

const FORMAT: &str = "safetensors";
/// In front of the header: its length.
const LENGTH: u64 = 8;
/// The format's own limit on a header.
const LARGEST_HEADER: u64 = 100_000_000;

/// An opened safetensors file. Every tensor lies within it.
pub(crate) struct TensorFile {
    file: PiecedFile,
    header: Metadata,
    /// Where the data begin.
    start: u64,
}

impl TensorFile {
    /// Opens a file and checks its header.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it is cut off or damaged, [`Error::Io`].
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::of(PiecedFile::open(path)?)
    }

    /// The same; what is read of it later is what its SHA-256, which it gives, is of.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn hashed(path: &Path) -> Result<(Self, [u8; 32]), Error> {
        let (file, sha256) = PiecedFile::hashed(path)?;
        Ok((Self::of(file)?, sha256))
    }

    fn of(file: PiecedFile) -> Result<Self, Error> {
        let corrupt =
            |error: SafeTensorError| Error::corrupt(file.path(), FORMAT, error.to_string());
        if file.length() < LENGTH {
            return Err(corrupt(SafeTensorError::HeaderTooSmall));
        }
        let length = file.read(0..LENGTH)?;
        let length = length.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        if length > LARGEST_HEADER {
            return Err(corrupt(SafeTensorError::HeaderTooLarge));
        }
        let start = LENGTH + length;
        if start > file.length() {
            return Err(corrupt(SafeTensorError::InvalidHeaderLength));
        }
        let header = file.read(LENGTH..start)?;
        let header = std::str::from_utf8(&header)
            .map_err(|error| corrupt(SafeTensorError::InvalidHeader(error)))?;
        let header: Metadata = serde_json::from_str(header)
            .map_err(|error| corrupt(SafeTensorError::InvalidHeaderDeserialization(error)))?;
        if start.checked_add(header.data_len() as u64) != Some(file.length()) {
            return Err(corrupt(SafeTensorError::MetadataIncompleteBuffer));
        }
        Ok(Self { file, header, start })
    }

    /// What the header says beside its tensors.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        Some(self.header.metadata().as_ref()?.get(key)?)
    }

    /// The tensors' names, sorted, with their shapes.
    pub(crate) fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let tensors = self.header.tensors().into_iter();
        tensors.map(|(name, info)| (name, info.shape.clone())).collect()
    }

    /// What a tensor's type is called.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where [`Self::read`] does not take it, [`Error::Corrupt`] where there is no
    /// such tensor.
    pub(crate) fn kind(&self, name: &str) -> Result<&'static str, Error> {
        match self.info(name)?.dtype {
            Dtype::F32 => Ok("F32"),
            Dtype::F16 => Ok("F16"),
            Dtype::BF16 => Ok("BF16"),
            other => Err(Error::unsupported(
                self.file.path(),
                format!("its tensor `{name}` has type {other:?}"),
                "save the checkpoint as F32, F16 or BF16",
            )),
        }
    }

    /// A tensor's type, shape and bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where there is no such tensor; [`Error::Fetch`] where the file changed;
    /// [`Error::Io`].
    pub(crate) fn bytes(&self, name: &str) -> Result<(Dtype, &[usize], Vec<u8>), Error> {
        let info = self.info(name)?;
        Ok((info.dtype, &info.shape, self.file.read(self.place(info))?))
    }

    /// A tensor's values.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where they are not floating-point numbers, and those of
    /// [`Self::bytes`].
    pub(crate) fn read(&self, name: &str) -> Result<Vec<f32>, Error> {
        let info = self.info(name)?;
        match self.kind(name)? {
            "F16" => self.values(info, |bytes| f16::from_le_bytes(bytes).to_f32()),
            "BF16" => self.values(info, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            _ => self.values(info, f32::from_le_bytes),
        }
    }

    fn values<const N: usize>(
        &self,
        info: &TensorInfo,
        value: impl Fn([u8; N]) -> f32,
    ) -> Result<Vec<f32>, Error> {
        let place = self.place(info);
        let mut values = Vec::with_capacity((place.end - place.start) as usize / N);
        self.file.steps(place, N, |bytes| {
            let (chunks, _) = bytes.as_chunks::<N>();
            values.extend(chunks.iter().map(|bytes| value(*bytes)));
        })?;
        Ok(values)
    }

    fn info(&self, name: &str) -> Result<&TensorInfo, Error> {
        let missing = || SafeTensorError::TensorNotFound(name.to_owned()).to_string();
        self.header.info(name).ok_or_else(|| Error::corrupt(self.file.path(), FORMAT, missing()))
    }

    /// Where in the file: no further than its end, as the header was found to be.
    fn place(&self, info: &TensorInfo) -> Range<u64> {
        let (start, end) = info.data_offsets;
        self.start + start as u64..self.start + end as u64
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tiny;
    use super::*;

    fn sample() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.safetensors");
        let tensors = tiny::Tensors::from([
            ("a".to_owned(), (vec![2, 3], (0..6).map(|i| i as f32).collect())),
            ("b".to_owned(), (vec![1], vec![0.5])),
        ]);
        tiny::write_tensors(&path, &tensors);
        (folder, path)
    }

    #[test]
    fn tensors_are_read_by_name() {
        let (_folder, path) = sample();
        let file = TensorFile::open(&path).unwrap();
        assert_eq!(file.shapes()["a"], [2, 3]);
        assert_eq!(file.read("a").unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(file.bytes("b").unwrap(), (Dtype::F32, &[1][..], 0.5_f32.to_le_bytes().into()));
        let message = file.read("c").unwrap_err().to_string();
        assert!(message.contains("t.safetensors") && message.contains('c'), "{message}");
    }

    #[test]
    fn every_truncation_is_an_error_that_names_the_file() {
        let (_folder, path) = sample();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let message = TensorFile::open(&path).err().unwrap().to_string();
            assert!(message.contains("t.safetensors is not a sound"), "{length}: {message}");
        }
    }

    #[test]
    fn lengths_and_offsets_that_wrap_are_errors() {
        let (_folder, path) = sample();
        let whole = fs::read(&path).unwrap();
        for length in [u64::MAX, u64::MAX - 7, 1 << 63, LARGEST_HEADER + 1] {
            let bytes = [&length.to_le_bytes()[..], &whole[8..]].concat();
            fs::write(&path, bytes).unwrap();
            assert!(TensorFile::open(&path).is_err(), "{length}");
        }
        for (shape, offsets) in [
            ("[4611686018427387905]", "[0,4]"),
            ("[1]", "[18446744073709551612,18446744073709551616]"),
            ("[1]", "[4,0]"),
            ("[4611686018427387903]", "[0,18446744073709551612]"),
        ] {
            let header = format!(
                "{{\"a\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}"
            );
            let length = (header.len() as u64).to_le_bytes();
            fs::write(&path, [&length[..], header.as_bytes(), &[0; 4]].concat()).unwrap();
            assert!(TensorFile::open(&path).is_err(), "{shape} {offsets}");
        }
    }

    #[test]
    fn a_file_that_is_shortened_after_it_was_opened_is_an_error() {
        let (_folder, path) = sample();
        let file = TensorFile::open(&path).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(20).unwrap();
        for error in [file.read("a").unwrap_err(), file.bytes("a").unwrap_err()] {
            let message = error.to_string();
            assert!(message.contains("t.safetensors changed while it was read"), "{message}");
        }
    }
}
