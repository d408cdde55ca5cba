//! The reliability diagram: how often predictions are right, by how sure they were.

use maud::{Markup, html};

use super::axis::Axis;
use super::frame::{Chart, Frame, Point, Series, line};
use super::mark::{class, mark};
use super::number::{coordinate, label};
use super::page::{Table, figure};
use crate::diagnostic::counted;
use crate::metrics::calibration::Bin;

/// The height of the strip that shows how many predictions each bin has.
const STRIP: f64 = 44.0;

/// The reliability diagram as a figure, with the bins' numbers folded up below it.
pub fn reliability_figure(title: &str, caption: &str, bins: &[Bin]) -> Markup {
    let row = |bin: &Bin| {
        vec![
            format!("{:.2} to {:.2}", bin.low, bin.high),
            bin.count.to_string(),
            format!("{:.3}", bin.mean_confidence),
            format!("{:.3}", bin.accuracy),
        ]
    };
    let numbers = Table {
        caption: "Answers by confidence",
        header: vec!["confidence", "answers", "mean confidence", "accuracy"],
        rows: bins.iter().map(row).collect(),
        total: None,
    };
    figure(caption, &reliability(title, bins), Some(&numbers))
}

/// Draws the accuracy of each bin as a bar over its confidences, with a mark at its mean
/// confidence; calibrated predictions have their marks on the diagonal. How many predictions the
/// bins have is drawn above.
pub fn reliability(title: &str, bins: &[Bin]) -> Markup {
    let predictions: usize = bins.iter().map(|bin| bin.count).sum();
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0);
    let description = format!(
        "Accuracy by confidence for {} in {}; calibrated ones lie on the diagonal.",
        counted(predictions, "prediction"),
        counted(bins.len(), "bin")
    );
    let chart = Chart {
        title,
        description: &description,
        x: Axis::share("confidence"),
        y: Axis::share("accuracy"),
    };
    let points = bins.iter().map(|bin| Point::new(bin.mean_confidence, bin.accuracy)).collect();
    let mut frame = Frame::new(&chart, &[Series { name: "", points }], 430.0, true);
    // The strip stands where the plot would begin; both share the axis of confidences.
    let strip = frame.top;
    frame.top += STRIP + 30.0;
    let strip_bottom = strip + STRIP;
    frame.draw(&html! {
        text class="title" x="2" y=(coordinate(strip - 11.0)) {
            "predictions (at most " (label(most as f64, 1.0)) " a bin)"
        }
        (line("axis", frame.left, strip_bottom, frame.right, strip_bottom))
        (frame.diagonal())
        @for bin in bins {
            @if let (Some(low), Some(high)) = (frame.x(bin.low), frame.x(bin.high))
                && let (Some(zero), Some(accuracy)) = (frame.y(0.0), frame.y(bin.accuracy))
                && let Some(confidence) = frame.x(bin.mean_confidence)
            {
                // A bin of equal confidences has no width, but is there.
                @let wide = (high - low - 1.0).max(1.5);
                @let count = STRIP * bin.count as f64 / most as f64;
                g {
                    rect class="count" x=(coordinate(low + 0.5)) y=(coordinate(strip_bottom - count))
                        width=(coordinate(wide)) height=(coordinate(count)) {}
                    g class=(class(0)) {
                        rect class="bar" x=(coordinate(low + 0.5)) y=(coordinate(accuracy))
                            width=(coordinate(wide)) height=(coordinate(zero - accuracy)) {}
                        (mark(0, confidence, accuracy, 7.5))
                    }
                    title {
                        (format!(
                            "confidence {:.3}, accuracy {:.3}, {}",
                            bin.mean_confidence,
                            bin.accuracy,
                            counted(bin.count, "prediction")
                        ))
                    }
                }
            }
        }
    })
}
