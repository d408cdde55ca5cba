//! All that a graph depends on: what makes two runs the same one.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{CHUNK_SUBJECTS, Error, LocatedModels, MeansOf, Plan, RelationPlan, schema};
use crate::config::{self, CandidateNames, Pipeline, PredictionSettings};
use crate::fetch;
use crate::graph::RunDescription;
use crate::lm::Demand;
use crate::onnx::{IMPORTER_VERSION, PREPARER_VERSION};
use crate::shock::{Calibration, Pair};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is written about a run, its signature among it; of a shard, the graph of all lies in `whole`.
///
/// # Errors
/// Where an input cannot be read.
pub(super) fn describe(
    pipeline: &Pipeline,
    plan: &Plan,
    models: &LocatedModels,
    whole: &Path,
) -> Result<RunDescription, Error> {
    let config_sha256 = hash_of(&settings(pipeline, plan, Whose::All));
    let signature = sign(pipeline, plan, models, Whose::All)?;
    Ok(RunDescription {
        signature,
        base_model: models.base().cloned(),
        finetuned_model: models.finetuned().cloned(),
        config_sha256,
        lambda: shared_lambda(pipeline, plan),
        correction: pipeline.correction.name().to_owned(),
        precision: models.chosen_precision().map(str::to_owned),
        tuned_sha256: match &pipeline.tuning {
            Some(tuning) => Some(fetch::sha256_of(&tuning.file)?),
            None => None,
        },
        version: VERSION.to_owned(),
        schema: schema::describe(plan),
        shard: plan.describe_shard(&pipeline.file, whole),
    })
}

/// Of which subjects is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of all.
    All,
    /// Of none, which others know.
    Nobody,
}

/// All that a graph depends on, but what is told elsewhere of its subjects.
///
/// # Errors
/// Where an input cannot be read.
pub(super) fn sign(
    pipeline: &Pipeline,
    plan: &Plan,
    models: &LocatedModels,
    whose: Whose,
) -> Result<BTreeMap<String, String>, Error> {
    let mut signature = settings(pipeline, plan, whose);
    signature.insert(
        "kgbuild".to_owned(),
        format!("{VERSION}, importer {IMPORTER_VERSION}, preparer {PREPARER_VERSION}"),
    );
    for (part, model) in [("base model", models.base()), ("finetuned model", models.finetuned())] {
        if let Some(model) = model {
            signature.insert(part.to_owned(), model.sha256.clone());
        }
    }
    if let Some(precision) = models.chosen_precision() {
        signature.insert("precision".to_owned(), precision.to_owned());
    }
    signature.extend(plan.prompter.identity().map(|chat| ("chat".to_owned(), chat)));
    let inputs = &pipeline.inputs;
    for (part, files) in [
        ("ontology", &inputs.ontology),
        ("subjects", &inputs.subjects),
        ("candidates", &inputs.candidates),
        ("gold", &inputs.gold),
        ("known facts", &inputs.known),
    ] {
        if part == "subjects" && whose == Whose::Nobody {
            continue;
        }
        let hashes: Result<Vec<String>, _> = files.iter().map(|f| fetch::sha256_of(f)).collect();
        signature.insert(part.to_owned(), hashes?.join(" "));
    }
    if !plan.ontology.consequences().is_empty() {
        // What the ontology says is in its hash; graphs of before lack what follows.
        signature.insert("inference".to_owned(), "properties of relations".to_owned());
    }
    Ok(signature)
}

/// The settings and numbers, by what they are of.
fn settings(pipeline: &Pipeline, plan: &Plan, whose: Whose) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    settings.insert("prediction".to_owned(), describe_prediction(&pipeline.prediction));
    settings.insert("subjects a chunk".to_owned(), CHUNK_SUBJECTS.to_string());
    settings.insert("prompts a batch".to_owned(), plan.batch_prompts.to_string());
    settings.extend(plan.crawl_text().map(|text| ("crawl".to_owned(), text)));
    for relation in &plan.relations {
        let numbers = describe_relation(pipeline, plan, relation, whose);
        settings.insert(format!("relation <{}>", relation.iri), numbers);
    }
    settings
}

