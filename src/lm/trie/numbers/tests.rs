use std::convert::Infallible;

use proptest::prelude::*;

use super::super::{ListedTrie, Nodes, Sequences};
use super::*;
use crate::lm::branch::{AnswerSpace, Normalise};
use crate::lm::search::{Answer, Asked, Demand, Rankings, SearchTask, search};
use crate::lm::{Answers, Row};
use crate::ontology::grammar;
use crate::shock::{Correction, Mixing, MixingRule};

/// A tokenizer that writes digits by so many, as different ones as there are of each length, and has a
/// lead of its own or not; a sign takes the lead's place or follows it.
#[derive(Clone, Copy, Debug)]
struct Toy {
    group: usize,
    lead: bool,
    minus_follows: bool,
}

const LEAD: u32 = 5000;
/// Digits at the beginning, where they hold the lead.
const FIRST: u32 = 2000;

impl Toy {
    fn tokens(self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        let negative = text.starts_with('-');
        if self.lead && (!negative || self.minus_follows) {
            tokens.push(LEAD);
        }
        let mut rest = text;
        let mut is_first = !self.lead && !negative;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count().min(self.group);
            let length = match rest.as_bytes()[0] {
                b' ' => rest.len(),
                _ => digits.max(1),
            };
            let (piece, others) = rest.split_at(length);
            match piece {
                "-" => tokens.push(1200),
                "," => tokens.push(1201),
                "." => tokens.push(1202),
                " thousand" => tokens.extend([1203, 1204]),
                " million" => tokens.push(1205),
                " billion" => tokens.push(1206),
                digits => {
                    let before = [0, 0, 10, 110][digits.len()];
                    let first = if is_first { FIRST } else { 0 };
                    tokens.push(first + before + digits.parse::<u32>().unwrap());
                }
            }
            is_first = false;
            rest = others;
        }
        tokens
    }

    fn trie(self, numbers: NumberGrammar) -> NumberTrie {
        NumberTrie::new::<UnwritableNumbers>(numbers, &mut |text| Ok(self.tokens(text))).unwrap()
    }

    /// The names by their ways, and whose they are.
    fn listed(self, numbers: NumberGrammar) -> (Sequences, Sequences) {
        let (mut names, mut of) = (Sequences::new(), Sequences::new());
        for number in 0..numbers.numbers() as u32 {
            let first = names.len() as u32;
            let written = numbers.written(number);
            written.iter().for_each(|text| names.push(&self.tokens(text)));
            of.push(&(first..names.len() as u32).collect::<Vec<_>>());
        }
        (names, of)
    }
}

fn toys() -> impl Strategy<Value = Toy> {
    (prop_oneof![Just(1_usize), Just(3)], any::<bool>(), any::<bool>())
        .prop_map(|(group, lead, follows)| Toy { group, lead, minus_follows: lead && follows })
}

fn ranges(most: i64) -> impl Strategy<Value = NumberGrammar> {
    let firsts = prop_oneof![
        Just(0),
        -40_i64..40,
        -12_000_i64..12_000,
        Just(1000),
        Just(990_000),
        Just(9_999_000)
    ];
    (firsts, 1_i64..most, 0_u32..3)
        .prop_map(|(first, count, decimals)| grammar(first, first + count - 1, decimals))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    /// Node by node what the trie of the listed texts is.
    #[test]
    fn it_is_the_trie_of_the_listed_texts(toy in toys(), numbers in ranges(3000)) {
        let trie = toy.trie(numbers);
        let (names, of) = toy.listed(numbers);
        let listed = ListedTrie::new(names, Nodes::Prefixes).unwrap();
        let mut open = vec![(Trie::ROOT, Trie::ROOT)];
        let mut nodes = 0;
        while let Some((node, same)) = open.pop() {
            nodes += 1;
            prop_assert_eq!(trie.path(node), listed.path(same));
            let children = trie.children(node);
            let tokens: Vec<u32> = children.iter().map(|child| child.0).collect();
            prop_assert_eq!(&tokens, listed.child_tokens(same));
            let end = trie.end(node).map(|name| {
                let (number, way) = Names::way_of(name);
                NameIndex::from(of.get(number as usize)[way])
            });
            prop_assert_eq!(end, listed.end(same));
            if let Some(name) = trie.end(node) {
                let ways = trie.ways_to(name);
                prop_assert_eq!(ways[ways.len() - 1], node);
                prop_assert!(trie.path(node).len() <= trie.longest());
            }
            let both = children.into_iter().map(|child| child.1).zip(listed.children(same));
            open.extend(both.map(|(child, same)| (child, NodeId::from(same))));
        }
        prop_assert_eq!(nodes, listed.size());
    }
}

