//! The names of a relation's candidates as tokens.

use std::borrow::Cow;
use std::collections::HashMap;

use super::plan::SHOWN;
use crate::catalog::{Catalog, Objects};
use crate::config::CandidateNames;
use crate::diagnostic::{Diagnostic, Diagnostics, counted};
use crate::lm::trie::Sequences;
use crate::lm::{Before, Names, Prompter, TokenisedCandidate};
use crate::ontology::Relation;

/// Names as tokens.
pub(super) struct Tokenised {
    /// By name.
    pub sequences: Sequences,
    /// For each token of each name the number of its word.
    pub words: Sequences,
    /// Which are whose.
    pub names: Names,
}

/// How names become tokens.
pub(super) struct NamesOf<'a> {
    /// The candidate entities.
    pub catalog: &'a Catalog,
    /// How the models are asked.
    pub prompter: &'a Prompter,
    /// Which names count.
    pub naming: CandidateNames,
    /// What is before the object.
    pub before: Before,
}

impl NamesOf<'_> {
    /// The names of one of the candidates, its label first.
    fn of<'n>(&'n self, objects: &'n Objects, number: usize) -> Vec<Cow<'n, str>> {
        match objects {
            Objects::Values(values) => values.written(number).into_iter().map(Cow::Owned).collect(),
            Objects::Entities(entities) => {
                let entity = entities[number];
                let aliases =
                    (self.naming == CandidateNames::All).then(|| self.catalog.aliases(entity));
                let names =
                    [self.catalog.label(entity)].into_iter().chain(aliases.into_iter().flatten());
                names.map(Cow::Borrowed).collect()
            }
        }
    }

    /// The names of a relation's candidates, those that are one to the tokenizer once.
    pub(super) fn tokenise(
        &self,
        relation: &Relation,
        objects: &Objects,
        notes: &mut Diagnostics,
    ) -> Option<Tokenised> {
        let (mut sequences, mut all_words) = (Sequences::new(), Sequences::new());
        let mut of = Sequences::new();
        let mut seen: HashMap<Vec<u32>, (u32, usize)> = HashMap::new();
        // What is left of a name of which nothing is left.
        let blank = self.prompter.candidate("", self.before);
        let (mut same, mut empty) = (Vec::new(), Vec::new());
        for candidate in 0..objects.len() {
            let mut own: Vec<u32> = Vec::new();
            for (at, name) in self.of(objects, candidate).iter().enumerate() {
                let TokenisedCandidate { tokens, words } =
                    match self.prompter.candidate(name, self.before) {
                        Ok(found) => found,
                        Err(e) => {
                            notes.push(Diagnostic::of("tokenizer", &e));
                            return None;
                        }
                    };
                if tokens.is_empty() || blank.as_ref().is_ok_and(|blank| blank.tokens == tokens) {
                    // Another name in another alphabet is none.
                    empty.extend((at == 0).then_some(candidate));
                    continue;
                }
                let next = sequences.len() as u32;
                let (number, first) = *seen.entry(tokens).or_insert_with_key(|tokens| {
                    sequences.push(tokens);
                    all_words.push(&words);
                    (next, candidate)
                });
                let label = |number| objects.label(self.catalog, number);
                if at == 0 && first != candidate && label(first) != label(candidate) {
                    same.push((first, candidate));
                }
                if !own.contains(&number) {
                    own.push(number);
                }
            }
            of.push(&own);
        }
        if !empty.is_empty() {
            notes.push(self.without_tokens(relation, objects, &empty));
            return None;
        }
        if !same.is_empty() {
            notes.push(self.same_tokens(relation, objects, &same));
        }
        let names = Names::new(of, sequences.len());
        Some(Tokenised { sequences, words: all_words, names })
    }

    fn described(&self, objects: &Objects, number: usize) -> String {
        let label = objects.label(self.catalog, number);
        match objects {
            Objects::Entities(_) => {
                format!("<{}> ({label:?})", objects.object(self.catalog, number))
            }
            Objects::Values(_) => format!("{label:?}"),
        }
    }

    fn without_tokens(
        &self,
        relation: &Relation,
        objects: &Objects,
        empty: &[usize],
    ) -> Diagnostic {
        let examples: Vec<String> =
            empty.iter().take(SHOWN).map(|&number| self.described(objects, number)).collect();
        let message = format!(
            "the tokenizer leaves nothing of the labels of {} of the candidates of <{}>: {}",
            empty.len(),
            relation.iri,
            examples.join(", ")
        );
        let mistake = Diagnostic::error("candidate-without-tokens", message)
            .help("give them labels in the model's alphabet, or remove them");
        Diagnostic { place: objects.place(self.catalog, empty[0]), ..mistake }
    }

    /// Candidates whose label is to the tokenizer a name of an earlier one.
    fn same_tokens(
        &self,
        relation: &Relation,
        objects: &Objects,
        same: &[(usize, usize)],
    ) -> Diagnostic {
        let examples: Vec<String> = same
            .iter()
            .take(SHOWN)
            .map(|&(first, other)| {
                format!("{} as {}", self.described(objects, other), self.described(objects, first))
            })
            .collect();
        let message = format!(
            "{} of <{}> with the same tokens as another, whose probability is shared: {}",
            counted(same.len(), "candidate"),
            relation.iri,
            examples.join(", ")
        );
        let warning = Diagnostic::warning("candidates-with-same-tokens", message)
            .help("what has no name of its own is marked kgb:ambiguous; give it a label that the model tells apart");
        Diagnostic { place: objects.place(self.catalog, same[0].1), ..warning }
    }
}
