//! What a hub says of a file before it sends it, and whether a file is that.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::super::{Cache, Error, plain};

/// The hash by which a hub names a file's content, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// Of the content: of files that git LFS keeps.
    Sha256(String),
    /// Of the content behind git's header: of files that git itself keeps.
    GitBlob(String),
}

impl Hash {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Sha256(text) | Self::GitBlob(text) => text,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "SHA-256",
            Self::GitBlob(_) => "git's SHA-1",
        }
    }
}

/// What a hub says of a file, as far as it says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Published {
    pub hash: Option<Hash>,
    /// Bytes.
    pub size: Option<u64>,
}

impl Published {
    /// From an ETag, in quotes or not: a hash, or something else that says nothing.
    ///
    /// # Errors
    /// The ETag, where other programs that take it for a file's name would be led elsewhere.
    pub(super) fn from_etag(etag: &str, size: Option<u64>) -> Result<Self, String> {
        let name = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
        if !plain::is_part(name) {
            return Err(format!("the ETag `{}` is not a plain name", name.escape_debug()));
        }
        let hash = match name.len() {
            _ if !is_hexadecimal(name) => None,
            64 => Some(Hash::Sha256(name.to_lowercase())),
            40 => Some(Hash::GitBlob(name.to_lowercase())),
            _ => None,
        };
        Ok(Self { hash, size })
    }

    /// How a file differs from what is published, in words; nothing where it does not.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Interrupted`] where the cache is told to stop.
    pub(super) fn difference(&self, file: &Path, cache: &Cache) -> Result<Option<String>, Error> {
        let size = fs::metadata(file).map_err(Error::io("read", file))?.len();
        if let Some(published) = self.size.filter(|published| *published != size) {
            return Ok(Some(format!("it has {size} bytes, but the hub publishes {published}")));
        }
        let Some(published) = &self.hash else { return Ok(None) };
        let found = match published {
            Hash::Sha256(_) => digest(Sha256::new(), file, cache)?,
            Hash::GitBlob(_) => {
                let header = format!("blob {size}\0");
                digest(Sha1::new_with_prefix(header), file, cache)?
            }
        };
        let (kind, published) = (published.kind(), published.text());
        Ok((found != published)
            .then(|| format!("{kind} is {found}, but the hub publishes {published}")))
    }
}

fn digest(mut hash: impl Digest, path: &Path, cache: &Cache) -> Result<String, Error> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        cache.unless_stopped()?;
        match file.read(&mut buffer).map_err(Error::io("read", path))? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// Whether `text` is the name of a commit.
pub(super) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && is_hexadecimal(text)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A revision's commit with its files, as a hub lists them.
#[derive(Deserialize)]
pub(super) struct Listing {
    sha: String,
    siblings: Vec<ListedFile>,
}

#[derive(Deserialize)]
struct ListedFile {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
}

impl Listing {
    /// The commit's name.
    ///
    /// # Errors
    /// What is there in its place.
    pub(super) fn commit(&self) -> Result<&str, String> {
        if is_commit(&self.sha) {
            return Ok(&self.sha);
        }
        Err(format!("`{}` in the hub's listing is not a commit", self.sha.escape_debug()))
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.siblings.iter().map(|file| file.rfilename.clone()).collect()
    }

    /// What the listing says of a file.
    ///
    /// # Errors
    /// What is there in a hash's place.
    pub(super) fn published(&self, name: &str) -> Result<Published, String> {
        let Some(file) = self.siblings.iter().find(|file| file.rfilename == name) else {
            return Ok(Published::default());
        };
        // The blob of a file that LFS keeps is a pointer to it.
        let (text, length) = match (&file.lfs, &file.blob_id) {
            (Some(lfs), _) => (&lfs.sha256, 64),
            (None, Some(blob)) => (blob, 40),
            (None, None) => return Ok(Published { hash: None, size: file.size }),
        };
        if text.len() != length || !is_hexadecimal(text) {
            let text = text.escape_debug();
            return Err(format!("`{text}` in the hub's listing is not the hash of {name}"));
        }
        let text = text.to_lowercase();
        let hash = if length == 64 { Hash::Sha256(text) } else { Hash::GitBlob(text) };
        Ok(Published { hash: Some(hash), size: file.size })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    // Of "abc": FIPS 180-2, appendix B.1, and `printf abc | git hash-object --stdin`.
    const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const BLOB: &str = "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f";

    #[test]
    fn a_file_is_held_against_both_kinds_of_hash_and_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let file = folder.path().join("abc");
        fs::write(&file, "abc").unwrap();
        let differs = |hash, size| {
            Published { hash, size }.difference(&file, &cache).unwrap().unwrap_or_default()
        };
        for hash in [Hash::Sha256(SHA256.into()), Hash::GitBlob(BLOB.into())] {
            assert_eq!(differs(Some(hash.clone()), Some(3)), "");
            assert_eq!(differs(Some(hash), None), "");
        }
        assert!(differs(Some(Hash::Sha256("0".repeat(64))), None).contains(SHA256));
        assert!(differs(Some(Hash::GitBlob("0".repeat(40))), None).contains(BLOB));
        assert!(differs(None, Some(4)).contains("3 bytes"));
        let stopped = cache.stop_on(Arc::new(true.into()));
        let published = Published { hash: Some(Hash::Sha256(SHA256.into())), size: None };
        let stopped = published.difference(&file, &stopped);
        assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    }

    #[test]
    fn an_etag_is_a_hash_or_says_nothing_or_is_refused() {
        let hash = |etag: &str| Published::from_etag(etag, None).map(|published| published.hash);
        assert_eq!(hash(&format!("\"{SHA256}\"")), Ok(Some(Hash::Sha256(SHA256.into()))));
        assert_eq!(hash(&format!("W/\"{BLOB}\"")), Ok(Some(Hash::GitBlob(BLOB.into()))));
        assert_eq!(hash("\"5f3-62a\""), Ok(None));
        for etag in ["\"/etc/passwd\"", "\"../../x\"", "..", "\"\"", "\"a\\b\""] {
            assert!(hash(etag).unwrap_err().contains("ETag"), "{etag}");
        }
    }

    #[test]
    fn a_listing_names_hashes() {
        let text = format!(
            r#"{{"sha": "{BLOB}", "siblings": [
                {{"rfilename": "config.json", "size": 3, "blobId": "{BLOB}"}},
                {{"rfilename": "w", "size": 9, "blobId": "{BLOB}", "lfs": {{"sha256": "{SHA256}"}}}},
                {{"rfilename": "bare"}},
                {{"rfilename": "bad", "lfs": {{"sha256": "../x"}}}}]}}"#
        );
        let listing: Listing = serde_json::from_str(&text).unwrap();
        assert_eq!(listing.commit(), Ok(BLOB));
        let of = |name| listing.published(name);
        let blob = Published { hash: Some(Hash::GitBlob(BLOB.into())), size: Some(3) };
        assert_eq!(of("config.json"), Ok(blob));
        let lfs = Published { hash: Some(Hash::Sha256(SHA256.into())), size: Some(9) };
        assert_eq!(of("w"), Ok(lfs));
        assert_eq!(of("bare"), Ok(Published::default()));
        assert!(of("bad").unwrap_err().contains("`../x`"));
        let listing: Listing = serde_json::from_str(r#"{"sha": "../x", "siblings": []}"#).unwrap();
        assert!(listing.commit().unwrap_err().contains("`../x`"));
    }
}
