//! The mistakes of one table, gathered while it streams by.
//!
//! Rows are known by their byte offset: the csv crate's line numbers lag behind after blank lines
//! and where lines end with CR LF. Offsets become lines once the table is read, in one more pass
//! over the file, and only where something is wrong with it.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::diagnostic::{At, Diagnostic, Diagnostics, Severity};
use crate::files;

/// How many of a kind are shown. A column that is wrong throughout would fill the screen.
pub(crate) const SHOWN: usize = 20;

/// The mistakes of one table.
pub(crate) struct Mistakes {
    file: PathBuf,
    /// With the offsets of their rows; those without are about the file as a whole.
    shown: Vec<(Option<u64>, Diagnostic)>,
    /// How many of each kind there are, shown or not.
    counts: BTreeMap<&'static str, (Severity, usize)>,
}

impl Mistakes {
    pub(crate) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), shown: Vec::new(), counts: BTreeMap::new() }
    }

    /// Adds one about the row that starts at this byte.
    pub(crate) fn at_row(&mut self, offset: u64, diagnostic: Diagnostic) {
        self.add(Some(offset), diagnostic);
    }

    /// Adds one about the file.
    pub(crate) fn about_file(&mut self, diagnostic: Diagnostic) {
        self.add(None, diagnostic);
    }

    fn add(&mut self, offset: Option<u64>, diagnostic: Diagnostic) {
        let (_, count) = self.counts.entry(diagnostic.code).or_insert((diagnostic.severity, 0));
        *count += 1;
        if *count <= SHOWN {
            self.shown.push((offset, diagnostic));
        }
    }

    /// All of them with their lines, in the order of the file, and how many more there are.
    pub(crate) fn finish(self) -> Diagnostics {
        let Self { file, mut shown, counts } = self;
        shown.sort_by_key(|(offset, _)| *offset);
        let offsets: Vec<u64> = shown.iter().filter_map(|(offset, _)| *offset).collect();
        // A file that cannot be read a second time still has its mistakes shown, without lines.
        let lines = lines_at(&file, &offsets).unwrap_or_default();
        let mut lines = lines.into_iter();
        let placed = shown.into_iter().map(|(offset, diagnostic)| {
            let at = offset.and_then(|_| lines.next()).map_or(At::File, At::Line);
            diagnostic.at(&file, at)
        });
        let mut diagnostics = Diagnostics(placed.collect());
        for (code, (severity, count)) in counts {
            if count > SHOWN {
                let more = format!("and {} more of this kind", count - SHOWN);
                let more = Diagnostic { severity, ..Diagnostic::error(code, more) };
                diagnostics.push(more.at(&file, At::File));
            }
        }
        diagnostics
    }
}

/// The lines, from 1, of the rows at or after these byte offsets, which must ascend. Blank lines
/// at an offset belong to no row and are skipped.
pub(crate) fn lines_at(file: &Path, offsets: &[u64]) -> io::Result<Vec<u64>> {
    let mut lines = Vec::with_capacity(offsets.len());
    if offsets.is_empty() {
        return Ok(lines);
    }
    let (mut line, mut after_cr) = (1, false);
    for (offset, byte) in (0..).zip(BufReader::with_capacity(1 << 16, files::open(file)?).bytes()) {
        let byte = byte?;
        match byte {
            b'\n' if after_cr => {}
            b'\n' | b'\r' => line += 1,
            _ => {
                while lines.len() < offsets.len() && offsets[lines.len()] <= offset {
                    lines.push(line);
                }
                if lines.len() == offsets.len() {
                    return Ok(lines);
                }
            }
        }
        after_cr = byte == b'\r';
    }
    lines.resize(offsets.len(), line);
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_skip_blanks_and_count_all_line_ends() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "a\r\n\r\nb\nc\rd").unwrap();
        // The offsets lie where a reader stands before each row: after the CR, at the blank line.
        assert_eq!(lines_at(file.path(), &[0, 2, 6, 8]).unwrap(), [1, 3, 4, 5]);
        assert_eq!(lines_at(file.path(), &[99]).unwrap(), [5]);
    }

    #[test]
    fn only_some_of_a_kind_are_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "x\n".repeat(50)).unwrap();
        let mut mistakes = Mistakes::new(file.path());
        for row in (0..50).rev() {
            mistakes.at_row(row * 2, Diagnostic::warning("odd", "odd"));
        }
        mistakes.about_file(Diagnostic::error("even", "even"));
        let diagnostics = mistakes.finish().0;
        assert_eq!(diagnostics.len(), SHOWN + 2);
        assert_eq!(diagnostics[0].code, "even");
        assert_eq!(diagnostics[1].place.as_ref().unwrap().at, At::Line(31));
        assert_eq!(diagnostics[SHOWN + 1].message, "and 30 more of this kind");
        assert_eq!(diagnostics[SHOWN + 1].severity, Severity::Warning);
    }
}
