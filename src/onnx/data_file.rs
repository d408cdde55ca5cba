//! The file beside a graph that holds its weights, each aligned to a page so that it can be
//! memory-mapped: the graph itself stays small, whatever the size of the model (a protobuf message
//! ends at 2 GiB).

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::Error;
use super::proto::{EXTERNAL, StringStringEntryProto, TensorProto};

/// Where a weight may begin.
const ALIGNMENT: u64 = 4096;

/// A data file under construction.
pub(super) struct DataFile {
    file: BufWriter<File>,
    path: PathBuf,
    written: u64,
}

impl DataFile {
    /// The new, empty file `path`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(Error::io("create", path))?;
        let file = BufWriter::with_capacity(1 << 20, file);
        Ok(Self { file, path: path.to_owned(), written: 0 })
    }

    /// Appends the bytes of `tensor`, which come in parts, and lets it say where they are.
    ///
    /// # Errors
    /// [`Error::Io`] where they cannot be written.
    pub(super) fn append<P: AsRef<[u8]>>(
        &mut self,
        tensor: &mut TensorProto,
        parts: impl IntoIterator<Item = P>,
    ) -> Result<(), Error> {
        let offset = self.written.next_multiple_of(ALIGNMENT);
        let length = self.write(offset, parts).map_err(Error::io("write", &self.path))?;
        self.written = offset + length;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value),
        };
        tensor.data_location = Some(EXTERNAL);
        tensor.external_data = vec![
            entry("location", name.into_owned()),
            entry("offset", offset.to_string()),
            entry("length", length.to_string()),
        ];
        Ok(())
    }

    fn write<P: AsRef<[u8]>>(
        &mut self,
        offset: u64,
        parts: impl IntoIterator<Item = P>,
    ) -> io::Result<u64> {
        io::copy(&mut io::repeat(0).take(offset - self.written), &mut self.file)?;
        let mut length = 0;
        for part in parts {
            self.file.write_all(part.as_ref())?;
            length += part.as_ref().len() as u64;
        }
        Ok(length)
    }

    /// Closes the file; what was written is then on the disk.
    ///
    /// # Errors
    /// [`Error::Io`] where it is not.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        let failed = Error::io("write", &self.path);
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(failed)
    }
}
