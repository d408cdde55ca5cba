//! Tables on standard output.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};
use console::measure_text_width;

use crate::diagnostic::printable_line;

/// Columns of the terminal that standard output is; `None` where it is none.
pub(super) fn terminal_width() -> Option<usize> {
    let terminal = console::Term::stdout();
    terminal.is_term().then(|| usize::from(terminal.size().1))
}

/// Blanks behind a column.
const GAP: usize = 2;

/// A table whose first column, and those with several words in a cell, are left-aligned, others right-aligned; its
/// cells are made printable.
///
/// Where it is wider than `width`, the headers are wrapped, never the numbers; where that is not
/// enough, the columns `spare` are left out, one after the other.
pub(super) fn table(
    header: &[&str],
    mut rows: Vec<Vec<String>>,
    width: Option<usize>,
    spare: &[&str],
) -> String {
    for cell in rows.iter_mut().flatten() {
        *cell = printable_line(cell).into_owned();
    }
    let mut header = header.to_vec();
    let mut spare = spare.iter();
    let narrow = width.filter(|&width| total(&header, &rows, false) > width);
    if let Some(width) = narrow {
        while total(&header, &rows, true) > width
            && let Some(column) = spare.next()
        {
            if let Some(at) = header.iter().position(|h| h == column) {
                header.remove(at);
                rows.iter_mut().for_each(|row| drop(row.remove(at)));
            }
        }
    }
    let widths = widths(&header, &rows, true);
    let has_words = |cell: &String| {
        cell.chars().filter(|c| c.is_alphabetic()).count() > 2 && cell.contains(' ')
    };
    let are_words: Vec<bool> =
        (0..header.len()).map(|at| at == 0 || rows.iter().any(|row| has_words(&row[at]))).collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header).add_rows(rows);
    if narrow.is_some() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, GAP as u16));
        if !are_words[number] {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if narrow.is_some() {
            let width = Width::Fixed((widths[number] + GAP) as u16);
            column.set_constraint(ColumnConstraint::Absolute(width));
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Columns of a whole table.
fn total(header: &[&str], rows: &[Vec<String>], wrapped: bool) -> usize {
    let widths = widths(header, rows, wrapped);
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// What each column needs, with its header whole or wrapped at blanks.
fn widths(header: &[&str], rows: &[Vec<String>], wrapped: bool) -> Vec<usize> {
    let of_header = |text: &str| match wrapped {
        true => text.split(' ').map(measure_text_width).max().unwrap_or(0),
        false => measure_text_width(text),
    };
    let of_rows = |at: usize| rows.iter().map(|row| measure_text_width(&row[at])).max();
    let both =
        header.iter().enumerate().map(|(at, text)| of_header(text).max(of_rows(at).unwrap_or(0)));
    both.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_headers_are_wrapped() {
        let rows = vec![
            vec!["capital".to_owned(), "159".to_owned(), "0.733".to_owned()],
            vec!["place of death".to_owned(), "7".to_owned(), "-".to_owned()],
        ];
        let header = ["relation", "candidates left", "P@1 mixed"];
        assert_eq!(
            table(&header, rows.clone(), None, &[]),
            "relation        candidates left  P@1 mixed\n\
             capital                     159      0.733\n\
             place of death                7          -"
        );
        assert_eq!(
            table(&header, rows.clone(), Some(36), &[]),
            "relation        candidates    P@1\n                      left  mixed\n\
             capital                159  0.733\n\
             place of death           7      -"
        );
        assert_eq!(
            table(&header, rows, Some(24), &["no such", "candidates left"]),
            "relation          P@1\n                mixed\n\
             capital         0.733\n\
             place of death      -"
        );
    }

    #[test]
    fn cells_steer_no_terminal_and_stay_in_their_row() {
        let rows = vec![vec!["a\u{1b}[2J\u{202e}\nb".to_owned(), "1".to_owned()]];
        let plain = table(&["relation", "n"], rows, None, &[]);
        assert_eq!(plain, "relation               n\na\\u{1b}[2J\\u{202e}\\nb  1");
    }
}