/// A random language model whose distribution over the wanted tokens is peaked, and never sums to more
/// than one.
fn evaluate(seed: u64, models: usize, rows: &[Row<'_>]) -> Answers {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let p = |model: usize, row: &Row<'_>, token: u32| {
        let mut hasher = DefaultHasher::new();
        (seed, model, row.prompt, &*row.continuation, token).hash(&mut hasher);
        let bits = hasher.finish();
        -(row.wanted.len() as f64).ln() - (bits % 6000) as f64 / 1000.0
    };
    let answer =
        |model| rows.iter().flat_map(move |row| row.wanted.iter().map(move |&t| p(model, row, t)));
    (0..models).map(|model| answer(model).collect()).collect()
}

fn answers(
    space: &AnswerSpace,
    rule: MixingRule,
    models: usize,
    demand: Demand,
    seed: u64,
) -> Vec<Answer> {
    let correction: Correction = rule.into();
    let rankings = Rankings { mixed: demand, best: true, keep: 0 };
    let task =
        SearchTask { space, correction: &correction, models, rankings, tolerance: 0.1, near: None };
    let asked = [Asked { task, questions: &[None, None] }];
    search(&asked, &mut |rows| Ok::<_, Infallible>(evaluate(seed, models, rows))).unwrap().remove(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]
    /// Ranges of up to 10,000 as a list and as a grammar: the same answers, bit for bit.
    #[test]
    fn the_search_finds_in_it_what_it_finds_in_the_list(
        toy in toys(),
        numbers in ranges(10_000),
        normalise in prop_oneof![Just(Normalise::None), Just(Normalise::Trie)],
        rule in prop_oneof![
            Just(MixingRule::None),
            Just(MixingRule::Linear { lambda: 0.6 }),
            Just(MixingRule::LogLinear { lambda: 0.4, mixing: Mixing::Candidate }),
            Just(MixingRule::LogLinear { lambda: 0.4, mixing: Mixing::Branching }),
        ],
        models in 1_usize..3,
        most in 1_usize..4,
        threshold in prop_oneof![Just(0.0), 0.0..0.4],
        suffix in prop_oneof![Just(vec![]), Just(vec![9000, 9001]), Just(vec![1201])],
        seed in any::<u64>(),
    ) {
        let (names, of) = toy.listed(numbers);
        let count = names.len();
        let listed = AnswerSpace::new(names, vec![suffix.clone()], normalise).unwrap();
        let listed = listed.with_names(Names::new(of, count));
        let implicit = AnswerSpace::of_numbers(toy.trie(numbers), vec![suffix.clone()], normalise);
        let demand = Demand { threshold, ..Demand::best(most) };
        let [listed, implicit] =
            [listed, implicit].map(|space| answers(&space, rule, models, demand, seed));
        // A text that may go on as a number does widens the bounds, by more where nothing is listed.
        if suffix != [1201] {
            prop_assert_eq!(&listed, &implicit);
        }
        for (listed, implicit) in listed.iter().zip(&implicit) {
            let candidates = |a: &Answer| a.ranked.iter().map(|s| s.candidate).collect::<Vec<_>>();
            if threshold == 0.0 {
                prop_assert_eq!(candidates(listed), candidates(implicit));
            }
            prop_assert_eq!(listed.best, implicit.best);
        }
    }
}

#[test]
fn tokenizers_that_write_otherwise_are_refused() {
    let numbers = grammar(0, 5_000_000, 0);
    // Twos from the left.
    let twos = Toy { group: 2, lead: true, minus_follows: false };
    let refused = NumberTrie::new::<UnwritableNumbers>(numbers, &mut |text| Ok(twos.tokens(text)));
    assert_eq!(refused.unwrap_err().text, "1111111");
    // One token for all that is unknown, and none at all.
    for odd in [vec![LEAD, 7], vec![]] {
        let refused = NumberTrie::new::<UnwritableNumbers>(numbers, &mut |text| {
            Ok([&odd[..], &vec![7; text.len().saturating_sub(1)]].concat())
        });
        assert!(refused.is_err(), "{odd:?}");
    }
    // A number of its own.
    let ones = Toy { group: 1, ..twos };
    let merges = |text: &str| if text == "1000000" { vec![LEAD, 77] } else { ones.tokens(text) };
    let refused = NumberTrie::new::<UnwritableNumbers>(numbers, &mut |text| Ok(merges(text)));
    assert_eq!(refused.unwrap_err().text, "1000000");
}
