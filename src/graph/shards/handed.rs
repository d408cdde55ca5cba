//! What a shard hands over.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use oxigraph::model::{GraphNameRef, Quad};
use oxigraph::store::Store;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::super::error::Error;
use super::super::ledger::{self, Signature};
use super::super::records::ShardDescription;
use super::super::vocabulary as kgb;
use super::MergeError;
use crate::files::{Scratch, Sorter, is_plain_file, is_taken, write_whole};

/// The name of the file that says what a shard is.
pub const SHARD_FILE: &str = "shard.json";

/// Begins the name of the file of its quads, which goes on with their hash.
const QUADS: &str = "shard-";
/// Ends it.
const SUFFIX: &str = ".nq.gz";
/// Begins the name of the folder in which they are written.
const SCRATCH: &str = ".shard-";

/// How it is written; others are not read.
const LAYOUT: u32 = 2;

/// A shard that is done: what its `shard.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HandedShard {
    layout: u32,
    /// Which part of the job's questions it has.
    pub shard: ShardDescription,
    /// The IRI of the run, that of all shards.
    pub run: String,
    /// All that the graph depends on.
    pub signature: BTreeMap<String, String>,
    /// Where its models were asked: on what device, by which version of ONNX Runtime.
    pub asked_on: Vec<String>,
    /// Hashes of the mean predictions that it went by.
    pub means_sha256: Vec<String>,
    /// When it was begun.
    started: String,
    /// By relation, which of its own chunks are done, and what was counted of them.
    progress: BTreeMap<String, serde_json::Value>,
    quads: QuadsFile,
}

/// The quads of a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuadsFile {
    sha256: String,
    bytes: u64,
}

impl QuadsFile {
    fn name(&self) -> String {
        format!("{QUADS}{}{SUFFIX}", &self.sha256[..16])
    }
}

impl HandedShard {
    /// What a folder has of it; none where nothing was handed over there.
    ///
    /// # Errors
    /// [`MergeError::Unreadable`] where a file of that name is none of ours.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, MergeError> {
        let path = folder.join(SHARD_FILE);
        if !is_taken(&path) {
            return Ok(None);
        }
        let unreadable = |why: String| MergeError::Unreadable { path: path.clone(), why };
        if !is_plain_file(&path) {
            return Err(unreadable("it is not a file".to_owned()));
        }
        let text = fs::read(&path).map_err(|e| unreadable(e.to_string()))?;
        let layout = |value: &serde_json::Value| value.get("layout").and_then(|l| l.as_u64());
        let value: serde_json::Value =
            serde_json::from_slice(&text).map_err(|e| unreadable(e.to_string()))?;
        if let Some(other) = layout(&value).filter(|&layout| layout != u64::from(LAYOUT)) {
            let why = format!("its layout is {other}, and this version of kgbuild reads {LAYOUT}");
            return Err(unreadable(why));
        }
        let read: Self = serde_json::from_value(value).map_err(|e| unreadable(e.to_string()))?;
        let is_hash = |text: &str| {
            text.len() == 64 && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
        };
        match is_hash(&read.quads.sha256) {
            true => Ok(Some(read)),
            false => Err(unreadable("it names no file of quads".to_owned())),
        }
    }

    /// The file of its quads.
    pub(super) fn quads(&self, folder: &Path) -> PathBuf {
        folder.join(self.quads.name())
    }

    /// The hash that this has to have.
    pub(super) fn sha256(&self) -> &str {
        &self.quads.sha256
    }

    /// How many bytes this has.
    pub(super) fn bytes(&self) -> u64 {
        self.quads.bytes
    }

    /// Says that its quads are these bytes.
    #[cfg(test)]
    pub(super) fn set_quads(&mut self, bytes: &[u8]) {
        let sha256 = hex::encode(Sha256::digest(bytes));
        self.quads = QuadsFile { sha256, bytes: bytes.len() as u64 };
    }

    /// When it was begun.
    pub(super) fn started(&self) -> &str {
        &self.started
    }

    /// What was counted of the chunks of a relation.
    pub(super) fn statistics(&self, relation: &str) -> Option<serde_json::Value> {
        self.progress.get(relation)?.get("statistics").cloned()
    }

    /// Whether it is what is to be handed over, but for the quads of that, and all of it is there.
    fn is_whole(&self, folder: &Path, of: &Self) -> bool {
        let length = fs::metadata(self.quads(folder)).map(|found| found.len());
        let quads = self.quads.clone();
        *self == Self { quads, ..of.clone() }
            && length.is_ok_and(|length| length == self.quads.bytes)
    }
}

