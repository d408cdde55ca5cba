//! The end of a run: the graph described, what it changed recorded, and in its place.

use oxigraph::model::{GraphNameRef, Literal, NamedNodeRef, Quad, Triple};
use oxigraph::store::StorageError;

use super::super::description::Counts;
use super::super::error::Error;
use super::super::folder;
use super::super::history::{self, OldGraph, Recorded, Scan, WhyGone};
use super::super::vocabulary as kgb;
use super::super::{description, ledger, shards};
use super::statements::statement;
use super::{GraphWriter, now};

impl GraphWriter {
    /// Keeps why this run changes the graph that is there, in words, for its history. What was kept first
    /// stays, so that a run that was killed has the reason that it began for.
    ///
    /// # Errors
    /// [`Error::DiskFull`] and [`Error::Storage`] where the store fails.
    pub fn because(&mut self, reason: &str) -> Result<(), Error> {
        let kept = self.said(kgb::REASON, kgb::LEDGER.into()).map_err(|e| self.write_error(e))?;
        if kept.is_some() {
            return Ok(());
        }
        let reason = Literal::from(reason);
        let quad = Quad::new(self.run.clone(), kgb::REASON, reason, kgb::LEDGER);
        self.store.insert(&quad).map_err(|e| self.write_error(e))
    }

    /// Describes the graph, records the end of the run and what it changed, puts the store into its smallest
    /// form, forces all to the disk, in the place of an older graph, and gives the folder free. A complete run
    /// is settled by its judgements, and else stays as it is. `why` says why facts of the older graph are gone.
    ///
    /// # Errors
    /// [`Error::DiskFull`] and [`Error::Storage`] where the store fails.
    pub fn finish(mut self, why: Option<&WhyGone<'_>>) -> Result<(), Error> {
        self.settle_judgements()?;
        if self.state.complete {
            return self.hand_over();
        }
        if self.shard.is_some() {
            self.forget_outdated().map_err(|e| self.write_error(e))?;
            let done = ledger::completion(&self.run);
            self.store.insert(&done).map_err(|e| self.write_error(e))?;
            self.checkpoint()?;
            return self.hand_over();
        }
        let place = self.folder.store_path();
        let read = |error| Error::storage("reading", &place, error);
        let was = match place == self.store_path {
            true => None,
            false => Some(folder::open_for_reading(&place)?),
        };
        let run = was.as_ref().map(ledger::completed_run).transpose().map_err(read)?.flatten();
        let old = match was.as_ref().zip(run) {
            None => None,
            Some((store, run)) => {
                let scan = Scan::of((store, &place), &run, true, &mut |_| ())?;
                Some(OldGraph { store, run, scan })
            }
        };
        // What was loaded at once has few files, and nothing in them that is gone.
        let is_loaded = self.counted.is_some();
        let scan = self.conclude(old.is_some())?;
        let own = (&self.store, &*self.store_path);
        let mut quads = history::record(Recorded { own, run: &self.run, scan, old, why })?;
        drop(was);
        // Of a complete run nothing is tidied up any more.
        self.forget_outdated().map_err(|e| self.write_error(e))?;
        quads.push(ledger::completion(&self.run));
        self.store.extend(quads).map_err(|e| self.write_error(e))?;
        self.checkpoint()?;
        if !is_loaded {
            self.store.optimize().map_err(|e| self.write_error(e))?;
        }
        // RocksDB keeps used logs, to write into them again, until it is opened the next time.
        let Self { store, store_path, state, folder, .. } = self;
        drop((store, state));
        drop(folder.open(&store_path)?);
        folder.succeed(&store_path)
    }

    /// Puts a complete store in its place, and writes what a shard hands over.
    fn hand_over(self) -> Result<(), Error> {
        let Self { store, store_path, state, folder, shard, .. } = self;
        drop((store, state));
        folder.succeed(&store_path)?;
        let Some(shard) = shard else { return Ok(()) };
        let place = folder.store_path();
        shards::hand_over(folder.path(), (&folder.open(&place)?, &place), &shard)
    }

    /// Writes when the run ended unless it did before it was killed, since a history that was begun has that
    /// time, and the description. Gives what it read for that.
    fn conclude(&mut self, prints: bool) -> Result<Scan, Error> {
        let failed = |error| self.write_error(error);
        let ended = self.said(kgb::ENDED_AT_TIME, GraphNameRef::DefaultGraph).map_err(failed)?;
        if ended.is_none() {
            let end = statement(&self.run, kgb::ENDED_AT_TIME, now());
            self.store.insert(&end).map_err(failed)?;
        }
        let (scan, counts) = match self.counted.take().filter(|_| !prints) {
            Some(counts) => (Scan::of_facts(counts.facts()), counts),
            None => {
                let mut counts = Counts::default();
                let own = (&self.store, &*self.store_path);
                let scan = Scan::of(own, &self.run, prints, &mut |block| {
                    counts.add(block.iter().map(Triple::as_ref));
                })?;
                (scan, counts)
            }
        };
        let failed = |error| self.write_error(error);
        let quads = description::quads(&self.store, &counts, &self.base_iri, &self.run);
        quads.and_then(|quads| self.store.extend(quads)).map_err(failed)?;
        Ok(scan)
    }

    /// What a graph says of the run.
    fn said(
        &self,
        predicate: NamedNodeRef<'_>,
        graph: GraphNameRef<'_>,
    ) -> Result<Option<String>, StorageError> {
        history::text(&self.store, self.run.as_ref().into(), predicate, graph)
    }
}
