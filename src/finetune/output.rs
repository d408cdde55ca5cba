//! The output folder: whose it is, what an earlier training left in it, and how a result comes into
//! it.
//!
//! Invariant: where `training.json` is, the model beside it is whole and is the one it describes.
//! Only files that a training wrote are ever deleted or replaced (`owned.rs` says which these are).
//!
//! A result is written in a scratch folder, its card first completed there, and then moved, the card
//! last. What is to go is moved the other way: first the card, into a scratch folder. So a killed
//! process leaves a card in one or the other place, by which its files are known again.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::card::{CARD, Card};
use super::checkpoint::{self, TrainingCheckpoint};
use super::owned::{self, Left, SCRATCH, survey};
use super::signature::{TrainingSignature, differences};
use crate::diagnostic::Explain;
use crate::fetch::sha256_of;
use crate::files::{self, Scratch, is_taken};

const LOCK: &str = ".lock";

/// Why an output folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The operating system refused.
    #[error(
        "cannot {doing} {}; make that possible, or name another `folder` under [output]",
        path.display()
    )]
    Io {
        /// As in `write`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another training holds the lock.
    #[error(
        "another training is writing to {}: wait until it ends, or name another output folder",
        folder.display()
    )]
    InUse {
        /// The output folder.
        folder: PathBuf,
    },
    /// A name that a training uses is that of something else.
    #[error(
        "{} is a name that `kgbuild finetune` writes to, and no training wrote what is there, or it \
         was changed since. Nothing was changed; move it away, or name another `folder` under \
         [output]",
        path.display()
    )]
    Foreign {
        /// What is in the way.
        path: PathBuf,
    },
    /// A training with other settings or data was begun or finished there.
    #[error(
        "{} holds {what} of a training that differs from this one:\n  {}\nGo on with the old \
         settings, name another output folder, or give --fresh to delete it and start anew",
        folder.display(),
        differences.join("\n  ")
    )]
    Differs {
        /// The output folder.
        folder: PathBuf,
        /// `a checkpoint` or `the model`.
        what: &'static str,
        /// What differs, a line each.
        differences: Vec<String>,
    },
    /// A card that cannot be read.
    #[error(transparent)]
    Card(#[from] super::card::CardError),
    /// A checkpoint that cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::CheckpointError),
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] crate::fetch::Error),
}

impl Explain for OutputError {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::Card(error) => Some(error),
            Self::Checkpoint(error) => Some(error),
            Self::Read(error) => Some(error),
            _ => None,
        }
    }
}

pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OutputError {
    let path = path.to_owned();
    move |source| OutputError::Io { doing, path, source }
}

/// The card of the training with this signature that is finished in `folder`; none where it is not.
/// Changes nothing.
///
/// # Errors
/// [`OutputError::Differs`], [`OutputError::Foreign`], or what is there cannot be read.
pub fn finished(folder: &Path, signature: &TrainingSignature) -> Result<Option<Card>, OutputError> {
    if let Some(card) = owned::card(folder)? {
        same(folder, "the model", &card.signature, signature)?;
        return Ok(Some(card));
    }
    survey(folder)?;
    checkpoint_of(folder, signature)?;
    Ok(None)
}

/// That [`OutputFolder::claim`] with `fresh` would find nothing that it may not delete. Changes nothing.
///
/// # Errors
/// As [`finished`], but for [`OutputError::Differs`].
pub fn replaceable(folder: &Path) -> Result<(), OutputError> {
    survey(folder).map(drop)
}

/// The checkpoint to go on from, if there is one.
fn checkpoint_of(
    folder: &Path,
    signature: &TrainingSignature,
) -> Result<Option<TrainingCheckpoint>, OutputError> {
    let found = TrainingCheckpoint::read(folder)?;
    if let Some(found) = &found {
        same(folder, "a checkpoint", &found.signature, signature)?;
    }
    Ok(found)
}

fn same(
    folder: &Path,
    what: &'static str,
    was: &TrainingSignature,
    is: &TrainingSignature,
) -> Result<(), OutputError> {
    let differences = differences(was, is);
    if differences.is_empty() {
        return Ok(());
    }
    Err(OutputError::Differs { folder: folder.to_owned(), what, differences })
}

