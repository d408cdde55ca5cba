//! From what is written to the validated [`Pipeline`]: paths that exist, IRIs that are ones, and
//! combinations that mean something.
//!
//! What the walker refused is absent here and has been reported; nothing is said about it twice.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use oxrdf::NamedNode;

use crate::diagnostic::{At, Diagnostic, Diagnostics, Place, nearest};

use super::paths::{self, Kind};
use super::pipeline::{
    Correction, Inputs, Mixing, ModelSource, Models, Normalise, Numbers, Output, Pipeline,
    Prediction, Runtime,
};
use super::raw::{
    OneOrMany, RawCorrection, RawInputs, RawMethod, RawModel, RawModels, RawOutput, RawPipeline,
    RawRuntime, RawSelection,
};
use super::walk::Spans;

/// The pipeline of `file`; of use only if nothing in `found` is an error.
pub(super) fn resolve(
    raw: RawPipeline,
    file: &Path,
    spans: &Spans,
    found: &mut Diagnostics,
) -> Pipeline {
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut resolver = Resolver { file, folder, spans, found, named: Vec::new() };
    let prediction = Prediction {
        normalise: raw.prediction.normalise,
        method: raw.prediction.method,
        tolerance: raw.prediction.tolerance,
    };
    let models = resolver.models(raw.models);
    let inputs = resolver.inputs(raw.inputs);
    let correction = resolver.correction(&raw.correction, prediction.normalise);
    let (numbers, by_relation) =
        resolver.numbers(correction, &models, &inputs, &raw.correction, &raw.selection);
    let output = resolver.output(raw.output);
    let runtime = resolver.runtime(raw.runtime);
    Pipeline {
        file: file.to_owned(),
        models,
        inputs,
        prediction,
        correction,
        output,
        runtime,
        named_relations: resolver.named,
        numbers,
        by_relation,
    }
}

struct Resolver<'a> {
    file: &'a Path,
    folder: &'a Path,
    spans: &'a Spans,
    found: &'a mut Diagnostics,
    named: Vec<(String, Place)>,
}

