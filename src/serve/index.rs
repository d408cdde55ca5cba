//! Finding entities and relations by the beginnings of the words of their names, as one types.
//!
//! All names lie in one text, in small letters and without accents; every place in it where a word begins is
//! sorted by what stands there. The places that begin with what was typed are then next to each other, and
//! found by two binary searches.

mod alike;

pub(super) use alike::Alike;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use oxigraph::model::vocab::rdfs;
use oxigraph::model::{GraphNameRef, NamedOrBlankNode, Term};
use oxigraph::store::{StorageError, Store};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::diagnostic::nearest;
use crate::graph::vocabulary as kgb;

/// How many places are looked at: of more names that begin alike, the first.
const LOOKED_AT: usize = 4096;
/// How many characters and words of what was typed count.
const TYPED: usize = 200;
const WORDS: usize = 8;
/// How many words of a name are found.
const WORDS_OF_NAME: usize = 64;
/// How many IRIs are compared with one that is not known.
const COMPARED: usize = 10_000;
/// Between names; in none of them, since it is a control character.
const END: char = '\u{1}';

/// The names of what a graph is about.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// All names, folded, each behind an [`END`] and before one.
    text: String,
    /// Where each name begins in the text, ascending, and whose it is.
    names: Vec<(u32, u32)>,
    /// Where words begin, in the order of what stands there.
    words: Vec<u32>,
    /// Whose names they are.
    iris: Vec<Box<str>>,
    /// Each name as it is written, in the order of `names`.
    written: Vec<Box<str>>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub iri: String,
    /// The name by which it was found.
    pub name: String,
}

impl Index {
    /// The names in the default graph of a store.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(super) fn of(store: &Store) -> Result<Self, StorageError> {
        let mut index = Self::default();
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        for predicate in [rdfs::LABEL, kgb::ALT_LABEL] {
            let graph = Some(GraphNameRef::DefaultGraph);
            for quad in store.quads_for_pattern(None, Some(predicate), None, graph) {
                let quad = quad?;
                let (NamedOrBlankNode::NamedNode(iri), Term::Literal(name)) =
                    (quad.subject, quad.object)
                else {
                    continue;
                };
                let next = index.iris.len() as u32;
                let number = *numbers.entry(iri.into_string()).or_insert_with_key(|iri| {
                    index.iris.push(iri.as_str().into());
                    next
                });
                index.add(number, name.value());
            }
        }
        index.sort();
        Ok(index)
    }

    fn add(&mut self, whose: u32, name: &str) {
        let folded = squeezed(&folded(name));
        // Places are counted in 32 bits; what is beyond is found by its IRI.
        let Ok(begin) = u32::try_from(self.text.len() + folded.len() + 1).map(|_| self.text.len())
        else {
            return;
        };
        self.names.push((begin as u32, whose));
        self.written.push(name.into());
        let (mut is_inside, mut words) = (false, 0);
        for (place, letter) in folded.char_indices() {
            if letter.is_alphanumeric() && !is_inside && words < WORDS_OF_NAME {
                words += 1;
                self.words.push((begin + place) as u32);
            }
            is_inside = letter.is_alphanumeric();
        }
        self.text.push_str(&folded);
        self.text.push(END);
    }

    fn sort(&mut self) {
        let mut words = std::mem::take(&mut self.words);
        // Of names that end alike those that are no more than this come first.
        let later = |place| (!self.is_first(place), place);
        words.sort_unstable_by(|&a, &b| {
            self.rest(a).cmp(self.rest(b)).then_with(|| later(a).cmp(&later(b)))
        });
        self.words = words;
    }

    /// What stands at a place and behind it, the names behind it too.
    fn begins(&self, place: u32) -> &str {
        &self.text[place as usize..]
    }

    /// What stands at a place, up to the end of the name.
    fn rest(&self, place: u32) -> &str {
        self.begins(place).split(END).next().unwrap_or_default()
    }

    /// Whether no word of the name is before a place.
    fn is_first(&self, place: u32) -> bool {
        let before = self.text[..place as usize].chars().rev();
        !before.take_while(|&letter| letter != END).any(char::is_alphanumeric)
    }

    /// The number of the name in which a place is.
    fn number(&self, place: u32) -> usize {
        self.names.partition_point(|(begin, _)| *begin <= place) - 1
    }

    /// Which of the places where words begin have this there.
    fn range(&self, beginning: &str) -> Range<usize> {
        let first = self.words.partition_point(|&place| self.begins(place) < beginning);
        let count =
            self.words[first..].partition_point(|&place| self.begins(place).starts_with(beginning));
        first..first + count
    }

    /// The entities and relations whose names have words that begin as those of `typed`, the last of which may not
    /// be finished; at most so many. Names that begin so come first, of these the shorter ones.
    pub(super) fn find(&self, typed: &str, most: usize) -> Vec<Hit> {
        let hit = |number: usize| Hit {
            iri: self.iris[self.names[number].1 as usize].to_string(),
            name: self.written[number].to_string(),
        };
        self.found(&comparable(typed), most).into_iter().map(hit).collect()
    }

    /// The numbers of the names that [`Self::find`] finds, one for each thing.
    fn found(&self, typed: &str, most: usize) -> Vec<usize> {
        let words: Vec<&str> = words_of(typed).take(WORDS).collect();
        // The word that is in the fewest names.
        let ranges = words.iter().map(|word| &self.words[self.range(word)]);
        let Some(places) = ranges.min_by_key(|places| places.len()) else { return Vec::new() };
        let mut seen = HashSet::new();
        let mut found: BTreeMap<u32, (Reverse<bool>, usize, usize)> = BTreeMap::new();
        for &place in places.iter().take(LOOKED_AT) {
            let number = self.number(place);
            if !seen.insert(number) {
                continue;
            }
            let (begin, whose) = self.names[number];
            let name = self.rest(begin);
            let has = |word: &&str| words_of(name).any(|own| own.starts_with(word));
            if !words.iter().all(has) {
                continue;
            }
            let rank = (Reverse(name.starts_with(typed)), name.len(), number);
            let best = found.entry(whose).or_insert(rank);
            *best = rank.min(*best);
        }
        let mut found: Vec<_> = found.into_iter().map(|(whose, rank)| (rank, whose)).collect();
        found.sort_unstable();
        found.into_iter().take(most).map(|((_, _, number), _)| number).collect()
    }
}