/// An output folder that this process alone writes to, until it is dropped.
pub struct OutputFolder {
    folder: PathBuf,
    /// Holds the lock while it is open.
    _lock: File,
}

impl OutputFolder {
    /// Creates the folder where it is missing and takes its lock. With `fresh`, deletes what
    /// trainings left in it. Gives the checkpoint to go on from, if there is one.
    ///
    /// # Errors
    /// See [`OutputError`]. [`OutputError::Foreign`] and [`OutputError::Differs`] come before anything is changed.
    pub fn claim(
        folder: &Path,
        signature: &TrainingSignature,
        fresh: bool,
    ) -> Result<(Self, Option<TrainingCheckpoint>), OutputError> {
        let path = folder.join(LOCK);
        if !is_taken(&path) {
            // A refusal leaves not even a lock behind.
            survey(folder)?;
        }
        fs::create_dir_all(folder).map_err(io("create", folder))?;
        let lock = File::options().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(io("write", &path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OutputError::InUse { folder: folder.to_owned() },
            TryLockError::Error(source) => io("lock", &path)(source),
        })?;
        let output = Self { folder: folder.to_owned(), _lock: lock };
        let left = survey(folder)?;
        if fresh {
            left.checkpoint.delete()?;
            output.clear(left)?;
            return Ok((output, None));
        }
        if left.card.is_some() {
            // Another training has come to its end since this one looked.
            return Err(OutputError::InUse { folder: folder.to_owned() });
        }
        let found = checkpoint_of(folder, signature)?;
        left.checkpoint.delete_partial()?;
        output.clear(left)?;
        Ok((output, found))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Deletes the model and its card, and what killed trainings were writing.
    fn clear(&self, left: Left) -> Result<(), OutputError> {
        let mut scratch = left.scratch;
        if left.card.is_some() {
            let new = self.scratch()?;
            let path = self.folder.join(CARD);
            fs::rename(&path, new.path().join(CARD)).map_err(io("delete", &path))?;
            scratch.push(new.keep());
        }
        for path in left.model {
            fs::remove_file(&path).map_err(io("delete", &path))?;
        }
        // The cards by which the model was known go after it.
        for path in scratch {
            files::remove(&path).map_err(io("delete", &path))?;
        }
        Ok(())
    }

    fn scratch(&self) -> Result<Scratch, OutputError> {
        Scratch::new(&self.folder, SCRATCH).map_err(io("write into", &self.folder))
    }

    /// Brings a result into the folder: `save` writes the model's files into a folder that it is
    /// given. The card comes last, then the checkpoint goes. Gives the card with the list of files.
    ///
    /// # Errors
    /// What `save` gives, or [`OutputError`]; the checkpoint is then still there. [`OutputError::Foreign`] where
    /// someone has put a file in the way since [`Self::claim`].
    pub fn finish<E: From<OutputError>>(
        &self,
        card: Card,
        save: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Card, E> {
        let scratch = self.scratch()?;
        save(scratch.path())?;
        let card = self.move_in(card, &scratch)?;
        checkpoint::Left::find(&self.folder)
            .and_then(|left| left.delete())
            .map_err(OutputError::from)?;
        Ok(card)
    }

    /// Moves a model from a scratch folder into this one, then its card.
    fn move_in(&self, card: Card, scratch: &Scratch) -> Result<Card, OutputError> {
        let written = scratch.files().map_err(io("read", scratch.path()))?;
        let mut files = BTreeMap::new();
        for (name, path) in &written {
            File::open(path).and_then(|file| file.sync_all()).map_err(io("write", path))?;
            files.insert(name.clone(), sha256_of(path)?);
        }
        let card = Card { files, ..card };
        let path = scratch.path().join(CARD);
        let text = serde_json::to_vec_pretty(&card).map_err(|e| io("write", &path)(e.into()))?;
        File::create(&path)
            .and_then(|mut file| {
                file.write_all(&text)?;
                file.write_all(b"\n")?;
                file.sync_all()
            })
            .map_err(io("write", &path))?;
        let all = || written.keys().map(String::as_str).chain([CARD]);
        if let Some(path) = all().map(|name| self.folder.join(name)).find(|path| is_taken(path)) {
            return Err(OutputError::Foreign { path });
        }
        let mut moved = Vec::new();
        for name in all() {
            let path = self.folder.join(name);
            if let Err(source) = fs::rename(scratch.path().join(name), &path) {
                // Without the card nobody would know whose the others are.
                moved.iter().for_each(|path| drop(fs::remove_file(path)));
                return Err(io("write", &path)(source));
            }
            moved.push(path);
        }
        File::open(&self.folder).and_then(|f| f.sync_all()).map_err(io("write", &self.folder))?;
        Ok(card)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(rank: &str) -> TrainingSignature {
        TrainingSignature::from([("training.rank".to_owned(), rank.to_owned())])
    }

    fn card(rank: &str) -> Card {
        Card { signature: signature(rank), ..Card::default() }
    }

    fn finish(output: &OutputFolder, rank: &str) {
        let save = |folder: &Path| {
            fs::write(folder.join("adapter_config.json"), rank).unwrap();
            Ok::<(), OutputError>(())
        };
        let card = output.finish(card(rank), save).unwrap();
        assert_eq!(Card::read(output.folder()).unwrap(), card);
    }

    /// A folder with a finished model.
    fn trained(rank: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let (output, _) = OutputFolder::claim(folder.path(), &signature(rank), false).unwrap();
        finish(&output, rank);
        folder
    }

    fn claimed(folder: &Path, fresh: bool) -> Result<OutputFolder, OutputError> {
        OutputFolder::claim(folder, &signature("8"), fresh).map(|(output, _)| output)
    }

    #[test]
    fn a_result_is_known_again_and_kept_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new/out");
        assert!(finished(&folder, &signature("8")).unwrap().is_none());
        let (output, found) = OutputFolder::claim(&folder, &signature("8"), false).unwrap();
        assert!(found.is_none());
        let error = OutputFolder::claim(&folder, &signature("8"), true).map(|_| ()).unwrap_err();
        assert!(matches!(error, OutputError::InUse { .. }), "{error}");
        TrainingCheckpoint { signature: signature("8"), ..TrainingCheckpoint::default() }
            .write(&folder)
            .unwrap();
        assert!(finished(&folder, &signature("8")).unwrap().is_none());
        let error = finished(&folder, &signature("9")).unwrap_err().to_string();
        assert!(error.contains("a checkpoint") && error.contains("was 8, is 9"), "{error}");
        finish(&output, "8");
        drop(output);
        assert!(TrainingCheckpoint::read(&folder).unwrap().is_none(), "the checkpoint is gone");
        let found = finished(&folder, &signature("8")).unwrap().unwrap();
        assert_eq!(found.files.keys().collect::<Vec<_>>(), ["adapter_config.json"]);
        assert_eq!(Card { files: Default::default(), ..found }, card("8"));
        let error = finished(&folder, &signature("9")).unwrap_err().to_string();
        assert!(error.contains("the model"), "{error}");
        let (_output, _) = OutputFolder::claim(&folder, &signature("9"), true).unwrap();
        assert!(!folder.join(CARD).exists() && !folder.join("adapter_config.json").exists());
    }

    /// Asserts that the folder is refused for this path, and that the path is as it was.
    fn assert_refused(folder: &Path, path: &Path) {
        let before = fs::read(path).ok();
        for fresh in [false, true] {
            let error = claimed(folder, fresh).map(drop).unwrap_err().to_string();
            assert!(error.contains(&*path.to_string_lossy()), "{error}");
        }
        assert!(finished(folder, &signature("8")).is_err());
        assert_eq!(fs::read(path).ok(), before);
    }

    #[test]
    fn what_others_put_there_is_left_alone_and_named() {
        for name in [
            "adapter_config.json",
            "adapter_model.safetensors",
            "model.onnx",
            "model.onnx.data",
            "config.json",
            "tokenizer.json",
            "training.json",
            "checkpoint",
            "checkpoint/latest.safetensors",
            "checkpoint/run-1/data.txt",
            "checkpoint/.partial-abc",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "mine").unwrap();
            // Of a folder in the checkpoints' the folder is named.
            let named = if name.contains("data.txt") { path.parent().unwrap() } else { &path };
            assert_refused(folder.path(), named);
            assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
            assert!(!folder.path().join(LOCK).exists(), "{name}: a refusal leaves a lock");

            // The same where it is a link, also to what a training did write.
            let ours = trained("8");
            TrainingCheckpoint::default().write(ours.path()).unwrap();
            let elsewhere = ours.path().join(name);
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
            assert_refused(folder.path(), named);
            assert_eq!(fs::read_link(&path).unwrap(), elsewhere);
        }
    }

    #[test]
    fn beside_a_model_only_its_own_files_go() {
        let folder = trained("8");
        let mine = folder.path().join("tokenizer.json");
        fs::write(&mine, "mine").unwrap();
        let error = claimed(folder.path(), true).map(drop).unwrap_err();
        assert!(matches!(&error, OutputError::Foreign { path } if *path == mine), "{error}");
        fs::rename(&mine, folder.path().join("notes.txt")).unwrap();
        // A file of the model that was changed is no longer the training's.
        let ours = folder.path().join("adapter_config.json");
        fs::write(&ours, "changed").unwrap();
        let error = claimed(folder.path(), true).map(drop).unwrap_err();
        assert!(matches!(&error, OutputError::Foreign { path } if *path == ours), "{error}");
        assert!(folder.path().join(CARD).exists());
        fs::write(&ours, "8").unwrap();
        fs::create_dir_all(folder.path().join("checkpoint/mine")).unwrap();
        assert!(claimed(folder.path(), true).is_err(), "no checkpoint");
        TrainingCheckpoint::default().write(folder.path()).unwrap();
        drop(claimed(folder.path(), true).unwrap());
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [LOCK, "checkpoint", "notes.txt"]);
        assert!(folder.path().join("checkpoint/mine").is_dir());
    }

