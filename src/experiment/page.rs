//! An experiment as one HTML page.

use std::collections::{BTreeMap, BTreeSet};

use super::tables::{self, Numbers};
use super::{CellResult, Column, SummaryRow};
use crate::diagnosis::System;
use crate::diagnostic::counted;

use crate::html::{
    Axis, BarSeries, Chart, Markup, Point, Series, Table, bars, figure, figures, html,
    image as image_of, lines, page as page_of, reliability_figure,
};
use crate::metrics::bootstrap::Interval;
use crate::metrics::calibration::reliability;
use crate::metrics::mean;

/// The page of an experiment over so many relations.
pub(super) fn page(relations: usize, rows: &[SummaryRow], results: &[CellResult]) -> Markup {
    let questions = results
        .first()
        .and_then(|result| result.outcomes.values().next())
        .map_or(0, |outcome| outcome.right.len());
    let facts = results.iter().map(|result| result.training_facts).max().unwrap_or(0);
    let lead = format!(
        "{}, {} and {} for each. Finetuned on {} at most, alone (vanilla) or together with the \
         pre-training task (mixture); then answering alone, or mixed log-linearly with the base \
         model (mixing; both).",
        counted(relations, "relation"),
        counted(rows.iter().map(|row| row.seeds).max().unwrap_or(0), "seed"),
        counted(questions, "test question"),
        counted(facts, "fact"),
    );
    let most = rows.iter().map(|row| row.passes).max().unwrap_or(0);
    let last: Vec<&SummaryRow> = rows.iter().filter(|row| row.passes == most).collect();
    let mut charts = skew_figures(rows);
    charts.extend([
        figure(
            &format!(
                "Test questions answered with a common object, one of 5 % or more of its \
                 relation's facts, after {}.",
                counted(most, "pass")
            ),
            &counts_chart(&last),
            None,
        ),
        figure(
            &format!(
                "Accuracy on the test questions against λ, one λ for all relations, after {}. The \
                 λ of the tables are not read off here: they are chosen on other questions.",
                counted(most, "pass")
            ),
            &curve_chart(results, most),
            None,
        ),
        reliability_figure(
            "Reliability",
            "Confidence and accuracy of the tuned answers with both remedies, all models together.",
            &reliability(&confidences(results)),
        ),
    ]);
    let body = html! {
        (section(tables::main(rows)))
        (section(tables::gains(rows)))
        (figures(&charts))
        (section(tables::corrections(rows)))
        (section(tables::counts(rows)))
        (section(tables::calibration(rows)))
        p {
            "Frequency Shock and its two remedies are from Kazemi, Mittal and Ramachandran 2023 \
             (arXiv 2301.11293). The formulas, the facts and all numbers here are ours."
        }
    };
    page_of("Frequency Shock, measured", &lead, &body)
}

fn section(numbers: Numbers) -> Markup {
    let Numbers { title, header, rows } = numbers;
    Table { caption: title, header, rows, total: None }.markup()
}

/// Accuracy against skew after the most passes, as an SVG image.
pub(super) fn image(rows: &[SummaryRow]) -> String {
    let most = rows.iter().map(|row| row.passes).max().unwrap_or(0);
    image_of(&skew_chart(rows, most))
}

/// Accuracy against skew, a figure for each number of passes, all with the same axes.
fn skew_figures(rows: &[SummaryRow]) -> Vec<Markup> {
    let passes: BTreeSet<usize> = rows.iter().map(|row| row.passes).collect();
    let draw = |passes: usize| {
        let caption = format!(
            "{}. Skew is the total variation distance of the training objects from the natural \
             ones: {}. The intervals are in the first table.",
            skew_title(passes),
            by_distance(rows, passes)
                .iter()
                .map(|row| format!("{} {:.2}", row.skew.name(), row.distance))
                .collect::<Vec<_>>()
                .join(", ")
        );
        figure(&caption, &skew_chart(rows, passes), None)
    };
    passes.into_iter().map(draw).collect()
}

fn skew_title(passes: usize) -> String {
    format!("Accuracy against training skew, after {}", counted(passes, "pass"))
}

/// Those of so many passes.
fn by_distance(rows: &[SummaryRow], passes: usize) -> Vec<&SummaryRow> {
    let mut rows: Vec<&SummaryRow> = rows.iter().filter(|row| row.passes == passes).collect();
    rows.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    rows
}

/// Of so many passes, with axes for all.
fn skew_chart(rows: &[SummaryRow], passes: usize) -> Markup {
    let distances: Vec<f64> = rows.iter().map(|row| row.distance).collect();
    let measured = rows.iter().flat_map(|row| Column::MAIN.map(|c| row.columns.get(c.name())));
    let p_at_1: Vec<f64> = measured.flatten().map(|measures| measures.p_at_1.mean).collect();
    let title = skew_title(passes);
    let chart = Chart {
        title: &title,
        description: "",
        x: Axis { include: &distances, ..Axis::linear("distance from the natural distribution") },
        y: Axis { include: &p_at_1, ..Axis::linear("P@1") },
    };
    lines(&chart, &skew_series(&by_distance(rows, passes)))
}

/// Without bands: five of them would lie one upon another.
fn skew_series(rows: &[&SummaryRow]) -> Vec<Series<'static>> {
    let series = Column::MAIN.map(|column| {
        let points = rows.iter().filter_map(|row| {
            let Interval { mean, low, high } = row.columns.get(column.name())?.p_at_1;
            let label = format!("{}: {mean:.3} ({low:.3} to {high:.3})", row.skew.name());
            Some(Point::new(row.distance, mean).labelled(label))
        });
        Series { name: column.name(), points: points.collect() }
    });
    series.into()
}

