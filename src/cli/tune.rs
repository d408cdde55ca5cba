//! `kgbuild tune`: a pipeline's numbers, chosen on held-out facts.

use super::args::TuneArgs;
use super::environment::asking_environment;
use super::failure::Failure;
use super::streams::Console;
use super::table;
use crate::metrics::proportion;
use crate::pipeline::{Job, TunedPlan};
use crate::shock::tune::{Aim, Measures, Numbers, TunedRelation};

/// Chooses the numbers, writes them, and says on what they rest and what they are worth.
pub(super) fn tune(args: &TuneArgs, console: Console) -> Result<(), Failure> {
    let environment = asking_environment(console, args.locked, &args.library)?;
    let job = Job::open(&args.pipeline, &environment)?;
    let removes_shift = job.pipeline().correction.removes_shift();
    let aim = job.pipeline().aim;
    let file = job.pipeline().tuning.as_ref().map(|tuning| tuning.file.display().to_string());
    let tuned = job.tune();
    let tuned =
        tuned.map_err(|error| Failure::from(error).saying("interrupted: nothing was written"))?;
    let table = table_of(&tuned, &file.unwrap_or_default(), removes_shift);
    console.summary(&format!("{table}\n{}\n{}", calibrated(&tuned), aimed(&tuned, aim)))
}

/// What confidences are worth, before and after.
fn calibrated(tuned: &TunedPlan) -> String {
    let all = &tuned.chosen.all;
    let (before, after) = (all.untuned.shares, all.crossfitted.confidences);
    format!(
        "confidences of the best answers, before and tuned: calibration error {:.3} and {:.3}, Brier \
         score {:.3} and {:.3}, log loss {:.3} and {:.3}",
        before.calibration_error,
        after.calibration_error,
        before.brier,
        after.brier,
        before.log_loss,
        after.log_loss
    )
}

/// What the thresholds were chosen for, and how far that was reached.
fn aimed(tuned: &TunedPlan, aim: Aim) -> String {
    let Measures { written, right, .. } = tuned.chosen.all.crossfitted;
    let mut text =
        format!("aim: {aim}; of the held-out questions, answered with numbers chosen on others, ");
    text += &match proportion::interval(right, written) {
        Some((low, high)) => format!(
            "{written} triples would be written and {right} of them right: precision {:.3} \
             (95 % interval {low:.3} to {high:.3})",
            right as f64 / written as f64
        ),
        None => "no triple would be written".to_owned(),
    };
    let relations = tuned.plan.relations.iter().zip(&tuned.chosen.relations);
    let everything: Vec<&str> = relations
        .filter(|(_, chosen)| chosen.numbers.threshold <= 0.0)
        .map(|(relation, _)| &*relation.name)
        .collect();
    if !everything.is_empty() {
        text += &format!(
            "\nthreshold 0: of {} every answer is written, right or not, since the held-out facts \
             gave no reason to leave one out; `precision = 0.9` under [selection] asks for one",
            everything.join(", ")
        );
    }
    text
}

/// The columns that a narrow terminal does without, the first one first.
const SPARE: [&str; 8] =
    ["bias", "score", "share", "majority", "F1 before", "F1 tuned", "error before", "P@1 before"];

fn table_of(tuned: &TunedPlan, file: &str, removes_shift: bool) -> String {
    let TunedPlan { plan, chosen } = tuned;
    let mut header = vec![
        "relation",
        "facts",
        "lambda",
        "tau",
        "mean",
        "share",
        "score",
        "bias",
        "threshold",
        "majority",
        "P@1 before",
        "P@1 tuned",
        "F1 before",
        "F1 tuned",
        "error before",
        "error tuned",
    ];
    let relations = plan.relations.iter().zip(&chosen.relations);
    let mut rows: Vec<Vec<String>> =
        relations.map(|(relation, chosen)| row(&relation.name, chosen)).collect();
    rows.push(row("all", &chosen.all));
    if !removes_shift {
        header.remove(3);
        rows.iter_mut().for_each(|row| drop(row.remove(3)));
    }
    let mut text = table::table(&header, rows, table::terminal_width(), &SPARE);
    if chosen.relations.iter().any(|relation| !relation.own) {
        text += "\n* too few facts of its own: it takes the numbers of the row `all`";
    }
    text += &format!(
        "\n\nfacts: the held-out questions that can be answered, on which the numbers rest\n\
         majority: P@1 of always giving the object of most other held-out questions\n\
         before: answered with the pipeline's own numbers, without calibration\n\
         tuned: answered with numbers chosen on other questions (5 parts); error: the \
         calibration error of each question's best answer, over 15 bins of equal mass\n\
         all: the numbers for relations without numbers of their own; its P@1, F1 and error are \
         over the questions of all relations, each answered with its relation's numbers\n\
         written: {file}"
    );
    text
}

/// A relation of the table, or all; `-` stands for what cannot be known of so few questions.
fn row(name: &str, chosen: &TunedRelation) -> Vec<String> {
    let Numbers { weights, calibration, threshold } = chosen.numbers;
    let (before, tuned): (&Measures, &Measures) = (&chosen.untuned, &chosen.crossfitted);
    let own = if chosen.own { "" } else { " *" };
    let mut row = vec![format!("{name}{own}"), chosen.answerable.to_string()];
    row.extend([weights.lambda, weights.tau, weights.mean].map(|x| format!("{x:.2}")));
    row.extend([calibration.share, calibration.score, calibration.bias].map(|x| format!("{x:.2}")));
    row.push(format!("{threshold:.2}"));
    let asked = chosen.questions > 0;
    let has_objects = chosen.facts > 0;
    // Numbers chosen on other questions need others.
    let has_others = chosen.answerable >= 2;
    let measures = [
        (chosen.majority, has_objects),
        (before.p_at_1, has_objects),
        (tuned.p_at_1, has_others),
        (before.f1, asked),
        (tuned.f1, has_others),
        (before.shares.calibration_error, asked),
        (tuned.confidences.calibration_error, has_others),
    ];
    row.extend(measures.map(|(x, known)| if known { format!("{x:.3}") } else { "-".to_owned() }));
    row
}
