//! The diagnosis as one HTML file.

use std::collections::BTreeMap;

use super::print;
use crate::diagnosis::{DiagnosedRelation, DiagnosisReport, EntityReport, System, TrainingEffect};
use crate::diagnostic::counted;
use crate::html::{self, Axis, BarSeries, Chart, Markup, Point, Series, Table, html};
use crate::metrics::bootstrap::Interval;
use crate::metrics::calibration::Bin;
use crate::shock::diagnosis::{Band, CurvePoint};

/// How many of the most over- and under-predicted entities are shown.
const SHOWN: usize = 20;

/// How many objects a mark's label names.
const NAMED: usize = 4;

/// The whole page.
pub(super) fn page(report: &DiagnosisReport, conclusions: &[String]) -> Markup {
    let training = report.all.training.as_ref();
    let mut figures = vec![frequencies(report)];
    figures.extend(training.map(|training| by_training(report, training)));
    figures.push(curve(report));
    figures.extend(training.map(|training| against_shock(report, training)));
    let body = html! {
        section {
            h2 { "What is seen" }
            @for sentence in conclusions { p { (sentence) } }
            (table(&print::systems(report)))
        }
        section { h2 { "In plots" } (html::figures(&figures)) }
        section {
            h2 { "Calibration" }
            p {
                "Of the answers with a confidence of 0.8, four in five should be right. Marks below \
                 the dashed line are too sure. Shown are the best answers, one a question."
            }
            (html::figures(&calibration(report)))
        }
        section {
            h2 { "How often objects are predicted" }
            p { "Training counts are of facts, whatever the number of templates and epochs." }
            (table(&print::bands(report)))
            @if let Some(shock) = print::shock(report) { (table(&shock)) }
            (table(&print::over_predicted(report, SHOWN)))
            (table(&print::under_predicted(report, SHOWN)))
        }
        section { h2 { "By relation" } (relations(report).markup()) }
        section { h2 { "What was diagnosed" } (diagnosed(report)) }
    };
    let lead = format!(
        "{} of {}, asked of a finetuned model and its base.",
        counted(report.all.questions, "held-out question"),
        counted(report.relations.len(), "relation")
    );
    html::page("Diagnosis of Frequency Shock", &lead, &body)
}

fn table(table: &print::TitledTable) -> Markup {
    let print::TitledTable { title, about, header, rows } = table;
    let (header, rows) = (header.clone(), rows.clone());
    html! {
        (Table { caption: title, header, rows, total: None }.markup())
        p class="note" { (about) "." }
    }
}

/// The models and the correction that is of most interest: the pipeline's, if it has one.
fn shown(report: &DiagnosisReport) -> [System; 3] {
    let corrected = match report.own {
        System::Finetuned | System::Base => System::LogLinear,
        own => own,
    };
    [System::Base, System::Finetuned, corrected]
}

/// Points by system, of which those at the same place are one.
fn scattered(
    report: &DiagnosisReport,
    place: impl Fn(&EntityReport, System) -> Option<(f64, f64)>,
) -> Vec<Series<'static>> {
    let series = shown(report).map(|system| {
        // Keyed by place in thousandths, so that the order is that of the places.
        let mut places: BTreeMap<(i64, i64), Vec<&str>> = BTreeMap::new();
        for (_, entity) in report.entities() {
            if let Some((x, y)) = place(entity, system) {
                let key = [x, y].map(|value| (value * 1000.0).round() as i64);
                places.entry((key[0], key[1])).or_default().push(&entity.label);
            }
        }
        let point = |((x, y), labels): ((i64, i64), Vec<&str>)| {
            let mut label = labels[..labels.len().min(NAMED)].join(", ");
            if labels.len() > NAMED {
                label += &format!(" and {} more", labels.len() - NAMED);
            }
            Point::new(x as f64 / 1000.0, y as f64 / 1000.0).labelled(label)
        };
        Series { name: system.name(), points: places.into_iter().map(point).collect() }
    });
    series.into()
}

