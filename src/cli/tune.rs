//! `kgbuild tune`: a pipeline's numbers, chosen on held-out facts.

use super::args::TuneArgs;
use super::check;
use super::export::whole_file;
use super::failure::{Failure, show};
use super::interrupt::stop_on_interrupt;
use super::known::Known;
use super::models::load_runtime;
use super::say::{is_quiet, print_summary, warn};
use super::table;
use super::target::unwritable;
use crate::config::{self, MadeFrom, Pipeline, Tuned, TunedNumbers};
use crate::diagnostic::{At, Diagnostic, Diagnostics, Place};
use crate::facts::Facts;
use crate::fetch::{self, Cache};
use crate::pipeline::{self, LocatedModels, Plan};
use crate::shock::tune::{Measures, Numbers, Tuned as Chosen, Tuning};

/// Chooses the numbers, writes them, and says on what they rest and what they are worth.
pub fn tune(args: &TuneArgs) -> Result<(), Failure> {
    let (pipeline, warnings) = check::read(&args.pipeline)?;
    show(&warnings);
    let Some(tuning) = pipeline.tuning.clone() else {
        return Err(Diagnostics::from(no_section(&pipeline)).into());
    };
    if let Some(mistake) = unwritable("tuning.file", &tuning.file) {
        return Err(at(&tuning.place, mistake));
    }
    Tuned::replaceable(&tuning.file)?;
    untested(&pipeline, &tuning)?;
    let stop =
        stop_on_interrupt("stopping; again to stop at once", "stopped; nothing was written")?;
    let cache = Cache::from_environment().map_err(Failure::bad_input)?;
    let mut known = Known::read(&pipeline, &tuning.entities, &tuning.facts, &cache)?;
    let answerable = known.plan.answerable();
    if answerable < tuning.min_facts {
        return Err(too_few(&tuning, answerable));
    }
    let runtime = load_runtime(&pipeline, args.library.path.as_deref(), &cache)?;
    let Some(scored) = known.ask(&pipeline, &runtime, is_quiet(), &stop)? else {
        warn("interrupted: nothing was written");
        return Err(Failure::Interrupted);
    };
    let questions = known.questions(scored);
    let chosen = pipeline::tune(&known.plan, &questions, tuning.min_facts)
        .ok_or_else(|| too_few(&tuning, answerable))?;
    let made_from = made_from(&pipeline, &known.models)?;
    let text =
        tuned(&pipeline, &known.plan, &chosen, made_from).to_text().map_err(Failure::failed)?;
    whole_file(&tuning.file, |out| out.write_all(text.as_bytes()).map_err(Failure::Output))?;
    print_tuning(&known.plan, &chosen, &tuning.file.display().to_string(), &pipeline)
}

fn no_section(pipeline: &Pipeline) -> Diagnostic {
    let message = "the pipeline does not say what to tune on";
    let help = "add `[tuning]` with `facts = \"…\"`, tables of held-out facts, and `file = \"…\"`, \
                where the numbers go";
    let mistake = Diagnostic::error("no-tuning", message).help(help);
    mistake.at(&pipeline.file, At::File)
}

fn too_few(tuning: &config::Tuning, answerable: usize) -> Failure {
    let message = format!(
        "{answerable} of the held-out questions can be answered, and tuning takes {} at least",
        tuning.min_facts
    );
    let help = "name more facts, whose objects are candidates; or lower `tuning.min_facts`";
    at(&tuning.facts_place, Diagnostic::error("too-few-facts", message).help(help))
}

fn at(place: &Place, mistake: Diagnostic) -> Failure {
    Diagnostics::from(Diagnostic { place: Some(place.clone()), ..mistake }).into()
}

/// The gold facts are what the result is tested by: numbers that have seen them would be too good.
fn untested(pipeline: &Pipeline, tuning: &config::Tuning) -> Result<(), Failure> {
    let Some(gold) = &pipeline.inputs.gold else { return Ok(()) };
    let (gold, _) = Facts::read(std::slice::from_ref(gold))?;
    let (facts, _) = Facts::read(&tuning.facts)?;
    let both = facts.overlap(&gold);
    let Some((relation, subject)) = both.first() else { return Ok(()) };
    let message = format!(
        "{} of the {} held-out questions are among the gold facts, as <{subject}> for <{relation}>",
        both.len(),
        facts.len()
    );
    let help = "the gold facts test what tuning chose: take the questions out of one of the two";
    let mistake = Diagnostic::error("tested-facts", message).help(help);
    Err(Diagnostics::from(mistake.at(&tuning.facts[0], At::File)).into())
}

