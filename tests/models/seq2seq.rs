//! Encoder-decoder models: T5 with sentinels and questions, mT5, BART.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;

use kgbuild::lm::{After, Before, Prompt, Row};
use kgbuild::onnx::proto::{AttributeProto, ModelProto, NodeProto, TypeValue, attribute_type};
use kgbuild::ontology::Template;
use prost::Message;
use serde::Deserialize;

use crate::support::{Questions, check_forms, expectations, models, open, sorted};

#[derive(Deserialize)]
struct Expected {
    forms: Vec<String>,
    prompts: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    text: String,
    kind: String,
    encoder: Vec<u32>,
    decoder: Vec<u32>,
    end: Vec<u32>,
    candidates: Vec<Candidate>,
}

#[derive(Deserialize)]
struct Candidate {
    text: String,
    ids: Vec<u32>,
    log_probabilities: Vec<f64>,
}

/// A row for each token of each candidate, and of what ends it.
fn rows(lines: &[Line]) -> Vec<Row<'static>> {
    let mut rows = Vec::new();
    for (prompt, line) in lines.iter().enumerate() {
        for candidate in &line.candidates {
            let all = [&candidate.ids[..], &line.end].concat();
            rows.extend((0..all.len()).map(|at| Row {
                prompt,
                continuation: Cow::Owned(all[..at].to_vec()),
                place: at,
                wanted: Cow::Owned(vec![all[at]]),
                relative: false,
            }));
        }
    }
    rows
}

fn check(model: &str, forms: usize) {
    let folder = models().join(model);
    let expected = expectations::<Expected>(model).remove(0);
    let opened = open(&folder.join(&expected.forms[0]), None, 64).unwrap();
    let mut prompts = Vec::new();
    for line in &expected.prompts {
        let template = if line.kind == "plain" {
            Template::parse_question(&format!("[X]{}", line.text))
        } else {
            Template::parse(&format!("[X]{}", line.text))
        };
        let template = template.unwrap();
        let prompt = opened.prompter.prompt(&template, "", "").unwrap();
        assert_eq!(prompt.encoder, line.encoder, "{model}: {}", line.text);
        assert_eq!(prompt.before, line.decoder, "{model}: {}", line.text);
        assert_eq!(
            opened.prompter.suffix(&template, After::All).unwrap(),
            line.end,
            "{model}: {}",
            line.text
        );
        prompts.push(Prompt { after: Vec::new(), ..prompt });
        for candidate in &line.candidates {
            let has_space = candidate.text.starts_with(' ');
            let before = if has_space { Before::Space } else { Before::Text };
            let label = candidate.text.trim_start();
            let found = opened.prompter.candidate(label, before).unwrap();
            assert_eq!(found.tokens, candidate.ids, "{model}: {:?}", candidate.text);
        }
    }
    let candidates = expected.prompts.iter().flat_map(|line| &line.candidates);
    let questions = Questions {
        prompts,
        rows: rows(&expected.prompts),
        candidates: candidates
            .map(|c| (c.log_probabilities.len(), c.log_probabilities.iter().sum()))
            .collect(),
    };
    let wrong = check_forms(&folder, &expected.forms, None, &questions, &BTreeMap::new());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(expected.forms.len(), forms);
}

#[test]
fn t5_agrees_with_pytorch() {
    check("t5", 2);
}

#[test]
fn t5_with_tied_output_agrees_with_pytorch() {
    check("t5-tied", 2);
}

#[test]
fn mt5_agrees_with_pytorch() {
    check("mt5", 2);
}

#[test]
fn bart_agrees_with_pytorch() {
    check("bart", 2);
}

#[test]
fn an_encoder_whose_states_are_no_matrix_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for file in sorted(&models().join("t5/optimum")) {
        fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    let encoder = folder.path().join("encoder_model.onnx");
    let mut model = ModelProto::decode(&fs::read(&encoder).unwrap()[..]).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let states = graph.output.iter_mut().find(|o| o.name.as_deref() == Some("last_hidden_state"));
    let states = states.unwrap();
    match states.r#type.as_mut().unwrap().value.as_mut().unwrap() {
        TypeValue::Tensor(tensor) => tensor.shape = None,
        _ => panic!("no tensor"),
    }
    for name in graph.node.iter_mut().flat_map(|node| &mut node.output) {
        if name == "last_hidden_state" {
            "states".clone_into(name);
        }
    }
    // The sum of all, a single number.
    graph.node.push(NodeProto {
        input: vec!["states".to_owned()],
        output: vec!["last_hidden_state".to_owned()],
        op_type: Some("ReduceL1".to_owned()),
        attribute: vec![AttributeProto {
            name: Some("keepdims".to_owned()),
            i: Some(0),
            r#type: Some(attribute_type::INT),
            ..Default::default()
        }],
        ..Default::default()
    });
    fs::write(&encoder, model.encode_to_vec()).unwrap();
    let Err(message) = open(folder.path(), None, 64) else { panic!("it was taken") };
    assert!(message.contains("states of shape"), "{message}");
}
