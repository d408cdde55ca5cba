//! Causal models.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kgbuild::diagnostic::Silent;
use kgbuild::fetch::Cache;
use kgbuild::lm::{
    self, Asking, Batching, CacheUse, CausalModel, LanguageModel, Prompter, Row, Tokenizer,
};
use kgbuild::onnx::proto::{
    AttributeProto, Dimension, DimensionValue, ModelProto, NodeProto, TypeValue, data_type,
};
use kgbuild::onnx::{self, Precision};
use kgbuild::ontology::Template;
use prost::Message;
use serde::Deserialize;

use crate::support::{
    Questions, check_form, check_forms, expectations, largest_difference, models, open, open_in,
    runtime, sorted,
};

#[derive(Deserialize)]
struct Expected {
    forms: Vec<String>,
    adapter: Option<String>,
    #[serde(default)]
    approximate: BTreeMap<String, f64>,
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

/// How far a tiny model's ln p was seen to be off where its weights are rounded to 4 bits, to 8, and to 8 with
/// what they are multiplied with.
const ROUNDED: [f64; 3] = [10.0, 0.8, 1.3];

/// A row for every token of every candidate.
fn rows(prompts: &[Prompt]) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for (prompt, line) in prompts.iter().enumerate() {
        for candidate in &line.candidates {
            rows.extend((0..candidate.ids.len()).map(|at| Row {
                prompt,
                continuation: Cow::Borrowed(&candidate.ids[..at]),
                place: at,
                wanted: Cow::Borrowed(&candidate.ids[at..=at]),
                relative: false,
            }));
        }
    }
    rows
}

fn questions(prompts: &[Prompt]) -> Questions<'_> {
    let candidates = prompts.iter().flat_map(|line| &line.candidates);
    Questions {
        prompts: prompts.iter().map(|line| lm::Prompt::before(line.ids.clone())).collect(),
        rows: rows(prompts),
        candidates: candidates.map(|c| (c.ids.len(), c.log_probabilities.iter().sum())).collect(),
    }
}

