//! How alike two names are, and what a candidate's score is.
//!
//! A likeness is between 0 and 1, and 1 where the names are the same once they are folded. Else it is the highest of
//! - the share of letters that need not be changed, added, left out or swapped with their neighbours;
//! - 0.95 times that, of the words in the order of the alphabet: `Curie, Marie` is `Marie Curie`;
//! - where one name's words are all in the other, 0.6 and up to 0.35 more the fewer letters the other has beside;
//!
//! but never more than 0.99.

use crate::serve::index::{comparable, words_of};

/// From which likeness on a name is worth to be shown.
pub(super) const WORTH: f64 = 0.6;
/// From which agreement on a property's value is the graph's.
pub(super) const AGREES: f64 = 0.85;
/// What a property counts of which the graph says nothing.
pub(super) const UNKNOWN: f64 = 0.5;
/// The share of the score that is of properties, where they are asked for.
const OF_PROPERTIES: f64 = 0.3;
/// The likeness of names that are not the same is at most this.
const NOT_THE_SAME: f64 = 0.99;
const OTHER_ORDER: f64 = 0.95;
const WITHIN: f64 = 0.6;
const OF_LENGTH: f64 = 0.35;

/// A name that others are compared with.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    folded: String,
    words: Words,
}

/// The words of a name.
#[derive(Clone, Debug)]
struct Words {
    /// With single spaces.
    joined: String,
    /// So in the order of the alphabet.
    sorted: String,
    /// How many letters.
    letters: usize,
    /// How many words.
    count: usize,
}

impl Words {
    fn of(folded: &str) -> Self {
        let mut words: Vec<&str> = words_of(folded).collect();
        let joined = words.join(" ");
        words.sort_unstable();
        let letters = words.iter().map(|word| word.chars().count()).sum();
        Self { joined, sorted: words.join(" "), letters, count: words.len() }
    }
}

impl Asked {
    /// Makes a name ready.
    pub(super) fn new(name: &str) -> Self {
        let folded = comparable(name);
        let words = Words::of(&folded);
        Self { folded, words }
    }

    /// The name as names are compared.
    pub(super) fn folded(&self) -> &str {
        &self.folded
    }

    /// How alike a folded name is.
    pub(super) fn likeness(&self, folded: &str) -> f64 {
        if self.folded == folded {
            return 1.0;
        }
        let other = Words::of(folded);
        let mut best = spelling(&self.words.joined, &other.joined);
        if self.words.count > 1 || other.count > 1 {
            best = best.max(OTHER_ORDER * spelling(&self.words.sorted, &other.sorted));
        }
        if is_within(&self.words, &other) {
            let (less, more) = (self.words.letters, other.letters);
            let (less, more) = (less.min(more), less.max(more));
            best = best.max(WITHIN + OF_LENGTH * less as f64 / more as f64);
        }
        best.min(NOT_THE_SAME)
    }
}

/// The share of letters that stay, in the longer of the two; 0 where it cannot be worth anything.
fn spelling(a: &str, b: &str) -> f64 {
    let (a_letters, b_letters) = (a.chars().count(), b.chars().count());
    let (less, more) = (a_letters.min(b_letters), a_letters.max(b_letters));
    // As many changes as the lengths differ by are sure to be needed.
    if less == 0 || (less as f64) < WORTH * more as f64 {
        return 0.0;
    }
    1.0 - strsim::osa_distance(a, b) as f64 / more as f64
}

/// Whether the words of the one are all in the other. Those that were asked for may be beginnings, as one types.
fn is_within(asked: &Words, other: &Words) -> bool {
    if asked.letters == 0 || other.letters == 0 {
        return false;
    }
    if asked.letters <= other.letters {
        let has = |word: &str| words_of(&other.joined).any(|own| own.starts_with(word));
        return words_of(&asked.joined).all(has);
    }
    words_of(&other.joined).all(|own| words_of(&asked.joined).any(|word| word == own))
}

/// A score from 0 to 100: of the name, and, where properties are asked for, to 30 parts in 100 of how far they agree.
pub(super) fn score(likeness: f64, agreement: Option<f64>) -> f64 {
    let all = match agreement {
        Some(agreement) => (1.0 - OF_PROPERTIES) * likeness + OF_PROPERTIES * agreement,
        None => likeness,
    };
    percent(all)
}

/// A share in percent, with one decimal.
pub(super) fn percent(share: f64) -> f64 {
    (share * 1000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likeness(asked: &str, name: &str) -> f64 {
        Asked::new(asked).likeness(&comparable(name))
    }

    #[test]
    fn the_same_names_are_told_from_others() {
        for (asked, name) in
            [("yaounde", "Yaoundé"), (" New  York ", "new york"), ("STRASSE", "Straße")]
        {
            assert_eq!(likeness(asked, name), 1.0, "{asked}");
        }
        for (asked, name) in [("C", "C++"), ("Saint-Denis", "Saint Denis"), ("a b", "b a")] {
            let likeness = likeness(asked, name);
            assert!(likeness < 1.0 && likeness > 0.9, "{asked}: {likeness}");
        }
    }

    #[test]
    fn what_is_nearer_has_the_higher_likeness() {
        for (asked, near, far) in [
            ("Yaunde", "Yaoundé", "Yantai"),
            ("Curie, Marie", "Marie Curie", "Pierre Curie"),
            ("United States", "United States of America", "United Kingdom"),
            ("Paris, France", "Paris", "Parma"),
            ("new yor", "New York", "New York City"),
            ("Frnace", "France", "Frankfurt"),
        ] {
            let (near, far) = (likeness(asked, near), likeness(asked, far));
            assert!(near > far && near >= WORTH, "{asked}: {near} {far}");
        }
        assert!(likeness("Yaunde", "Berlin") < WORTH);
        assert_eq!(likeness("", "Berlin"), 0.0);
        assert_eq!(likeness("!", "?"), 0.0);
    }

    #[test]
    fn scores_are_from_0_to_100() {
        assert_eq!(score(1.0, None), 100.0);
        assert_eq!(score(1.0, Some(1.0)), 100.0);
        assert_eq!(score(1.0, Some(UNKNOWN)), 85.0);
        assert_eq!(score(1.0, Some(0.0)), 70.0);
        assert_eq!(score(0.5, Some(1.0)), 65.0);
        assert_eq!(score(0.0, Some(0.0)), 0.0);
        assert_eq!(score(0.857_142, None), 85.7);
    }
}
