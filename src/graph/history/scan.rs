//! One reading of a whole graph, and what two graphs have of each other by such readings.
//!
//! Decoding a graph is what takes time: each is read once, from its first triple to its last, and of each
//! subject a print of what is said of it is sorted by the subject. Only where the prints differ is it looked at
//! again.

use std::path::Path;

use oxigraph::model::{NamedNode, NamedOrBlankNode, Triple};
use oxigraph::store::Store;

use super::super::error::Error;
use super::super::view::{subject_key, subject_of_key};
use super::super::write::fingerprint;
use super::block::{Author, Blocks, is_fact};
use crate::files::{Ascending, Sorted, Sorter};

/// A print, as bytes.
const PRINT: usize = 16;

/// What was read of a graph.
pub(in super::super) struct Scan {
    /// How many facts it has: triples with a confidence.
    pub facts: u64,
    /// The prints of its subjects' names without their run, and of what is said of them, then the subjects.
    blocks: Sorted,
}

impl Scan {
    /// That a graph has so many facts, where it is compared with none.
    pub(in super::super) fn of_facts(facts: u64) -> Self {
        Self { facts, blocks: Sorter::default().sorted() }
    }

    /// Reads the graph of the store at a path, which `run` made, and shows `see` what is said of each subject.
    /// What is to be compared with another graph needs `prints`.
    pub(in super::super) fn of(
        (store, path): (&Store, &Path),
        run: &NamedNode,
        prints: bool,
        see: &mut dyn FnMut(&[Triple]),
    ) -> Result<Self, Error> {
        let read = |error| Error::storage("reading", path, error);
        let author = Author(run.as_str());
        let mut facts = 0;
        let mut blocks = Sorter::default();
        for block in Blocks::of(store) {
            let block = block.map_err(read)?;
            see(&block);
            facts += u64::from(is_fact(&block));
            if prints && let Some(first) = block.first() {
                let subject = subject_key(&first.subject);
                let mut line = Vec::with_capacity(2 * PRINT + subject.len());
                let forgotten = author.forget(store, block).map_err(read)?;
                let name = forgotten.first().map(|first| subject_key(&first.subject));
                line.extend(fingerprint(name.as_deref()));
                let said: Vec<String> = forgotten.iter().map(Triple::to_string).collect();
                line.extend(fingerprint(said.iter().map(String::as_str)));
                line.extend(subject.as_bytes());
                blocks.push(&line).map_err(Error::Sorting)?;
            }
        }
        Ok(Self { facts, blocks: blocks.sorted() })
    }
}

/// A subject of either graph, or of both, of which they do not say the same: its names there.
pub(super) type Differing = [Option<NamedOrBlankNode>; 2];

/// Gives `take` what differs between two graphs.
pub(super) fn compare(
    mut old: Scan,
    mut new: Scan,
    take: &mut dyn FnMut(Differing) -> Result<(), Error>,
) -> Result<(), Error> {
    let (mut old, mut new) = (Lines::of(&mut old)?, Lines::of(&mut new)?);
    loop {
        let is_first = |one: &Lines<'_>, other: &Lines<'_>| match (&one.next, &other.next) {
            (Some(one), Some(other)) => one[..PRINT] <= other[..PRINT],
            (one, _) => one.is_some(),
        };
        let (from_old, from_new) = (is_first(&old, &new), is_first(&new, &old));
        if !from_old && !from_new {
            return Ok(());
        }
        let was = if from_old { old.take()? } else { None };
        let is = if from_new { new.take()? } else { None };
        if was.as_deref().map(prints) != is.as_deref().map(prints) {
            take([was, is].map(|line| line.map(|line| subject_of_key(&line[2 * PRINT..]))))?;
        }
    }
}

/// What a line begins with.
fn prints(line: &[u8]) -> &[u8] {
    &line[..2 * PRINT]
}

/// The lines of a scan.
struct Lines<'a> {
    lines: Ascending<'a>,
    next: Option<Vec<u8>>,
}

impl<'a> Lines<'a> {
    fn of(scan: &'a mut Scan) -> Result<Self, Error> {
        let mut lines = scan.blocks.each().map_err(Error::Sorting)?;
        let next = lines.next().transpose().map_err(Error::Sorting)?;
        Ok(Self { lines, next })
    }

    fn take(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let next = self.lines.next().transpose().map_err(Error::Sorting)?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}
