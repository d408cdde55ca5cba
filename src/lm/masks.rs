//! Candidates in the places of masks, as masked language models are asked for them.
//!
//! A candidate of n tokens stands in n places; what a token's probability is given differs:
//!
//! | scoring | a token is masked together with | named by |
//! | --- | --- | --- |
//! | `independent` | all tokens of the candidate | Jiang et al. 2020 (X-FACTR) |
//! | `answer-l2r` | those of the candidate to its right | the chain rule, as in LM-pub-quiz |
//! | `within-word-l2r` | those of its own word to its right | Kauf and Ivanova 2023 (PLL-word-l2r) |
//!
//! A candidate's score is the product of its tokens' probabilities. Only the first two tell nothing
//! of a token's right neighbours in the candidate; the third rewards names whose words give each
//! other away.
//!
//! What is in the other places depends on the candidate's length, or on its words, and not only on
//! the tokens before. So each candidate's sequence begins with a *frame* that says so, a number
//! that is no token; the trie then is one of prefixes again, and its search the same.

use std::borrow::Cow;
use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Row;
use super::trie::Sequences;

/// Which tokens of a candidate a masked model does not see while it is asked for one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scoring {
    /// All of them.
    Independent,
    /// Those of the candidate to its right, and itself: the chain rule.
    AnswerL2r,
    /// Those of its word to its right, and itself.
    WithinWordL2r,
}

/// How the candidates of an answer space stand in masks.
#[derive(Clone, Debug)]
pub(super) struct Masks {
    mask: u32,
    scoring: Scoring,
    frames: Vec<Frame>,
}

/// What is known of a candidate before its first token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Frame {
    /// How many tokens it has.
    Length(usize),
    /// All its tokens, and for each the number of its word.
    Words(Vec<u32>, Vec<u32>),
}

impl Masks {
    /// The sequences of `candidates` with their frames in front. `words` has for each token of each
    /// candidate the number of its word, counted from 0.
    pub(super) fn new(
        mask: u32,
        scoring: Scoring,
        candidates: &Sequences,
        words: &Sequences,
    ) -> (Self, Sequences) {
        let mut frames: Vec<Frame> = Vec::new();
        let mut numbers: HashMap<Frame, u32> = HashMap::new();
        let mut framed = Sequences::new();
        for candidate in 0..candidates.len() {
            let (tokens, words) = (candidates.get(candidate), words.get(candidate));
            let several = words.first() != words.last();
            let frame = match scoring {
                Scoring::WithinWordL2r if several => Frame::Words(tokens.to_vec(), words.to_vec()),
                _ => Frame::Length(tokens.len()),
            };
            let number = *numbers.entry(frame).or_insert_with_key(|frame| {
                frames.push(frame.clone());
                frames.len() as u32 - 1
            });
            framed.push(&[&[number], tokens].concat());
        }
        (Self { mask, scoring, frames }, framed)
    }

    /// The row that asks for `wanted` after `path`, a frame and some tokens; none at the root, where
    /// the frames part.
    pub(super) fn row<'a>(
        &self,
        path: &[u32],
        prompt: usize,
        wanted: &'a [u32],
    ) -> Option<Row<'a>> {
        let (&frame, before) = path.split_first()?;
        let place = before.len();
        let continuation = match (&self.frames[frame as usize], self.scoring) {
            (Frame::Length(length), Scoring::Independent) => vec![self.mask; *length],
            (Frame::Length(length), _) => {
                let mut filled = before.to_vec();
                filled.resize(*length, self.mask);
                filled
            }
            (Frame::Words(tokens, words), _) => {
                let masked = |at: usize| at >= place && words[at] == words[place];
                let of = |(at, &token): (usize, &u32)| if masked(at) { self.mask } else { token };
                tokens.iter().enumerate().map(of).collect()
            }
        };
        let (continuation, wanted) = (Cow::Owned(continuation), Cow::Borrowed(wanted));
        Some(Row { prompt, continuation, place, wanted, relative: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: u32 = 99;

    fn asked(scoring: Scoring) -> Vec<Vec<(Vec<u32>, usize, u32)>> {
        let (mut candidates, mut words) = (Sequences::new(), Sequences::new());
        // One word of three tokens, and two words of which the second has two.
        for (tokens, of) in [([1, 2, 3], [0, 0, 0]), ([1, 5, 6], [0, 1, 1])] {
            candidates.push(&tokens);
            words.push(&of);
        }
        let (masks, framed) = Masks::new(MASK, scoring, &candidates, &words);
        let rows = |candidate: usize| {
            let path = framed.get(candidate);
            let row = |at: usize| masks.row(&path[..at], 0, &path[at..=at]);
            assert!(row(0).is_none());
            let rows = (1..path.len()).filter_map(row);
            rows.map(|r| (r.continuation.to_vec(), r.place, r.wanted[0])).collect()
        };
        (0..framed.len()).map(rows).collect()
    }

    #[test]
    fn all_at_once() {
        let all = vec![MASK; 3];
        let rows = asked(Scoring::Independent);
        assert_eq!(rows[0], [(all.clone(), 0, 1), (all.clone(), 1, 2), (all.clone(), 2, 3)]);
        assert_eq!(rows[1], [(all.clone(), 0, 1), (all.clone(), 1, 5), (all, 2, 6)]);
    }

    #[test]
    fn left_to_right_in_the_answer_and_in_the_word() {
        let single =
            [(vec![MASK, MASK, MASK], 0, 1), (vec![1, MASK, MASK], 1, 2), (vec![1, 2, MASK], 2, 3)];
        let answer = asked(Scoring::AnswerL2r);
        let word = asked(Scoring::WithinWordL2r);
        assert_eq!(answer[0], single);
        assert_eq!(word[0], single);
        let second = [(vec![1, MASK, MASK], 1, 5), (vec![1, 5, MASK], 2, 6)];
        assert_eq!(answer[1][0], (vec![MASK, MASK, MASK], 0, 1));
        assert_eq!(answer[1][1..], second);
        assert_eq!(word[1][0], (vec![MASK, 5, 6], 0, 1));
        assert_eq!(word[1][1..], second);
    }
}
