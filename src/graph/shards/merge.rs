//! One store of all shards.

use std::path::Path;

use oxigraph::io::{RdfFormat, RdfParser, RdfSyntaxError};
use oxigraph::model::vocab::xsd;
use oxigraph::model::{GraphName, GraphNameRef, Literal, NamedNode, Quad, TermRef, TripleRef};
use oxigraph::store::{StorageError, Store};
use serde_json::Value;

use super::super::description::Counts;
use super::super::done::RelationDone;
use super::super::error::Error;
use super::super::folder::Folder;
use super::super::judgements;
use super::super::ledger::{self, SHARDS, Signature};
use super::super::vocabulary as kgb;
use super::super::write::{At, GraphWriter, Place};
use super::lines::Lines;
use super::{FoundShard, MergeError, Shards};
use crate::files::Sorted;

/// How many bytes of what the ledger keeps enter the store at once.
const LEDGER_BYTES: usize = 8 << 20;

/// How many threads sort what is loaded at most.
const LOADER_THREADS: usize = 4;

/// Adds up what was counted of the chunks of a relation.
pub type AddStatistics<'a> = dyn Fn(Vec<Value>) -> Value + 'a;

/// Is told how many bytes of the shards' files were read, and says whether to go on.
pub type Advance<'a> = dyn FnMut(u64) -> bool + 'a;

/// How shards are merged.
pub struct Merge<'a> {
    /// Whether a graph that kgbuild made there before is deleted first.
    pub fresh: bool,
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

/// Makes one store of shards in an output folder, in the place of the graph that is there, if any. `rows` are those
/// that [`Shards::read_rows`] gave.
///
/// # Errors
/// [`MergeError`] where shards are missing or damaged, or something would be lost, and what the disk refuses.
/// Nothing is changed then.
pub fn merge(
    out: &Path,
    (shards, rows): (&Shards, Option<Sorted>),
    how: &Merge<'_>,
    advance: &mut Advance<'_>,
) -> Result<Merged, Error> {
    shards.demand(how.partial)?;
    let Some(first) = shards.found.first() else {
        return Err(MergeError::None { folder: out.to_owned() }.into());
    };
    let run = NamedNode::new_unchecked(first.handed.run.clone());
    let part = (!shards.is_whole()).then(|| shards.name());
    let expected = shards.signature();

    let folder = Folder::claim(out)?;
    if !how.fresh {
        refuse(&folder, &first.handed.signature, part.is_some())?;
    }
    let place = Place::find(&folder, &expected, how.fresh)?;
    if how.fresh {
        folder.clear_successors()?;
    }
    let (path, is_there) = match place.at {
        At::There(path) => (path, true),
        At::Instead(path) => (path, false),
        At::Beside => (folder.next_successor()?, false),
    };
    let there = if is_there { Some(folder.open(&path)?) } else { None };
    let (store, counts) = match there {
        Some(store) if ledger::is_complete(&store, &path)? => {
            drop(store);
            // A process may have been killed before it was put in its place.
            folder.succeed(&path)?;
            return Ok(Merged::Before);
        }
        // Loaded by a process that was killed before it was finished.
        Some(store) if is_loaded(&store, &path, shards)? => (store, None),
        there => {
            drop(there);
            // What people said of what is replaced is not in the shards.
            let judged = match folder.signature(&path)? {
                Some(_) => judgements::inherited(&path)?,
                None => Vec::new(),
            };
            let mut counts = Counts::default();
            let store = folder.make(&path, |store, path| {
                counts = load((store, path), (shards, rows), advance)?;
                let more = beside(&run, shards, how.add, part).into_iter().chain(judged);
                store.extend(more).map_err(|e| Error::storage("making", path, e))
            })?;
            (store, Some(counts))
        }
    };
    let is_changed = !place.differences.is_empty();
    let mut writer = GraphWriter::of_merged(folder, (store, path), run, place.differences, counts)?;
    if is_changed {
        let what = if shards.rows.is_empty() { "shards " } else { "" };
        writer.because(&format!("{what}{} were merged", shards.name()))?;
    }
    if how.finish {
        writer.finish(None)?;
    }
    Ok(Merged::Now)
}