impl Resolver<'_> {
    fn push(&mut self, diagnostic: Diagnostic, at: At) {
        self.found.push(diagnostic.at(self.file, at));
    }

    fn models(&mut self, raw: Option<RawModels>) -> Models {
        let is_table = raw.is_some();
        let raw = raw.unwrap_or_default();
        let mut source = |raw: Option<RawModel>, name: &str| {
            let (source, sha256, at) = match raw? {
                RawModel::Source(source) => (source, None, ["models", name].to_vec()),
                RawModel::Pinned(p) => (p.source, p.sha256, ["models", name, "source"].to_vec()),
            };
            if source.is_empty() {
                // The walker refused it.
                return None;
            }
            let sha256 = sha256.map(|hash| self.sha256(name, hash));
            let place = Place { file: self.file.to_owned(), at: self.spans.value(&at) };
            let relative_to = self.folder.to_owned();
            let model = ModelSource { source, sha256, relative_to, place };
            if let Some(path) = model.path() {
                let mistake = paths::mistake(&path, Kind::Any).map(|wrong| {
                    let sources = "a local path, `hf:owner/name` or \
                                   `pypi:package==version#path/inside`";
                    let help = wrong.help.clone().unwrap_or_default();
                    wrong.help(format!("{help} (a model is {sources})"))
                });
                self.report(mistake, &at);
            }
            Some(model)
        };
        let base = source(raw.base, "base");
        let finetuned = source(raw.finetuned, "finetuned");
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
        Models { base, finetuned }
    }

    /// Whether the file names a base and a finetuned model, be they right or wrong.
    fn has_models(&self) -> (bool, bool) {
        (self.spans.has(&["models", "base"]), self.spans.has(&["models", "finetuned"]))
    }

    fn sha256(&mut self, model: &str, hash: String) -> String {
        if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            let message = format!("`models.{model}.sha256` is not a SHA-256 hash");
            let diagnostic = Diagnostic::error("bad-hash", message)
                .help("64 hexadecimal digits, as `sha256sum FILE` prints them");
            self.push(diagnostic, self.spans.value(&["models", model, "sha256"]));
        }
        hash.to_ascii_lowercase()
    }

    fn inputs(&mut self, raw: RawInputs) -> Inputs {
        Inputs {
            ontology: self.files(raw.ontology, "ontology"),
            subjects: self.files(raw.subjects, "subjects"),
            candidates: self.files(raw.candidates, "candidates"),
            gold: raw.gold.map(|path| self.path(&path, Kind::File, &["inputs", "gold"])),
            relations: raw.relations.map(|iris| self.relations(iris)),
        }
    }

    fn files(&mut self, raw: Option<OneOrMany>, key: &str) -> Vec<PathBuf> {
        let texts = match raw {
            None => Vec::new(),
            Some(OneOrMany::One(text)) => {
                return vec![self.path(&text, Kind::File, &["inputs", key])];
            }
            Some(OneOrMany::Many(texts)) => texts,
        };
        self.no_twice(&texts, key);
        let check = |(i, text): (usize, &String)| {
            self.path(text, Kind::File, &["inputs", key, &i.to_string()])
        };
        texts.iter().enumerate().map(check).collect()
    }

    fn relations(&mut self, iris: Vec<String>) -> Vec<String> {
        self.no_twice(&iris, "relations");
        for (i, iri) in iris.iter().enumerate() {
            let at = self.spans.value(&["inputs", "relations", &i.to_string()]);
            self.iri(iri, at.clone());
            self.named.push((iri.clone(), Place { file: self.file.to_owned(), at }));
        }
        iris
    }

    fn no_twice(&mut self, texts: &[String], key: &str) {
        let mut seen = HashSet::new();
        for (i, text) in texts.iter().enumerate() {
            if !seen.insert(text) {
                let message = format!("`{text}` is in `inputs.{key}` twice");
                let diagnostic = Diagnostic::error("twice", message).help("take one of them out");
                self.push(diagnostic, self.spans.value(&["inputs", key, &i.to_string()]));
            }
        }
    }

    /// Whether `text` is an IRI; says so if it is not.
    fn iri(&mut self, text: &str, at: At) -> bool {
        let parsed = NamedNode::new(text);
        if let Err(error) = &parsed {
            let diagnostic =
                Diagnostic::error("bad-iri", format!("`{text}` is not an IRI: {error}"))
                    .help("a whole IRI, as in `http://example.org/capital`, without a prefix");
            self.push(diagnostic, at);
        }
        parsed.is_ok()
    }

    fn correction(&mut self, raw: &RawCorrection, normalise: Normalise) -> Correction {
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
        if method != RawMethod::LogLinear {
            self.unused(&["correction", "mixing"], "only `log-linear` depends on it");
        }
        if normalise == Normalise::Sequence
            && method == RawMethod::LogLinear
            && raw.mixing == Some(Mixing::Branching)
        {
            let message = "mixing at each branching needs `prediction.normalise = \"trie\"`";
            let diagnostic = Diagnostic::error("mixing-needs-trie", message)
                .help("write `mixing = \"candidate\"`, or normalise by `trie`");
            self.push(diagnostic, self.spans.value(&["correction", "mixing"]));
        }
        match (method, raw.mixing, normalise) {
            (RawMethod::None, ..) => Correction::None,
            (RawMethod::Linear, ..) => Correction::Linear,
            (RawMethod::LogLinear, Some(mixing), _) => Correction::LogLinear(mixing),
            (RawMethod::LogLinear, None, Normalise::Trie) => {
                Correction::LogLinear(Mixing::Branching)
            }
            (RawMethod::LogLinear, None, Normalise::Sequence) => {
                Correction::LogLinear(Mixing::Candidate)
            }
        }
    }

    fn unused(&mut self, path: &[&str], reason: &str) {
        if self.spans.has(path) {
            let name = path.last().copied().unwrap_or_default();
            let message = format!("`{name}` has no effect: {reason}");
            let diagnostic = Diagnostic::warning("no-effect", message).help("take it out");
            self.push(diagnostic, self.spans.key(path));
        }
    }

    /// The numbers of most relations, and those of the relations with tables of their own.
    fn numbers(
        &mut self,
        correction: Correction,
        models: &Models,
        inputs: &Inputs,
        raw: &RawCorrection,
        selection: &RawSelection,
    ) -> (Numbers, BTreeMap<String, Numbers>) {
        let alone = (correction == Correction::None)
            .then(|| if models.finetuned.is_some() { 1.0 } else { 0.0 });
        let general = Numbers {
            lambda: alone.unwrap_or(raw.lambda),
            threshold: selection.threshold,
            max_objects: selection.max_objects,
        };
        for iri in raw.relations.keys() {
            self.relation_table("correction", iri, inputs);
        }
        for iri in selection.relations.keys() {
            self.relation_table("selection", iri, inputs);
        }
        let iris: BTreeSet<&String> =
            raw.relations.keys().chain(selection.relations.keys()).collect();
        let own = |iri: &String| {
            let lambda = raw.relations.get(iri).and_then(|r| r.lambda);
            let selected = selection.relations.get(iri);
            Numbers {
                lambda: alone.or(lambda).unwrap_or(general.lambda),
                threshold: selected.and_then(|s| s.threshold).unwrap_or(general.threshold),
                max_objects: selected.and_then(|s| s.max_objects).or(general.max_objects),
            }
        };
        (general, iris.into_iter().map(|iri| (iri.clone(), own(iri))).collect())
    }

    fn relation_table(&mut self, section: &str, iri: &str, inputs: &Inputs) {
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

    fn output(&mut self, raw: RawOutput) -> Output {
        let folder = raw.folder.map(|f| self.path(&f, Kind::FolderToBe, &["output", "folder"]));
        let at = self.spans.value(&["output", "base_iri"]);
        self.iri(&raw.base_iri, at.clone());
        if raw.base_iri.ends_with(|c: char| c.is_alphanumeric()) {
            let message = "names are written right after `output.base_iri`";
            let diagnostic =
                Diagnostic::warning("base-iri-end", message).help("end it with `/`, `#` or `:`");
            self.push(diagnostic, at);
        }
        Output {
            folder: folder.unwrap_or_default(),
            annotation: raw.annotation,
            base_iri: raw.base_iri,
        }
    }

    fn runtime(&mut self, raw: RawRuntime) -> Runtime {
        if let Some(threads) = raw.threads.filter(|&threads| threads < raw.workers) {
            let message =
                format!("{} workers share {threads} threads: each takes one at least", raw.workers);
            let diagnostic = Diagnostic::warning("few-threads", message)
                .help("give `workers` at most the number of `threads`");
            self.push(diagnostic, self.spans.value(&["runtime", "threads"]));
        }
        let library = raw.library.map(|library| {
            let path = self.path(&library, Kind::File, &["runtime", "library"]);
            // A relative path would be taken from the executable's folder when it is loaded.
            std::path::absolute(&path).unwrap_or(path)
        });
        Runtime {
            device: raw.device,
            library,
            workers: raw.workers,
            encode_workers: raw.encode_workers,
            threads: raw.threads,
            token_budget: raw.token_budget,
            channel_capacity: raw.channel_capacity,
        }
    }

    /// A path as written, from the file's folder; checked to be of a kind.
    fn path(&mut self, text: &str, kind: Kind, at: &[&str]) -> PathBuf {
        let path = self.folder.join(text);
        self.report(paths::mistake(&path, kind), at);
        path
    }

    fn report(&mut self, mistake: Option<Diagnostic>, at: &[&str]) {
        if let Some(diagnostic) = mistake {
            self.push(diagnostic, self.spans.value(at));
        }
    }
}
