//! What tells series apart: a shape and a colour each, and the legend that names them.

use maud::{Markup, html};

use super::number::coordinate;

/// How many series have a shape and a colour of their own; more begin again.
pub(super) const STYLES: usize = 6;

/// The class that gives the colour of a series; chart.css has as many.
pub(super) fn class(series: usize) -> String {
    format!("s{}", series % STYLES)
}

/// The mark of a series around a place, some 8 units wide.
pub(super) fn mark(series: usize, x: f64, y: f64, size: f64) -> Markup {
    let r = size / 2.0;
    // Corners in units of r, so that all shapes seem about equally large.
    let corners: &[(f64, f64)] = match series % STYLES {
        0 => &[],
        1 => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        2 => &[(0.0, -1.15), (1.1, 0.85), (-1.1, 0.85)],
        3 => &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
        4 => &[(0.0, 1.15), (1.1, -0.85), (-1.1, -0.85)],
        _ => &[
            (-0.4, -1.2),
            (0.4, -1.2),
            (0.4, -0.4),
            (1.2, -0.4),
            (1.2, 0.4),
            (0.4, 0.4),
            (0.4, 1.2),
            (-0.4, 1.2),
            (-0.4, 0.4),
            (-1.2, 0.4),
            (-1.2, -0.4),
            (-0.4, -0.4),
        ],
    };
    if corners.is_empty() {
        return html! { circle cx=(coordinate(x)) cy=(coordinate(y)) r=(coordinate(r)) {} };
    }
    let points: Vec<String> = corners
        .iter()
        .map(|(dx, dy)| format!("{},{}", coordinate(x + dx * r), coordinate(y + dy * r)))
        .collect();
    html! { polygon points=(points.join(" ")) {} }
}

/// How wide a letter is in the mean, in sizes of its typeface, in the widest of the common ones.
const LETTER: f64 = 0.6;

/// Roughly how wide a text of this size is, in any common typeface.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * LETTER
}

/// A text that is at most about `width` wide; what is cut off ends in an ellipsis.
pub(super) fn fitted(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let kept = ((width / (size * LETTER)) as usize).saturating_sub(1).max(1);
    let start: String = text.chars().take(kept).collect();
    format!("{}…", start.trim_end())
}

/// The names of several series with their marks, in lines of `width` from `(x, y)` down.
pub(super) struct Legend {
    items: Vec<(usize, f64, f64, String)>,
    pub(super) height: f64,
}

const LINE: f64 = 18.0;
const SIZE: f64 = 12.0;

impl Legend {
    /// One series, or none, needs no legend.
    pub(super) fn new(names: &[&str], width: f64) -> Self {
        let (mut x, mut line, mut items) = (0.0, 0, Vec::new());
        if names.len() < 2 {
            return Self { items, height: 0.0 };
        }
        for (series, name) in names.iter().enumerate() {
            let name = fitted(name, SIZE, width - 18.0);
            let wide = text_width(&name, SIZE) + 18.0;
            if x > 0.0 && x + wide > width {
                (x, line) = (0.0, line + 1);
            }
            items.push((series, x, f64::from(line) * LINE, name));
            x += wide + 12.0;
        }
        Self { items, height: f64::from(line + 1) * LINE + 4.0 }
    }

    pub(super) fn draw(&self, left: f64, top: f64) -> Markup {
        html! {
            @for (series, x, y, name) in &self.items {
                g class=(class(*series)) { (mark(*series, left + x + 5.0, top + y + 8.0, 9.0)) }
                text x=(coordinate(left + x + 14.0)) y=(coordinate(top + y + 12.0)) { (name) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_to_fit() {
        assert_eq!(fitted("capital of", 10.0, 100.0), "capital of");
        let cut = fitted("a relation with a very long name", 10.0, 60.0);
        assert!(cut.ends_with('…') && text_width(&cut, 10.0) <= 60.0, "{cut}");
    }

    #[test]
    fn a_legend_wraps_and_stays_within_its_width() {
        let names = ["base", "finetuned", "mixed linearly", "mixed log-linearly", "x"];
        let legend = Legend::new(&names, 200.0);
        assert_eq!(legend.items.len(), 5);
        assert!(legend.items.iter().all(|(_, x, _, name)| x + text_width(name, SIZE) < 200.0));
        assert!(legend.height > 2.0 * LINE);
        assert_eq!(Legend::new(&["only"], 200.0).height, 0.0);
    }

    #[test]
    fn shapes_differ() {
        let shapes: std::collections::BTreeSet<String> =
            (0..STYLES).map(|series| mark(series, 10.0, 10.0, 8.0).into_string()).collect();
        assert_eq!(shapes.len(), STYLES);
    }
}
