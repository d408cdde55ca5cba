//! CSV tables with named columns, compressed or not, read row by row.
//!
//! Invariant: a row that is handed over has as many fields as the header and is UTF-8; every
//! other row is reported with its place. A byte order mark is skipped.

use std::path::Path;

use csv::ByteRecord;
use oxrdf::NamedNode;

use super::mistakes::Mistakes;
use crate::diagnostic::Diagnostic;
use crate::files;

/// The columns that a table may have.
pub(crate) struct Columns {
    pub required: &'static [&'static str],
    pub optional: &'static [&'static str],
}

/// A row of a table.
pub(crate) struct Row<'r> {
    record: &'r ByteRecord,
    /// For each column of [`Columns`], required ones first, its position in the record.
    positions: &'r [Option<usize>],
    /// The byte of the file at or before which the row starts.
    pub offset: u64,
}

impl Row<'_> {
    /// The text of the required or, after those, optional column with this number, without
    /// white space around it; empty where the table lacks the column.
    pub(crate) fn get(&self, column: usize) -> &str {
        let field = self.positions[column].and_then(|position| self.record.get(position));
        field.and_then(|field| std::str::from_utf8(field).ok()).unwrap_or("").trim()
    }
}

/// Hands every sound row of the file to `on_row` and reports the others. Gives how many rows
/// there were, sound or not.
pub(crate) fn read(
    file: &Path,
    columns: &Columns,
    mistakes: &mut Mistakes,
    mut on_row: impl FnMut(&Row<'_>, &mut Mistakes),
) -> u64 {
    let opened = match files::open(file) {
        Ok(opened) => opened,
        Err(error) => {
            mistakes.about_file(cannot_read(&error.into()));
            return 0;
        }
    };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(opened);
    let header = match reader.byte_headers() {
        Ok(header) => header.clone(),
        Err(error) => {
            mistakes.about_file(cannot_read(&error));
            return 0;
        }
    };
    if let Some(problem) = unreadable(&header) {
        mistakes.about_file(problem);
        return 0;
    }
    let Some(positions) = positions(&header, columns, mistakes) else { return 0 };
    let mut record = ByteRecord::new();
    let mut count = 0;
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return count,
            Err(error) => {
                mistakes.about_file(cannot_read(&error));
                return count;
            }
        }
        count += 1;
        let offset = record.position().map_or(0, csv::Position::byte);
        if record.len() != header.len() {
            mistakes.at_row(offset, wrong_number_of_fields(&record, header.len()));
        } else if record.iter().any(|field| std::str::from_utf8(field).is_err()) {
            let diagnostic = Diagnostic::error("invalid-utf-8", "the row is not UTF-8");
            mistakes.at_row(offset, diagnostic.help("save the table with the encoding UTF-8"));
        } else {
            on_row(&Row { record: &record, positions: &positions, offset }, mistakes);
        }
    }
}

/// Whether a cell is an absolute IRI; reports it if not.
pub(crate) fn check_iri(text: &str, column: &str, offset: u64, mistakes: &mut Mistakes) -> bool {
    let diagnostic = if text.is_empty() {
        Diagnostic::error("bad-iri", format!("the column {column} is empty"))
    } else {
        let Err(error) = NamedNode::new(text) else { return true };
        Diagnostic::error("bad-iri", format!("\"{text}\" is no absolute IRI: {error}"))
    };
    let help = "write the whole IRI, as in http://www.wikidata.org/entity/Q142";
    mistakes.at_row(offset, diagnostic.help(help));
    false
}

fn cannot_read(error: &csv::Error) -> Diagnostic {
    Diagnostic::error("cannot-read", format!("the table cannot be read: {error}"))
}

/// What is wrong with a header that is none.
fn unreadable(header: &ByteRecord) -> Option<Diagnostic> {
    if header.is_empty() {
        let help = "the first line must name the columns";
        return Some(Diagnostic::error("empty-table", "the table is empty").help(help));
    }
    let is_text = |field: &[u8]| std::str::from_utf8(field).is_ok() && !field.contains(&0);
    (!header.iter().all(is_text)).then(|| {
        Diagnostic::error("invalid-utf-8", "the table is not UTF-8 text")
            .help("save the table as CSV with the encoding UTF-8")
    })
}

/// Where each column stands; nothing if a required one is missing or a name stands twice.
fn positions(
    header: &ByteRecord,
    columns: &Columns,
    mistakes: &mut Mistakes,
) -> Option<Vec<Option<usize>>> {
    let offset = header.position().map_or(0, csv::Position::byte);
    let names: Vec<_> =
        header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    let known: Vec<&str> = [columns.required, columns.optional].concat();
    let mut usable = true;
    let mut positions = Vec::with_capacity(known.len());
    for (i, column) in known.iter().enumerate() {
        let mut at = (0..names.len()).filter(|at| names[*at] == *column);
        let position = at.next();
        positions.push(position);
        if at.next().is_some() {
            usable = false;
            let message = format!("the column {column} stands twice in the header");
            mistakes.at_row(offset, Diagnostic::error("repeated-column", message));
        }
        if position.is_none() && i < columns.required.len() {
            usable = false;
            let message = format!("the column {column} is missing");
            let diagnostic = Diagnostic::error("missing-column", message);
            mistakes.at_row(offset, diagnostic.help(missing_help(column, &names, &known)));
        }
    }
    let ignored: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
    if usable && !ignored.is_empty() {
        let message = format!("columns that are not read: {}", ignored.join(", "));
        let help = format!("these are: {}", known.join(", "));
        mistakes.at_row(offset, Diagnostic::warning("ignored-column", message).help(help));
    }
    usable.then_some(positions)
}

fn missing_help(column: &str, names: &[String], known: &[&str]) -> String {
    if let [only] = names
        && only.contains([';', '\t'])
    {
        return "separate the columns by commas".to_owned();
    }
    let others = names.iter().filter(|name| !known.contains(&name.as_str()));
    let near = others
        .map(|name| (strsim::damerau_levenshtein(&name.to_lowercase(), column), name))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    match near {
        Some((_, name)) => format!("rename the column {name} to {column}"),
        None => format!("the first line must name the columns: {}", known.join(", ")),
    }
}

fn wrong_number_of_fields(record: &ByteRecord, expected: usize) -> Diagnostic {
    let message = format!("the header has {expected} fields, the row {}", record.len());
    let help = if record.iter().any(|field| field.contains(&b'\n')) {
        "a quotation mark may not be closed: the row goes over several lines"
    } else if record.len() < expected {
        "write a comma for each field, also for an empty one"
    } else {
        "put a field that holds a comma into quotation marks"
    };
    Diagnostic::error("wrong-number-of-fields", message).help(help)
}
