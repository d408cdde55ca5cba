//! Encoder-decoder models: T5 with sentinels and questions, mT5, BART.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kgbuild::lm::{Prompt, Row};
use kgbuild::ontology::Template;
use serde::Deserialize;

use crate::support::{Questions, check_forms, expectations, models, open};

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
        assert_eq!(opened.prompter.suffix(&template).unwrap(), line.end, "{model}: {}", line.text);
        prompts.push(Prompt { after: Vec::new(), ..prompt });
        for candidate in &line.candidates {
            let space = candidate.text.starts_with(' ');
            let label = candidate.text.trim_start();
            let found = opened.prompter.candidate(label, space).unwrap();
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