/// Checks every form of a model, and that there are as many as there should be.
fn check(model: &str, forms: usize) {
    let folder = models().join(model);
    let mut checked = 0;
    let mut wrong = Vec::new();
    for expected in expectations::<Expected>(model) {
        let Expected { forms, adapter, approximate, prompts } = expected;
        let adapter = adapter.map(|name| folder.join(name));
        checked += forms.len();
        for form in &forms {
            let opened = open(&folder.join(form), adapter.as_deref(), 64).unwrap();
            let tokenizer = opened.prompter.tokenizer();
            for line in &prompts {
                assert_eq!(tokenizer.prompt(&line.prompt).unwrap(), line.ids, "{}", line.prompt);
                for candidate in &line.candidates {
                    let ids = tokenizer.continuation(&candidate.text).unwrap();
                    assert_eq!(ids, candidate.ids, "{}", candidate.text);
                }
            }
        }
        let (questions, adapter) = (questions(&prompts), adapter.as_deref());
        wrong.extend(check_forms(&folder, &forms, adapter, &questions, &approximate));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(checked, forms);
}

#[test]
fn llama_in_every_form_agrees_with_pytorch() {
    check("llama", 9);
}

#[test]
fn llama_with_tied_output_and_scaled_rope_agrees_with_pytorch() {
    check("llama-tied", 2);
}

/// As safetensors, as GGUF with weights of a few bits, and some with an adapter.
#[test]
fn decoders_of_each_architecture_agree_with_pytorch() {
    for (name, forms) in [
        ("gemma", 2),
        ("gemma2", 3),
        ("gemma3", 2),
        ("llama-linear", 2),
        ("mistral", 2),
        ("mistral-windowed", 1),
        ("olmo2", 2),
        ("phi3", 3),
        ("qwen2", 3),
        ("qwen3", 2),
        ("smollm3", 2),
    ] {
        check(&format!("decoders/{name}"), forms);
    }
}

/// Logits of single tokens, which are worked out from rows of the output matrix, differ as their ln p do.
fn single_logits(
    precision: Precision,
    source: &Path,
    adapter: Option<&Path>,
    questions: &Questions<'_>,
) {
    let mut opened = open_in(precision, source, adapter, 4096).unwrap();
    opened.model.open(&[&questions.prompts], Asking::Once);
    let row =
        |relative| Row { wanted: Cow::Borrowed(&[5, 9]), relative, ..questions.rows[0].clone() };
    let mut difference = |relative| {
        let answers = opened.model.answer(&[row(relative)]).unwrap().remove(0);
        answers[0] - answers[1]
    };
    let (single, whole) = (difference(true), difference(false));
    assert!((single - whole).abs() < 1e-4, "{single} instead of {whole} in {}", source.display());
}

/// Weights of a few bits are multiplied with as they are, in f32: the numbers are those of f32. What is rounded
/// here is near them. In all precisions a text has the same bits in any company.
#[test]
fn decoders_in_fewer_bits_agree_with_pytorch() {
    let mut wrong = Vec::new();
    let mut exact = 0;
    for folder in sorted(&models().join("decoders")) {
        let name = folder.strip_prefix(models()).unwrap().display().to_string();
        for Expected { forms, adapter, prompts, .. } in expectations::<Expected>(&name) {
            let adapter = adapter.map(|name| folder.join(name));
            let questions = questions(&prompts);
            for form in &forms {
                let kept = form.ends_with(".gguf");
                exact += usize::from(kept);
                for (precision, off) in [
                    (Precision::Q4, (!kept).then_some(ROUNDED[0])),
                    (Precision::Q8, (!kept).then_some(ROUNDED[1])),
                    (Precision::Int8, Some(ROUNDED[2])),
                ] {
                    let source = folder.join(form);
                    let adapter = adapter.as_deref();
                    if precision != Precision::Int8 {
                        single_logits(precision, &source, adapter, &questions);
                    }
                    if let Err(problem) = check_form(precision, &source, adapter, &questions, off) {
                        wrong.push(format!("{name}/{form} in {precision}: {problem}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(exact >= 10, "{exact} files with weights of a few bits");
}

#[test]
fn gpt2_agrees_with_pytorch() {
    check("gpt2", 4);
}

#[test]
fn opt_agrees_with_pytorch() {
    check("opt", 4);
}

#[test]
fn pythia_agrees_with_pytorch() {
    check("gpt-neox", 4);
}

#[test]
fn gemma_agrees_with_pytorch() {
    check("gemma", 2);
}

#[test]
fn gemma2_agrees_with_pytorch() {
    check("gemma2", 2);
}

#[test]
fn qwen3_agrees_with_pytorch() {
    check("qwen3", 2);
}

#[test]
fn phi_agrees_with_pytorch() {
    check("phi", 2);
}

#[test]
fn gptj_agrees_with_pytorch() {
    check("gptj", 2);
}

#[test]
fn qwen2_agrees_with_pytorch() {
    check("qwen2", 2);
}

/// An exported causal model.
fn causal(source: &Path) -> CausalModel {
    let scratch = tempfile::tempdir().unwrap();
    let folder =
        onnx::import(source, onnx::Precision::F32, &Cache::at(scratch.path()), &Silent).unwrap();
    let session = runtime().session(&folder.graph, &folder.graph, 1).unwrap();
    let batching = Batching { tokens: 64, alone: false };
    CausalModel::new(session, &folder.graph, batching).unwrap()
}

#[test]
fn a_cache_is_used_as_far_as_it_is_right() {
    for (form, cache) in [
        // Its attention refuses several tokens behind a cache where there are several rows.
        ("llama/genai", CacheUse::OneByOne),
        ("llama/optimum-with-past", CacheUse::AnyNumber),
        ("llama/optimum", CacheUse::Unused),
        ("llama/dynamo", CacheUse::Unused),
        ("gpt2/optimum-with-past", CacheUse::AnyNumber),
        // Traced with one token behind the cache, without a mask among several.
        ("gpt2/legacy-decoder_model_merged", CacheUse::OneByOne),
        ("gpt2/legacy-decoder_model", CacheUse::Unused),
    ] {
        assert_eq!(causal(&models().join(form)).cache(), cache, "{form}");
    }
}

/// What prompts begin with alike is computed once: all of them, or those of one subject. Each is
/// answered as it is alone, also where the beginning is still there from the prompts before.
#[test]
fn what_prompts_share_changes_nothing() {
    for form in ["llama/checkpoint", "llama/optimum-with-past", "gpt2/optimum-with-past"] {
        let mut opened = open(&models().join(form), None, 256).unwrap();
        let model = opened.model.as_mut();
        let token = |at: u32| at * 37 % 300;
        let prompts = |common: u32, subjects: u32| -> Vec<lm::Prompt> {
            let mut all = Vec::new();
            for subject in 0..subjects {
                for template in 0..3 {
                    let beginning = (0..12).map(|at| token(common + at));
                    let of_subject = (0..4).map(|at| token(7 * subject + at + 100));
                    let of_template = (0..=template).map(|at| token(template + at + 200));
                    let tokens = beginning.chain(of_subject).chain(of_template);
                    all.push(lm::Prompt::before(tokens.collect()));
                }
            }
            all
        };
        let row = |prompt, continuation: &'static [u32]| Row {
            prompt,
            continuation: Cow::Borrowed(continuation),
            place: continuation.len(),
            wanted: Cow::Borrowed(&[5, 6, 7]),
            relative: false,
        };
        let ask = |model: &mut dyn LanguageModel, prompts: &[lm::Prompt]| -> Vec<f64> {
            model.open(&[prompts], Asking::Once);
            let rows: Vec<Row<'_>> = (0..prompts.len())
                .flat_map(|prompt| [row(prompt, &[]), row(prompt, &[9]), row(prompt, &[9, 11])])
                .collect();
            model.answer(&rows).unwrap().remove(0)
        };
        for (common, subjects) in [(0, 30), (0, 20), (50, 30), (50, 2)] {
            let prompts = prompts(common, subjects);
            let together = ask(model, &prompts);
            let alone: Vec<f64> = {
                let mut other = open(&models().join(form), None, 256).unwrap();
                let one = |prompt| ask(other.model.as_mut(), std::slice::from_ref(prompt));
                prompts.iter().flat_map(one).collect()
            };
            let difference = largest_difference(&together, &alone);
            assert!(difference <= 1e-5, "{form}, {common}, {subjects}: {difference:.1e}");
        }
        let all: usize = prompts(0, 30).iter().map(lm::Prompt::tokens).sum();
        let before = model.tokens();
        ask(model, &prompts(0, 30));
        let computed = (model.tokens() - before) as usize;
        assert!(computed < all / 2 + 3 * 90, "{form}: {computed} of {all} tokens");
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
    let expected = &expectations::<Expected>("qwen2")[0];
    check_form(Precision::F32, folder.path(), None, &questions(&expected.prompts), None).unwrap();
    let model = causal(folder.path());
    assert_eq!((model.vocabulary(), model.cache()), (320, CacheUse::AnyNumber));
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

/// A checkpoint of a chat model, of which nothing but the template is written for this test.
fn chat_model(template: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = models().join("decoders/qwen2/checkpoint");
    for file in sorted(&from) {
        fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    let settings = serde_json::json!({"bos_token": "<s>", "chat_template": template});
    fs::write(folder.path().join("tokenizer_config.json"), settings.to_string()).unwrap();
    folder
}

#[test]
fn a_chat_model_is_asked_by_its_own_template() {
    const TEMPLATE: &str = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}\
                            {% if add_generation_prompt %}[assistant] {% endif %}";
    let chatting = |template: Option<&str>| {
        let (folder, scratch) = (chat_model(template), tempfile::tempdir().unwrap());
        let cache = Cache::at(scratch.path());
        let model = onnx::import(folder.path(), Precision::F32, &cache, &Silent).unwrap();
        Prompter::chatting(&model, "the model")
    };
    let prompter = chatting(Some(TEMPLATE)).unwrap();
    let question = Template::parse_question("Where is [X]?").unwrap();
    let sentence = Template::parse("[X] is in [Y].").unwrap();
    let both = [sentence.clone(), question.clone()];
    assert_eq!(prompter.asked(&both), [&question]);
    let asked = [question.clone()];
    let tokens = |text: &str| prompter.tokenizer().whole(text).unwrap();
    let examples = prompter.examples(&asked, &[("Rome".to_owned(), "Italy".to_owned())]).unwrap();
    let prompt = prompter.prompt(&question, "Oslo", &examples).unwrap();
    let expected = "[user] Where is Rome?\n[assistant] Italy\n[user] Where is Oslo?\n[assistant] ";
    assert_eq!(prompt.before, tokens(expected));
    let alone = prompter.prompt(&question, "Oslo", "").unwrap();
    assert_eq!(alone.before, tokens("[user] Where is Oslo?\n[assistant] "));
    assert_eq!(prompter.before_object(&sentence), lm::Before::Space);
    let opening = prompter.before_object(&question);
    assert_eq!(prompter.candidate("Norway", opening).unwrap().tokens, tokens("Norway"));
    // Sentences are asked as ever.
    let plain = prompter.prompt(&sentence, "Oslo", "").unwrap();
    assert_eq!(plain.before, prompter.tokenizer().prompt("Oslo is in").unwrap());
    for (template, part) in
        [(None, "has no chat template"), (Some("{% for m in messages %}"), "syntax error")]
    {
        let Err(error) = chatting(template) else { panic!("{template:?} was taken") };
        let message = error.to_string();
        assert!(message.contains(part) && message.contains("the model"), "{message}");
    }
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

#[derive(Deserialize)]
struct Line {
    text: String,
    ids: Vec<u32>,
}

/// Its tokenizer, by what `scripts/golden-tokens.py` made.
#[test]
#[ignore = "needs a large model: name its folder by KGBUILD_TEST_MODEL"]
fn a_named_tokenizer_gives_the_ids_of_the_reference() {
    let folder = std::env::var("KGBUILD_TEST_MODEL").expect("KGBUILD_TEST_MODEL names a folder");
    let checkpoint = onnx::open_checkpoint(&Path::new(&folder).join("model.gguf")).unwrap();
    let lines = fs::read_to_string(Path::new(&folder).join("tokens.jsonl")).unwrap();
    let lines: Vec<Line> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut wrong = Vec::new();
    for Line { text, ids } in &lines {
        let encoding = checkpoint.tokenizer.encode(text.as_str(), true).unwrap();
        if encoding.get_ids() != ids {
            wrong.push(format!("{text:?}: {:?}, but {ids:?} is expected", encoding.get_ids()));
        }
    }
    println!("{} of {} lines differ", wrong.len(), lines.len());
    assert!(wrong.is_empty(), "{}", wrong[..wrong.len().min(10)].join("\n"));
}

/// A model of a size that is not kept here, as safetensors or GGUF beside what `scripts/golden-model.py` made.
#[test]
#[ignore = "needs a large model: name its folder by KGBUILD_TEST_MODEL"]
fn a_named_model_agrees_with_pytorch() {
    let folder = std::env::var("KGBUILD_TEST_MODEL").expect("KGBUILD_TEST_MODEL names a folder");
    let Ok(precision) = std::env::var("KGBUILD_TEST_PRECISION") else { return check(&folder, 1) };
    let precision = Precision::ALL.into_iter().find(|own| own.name() == precision);
    let precision = precision.expect("KGBUILD_TEST_PRECISION names a precision");
    for Expected { prompts, approximate, .. } in expectations::<Expected>(&folder) {
        let (source, off) = (Path::new(&folder).join("model.gguf"), approximate.values().next());
        check_form(precision, &source, None, &questions(&prompts), off.copied()).unwrap();
    }
}
