//! From what is written to the validated [`Pipeline`]: paths that exist, IRIs that are ones, and
//! combinations that mean something.
//!
//! What the walker refused is absent here and has been reported; nothing is said about it twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics, Place, nearest};
use crate::fetch::ModelSource;
use crate::files::is_same_file;
use crate::lm::Normalise;
use crate::shock::Mixing;
use crate::shock::tune::Aim;

use super::paths::Kind;
use super::pipeline::{
    CorrectionMethod, ExampleSettings, ExampledModels, InputSettings, ModelSettings, Numbers,
    OutputSettings, OwnSettings, Pipeline, PredictionSettings, RuntimeSettings, TuningSettings,
};
use super::raw::{
    OneOrMany, RawAim, RawCorrection, RawExamples, RawInputs, RawMethod, RawModels, RawOutput,
    RawPipeline, RawPrediction, RawRule, RawRuntime, RawSelection, RawTuning,
};
use super::resolver::{MODEL_FORMS, Resolver};
use super::walk::Spans;

/// The language of labels where none is named.
pub(super) const LANGUAGE: &str = "en";

/// The share of its mean prediction that a base model answers better without, by README's table.
const BASE_MEAN: f64 = 0.35;

/// The pipeline of `file`; of use only if nothing in `found` is an error.
pub(super) fn resolve(
    raw: RawPipeline,
    file: &Path,
    spans: &Spans,
    found: &mut Diagnostics,
) -> Pipeline {
    let mut resolver = Resolver::new(file, spans, found);
    let prediction = PredictionSettings {
        normalise: raw.prediction.normalise,
        after: raw.prediction.after,
        names: raw.prediction.names,
        masked: raw.prediction.masked,
        method: raw.prediction.method,
        tolerance: raw.prediction.tolerance,
    };
    let models = resolver.models(raw.models);
    let inputs = resolver.inputs(raw.inputs);
    let correction = resolver.correction(&raw.correction, prediction.normalise);
    // Under `list` it would take every candidate scored.
    let is_list = prediction.normalise == Normalise::List;
    let untold_mean = if models.finetuned.is_some() || is_list { 0.0 } else { BASE_MEAN };
    let alone = (correction == CorrectionMethod::None)
        .then(|| if models.finetuned.is_some() { 1.0 } else { 0.0 });
    let numbers = Numbers {
        lambda: alone.unwrap_or(raw.correction.lambda),
        tau: raw.correction.tau,
        mean: raw.correction.mean,
        untold_mean,
        threshold: raw.selection.threshold,
        max_objects: raw.selection.max_objects,
    };
    let by_relation =
        resolver.own_settings(&inputs, &raw.prediction, &raw.correction, &raw.selection);
    let aim = resolver.aim(&raw.selection);
    let crawl = raw.crawl.map(|crawl| resolver.crawl(crawl, &inputs));
    let examples = raw.examples.map(|examples| resolver.examples(examples));
    let tuning = raw.tuning.map(|tuning| resolver.tuning(tuning));
    let output = resolver.output(raw.output);
    let runtime = resolver.runtime(raw.runtime);
    let pipeline = Pipeline {
        file: file.to_owned(),
        models,
        inputs,
        prediction,
        correction,
        aim,
        crawl,
        examples,
        tuning,
        output,
        runtime,
        named_relations: resolver.named,
        numbers,
        by_relation,
        tuned: None,
    };
    found.0.extend(tuned_over_a_source(&pipeline));
    pipeline
}

/// `kgbuild tune` replaces the file of tuned numbers, which must not be one that is read.
fn tuned_over_a_source(pipeline: &Pipeline) -> Option<Diagnostic> {
    let TuningSettings { file, place, .. } = pipeline.tuning.as_ref()?;
    let source = pipeline.sources().into_iter().find(|source| is_same_file(file, source))?;
    let what = if source == pipeline.file { "the pipeline" } else { "an input of the pipeline" };
    let message = format!(
        "`tuning.file` is {what}, `{}`, which `kgbuild tune` would overwrite",
        source.display()
    );
    let help = "name a file of its own, as in `file = \"tuned.toml\"`";
    let mistake = Diagnostic::error("tuned-over-a-source", message).help(help);
    Some(Diagnostic { place: Some(place.clone()), ..mistake })
}

