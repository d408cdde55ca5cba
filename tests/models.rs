//! Tiny models as the field's exporters save them, held to what PyTorch computes.
//!
//! `tests/data/models/*/expected*.json` names forms of one model, and ln p of every token of
//! several candidates after several prompts. Each form is loaded in the program's own way: import,
//! runtime, model. `tests/data/models/README.md` says how the files were made.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kgbuild::fetch::{self, Cache};
use kgbuild::lm::{CausalModel, LanguageModel, Row, Tokenizer};
use kgbuild::onnx::proto::{
    AttributeProto, Dimension, DimensionValue, ModelProto, NodeProto, TypeValue, data_type,
};
use kgbuild::onnx::{self, lora};
use kgbuild::runtime::{Device, Runtime};
use prost::Message;
use serde::Deserialize;

/// Between a candidate's ln p and PyTorch's; a candidate has up to 20 tokens.
const OF_REFERENCE: f64 = 1e-4;
/// Between two ways to ask the same model, or two exports of it.
const OF_WAYS: f64 = 1e-5;

#[derive(Deserialize)]
struct Expected {
    forms: Vec<String>,
    adapter: Option<String>,
    prompts: Vec<Prompt>,
}

#[derive(Deserialize)]
struct Prompt {
    prompt: String,
    ids: Vec<u32>,
    candidates: Vec<Candidate>,
}

#[derive(Deserialize)]
struct Candidate {
    text: String,
    ids: Vec<u32>,
    #[serde(default)]
    log_probabilities: Vec<f64>,
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models")
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn expectations(model: &str) -> Vec<Expected> {
    let files = sorted(&models().join(model)).into_iter();
    let files = files.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("expected") && name.ends_with(".json")
    });
    files.map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let cache = Cache::from_environment().unwrap();
        let library = fetch::runtime_library(&cache, &mut |line| println!("{line}"))
            .unwrap_or_else(|error| panic!("no ONNX Runtime: {error}"));
        Runtime::load(&library, Device::Cpu).unwrap()
    })
}

struct Opened {
    model: CausalModel,
    tokenizer: Tokenizer,
}

fn open(source: &Path, adapter: Option<&Path>, budget: usize) -> Result<Opened, String> {
    let scratch = tempfile::tempdir().unwrap();
    let cache = Cache::at(scratch.path());
    let folder = onnx::import(source, &cache, &mut |_| {}).map_err(|error| error.to_string())?;
    let weights = match adapter {
        Some(adapter) => lora::merge(adapter, &folder).map_err(|error| error.to_string())?,
        None => Vec::new(),
    };
    let session =
        runtime().session(&folder.graph, weights, 1).map_err(|error| format!("{error:?}"))?;
    let model = CausalModel::new(session, &folder.graph, None, budget)
        .map_err(|error| error.to_string())?;
    Ok(Opened { model, tokenizer: Tokenizer::read(&folder.tokenizer).unwrap() })
}

/// A row for every token of every candidate.
fn rows(prompts: &[Prompt]) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for (prompt, line) in prompts.iter().enumerate() {
        for candidate in &line.candidates {
            rows.extend((0..candidate.ids.len()).map(|at| Row {
                prompt,
                continuation: Cow::Borrowed(&candidate.ids[..at]),
                wanted: Cow::Borrowed(&candidate.ids[at..=at]),
            }));
        }
    }
    rows
}

/// ln p of every token of every candidate, all asked for at once.
fn together(model: &mut CausalModel, prompts: &[Prompt]) -> Vec<f64> {
    let ids: Vec<Vec<u32>> = prompts.iter().map(|line| line.ids.clone()).collect();
    model.open(&ids);
    model.next_log_probabilities(&rows(prompts)).unwrap()
}

/// The same, each row asked for alone.
fn alone(model: &mut CausalModel, prompts: &[Prompt]) -> Vec<f64> {
    let ids: Vec<Vec<u32>> = prompts.iter().map(|line| line.ids.clone()).collect();
    model.open(&ids);
    let ask = |row: Row<'_>| model.next_log_probabilities(&[row]).unwrap();
    rows(prompts).into_iter().flat_map(ask).collect()
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    // Not `max`, which would pass over NaN.
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |m, d| if d <= m { m } else { d })
}

/// The largest difference of a candidate's ln p from PyTorch's.
fn from_reference(found: &[f64], prompts: &[Prompt]) -> f64 {
    let mut found = found.iter();
    let mut sums = Vec::new();
    let mut expected = Vec::new();
    for candidate in prompts.iter().flat_map(|line| &line.candidates) {
        sums.push(found.by_ref().take(candidate.ids.len()).sum::<f64>());
        expected.push(candidate.log_probabilities.iter().sum::<f64>());
    }
    assert_eq!(found.next(), None);
    largest_difference(&sums, &expected)
}

