//! From what is written to the validated [`Finetune`]: paths that exist and combinations that mean
//! something.

use std::path::Path;

use super::super::paths::Kind;
use super::super::resolve::LANGUAGE;
use super::super::resolver::{MODEL_FORMS, Resolver};
use super::super::walk::Spans;
use super::raw::{RawFacts, RawFinetune, RawMixture, RawTraining};
use super::{FactSettings, Finetune, HeldOut, Method, Mixture, TrainingSettings};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::fetch::{ModelSource, Source};
use crate::onnx::{Module, Precision};

/// How a text is written.
const TEXT_FORMS: &str = "a text is a local file or `pypi:package==version#path/inside`";

/// Held out where the file says nothing.
const HELD_OUT_SHARE: f64 = 0.1;

/// The settings of `file`; of use only if nothing in `found` is an error. Nothing where a source
/// is missing, which `found` then says.
pub(super) fn resolve(
    raw: RawFinetune,
    file: &Path,
    spans: &Spans,
    found: &mut Diagnostics,
) -> Option<Finetune> {
    let resolver = &mut Resolver::new(file, spans, found);
    let base = resolver.source(raw.model.base, &["model", "base"], Kind::Any, MODEL_FORMS);
    if let Some(path) = base.as_ref().and_then(ModelSource::path)
        && path.join("adapter_config.json").is_file()
    {
        let message = "`model.base` is an adapter, and cannot be finetuned itself";
        let diagnostic = Diagnostic::error("adapter-as-base", message)
            .help("name the model that the adapter was trained on");
        resolver.push(diagnostic, spans.value(&["model", "base"]));
    }
    let facts = facts(resolver, raw.facts);
    let ontology = resolver.files(raw.inputs.ontology, ["inputs", "ontology"]);
    let entities = resolver.files(raw.inputs.entities, ["inputs", "entities"]);
    let training = training(resolver, raw.training);
    precision(resolver, raw.model.precision, training.method);
    let mixture = raw.mixture.map(|raw| mixture(resolver, raw));
    let folder =
        raw.output.folder.map(|f| resolver.path(&f, Kind::FolderToBe, &["output", "folder"]));
    let named_relations = std::mem::take(&mut resolver.named);
    Some(Finetune {
        file: file.to_owned(),
        base: base?,
        precision: raw.model.precision,
        facts,
        ontology,
        entities,
        language: raw.inputs.language.unwrap_or_else(|| LANGUAGE.to_owned()),
        training,
        mixture: match mixture {
            Some(mixture) => Some(mixture?),
            None => None,
        },
        folder: folder?,
        named_relations,
    })
}

/// Refuses a precision in which nothing is trained.
fn precision(resolver: &mut Resolver<'_>, chosen: Precision, method: Method) {
    let (problem, help) = match (chosen, method) {
        (Precision::F32, _) | (Precision::Q8 | Precision::Q4, Method::Lora) => return,
        (Precision::Int8, _) => {
            ("a training makes no products of integers", "write \"q8\" or \"q4\", or leave it out")
        }
        (_, Method::All) => (
            "all weights are trained in f32",
            "leave it out, or train an adapter with `method = \"lora\"` under [training]",
        ),
    };
    let message = format!("`model.precision` is \"{chosen}\", and {problem}");
    let mistake = Diagnostic::error("precision-of-training", message).help(help);
    resolver.push(mistake, resolver.spans.value(&["model", "precision"]));
}

fn facts(resolver: &mut Resolver<'_>, raw: RawFacts) -> FactSettings {
    let has_files = resolver.spans.has(&["facts", "held_out"]);
    if has_files && resolver.spans.has(&["facts", "held_out_share"]) {
        let message = "`held_out` and `held_out_share` are two ways to say one thing";
        let diagnostic = Diagnostic::error("held-out-twice", message)
            .help("take one of them out: files of their own, or a share of the training facts");
        resolver.push(diagnostic, resolver.spans.key(&["facts", "held_out_share"]));
    }
    let train = resolver.files(raw.train, ["facts", "train"]);
    let held_out = resolver.files(raw.held_out, ["facts", "held_out"]);
    FactSettings {
        train,
        held_out: if has_files {
            HeldOut::Files(held_out)
        } else {
            HeldOut::Share(raw.held_out_share.unwrap_or(HELD_OUT_SHARE))
        },
        test: resolver.files(raw.test, ["facts", "test"]),
        relations: raw.relations.map(|iris| resolver.relations(iris, ["facts", "relations"])),
        allow_overlap: raw.allow_overlap,
    }
}

pub(in super::super) fn training(
    resolver: &mut Resolver<'_>,
    raw: RawTraining,
) -> TrainingSettings {
    if raw.method == Method::All {
        for key in ["rank", "alpha", "modules"] {
            resolver.unused(&["training", key], "only `lora` depends on it");
        }
    }
    for (i, module) in raw.modules.iter().enumerate() {
        if raw.modules[..i].contains(module) {
            let diagnostic = Diagnostic::error("twice", "a module is in `training.modules` twice")
                .help("take one of them out");
            let at = resolver.spans.value(&["training", "modules", &i.to_string()]);
            resolver.push(diagnostic, at);
        }
    }
    let learning_rate = match raw.method {
        Method::Lora => 5e-4,
        Method::All => 2e-5,
    };
    TrainingSettings {
        method: raw.method,
        rank: raw.rank,
        alpha: raw.alpha.unwrap_or(2.0 * raw.rank as f64),
        modules: in_order(raw.modules),
        epochs: raw.epochs,
        batch_size: raw.batch_size,
        learning_rate: raw.learning_rate.unwrap_or(learning_rate),
        warmup_share: raw.warmup_share,
        decay: raw.decay,
        weight_decay: raw.weight_decay,
        clip_norm: raw.clip_norm,
        seed: raw.seed.into(),
        templates: raw.templates,
        evaluate_every: raw.evaluate_every,
        patience: raw.patience,
        keep: raw.keep,
        checkpoint_every: raw.checkpoint_every,
        device: raw.device,
        threads: raw.threads,
    }
}

/// The modules in the order in which a layer has them: a result does not depend on how they are
/// listed.
fn in_order(mut modules: Vec<Module>) -> Vec<Module> {
    modules.sort_by_key(|&module| module as u8);
    modules
}

/// Nothing where the weight or the text is missing, which has been said.
pub(in super::super) fn mixture(resolver: &mut Resolver<'_>, raw: RawMixture) -> Option<Mixture> {
    let at = ["mixture", "text"];
    let text = resolver.source(raw.text, &at, Kind::File, TEXT_FORMS)?;
    if matches!(text.source, Source::Hf { .. }) {
        let diagnostic =
            Diagnostic::error("text-source", "a text cannot come from `hf:`").help(TEXT_FORMS);
        resolver.push(diagnostic, resolver.spans.value(&at));
    }
    let is_json = [".json", ".jsonl"].iter().any(|end| text.written.ends_with(end));
    if !is_json {
        resolver.unused(&["mixture", "field"], "only `.json` and `.jsonl` texts depend on it");
    }
    Some(Mixture {
        weight: raw.weight?,
        text,
        field: raw.field,
        end_of_text: raw.end_of_text,
        sequence_length: raw.sequence_length,
        sequences: raw.sequences,
    })
}
