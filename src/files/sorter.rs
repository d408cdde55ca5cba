//! Sorting of more than is to be held in memory.
//!
//! What is given is held up to a bound, then written, sorted, into a temporary file without a name, which goes
//! with the process. At the end the files are read side by side; so many that a process could not have them open are
//! made one before.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _};
use std::ops::Range;

/// What is held in memory of what is sorted, in bytes.
const HELD_BYTES: usize = 64 << 20;

/// As many files of one level are made one of the next. Few are open at once, and nothing is copied more
/// often than there are levels.
const MERGED_RUNS: usize = 32;

/// Takes byte strings in any order.
pub struct Sorter {
    most: usize,
    held: Held,
    runs: Vec<Run>,
}

/// Byte strings in memory.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    places: Vec<Range<usize>>,
}

/// A file of byte strings that ascend, each behind its length.
struct Run {
    file: File,
    count: u64,
    /// How often what is in it was merged.
    level: u32,
}

impl Run {
    fn write<'a>(
        all: impl Iterator<Item = io::Result<Cow<'a, [u8]>>>,
        level: u32,
    ) -> io::Result<Self> {
        let mut out = BufWriter::new(tempfile::tempfile()?);
        let mut count = 0;
        for bytes in all {
            let bytes = bytes?;
            let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            out.write_all(&length.to_le_bytes())?;
            out.write_all(&bytes)?;
            count += 1;
        }
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Self { file, count, level })
    }
}

impl Default for Sorter {
    fn default() -> Self {
        Self::holding(HELD_BYTES)
    }
}

impl Sorter {
    /// One that holds so many bytes.
    fn holding(most: usize) -> Self {
        Self { most, held: Held::default(), runs: Vec::new() }
    }

    /// Takes a byte string of less than 4 GiB.
    ///
    /// # Errors
    /// Where the temporary folder cannot be written.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let more = bytes.len() + size_of::<Range<usize>>();
        if self.held.len() + more > self.most && !self.held.places.is_empty() {
            let held = std::mem::take(&mut self.held).sorted();
            self.runs.push(Run::write(held.each().map(|bytes| Ok(Cow::Borrowed(bytes))), 0)?);
            self.merge()?;
        }
        let from = self.held.bytes.len();
        self.held.bytes.extend_from_slice(bytes);
        self.held.places.push(from..self.held.bytes.len());
        Ok(())
    }

    /// Makes one file of each [`MERGED_RUNS`] of one level.
    fn merge(&mut self) -> io::Result<()> {
        while let Some(level) = self.runs.last().map(|run| run.level)
            && let Some(from) = self.runs.len().checked_sub(MERGED_RUNS)
            && self.runs[from].level == level
        {
            let mut some = Sorted { held: Held::default(), runs: self.runs.split_off(from) };
            let all = some.each()?.map(|bytes| bytes.map(Cow::Owned));
            self.runs.push(Run::write(all, level + 1)?);
        }
        Ok(())
    }

    /// All that it took.
    pub fn sorted(self) -> Sorted {
        Sorted { held: self.held.sorted(), runs: self.runs }
    }
}

impl Held {
    /// How many bytes it takes.
    fn len(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Range<usize>>()
    }

    fn get(&self, number: usize) -> Option<&[u8]> {
        self.places.get(number).map(|place| &self.bytes[place.clone()])
    }

    /// In order, each once.
    fn sorted(mut self) -> Self {
        let bytes = &self.bytes;
        self.places.sort_unstable_by(|a, b| bytes[a.clone()].cmp(&bytes[b.clone()]));
        self.places.dedup_by(|a, b| bytes[a.clone()] == bytes[b.clone()]);
        self
    }

    fn each(&self) -> impl Iterator<Item = &[u8]> {
        self.places.iter().map(|place| &self.bytes[place.clone()])
    }
}

/// Byte strings in order, each once.
pub struct Sorted {
    held: Held,
    runs: Vec<Run>,
}

