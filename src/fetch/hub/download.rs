//! A model's files into the hub's cache: each whole and as it is published, or not at all.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::super::{Cache, Error};
use super::Model;
use super::client::{Client, Content};
use super::layout::Layout;
use super::published::Published;

/// Bytes between two looks whether to stop.
const BUFFER: usize = 1 << 18;

/// Fetches the files of one commit.
pub(super) struct Download<'a> {
    pub model: &'a Model<'a>,
    pub client: &'a Client<'a>,
    pub layout: &'a Layout<'a>,
    pub cache: &'a Cache,
    pub commit: &'a str,
}

impl Download<'_> {
    /// Sees to it that the commit's folder has a file; `name` is a plain path. One that is there is
    /// held against what is published, and otherwise left alone.
    ///
    /// # Errors
    /// [`Error::Hub`], [`Error::Io`], [`Error::Interrupted`].
    pub(super) fn file(&self, name: &str, listed: Published) -> Result<(), Error> {
        let target = self.layout.snapshot(self.commit).join(name);
        if target.exists() {
            return self.as_published(&target, &listed);
        }
        let published = match listed {
            Published { hash: Some(_), .. } => listed,
            unsaid => {
                let said = self.client.published(self.commit, name)?;
                Published { size: said.size.or(unsaid.size), ..said }
            }
        };
        let hash = match &published {
            Published { hash: Some(hash), .. } => hash.text().to_owned(),
            // Of what is published without a hash, the commit and the name say what it is.
            Published { size: Some(_), .. } => {
                hex::encode(Sha256::digest(format!("{}/{name}", self.commit)))
            }
            _ => {
                let problem = format!("the hub says neither the hash nor the size of {name}");
                return Err(self.model.refused(problem));
            }
        };
        let _lock = self.layout.lock(&hash, self.cache)?;
        let blob = self.layout.blob(&hash);
        if blob.exists() {
            self.as_published(&blob, &published)?;
        } else {
            self.fetch(name, &hash, &published)?;
        }
        self.layout.link(&hash, self.commit, name)
    }

    /// Refuses a file that is there but is not what is published; it may be another program's.
    fn as_published(&self, file: &Path, published: &Published) -> Result<(), Error> {
        let Some(difference) = published.difference(file, self.cache)? else { return Ok(()) };
        Err(self.model.refused(format!(
            "{} is not the hub's file: {difference}; delete it, so that it is fetched again",
            file.display()
        )))
    }

    /// Brings a content into the place of its hash, on from where an earlier attempt ended.
    fn fetch(&self, name: &str, hash: &str, published: &Published) -> Result<(), Error> {
        let unfinished = self.layout.unfinished(hash);
        let mut file = open(&unfinished)?;
        let failed = Error::io("write", &unfinished);
        let mut length = file.metadata().map_err(Error::io("read", &unfinished))?.len();
        let resumable = published.hash.is_some() && published.size.is_some_and(|s| length <= s);
        if !resumable {
            length = 0;
        }
        if published.size != Some(length) || length == 0 {
            let content = self.client.content(self.commit, name, length)?;
            file.set_len(content.from).map_err(Error::io("write", &unfinished))?;
            file.seek(SeekFrom::Start(content.from)).map_err(Error::io("write", &unfinished))?;
            self.receive(name, content, published.size, &mut file, &unfinished)?;
        }
        file.sync_all().map_err(failed)?;
        drop(file);
        if let Some(difference) = published.difference(&unfinished, self.cache)? {
            fs::remove_file(&unfinished).map_err(Error::io("remove", &unfinished))?;
            let problem = format!("{name} did not arrive as it is published: {difference}");
            return Err(self.model.refused(problem));
        }
        self.layout.finish(hash)
    }

    /// Writes a content to the end of a file. What came before a failure is kept.
    fn receive(
        &self,
        name: &str,
        content: Content,
        size: Option<u64>,
        file: &mut File,
        path: &Path,
    ) -> Result<(), Error> {
        let Content { url, from: mut received, mut body } = content;
        let mut reader = body.as_reader();
        let mut buffer = vec![0; BUFFER];
        loop {
            self.cache.unless_stopped()?;
            let read = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => return Err(self.client.unanswered(&url, error.into())),
            };
            received += read as u64;
            if let Some(size) = size.filter(|size| received > *size) {
                let problem = format!("more than the {size} bytes of {name} arrive");
                return Err(self.model.refused(problem));
            }
            file.write_all(&buffer[..read]).map_err(Error::io("write", path))?;
        }
        match size.filter(|size| received < *size) {
            None => Ok(()),
            Some(size) => {
                let problem = format!("only {received} of the {size} bytes of {name} arrived");
                Err(self.model.refused(problem))
            }
        }
    }
}

/// Opens a file that may have a beginning, or makes it.
fn open(path: &Path) -> Result<File, Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let file = File::options().create(true).truncate(false).read(true).write(true).open(path);
    file.map_err(Error::io("write", path))
}
