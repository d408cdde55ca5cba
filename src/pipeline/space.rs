//! A relation's answer space in the tokens of the models: its candidates' names, or the numbers of its range,
//! with the templates' text after the object.

use super::tokens::{NamesOf, Tokenised};
use super::{RelationPlan, fit};
use crate::catalog::Objects;
use crate::config::{Pipeline, PredictionSettings};
use crate::diagnostic::{At, Diagnostic, Diagnostics, Place};
use crate::lm::trie::{NumberTrie, UnwritableNumbers};
use crate::lm::{After, AnswerSpace, Method, Normalise, PrompterError};
use crate::ontology::{NumberGrammar, Relation, Template};

/// An answer space, and what its plan knows of it.
pub(super) struct Space {
    pub space: AnswerSpace,
    /// See [`RelationPlan::texts`](super::RelationPlan::texts).
    pub texts: Vec<Vec<u32>>,
    /// Tokens of the longest candidate with what follows it in the template.
    pub longest: usize,
}

impl Space {
    /// The answer space of a relation, asked for through `templates`; `alike` is one with the same candidates
    /// under the same names. Mistakes go to `notes`.
    pub(super) fn new(
        pipeline: &Pipeline,
        relation: &Relation,
        templates: &[Template],
        asked_by: &NamesOf<'_>,
        objects: &Objects,
        alike: Option<&RelationPlan>,
        notes: &mut Diagnostics,
    ) -> Option<Self> {
        let prediction = &pipeline.prediction;
        let suffixes =
            templates.iter().map(|template| asked_by.prompter.suffix(template, prediction.after));
        let suffixes: Vec<Vec<u32>> = match suffixes.collect() {
            Ok(suffixes) => suffixes,
            Err(e) => {
                notes.push(Diagnostic::of("tokenizer", &e));
                return None;
            }
        };
        if let Objects::Values(values) = objects
            && let Some(grammar) = values.grammar()
        {
            let numbers = of_numbers(pipeline, grammar, asked_by, suffixes);
            return numbers.map_err(|why| notes.push(unsearchable(pipeline, relation, why))).ok();
        }
        let (texts, suffixes, after) = texts(prediction, asked_by, suffixes);
        if let Some(alike) = alike {
            let longest = fit::longest_candidate(alike) + after;
            return Some(Self { space: alike.space.through(suffixes), texts, longest });
        }
        let names = asked_by.tokenise(relation, objects, notes)?;
        match of_names(prediction, names, asked_by, suffixes) {
            Ok((space, longest)) => Some(Self { space, texts, longest: longest + after }),
            Err(e) => {
                notes.push(Diagnostic::error("answer-space", format!("<{}>: {e}", relation.iri)));
                None
            }
        }
    }
}

/// The texts after the object that count by their mean, those that are scored, and the tokens of the longest.
fn texts(
    prediction: &PredictionSettings,
    asked_by: &NamesOf<'_>,
    mut suffixes: Vec<Vec<u32>>,
) -> (Vec<Vec<u32>>, Vec<Vec<u32>>, usize) {
    let (templates, longest) = (suffixes.len(), longest(&suffixes));
    // A causal model's text after the object, where it counts by its mean.
    let is_mean = prediction.after == After::Mean
        && prediction.normalise != Normalise::Trie
        && asked_by.prompter.counts_text();
    let texts = if is_mean { std::mem::take(&mut suffixes) } else { Vec::new() };
    // A masked model reads the text, and is not asked for it.
    if is_mean || asked_by.prompter.mask().is_some() {
        suffixes = vec![Vec::new(); templates];
    }
    (texts, suffixes, longest)
}

/// The space of names, and the tokens of the longest.
fn of_names(
    prediction: &PredictionSettings,
    names: Tokenised,
    asked_by: &NamesOf<'_>,
    suffixes: Vec<Vec<u32>>,
) -> Result<(AnswerSpace, usize), crate::lm::trie::TrieError> {
    let Tokenised { sequences, words, names } = names;
    let longest = (0..sequences.len()).map(|i| sequences.get(i).len()).max().unwrap_or(0);
    let space = match asked_by.prompter.mask() {
        Some(mask) => {
            let (normalise, masked, templates) =
                (prediction.normalise, prediction.masked, suffixes.len());
            AnswerSpace::masked(&sequences, &words, templates, mask, masked, normalise)?
        }
        None => AnswerSpace::new(sequences, suffixes, prediction.normalise)?,
    };
    Ok((space.with_names(names), longest))
}

/// Why numbers that are not listed cannot be asked for.
enum Unsearchable {
    Tokenizer(PrompterError),
    Numbers(UnwritableNumbers),
    Masked,
    Every(&'static str),
}

impl From<UnwritableNumbers> for Unsearchable {
    fn from(error: UnwritableNumbers) -> Self {
        Self::Numbers(error)
    }
}

/// Numbers that are not listed. No mean is taken over them: the text after the object counts question by
/// question.
fn of_numbers(
    pipeline: &Pipeline,
    grammar: NumberGrammar,
    asked_by: &NamesOf<'_>,
    suffixes: Vec<Vec<u32>>,
) -> Result<Space, Unsearchable> {
    let PredictionSettings { normalise, method, .. } = pipeline.prediction;
    if asked_by.prompter.mask().is_some() {
        return Err(Unsearchable::Masked);
    }
    if normalise == Normalise::List {
        return Err(Unsearchable::Every("normalise = \"list\""));
    }
    if method == Method::Exhaustive {
        return Err(Unsearchable::Every("method = \"exhaustive\""));
    }
    let mut tokenise = |text: &str| {
        let candidate = asked_by.prompter.candidate(text, asked_by.before);
        candidate.map(|candidate| candidate.tokens).map_err(Unsearchable::Tokenizer)
    };
    let trie = NumberTrie::new(grammar, &mut tokenise)?;
    let longest = trie.longest() + longest(&suffixes);
    let space = AnswerSpace::of_numbers(trie, suffixes, normalise);
    Ok(Space { space, texts: Vec::new(), longest })
}

fn longest(suffixes: &[Vec<u32>]) -> usize {
    suffixes.iter().map(Vec::len).max().unwrap_or(0)
}

fn unsearchable(pipeline: &Pipeline, relation: &Relation, why: Unsearchable) -> Diagnostic {
    let few = format!(
        "bring kgb:minimum and kgb:maximum nearer to each other, or take fewer kgb:decimals: up to {} values \
         are listed",
        crate::ontology::MOST_LISTED
    );
    let (problem, help) = match why {
        Unsearchable::Tokenizer(error) => return Diagnostic::of("tokenizer", &error),
        Unsearchable::Numbers(error) => (error.to_string(), few),
        Unsearchable::Masked => {
            let problem = "a masked model has to be asked for each number by itself";
            (problem.to_owned(), format!("{few}; or take a causal or an encoder-decoder model"))
        }
        Unsearchable::Every(setting) => {
            (format!("`{setting}` looks at every number"), format!("take it out; or {few}"))
        }
    };
    let message =
        format!("the numbers of {} cannot be searched: {problem}", relation.name_and_iri());
    let place = pipeline.inputs.ontology.first().cloned();
    let place = place.map(|file| Place { file, at: At::File });
    Diagnostic { place, ..Diagnostic::error("unsearchable-numbers", message).help(help) }
}
