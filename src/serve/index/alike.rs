//! Names that may be meant by another one: the same, those with words that begin so, and those that are near to it.
//!
//! Near are the names with words that are next to one of its words in the alphabet, which share its beginning. A
//! word that no name has is also looked for with one letter more, less, otherwise or in its neighbour's place.
//! All are binary searches, so that how long it takes hardly depends on how many names there are.

use std::collections::BTreeSet;

use super::{END, Index, WORDS, words_of};

/// How many names that are the same are looked at.
const SAME: usize = 256;
/// How many names with words that begin so.
const BEGINNING: usize = 200;
/// How many places on either side in the alphabet, of all words together.
const NEAR: usize = 512;
/// How many places with a word that is another by one letter, for each such word.
const MENDED: usize = 8;
/// The longest word that is mended.
const LETTERS: usize = 24;

/// A name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) struct Name<'a> {
    /// Whose it is.
    pub iri: &'a str,
    /// As the graph has it.
    pub written: &'a str,
    /// As names are compared.
    pub folded: &'a str,
}

/// Names that may be meant.
#[derive(Debug)]
pub(in crate::serve) struct Alike<'a> {
    /// Each once, in no order.
    pub names: Vec<Name<'a>>,
    /// Whether all that are the same are among them.
    pub has_all_same: bool,
}

impl Index {
    /// The names that may be meant by one, which is [`comparable`](super::comparable).
    pub(in crate::serve) fn alike(&self, asked: &str) -> Alike<'_> {
        let mut same = self.same(asked);
        let has_all_same = same.len() <= SAME;
        same.truncate(SAME);
        let mut numbers: BTreeSet<usize> = same.into_iter().collect();
        numbers.extend(self.found(asked, BEGINNING));
        let words: Vec<&str> = words_of(asked).take(WORDS).collect();
        for word in &words {
            let each = NEAR / words.len();
            let at = self.words.partition_point(|&place| self.begins(place) < *word);
            let near = at.saturating_sub(each)..(at + each).min(self.words.len());
            numbers.extend(self.words[near].iter().map(|&place| self.number(place)));
            if self.range(word).is_empty() {
                for mended in mended(word) {
                    let range = self.range(&mended);
                    let places = self.words[range].iter().take(MENDED);
                    numbers.extend(places.map(|&place| self.number(place)));
                }
            }
        }
        let names = numbers.into_iter().map(|number| self.name(number)).collect();
        Alike { names, has_all_same }
    }

    /// The numbers of the names that are no more and no less than this; one more than [`SAME`] where there are more.
    fn same(&self, asked: &str) -> Vec<usize> {
        let Some(first) = asked.find(char::is_alphanumeric) else { return Vec::new() };
        let range = self.range(&format!("{}{END}", &asked[first..]));
        // Where names end alike, those that begin there come first.
        let whole = self.words[range].iter().take_while(|place| self.is_first(**place));
        let numbers = whole.map(|&place| self.number(place));
        numbers.filter(|&number| self.name(number).folded == asked).take(SAME + 1).collect()
    }

    fn name(&self, number: usize) -> Name<'_> {
        let (begin, whose) = self.names[number];
        Name {
            iri: &self.iris[whose as usize],
            written: &self.written[number],
            folded: self.rest(begin),
        }
    }
}

/// The words that are another by one letter.
fn mended(word: &str) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    let mut mended = Vec::new();
    if letters.len() > LETTERS {
        return mended;
    }
    let mut add = |head: &[char], between: &[char], tail: &[char]| {
        mended.push([head, between, tail].concat().into_iter().collect::<String>());
    };
    for at in 0..=letters.len() {
        let (head, tail) = letters.split_at(at);
        // With nothing left, every name would begin so.
        if let [_, rest @ ..] = tail
            && head.len() + rest.len() > 0
        {
            add(head, &[], rest);
        }
        if let [one, other, rest @ ..] = tail {
            add(head, &[*other, *one], rest);
        }
        for letter in 'a'..='z' {
            add(head, &[letter], tail);
            if let [_, rest @ ..] = tail {
                add(head, &[letter], rest);
            }
        }
    }
    mended
}

#[cfg(test)]
mod tests {
    use super::super::comparable;
    use super::*;

    /// Each name is of an entity of its own.
    fn index(names: &[&str]) -> Index {
        let mut index = Index::default();
        for (number, name) in names.iter().enumerate() {
            index.iris.push(format!("e:{number}").into());
            index.add(number as u32, name);
        }
        index.sort();
        index
    }

    fn found(index: &Index, asked: &str) -> Vec<String> {
        let alike = index.alike(&comparable(asked));
        alike.names.iter().map(|name| name.written.to_owned()).collect()
    }

    /// Many names, so that what is near in the alphabet is few of them.
    fn many() -> Vec<String> {
        let mut names = Vec::new();
        for a in 'a'..='z' {
            for b in 'a'..='z' {
                names.extend(('a'..='z').map(|c| format!("{a}{b}{c}er")));
            }
        }
        names
    }

    #[test]
    fn a_misspelt_word_is_found_among_many() {
        let many = many();
        let mut names: Vec<&str> = many.iter().map(String::as_str).collect();
        names.extend(["France", "New Caledonia"]);
        let index = index(&names);
        for asked in ["Frnace", "Frence", "Frnce", "Frannce", "Trance", "rance", "FRANCE", "franc"]
        {
            assert!(found(&index, asked).contains(&"France".to_owned()), "{asked}");
        }
        let asked = "neuw caledonnia";
        assert!(found(&index, asked).contains(&"New Caledonia".to_owned()));
        assert!(found(&index, "Frnace").len() < 2 * NEAR + MENDED * 400);
    }

    #[test]
    fn all_names_that_are_the_same_are_found() {
        let mut names = vec!["York"; 300];
        names.extend(["New York"; 3000]);
        let all = index(&names);
        let alike = all.alike("york");
        assert!(!alike.has_all_same);
        let few = index(&["York", "New  York", "york ", "YORK", "(York)", "yorker"]);
        let same: Vec<usize> = few.same("york");
        assert_eq!((same, few.same("new york")), (vec![0, 2, 3], vec![1]));
        assert!(few.alike("york").has_all_same);
        assert!(few.alike("").names.is_empty() && few.same("!").is_empty());
        assert_eq!(few.same("(york)"), [4]);
    }
}
