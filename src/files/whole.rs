//! Files that are written whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::folder_of;
use crate::diagnostic::Explain;

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", file.display())]
pub struct WriteError {
    /// The file.
    pub file: PathBuf,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

impl Explain for WriteError {}

impl WriteError {
    /// What the system says of a file, with its name.
    pub fn of(file: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let file = file.to_owned();
        move |source| Self { file: file.clone(), source }
    }
}

/// A file that takes its place when it is whole: it is written under another name beside it, and
/// [`WholeFile::commit`] renames it. Dropped before, it leaves nothing.
///
/// A link's target is written; a device or pipe is written straight away.
pub struct WholeFile {
    named: PathBuf,
    out: Out,
}

enum Out {
    Special(File),
    Partial { partial: NamedTempFile, target: PathBuf },
}

impl WholeFile {
    /// Begins the file.
    ///
    /// # Errors
    /// Where its folder takes none.
    pub fn create(file: &Path) -> Result<Self, WriteError> {
        let cannot = WriteError::of(file);
        let named = file.to_owned();
        let target = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        if target.exists() && !target.is_file() && !target.is_dir() {
            let special = OpenOptions::new().write(true).open(&target).map_err(cannot)?;
            return Ok(Self { named, out: Out::Special(special) });
        }
        let partial = tempfile::Builder::new()
            .prefix(".kgbuild-")
            .permissions(default_permissions())
            .tempfile_in(folder_of(&target))
            .map_err(cannot)?;
        Ok(Self { named, out: Out::Partial { partial, target } })
    }

    /// Puts the file in its place, on the disk.
    ///
    /// # Errors
    /// Where the disk refuses; what was there before stays.
    pub fn commit(self) -> Result<(), WriteError> {
        let cannot = WriteError::of(&self.named);
        match self.out {
            Out::Special(_) => Ok(()),
            Out::Partial { partial, target } => {
                partial.as_file().sync_all().map_err(&cannot)?;
                partial.persist(target).map(drop).map_err(|error| cannot(error.error))
            }
        }
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.out {
            Out::Special(file) => file.write(bytes),
            Out::Partial { partial, .. } => partial.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.out {
            Out::Special(file) => file.flush(),
            Out::Partial { partial, .. } => partial.flush(),
        }
    }
}

/// Writes a file whole or not at all; see [`WholeFile`].
///
/// # Errors
/// Where the file cannot be written; what was there before stays.
pub fn write_whole(file: &Path, content: &[u8]) -> Result<(), WriteError> {
    let mut whole = WholeFile::create(file)?;
    whole.write_all(content).map_err(WriteError::of(file))?;
    whole.commit()
}

/// Those of an ordinary new file, which the process' umask narrows.
fn default_permissions() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(0o666)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_is_not_whole_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.txt");
        write_whole(&file, b"before").unwrap();
        let mut whole = WholeFile::create(&file).unwrap();
        whole.write_all(b"half").unwrap();
        drop(whole);
        assert_eq!(fs::read(&file).unwrap(), b"before");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write_whole(&file, b"after").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"after");
    }

    #[test]
    fn an_error_names_the_file() {
        let missing = Path::new("no such folder/a.txt");
        let error = write_whole(missing, b"").unwrap_err();
        assert_eq!(error.to_string(), "cannot write no such folder/a.txt");
    }
}