/// Checks every form of a model, and that there are as many as there should be.
fn check(model: &str, forms: usize) {
    let folder = models().join(model);
    let mut checked = 0;
    let mut wrong = Vec::new();
    for expected in expectations(model) {
        let adapter = expected.adapter.as_ref().map(|name| folder.join(name));
        let mut of_forms: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for form in &expected.forms {
            checked += 1;
            match check_form(&folder.join(form), adapter.as_deref(), &expected.prompts) {
                Ok(values) => {
                    of_forms.insert(form, values);
                }
                Err(problem) => wrong.push(format!("{form}: {problem}")),
            }
        }
        let mut all = of_forms.iter();
        if let Some((first, values)) = all.next() {
            for (form, others) in all {
                let difference = largest_difference(values, others);
                println!("{model}: {form} against {first}: {difference:.1e}");
                if difference.is_nan() || difference > OF_WAYS {
                    wrong.push(format!("{form} differs from {first} by {difference:.1e}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(checked, forms);
}

fn check_form(
    source: &Path,
    adapter: Option<&Path>,
    prompts: &[Prompt],
) -> Result<Vec<f64>, String> {
    let Opened { mut model, tokenizer } = open(source, adapter, 4096)?;
    for line in prompts {
        assert_eq!(tokenizer.prompt(&line.prompt).unwrap(), line.ids, "{}", line.prompt);
        for candidate in &line.candidates {
            let ids = tokenizer.continuation(&candidate.text).unwrap();
            assert_eq!(ids, candidate.ids, "{}", candidate.text);
        }
    }
    let all = together(&mut model, prompts);
    let reference = from_reference(&all, prompts);
    let single = largest_difference(&all, &alone(&mut model, prompts));
    // Room for three prompts: batches are cut elsewhere.
    let narrow = together(&mut open(source, adapter, 40)?.model, prompts);
    let batched = largest_difference(&all, &narrow);
    println!(
        "{}: reference {reference:.1e}, alone {single:.1e}, narrow {batched:.1e}",
        source.strip_prefix(models()).unwrap_or(source).display()
    );
    let fails = |difference: f64, limit: f64| difference.is_nan() || difference > limit;
    if fails(reference, OF_REFERENCE) {
        return Err(format!("{reference:.1e} from PyTorch"));
    }
    if fails(single, OF_WAYS) || fails(batched, OF_WAYS) {
        return Err(format!("{single:.1e} alone, {batched:.1e} in small batches"));
    }
    // All tokens after a prompt: a distribution.
    let everything: Vec<u32> = (0..model.vocabulary() as u32).collect();
    let row = Row { prompt: 0, continuation: Cow::Borrowed(&[]), wanted: Cow::Owned(everything) };
    let sum: f64 = model.next_log_probabilities(&[row]).unwrap().iter().map(|p| p.exp()).sum();
    if fails((sum - 1.0).abs(), 1e-6) {
        return Err(format!("the vocabulary's probabilities sum to {sum}"));
    }
    Ok(all)
}

#[test]
fn llama_in_every_form_agrees_with_pytorch() {
    check("llama", 9);
}

#[test]
fn llama_with_tied_output_and_scaled_rope_agrees_with_pytorch() {
    check("llama-tied", 2);
}

#[test]
fn gpt2_agrees_with_pytorch() {
    check("gpt2", 4);
}

#[test]
fn opt_agrees_with_pytorch() {
    check("opt", 2);
}

#[test]
fn qwen2_agrees_with_pytorch() {
    check("qwen2", 2);
}

#[test]
fn a_cache_is_used_as_far_as_it_is_right() {
    for (form, step) in [
        ("llama/checkpoint", Some(usize::MAX)),
        // Its attention refuses several tokens behind a cache where there are several rows.
        ("llama/genai", Some(1)),
        ("llama/optimum-with-past", Some(usize::MAX)),
        ("llama/optimum", None),
        ("llama/dynamo", None),
        ("gpt2/optimum-with-past", Some(usize::MAX)),
        // Traced with one token behind the cache, without a mask among several.
        ("gpt2/legacy-decoder_model_merged", Some(1)),
        ("gpt2/legacy-decoder_model", None),
    ] {
        let opened = open(&models().join(form), None, 64).unwrap();
        assert_eq!(opened.model.step(), step, "{form}");
    }
}

/// A copy of an exported folder, in which `alter` changed the graph.
fn altered(form: &str, alter: impl Fn(&mut ModelProto)) -> tempfile::TempDir {
    let (from, to) = (models().join(form), tempfile::tempdir().unwrap());
    for name in ["config.json", "tokenizer.json"] {
        fs::copy(from.join(name), to.path().join(name)).unwrap();
    }
    let bytes = fs::read(from.join("model.onnx")).unwrap();
    let mut model = ModelProto::decode(&bytes[..]).unwrap();
    alter(&mut model);
    fs::write(to.path().join("model.onnx"), model.encode_to_vec()).unwrap();
    to
}

/// Gives values of a graph other names, wherever they are used.
fn rename(model: &mut ModelProto, new: impl Fn(&str) -> Option<String>) {
    let graph = model.graph.as_mut().unwrap();
    let values = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    let of_values = values.filter_map(|value| value.name.as_mut());
    let of_nodes = graph.node.iter_mut().flat_map(|n| n.input.iter_mut().chain(&mut n.output));
    for name in of_values.chain(of_nodes) {
        if let Some(new) = new(name) {
            *name = new;
        }
    }
}

/// Lets an input take int32.
fn narrow(model: &mut ModelProto, name: &str) {
    let wide = format!("{name}_int64");
    rename(model, |old| (old == name).then(|| wide.clone()));
    let graph = model.graph.as_mut().unwrap();
    let input = graph.input.iter_mut().find(|input| input.name.as_ref() == Some(&wide)).unwrap();
    input.name = Some(name.to_owned());
    match input.r#type.as_mut().unwrap().value.as_mut().unwrap() {
        TypeValue::Tensor(tensor) => tensor.elem_type = Some(data_type::INT32),
        _ => panic!("{name} is no tensor"),
    }
    let to = AttributeProto {
        name: Some("to".to_owned()),
        i: Some(data_type::INT64.into()),
        r#type: Some(2),
        ..Default::default()
    };
    let cast = NodeProto {
        input: vec![name.to_owned()],
        output: vec![wide],
        op_type: Some("Cast".to_owned()),
        attribute: vec![to],
        ..Default::default()
    };
    graph.node.insert(0, cast);
}

#[test]
fn other_names_types_and_unsaid_sizes_are_found() {
    let folder = altered("qwen2/optimum-with-past", |model| {
        rename(model, |name| {
            let past = name.strip_prefix("past_key_values").map(|rest| format!("past{rest}"));
            let present = || name.strip_prefix("present");
            past.or_else(|| present().map(|rest| format!("present_key_values{rest}")))
        });
        for name in ["input_ids", "attention_mask", "position_ids"] {
            narrow(model, name);
        }
        let graph = model.graph.as_mut().unwrap();
        let logits = graph.output.iter_mut().find(|o| o.name.as_deref() == Some("logits"));
        match logits.unwrap().r#type.as_mut().unwrap().value.as_mut().unwrap() {
            TypeValue::Tensor(tensor) => {
                let value = Some(DimensionValue::Name("vocabulary".to_owned()));
                tensor.shape.as_mut().unwrap().dim[2] = Dimension { value, ..Default::default() };
            }
            _ => panic!("no tensor"),
        }
    });
    let expected = &expectations("qwen2")[0];
    check_form(folder.path(), None, &expected.prompts).unwrap();
    let opened = open(folder.path(), None, 64).unwrap();
    assert_eq!((opened.model.vocabulary(), opened.model.step()), (320, Some(usize::MAX)));
}

#[test]
fn a_graph_of_another_family_is_refused_by_its_inputs() {
    let folder = altered("qwen2/optimum", |model| {
        let other = || Some("encoder_hidden_states".to_owned());
        rename(model, |name| if name == "attention_mask" { other() } else { None });
    });
    let Err(message) = open(folder.path(), None, 64) else { panic!("it was taken") };
    assert!(message.contains("encoder_hidden_states"), "{message}");
}

#[test]
fn tokenizers_give_the_tokens_that_a_running_text_has() {
    let mut checked = 0;
    for path in sorted(&models().join("tokenizers")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix(".expected.json") else { continue };
        let tokenizer = Tokenizer::read(&path.with_file_name(format!("{name}.json"))).unwrap();
        let lines: Vec<Prompt> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for line in lines {
            assert_eq!(tokenizer.prompt(&line.prompt).unwrap(), line.ids, "{name}");
            for candidate in line.candidates {
                let ids = tokenizer.continuation(&candidate.text).unwrap();
                assert_eq!(ids, candidate.ids, "{name}: {} {}", line.prompt, candidate.text);
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 5 * 5 * 8);
}
