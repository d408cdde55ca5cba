//! The page, its tables and figures.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::diagnostic::printable;

/// Of a page but for its charts, and of charts, which carry it where they stand alone.
const PAGE_STYLE: &str = include_str!("page.css");
const CHART_STYLE: &str = include_str!("chart.css");

/// A whole page: `lead` says what it is about, `body` is its sections.
pub fn page(title: &str, lead: &str, body: &Markup) -> Markup {
    let style = html! { style { (PreEscaped(CHART_STYLE)) (PreEscaped(PAGE_STYLE)) } };
    framed(title, &style, &html! { h1 { (title) } p { (lead) } }, body)
}

/// The same as one of several pages of a server, which has the styles ([`style`]) and scripts in files: `links` is
/// what else its head has, `ahead` stands before its title.
pub fn linked_page(
    title: &str,
    lead: &str,
    links: &Markup,
    ahead: &Markup,
    body: &Markup,
) -> Markup {
    let heading = html! { (ahead) h1 { (title) } @if !lead.is_empty() { p { (lead) } } };
    framed(title, links, &heading, body)
}

/// The styles of pages and charts, as a file.
pub fn style() -> String {
    format!("{CHART_STYLE}{PAGE_STYLE}")
}

fn framed(title: &str, head: &Markup, heading: &Markup, body: &Markup) -> Markup {
    shown(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "kgbuild " (env!("CARGO_PKG_VERSION")) };
                title { (title) }
                (head)
            }
            body {
                header { (heading) }
                main { (body) }
            }
        }
    })
}

/// Markup in which no text turns or hides the text around it; tags have nothing that could.
fn shown(markup: Markup) -> Markup {
    PreEscaped(printable(&markup.into_string()).into_owned())
}

/// A chart as a file of its own, an SVG image.
pub fn image(chart: &Markup) -> String {
    let chart = shown(chart.clone()).into_string();
    // Attributes have no loose `>`.
    let (opening, content) = chart.split_once('>').unwrap_or((&chart, ""));
    let style = html! { style { (PreEscaped(CHART_STYLE)) } };
    format!("{opening}>{}{content}\n", style.into_string())
}

/// A chart with its caption and, folded up below it, its numbers.
pub fn figure(caption: &str, chart: &Markup, numbers: Option<&Table<'_>>) -> Markup {
    html! {
        figure {
            (chart)
            figcaption { (caption) }
            @if let Some(table) = numbers {
                details { summary { "Numbers" } (table.markup()) }
            }
        }
    }
}

/// Figures side by side where there is room.
pub fn figures(figures: &[Markup]) -> Markup {
    html! { div class="figures" { @for figure in figures { (figure) } } }
}

/// A table whose first column names its rows. It scrolls within the page where it is wider.
#[derive(Clone, Debug, PartialEq)]
pub struct Table<'a> {
    /// What is in it, with the unit where all cells have one.
    pub caption: &'a str,
    /// A heading a column.
    pub header: Vec<&'a str>,
    /// As many cells a row as there are headings.
    pub rows: Vec<Vec<String>>,
    /// The last row, set apart.
    pub total: Option<Vec<String>>,
}

impl Table<'_> {
    /// The table as HTML; what is in the cells is escaped.
    pub fn markup(&self) -> Markup {
        let row = |row: &[String]| {
            html! {
                tr {
                    @for (column, cell) in row.iter().enumerate() {
                        @if column == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                    }
                }
            }
        };
        html! {
            div class="scroll" role="region" aria-label=(self.caption) tabindex="0" {
                table {
                    caption { span { (self.caption) } }
                    thead { tr { @for name in &self.header { th scope="col" { (name) } } } }
                    tbody { @for cells in &self.rows { (row(cells)) } }
                    @if let Some(total) = &self.total { tfoot { (row(total)) } }
                }
            }
        }
    }
}
