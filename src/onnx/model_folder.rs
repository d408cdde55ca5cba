//! A model as files that a runtime can load, and what they say of it.

use std::path::{Path, PathBuf};

use super::conversation::{self, Conversation};
use super::decoder_checkpoint::DATA;
use super::family::Family;
use super::graph_precision::GraphPrecision;

/// Types of models that count positions from behind the padding token's number.
const FROM_BEHIND_PADDING: [&str; 9] = [
    "camembert",
    "data2vec-text",
    "esm",
    "longformer",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
];

/// A model that a runtime can load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFolder {
    /// The `.onnx` file; of an encoder-decoder model the decoder's.
    pub graph: PathBuf,
    /// The file that `graph` was made from, where that is not itself: errors name it.
    pub exported: Option<PathBuf>,
    /// The encoder's, where the model has one.
    pub encoder: Option<PathBuf>,
    /// What goes on behind the cache of `graph`, where that is another file.
    pub with_past: Option<PathBuf>,
    /// Its `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// Its `config.json`, if it has one.
    pub config: Option<PathBuf>,
    /// Of the source: the GGUF file, or the checkpoint's or ONNX folder.
    pub sha256: String,
    /// How it reads.
    pub family: Family,
    /// What it computes in.
    pub precision: GraphPrecision,
    /// Whether logits are computed only where they are asked for.
    pub cut: bool,
    /// Whether `graph` is a packed one, which kgbuild wrote: see [`super::decoder_graph`].
    pub packed: bool,
    /// What its files of settings say, the first that has a key counting.
    pub settings: serde_json::Map<String, serde_json::Value>,
}

impl ModelFolder {
    /// How errors call its graph's file, or one that lies beside it.
    pub fn named(&self, graph: &Path) -> PathBuf {
        match (&self.exported, graph.file_name()) {
            (Some(exported), Some(name)) => exported.with_file_name(name),
            _ => graph.to_owned(),
        }
    }

    /// Bytes of a packed graph with its weights.
    pub fn bytes(&self) -> u64 {
        let files = [self.graph.clone(), self.graph.with_file_name(DATA)];
        files.iter().filter_map(|file| file.metadata().ok()).map(|found| found.len()).sum()
    }

    /// A text among its settings; of a token that is described, its content.
    pub fn setting(&self, key: &str) -> Option<String> {
        conversation::text(&self.settings, key)
    }

    /// How its conversations are written, if its files say so.
    pub fn conversation(&self) -> Option<Conversation> {
        Conversation::of(&self.settings)
    }

    /// A token's number among its settings; of several, the first.
    pub fn token(&self, key: &str) -> Option<u32> {
        let value = self.settings.get(key)?;
        value.as_u64().or_else(|| value[0].as_u64())?.try_into().ok()
    }

    /// How many tokens its configuration says it takes, under any of its usual names.
    pub fn context(&self) -> Option<usize> {
        let named = |names: &[&str]| {
            self.settings
                .get("model_type")
                .and_then(|n| n.as_str())
                .is_some_and(|n| names.contains(&n))
        };
        // Their positions are relative: what they say is what they were trained with.
        if named(&["t5", "mt5", "longt5", "umt5"]) {
            return None;
        }
        let names = ["max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"];
        let context = names.iter().find_map(|key| self.settings.get(*key)?.as_u64())?;
        // RoBERTa and its kin count positions from behind the padding token's number.
        let reserved = if named(&FROM_BEHIND_PADDING) {
            self.settings.get("pad_token_id").and_then(|id| id.as_u64()).unwrap_or(1) + 1
        } else {
            0
        };
        usize::try_from(context.saturating_sub(reserved)).ok()
    }
}
