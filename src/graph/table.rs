//! SPARQL solutions as a table that fits a terminal.
//!
//! The rows are written in blocks, so that a long result needs little memory. A block keeps the
//! widths of the columns of the one before, or widens them where its rows need it and room is.

use super::prefixes::Prefixes;
use super::query::QueryError;
use crate::diagnostic::printable_line;
use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, Width, presets,
};
use oxigraph::model::vocab::{rdfs, xsd};
use oxigraph::model::{LiteralRef, NamedNodeRef, TermRef};
use oxigraph::sparql::{QuerySolution, QuerySolutionIter};
use std::io::Write;

const BLOCK_ROWS: usize = 1000;
/// A column is not made narrower than this, even where the table then does not fit.
const LEAST_COLUMN: usize = 6;
/// Columns that a cell takes besides its content.
const PADDING: usize = 2;
const MOST_WIDTH: usize = u16::MAX as usize;

/// Writes solutions as a table, and how many there were.
pub(super) fn write(
    solutions: QuerySolutionIter<'_>,
    prefixes: &Prefixes,
    width: Option<usize>,
    out: &mut impl Write,
) -> Result<(), QueryError> {
    let header: Vec<String> = solutions.variables().iter().map(|v| v.as_str().to_owned()).collect();
    let mut layout: Option<Layout> = None;
    let mut block: Vec<QuerySolution> = Vec::new();
    let mut count: u64 = 0;
    for solution in solutions {
        block.push(solution?);
        count += 1;
        if block.len() == BLOCK_ROWS {
            write_block(&header, &mut block, prefixes, width, &mut layout, out)?;
        }
    }
    if !block.is_empty() || layout.is_none() {
        write_block(&header, &mut block, prefixes, width, &mut layout, out)?;
    }
    let noun = if count == 1 { "row" } else { "rows" };
    writeln!(out, "{count} {noun}")?;
    Ok(())
}

/// What a block takes over from the one before.
struct Layout {
    /// Of each column, padding included.
    widths: Vec<u16>,
    /// Whether a column holds numbers, which stand at the right.
    numeric: Vec<bool>,
}

fn write_block(
    header: &[String],
    block: &mut Vec<QuerySolution>,
    prefixes: &Prefixes,
    width: Option<usize>,
    layout: &mut Option<Layout>,
    out: &mut impl Write,
) -> Result<(), QueryError> {
    let mut table = Table::new();
    let style = presets::NOTHING.header_separator(LineStyle::none().fill('─'));
    table.load_style(style).set_content_arrangement(ContentArrangement::Disabled);
    if layout.is_none() {
        table.set_header(header);
    }
    let numeric = |column: usize| {
        let mut terms = block.iter().filter_map(|s| s.values().get(column)?.as_ref()).peekable();
        terms.peek().is_some() && terms.all(|t| is_number(t.as_ref()))
    };
    let numeric = match layout {
        Some(layout) => layout.numeric.clone(),
        None => (0..header.len()).map(numeric).collect(),
    };
    for solution in block.drain(..) {
        let cells = solution.values().iter().zip(&numeric).map(|(term, numeric)| {
            let text = term.as_ref().map(|t| shown(t.as_ref(), prefixes)).unwrap_or_default();
            // A label or an IRI must not steer the terminal, nor leave its row.
            let text = printable_line(&text);
            let alignment = if *numeric { CellAlignment::Right } else { CellAlignment::Left };
            Cell::new(text).set_alignment(alignment)
        });
        table.add_row(cells.collect::<Vec<_>>());
    }
    let contents = table.column_max_content_widths();
    let contents = contents.iter().map(|w| usize::from(*w) + PADDING);
    let widths = match layout {
        Some(layout) => {
            contents.zip(&layout.widths).map(|(w, old)| w.max(usize::from(*old))).collect()
        }
        None => contents.collect(),
    };
    let layout =
        layout.insert(Layout { widths: fit(widths, width.unwrap_or(MOST_WIDTH)), numeric });
    table.set_constraints(
        layout.widths.iter().map(|w| ColumnConstraint::Absolute(Width::Fixed(*w))),
    );
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Makes the widest columns narrower, all down to one width, until the table fits.
fn fit(mut widths: Vec<usize>, available: usize) -> Vec<u16> {
    let mut narrowed: Vec<usize> = widths.clone();
    narrowed.sort_unstable();
    let mut room = available;
    let mut limit = MOST_WIDTH;
    for (i, width) in narrowed.iter().enumerate() {
        let share = room / (narrowed.len() - i);
        if *width > share {
            limit = share.max(LEAST_COLUMN);
            break;
        }
        room -= width;
    }
    for width in &mut widths {
        *width = (*width).min(limit);
    }
    widths.into_iter().map(|w| u16::try_from(w).unwrap_or(u16::MAX)).collect()
}

/// A term for people: shortened IRIs, texts without quotes, numbers as they are.
fn shown(term: TermRef<'_>, prefixes: &Prefixes) -> String {
    match term {
        TermRef::NamedNode(iri) => prefixes.shorten(iri.as_str()),
        TermRef::BlankNode(node) => node.to_string(),
        TermRef::Literal(literal) => shown_literal(literal, prefixes),
        TermRef::Triple(triple) => format!(
            "<<( {} {} {} )>>",
            shown(triple.subject.as_ref().into(), prefixes),
            shown(triple.predicate.as_ref().into(), prefixes),
            shown(triple.object.as_ref(), prefixes),
        ),
    }
}

fn shown_literal(literal: LiteralRef<'_>, prefixes: &Prefixes) -> String {
    let value = literal.value();
    if let Some(language) = literal.language() {
        return format!("{value}@{language}");
    }
    let datatype = literal.datatype();
    let speaks_for_itself = datatype == rdfs::LITERAL
        || is_numeric(datatype)
        || [xsd::STRING, xsd::BOOLEAN, xsd::DATE, xsd::DATE_TIME].contains(&datatype);
    if speaks_for_itself {
        return value.to_owned();
    }
    format!("{value}^^{}", prefixes.shorten(datatype.as_str()))
}

fn is_number(term: TermRef<'_>) -> bool {
    matches!(term, TermRef::Literal(literal) if is_numeric(literal.datatype()))
}

fn is_numeric(datatype: NamedNodeRef<'_>) -> bool {
    [xsd::INTEGER, xsd::DECIMAL, xsd::DOUBLE, xsd::FLOAT].contains(&datatype)
}
