//! Points of several series.

use maud::{Markup, html};

use super::frame::{Chart, Frame, Series};
use super::mark::{class, mark};

/// Draws each series as its marks. With `diagonal`, both axes span the same values and the line on
/// which x equals y is drawn; they should then have the same scale.
pub fn scatter(chart: &Chart<'_>, series: &[Series<'_>], diagonal: bool) -> Markup {
    let frame = Frame::new(chart, series, if diagonal { 400.0 } else { 310.0 }, diagonal);
    frame.draw(&html! {
        @if diagonal { (frame.diagonal()) }
        @for (number, series) in series.iter().enumerate() {
            g class={ "points " (class(number)) } {
                @for point in &series.points {
                    @if let Some((x, y)) = frame.place(point) {
                        g class=[point.is_marked.then_some("marked")] {
                            (mark(number, x, y, if point.is_marked { 11.0 } else { 7.5 }))
                            @if !point.label.is_empty() { title { (point.label) } }
                        }
                    }
                }
            }
        }
    })
}
