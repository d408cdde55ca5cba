//! Bars side by side: a group a category, a bar a series.
//!
//! They lie, so that long names of categories can be read and any number of them has room.

use maud::{Markup, html};

use super::axis::{Axis, Scale, Span};
use super::frame::{WIDTH, line, svg};
use super::mark::{Legend, class, fitted, mark, text_width};
use super::number::coordinate;
use crate::metrics::bootstrap::Interval;

/// A bar for each category.
#[derive(Clone, Debug, PartialEq)]
pub struct BarSeries<'a> {
    /// What the legend calls it.
    pub name: &'a str,
    /// The values in the order of the categories, `None` where there is none. Low and high are
    /// drawn where they differ from the mean.
    pub values: Vec<Option<Interval>>,
}

const BAR: f64 = 12.0;
const GROUP_GAP: f64 = 9.0;
/// Room for the value behind its bar.
const VALUE: f64 = 40.0;

/// Draws the bars from zero on, with their values beside them. The axis is linear whatever its
/// scale: a bar on a logarithmic one has no length.
pub fn bars(
    title: &str,
    description: &str,
    axis: &Axis<'_>,
    categories: &[&str],
    series: &[BarSeries<'_>],
) -> Markup {
    let names: Vec<&str> = series.iter().map(|series| series.name).collect();
    let legend = Legend::new(&names, WIDTH - 12.0);
    let shown = series.iter().flat_map(|series| series.values.iter().flatten());
    let values = shown.flat_map(|value| [value.mean, value.low, value.high]);
    let are_counts = are_counts(axis, values.clone());
    let span = Span::new(Scale::Linear, values.chain(axis.include.iter().copied()).chain([0.0]), 4);

    let widest = categories.iter().map(|name| text_width(name, 12.0)).fold(0.0, f64::max);
    let left = widest.min(0.42 * WIDTH) + 10.0;
    let right = WIDTH - VALUE;
    let group = series.len() as f64 * BAR + GROUP_GAP;
    let top = legend.height + 8.0;
    let bottom = top + categories.len() as f64 * group + 2.0;
    let x = |value: f64| Some(left + span.share(value)? * (right - left));
    let zero = x(0.0).unwrap_or(left);

    svg(
        title,
        description,
        bottom + 40.0,
        &html! {
            @for (value, label) in span.ticks() {
                @if let Some(x) = x(*value) {
                    (line("grid", x, top, x, bottom))
                    text class="tick" x=(coordinate(x)) y=(coordinate(bottom + 16.0))
                        text-anchor="middle" { (label) }
                }
            }
            (line("axis", zero, top, zero, bottom))
            text class="title" x=(coordinate(right)) y=(coordinate(bottom + 34.0)) text-anchor="end" {
                (fitted(axis.label, 12.0, right))
            }
            (legend.draw(6.0, 2.0))
            @for (row, category) in categories.iter().enumerate() {
                @let start = top + row as f64 * group + GROUP_GAP / 2.0;
                @let middle = start + series.len() as f64 * BAR / 2.0;
                text x=(coordinate(left - 6.0)) y=(coordinate(middle + 4.0)) text-anchor="end" {
                    (fitted(category, 12.0, left - 10.0)) title { (category) }
                }
                @for (number, series) in series.iter().enumerate() {
                    @if let Some(value) = series.values.get(row).copied().flatten()
                        && let Some(end) = x(value.mean)
                    {
                        @let y = start + number as f64 * BAR;
                        g class=(class(number)) {
                            (bar(number, value, [zero, end], [x(value.low), x(value.high)], y))
                            title { (category) ": " (series.name) " " (text(value, are_counts)) }
                        }
                        text class="value" x=(coordinate(WIDTH - 2.0)) y=(coordinate(y + 9.5))
                            text-anchor="end" { (number_text(value.mean, are_counts)) }
                    }
                }
            }
        },
    )
}

/// A bar with its mark and, where it has one, its interval.
fn bar(
    series: usize,
    value: Interval,
    [zero, end]: [f64; 2],
    whiskers: [Option<f64>; 2],
    y: f64,
) -> Markup {
    let middle = y + BAR / 2.0;
    html! {
        rect class="bar" x=(coordinate(zero.min(end))) y=(coordinate(y + 1.5))
            width=(coordinate((end - zero).abs())) height=(coordinate(BAR - 3.0)) {}
        @if let [Some(low), Some(high)] = whiskers && value.low < value.high {
            (line("whisker", low, middle, high, middle))
            (line("whisker", low, middle - 3.0, low, middle + 3.0))
            (line("whisker", high, middle - 3.0, high, middle + 3.0))
        }
        (mark(series, end, middle, 6.0))
    }
}

fn text(value: Interval, is_count: bool) -> String {
    let number = |value| number_text(value, is_count);
    let Interval { mean, low, high } = value;
    if low < high {
        format!("{} ({} to {})", number(mean), number(low), number(high))
    } else {
        number(mean)
    }
}

/// Whether these are all whole numbers, on an axis that is not one of shares.
fn are_counts(axis: &Axis<'_>, mut values: impl Iterator<Item = f64>) -> bool {
    !axis.include.contains(&1.0) && values.all(|value| value.fract() == 0.0)
}

/// A share with three decimals, a count as it is, a mean of counts with one.
fn number_text(value: f64, is_count: bool) -> String {
    match value.abs() {
        _ if is_count => format!("{value:.0}"),
        size if size < 10.0 => format!("{value:.3}"),
        _ => format!("{value:.1}"),
    }
}
