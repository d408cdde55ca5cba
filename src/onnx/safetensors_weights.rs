//! The weights of a safetensors checkpoint: `model.safetensors`, or its shards with
//! `model.safetensors.index.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Error;
use super::checkpoint::Weights;
use super::decoder::{DecoderConfig, OUTPUT};
use super::decoder_checkpoint::read_text;
use super::tensor_file::TensorFile;
use crate::fetch::FileHashes;

const FORMAT: &str = "safetensors";
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Whether a folder holds a checkpoint of this kind.
pub(super) fn is_checkpoint(folder: &Path) -> bool {
    folder.join(SINGLE).is_file() || folder.join(INDEX).is_file()
}

/// All tensors of a checkpoint's files.
pub(super) struct SafetensorsWeights {
    folder: PathBuf,
    files: Vec<TensorFile>,
    /// Shape, and which of the files.
    tensors: BTreeMap<String, (Vec<usize>, usize)>,
    /// How many weights are kept in which type.
    kinds: BTreeMap<String, u64>,
    /// Whether norms hold the difference from 1.
    norms_from_one: bool,
}

impl SafetensorsWeights {
    /// Opens the files of a folder with a model as `config` describes it, and adds their hashes to
    /// `read`. Where the output is the embedding, a copy of it is passed over.
    ///
    /// # Errors
    /// [`Error::Corrupt`] or [`Error::Io`] naming the file.
    pub(super) fn open(
        folder: &Path,
        config: &DecoderConfig,
        read: &mut FileHashes,
    ) -> Result<Self, Error> {
        let mut this = Self {
            folder: folder.to_owned(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
            kinds: BTreeMap::new(),
            norms_from_one: config.architecture.norms_from_one,
        };
        for name in shards(folder, read)? {
            let path = folder.join(name);
            let (file, sha256) = TensorFile::hashed(&path)?;
            read.insert(path, sha256);
            for (name, shape) in file.shapes() {
                let is_copy = config.tied && name == OUTPUT;
                if !is_copy && !name.ends_with(".rotary_emb.inv_freq") {
                    let weights = shape.iter().product::<usize>() as u64;
                    *this.kinds.entry(file.kind(&name)?.to_owned()).or_default() += weights;
                    this.tensors.insert(name, (shape, this.files.len()));
                }
            }
            this.files.push(file);
        }
        Ok(this)
    }

    /// How many weights are kept in which type, by the types' names.
    pub(super) fn kinds(&self) -> BTreeMap<String, u64> {
        self.kinds.clone()
    }
}

fn shards(folder: &Path, read: &mut FileHashes) -> Result<Vec<String>, Error> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let path = folder.join(INDEX);
    if !path.is_file() {
        return Ok(vec![SINGLE.to_owned()]);
    }
    let text = read_text(&path, read)?;
    let index: Index = serde_json::from_str(&text)
        .map_err(|error| Error::corrupt(&path, "safetensors index", error.to_string()))?;
    let mut files: Vec<String> = index.weight_map.into_values().collect();
    files.sort();
    files.dedup();
    if let Some(file) = files.iter().find(|file| file.contains(['/', '\\'])) {
        let problem = format!("the shard `{file}` is not in the same folder");
        return Err(Error::corrupt(&path, "safetensors index", problem));
    }
    Ok(files)
}

impl Weights for SafetensorsWeights {
    fn path(&self) -> &Path {
        &self.folder
    }

    fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|(shape, _)| shape.clone())
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, Error> {
        let Some((_, file)) = self.tensors.get(name) else {
            return Err(Error::corrupt(&self.folder.join(SINGLE), FORMAT, format!("no `{name}`")));
        };
        let mut values = self.files[*file].read(name)?;
        if self.norms_from_one && name.ends_with("norm.weight") {
            values.iter_mut().for_each(|value| *value += 1.0);
        }
        Ok(values)
    }
}
