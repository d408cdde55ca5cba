//! The output folder: whose it is, what an earlier training left in it, and how a result comes into
//! it.
//!
//! Invariant: where `training.json` is, the model beside it is whole and is the one it describes.
//! Only files that a training wrote are ever deleted.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::card::{CARD, Card};
use super::checkpoint::{self, Checkpoint};
use super::signature::{Signature, differences};

const LOCK: &str = ".lock";
/// Begins the name of a result that is being written.
const PARTIAL: &str = ".result-";
/// Of the files of a model, those by which a folder is known to hold one.
const MARKS: [&str; 2] = ["adapter_config.json", "model.onnx"];
/// All files that a training writes beside its card.
const RESULT: [&str; 6] = [
    "adapter_config.json",
    "adapter_model.safetensors",
    "model.onnx",
    "model.onnx.data",
    "config.json",
    "tokenizer.json",
];

/// Why an output folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error(
        "cannot {doing} {}; make that possible, or name another `folder` under [output]",
        path.display()
    )]
    Io {
        /// As in `write`.
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Another training holds the lock.
    #[error(
        "another training is writing to {}: wait until it ends, or name another output folder",
        folder.display()
    )]
    InUse { folder: PathBuf },
    /// There is a model that no training made.
    #[error(
        "{} holds a model that `kgbuild finetune` did not make (its {file}). Nothing was changed; \
         name another output folder, or move it away yourself",
        folder.display()
    )]
    Foreign { folder: PathBuf, file: &'static str },
    /// A training with other settings or data was begun or finished there.
    #[error(
        "{} holds {what} of a training that differs from this one:\n  {}\nGo on with the old \
         settings, name another output folder, or give --fresh to delete it and start anew",
        folder.display(),
        differences.join("\n  ")
    )]
    Differs {
        folder: PathBuf,
        /// `a checkpoint` or `the model`.
        what: &'static str,
        differences: Vec<String>,
    },
    /// A card that cannot be read.
    #[error(transparent)]
    Card(#[from] super::card::CardError),
    /// A checkpoint that cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { doing, path, source }
}

/// The card of the training with this signature that is finished in `folder`; none where it is not.
/// Changes nothing.
///
/// # Errors
/// [`Error::Differs`], [`Error::Foreign`], or what is there cannot be read.
pub fn finished(folder: &Path, signature: &Signature) -> Result<Option<Card>, Error> {
    if folder.join(CARD).exists() {
        let card = Card::read(folder)?;
        same(folder, "the model", &card.signature, signature)?;
        return Ok(Some(card));
    }
    not_foreign(folder)?;
    if let Some(found) = Checkpoint::read(folder)? {
        same(folder, "a checkpoint", &found.signature, signature)?;
    }
    Ok(None)
}

fn same(folder: &Path, what: &'static str, was: &Signature, is: &Signature) -> Result<(), Error> {
    let differences = differences(was, is);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::Differs { folder: folder.to_owned(), what, differences })
}

/// Whether a training left something in the folder.
fn is_ours(folder: &Path) -> bool {
    folder.join(CARD).exists() || folder.join(checkpoint::FOLDER).is_dir()
}

/// That a folder which is not a training's holds no model.
fn not_foreign(folder: &Path) -> Result<(), Error> {
    if is_ours(folder) {
        return Ok(());
    }
    match MARKS.into_iter().find(|name| folder.join(name).exists()) {
        Some(file) => Err(Error::Foreign { folder: folder.to_owned(), file }),
        None => Ok(()),
    }
}

/// An output folder that this process alone writes to, until it is dropped.
pub struct Output {
    folder: PathBuf,
    /// Holds the lock while it is open.
    _lock: File,
}

