//! Writing facts: triples with their confidence and provenance, chunk by chunk, exactly once.
//!
//! Invariant: [`GraphWriter::commit`] writes a chunk whole or not at all, and a chunk that the
//! ledger has is not written again, so that any order of interruptions ends in the same graph.

mod begin;
mod beside;
mod derive;
mod finish;
mod merged;
mod rows;
mod statements;

pub use begin::{GraphState, look, signature};
pub use derive::PredictedFact;
pub use rows::RowWriter;
pub use statements::{PROBABILITY_DECIMALS, PROBABILITY_DIGITS};

pub(super) use begin::{At, Place};
pub(super) use statements::named;

use begin::Whole;

use super::description::Counts;
use super::done::{Chunk, DoneChunks};
use super::error::Error;
use super::folder::Folder;
use super::judgements;
use super::kept;
use super::ledger;
use super::records::{ChunkRecord, Durability, RunDescription, ShardDescription};
use oxigraph::model::{Literal, NamedNode, NamedNodeRef, Quad};
use oxigraph::store::{StorageError, Store};
use oxsdatatypes::DateTime;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long what is committed may wait before it is forced to the disk, unless each chunk is. A
/// killed process loses nothing of it; a power cut may.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(30);

/// How many quads may wait for that. It bounds the memory that the store holds them in, and the
/// size of its logs, of which it keeps up to ten (some 35 MB each).
const CHECKPOINT_QUADS: usize = 100_000;

/// How many descriptions are remembered as written; past that, all are forgotten and written
/// again, which costs time and changes nothing.
const REMEMBERED_DESCRIPTIONS: usize = 1 << 20;

/// The one writer of an output folder.
pub struct GraphWriter {
    store: Store,
    store_path: PathBuf,
    base_iri: String,
    run: NamedNode,
    durability: Durability,
    state: GraphState,
    /// Fingerprints of the descriptions that this process has committed.
    described: HashSet<[u8; 16]>,
    /// What the ledger said of relations before their last chunks.
    outdated: Vec<Quad>,
    uncheckpointed: usize,
    checkpoint: Instant,
    /// Which part of the questions it has.
    shard: Option<ShardDescription>,
    /// What was counted of a graph that is not read again for it.
    counted: Option<Counts>,
    _whole: Option<Whole>,
    /// Last, so that the lock goes after the store is closed.
    folder: Folder,
}

impl GraphWriter {
    /// Opens the store of `folder`, or makes folder and store where they are missing. The IRIs of
    /// the run and of annotations begin with `base_iri`.
    ///
    /// Where there is a store of another signature, a new one is made beside it, which takes its place
    /// when it is finished; what models answered for the old one is kept ([`GraphState::kept`]). With `fresh`,
    /// a graph that kgbuild made there before is deleted first, with its answers; other files in the
    /// folder are left alone.
    ///
    /// # Errors
    /// Besides what the disk refuses: [`Error::InUse`], [`Error::Foreign`]. None of them changes what is
    /// there.
    pub fn open(
        folder: &Path,
        base_iri: &str,
        run: &RunDescription,
        fresh: bool,
    ) -> Result<Self, Error> {
        let signature = begin::signature(base_iri, &run.signature);
        let (iri, hash) = begin::run_iri(base_iri, &signature)?;
        let mut opening = begin::opening(&iri, &hash, &signature, run)?;
        let folder = Folder::claim(folder)?;
        let mut made = Place::find(&folder, &begin::expected(base_iri, run), fresh)?;
        if fresh {
            folder.clear_successors()?;
        }
        let (store_path, is_there) = match made.at {
            At::There(path) => (path, true),
            At::Instead(path) => (path, false),
            At::Beside => (folder.next_successor()?, false),
        };
        if fresh && folder.signature(&store_path)?.is_some() {
            // What people said is nothing that could be asked again.
            opening.extend(judgements::inherited(&store_path)?);
        }
        let store = match is_there {
            true => folder.open(&store_path)?,
            false => folder.create(&store_path, opening)?,
        };
        judgements::inherit(&folder, (&store, &store_path))?;
        let whole = match fresh || ledger::is_complete(&store, &store_path)? {
            true => None,
            false => Whole::of(run)?,
        };
        made.others.extend(whole.iter().map(|whole| whole.store.clone()));
        let (state, outdated) =
            GraphState::of(made.others, made.differences, (&store, &store_path))?;
        let of = Self::of(folder, (store, store_path), (iri, base_iri), (state, outdated));
        Ok(Self { shard: run.shard.clone(), _whole: whole, ..of })
    }

    /// Of a store in a folder, for a run whose IRIs begin so, with what the ledger says and said before.
    fn of(
        folder: Folder,
        (store, store_path): (Store, PathBuf),
        (run, base_iri): (NamedNode, &str),
        (state, outdated): (GraphState, Vec<Quad>),
    ) -> Self {
        Self {
            state,
            outdated,
            store,
            store_path,
            base_iri: base_iri.to_owned(),
            run,
            durability: Durability::default(),
            described: HashSet::new(),
            uncheckpointed: 0,
            checkpoint: Instant::now(),
            shard: None,
            counted: None,
            _whole: None,
            folder,
        }
    }

    /// What is there of the run, and of others.
    pub fn state(&self) -> &GraphState {
        &self.state
    }

    /// Leaves the folder as it was before a graph was begun in which nothing is done; a graph that was there
    /// stays.
    ///
    /// # Errors
    /// Where what was begun cannot be deleted.
    pub fn abandon(self) -> Result<(), Error> {
        let Self { store, store_path, state, folder, .. } = self;
        let is_new = state.done.is_empty() && !state.differences.is_empty();
        drop((store, state));
        if is_new { folder.abandon(&store_path) } else { Ok(()) }
    }

