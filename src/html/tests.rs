//! Pages and charts as wholes: well-formed, escaped, self-contained, whatever the data.

use proptest::prelude::*;

use super::*;
use crate::metrics::bootstrap::Interval;
use crate::metrics::calibration::{Bin, reliability as bins};

/// Whether every element is closed in its place and no `<`, `&` or quote stands loose; void
/// elements of HTML are known by name.
fn check_well_formed(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        check_characters(&rest[..start]);
        let end = rest[start..].find('>').map(|at| start + at).expect("a tag is not closed");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        let name = tag.trim_start_matches('/').split_whitespace().next().unwrap();
        if tag.starts_with('!') {
            continue;
        } else if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "closed in the wrong place");
        } else if name != "meta" {
            assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
            check_characters(tag);
            open.push(name);
        }
        if name == "style" && !tag.starts_with('/') {
            rest = &rest[rest.find("</style").expect("the style is not closed")..];
        }
    }
    check_characters(rest);
    assert!(open.is_empty(), "{open:?} are not closed");
}

fn check_characters(text: &str) {
    for after in text.split('&').skip(1) {
        let known = ["amp;", "lt;", "gt;", "quot;"];
        assert!(known.iter().any(|entity| after.starts_with(entity)), "&{after}");
    }
}

/// Every coordinate that is drawn.
fn coordinates(svg: &str) -> Vec<f64> {
    const NAMES: [&str; 9] = ["x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "points"];
    let mut found = Vec::new();
    for name in NAMES {
        for after in svg.split(&format!(" {name}=\"")).skip(1) {
            let value = after.split('"').next().unwrap();
            found.extend(value.split([' ', ',']).map(|n| n.parse::<f64>().unwrap()));
        }
    }
    found
}

fn check_chart(chart: &Markup) {
    let svg = chart.clone().into_string();
    check_well_formed(&svg);
    for coordinate in coordinates(&svg) {
        // NaN is in no range.
        assert!((-20.0..4_000.0).contains(&coordinate), "{coordinate}");
    }
    assert!(svg.contains("<title>") && svg.contains("role=\"img\"") && svg.contains("viewBox"));
}

fn chart(scale: Scale) -> Chart<'static> {
    let axis = Axis { label: "x & <y>", scale, include: &[] };
    Chart { title: "a \"title\"", description: "", x: axis, y: axis }
}

fn series(points: &[(f64, f64)]) -> Vec<Series<'static>> {
    let points =
        points.iter().map(|&(x, y)| Point::new(x, y).within(y - 1.0, y + 1.0).labelled("<&\">"));
    vec![
        Series { name: "a<b", points: points.collect() },
        Series { name: "\"&\"", points: vec![Point::new(1.0, 2.0).marked()] },
        Series { name: "empty", points: vec![] },
    ]
}

fn value(mean: f64) -> Interval {
    Interval { mean, low: mean - 0.1, high: mean + 0.1 }
}

#[test]
fn texts_are_escaped() {
    let svg = scatter(&chart(Scale::Linear), &series(&[(1.0, 1.0)]), true).into_string();
    check_well_formed(&svg);
    for escaped in ["a&lt;b", "&quot;&amp;&quot;", "x &amp; &lt;y&gt;", "a &quot;title&quot;"] {
        assert!(svg.contains(escaped), "{escaped}");
    }
    let table = Table {
        caption: "<c>",
        header: vec!["<h>", "&"],
        rows: vec![vec!["<script>".into(), "\"".into()]],
        total: Some(vec!["<t>".into(), "1".into()]),
    };
    let html = page("<p>", "&", &figure("<f>", &html! {}, Some(&table))).into_string();
    check_well_formed(&html);
    assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"));
}

#[test]
fn no_text_turns_or_hides_its_neighbours() {
    let axis = Axis { label: "x\u{2067}y", scale: Scale::Linear, include: &[] };
    let odd = Chart { title: "t\u{202e}t", description: "\u{1b}[8m", x: axis, y: axis };
    let drawn = scatter(&odd, &series(&[(1.0, 1.0)]), false);
    let html = page("p\u{200b}p", "l\u{9b}", &figure("f\u{202d}f", &drawn, None)).into_string();
    let svg = image(&drawn);
    for (text, escaped) in [
        (&html, r"t\u{202e}t"),
        (&html, r"\u{1b}[8m"),
        (&html, r"p\u{200b}p"),
        (&html, r"l\u{9b}"),
        (&html, r"f\u{202d}f"),
        (&svg, r"x\u{2067}y"),
    ] {
        assert!(text.contains(escaped), "{escaped}");
    }
    let steers = ['\u{202e}', '\u{202d}', '\u{2067}', '\u{200b}', '\u{1b}', '\u{9b}'];
    assert!(!html.contains(steers) && !svg.contains(steers));
}

#[test]
fn a_page_asks_nothing_of_a_network() {
    let body = figures(&[figure("f", &reliability("r", &bins(&[(0.5, true)])), None)]);
    let html = page("t", "l", &body).into_string();
    check_well_formed(&html);
    for never in ["<script", "<link", "<img", "@import", "url(", "src=", "href="] {
        assert!(!html.contains(never), "{never}");
    }
    // The one address is the name of SVG's language.
    assert_eq!(html.matches("http").count(), html.matches("http://www.w3.org/2000/svg").count());
    for wanted in ["prefers-color-scheme: dark", "@media print", "width=device-width"] {
        assert!(html.contains(wanted), "{wanted}");
    }
}