fn frequencies(report: &DiagnosisReport) -> Markup {
    let series = scattered(report, |entity, system| {
        let predicted = entity.seen.predicted[system.index()];
        (predicted > 0 || entity.seen.gold > 0.0).then_some((entity.seen.gold, predicted as f64))
    });
    let chart = Chart {
        title: "Predicted against gold frequency",
        description: "Objects above the diagonal are over-predicted.",
        x: Axis::log("questions it is the right answer to"),
        y: Axis::log("questions it is predicted for"),
    };
    html::figure(
        "How often each object is predicted, by how often it is right. Above the dashed line it is \
         over-predicted. Objects at the same place share a mark.",
        &html::scatter(&chart, &series, true),
        None,
    )
}

fn exactly(value: f64) -> Interval {
    Interval { mean: value, low: value, high: value }
}

fn by_training(report: &DiagnosisReport, training: &TrainingEffect) -> Markup {
    let bands: Vec<&Band> = training.by_training.iter().filter(|band| band.gold > 0.0).collect();
    let categories: Vec<String> =
        bands.iter().map(|band| format!("{} ({:.0})", band.name, band.gold)).collect();
    let categories: Vec<&str> = categories.iter().map(String::as_str).collect();
    let series: Vec<BarSeries<'_>> = shown(report)
        .into_iter()
        .map(|system| {
            let share = |band: &&Band| Some(exactly(band.right[system.index()] / band.gold));
            let values = bands.iter().map(share).collect();
            BarSeries { name: system.name(), values }
        })
        .collect();
    let title = "Accuracy by training count";
    let axis = Axis::share("accuracy");
    html::figure(
        "How often questions are answered right, by how often their object was trained; in \
         brackets, how many questions.",
        &html::bars(title, "", &axis, &categories, &series),
        None,
    )
}

fn curve(report: &DiagnosisReport) -> Markup {
    let share = |point: &CurvePoint| point.right as f64 / point.questions.max(1) as f64;
    let line = |points: &[CurvePoint]| -> Vec<Point> {
        let point =
            |p: &CurvePoint| Point::new(p.lambda, share(p)).labelled(format!("{:.3}", share(p)));
        points.iter().map(point).collect()
    };
    let end = |system: System, lambda: f64| {
        let Interval { mean, low, high } = report.scores(system).precision_at_1;
        let label = format!("{} {mean:.3} ({low:.3} to {high:.3})", system.name());
        Series {
            name: system.name(),
            points: vec![Point::new(lambda, mean).labelled(label).marked()],
        }
    };
    let mut series = vec![
        end(System::Base, 0.0),
        end(System::Finetuned, 1.0),
        Series { name: "linear", points: line(&report.linear_curve) },
        Series { name: "log-linear", points: line(&report.log_linear_curve) },
    ];
    let mut caption =
        "P@1 along the mixing weight, from the base to the finetuned model, the same \
                       for all relations."
            .to_owned();
    if !matches!(report.own, System::Finetuned) {
        let Interval { mean, .. } = report.scores(report.own).precision_at_1;
        let label = format!("{} {mean:.3}, {}", report.correction, print::weights(report));
        let point = Point::new(report.all.lambda, mean).labelled(label).marked();
        series.push(Series { name: "the pipeline's correction", points: vec![point] });
        caption += &format!(
            " Marked is the pipeline's correction ({}) with {}.",
            report.correction,
            if report.tuned { "its tuned numbers" } else { "its own numbers, not tuned" },
        );
    }
    let chart = Chart {
        title: "P@1 along λ",
        description: "",
        x: Axis::share("λ, the share of the finetuned model"),
        y: Axis::linear("P@1"),
    };
    let row = |(linear, log_linear): (&CurvePoint, &CurvePoint)| {
        let lambda = format!("{:.2}", linear.lambda);
        vec![lambda, format!("{:.3}", share(linear)), format!("{:.3}", share(log_linear))]
    };
    let points = report.linear_curve.iter().zip(&report.log_linear_curve);
    let numbers = Table {
        caption: "P@1 by λ",
        header: vec!["λ", "linear", "log-linear"],
        rows: points.map(row).collect(),
        total: None,
    };
    html::figure(&caption, &html::lines(&chart, &series), Some(&numbers))
}

/// Objects of a mark of [`against_shock`], at least; there are at most [`GROUPS`] marks.
const OF_A_GROUP: usize = 4;
const GROUPS: usize = 12;

