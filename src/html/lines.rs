//! Curves of several series, with bands where their points have intervals.

use maud::{Markup, html};

use super::frame::{Chart, Frame, Point, Series};
use super::mark::{class, mark};
use super::number::coordinate;

/// Joins the points of each series by lines, in their order, and shades from where to where they
/// may be. A point that has no place interrupts its line.
pub fn lines(chart: &Chart<'_>, series: &[Series<'_>]) -> Markup {
    let frame = Frame::new(chart, series, 310.0, false);
    frame.draw(&html! {
        @for (number, series) in series.iter().enumerate() {
            @let runs = runs(&frame, &series.points);
            g class=(class(number)) {
                @for run in &runs {
                    @if let Some(band) = band(&frame, run) { polygon class="band" points=(band) {} }
                    @if run.len() > 1 {
                        polyline class={ "curve dash" (number % DASHES) }
                            points=(joined(run.iter().map(|(_, place)| *place))) {}
                    }
                }
                g class="points" {
                    @for (point, (x, y)) in runs.iter().flatten() {
                        g class=[point.is_marked.then_some("marked")] {
                            (mark(number, *x, *y, if point.is_marked { 12.0 } else { 7.0 }))
                            @if !point.label.is_empty() { title { (point.label) } }
                        }
                    }
                }
            }
        }
    })
}

/// Kinds of lines; chart.css has as many.
const DASHES: usize = 3;

type Placed<'p> = (&'p Point, (f64, f64));

/// Stretches of points that have a place.
fn runs<'p>(frame: &Frame<'_>, points: &'p [Point]) -> Vec<Vec<Placed<'p>>> {
    let placed: Vec<Option<Placed<'p>>> =
        points.iter().map(|point| Some((point, frame.place(point)?))).collect();
    let runs = placed.split(Option::is_none);
    runs.map(|run| run.iter().flatten().copied().collect())
        .filter(|r: &Vec<_>| !r.is_empty())
        .collect()
}

/// The outline of the band of those points that have an interval; nothing below two of them.
fn band(frame: &Frame<'_>, run: &[Placed<'_>]) -> Option<String> {
    let edges: Vec<(f64, f64, f64)> = run
        .iter()
        .filter_map(|(point, (x, _))| {
            let (low, high) = point.interval?;
            Some((*x, frame.y(low)?, frame.y(high)?))
        })
        .collect();
    let upper = edges.iter().map(|(x, _, high)| (*x, *high));
    let lower = edges.iter().rev().map(|(x, low, _)| (*x, *low));
    (edges.len() > 1).then(|| joined(upper.chain(lower)))
}

fn joined(places: impl Iterator<Item = (f64, f64)>) -> String {
    let places = places.map(|(x, y)| format!("{},{}", coordinate(x), coordinate(y)));
    places.collect::<Vec<_>>().join(" ")
}
