//! `kgbuild tune`: a pipeline's numbers, chosen on held-out facts.

use super::args::TuneArgs;
use super::environment::asking_environment;
use super::failure::Failure;
use super::streams::Console;
use super::table;
use crate::pipeline::{Job, TunedPlan};
use crate::shock::tune::{Measures, Numbers, TunedRelation};

/// Chooses the numbers, writes them, and says on what they rest and what they are worth.
pub(super) fn tune(args: &TuneArgs, console: Console) -> Result<(), Failure> {
    let environment = asking_environment(console, args.locked, &args.library)?;
    let job = Job::open(&args.pipeline, &environment)?;
    let removes_shift = job.pipeline().correction.removes_shift();
    let file = job.pipeline().tuning.as_ref().map(|tuning| tuning.file.display().to_string());
    let tuned = job.tune();
    let tuned =
        tuned.map_err(|error| Failure::from(error).saying("interrupted: nothing was written"))?;
    console.summary(&table_of(&tuned, &file.unwrap_or_default(), removes_shift))
}

/// The columns that a narrow terminal does without, the first one first.
const SPARE: [&str; 7] =
    ["bias", "score", "share", "F1 before", "F1 tuned", "error before", "P@1 before"];

fn table_of(tuned: &TunedPlan, file: &str, removes_shift: bool) -> String {
    let TunedPlan { plan, chosen } = tuned;
    let mut header = vec![
        "relation",
        "facts",
        "lambda",
        "tau",
        "share",
        "score",
        "bias",
        "threshold",
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
         before: answered with the pipeline's own numbers, without calibration\n\
         tuned: answered with numbers chosen on other questions (5 parts); error: the expected \
         calibration error of each question's best answer\n\
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
    row.extend([weights.lambda, weights.tau].map(|x| format!("{x:.2}")));
    row.extend([calibration.share, calibration.score, calibration.bias].map(|x| format!("{x:.2}")));
    row.push(format!("{threshold:.2}"));
    let asked = chosen.questions > 0;
    let has_objects = chosen.facts > 0;
    // Numbers chosen on other questions need others.
    let has_others = chosen.answerable >= 2;
    let measures = [
        (before.p_at_1, has_objects),
        (tuned.p_at_1, has_others),
        (before.f1, asked),
        (tuned.f1, has_others),
        (before.ece_of_p, asked),
        (tuned.ece, has_others),
    ];
    row.extend(measures.map(|(x, known)| if known { format!("{x:.3}") } else { "-".to_owned() }));
    row
}