fn counts_chart(rows: &[&SummaryRow]) -> Markup {
    let exact = |value: f64| Interval { mean: value, low: value, high: value };
    let categories: Vec<&str> = rows.iter().map(|row| row.skew.name()).collect();
    let gold = BarSeries {
        name: "gold",
        values: rows.iter().map(|row| Some(exact(row.gold_common))).collect(),
    };
    let measured = Column::MAIN.map(|column| BarSeries {
        name: column.name(),
        values: rows
            .iter()
            .map(|row| row.columns.get(column.name()).map(|m| exact(m.common)))
            .collect(),
    });
    // The gold comes last, so that the others look as in the other charts.
    let series: Vec<BarSeries<'_>> = measured.into_iter().chain([gold]).collect();
    let axis = Axis::linear("questions answered with a common object");
    bars("Answers with a common object", "", &axis, &categories, &series)
}

/// The mean over the cells of the largest number of passes, for both kinds of finetuning.
fn curve_chart(results: &[CellResult], passes: usize) -> Markup {
    let of = |mixture: bool, system: System| {
        let mut by_lambda: BTreeMap<usize, (f64, Vec<f64>)> = BTreeMap::new();
        for result in results.iter().filter(|r| r.passes == passes && r.mixture == mixture) {
            for (i, (lambda, p)) in result.curves.get(&system).into_iter().flatten().enumerate() {
                by_lambda.entry(i).or_insert((*lambda, Vec::new())).1.push(*p);
            }
        }
        let points = by_lambda.into_values();
        points.filter_map(|(lambda, ps)| Some(Point::new(lambda, mean(ps)?))).collect()
    };
    let series = [
        Series { name: "vanilla, linear", points: of(false, System::Linear) },
        Series { name: "vanilla, log-linear", points: of(false, System::LogLinear) },
        Series { name: "mixture, linear", points: of(true, System::Linear) },
        Series { name: "mixture, log-linear", points: of(true, System::LogLinear) },
    ];
    let chart = Chart {
        title: "P@1 against λ",
        description: "0 is the base model alone, 1 the finetuned model alone.",
        x: Axis::linear("λ, the share of the finetuned model"),
        y: Axis::linear("P@1"),
    };
    lines(&chart, &series)
}

/// The confidence of every best answer with both remedies, and whether it is right.
fn confidences(results: &[CellResult]) -> Vec<(f64, bool)> {
    let outcomes = results.iter().filter(|result| result.mixture);
    let both = outcomes.filter_map(|result| result.outcomes.get(&System::LogLinear));
    both.flat_map(|o| o.confidences.iter().copied().zip(o.right.iter().map(|&r| r > 0.0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::experiment::Skew;
    use crate::experiment::{SystemOutcome, rows};

    /// An outcome of `right` of 100 questions.
    fn outcome(right: usize) -> SystemOutcome {
        let right: Vec<f64> = (0..100).map(|q| f64::from(u8::from(q * 37 % 100 < right))).collect();
        SystemOutcome {
            reciprocal_ranks: right.clone(),
            probabilities: (0..100).map(|q| f64::from(q) / 100.0).collect(),
            confidences: (0..100).map(|q| f64::from(q) / 200.0).collect(),
            right,
            common: 60,
            rare_trained: 7,
            weights: None,
        }
    }

    fn results(seeds: u32, skews: &[Skew], passes: &[usize]) -> Vec<CellResult> {
        let mut results = Vec::new();
        for seed in 1..=seeds {
            for (&skew, number) in skews.iter().zip(0_u32..) {
                for &passes in passes {
                    for mixture in [false, true] {
                        let worth = |(system, gain): (System, usize)| {
                            let lost = number as usize * passes + usize::from(!mixture);
                            (system, outcome(35 + gain - lost + seed as usize))
                        };
                        let outcomes = System::ALL.into_iter().zip([0, 8, 7, 9, 6]).map(worth);
                        let curve = (0..=20).map(|i| (f64::from(i) / 20.0, 0.4)).collect();
                        results.push(CellResult {
                            signature: String::new(),
                            seed,
                            skew,
                            passes,
                            mixture,
                            training_facts: 9,
                            distance: 0.2 + 0.3 * f64::from(number),
                            gold_common: 70.5,
                            gold_rare_trained: 3.0,
                            majority: Vec::new(),
                            outcomes: outcomes.collect(),
                            curves: BTreeMap::from([(System::LogLinear, curve)]),
                        });
                    }
                }
            }
        }
        results
    }

    fn of(seeds: u32, skews: &[Skew], passes: &[usize]) -> String {
        let results = results(seeds, skews, passes);
        page(7, &rows(&results), &results).into_string()
    }

    #[test]
    fn a_page_has_a_chart_for_each_number_of_passes_and_all_tables() {
        let html = of(3, &[Skew::Natural, Skew::Flattened, Skew::Rare], &[1, 3]);
        assert_eq!((html.matches("<svg").count(), html.matches("<table").count()), (5, 6));
        for wanted in [
            "7 relations, 3 seeds and 100 test questions for each. Finetuned on 9 facts",
            "after 1 pass.",
            "after 3 passes.",
            "natural 0.20, flattened 0.50, rare 0.80",
            "rare: 0.340 (",
            "70.5",
        ] {
            assert!(html.contains(wanted), "{wanted}");
        }
        assert!(!html.contains("NaN"));
    }

    #[test]
    fn one_model_of_each_kind_is_enough() {
        let html = of(1, &[Skew::Rare], &[1]);
        assert_eq!(html.matches("<svg").count(), 4);
        assert!(html.contains("1 seed and 100") && !html.contains("NaN"));
        assert!(page(1, &[], &[]).into_string().contains("<svg"));
    }
}