    /// A process that is killed while it moves a model in, or out, leaves some files in each place.
    #[test]
    fn a_model_that_was_being_moved_is_known_again() {
        for fresh in [false, true] {
            let folder = trained("8");
            let killed = Scratch::new(folder.path(), SCRATCH).unwrap();
            fs::rename(folder.path().join(CARD), killed.path().join(CARD)).unwrap();
            fs::write(killed.path().join("adapter_model.safetensors"), "weights").unwrap();
            assert!(finished(folder.path(), &signature("8")).unwrap().is_none());
            let output = claimed(folder.path(), fresh).unwrap();
            let names: Vec<_> =
                fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            assert_eq!(names, [LOCK]);
            finish(&output, "8");
        }
    }

    #[test]
    fn a_file_that_comes_during_the_training_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let output = claimed(folder.path(), false).unwrap();
        TrainingCheckpoint { signature: signature("8"), ..TrainingCheckpoint::default() }
            .write(folder.path())
            .unwrap();
        let mine = folder.path().join("adapter_config.json");
        fs::write(&mine, "mine").unwrap();
        let save = |folder: &Path| {
            fs::write(folder.join("adapter_config.json"), "8").unwrap();
            Ok::<(), OutputError>(())
        };
        let error = output.finish(card("8"), save).unwrap_err();
        assert!(matches!(&error, OutputError::Foreign { path } if *path == mine), "{error}");
        assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
        assert!(TrainingCheckpoint::read(folder.path()).unwrap().is_some());
        fs::remove_file(&mine).unwrap();
        finish(&output, "8");
    }

    #[test]
    fn what_a_killed_training_was_writing_is_cleared_away() {
        let folder = tempfile::tempdir().unwrap();
        let killed = Scratch::new(folder.path(), SCRATCH).unwrap();
        fs::write(killed.path().join("model.onnx"), "half").unwrap();
        fs::create_dir(folder.path().join(".result-mine")).unwrap();
        fs::write(folder.path().join(".result-mine/model.onnx"), "mine").unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let _output = claimed(folder.path(), false).unwrap();
        assert!(!killed.path().exists());
        assert!(folder.path().join(".result-mine/model.onnx").exists());
        assert!(folder.path().join("notes.txt").exists());
    }
}
