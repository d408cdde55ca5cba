//! The diagnosis on the terminal.

use crate::cli::table;
use crate::diagnosis::{DiagnosisReport, EntityReport, System, TrainingEffect};
use crate::diagnostic::counted;
use crate::metrics::bootstrap::Interval;
use crate::shock::diagnosis::{Band, COMMON};

/// How many of the most over- and under-predicted entities are shown.
const SHOWN: usize = 5;

/// A table: its title, what it is about, its header and rows.
pub(super) struct TitledTable {
    pub title: &'static str,
    pub about: String,
    pub header: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

/// The columns that a narrow terminal does without, the first one first; JSON and HTML have them.
const SPARE: [&str; 12] = [
    "Hits@5 95 %",
    "MRR 95 %",
    "Hits@5",
    "calibrated",
    "entities",
    "base prior",
    "prior",
    "linear",
    "relation",
    "MRR",
    "r",
    "P@1 95 %",
];

/// All tables and what is concluded, for a terminal of `width` columns.
pub(super) fn printed(
    report: &DiagnosisReport,
    conclusions: &[String],
    width: Option<usize>,
) -> String {
    let mut tables = vec![systems(report), bands(report)];
    tables.extend(shock(report));
    tables.extend([over_predicted(report, SHOWN), under_predicted(report, SHOWN)]);
    let tables = tables.into_iter().map(|TitledTable { title, about, header, rows }| {
        // The pipeline's own answers are what is of most interest.
        let spare: Vec<&str> =
            SPARE.into_iter().filter(|name| *name != report.own.name()).collect();
        format!("{title}: {about}\n{}", table::table(&header, rows, width, &spare))
    });
    tables
        .chain([words(report)])
        .chain(conclusions.iter().cloned())
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// What the words of the tables mean.
fn words(report: &DiagnosisReport) -> String {
    let mut lines = vec![
        "ECE: expected calibration error, how far confidences are from accuracy; 0 is best",
        "linear, log-linear, prior: all mix with the lambda above; prior also divides out, by tau,",
        "  how finetuning moved the mean prediction",
        "majority: always the object that is right of most other questions of the relation",
        "base prior: the object's mean probability under the base model, over the questions",
    ];
    if report.all.training.is_some() {
        lines.extend([
            "rare: less than common; seen in training: the object of a training fact",
            "trained: of how many training facts the object is the object",
            "q_train / q_base: its share of the training facts over the share that the base expects",
        ]);
    }
    lines.join("\n")
}

/// A number of a table.
pub(super) fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

/// A count of questions, of which several right objects have a share each.
fn count(value: f64) -> String {
    if value.fract().abs() < 0.05 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn range(interval: Interval) -> String {
    format!("{:.3} to {:.3}", interval.low, interval.high)
}

/// How right the systems are.
pub(super) fn systems(report: &DiagnosisReport) -> TitledTable {
    let row = |&system: &System| {
        let scores = report.scores(system);
        let own = if system == report.own { " *" } else { "" };
        let mut row = vec![format!("{}{own}", system.name())];
        for interval in [scores.precision_at_1, scores.mean_reciprocal_rank, scores.hits_at_5] {
            row.extend([number(Some(interval.mean)), range(interval)]);
        }
        row.push(number(Some(scores.expected_calibration_error)));
        row.push(number(scores.calibrated_error));
        row
    };
    let mut rows: Vec<Vec<String>> = report.systems.iter().map(row).collect();
    let mut majority = vec!["-".to_owned(); rows[0].len()];
    majority[0] = "majority".to_owned();
    majority[1] = number(Some(report.all.majority_precision_at_1));
    rows.insert(0, majority);
    let mut header = vec![
        "system",
        "P@1",
        "P@1 95 %",
        "MRR",
        "MRR 95 %",
        "Hits@5",
        "Hits@5 95 %",
        "ECE",
        "calibrated",
    ];
    if !report.tuned {
        header.pop();
        rows.iter_mut().for_each(|row| drop(row.pop()));
    }
    let about = format!(
        "{} of {}; * answers as the pipeline does; {}",
        counted(report.all.questions, "question"),
        counted(report.relations.len(), "relation"),
        weights(report)
    );
    TitledTable { title: "how right the systems are", about, header, rows }
}

/// With which numbers the corrections answer.
pub(super) fn weights(report: &DiagnosisReport) -> String {
    let mut relations = report.relations.iter().map(|r| (r.seen.lambda, r.seen.tau));
    let first = relations.next();
    let alike = relations.all(|weights| Some(weights) == first);
    let (lambda, tau) = (report.all.lambda, report.all.tau);
    match alike {
        true => format!("lambda {lambda:.2}, prior tau {tau:.2}"),
        false => format!("lambda by relation, {lambda:.2} on average, prior tau {tau:.2}"),
    }
}

const BY_SYSTEM: [&str; 5] = ["base", "finetuned", "linear", "log-linear", "prior"];

fn band_row(band: &Band, name: String) -> Vec<String> {
    let mut row = vec![name, band.entities.to_string(), count(band.gold)];
    row.extend(band.predicted.iter().map(usize::to_string));
    row
}

/// Predictions of objects by how common they are and how often they were trained. Bands without
/// objects are left out.
pub(super) fn bands(report: &DiagnosisReport) -> TitledTable {
    let mut rows = Vec::new();
    let mut add = |bands: &[Band], name: &dyn Fn(&'static str) -> String| {
        let bands = bands.iter().filter(|band| band.entities > 0);
        rows.extend(bands.map(|band| band_row(band, name(band.name))));
    };
    let training = report.all.training.as_ref();
    if let Some(training) = training {
        add(&training.shock, &str::to_owned);
    }
    add(&report.all.by_frequency, &|name| match name {
        "none" => "not in gold".to_owned(),
        name => format!("{name} of gold"),
    });
    if let Some(training) = training {
        add(&training.by_training, &|name| match name {
            "unseen" => "never trained".to_owned(),
            name => format!("trained {name}"),
        });
    }
    let about = format!(
        "common: {:.0} % or more of their relation's gold; several right objects of a question \
         count a share each",
        COMMON * 100.0
    );
    let header = [vec!["objects", "entities", "gold"], BY_SYSTEM.to_vec()].concat();
    TitledTable { title: "how often objects are right and predicted", about, header, rows }
}

/// How over-prediction goes with the shock, and how right the systems are beyond training.
pub(super) fn shock(report: &DiagnosisReport) -> Option<TitledTable> {
    let training = report.all.training.as_ref()?;
    let row = |&system: &System| {
        let at = system.index();
        let correlation = training.correlation[at];
        let share = |band: &Band| (band.gold > 0.0).then(|| band.right[at] / band.gold);
        vec![
            system.name().to_owned(),
            number(correlation.map(|c| c.pearson)),
            number(correlation.map(|c| c.spearman)),
            number(share(&training.seen[0])),
            number(share(&training.seen[1])),
        ]
    };
    let TrainingEffect { seen, facts, .. } = training;
    let about = format!(
        "r and rho correlate over-prediction with the shock, ln(q_train / q_base), over {} \
         entities; right on the {} questions with objects seen in the {facts} training facts, and \
         on {} unseen",
        training.correlation.iter().flatten().map(|c| c.pairs).max().unwrap_or(0),
        count(seen[0].gold),
        count(seen[1].gold)
    );
    Some(TitledTable {
        title: "what training did",
        about,
        header: vec!["system", "r", "rho", "right if seen", "right if unseen"],
        rows: report.systems.iter().map(row).collect(),
    })
}

/// The entities that the finetuned model predicts oftener than they are right, the worst first.
pub(super) fn over_predicted(report: &DiagnosisReport, most: usize) -> TitledTable {
    entities(report, "most over-predicted", 1.0, most)
}

/// The entities that it predicts less often.
pub(super) fn under_predicted(report: &DiagnosisReport, most: usize) -> TitledTable {
    entities(report, "most under-predicted", -1.0, most)
}

fn entities(report: &DiagnosisReport, title: &'static str, sign: f64, most: usize) -> TitledTable {
    let excess = |entity: &EntityReport| {
        sign * (entity.seen.predicted[System::Finetuned.index()] as f64 - entity.seen.gold)
    };
    let mut worst: Vec<(&str, &EntityReport)> =
        report.entities().filter(|(_, entity)| excess(entity) > 0.0).collect();
    worst.sort_by(|(_, a), (_, b)| excess(b).total_cmp(&excess(a)));
    worst.truncate(most);
    let trained = report.all.training.is_some();
    let row = |(relation, entity): &(&str, &EntityReport)| {
        let EntityReport { label, seen, .. } = entity;
        let mut row = vec![label.clone(), (*relation).to_owned()];
        row.extend(trained.then(|| seen.training.to_string()));
        row.extend([number(Some(seen.base_prior)), count(seen.gold)]);
        row.extend(seen.predicted.iter().map(usize::to_string));
        row
    };
    let mut header = vec!["object", "relation"];
    header.extend(trained.then_some("trained"));
    header.extend(["base prior", "gold"]);
    header.extend(BY_SYSTEM);
    let about = "objects by the finetuned model's predictions less gold".to_owned();
    TitledTable { title, about, header, rows: worst.iter().map(row).collect() }
}