impl Index {
    /// The IRI of a named thing that is nearest to one that is not known.
    pub(super) fn nearest(&self, iri: &str) -> Option<&str> {
        // Each of them is compared: of very many that would take seconds.
        let few = self.iris.iter().take(COMPARED);
        nearest(iri, few.map(AsRef::as_ref))
    }
}

/// A text as names are compared: the first 200 characters, folded, with single spaces.
pub(super) fn comparable(text: &str) -> String {
    squeezed(&folded(&text.chars().take(TYPED).collect::<String>()))
}

/// The words of a folded text.
pub(super) fn words_of(folded: &str) -> impl Iterator<Item = &str> {
    folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// With single spaces, and none at its ends.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Small letters without accents, and without what cannot be seen. Marks stay where they are no accents: behind letters
/// that are not Latin, Greek or Cyrillic.
fn folded(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    let mut has_accents = false;
    for letter in name.nfkd().flat_map(char::to_lowercase) {
        if is_combining_mark(letter) && has_accents || is_unseen(letter) {
            continue;
        }
        if !is_combining_mark(letter) {
            has_accents = matches!(letter, '\0'..='\u{52f}' | '\u{1e00}'..='\u{1fff}');
        }
        match letter {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ł' => folded.push('l'),
            'ø' => folded.push('o'),
            'đ' | 'ð' => folded.push('d'),
            'ħ' => folded.push('h'),
            'ı' => folded.push('i'),
            'ς' => folded.push('σ'),
            other => folded.push(other),
        }
    }
    folded
}

/// Controls, marks of direction, and spaces and hyphens without width.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(names: &[(u32, &str)]) -> Index {
        let mut index = Index::default();
        let last = names.iter().map(|(whose, _)| *whose).max().unwrap_or(0);
        index.iris = (0..=last).map(|number| format!("e:{number}").into()).collect();
        names.iter().for_each(|(whose, name)| index.add(*whose, name));
        index.sort();
        index
    }

    #[test]
    fn names_are_found_by_beginnings_of_their_words() {
        let index = index(&[
            (0, "New York"),
            (1, "York"),
            (2, "Yorkshire"),
            (3, "Saint-Étienne"),
            (4, "München"),
            (0, "Big Apple"),
            (5, "Duke of York"),
        ]);
        let found = |typed: &str| {
            index.find(typed, 10).into_iter().map(|hit| hit.name).collect::<Vec<String>>()
        };
        assert_eq!(found("york"), ["York", "Yorkshire", "New York", "Duke of York"]);
        assert_eq!(found("YORK n"), ["New York"]);
        assert_eq!(found("etien"), ["Saint-Étienne"]);
        assert_eq!(found("munchen"), ["München"]);
        assert_eq!(found("app"), ["Big Apple"]);
        assert_eq!(found("new yor"), ["New York"]);
        assert!(found("ork").is_empty() && found("").is_empty() && found("\u{1}").is_empty());
        assert_eq!(index.find("york", 1).len(), 1);
        assert_eq!(index.find("york", 1)[0].iri, "e:1");
    }

    #[test]
    fn names_are_found_as_they_are_typed_without_their_accents() {
        for (name, typed) in [
            ("Łódź", "lodz"),
            ("Straße", "strasse"),
            ("Iğdır", "igdir"),
            ("Ærø", "aero"),
            ("ΌΜΗΡΟΣ", "ομηρος"),
            ("İstanbul", "istanbul"),
            ("दिल्ली", "दिल्ली"),
            ("서울", "서울"),
            ("ab\u{200b}cd", "abcd"),
        ] {
            assert_eq!(index(&[(0, name)]).find(typed, 1).len(), 1, "{name}");
        }
        assert_ne!(folded("か"), folded("が"));
        assert_ne!(folded("दिल्ली"), folded("दल्ल"));
    }

    #[test]
    fn a_rare_word_is_found_behind_one_of_many_names() {
        let many: Vec<String> = (0..6000).map(|number| format!("University {number}")).collect();
        let mut names: Vec<(u32, &str)> = many.iter().map(|name| (0, name.as_str())).collect();
        names.push((1, "University of Zürich"));
        assert_eq!(index(&names).find("university zurich", 5)[0].iri, "e:1");
    }

    #[test]
    fn an_entity_is_found_once() {
        let index = index(&[(0, "Yorkers"), (0, "York"), (1, "York City")]);
        let found = index.find("york", 10);
        assert_eq!(found[0], Hit { iri: "e:0".into(), name: "York".into() });
        assert_eq!(found.len(), 2);
    }
}
