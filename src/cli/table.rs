//! Tables on standard output.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};
use console::measure_text_width;

/// Columns of the terminal that standard output is; `None` where it is none.
pub fn terminal_width() -> Option<usize> {
    let terminal = console::Term::stdout();
    terminal.is_term().then(|| usize::from(terminal.size().1))
}

/// Blanks behind a column.
const GAP: usize = 2;

/// A table of a left-aligned first column and right-aligned others.
///
/// Where it is wider than `width`, the headers are wrapped, never the numbers.
pub fn table(header: &[&str], rows: Vec<Vec<String>>, width: Option<usize>) -> String {
    let widest = |cells: &mut dyn Iterator<Item = &str>| cells.map(measure_text_width).max();
    let contents: Vec<usize> = (0..header.len())
        .map(|c| widest(&mut rows.iter().map(|row| row[c].as_str())).unwrap_or(0))
        .collect();
    let whole: usize =
        header.iter().zip(&contents).map(|(h, &c)| c.max(measure_text_width(h)) + GAP).sum();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec()).add_rows(rows);
    let narrow = width.is_some_and(|width| whole > width + GAP);
    if narrow {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, GAP as u16));
        if number > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if narrow {
            let word = widest(&mut header[number].split(' ')).unwrap_or(0);
            let width = contents[number].max(word) + GAP;
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width as u16)));
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
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
            table(&header, rows.clone(), None),
            "relation        candidates left  P@1 mixed\n\
             capital                     159      0.733\n\
             place of death                7          -"
        );
        assert_eq!(
            table(&header, rows, Some(36)),
            "relation        candidates    P@1\n                      left  mixed\n\
             capital                159  0.733\n\
             place of death           7      -"
        );
    }
}