/// That nothing is lost in a folder by a merge of shards of this signature, or of some of them.
fn refuse(folder: &Folder, whole: &Signature, is_part: bool) -> Result<(), Error> {
    let (path, out) = (folder.store_path(), folder.path().to_owned());
    let was = folder.signature(&path)?;
    let is_begun = folder.successors()?.iter().any(|(_, own)| own == whole);
    if is_part && is_begun {
        return Err(MergeError::Begun { folder: out }.into());
    }
    let Some(was) = was else { return Ok(()) };
    if is_part && was == *whole {
        let is_complete = ledger::is_complete(&folder.open(&path)?, &path)?;
        return Err(match is_complete {
            true => MergeError::WholeIsThere { folder: out },
            false => MergeError::Begun { folder: out },
        }
        .into());
    }
    if is_part && !was.contains_key(SHARDS) {
        return Err(MergeError::OlderWhole { folder: out }.into());
    }
    let differences = ledger::differences(&was, whole);
    let differs = |part: &&str| differences.iter().any(|difference| difference.part == **part);
    match ["ontology", "subjects", "candidates"].iter().all(differs) {
        true => Err(MergeError::AnotherGraph { folder: out, differences }.into()),
        false => Ok(()),
    }
}

/// Whether all chunks of the job are in a store.
fn is_loaded(store: &Store, path: &Path, shards: &Shards) -> Result<bool, Error> {
    let (done, _) = ledger::done(store, path)?;
    // A crawl adds more.
    let counts = |(relation, &chunks): (&String, &u64)| {
        chunks <= done.of(relation).map_or(0, |own| own.len() as u64)
    };
    Ok(shards.is_whole() && shards.found[0].handed.shard.chunks.iter().all(counts))
}

/// Loads the quads of all shards into an empty store, and counts them.
fn load(
    (store, path): (&Store, &Path),
    (shards, rows): (&Shards, Option<Sorted>),
    advance: &mut Advance<'_>,
) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let rows = rows.map(|rows| (shards.rows.place(), rows));
    let mut lines = Lines::of(&shards.found, rows)?;
    let mut kept = Kept { store, quads: Vec::new(), bytes: 0 };
    let mut loader = store.bulk_loader().with_num_threads(loader_threads());
    let (mut block, mut told) = (Vec::new(), 0);
    // A text at once: a reader's lexer takes no literal of 16 MiB, and answers may be that long.
    let mut next = || -> Result<Option<Vec<Quad>>, Broken> {
        if !lines.next(&mut block)? {
            return Ok(None);
        }
        let bytes = lines.bytes();
        let goes_on = advance(bytes - told);
        told = bytes;
        if !goes_on {
            return Err(MergeError::Stopped.into());
        }
        let parser = RdfParser::from_format(RdfFormat::NQuads).lenient();
        let mut loaded = Vec::new();
        for quad in parser.for_slice(&block) {
            // Why a line is none is told by the hash of its file, which is known at its end.
            let quad = match quad {
                Ok(quad) => quad,
                Err(error) => return Err(not_parsed(&mut lines, shards, &error).into()),
            };
            if quad.graph_name.as_ref() == GraphNameRef::NamedNode(kgb::LEDGER) {
                kept.push(quad)?;
                continue;
            }
            if quad.graph_name.is_default_graph() {
                counts.add([TripleRef::from(quad.as_ref())]);
            }
            loaded.push(quad);
        }
        Ok(Some(loaded))
    };
    let mut some = Vec::new().into_iter();
    let quads = std::iter::from_fn(|| {
        loop {
            if let Some(quad) = some.next() {
                return Some(Ok(quad));
            }
            match next() {
                Ok(Some(quads)) => some = quads.into_iter(),
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    });
    let loaded = loader.load_ok_quads::<Broken, Broken>(quads);
    let loaded = loaded.and_then(|()| kept.write()).and_then(|()| Ok(loader.commit()?));
    match loaded {
        Err(Broken::Storing(error)) => Err(Error::storage("making", path, error)),
        Err(Broken::Reading(error)) => Err(error.into()),
        Ok(()) => Ok(counts),
    }
}

/// Each holds a million quads at most.
fn loader_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(LOADER_THREADS)
}

/// Which file has a line that is none: that whose hash is another.
fn not_parsed(lines: &mut Lines, shards: &Shards, error: &RdfSyntaxError) -> MergeError {
    let mut rest = Vec::new();
    loop {
        match lines.next(&mut rest) {
            Ok(true) => {}
            Err(error) => return error,
            Ok(false) => break,
        }
    }
    if !shards.rows.is_empty() {
        let path = shards.rows.place().to_owned();
        return MergeError::Rows { path, why: error.to_string() };
    }
    let FoundShard { folder, handed } = &shards.found[0];
    MergeError::Damaged { path: handed.quads(folder), why: error.to_string() }
}

/// Why loading broke off.
enum Broken {
    Reading(MergeError),
    Storing(StorageError),
}

impl From<MergeError> for Broken {
    fn from(error: MergeError) -> Self {
        Self::Reading(error)
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
        let counts = shards.statistics(relation).collect();
        let done = RelationDone::first(chunks, add(counts))?;
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
