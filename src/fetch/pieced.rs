//! Files that are read in pieces, never mapped: where another process shortens or changes one
//! meanwhile, that is an error, and not the end of this process.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Error;

/// Bytes that are hashed by themselves, so that a part of a file can be held to what it was.
const PIECE: u64 = 1 << 20;
/// Bytes that [`PiecedFile::steps`] reads at once: many pieces, of which few are read twice.
const STEP: u64 = 16 * PIECE;

/// An open file of a known length.
#[derive(Debug)]
pub struct PiecedFile {
    path: PathBuf,
    file: File,
    length: u64,
    /// The hash of each piece, where the file was hashed.
    hashes: Option<Vec<[u8; 32]>>,
}

impl PiecedFile {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::io("read", path))?;
        let length = file.metadata().map_err(Error::io("read", path))?.len();
        Ok(Self { path: path.to_owned(), file, length, hashes: None })
    }

    /// Opens a file and hashes it. What is read of it later is what was hashed, or an error.
    /// Gives its SHA-256 too.
    ///
    /// # Errors
    /// [`Error::Changed`] where it is shortened meanwhile, [`Error::Io`].
    pub fn hashed(path: &Path) -> Result<(Self, [u8; 32]), Error> {
        let mut this = Self::open(path)?;
        let mut whole = Sha256::new();
        let mut hashes = Vec::new();
        let mut at = 0;
        while at < this.length {
            let end = this.length.min(at + PIECE);
            let piece = this.plain(at..end)?;
            whole.update(&piece);
            hashes.push(Sha256::digest(&piece).into());
            at = end;
        }
        this.hashes = Some(hashes);
        Ok((this, whole.finalize().into()))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes when it was opened.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The bytes at `range`.
    ///
    /// # Errors
    /// [`Error::Changed`] where the file is shorter or, if it was hashed, other; [`Error::Io`].
    pub fn read(&self, range: Range<u64>) -> Result<Vec<u8>, Error> {
        // Nothing is allocated for what cannot be there.
        if range.start > range.end || range.end > self.length {
            return Err(self.changed());
        }
        let Some(hashes) = &self.hashes else { return self.plain(range) };
        // Pieces are read whole, and what was asked for is cut out.
        let first = range.start / PIECE;
        let start = first * PIECE;
        let end = range.end.div_ceil(PIECE).saturating_mul(PIECE).min(self.length);
        let mut bytes = self.plain(start..end.max(start))?;
        let hashes = hashes.iter().skip(first as usize);
        let mut pieces = bytes.chunks(PIECE as usize).zip(hashes);
        if pieces.any(|(piece, hash)| Sha256::digest(piece)[..] != hash[..]) {
            return Err(self.changed());
        }
        bytes.truncate((range.end - start) as usize);
        bytes.drain(..(range.start - start) as usize);
        Ok(bytes)
    }

    /// Gives the bytes at `range` to `take` in order, as many at once as is good, always whole
    /// blocks of `block` bytes.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn steps(
        &self,
        range: Range<u64>,
        block: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        let block = block.max(1) as u64;
        let step = (STEP / block).max(1) * block;
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at.saturating_add(step));
            take(&self.read(at..end)?);
            at = end;
        }
        Ok(())
    }

    fn plain(&self, range: Range<u64>) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        match self.file.read_exact_at(&mut bytes, range.start) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(self.changed()),
            Err(error) => Err(Error::io("read", &self.path)(error)),
        }
    }

    fn changed(&self) -> Error {
        Error::Changed { path: self.path.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// More than two pieces, the last of them short.
    fn sample() -> Vec<u8> {
        (0..2 * PIECE as usize + 12_345).map(|i| (i % 251) as u8).collect()
    }

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn any_range_is_read_hashed_or_not() {
        let bytes = sample();
        let file = file(&bytes);
        let (hashed, sha256) = PiecedFile::hashed(file.path()).unwrap();
        assert_eq!(sha256, super::super::digest_of_file(file.path()).unwrap());
        let plain = PiecedFile::open(file.path()).unwrap();
        let (piece, end) = (PIECE, bytes.len() as u64);
        for range in [0..0, 0..10, 5..5, piece - 1..piece + 1, piece..2 * piece, 7..end, end..end] {
            let expected = &bytes[range.start as usize..range.end as usize];
            for file in [&hashed, &plain] {
                assert!(file.read(range.clone()).unwrap() == expected, "{range:?}");
            }
        }
        let mut all = Vec::new();
        hashed.steps(3..end, 7, |step| all.extend_from_slice(step)).unwrap();
        assert!(all == bytes[3..]);
        assert!(plain.read(end..end + 1).is_err() && hashed.read(0..u64::MAX).is_err());
    }

    #[test]
    fn a_file_that_is_shortened_is_an_error_that_names_it() {
        let bytes = sample();
        let file = file(&bytes);
        let (hashed, _) = PiecedFile::hashed(file.path()).unwrap();
        let plain = PiecedFile::open(file.path()).unwrap();
        fs::File::options().write(true).open(file.path()).unwrap().set_len(100).unwrap();
        for open in [&hashed, &plain] {
            let message = open.read(50..bytes.len() as u64).unwrap_err().to_string();
            assert!(message.contains(file.path().to_str().unwrap()), "{message}");
            assert!(message.contains("changed while it was read"), "{message}");
        }
    }

    #[test]
    fn a_byte_that_changes_is_an_error_in_its_piece_alone() {
        let mut bytes = sample();
        let file = file(&bytes);
        let (hashed, _) = PiecedFile::hashed(file.path()).unwrap();
        bytes[PIECE as usize + 5] ^= 1;
        fs::write(file.path(), &bytes).unwrap();
        assert!(hashed.read(0..PIECE).is_ok());
        let error = hashed.read(PIECE + 100..PIECE + 101).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error}");
        // What was appended after is no part of what was hashed.
        bytes[PIECE as usize + 5] ^= 1;
        bytes.push(1);
        fs::write(file.path(), &bytes).unwrap();
        assert!(hashed.read(0..hashed.length()).unwrap() == sample());
    }
}
