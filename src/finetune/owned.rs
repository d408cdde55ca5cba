//! Which files of an output folder are a training's, by what they say of themselves.
//!
//! A model is known by a card that lists its files with their hashes: the finished model's own, or
//! the one in the scratch folder of a training that was killed while it moved its model in or out. A
//! checkpoint is known by its head. What has a name that a training uses and is none of these is
//! someone else's, and is refused.

use std::path::{Path, PathBuf};

use super::card::{CARD, Card};
use super::checkpoint;
use super::output::{OutputError, io};
use crate::fetch::sha256_of;
use crate::files::{self, is_plain_file, is_taken};

/// Begins the name of the scratch folder that a result is written in, or cleared away from.
pub(super) const SCRATCH: &str = ".result-";

/// All files that a training writes beside its card.
const MODEL: [&str; 6] = [
    "adapter_config.json",
    "adapter_model.safetensors",
    "model.onnx",
    "model.onnx.data",
    "config.json",
    "tokenizer.json",
];

/// What trainings left in a folder.
pub(super) struct Left {
    /// The card of a finished training.
    pub card: Option<Card>,
    /// The scratch folders of killed ones.
    pub scratch: Vec<PathBuf>,
    /// The model's files: of the finished training, or of a killed one that was moving them.
    pub model: Vec<PathBuf>,
    /// The checkpoint.
    pub checkpoint: checkpoint::Left,
}

/// Looks for what trainings left. Changes nothing.
///
/// # Errors
/// [`OutputError::Foreign`] where a name that a training uses is someone else's, or what is there cannot
/// be read.
pub(super) fn survey(folder: &Path) -> Result<Left, OutputError> {
    let card = card(folder)?;
    let scratch = files::left(folder, SCRATCH).map_err(io("read", folder))?;
    // A scratch folder without a whole card has no file of its own here yet.
    let moving = scratch.iter().filter_map(|scratch| Card::read(scratch).ok());
    let cards: Vec<Card> = card.iter().cloned().chain(moving).collect();
    let mut model = Vec::new();
    for name in MODEL {
        let path = folder.join(name);
        if !is_taken(&path) {
            continue;
        }
        if !is_one_of(&cards, name, &path)? {
            return Err(OutputError::Foreign { path });
        }
        model.push(path);
    }
    Ok(Left { card, scratch, model, checkpoint: checkpoint::Left::find(folder)? })
}

/// The card of the finished training in a folder.
///
/// # Errors
/// [`OutputError::Foreign`] where its name is a link or a folder, or where it cannot be read.
pub(super) fn card(folder: &Path) -> Result<Option<Card>, OutputError> {
    let path = folder.join(CARD);
    if !is_taken(&path) {
        return Ok(None);
    }
    if !is_plain_file(&path) {
        return Err(OutputError::Foreign { path });
    }
    Ok(Some(Card::read(folder)?))
}

/// Whether one of the cards says of a file that it is as a training wrote it.
fn is_one_of(cards: &[Card], name: &str, path: &Path) -> Result<bool, OutputError> {
    let listed: Vec<&String> = cards.iter().filter_map(|card| card.files.get(name)).collect();
    if listed.is_empty() || !is_plain_file(path) {
        return Ok(false);
    }
    let found = sha256_of(path)?;
    Ok(listed.into_iter().any(|sha256| *sha256 == found))
}
