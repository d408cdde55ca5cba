//! The numbers that were tuned for a pipeline: what they belong to, and whether they still do.

use super::{Error, LocatedModels, Plan};
use crate::config::{self, MadeFrom, Pipeline, TunedFile, TunedNumbers};
use crate::diagnostic::{At, Diagnostic, Diagnostics};
use crate::facts::{Facts, ObjectsOf};
use crate::fetch;
use crate::graph::ModelDescription;
use crate::shock::tune::{self, Numbers, Tuning};

/// The code of a pipeline whose numbers have not been tuned.
pub const NOT_TUNED: &str = "not-tuned";

/// Takes the tuned numbers that the pipeline names into it, if it names some.
///
/// # Errors
/// Where they were not made yet, or are not what they should be.
pub(super) fn take(pipeline: &mut Pipeline) -> Result<(), Diagnostics> {
    let Some(tuning) = &pipeline.tuning else { return Ok(()) };
    if !tuning.file.exists() {
        let message = format!("the tuned numbers `{}` are not there yet", tuning.file.display());
        let help = format!(
            "`kgbuild tune {}` makes them; or take out `[tuning]`",
            pipeline.file.display()
        );
        let mistake = Diagnostic::error(NOT_TUNED, message).help(help);
        return Err(Diagnostic { place: Some(tuning.place.clone()), ..mistake }.into());
    }
    let tuned = TunedFile::read(&tuning.file)?;
    pipeline.use_tuned(tuned);
    Ok(())
}

impl LocatedModels {
    /// Numbers that were tuned for other models or another correction mean nothing here.
    ///
    /// # Errors
    /// What they were tuned for, where it is not what the pipeline has.
    pub fn fit_tuned_numbers(&self, pipeline: &Pipeline) -> Result<(), Error> {
        let (Some(tuned), Some(tuning)) = (pipeline.tuned(), &pipeline.tuning) else {
            return Ok(());
        };
        let now = made_from(pipeline, self)?;
        let was = &tuned.made_from;
        let differs: Vec<&str> = [
            ("base model", was.base_sha256 != now.base_sha256),
            ("finetuned model", was.finetuned_sha256 != now.finetuned_sha256),
            ("correction", was.correction != now.correction),
            ("normalise", was.normalise != now.normalise),
            ("precision", was.precision != now.precision),
            ("way to ask (chat)", was.chat != now.chat),
            ("examples", was.examples_sha256 != now.examples_sha256),
        ]
        .into_iter()
        .filter_map(|(part, differs)| differs.then_some(part))
        .collect();
        if differs.is_empty() {
            return Ok(());
        }
        let file = tuning.file.display();
        let message = format!("`{file}` was tuned for another {}", differs.join(" and another "));
        let help = format!("`kgbuild tune {}` makes it anew", pipeline.file.display());
        let mistake = Diagnostic::error("tuned-for-another", message).help(help);
        Err(Diagnostics::from(Diagnostic { place: Some(tuning.place.clone()), ..mistake }).into())
    }
}

/// What numbers that are tuned now belong to.
///
/// # Errors
/// Where the tables of held-out facts cannot be read.
pub(super) fn made_from(pipeline: &Pipeline, models: &LocatedModels) -> Result<MadeFrom, Error> {
    let facts = pipeline.tuning.iter().flat_map(|tuning| &tuning.facts);
    let facts_sha256: Result<_, _> = facts.map(|file| fetch::sha256_of(file)).collect();
    let sha256 = |model: Option<&ModelDescription>| {
        model.map_or_else(String::new, |model| model.sha256.clone())
    };
    Ok(MadeFrom {
        kgbuild: env!("CARGO_PKG_VERSION").to_owned(),
        base_sha256: sha256(models.named_base()),
        finetuned_sha256: sha256(models.finetuned()),
        correction: pipeline.correction.name().to_owned(),
        normalise: match (models.masked(), pipeline.prediction.normalise) {
            (true, normalise) => {
                format!("{normalise:?}, {:?}", pipeline.prediction.masked).to_lowercase()
            }
            (false, normalise) => {
                format!("{normalise:?}, after {:?}", pipeline.prediction.after).to_lowercase()
            }
        },
        precision: models.chosen_precision().map(str::to_owned),
        chat: pipeline.models.chat,
        examples_sha256: examples_sha256(pipeline)?,
        facts_sha256: facts_sha256?,
    })
}

/// The hashes of the examples' tables, and how the examples are used.
fn examples_sha256(pipeline: &Pipeline) -> Result<Vec<String>, Error> {
    let Some(examples) = &pipeline.examples else { return Ok(Vec::new()) };
    let files = examples.facts.iter().chain(&examples.entities);
    let mut hashes: Vec<String> = files.map(|f| fetch::sha256_of(f)).collect::<Result<_, _>>()?;
    hashes.push(format!("{} for {:?}", examples.count, examples.models).to_lowercase());
    Ok(hashes)
}

/// The file of tuned numbers.
pub(super) fn file_of(
    pipeline: &Pipeline,
    plan: &Plan,
    chosen: &Tuning,
    made_from: MadeFrom,
) -> TunedFile {
    let mixes = pipeline.correction != config::CorrectionMethod::None;
    let numbers = |chosen: &tune::TunedRelation| {
        let Numbers { weights, calibration, threshold } = chosen.numbers;
        TunedNumbers {
            facts: chosen.answerable as u64,
            lambda: mixes.then_some(weights.lambda),
            tau: pipeline.correction.removes_shift().then_some(weights.tau),
            mean: weights.mean,
            share: calibration.share,
            score: calibration.score,
            bias: calibration.bias,
            threshold: (pipeline.aim != tune::Aim::Threshold).then_some(threshold),
        }
    };
    let relations = plan.relations.iter().zip(&chosen.relations);
    TunedFile {
        made_from,
        all: Some(numbers(&chosen.all)),
        relations: relations
            .filter(|(_, chosen)| chosen.own)
            .map(|(relation, chosen)| (relation.iri.to_string(), numbers(chosen)))
            .collect(),
    }
}

/// The gold facts are what the result is tested by: numbers that have seen them would be too good.
///
/// # Errors
/// Where facts that are tuned on are gold facts, or a table cannot be read.
pub(super) fn untested(
    pipeline: &Pipeline,
    tuning: &config::TuningSettings,
) -> Result<(), Diagnostics> {
    if pipeline.inputs.gold.is_empty() {
        return Ok(());
    }
    let (gold, _) = Facts::read(&pipeline.inputs.gold, ObjectsOf::Anything)?;
    let (facts, _) = Facts::read(&tuning.facts, ObjectsOf::Anything)?;
    let both = facts.overlap(&gold);
    let Some((relation, subject)) = both.first() else { return Ok(()) };
    let message = format!(
        "{} of the {} held-out questions are among the gold facts, as <{subject}> for <{relation}>",
        both.len(),
        facts.len()
    );
    let help = "the gold facts test what tuning chose: take the questions out of one of the two";
    let mistake = Diagnostic::error("tested-facts", message).help(help);
    Err(mistake.at(&tuning.facts[0], At::File).into())
}