impl Resolver<'_> {
    fn models(&mut self, raw: Option<RawModels>) -> ModelSettings {
        let is_table = raw.is_some();
        let raw = raw.unwrap_or_default();
        let base = self.source(raw.base, &["models", "base"], Kind::Any, MODEL_FORMS);
        let finetuned =
            self.source(raw.finetuned, &["models", "finetuned"], Kind::Any, MODEL_FORMS);
        let (has_base, has_finetuned) = self.has_models();
        if is_table && !has_base && !has_finetuned {
            let diagnostic = Diagnostic::error("no-model", "`[models]` names no model")
                .help("add `base = \"…\"`, `finetuned = \"…\"`, or both");
            self.push(diagnostic, self.spans.value(&["models"]));
        }
        let adapter = finetuned
            .as_ref()
            .and_then(ModelSource::path)
            .is_some_and(|path| path.join("adapter_config.json").is_file());
        if adapter && !has_base {
            let message = "`models.finetuned` is an adapter, and there is no base to put it on";
            let diagnostic = Diagnostic::error("adapter-without-base", message)
                .help("add `base = \"…\"`: the model that the adapter was trained on");
            self.push(diagnostic, self.spans.value(&["models", "finetuned"]));
        }
        ModelSettings { base, finetuned, precision: raw.precision, chat: raw.chat }
    }

    /// Whether the file names a base and a finetuned model, be they right or wrong.
    fn has_models(&self) -> (bool, bool) {
        (self.spans.has(&["models", "base"]), self.spans.has(&["models", "finetuned"]))
    }

    fn inputs(&mut self, raw: RawInputs) -> InputSettings {
        let graph = self.files(raw.graph, ["inputs", "graph"]);
        let gold = raw.gold.map(|path| self.path(&path, Kind::File, &["inputs", "gold"]));
        let gold = match gold {
            Some(gold) => vec![gold],
            None if raw.complete => Vec::new(),
            None => graph.clone(),
        };
        if raw.complete && !self.spans.has(&["inputs", "graph"]) {
            let message = "`inputs.complete` completes a graph, and none is named";
            let mistake = Diagnostic::error("nothing-to-complete", message)
                .help("add `graph = \"graph.ttl\"` to [inputs], or take `complete` out");
            self.push(mistake, self.spans.value(&["inputs", "complete"]));
        }
        InputSettings {
            ontology: self.files(raw.ontology, ["inputs", "ontology"]),
            subjects: self.entities(raw.subjects, "subjects", &graph),
            candidates: self.entities(raw.candidates, "candidates", &graph),
            gold,
            known: if raw.complete { graph } else { Vec::new() },
            language: raw.language.unwrap_or_else(|| LANGUAGE.to_owned()),
            relations: raw.relations.map(|iris| self.relations(iris, ["inputs", "relations"])),
        }
    }

    /// The files of a key of `[inputs]`; without it, those of the graph.
    fn entities(
        &mut self,
        raw: Option<OneOrMany>,
        key: &'static str,
        graph: &[PathBuf],
    ) -> Vec<PathBuf> {
        if self.spans.has(&["inputs", key]) {
            return self.files(raw, ["inputs", key]);
        }
        if self.spans.has(&["inputs"]) && !self.spans.has(&["inputs", "graph"]) {
            let message = format!("`inputs.{key}` is missing");
            let help = format!(
                "add `{key} = \"{key}.csv\"`, or `graph = \"graph.ttl\"`, which holds both"
            );
            let mistake = Diagnostic::error("missing-key", message).help(help);
            self.push(mistake, self.spans.key(&["inputs"]));
        }
        graph.to_vec()
    }

    fn examples(&mut self, raw: RawExamples) -> ExampleSettings {
        let at = |key: &'static str| ["examples", key];
        let (has_base, has_finetuned) = self.has_models();
        let missing = match raw.models {
            ExampledModels::Base => (!has_base).then_some("base"),
            ExampledModels::Finetuned => (!has_finetuned).then_some("finetuned"),
            ExampledModels::Both => None,
        };
        if let Some(role) = missing {
            let message = format!("the examples are for the {role} model, and there is none");
            let help = format!("name it as `{role}` under [models], or write `models = \"both\"`");
            let mistake = Diagnostic::error("examples-for-no-model", message).help(help);
            self.push(mistake, self.spans.value(&at("models")));
        }
        ExampleSettings {
            facts: self.files(raw.facts, at("facts")),
            entities: self.files(raw.entities, at("entities")),
            count: raw.count,
            models: raw.models,
        }
    }

    fn tuning(&mut self, raw: RawTuning) -> TuningSettings {
        let at = |key: &'static str| ["tuning", key];
        let file = raw.file.map(|path| self.path(&path, Kind::FileToBe, &at("file")));
        TuningSettings {
            facts: self.files(raw.facts, at("facts")),
            entities: self.files(raw.entities, at("entities")),
            file: file.unwrap_or_default(),
            min_facts: raw.min_facts,
            facts_place: Place { file: self.file.to_owned(), at: self.spans.value(&at("facts")) },
            place: Place { file: self.file.to_owned(), at: self.spans.value(&at("file")) },
        }
    }

    fn correction(&mut self, raw: &RawCorrection, normalise: Normalise) -> CorrectionMethod {
        let (has_base, has_finetuned) = self.has_models();
        let method = match raw.method {
            Some(method) => method,
            None if has_base && has_finetuned => RawMethod::LogLinear,
            None => RawMethod::None,
        };
        if method != RawMethod::None && has_base != has_finetuned {
            let (there, lacking) =
                if has_base { ("base", "finetuned") } else { ("finetuned", "base") };
            let message = format!("a correction needs two models, and `{lacking}` is missing");
            let help = format!(
                "add `{lacking} = \"…\"` to `[models]`, or write `method = \"none\"` to predict \
                 with `{there}` alone"
            );
            let diagnostic = Diagnostic::error("correction-needs-two-models", message).help(help);
            self.push(diagnostic, self.spans.value(&["correction", "method"]));
        }
        if method == RawMethod::None {
            let reason = if raw.method.is_some() {
                "`correction.method` is `none`"
            } else {
                "there is only one model"
            };
            self.unused(&["correction", "lambda"], reason);
            for iri in raw.relations.keys() {
                self.unused(&["correction", "relations", iri, "lambda"], reason);
            }
        }
        if method != RawMethod::Prior {
            let reason = "only `prior` depends on it";
            self.unused(&["correction", "tau"], reason);
            self.unused(&["correction", "then"], reason);
            for iri in raw.relations.keys() {
                self.unused(&["correction", "relations", iri, "tau"], reason);
            }
        }
        let linear = raw.then == Some(RawRule::Linear);
        let mixes = method == RawMethod::LogLinear || (method == RawMethod::Prior && !linear);
        if !mixes {
            self.unused(&["correction", "mixing"], "only `log-linear` depends on it");
        }
        if normalise != Normalise::Trie && mixes && raw.mixing == Some(Mixing::Branching) {
            let message = "mixing at each branching needs `prediction.normalise = \"trie\"`";
            let diagnostic = Diagnostic::error("mixing-needs-trie", message)
                .help("write `mixing = \"candidate\"`, or normalise by `trie`");
            self.push(diagnostic, self.spans.value(&["correction", "mixing"]));
        }
        let mixing = raw.mixing.unwrap_or(match normalise {
            Normalise::Trie => Mixing::Branching,
            Normalise::None | Normalise::List => Mixing::Candidate,
        });
        match method {
            RawMethod::None => CorrectionMethod::None,
            RawMethod::Linear => CorrectionMethod::Linear,
            RawMethod::LogLinear => CorrectionMethod::LogLinear(mixing),
            RawMethod::Prior if linear => CorrectionMethod::PriorLinear,
            RawMethod::Prior => CorrectionMethod::PriorLogLinear(mixing),
        }
    }

    /// What relations with tables of their own have there.
    fn own_settings(
        &mut self,
        inputs: &InputSettings,
        prediction: &RawPrediction,
        correction: &RawCorrection,
        selection: &RawSelection,
    ) -> BTreeMap<String, OwnSettings> {
        let tables = [
            ("prediction", prediction.relations.keys().collect::<Vec<_>>()),
            ("correction", correction.relations.keys().collect()),
            ("selection", selection.relations.keys().collect()),
        ];
        for (section, iris) in &tables {
            iris.iter().for_each(|iri| self.relation_table(section, iri, inputs));
        }
        let iris: BTreeSet<&String> = tables.into_iter().flat_map(|(_, iris)| iris).collect();
        let own = |iri: &String| {
            let corrected = correction.relations.get(iri);
            let selected = selection.relations.get(iri);
            OwnSettings {
                names: prediction.relations.get(iri).and_then(|p| p.names),
                lambda: corrected.and_then(|c| c.lambda),
                tau: corrected.and_then(|c| c.tau),
                mean: corrected.and_then(|c| c.mean),
                threshold: selected.and_then(|s| s.threshold),
                max_objects: selected.and_then(|s| s.max_objects),
            }
        };
        iris.into_iter().map(|iri| (iri.clone(), own(iri))).collect()
    }

    /// What thresholds are tuned for.
    fn aim(&mut self, raw: &RawSelection) -> Aim {
        let aim = raw.aim.unwrap_or_else(|| match raw.precision {
            Some(_) => RawAim::Precision,
            None if self.spans.has(&["selection", "threshold"]) => RawAim::Threshold,
            None => RawAim::F1,
        });
        match (aim, raw.precision) {
            (RawAim::Precision, Some(share)) => Aim::Precision(share),
            (RawAim::Precision, None) => {
                let message = "the aim `precision` needs to know which";
                let help =
                    "add the share of the triples that is to be right, as in `precision = 0.9`";
                let mistake = Diagnostic::error("no-precision", message).help(help);
                self.push(mistake, self.spans.value(&["selection", "aim"]));
                Aim::F1
            }
            (RawAim::F1 | RawAim::Threshold, Some(_)) => {
                let message = "`precision` is an aim, and `aim` names another";
                let help = "take one of the two out";
                let mistake = Diagnostic::error("two-aims", message).help(help);
                self.push(mistake, self.spans.value(&["selection", "precision"]));
                Aim::F1
            }
            (RawAim::F1, None) => Aim::F1,
            (RawAim::Threshold, None) => Aim::Threshold,
        }
    }

    pub(super) fn relation_table(&mut self, section: &str, iri: &str, inputs: &InputSettings) {
        let at = self.spans.key(&[section, "relations", iri]);
        if !self.iri(iri, at.clone()) {
            return;
        }
        self.named.push((iri.to_owned(), Place { file: self.file.to_owned(), at: at.clone() }));
        let Some(listed) = &inputs.relations else { return };
        if listed.iter().any(|l| l == iri) {
            return;
        }
        let help = match nearest(iri, listed.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "add it there, or take this table out".to_owned(),
        };
        let message = format!("`{iri}` is not in `inputs.relations`");
        self.push(Diagnostic::error("relation-not-listed", message).help(help), at);
    }

    fn output(&mut self, raw: RawOutput) -> OutputSettings {
        let folder = raw.folder.map(|f| self.path(&f, Kind::FolderToBe, &["output", "folder"]));
        let at = self.spans.value(&["output", "base_iri"]);
        self.iri(&raw.base_iri, at.clone());
        if raw.base_iri.ends_with(|c: char| c.is_alphanumeric()) {
            let message = "names are written right after `output.base_iri`";
            let diagnostic =
                Diagnostic::warning("base-iri-end", message).help("end it with `/`, `#` or `:`");
            self.push(diagnostic, at);
        }
        OutputSettings {
            folder: folder.unwrap_or_default(),
            durability: raw.durability,
            keep: raw.keep,
            base_iri: raw.base_iri,
        }
    }

    fn runtime(&mut self, raw: RawRuntime) -> RuntimeSettings {
        let workers = raw.workers.unwrap_or(1);
        if let Some(threads) = raw.threads.filter(|&threads| threads < workers) {
            let message =
                format!("{workers} workers share {threads} threads: each takes one at least");
            let diagnostic = Diagnostic::warning("few-threads", message)
                .help("give `workers` at most the number of `threads`");
            self.push(diagnostic, self.spans.value(&["runtime", "threads"]));
        }
        RuntimeSettings {
            device: raw.device,
            workers: raw.workers,
            encode_workers: raw.encode_workers,
            threads: raw.threads,
            token_budget: raw.token_budget,
            channel_capacity: raw.channel_capacity,
        }
    }
}
