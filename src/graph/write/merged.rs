//! The writer of a store that was merged of shards: all its chunks are done, and it is to be finished.

use std::path::PathBuf;
use std::sync::Arc;

use oxigraph::model::NamedNode;
use oxigraph::store::Store;

use super::super::description::Counts;
use super::super::error::{Difference, Error};
use super::super::folder::Folder;
use super::super::judgements;
use super::super::kept::KeptAnswers;
use super::super::ledger;
use super::{GraphState, GraphWriter};

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
        judgements::inherit(&folder, (&store, &store_path))?;
        let (done, outdated) = ledger::done(&store, &store_path)?;
        let base_iri = ledger::parts(run.as_str()).map_or("", |(base, _)| base).to_owned();
        let kept = Arc::new(KeptAnswers::default());
        let state = GraphState { done, complete: false, differences, kept };
        let of = Self::of(folder, (store, store_path), (run, &base_iri), (state, outdated));
        Ok(Self { counted, ..of })
    }
}