fn against_shock(report: &DiagnosisReport, training: &TrainingEffect) -> Markup {
    let mut entities: Vec<&EntityReport> = report.entities().map(|(_, entity)| entity).collect();
    entities.sort_by(|a, b| a.seen.shock.total_cmp(&b.seen.shock));
    let size = entities.len().div_ceil(GROUPS).max(OF_A_GROUP);
    let series = shown(report).map(|system| {
        let mean = |group: &[&EntityReport], of: &dyn Fn(&EntityReport) -> f64| {
            group.iter().map(|entity| of(entity)).sum::<f64>() / group.len() as f64
        };
        let point = |group: &[&EntityReport]| {
            let over = mean(group, &|entity| entity.over_prediction[system.index()]);
            let objects = counted(group.len(), "object");
            let label = format!("{}: {objects}, {over:.2}", system.name());
            Point::new(mean(group, &|entity| entity.seen.shock), over).labelled(label)
        };
        Series { name: system.name(), points: entities.chunks(size).map(point).collect() }
    });
    let chart = Chart {
        title: "Over-prediction against the shock",
        description: "Frequency Shock makes objects to the right lie higher.",
        x: Axis::linear("shock: ln(q_train / q_base)"),
        y: Axis { include: &[0.0], ..Axis::linear("over-prediction: ln(predicted / gold)") },
    };
    let correlations: Vec<String> = shown(report)
        .iter()
        .filter_map(|system| {
            let correlation = training.correlation[system.index()]?;
            Some(format!("{} {:.2}", system.name(), correlation.spearman))
        })
        .collect();
    let caption = format!(
        "How much oftener objects are predicted than right, by how much oftener training had them \
         than the base model expects: means of {size} objects at a time, half added to all counts. \
         Spearman's rho over objects: {}.",
        if correlations.is_empty() { "none".to_owned() } else { correlations.join(", ") }
    );
    html::figure(&caption, &html::lines(&chart, &series), None)
}

fn calibration(report: &DiagnosisReport) -> Vec<Markup> {
    let own = report.scores(report.own);
    let figure = |name: &str, error: f64, bins: &[Bin]| {
        let caption = format!("{name}. Expected calibration error {error:.3}.");
        html::reliability_figure(name, &caption, bins)
    };
    let before = match own.calibrated_error {
        Some(_) => format!("{}, before calibration", own.system.name()),
        None => format!("{}, not calibrated", own.system.name()),
    };
    let mut figures = vec![figure(&before, own.expected_calibration_error, &own.reliability)];
    if let (Some(bins), Some(error)) = (&own.calibrated_reliability, own.calibrated_error) {
        figures.push(figure(&format!("{}, calibrated", own.system.name()), error, bins));
    }
    figures
}

fn relations(report: &DiagnosisReport) -> Table<'static> {
    let trained = report.all.training.is_some();
    let row = |relation: &DiagnosedRelation| {
        let seen = &relation.seen;
        let mut row = vec![relation.name.clone(), seen.questions.to_string()];
        row.extend(seen.training.as_ref().map(|training| training.facts.to_string()));
        row.push(format!("{:.2}", seen.lambda));
        row.extend(seen.scores.iter().map(|s| print::number(Some(s.precision_at_1.mean))));
        row.extend(seen.training.as_ref().map(|training| {
            let correlation = training.correlation[System::Finetuned.index()];
            print::number(correlation.map(|c| c.spearman))
        }));
        row
    };
    let mut header = vec!["relation", "questions"];
    header.extend(trained.then_some("trained facts"));
    header.push("λ");
    header.extend(["P@1 base", "finetuned", "linear", "log-linear", "prior"]);
    header.extend(trained.then_some("rho finetuned"));
    Table {
        caption: "P@1 by relation; rho: of the finetuned model's over-prediction and the shock, \
                  over the relation's objects",
        header,
        rows: report.relations.iter().map(row).collect(),
        total: None,
    }
}

fn diagnosed(report: &DiagnosisReport) -> Markup {
    html! {
        p { "Pipeline: " (report.pipeline) }
        p { "Held-out facts: " (report.facts.join(", ")) }
        p {
            "Training counts: "
            @match &report.training {
                Some(from) => { (from) },
                None => { "none; all that rests on them is left out." },
            }
        }
        p {
            "Correction: " (report.correction) ", "
            @if report.tuned { "tuned: " } @else { "not tuned: " }
            (print::weights(report)) "."
        }
        @if report.all.outside > 0 {
            p { (report.all.outside) " right objects are no candidates: no system can answer them." }
        }
    }
}