#[test]
fn an_image_is_whole_without_its_page() {
    let chart = lines(&chart(Scale::Linear), &series(&[(1.0, 1.0), (2.0, 3.0)]));
    let image = image(&chart);
    check_well_formed(&image);
    assert!(image.starts_with("<svg xmlns=") && image.ends_with("</svg>\n"));
    assert_eq!((image.matches("<style>").count(), image.matches("<svg").count()), (1, 1));
    let content = chart.into_string().split_once('>').unwrap().1.to_owned();
    assert!(image.trim_end().ends_with(&content) && image.contains("svg text {"));
}

#[test]
fn degenerate_data_is_drawn_as_far_as_it_can_be() {
    let nothing: [(f64, f64); 0] = [];
    let odd = [(f64::NAN, 1.0), (0.0, f64::INFINITY), (0.0, 0.0), (-1.0, 5.0), (1e300, 1.0)];
    for scale in [Scale::Linear, Scale::Log] {
        for points in [&nothing[..], &[(3.0, 3.0)], &[(0.0, 0.0)], &odd] {
            for drawn in [
                scatter(&chart(scale), &series(points), true),
                scatter(&chart(scale), &series(points), false),
                lines(&chart(scale), &series(points)),
            ] {
                check_chart(&drawn);
            }
        }
        check_chart(&scatter(&chart(scale), &[], true));
    }
    check_chart(&bars("none", "", &Axis::share("x"), &[], &[]));
    check_chart(&reliability("none", &[]));
    let one = Bin { low: 0.5, high: 0.5, count: 1, mean_confidence: 0.5, accuracy: 1.0 };
    check_chart(&reliability("one", &[one]));
}

#[test]
fn points_without_a_place_are_counted() {
    let points = [(f64::NAN, 1.0), (-1.0, 1.0), (0.0, 1.0)];
    let series = [Series { name: "s", points: points.map(|(x, y)| Point::new(x, y)).into() }];
    let linear = scatter(&chart(Scale::Linear), &series, false).into_string();
    assert!(linear.contains("One point has no place"));
    assert_eq!(linear.matches("<circle").count(), 2);
    let log = scatter(&chart(Scale::Log), &series, false).into_string();
    assert!(log.contains("2 points have no place"));
    assert_eq!(log.matches("<circle").count(), 1);
}

#[test]
fn a_missing_point_interrupts_its_line() {
    let points = [(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0), (4.0, 1.0)];
    let series = [Series { name: "s", points: points.map(|(x, y)| Point::new(x, y)).into() }];
    let svg = lines(&chart(Scale::Linear), &series).into_string();
    assert_eq!(svg.matches("<polyline").count(), 2);
    assert_eq!(svg.matches("class=\"band\"").count(), 0);
}

#[test]
fn bars_begin_at_zero_and_have_their_length() {
    let series =
        [BarSeries { name: "s", values: vec![Some(value(0.5)), None, Some(value(-0.25))] }];
    let axis = Axis { label: "v", scale: Scale::Linear, include: &[1.0] };
    let drawn = bars("b", "", &axis, &["one", "two", "three & four"], &series);
    check_chart(&drawn);
    let svg = drawn.into_string();
    let widths: Vec<f64> = svg
        .split("<rect")
        .skip(1)
        .map(|rect| rect.split("width=\"").nth(1).unwrap().split('"').next().unwrap())
        .map(|width| width.parse().unwrap())
        .collect();
    assert_eq!(widths.len(), 2);
    assert!((widths[0] - 2.0 * widths[1]).abs() < 0.05, "{widths:?}");
}

#[test]
fn counts_have_no_decimals_and_shares_have() {
    let exactly = |value| Some(Interval { mean: value, low: value, high: value });
    let drawn = |axis: &Axis<'_>, values: [f64; 2]| {
        let series = [BarSeries { name: "s", values: values.map(exactly).into() }];
        bars("b", "", axis, &["one", "two"], &series).into_string()
    };
    let counts = drawn(&Axis::linear("facts"), [3.0, 12.0]);
    assert!(counts.contains(">3</text>") && counts.contains(">12</text>"), "{counts}");
    assert!(drawn(&Axis::share("P@1"), [1.0, 0.0]).contains(">1.000</text>"));
    assert!(drawn(&Axis::linear("mean"), [3.5, 12.0]).contains(">12.0</text>"));
}

#[test]
fn bars_of_reliability_are_as_high_as_their_accuracy() {
    let bins = bins(&[(0.1, false), (0.5, true), (0.5, false), (0.9, true)]);
    let drawn = reliability("r", &bins);
    check_chart(&drawn);
    let svg = drawn.into_string();
    let heights: Vec<f64> = svg
        .split("class=\"bar\"")
        .skip(1)
        .map(|rect| rect.split("height=\"").nth(1).unwrap().split('"').next().unwrap())
        .map(|height| height.parse().unwrap())
        .collect();
    assert!((heights[0], heights[2]) == (0.0, 2.0 * heights[1]), "{heights:?}");
    assert!(svg.contains("confidence 0.500, accuracy 0.500, 2 predictions"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn charts_of_any_data_are_well_formed_and_within_their_drawing(
        points in prop::collection::vec((any::<f64>(), -1e6..1e6_f64), 0..20),
        log: bool, name in ".{0,60}",
    ) {
        let scale = if log { Scale::Log } else { Scale::Linear };
        let points: Vec<Point> =
            points.iter().map(|&(x, y)| Point::new(x, y).within(y - 2.0, y + 2.0)).collect();
        let both = [
            Series { name: &name, points: points.clone() },
            Series { name: "other", points },
        ];
        check_chart(&lines(&chart(scale), &both));
        check_chart(&scatter(&chart(scale), &both, true));
    }
}