/// How a distribution over the candidates is computed.
fn describe_prediction(prediction: &PredictionSettings) -> String {
    // Names are told by relation.
    let PredictionSettings { normalise, after, method, tolerance, masked, names: _ } = prediction;
    format!("{normalise:?}, after {after:?}, {method:?}, tolerance {tolerance}, masked {masked:?}")
        .to_lowercase()
}

/// SHA-256 of the settings as JSON.
fn hash_of(settings: &BTreeMap<String, String>) -> String {
    // Text to text is always JSON, as Display writes it.
    hex::encode(Sha256::digest(serde_json::json!(settings).to_string()))
}

/// The mixing weight, where there is a correction and all relations have the same.
fn shared_lambda(pipeline: &Pipeline, plan: &Plan) -> Option<f64> {
    if pipeline.correction == config::CorrectionMethod::None {
        return None;
    }
    let mut lambdas = plan.relations.iter().map(|relation| pipeline.lambda(&relation.iri));
    let first = lambdas.next()?;
    lambdas.all(|lambda| lambda == first).then_some(first)
}

/// All numbers that a relation's triples depend on.
fn describe_relation(
    pipeline: &Pipeline,
    plan: &Plan,
    relation: &RelationPlan,
    whose: Whose,
) -> String {
    let over = |subjects: usize| match whose {
        Whose::All => format!(" over {subjects} drawn subjects"),
        Whose::Nobody => String::new(),
    };
    let mut text = pipeline.correction.name().to_owned();
    if pipeline.correction != config::CorrectionMethod::None {
        text += &format!(", lambda {}", pipeline.lambda(&relation.iri));
    }
    if pipeline.names(&relation.iri) == CandidateNames::All {
        text += ", all names";
    }
    if let Some(tau) = relation.tau {
        text += &format!(", tau {tau}{}", over(relation.prior_subjects.len()));
    }
    let subjects = relation.subjects_of_text().len();
    if subjects > 0 || (whose == Whose::Nobody && relation.texts.iter().any(|t| !t.is_empty())) {
        text += &format!(", text after{}", over(subjects));
    }
    if relation.mean != 0.0 {
        let subjects = relation.subjects_of_means(MeansOf::CorrectedRelations).len();
        text += &format!(", mean {}{}", relation.mean, over(subjects));
    }
    let Demand { most, calibration, threshold } = relation.rankings.mixed;
    if calibration != Calibration::IDENTITY {
        let Calibration { share, score, bias } = calibration;
        text += &format!(", share {share}, score {score}, bias {bias}");
    }
    if !relation.examples.is_empty() {
        let Pair { finetuned, base } = plan.exampled;
        let hash = hex::encode(Sha256::digest(&relation.examples));
        text += &format!(", examples {hash} (finetuned {finetuned} and base {base})");
    }
    format!("{text}, threshold {threshold}, at most {most}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lm::{After, Method, Normalise, Scoring};

    /// Graphs that are half done go on only under the same words.
    #[test]
    fn predictions_are_signed_in_the_same_words() {
        let signed = |normalise, method, masked| {
            describe_prediction(&PredictionSettings {
                normalise,
                after: After::Mean,
                names: CandidateNames::Label,
                masked,
                method,
                tolerance: 1e-6,
            })
        };
        assert_eq!(
            signed(Normalise::Trie, Method::Search, Scoring::AnswerL2r),
            "trie, after mean, search, tolerance 0.000001, masked answerl2r"
        );
        assert_eq!(
            signed(Normalise::List, Method::Exhaustive, Scoring::WithinWordL2r),
            "list, after mean, exhaustive, tolerance 0.000001, masked withinwordl2r"
        );
        assert!(
            signed(Normalise::Trie, Method::Search, Scoring::Independent)
                .ends_with("masked independent")
        );
    }

    #[test]
    fn settings_are_hashed_as_compact_json_in_order() {
        let settings = BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".into(), "1".into())]);
        let expected = hex::encode(Sha256::digest(r#"{"a":"1","b":"2"}"#));
        assert_eq!(hash_of(&settings), expected);
    }
}