impl Output {
    /// Creates the folder where it is missing and takes its lock. With `fresh`, deletes what
    /// trainings left in it. Gives the checkpoint to go on from, if there is one.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn claim(
        folder: &Path,
        signature: &Signature,
        fresh: bool,
    ) -> Result<(Self, Option<Checkpoint>), Error> {
        not_foreign(folder)?;
        fs::create_dir_all(folder).map_err(io("create", folder))?;
        let path = folder.join(LOCK);
        let lock = File::options().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(io("write", &path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::InUse { folder: folder.to_owned() },
            TryLockError::Error(source) => io("lock", &path)(source),
        })?;
        let output = Self { folder: folder.to_owned(), _lock: lock };
        if fresh {
            output.clear()?;
        }
        output.clear_partial()?;
        let found = Checkpoint::read(folder)?;
        if let Some(found) = &found {
            same(folder, "a checkpoint", &found.signature, signature)?;
        }
        Ok((output, found))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Deletes what trainings left: first the card, so that what is half deleted has none.
    fn clear(&self) -> Result<(), Error> {
        if is_ours(&self.folder) {
            for name in std::iter::once(CARD).chain(RESULT) {
                let path = self.folder.join(name);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(io("delete", &path)(error));
                    }
                    _ => {}
                }
            }
        }
        Ok(Checkpoint::delete(&self.folder)?)
    }

    /// Clears away what a killed training was writing.
    fn clear_partial(&self) -> Result<(), Error> {
        checkpoint::clear_partial(&self.folder)?;
        for entry in fs::read_dir(&self.folder).map_err(io("read", &self.folder))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                let path = entry.path();
                fs::remove_dir_all(&path).map_err(io("delete", &path))?;
            }
        }
        Ok(())
    }

    /// Brings a result into the folder: `save` writes the model's files into a folder that it is
    /// given. The card comes last, then the checkpoint goes.
    ///
    /// # Errors
    /// What `save` gives, or [`Error`]; the checkpoint is then still there.
    pub fn finish<E: From<Error>>(
        &self,
        card: &Card,
        save: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        let partial = tempfile::Builder::new()
            .prefix(PARTIAL)
            .tempdir_in(&self.folder)
            .map_err(io("write into", &self.folder))?;
        save(partial.path())?;
        let text =
            serde_json::to_vec_pretty(card).map_err(|e| io("write", partial.path())(e.into()))?;
        let path = partial.path().join(CARD);
        File::create(&path)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.write_all(b"\n")))
            .map_err(io("write", &path))?;
        let entries = fs::read_dir(partial.path()).map_err(io("read", partial.path()))?;
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort_by_key(|name| name == CARD);
        for name in &names {
            let path = partial.path().join(name);
            File::open(&path).and_then(|file| file.sync_all()).map_err(io("write", &path))?;
        }
        for name in names {
            let path = self.folder.join(&name);
            fs::rename(partial.path().join(name), &path).map_err(io("write", &path))?;
        }
        File::open(&self.folder).and_then(|f| f.sync_all()).map_err(io("write", &self.folder))?;
        Checkpoint::delete(&self.folder).map_err(Error::from)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(rank: &str) -> Signature {
        Signature::from([("training.rank".to_owned(), rank.to_owned())])
    }

    fn card(rank: &str) -> Card {
        Card { signature: signature(rank), ..Card::default() }
    }

    fn finish(output: &Output, rank: &str) {
        let save = |folder: &Path| {
            fs::write(folder.join("adapter_config.json"), rank).unwrap();
            Ok::<(), Error>(())
        };
        output.finish(&card(rank), save).unwrap();
    }

    #[test]
    fn a_result_is_known_again_and_kept_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new/out");
        assert!(finished(&folder, &signature("8")).unwrap().is_none());
        let (output, found) = Output::claim(&folder, &signature("8"), false).unwrap();
        assert!(found.is_none());
        let error = Output::claim(&folder, &signature("8"), true).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::InUse { .. }), "{error}");
        Checkpoint { signature: signature("8"), ..Checkpoint::default() }.write(&folder).unwrap();
        assert!(finished(&folder, &signature("8")).unwrap().is_none());
        let error = finished(&folder, &signature("9")).unwrap_err().to_string();
        assert!(error.contains("a checkpoint") && error.contains("was 8, is 9"), "{error}");
        finish(&output, "8");
        drop(output);
        assert!(Checkpoint::read(&folder).unwrap().is_none(), "the checkpoint is gone");
        assert_eq!(finished(&folder, &signature("8")).unwrap().unwrap(), card("8"));
        let error = finished(&folder, &signature("9")).unwrap_err().to_string();
        assert!(error.contains("the model"), "{error}");
        let (_output, _) = Output::claim(&folder, &signature("9"), true).unwrap();
        assert!(!folder.join(CARD).exists() && !folder.join("adapter_config.json").exists());
    }

    #[test]
    fn a_model_from_elsewhere_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("adapter_config.json");
        fs::write(&mark, "mine").unwrap();
        for fresh in [false, true] {
            let claimed = Output::claim(folder.path(), &signature("8"), fresh);
            let error = claimed.map(|_| ()).unwrap_err();
            assert!(matches!(error, Error::Foreign { .. }), "{error}");
        }
        assert!(finished(folder.path(), &signature("8")).is_err());
        assert_eq!(fs::read_to_string(&mark).unwrap(), "mine");
    }

    #[test]
    fn what_a_killed_training_was_writing_is_cleared_away() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".result-abc")).unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let (_output, _) = Output::claim(folder.path(), &signature("8"), false).unwrap();
        assert!(!folder.path().join(".result-abc").exists());
        assert!(folder.path().join("notes.txt").exists());
    }
}
