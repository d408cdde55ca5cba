//! One store of all shards.

use std::io::BufReader;
use std::path::Path;
use std::sync::atomic::Ordering;

use oxigraph::io::{RdfFormat, RdfParseError, RdfParser};
use oxigraph::model::vocab::xsd;
use oxigraph::model::{GraphName, GraphNameRef, Literal, NamedNode, Quad, TermRef, TripleRef};
use oxigraph::store::{StorageError, Store};
use serde_json::Value;

use super::super::description::Counts;
use super::super::done::RelationDone;
use super::super::error::Error;
use super::super::folder::Folder;
use super::super::ledger::{self, SHARDS, Signature};
use super::super::vocabulary as kgb;
use super::super::write::{At, GraphWriter, Place};
use super::lines::Lines;
use super::{MergeError, Shards};

/// How many bytes of what the ledger keeps enter the store at once.
const LEDGER_BYTES: usize = 8 << 20;

/// After how many quads it is told how many bytes were read.
const TOLD_EVERY: usize = 1 << 14;

/// Adds up what was counted of the chunks of a relation.
pub type AddStatistics<'a> = dyn Fn(Vec<Value>) -> Value + 'a;

/// How shards are merged.
pub struct Merge<'a> {
    /// Whether those that are done are taken where others are missing.
    pub partial: bool,
    /// Whether the merged graph is then finished; not where more is to be added to it.
    pub finish: bool,
    /// How counts are added up.
    pub add: &'a AddStatistics<'a>,
}

/// What a merge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The graph of these shards was there, complete.
    Before,
    /// It is now.
    Now,
}

/// Makes one store of shards in an output folder, in the place of the graph that is there, if any. What of the
/// shards' files is read is told to `advance`, in bytes.
///
/// # Errors
/// [`MergeError`] where shards are missing or damaged, and what the disk refuses. Nothing is changed then.
pub fn merge(
    out: &Path,
    shards: &Shards,
    how: &Merge<'_>,
    advance: &mut dyn FnMut(u64),
) -> Result<Merged, Error> {
    if !how.partial {
        shards.demand_whole()?;
    }
    let Some(first) = shards.found.first() else {
        return Err(MergeError::None { folder: out.to_owned() }.into());
    };
    let run = NamedNode::new_unchecked(first.handed.run.clone());
    let whole = &first.handed.signature;
    let part = (!shards.is_whole()).then(|| (SHARDS.to_owned(), shards.name()));
    let expected: Signature = whole.clone().into_iter().chain(part.clone()).collect();

    let folder = Folder::claim(out)?;
    let is_same = folder.signature(&folder.store_path())?.is_some_and(|own| own == *whole);
    if is_same && part.is_some() {
        // All questions, where only some are to be merged.
        let store = folder.open(&folder.store_path())?;
        return match ledger::is_complete(&store, &folder.store_path())? {
            true => Ok(Merged::Before),
            false => Err(MergeError::Begun { folder: out.to_owned() }.into()),
        };
    }
    let place = Place::find(&folder, &expected, false)?;
    let (path, is_there) = match place.at {
        At::There(path) => (path, true),
        At::Instead(path) => (path, false),
        At::Beside => (folder.next_successor()?, false),
    };
    let there = if is_there { Some(folder.open(&path)?) } else { None };
    let (store, counts) = match there {
        Some(store) if ledger::is_complete(&store, &path)? => return Ok(Merged::Before),
        // Loaded by a process that was killed before it was finished.
        Some(store) if is_loaded(&store, &path, shards)? => (store, None),
        there => {
            drop(there);
            let mut counts = Counts::default();
            let store = folder.make(&path, |store, path| {
                counts = load((store, path), shards, advance)?;
                let more = beside(&run, shards, how.add, part.map(|(_, shards)| shards));
                store.extend(more).map_err(|e| Error::storage("making", path, e))
            })?;
            (store, Some(counts))
        }
    };
    let is_changed = !place.differences.is_empty();
    let mut writer = GraphWriter::of_merged(folder, (store, path), run, place.differences, counts)?;
    if is_changed {
        writer.because(&format!("shards {} were merged", shards.name()))?;
    }
    if how.finish {
        writer.finish(None)?;
    }
    Ok(Merged::Now)
}