    /// The same writer with another durability; [`Durability::Periodic`] is what it has.
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// The chunks that are in the graph, and what was counted of them.
    pub fn done(&self) -> &DoneChunks {
        &self.state.done
    }

    /// Whether [`Self::finish`] was reached, now or in an earlier process.
    pub fn is_complete(&self) -> bool {
        self.state.complete
    }

    /// The IRI of the run, the same for all processes that work on it.
    pub fn run(&self) -> NamedNodeRef<'_> {
        self.run.as_ref()
    }

    /// The store, to read from.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Makes the graph, as far as it is written, what predictions and judgements come to; gives whether there are
    /// judgements.
    ///
    /// # Errors
    /// [`Error::Read`] where the store fails.
    pub fn settle_judgements(&mut self) -> Result<bool, Error> {
        let is_judged = judgements::settle_all(&self.store)?;
        if is_judged {
            // What was counted before is no longer so.
            self.counted = None;
        }
        Ok(is_judged)
    }

    /// Writes a chunk, and that it is done, in one transaction. A chunk that is done is left as it is.
    ///
    /// # Errors
    /// [`Error::Iri`] and [`Error::Probability`] for what must not be written (nothing of the
    /// chunk is), [`Error::DiskFull`] and [`Error::Storage`] where the store fails.
    pub fn commit(&mut self, record: &ChunkRecord<'_>) -> Result<(), Error> {
        if self.state.done.contains(&record.chunk) {
            return Ok(());
        }
        let mut quads = Vec::with_capacity(8 * record.assertions.len() + 16);
        for assertion in &record.assertions {
            statements::assert(&self.run, assertion, &mut quads)?;
        }
        let mut described = HashSet::new();
        for entity in &record.entities {
            let names =
                [entity.iri, entity.label].into_iter().chain(entity.aliases.iter().copied());
            // No type is empty: names end where types begin.
            let print = fingerprint(names.chain([""]).chain(entity.types.iter().copied()));
            if !self.described.contains(&print) && described.insert(print) {
                statements::describe(entity, &mut quads)?;
            }
        }
        let relation = named("relation", &record.chunk.relation)?;
        let iri = self.chunk_iri(&record.chunk);
        quads.extend(kept::quads(&iri, &record.kept));
        quads.extend(ledger::candidates(&iri, &relation, &record.candidates));
        let was = self.state.done.of(&record.chunk.relation);
        let is = was.cloned().unwrap_or_default();
        let is = is.with(record.chunk.index, record.statistics.clone());
        quads.push(ledger::progress(&relation, &is));
        let count = quads.len();
        self.store.extend(quads).map_err(|e| self.write_error(e))?;
        self.outdated.extend(was.map(|was| ledger::progress(&relation, was)));
        self.state.done.set(Arc::clone(&record.chunk.relation), is);
        if self.described.len() + described.len() > REMEMBERED_DESCRIPTIONS {
            self.described.clear();
        }
        self.described.extend(described);
        self.written(count)
    }

    /// Counts so many quads as committed, and forces them to the disk where that is due.
    fn written(&mut self, count: usize) -> Result<(), Error> {
        self.uncheckpointed += count;
        let is_due = self.durability == Durability::Chunk
            || self.uncheckpointed >= CHECKPOINT_QUADS
            || self.checkpoint.elapsed() >= CHECKPOINT_EVERY;
        if is_due { self.checkpoint() } else { Ok(()) }
    }

    /// Forces all that is committed to the disk. [`Self::commit`] does so by itself as its
    /// [`Durability`] says.
    ///
    /// # Errors
    /// [`Error::DiskFull`] and [`Error::Storage`] where the store fails.
    pub fn checkpoint(&mut self) -> Result<(), Error> {
        self.forget_outdated()
            .and_then(|()| self.store.flush())
            .map_err(|e| self.write_error(e))?;
        self.uncheckpointed = 0;
        self.checkpoint = Instant::now();
        Ok(())
    }

    /// Removes what the ledger said before. Where a process is killed in between, more is left than was, which
    /// says nothing else.
    fn forget_outdated(&mut self) -> Result<(), StorageError> {
        let mut transaction = self.store.start_transaction()?;
        self.outdated.drain(..).for_each(|quad| transaction.remove(&quad));
        transaction.commit()
    }

    fn chunk_iri(&self, chunk: &Chunk) -> NamedNode {
        let index = chunk.index.to_string();
        // Each shard numbers its own chunks.
        let shard = self.shard.as_ref().map(ShardDescription::name);
        let parts = [self.run.as_str(), &chunk.relation, &index];
        let hash = identifier(parts.into_iter().chain(shard.as_deref()));
        NamedNode::new_unchecked(format!("{}chunk:{hash}", self.base_iri))
    }

    fn write_error(&self, source: StorageError) -> Error {
        Error::storage("writing to", &self.store_path, source)
    }
}

fn now() -> Literal {
    DateTime::now().into()
}

/// [`fingerprint`] in hexadecimal.
pub(super) fn identifier<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    hex::encode(fingerprint(parts))
}

/// The first 128 bits of the SHA-256 of texts; their lengths keep them apart.
pub(super) fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a str>) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut print = [0; 16];
    print.copy_from_slice(&hasher.finalize()[..16]);
    print
}

#[cfg(test)]
mod tests;