/// Writes what the store of a shard holds, and what it is, into its output folder, whose lock the caller
/// has. Where that is there already, nothing is done.
///
/// # Errors
/// Where the store cannot be read or the folder not be written, and where another file has a name that it needs.
pub(in super::super) fn hand_over(
    folder: &Path,
    (store, path): (&Store, &Path),
    shard: &ShardDescription,
) -> Result<(), Error> {
    let before = HandedShard::read(folder)?;
    let read = |error| Error::storage("reading", path, error);
    let signature = ledger::signature(store, path)?.unwrap_or_default();
    let signature: Signature =
        signature.into_iter().filter(|(part, _)| part != ledger::SHARD).collect();
    let (done, _) = ledger::done(store, path)?;
    let run = ledger::completed_run(store).map_err(read)?;
    let mut handed = HandedShard {
        layout: LAYOUT,
        shard: ShardDescription { whole: PathBuf::new(), ..shard.clone() },
        run: run.map_or(String::new(), oxigraph::model::NamedNode::into_string),
        signature,
        asked_on: ledger::said(store, kgb::ASKED_ON).map_err(read)?,
        means_sha256: ledger::said(store, kgb::MEANS_SHA256).map_err(read)?,
        started: started(store).map_err(read)?,
        progress: done.each().map(|(relation, own)| (relation.into(), own.to_json())).collect(),
        quads: QuadsFile::default(),
    };
    if before.as_ref().is_some_and(|before| before.is_whole(folder, &handed)) {
        return Ok(());
    }
    let failed = |error| Error::folder("write to the output folder", folder, error);
    for left in crate::files::left(folder, SCRATCH).map_err(failed)? {
        crate::files::remove(&left).map_err(failed)?;
    }
    let scratch = Scratch::new(folder, SCRATCH).map_err(failed)?;
    let new = scratch.path().join("quads");
    handed.quads = write_quads(store, path, &new)?;
    // Its name says what is in it: what is there under it is the same, or no file of ours.
    let place = handed.quads(folder);
    if is_taken(&place) && !is_plain_file(&place) {
        return Err(Error::Foreign { path: place, why: "it is not a file" });
    }
    fs::rename(&new, &place).map_err(failed)?;
    drop(scratch);
    let text = serde_json::to_string_pretty(&handed).map_err(|e| failed(e.into()))? + "\n";
    write_whole(&folder.join(SHARD_FILE), text.as_bytes()).map_err(Error::Table)?;
    let old = before.map(|before| before.quads(folder)).filter(|old| *old != place);
    match old.map(fs::remove_file) {
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

/// When the run began, as the graph says.
fn started(store: &Store) -> Result<String, oxigraph::store::StorageError> {
    let graph = Some(GraphNameRef::DefaultGraph);
    let found = store.quads_for_pattern(None, Some(kgb::STARTED_AT_TIME), None, graph).next();
    Ok(found.transpose()?.map_or(String::new(), |quad| ledger::text(&quad.object).to_owned()))
}

/// Whether a quad is the shard's own, and not of the graph that it is merged into.
fn is_own(quad: &Quad) -> bool {
    let of_shard = [kgb::PROGRESS, kgb::COMPLETE, kgb::SHARD, kgb::REASON];
    let predicate = quad.predicate.as_ref();
    match quad.graph_name.as_ref() {
        GraphNameRef::DefaultGraph => predicate == kgb::STARTED_AT_TIME,
        GraphNameRef::NamedNode(kgb::LEDGER) => of_shard.contains(&predicate),
        graph => graph != GraphNameRef::NamedNode(kgb::SCHEMA),
    }
}

/// Writes the quads of a store, sorted, into a file.
fn write_quads(store: &Store, path: &Path, file: &Path) -> Result<QuadsFile, Error> {
    let mut lines = Sorter::default();
    for quad in store {
        let quad = quad.map_err(|error| Error::storage("reading", path, error))?;
        if !is_own(&quad) {
            lines.push(format!("{quad} .\n").as_bytes()).map_err(Error::Sorting)?;
        }
    }
    let failed = |error| Error::folder("write", file, error);
    let out = fs::File::create_new(file).map_err(failed)?;
    let out = Hashing { out: BufWriter::new(out), hasher: Sha256::new(), bytes: 0 };
    let mut out = GzEncoder::new(out, Compression::fast());
    let mut sorted = lines.sorted();
    for line in sorted.each().map_err(Error::Sorting)? {
        out.write_all(&line.map_err(Error::Sorting)?).map_err(failed)?;
    }
    let Hashing { out, hasher, bytes } = out.finish().map_err(failed)?;
    let out = out.into_inner().map_err(|error| failed(error.into_error()))?;
    out.sync_all().map_err(failed)?;
    Ok(QuadsFile { sha256: hex::encode(hasher.finalize()), bytes })
}

/// Hashes and counts what is written.
struct Hashing<W> {
    out: W,
    hasher: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
