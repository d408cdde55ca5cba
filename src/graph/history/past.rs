//! A graph as an earlier run left it.

use std::collections::{HashMap, HashSet};
use std::env;

use oxigraph::model::{GraphName, GraphNameRef, NamedNode, NamedOrBlankNode, Quad, Triple};
use oxigraph::store::{StorageError, Store};

use super::super::description::{self, Counts};
use super::super::error::Error;
use super::super::ledger::{self, Signature};
use super::super::vocabulary as kgb;
use super::block::{Author, Blocks};
use super::record::Batch;
use super::{Part, RunEntry, base_iri, entries};
use crate::files::Scratch;

/// Begins the name of the folder that it is made in.
const SCRATCH: &str = "kgbuild-past-";

/// A graph as an earlier run left it, in a store of its own in a temporary folder, which goes with it.
pub struct PastGraph {
    store: Store,
    /// Last, so that the folder goes after the store is closed.
    _scratch: Scratch,
}

impl PastGraph {
    /// The graph of `store` as it was after one of its [`runs`](super::runs).
    ///
    /// # Errors
    /// [`Error::Folder`] and [`Error::Storage`] where the temporary folder cannot be written,
    /// [`Error::Read`] where the store cannot be read.
    pub fn after(store: &Store, run: &RunEntry) -> Result<Self, Error> {
        let temporary = env::temp_dir();
        let scratch = Scratch::new(&temporary, SCRATCH)
            .map_err(|e| Error::folder("make a temporary folder in", &temporary, e))?;
        let path = scratch.path().join("store");
        let made = |e| Error::storage("making", &path, e);
        let past = Store::open(&path).map_err(made)?;
        let all = entries(store).map_err(Error::Read)?;
        let later: Vec<&RunEntry> = all.iter().filter(|entry| entry.number > run.number).collect();
        let newest = all.last().unwrap_or(run);
        let back = Back::over(store, &later).map_err(Error::Read)?;
        let counts = write(store, newest, run, back, &past).map_err(made)?;
        let quads = match later.iter().find(|later| later.other_schema) {
            Some(later) => later
                .triples(store, Part::Schema)
                .map(|triple| Ok(triple?.in_graph(kgb::SCHEMA)))
                .collect(),
            None => graph(store, GraphNameRef::NamedNode(kgb::SCHEMA)),
        };
        let quads: Vec<Quad> = quads.map_err(Error::Read)?;
        past.extend(quads).map_err(made)?;
        let iri = NamedNode::new_unchecked(run.run.as_str());
        // Shapes are named by the run.
        past.extend(ledger::opening(&iri, &Signature::new())).map_err(made)?;
        let described =
            description::quads(&past, &counts, base_iri(&run.run), &iri).map_err(made)?;
        past.extend(described).map_err(made)?;
        Ok(Self { store: past, _scratch: scratch })
    }

    /// Its store, to read from.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// What leads from the newest graph back to an earlier one, as the history has it.
#[derive(Default)]
struct Back {
    /// What the newest graph has and the earlier had not.
    without: HashSet<Triple>,
    /// What the earlier one had.
    with: HashSet<Triple>,
}

impl Back {
    fn over(store: &Store, later: &[&RunEntry]) -> Result<Self, StorageError> {
        let mut back = Self::default();
        for run in later.iter().rev() {
            for added in run.triples(store, Part::Added) {
                let added = added?;
                if !back.with.remove(&added) {
                    back.without.insert(added);
                }
            }
            for taken in run.triples(store, Part::TakenBack) {
                let taken = taken?;
                if taken.predicate != kgb::REASON && !back.without.remove(&taken) {
                    back.with.insert(taken);
                }
            }
        }
        Ok(back)
    }
}

/// Writes the facts of an earlier graph, and what they are called, into its store, and counts them.
fn write(
    store: &Store,
    newest: &RunEntry,
    run: &RunEntry,
    back: Back,
    past: &Store,
) -> Result<Counts, StorageError> {
    let [new, own] = [newest, run].map(|of| Author(&of.run));
    let mut out = Batch { store: past, quads: Vec::new() };
    let mut counts = Counts::default();
    let mut add = |block: &[Triple]| -> Result<(), StorageError> {
        let said = own.say(block);
        counts.add(said.iter().map(Triple::as_ref));
        said.into_iter().try_for_each(|triple| out.push(triple.in_graph(GraphName::DefaultGraph)))
    };
    let mut with: HashMap<NamedOrBlankNode, Vec<Triple>> = HashMap::new();
    for triple in back.with {
        with.entry(triple.subject.clone()).or_default().push(triple);
    }
    for block in Blocks::of(store) {
        let mut block = new.forget(store, block?)?;
        let with = block.first().and_then(|first| with.remove(&first.subject));
        block.retain(|triple| !back.without.contains(triple));
        block.extend(with.into_iter().flatten());
        if !block.is_empty() {
            add(&block)?;
        }
    }
    with.values().try_for_each(|block| add(block))?;
    out.flush()?;
    Ok(counts)
}

fn graph(store: &Store, graph: GraphNameRef<'_>) -> Result<Vec<Quad>, StorageError> {
    store.quads_for_pattern(None, None, None, Some(graph)).collect()
}