impl Sorted {
    /// All of them, from the first on.
    ///
    /// # Errors
    /// Where a temporary file cannot be read.
    pub fn each(&mut self) -> io::Result<Ascending<'_>> {
        let mut each = Ascending { sources: Vec::new(), next: BinaryHeap::new(), last: None };
        for Run { file, count, .. } in &mut self.runs {
            file.rewind()?;
            each.sources.push(Source::Run { file: BufReader::new(file), left: *count });
        }
        each.sources.push(Source::Held { held: &self.held, next: 0 });
        for source in 0..each.sources.len() {
            each.advance(source)?;
        }
        Ok(each)
    }
}

/// Byte strings in order, each once.
pub struct Ascending<'a> {
    sources: Vec<Source<'a>>,
    /// The first of each source that is not at its end.
    next: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    last: Option<Vec<u8>>,
}

enum Source<'a> {
    Held { held: &'a Held, next: usize },
    Run { file: BufReader<&'a mut File>, left: u64 },
}

impl Ascending<'_> {
    /// Takes the next of a source.
    fn advance(&mut self, source: usize) -> io::Result<()> {
        if let Some(bytes) = self.sources[source].next()? {
            self.next.push(Reverse((bytes, source)));
        }
        Ok(())
    }
}

impl Source<'_> {
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Held { held, next } => {
                *next += 1;
                Ok(held.get(*next - 1).map(<[u8]>::to_vec))
            }
            Self::Run { left: 0, .. } => Ok(None),
            Self::Run { file, left } => {
                *left -= 1;
                let mut length = [0; 4];
                file.read_exact(&mut length)?;
                let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
                file.read_exact(&mut bytes)?;
                Ok(Some(bytes))
            }
        }
    }
}

impl Iterator for Ascending<'_> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((bytes, source)) = self.next.pop()?;
            if let Err(error) = self.advance(source) {
                return Some(Err(error));
            }
            if self.last.as_ref() != Some(&bytes) {
                self.last = Some(bytes.clone());
                return Some(Ok(bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn what_is_sorted_on_the_disk_is_a_sorted_set(
            all in prop::collection::vec(prop::collection::vec(0_u8..4, 0..5), 0..200),
            most in 1_usize..600,
        ) {
            let mut sorter = Sorter::holding(most);
            all.iter().try_for_each(|bytes| sorter.push(bytes)).unwrap();
            let mut sorted = sorter.sorted();
            prop_assert!(sorted.held.len() <= most.max(5 + size_of::<Range<usize>>()));
            let expected: Vec<Vec<u8>> = BTreeSet::from_iter(all).into_iter().collect();
            for _ in 0..2 {
                let found: io::Result<Vec<Vec<u8>>> = sorted.each().unwrap().collect();
                prop_assert_eq!(&found.unwrap(), &expected);
            }
        }
    }

    #[test]
    fn few_files_are_open_at_once() {
        let mut sorter = Sorter::holding(1);
        let count = MERGED_RUNS * MERGED_RUNS + 3;
        let number = |at: usize| ((at * 7919 % count) as u32).to_be_bytes();
        for at in 0..count {
            sorter.push(&number(at)).unwrap();
            assert!(sorter.runs.len() < 3 * MERGED_RUNS);
        }
        let mut sorted = sorter.sorted();
        let found: io::Result<Vec<Vec<u8>>> = sorted.each().unwrap().collect();
        let expected: Vec<Vec<u8>> =
            (0..count as u32).map(|number| number.to_be_bytes().to_vec()).collect();
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn a_file_that_was_cut_off_is_an_error_and_no_end() {
        let mut sorter = Sorter::holding(1);
        ["a", "b"].iter().try_for_each(|text| sorter.push(text.as_bytes())).unwrap();
        let mut sorted = sorter.sorted();
        sorted.runs[0].file.set_len(2).unwrap();
        assert!(sorted.each().is_err());
    }
}
