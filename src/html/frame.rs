//! What charts with two axes share: their data, and the frame of axes, grid and legend.

use maud::{Markup, html};

use super::axis::{Axis, Span};
use super::mark::{Legend, fitted, text_width};
use super::number::coordinate;

/// The width of every drawing, in its own units.
pub(super) const WIDTH: f64 = 400.0;

/// What a chart is about, and its axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chart<'a> {
    /// What it shows, for those who do not see it.
    pub title: &'a str,
    /// What is to be seen in it, for those who do not see it; may be empty.
    pub description: &'a str,
    /// From left to right.
    pub x: Axis<'a>,
    /// From the bottom to the top.
    pub y: Axis<'a>,
}

/// A point of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Its place on the x axis.
    pub x: f64,
    /// Its place on the y axis.
    pub y: f64,
    /// From where to where `y` may be.
    pub interval: Option<(f64, f64)>,
    /// What is said when a pointer rests on it; may be empty.
    pub label: String,
    /// Whether it stands out, as what was chosen.
    pub is_marked: bool,
}

impl Point {
    /// A point with neither interval nor label.
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y, interval: None, label: String::new(), is_marked: false }
    }

    /// With what is said when a pointer rests on it.
    #[must_use]
    pub fn labelled(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// With from where to where `y` may be.
    #[must_use]
    pub fn within(self, low: f64, high: f64) -> Self {
        Self { interval: Some((low, high)), ..self }
    }

    /// As one that stands out.
    #[must_use]
    pub fn marked(self) -> Self {
        Self { is_marked: true, ..self }
    }

    /// All that it shows on the y axis.
    fn ys(&self) -> impl Iterator<Item = f64> {
        let interval = self.interval.into_iter().flat_map(|(low, high)| [low, high]);
        std::iter::once(self.y).chain(interval)
    }
}

/// Points that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<'a> {
    /// What the legend calls it.
    pub name: &'a str,
    /// In the order in which a line joins them.
    pub points: Vec<Point>,
}

/// A rectangle for data within its axes, and the mapping of values into it.
pub(super) struct Frame<'a> {
    chart: &'a Chart<'a>,
    x: Span,
    y: Span,
    legend: Legend,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    height: f64,
    /// Points that have no place.
    omitted: usize,
}

impl<'a> Frame<'a> {
    /// A frame for these series, of the given height without its legend. With `equal`, both axes
    /// span the same values.
    pub(super) fn new(
        chart: &'a Chart<'a>,
        series: &[Series<'_>],
        height: f64,
        equal: bool,
    ) -> Self {
        let points = || series.iter().flat_map(|series| &series.points);
        let xs = || points().map(|point| point.x).chain(chart.x.include.iter().copied());
        let ys = || points().flat_map(Point::ys).chain(chart.y.include.iter().copied());
        let span = |axis: &Axis<'_>, x: bool, y: bool, most| {
            let xs = xs().filter(move |_| x);
            Span::new(axis.scale, xs.chain(ys().filter(move |_| y)), most)
        };
        let names: Vec<&str> = series.iter().map(|series| series.name).collect();
        let frame = Self::of_spans(
            chart,
            span(&chart.x, true, equal, 5),
            span(&chart.y, equal, true, 5),
            &names,
            height,
        );
        let omitted = points().filter(|point| frame.place(point).is_none()).count();
        Self { omitted, ..frame }
    }

    fn of_spans(chart: &'a Chart<'a>, x: Span, y: Span, names: &[&str], height: f64) -> Self {
        let legend = Legend::new(names, WIDTH - 12.0);
        let widest = |span: &Span| {
            span.ticks().iter().map(|(_, label)| text_width(label, 12.0)).fold(0.0, f64::max)
        };
        let left = widest(&y) + 16.0;
        let last = x.ticks().last().map_or(0.0, |(_, label)| text_width(label, 12.0) / 2.0);
        let right = WIDTH - last.max(8.0) - 2.0;
        let top = legend.height + 26.0;
        let height = height + legend.height;
        Self { chart, x, y, legend, left, right, top, bottom: height - 42.0, height, omitted: 0 }
    }

    pub(super) fn x(&self, value: f64) -> Option<f64> {
        Some(self.left + self.x.share(value)? * (self.right - self.left))
    }

    pub(super) fn y(&self, value: f64) -> Option<f64> {
        Some(self.bottom - self.y.share(value)? * (self.bottom - self.top))
    }

    pub(super) fn place(&self, point: &Point) -> Option<(f64, f64)> {
        Some((self.x(point.x)?, self.y(point.y)?))
    }

    /// Where x and y are equal; the axes span the same values.
    pub(super) fn diagonal(&self) -> Markup {
        let ends = [self.x.low(), self.x.high()].map(|value| (self.x(value), self.y(value)));
        let [(Some(x1), Some(y1)), (Some(x2), Some(y2))] = ends else { return html! {} };
        line("diagonal", x1, y1, x2, y2)
    }

    /// The whole drawing: frame, then data.
    pub(super) fn draw(&self, data: &Markup) -> Markup {
        let Self { chart, left, right, top, bottom, .. } = *self;
        let described = match self.omitted {
            0 => chart.description.to_owned(),
            1 => format!("{} One point has no place on these axes.", chart.description),
            n => format!("{} {n} points have no place on these axes.", chart.description),
        };
        svg(
            chart.title,
            described.trim(),
            self.height,
            &html! {
                @for (value, label) in self.x.ticks() {
                    @if let Some(x) = self.x(*value) {
                        (line("grid", x, top, x, bottom))
                        text class="tick" x=(coordinate(x)) y=(coordinate(bottom + 16.0))
                            text-anchor="middle" { (label) }
                    }
                }
                @for (value, label) in self.y.ticks() {
                    @if let Some(y) = self.y(*value) {
                        (line("grid", left, y, right, y))
                        text class="tick" x=(coordinate(left - 6.0)) y=(coordinate(y + 4.0))
                            text-anchor="end" { (label) }
                    }
                }
                (line("axis", left, bottom, right, bottom))
                text class="title" x="2" y=(coordinate(top - 11.0)) {
                    (fitted(chart.y.label, 12.0, WIDTH - 4.0))
                }
                text class="title" x=(coordinate(right)) y=(coordinate(bottom + 35.0))
                    text-anchor="end" { (fitted(chart.x.label, 12.0, right)) }
                (self.legend.draw(6.0, 2.0))
                (data)
            },
        )
    }
}

/// A drawing [`WIDTH`] wide with its name and description.
pub(super) fn svg(title: &str, description: &str, height: f64, content: &Markup) -> Markup {
    html! {
        svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label=(title)
            viewBox=(format!("0 0 {WIDTH} {}", coordinate(height)))
        {
            title { (title) }
            @if !description.is_empty() { desc { (description) } }
            (content)
        }
    }
}

pub(super) fn line(class: &str, x1: f64, y1: f64, x2: f64, y2: f64) -> Markup {
    html! {
        line class=(class) x1=(coordinate(x1)) y1=(coordinate(y1)) x2=(coordinate(x2))
            y2=(coordinate(y2)) {}
    }
}
