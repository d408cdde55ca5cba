//! `kgbuild models inspect`: what a model is, what its graphs ask for, and what it lacks.

use std::path::Path;

use super::args::InspectArgs;
use super::environment::{environment, use_library};
use super::failure::Failure;
use super::streams::{Console, print};
use crate::diagnostic::{Explain, explained};
use crate::fetch::{self, Source};
use crate::lm::{self, Prompter};
use crate::onnx::{self, Family, Interface, ModelFolder, lora};
use crate::pipeline::Environment;
use crate::runtime::Device;

/// Tokens of a batch with which a model is tried.
const TOKEN_BUDGET: usize = 64;

/// What keeps a model from being used.
#[derive(Debug, thiserror::Error)]
#[error("{model} cannot be used as it is: see what is missing")]
struct Unusable {
    model: String,
}

impl Explain for Unusable {}

/// Prints what is known of a model, and tries an exported one on a few tokens.
pub(super) fn inspect(args: &InspectArgs, console: Console) -> Result<(), Failure> {
    let mut environment = environment(console);
    use_library(&mut environment, &args.library)?;
    let (cache, events) = (environment.cache()?, environment.events.as_ref());
    let source = Source::parse(&args.model, Path::new(""))?;
    let path = fetch::fetch(&source, None, cache, events)?;
    if lora::is_lora_folder(&path) {
        return adapter(&path);
    }
    if onnx::is_checkpoint(&path)? {
        let known = onnx::open_checkpoint(&path)?.description();
        return print(&Lines { known, missing: Vec::new() }.text());
    }
    let graphs = onnx::exported_graphs(&path);
    let described = graphs.iter().map(|graph| Ok((graph, onnx::describe(graph)?)));
    let interfaces = described.collect::<Result<Vec<_>, onnx::Error>>()?;
    let model = onnx::import(&path, onnx::Precision::F32, cache, events);
    let mut lines = Lines::default();
    match &model {
        Ok(model) => settings(model, &mut lines),
        Err(error) => lines.missing(explained(error)),
    }
    for (graph, interface) in interfaces {
        lines.graph(graph, &interface);
    }
    if let Ok(model) = &model {
        let prompter = Prompter::new(model);
        asked(model, &prompter, &mut lines);
        if let Ok(prompter) = &prompter
            && let Err(problem) = tried(model, prompter, &environment, &mut lines)
        {
            lines.missing(problem);
        }
    }
    print(&lines.text())?;
    if lines.missing.is_empty() {
        return Ok(());
    }
    Err(Unusable { model: args.model.clone() }.into())
}

/// What is printed: names and what they are, then what is missing.
#[derive(Default)]
struct Lines {
    known: Vec<(String, String)>,
    missing: Vec<String>,
}

impl Lines {
    fn known(&mut self, name: &str, value: impl ToString) {
        self.known.push((name.to_owned(), value.to_string()));
    }

    fn missing(&mut self, problem: String) {
        self.missing.push(problem);
    }

    fn graph(&mut self, graph: &Path, interface: &Interface) {
        self.known("graph", graph.display());
        for (name, values) in [("  inputs", &interface.inputs), ("  outputs", &interface.outputs)] {
            let (shown, past): (Vec<_>, Vec<_>) = values.iter().partition(|v| !is_cache(&v.name));
            let mut lines: Vec<String> =
                shown.iter().map(|value| format!("{} {}", value.name, value.kind)).collect();
            // A layer's keys stand for all of the cache.
            if let Some(first) = past.first() {
                let more = past.len() - 1;
                lines.push(format!("{} {} and {more} more of the cache", first.name, first.kind));
            }
            for (at, line) in lines.into_iter().enumerate() {
                self.known(if at == 0 { name } else { "" }, line);
            }
        }
    }

    fn text(&self) -> String {
        let nothing = || vec!["nothing".to_owned()];
        let missing = if self.missing.is_empty() { nothing() } else { self.missing.clone() };
        let missing = missing.iter().enumerate().map(|(at, problem)| {
            (if at == 0 { "missing" } else { "" }.to_owned(), problem.clone())
        });
        let lines = self.known.iter().cloned().chain(missing);
        let lines = lines.map(|(name, value)| {
            let value = value.replace('\n', &format!("\n{:13}", ""));
            format!("{name:<12} {value}").trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn is_cache(name: &str) -> bool {
    ["past", "present", "cache.", "new."].iter().any(|beginning| name.starts_with(beginning))
}

/// What the files say of a model.
fn settings(model: &ModelFolder, lines: &mut Lines) {
    let named = model.settings.get("architectures").and_then(|names| names[0].as_str());
    lines.known(
        "family",
        match named {
            Some(name) => format!("{} ({name})", model.family),
            None => model.family.to_string(),
        },
    );
    lines.known(
        "precision",
        match model.precision {
            one if one.depends_on_batch() => format!("{one}: one text is computed at a time"),
            other => other.to_string(),
        },
    );
    lines.known(
        "context",
        match model.context() {
            Some(context) => format!("{context} tokens"),
            None => "not said".to_owned(),
        },
    );
}

/// How a model is asked.
fn asked(model: &ModelFolder, prompter: &Result<Prompter, lm::PrompterError>, lines: &mut Lines) {
    match prompter {
        Ok(prompter) => {
            let vocabulary = prompter.tokenizer().vocabulary();
            lines.known("tokenizer", format!("{} tokens", vocabulary.len()));
            if let Some(place) = prompter.place_of_object() {
                lines.known("object", place);
            }
        }
        Err(error) => lines.missing(explained(error)),
    }
    if model.config.is_none() {
        lines.known(
            "note",
            "no config.json: the family is taken from the graph, the context unknown",
        );
    }
}

/// Opens the model and says what it was seen to do.
fn tried(
    model: &ModelFolder,
    prompter: &Prompter,
    environment: &Environment,
    lines: &mut Lines,
) -> Result<(), String> {
    let runtime = environment.runtime(Device::Cpu).map_err(|error| explained(&error))?;
    let opened =
        lm::open(runtime, model, None, 1, 1, TOKEN_BUDGET).map_err(|error| explained(&error))?;
    let computed = if model.cut { "where they are asked for" } else { "at every position" };
    lines.known("logits", format!("{} tokens, computed {computed}", opened.vocabulary()));
    if let Some((last, _)) = prompter.tokenizer().vocabulary().last()
        && *last as usize >= opened.vocabulary()
    {
        return Err(format!(
            "logits for the tokenizer's tokens up to number {last}: tokenizer and model do not \
             belong together"
        ));
    }
    let cache = match (model.family, opened.cache()) {
        (Family::Masked, _) => return Ok(()),
        (_, lm::CacheUse::AnyNumber) => "any number of tokens at a time behind it",
        (_, lm::CacheUse::OneByOne) => {
            "a token at a time behind it: for several it gives other numbers"
        }
        (_, lm::CacheUse::Unused) => {
            "none that can be used: a prompt is computed anew for each of its continuations"
        }
    };
    lines.known("cache", cache);
    Ok(())
}

/// What a LoRA adapter says of itself.
fn adapter(path: &Path) -> Result<(), Failure> {
    let adapter = lora::describe(path)?;
    let mut lines = Lines::default();
    lines.known("family", "LoRA adapter");
    lines.known("base", adapter.base.as_deref().unwrap_or("not said"));
    lines.known("rank", adapter.rank);
    lines.known("modules", adapter.modules.join(", "));
    print(&lines.text())
}
