//! Reports as one self-contained HTML file: a page, its tables, and charts as inline SVG.
//!
//! Invariant: a page asks nothing of a network and needs no script. Every text that a caller gives
//! is escaped. A chart draws what can be drawn: values that are no finite numbers, or have no place
//! on a logarithmic axis, are left out and counted in its description.
//!
//! A chart is a plain function from data to markup. Its drawing is 400 units wide and scales with
//! its figure, so that its text can be read on a telephone; series differ by colour and by the
//! shape of their marks.

mod axis;
mod bars;
mod frame;
mod lines;
mod mark;
mod number;
mod page;
mod reliability;
mod scatter;

pub use axis::{Axis, Scale};
pub use bars::{BarSeries, bars};
pub use frame::{Chart, Point, Series};
pub use lines::lines;
pub use maud::{Markup, html};
pub use page::{Table, figure, figures, image, linked_page, page, style};
pub use reliability::{reliability, reliability_figure};
pub use scatter::scatter;

#[cfg(test)]
mod tests;
