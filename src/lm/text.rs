//! The text after the object as what it says of each candidate on average.
//!
//! What follows a name in a sentence depends on the name and the template far more than on the
//! subject. So ln p of a template's text after a name is taken over a few of a relation's subjects
//! once, and added to the name's ln p of each question: a search need not read on behind each
//! name, and where the text is long, no prefix has to be opened for it.

use std::borrow::Cow;

use super::branch::AnswerSpace;
use super::trie::{NameIndex, NodeId};
use super::{Answers, Row};

/// What the texts after the object add to the names' ln p.
#[derive(Clone, Debug)]
pub(super) struct TextAfter {
    /// By model and template, by name.
    names: Vec<Vec<f64>>,
    /// By model and template, by node, the largest below it.
    largest: Vec<Vec<f64>>,
}

impl AnswerSpace {
    /// Takes what the texts after the object add: by model and then template, for each name, as
    /// [`text_after`] gives it.
    pub fn set_text(&mut self, names: Vec<Vec<f64>>) {
        let trie = self.trie().listed();
        let largest = names.iter().map(|of| {
            let mut largest = vec![f64::NEG_INFINITY; trie.size()];
            for node in trie.nodes().rev() {
                let end = trie.end(node).map(|name| of[name as usize]);
                let ways = trie.children(node).map(|c| largest[c as usize]).chain(end);
                largest[node as usize] = ways.fold(f64::NEG_INFINITY, f64::max);
            }
            largest
        });
        let largest = largest.collect();
        self.text = Some(TextAfter { names, largest });
    }

    /// What the text adds to a name, by `part`, one of models and templates.
    pub(super) fn text_of(&self, part: usize, name: NameIndex) -> f64 {
        self.text.as_ref().map_or(0.0, |text| text.names[part][name as usize])
    }

    /// What the text adds to any name below a node at most.
    pub(super) fn text_below(&self, part: usize, node: NodeId) -> f64 {
        self.text.as_ref().map_or(0.0, |text| text.largest[part][node as usize])
    }
}

/// For each question, by model and then template, ln p of the template's text after each name.
/// `texts` has the text's tokens by template; of none ln p is 0.
///
/// `questions` and `evaluate` are those of [`super::distributions`].
///
/// # Errors
/// Those of `evaluate`.
pub fn text_after<E>(
    space: &AnswerSpace,
    texts: &[Vec<u32>],
    models: usize,
    questions: usize,
    evaluate: &mut dyn FnMut(&[Row<'_>]) -> Result<Answers, E>,
) -> Result<Vec<Vec<Vec<f64>>>, E> {
    let names = space.trie().listed().names();
    let mut all = Vec::with_capacity(questions);
    for question in 0..questions {
        let mut parts = vec![vec![0.0; names]; models * texts.len()];
        for (template, text) in texts.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
            let mut rows = Vec::with_capacity(names * text.len());
            for name in 0..names {
                let tokens = space.tokens(name as NameIndex);
                rows.extend((0..text.len()).map(|at| Row {
                    prompt: question * texts.len() + template,
                    continuation: Cow::Owned([tokens, &text[..at]].concat()),
                    place: tokens.len() + at,
                    wanted: Cow::Borrowed(&text[at..=at]),
                    relative: false,
                }));
            }
            for (model, answers) in evaluate(&rows)?.into_iter().enumerate() {
                let sums = answers.chunks_exact(text.len()).map(|ln_p| ln_p.iter().sum());
                parts[model * texts.len() + template] = sums.collect();
            }
        }
        all.push(parts);
    }
    Ok(all)
}
