//! The writer of a store that was merged of shards: all its chunks are done, and it is to be finished.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use oxigraph::model::NamedNode;
use oxigraph::store::Store;

use super::super::description::Counts;
use super::super::error::{Difference, Error};
use super::super::folder::Folder;
use super::super::kept::KeptAnswers;
use super::super::ledger;
use super::{Durability, GraphState, GraphWriter};

impl GraphWriter {
    /// Of the store at a path in a folder, of which so much was counted. `differences` are those from the graph that
    /// is there.
    pub(in super::super) fn of_merged(
        folder: Folder,
        (store, store_path): (Store, PathBuf),
        run: NamedNode,
        differences: Vec<Difference>,
        counted: Option<Counts>,
    ) -> Result<Self, Error> {
        let (done, outdated) = ledger::done(&store, &store_path)?;
        let base_iri = ledger::parts(run.as_str()).map_or("", |(base, _)| base).to_owned();
        let kept = Arc::new(KeptAnswers::default());
        Ok(Self {
            state: GraphState { done, complete: false, differences, kept },
            outdated,
            store,
            store_path,
            base_iri,
            run,
            durability: Durability::default(),
            described: HashSet::new(),
            uncheckpointed: 0,
            checkpoint: Instant::now(),
            shard: None,
            counted,
            _whole: None,
            folder,
        })
    }
}
