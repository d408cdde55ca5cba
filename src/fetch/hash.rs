//! SHA-256 of files and folders, streamed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Error;

/// What a training tells of itself, beside the model that it made.
pub const TRAINING_CARD: &str = "training.json";

/// The SHA-256 of files whose bytes were read, by path.
pub type FileHashes = BTreeMap<PathBuf, [u8; 32]>;

/// The SHA-256 of a file's bytes, or of a folder or a file in [parts]: of the sorted relative paths of its
/// files, each with the SHA-256 of its content. In lower-case hexadecimal. Links are followed. What lies in a
/// model's folder but is no part of it is left out: hidden files and folders, Markdown, and the
/// card of a training, which tells the time it took.
///
/// # Errors
/// [`Error::Io`] naming what cannot be read.
pub fn sha256_of(path: &Path) -> Result<String, Error> {
    combined(path, &files(path)?, &FileHashes::new())
}

/// Fails where the file or folder `path` has another hash than `sha256` by the bytes that were
/// `read` of its files. The files that were not read count with what they hold now.
///
/// So that what was made of these bytes may be kept under `sha256`, whatever another process did
/// meanwhile.
///
/// # Errors
/// [`Error::Changed`], [`Error::NotHashed`] where a file that was read is left out of the hash,
/// [`Error::Io`].
pub fn unchanged(path: &Path, sha256: &str, read: &FileHashes) -> Result<(), Error> {
    let files = files(path)?;
    if let Some(other) = read.keys().find(|file| !files.contains(file)) {
        return Err(Error::NotHashed { path: other.clone() });
    }
    match combined(path, &files, read)? == sha256 {
        true => Ok(()),
        false => Err(Error::Changed { path: path.to_owned() }),
    }
}

/// The files that a hash is over, sorted.
fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(parts(path));
    }
    let mut files = Vec::new();
    list(path, &mut files)?;
    files.sort();
    Ok(files)
}

/// All parts of a GGUF file whose name says that it is the first of several, as in `a-00001-of-00003.gguf`;
/// any other file is its only part. Whether they are there is not looked at.
pub fn parts(path: &Path) -> Vec<PathBuf> {
    let whole = || vec![path.to_owned()];
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return whole() };
    let Some((stem, extension)) = name.rsplit_once('.') else { return whole() };
    let Some((beginning, count)) = stem.rsplit_once("-00001-of-") else { return whole() };
    // More than any model has are not meant.
    let is_count = count.len() == 5 && count.bytes().all(|digit| digit.is_ascii_digit());
    let is_count = is_count && extension.eq_ignore_ascii_case("gguf");
    match count.parse::<usize>() {
        Ok(total @ 2..=999) if is_count => {
            let part = |at| format!("{beginning}-{at:05}-of-{count}.{extension}");
            (1..=total).map(|at| path.with_file_name(part(at))).collect()
        }
        _ => whole(),
    }
}

/// The hash over `files`, of which those in `known` are not read.
fn combined(path: &Path, files: &[PathBuf], known: &FileHashes) -> Result<String, Error> {
    let hash_of =
        |file: &Path| known.get(file).map_or_else(|| digest_of_file(file), |hash| Ok(*hash));
    if files == [path] {
        return Ok(hex::encode(hash_of(path)?));
    }
    let mut hash = Sha256::new();
    for file in files {
        let within = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let relative = file.strip_prefix(within).unwrap_or(file);
        let name: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        hash.update(name.join("/"));
        hash.update([0]);
        hash.update(hash_of(file)?);
    }
    Ok(hex::encode(hash.finalize()))
}