/// What numbers that are tuned now belong to.
///
/// # Errors
/// Where the tables of held-out facts cannot be read.
pub fn made_from(pipeline: &Pipeline, models: &LocatedModels) -> Result<MadeFrom, Failure> {
    let facts = pipeline.tuning.iter().flat_map(|tuning| &tuning.facts);
    let facts_sha256: Result<_, _> = facts.map(|file| fetch::sha256_of(file)).collect();
    let sha256 = |model: Option<&crate::graph::ModelDescription>| {
        model.map_or_else(String::new, |model| model.sha256.clone())
    };
    Ok(MadeFrom {
        kgbuild: env!("CARGO_PKG_VERSION").to_owned(),
        base_sha256: sha256(models.named_base()),
        finetuned_sha256: sha256(models.finetuned()),
        correction: pipeline.correction.name().to_owned(),
        normalise: match (models.masked(), pipeline.prediction.normalise) {
            (true, _) => format!("sequence, {:?}", pipeline.prediction.masked).to_lowercase(),
            (false, config::Normalise::Trie) => "trie".to_owned(),
            (false, config::Normalise::Sequence) => "sequence".to_owned(),
        },
        examples_sha256: match &pipeline.examples {
            None => Vec::new(),
            Some(examples) => {
                let files = examples.facts.iter().chain(&examples.entities);
                let mut hashes: Vec<String> = files
                    .map(|f| fetch::sha256_of(f))
                    .collect::<Result<_, _>>()
                    .map_err(Failure::bad_input)?;
                hashes.push(format!("{} for {:?}", examples.count, examples.models).to_lowercase());
                hashes
            }
        },
        facts_sha256: facts_sha256.map_err(Failure::bad_input)?,
    })
}

/// The file of tuned numbers.
fn tuned(pipeline: &Pipeline, plan: &Plan, chosen: &Tuning, made_from: MadeFrom) -> Tuned {
    let mixes = pipeline.correction != config::Correction::None;
    let numbers = |chosen: &Chosen| {
        let Numbers { weights, calibration, threshold } = chosen.numbers;
        TunedNumbers {
            facts: chosen.answerable as u64,
            lambda: mixes.then_some(weights.lambda),
            tau: pipeline.correction.removes_shift().then_some(weights.tau),
            temperature: calibration.temperature,
            bias: calibration.bias,
            threshold,
        }
    };
    let relations = plan.relations.iter().zip(&chosen.relations);
    Tuned {
        made_from,
        all: Some(numbers(&chosen.all)),
        relations: relations
            .filter(|(_, chosen)| chosen.own)
            .map(|(relation, chosen)| (relation.iri.to_string(), numbers(chosen)))
            .collect(),
    }
}

/// The columns that a narrow terminal does without, the first one first.
const SPARE: [&str; 6] =
    ["bias", "temperature", "F1 before", "F1 tuned", "error before", "P@1 before"];

fn print_tuning(
    plan: &Plan,
    chosen: &Tuning,
    file: &str,
    pipeline: &Pipeline,
) -> Result<(), Failure> {
    let mut header = vec![
        "relation",
        "facts",
        "lambda",
        "tau",
        "temperature",
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
    if !pipeline.correction.removes_shift() {
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
    print_summary(&text)
}

/// A relation of the table, or all; `-` stands for what cannot be known of so few questions.
fn row(name: &str, chosen: &Chosen) -> Vec<String> {
    let Numbers { weights, calibration, threshold } = chosen.numbers;
    let (before, tuned): (&Measures, &Measures) = (&chosen.untuned, &chosen.crossfitted);
    let own = if chosen.own { "" } else { " *" };
    let mut row = vec![format!("{name}{own}"), chosen.answerable.to_string()];
    row.extend([weights.lambda, weights.tau].map(|x| format!("{x:.2}")));
    row.extend([calibration.temperature, calibration.bias].map(|x| format!("{x:.2}")));
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