/// Whether all chunks of the job are in a store.
fn is_loaded(store: &Store, path: &Path, shards: &Shards) -> Result<bool, Error> {
    let (done, _) = ledger::done(store, path)?;
    let counts = |(relation, &chunks): (&String, &u64)| {
        chunks == done.of(relation).map_or(0, |own| own.len() as u64)
    };
    Ok(shards.is_whole() && shards.found[0].handed.shard.chunks.iter().all(counts))
}

/// Loads the quads of all shards into an empty store, and counts them.
fn load(
    (store, path): (&Store, &Path),
    shards: &Shards,
    advance: &mut dyn FnMut(u64),
) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let mut lines = Lines::of(&shards.found)?;
    let (bytes, mut told, mut read) = (lines.bytes(), 0, 0_usize);
    let mut kept = Kept { store, quads: Vec::new(), bytes: 0 };
    let mut loader = store.bulk_loader();
    let parser = RdfParser::from_format(RdfFormat::NQuads).lenient();
    let quads = parser.for_reader(BufReader::new(&mut lines));
    let loaded = loader.load_ok_quads(quads.filter_map(|quad| match quad {
        Ok(quad) if quad.graph_name.as_ref() == GraphNameRef::NamedNode(kgb::LEDGER) => {
            kept.push(quad).err().map(Err)
        }
        Ok(quad) => {
            read += 1;
            if read.is_multiple_of(TOLD_EVERY) {
                let all = bytes.load(Ordering::Relaxed);
                advance(all - told);
                told = all;
            }
            if quad.graph_name.is_default_graph() {
                counts.add([TripleRef::from(quad.as_ref())]);
            }
            Some(Ok(quad))
        }
        Err(error) => Some(Err(Broken::Parsing(error))),
    }));
    let loaded = loaded.and_then(|()| kept.write());
    let loaded = loaded.and_then(|()| loader.commit().map_err(Broken::Storing));
    match (lines.failure(), loaded) {
        (Some(error), _) => Err(error.into()),
        (None, Err(Broken::Storing(error))) => Err(Error::storage("making", path, error)),
        (None, Err(Broken::Parsing(error))) => {
            // Its hash is not known yet at the line that is none.
            let path = shards.found[0].folder.clone();
            Err(MergeError::Damaged { path, why: error.to_string() }.into())
        }
        (None, Ok(())) => Ok(counts),
    }
}

/// Why loading broke off.
enum Broken {
    Parsing(RdfParseError),
    Storing(StorageError),
}

impl From<RdfParseError> for Broken {
    fn from(error: RdfParseError) -> Self {
        Self::Parsing(error)
    }
}

impl From<StorageError> for Broken {
    fn from(error: StorageError) -> Self {
        Self::Storing(error)
    }
}

/// What the ledger keeps of chunks: few quads, and long ones. The bulk loader would hold a million of them.
struct Kept<'a> {
    store: &'a Store,
    quads: Vec<Quad>,
    bytes: usize,
}

impl Kept<'_> {
    fn push(&mut self, quad: Quad) -> Result<(), Broken> {
        self.bytes += match quad.object.as_ref() {
            TermRef::Literal(literal) => literal.value().len(),
            _ => 0,
        };
        self.quads.push(quad);
        if self.bytes >= LEDGER_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Broken> {
        self.bytes = 0;
        self.store.extend(self.quads.drain(..)).map_err(Broken::Storing)
    }
}

/// What a merged store holds beside the shards' quads: when the first of them began, and which chunks are done, all
/// of them, or which shards it has.
fn beside(
    run: &NamedNode,
    shards: &Shards,
    add: &AddStatistics<'_>,
    part: Option<String>,
) -> Vec<Quad> {
    let started = shards.found.iter().map(|shard| shard.handed.started()).min();
    let started = started.map(|time| {
        let time = Literal::new_typed_literal(time, xsd::DATE_TIME);
        Quad::new(run.clone(), kgb::STARTED_AT_TIME, time, GraphName::DefaultGraph)
    });
    let of_relation = |(relation, &chunks): (&String, &u64)| {
        let all = shards.found.iter().filter_map(|shard| shard.handed.statistics(relation));
        let done = RelationDone::first(chunks, add(all.collect()))?;
        Some(ledger::progress(&NamedNode::new_unchecked(relation), &done))
    };
    let rest: Vec<Quad> = match part {
        None => shards.found[0].handed.shard.chunks.iter().filter_map(of_relation).collect(),
        Some(part) => {
            vec![Quad::new(run.clone(), kgb::SHARDS, Literal::from(part), kgb::LEDGER)]
        }
    };
    started.into_iter().chain(rest).collect()
}