/// Fails where `expected` is given and is not the hash of `path`; `help` says what to do.
pub(super) fn check(path: &Path, expected: Option<&str>, help: &str) -> Result<(), Error> {
    let Some(expected) = expected else { return Ok(()) };
    let found = sha256_of(path)?;
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(Error::HashMismatch {
        what: path.display().to_string(),
        expected: expected.into(),
        found: found.into(),
        help: help.to_owned(),
    })
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let path = entry.map_err(Error::io("read", folder))?.path();
        if is_beside(&path) {
            continue;
        }
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether a file or folder is no part of a model: `.git`, `.DS_Store`, a model card.
fn is_beside(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    hidden
        || path.ends_with(TRAINING_CARD)
        || path.extension().is_some_and(|extension| extension == "md")
}

/// The SHA-256 of bytes.
pub fn digest_of_bytes(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The SHA-256 of a file's bytes.
///
/// # Errors
/// [`Error::Io`] where it cannot be read.
pub fn digest_of_file(path: &Path) -> Result<[u8; 32], Error> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(Error::io("read", path))? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_hash_is_that_of_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("abc");
        fs::write(&file, "abc").unwrap();
        // The example of FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of(&file).unwrap(), expected);
        assert!(check(&file, Some(&expected.to_uppercase()), "").is_ok());
        let message = check(&file, Some("00"), "look").unwrap_err().to_string();
        assert!(message.contains(expected) && message.contains("but 00"), "{message}");
    }

    #[test]
    fn a_folders_hash_depends_on_names_and_contents_alone() {
        let folder = || tempfile::tempdir().unwrap();
        let write = |root: &Path, name: &str, text: &str| {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), text).unwrap();
        };
        let (one, other, renamed) = (folder(), folder(), folder());
        write(one.path(), "a", "1");
        write(one.path(), "b/c", "2");
        write(other.path(), "b/c", "2");
        write(other.path(), "a", "1");
        write(renamed.path(), "a", "1");
        write(renamed.path(), "b/d", "2");
        let hash = |root: &tempfile::TempDir| sha256_of(root.path()).unwrap();
        assert_eq!(hash(&one), hash(&other));
        assert_ne!(hash(&one), hash(&renamed));
        write(other.path(), "README.md", "a model card");
        write(other.path(), ".git/HEAD", "main");
        write(other.path(), TRAINING_CARD, "{}");
        assert_eq!(hash(&one), hash(&other));
        write(other.path(), "b/c", "3");
        assert_ne!(hash(&one), hash(&other));
    }

    #[test]
    fn what_was_read_is_what_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (a, hidden) = (folder.path().join("a"), folder.path().join(".b"));
        fs::write(&a, "1").unwrap();
        fs::write(&hidden, "2").unwrap();
        let sha256 = sha256_of(folder.path()).unwrap();
        let one = FileHashes::from([(a.clone(), digest_of_file(&a).unwrap())]);
        fs::write(&a, "3").unwrap();
        let three = FileHashes::from([(a.clone(), digest_of_file(&a).unwrap())]);
        assert!(unchanged(folder.path(), &sha256, &one).is_ok());
        let error = unchanged(folder.path(), &sha256, &three).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error}");
        let error = unchanged(folder.path(), &sha256, &FileHashes::new()).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error}");
        let unhashed = FileHashes::from([(hidden.clone(), digest_of_file(&hidden).unwrap())]);
        let error = unchanged(folder.path(), &sha256, &unhashed).unwrap_err();
        assert!(matches!(error, Error::NotHashed { .. }), "{error}");
        assert!(unchanged(&a, &sha256_of(&a).unwrap(), &three).is_ok());
        assert!(unchanged(&a, &sha256_of(&a).unwrap(), &one).is_err());
    }

    #[test]
    fn a_file_in_parts_is_all_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let part = |at: usize| folder.path().join(format!("m-0000{at}-of-00002.gguf"));
        assert_eq!(parts(&part(1)), [part(1), part(2)]);
        assert_eq!(parts(&part(2)), [part(2)]);
        for other in
            ["m-00001-of-00001.gguf", "m-00001-of-2.gguf", "m.gguf", "m-00001-of-00002.csv"]
        {
            assert_eq!(parts(Path::new(other)), [Path::new(other)]);
        }
        fs::write(part(1), "1").unwrap();
        let message = sha256_of(&part(1)).unwrap_err().to_string();
        assert!(message.contains("m-00002-of-00002.gguf"), "{message}");
        fs::write(part(2), "2").unwrap();
        let both = sha256_of(&part(1)).unwrap();
        fs::write(part(2), "3").unwrap();
        assert_ne!(sha256_of(&part(1)).unwrap(), both);
        let elsewhere = tempfile::tempdir().unwrap();
        for at in 1..=2 {
            fs::copy(part(at), elsewhere.path().join(part(at).file_name().unwrap())).unwrap();
        }
        let moved = elsewhere.path().join(part(1).file_name().unwrap());
        assert_eq!(sha256_of(&moved).unwrap(), sha256_of(&part(1)).unwrap());
    }

    #[test]
    fn a_missing_file_is_named() {
        let message = sha256_of(Path::new("/no/such/file")).unwrap_err().to_string();
        assert!(message.contains("/no/such/file"), "{message}");
    }
}
