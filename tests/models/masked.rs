//! Masked models: BERT, RoBERTa and their kin, in each way to mask a candidate.

use std::collections::BTreeMap;

use kgbuild::lm::trie::Sequences;
use kgbuild::lm::{self, AnswerSpace, Asking, Before, Excluded, Normalise, Prompt, Row, Scoring};
use kgbuild::ontology::Template;
use serde::Deserialize;

use crate::support::{Questions, check_forms, expectations, models, open};

#[derive(Deserialize)]
struct Expected {
    forms: Vec<String>,
    #[serde(default)]
    approximate: BTreeMap<String, f64>,
    prompts: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    text: String,
    before: Vec<u32>,
    after: Vec<u32>,
    candidates: Vec<Candidate>,
}

#[derive(Deserialize)]
struct Candidate {
    text: String,
    ids: Vec<u32>,
    words: Vec<u32>,
    independent: Vec<f64>,
    answer_l2r: Vec<f64>,
    within_word_l2r: Vec<f64>,
}

impl Candidate {
    fn ln_p(&self, scoring: Scoring) -> f64 {
        let of_tokens = match scoring {
            Scoring::Independent => &self.independent,
            Scoring::AnswerL2r => &self.answer_l2r,
            Scoring::WithinWordL2r => &self.within_word_l2r,
        };
        of_tokens.iter().sum()
    }
}

const SCORINGS: [Scoring; 3] = [Scoring::Independent, Scoring::AnswerL2r, Scoring::WithinWordL2r];

fn spaces(lines: &[Line], mask: u32, scoring: Scoring) -> Vec<AnswerSpace> {
    let of = |line: &Line| {
        let (mut tokens, mut words) = (Sequences::new(), Sequences::new());
        for candidate in &line.candidates {
            tokens.push(&candidate.ids);
            words.push(&candidate.words);
        }
        AnswerSpace::masked(&tokens, &words, 1, mask, scoring, Normalise::List).unwrap()
    };
    lines.iter().map(of).collect()
}

/// The rows that ask for each token of each candidate, by walking down the trie of its answer space.
fn rows<'a>(spaces: &'a [AnswerSpace], lines: &[Line]) -> Vec<Row<'a>> {
    let mut all = Vec::new();
    for (prompt, (space, line)) in spaces.iter().zip(lines).enumerate() {
        let trie = space.trie();
        for candidate in 0..line.candidates.len() as u64 {
            let path = trie.listed().tokens(candidate);
            let mut node = lm::trie::Trie::ROOT;
            for &token in path {
                let mut asked = Vec::new();
                space.rows(node, 0, prompt, &mut asked);
                for row in asked {
                    all.push(Row { wanted: vec![token].into(), ..row });
                }
                let tokens = trie.child_tokens(node).into_owned();
                let child = trie.children(node).zip(tokens).find(|(_, t)| *t == token);
                node = child.unwrap().0;
            }
        }
    }
    all
}

fn check(model: &str, forms: usize) {
    let folder = models().join(model);
    let mut wrong = Vec::new();
    let mut checked = 0;
    for expected in expectations::<Expected>(model) {
        checked += expected.forms.len();
        let lines = &expected.prompts;
        let opened = open(&folder.join(&expected.forms[0]), None, 64).unwrap();
        let mask = opened.prompter.mask().unwrap();
        let prompts: Vec<Prompt> = lines
            .iter()
            .map(|line| Prompt {
                before: line.before.clone(),
                after: line.after.clone(),
                ..Prompt::default()
            })
            .collect();
        for (line, prompt) in lines.iter().zip(&prompts) {
            let template = Template::parse(&format!("[X]{}", line.text)).unwrap();
            let found = opened.prompter.prompt(&template, "", "").unwrap();
            assert_eq!(found, *prompt, "{model}: {}", line.text);
            for candidate in &line.candidates {
                let has_space = candidate.text.starts_with(' ');
                let before = if has_space { Before::Space } else { Before::Text };
                let label = candidate.text.trim_start();
                let found = opened.prompter.candidate(label, before).unwrap();
                assert_eq!(found.tokens, candidate.ids, "{model}: {:?}", candidate.text);
                assert_eq!(found.words, candidate.words, "{model}: {:?}", candidate.text);
            }
        }
        for scoring in SCORINGS {
            let spaces = spaces(lines, mask, scoring);
            let candidates = lines.iter().flat_map(|line| &line.candidates);
            let questions = Questions {
                prompts: prompts.clone(),
                rows: rows(&spaces, lines),
                candidates: candidates.map(|c| (c.ids.len(), c.ln_p(scoring))).collect(),
            };
            let approximate = &expected.approximate;
            let found = check_forms(&folder, &expected.forms, None, &questions, approximate);
            wrong.extend(found.into_iter().map(|problem| format!("{scoring:?}: {problem}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(checked, forms);
}

#[test]
fn bert_agrees_with_pytorch() {
    check("bert", 4);
}

#[test]
fn roberta_agrees_with_pytorch() {
    check("roberta", 2);
}

#[test]
fn distilbert_agrees_with_pytorch() {
    check("distilbert", 1);
}

#[test]
fn albert_agrees_with_pytorch() {
    check("albert", 1);
}

#[test]
fn electra_agrees_with_pytorch() {
    check("electra", 1);
}

#[test]
fn deberta_agrees_with_pytorch() {
    check("deberta", 1);
}

#[test]
fn deberta_v2_agrees_with_pytorch() {
    check("deberta-v2", 1);
}

/// Distributions over whole answer spaces: each candidate's share of what all have together.
#[test]
fn candidates_of_many_tokens_share_one_distribution() {
    let expected = expectations::<Expected>("bert").remove(0);
    let lines = &expected.prompts;
    for scoring in SCORINGS {
        let mut opened = open(&models().join("bert/optimum"), None, 4096).unwrap();
        for (line, space) in
            lines.iter().zip(spaces(lines, opened.prompter.mask().unwrap(), scoring))
        {
            let prompt = Prompt {
                before: line.before.clone(),
                after: line.after.clone(),
                ..Prompt::default()
            };
            opened.model.open(&[&[prompt]], Asking::Once);
            let questions: [Excluded; 1] = [None];
            let mut ask = |rows: &[Row<'_>]| opened.model.answer(rows);
            let found = lm::distributions(&space, 1, &questions, &mut ask).unwrap().remove(0);
            let scores: Vec<f64> = line.candidates.iter().map(|c| c.ln_p(scoring)).collect();
            let total = scores.iter().map(|score| score.exp()).sum::<f64>().ln();
            for (found, score) in found.finetuned.iter().zip(&scores) {
                assert!((found - (score - total)).abs() < 1e-4, "{scoring:?} {}", line.text);
            }
        }
    }
}
