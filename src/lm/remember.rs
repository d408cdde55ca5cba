//! What models answered, kept by what the answer depends on: the prompt, and what was asked after it.
//!
//! A row's answer is a function of the model, the prompt, the continuation and the tokens that are wanted.
//! So what is remembered of a prompt stays true under other weights, thresholds, templates beside it, and
//! other candidates, as far as the same is asked: a search that is done again asks only for what it did
//! not see before.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::{Answers, Row};

/// What a model answered after one prompt: by what was asked, ln p of each wanted token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remembered {
    rows: BTreeMap<u64, Vec<f64>>,
}

impl Remembered {
    /// As bytes: each row's key, 8 bytes; how many values it has, 4 bytes, times two, and one more where
    /// they need f64; the values, little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, values) in &self.rows {
            let is_double = values.iter().any(|&value| f64::from(value as f32) != value);
            bytes.extend(key.to_le_bytes());
            bytes.extend((2 * values.len() as u32 + u32::from(is_double)).to_le_bytes());
            for &value in values {
                match is_double {
                    true => bytes.extend(value.to_le_bytes()),
                    false => bytes.extend((value as f32).to_le_bytes()),
                }
            }
        }
        bytes
    }

    /// From the bytes of [`Self::to_bytes`]; `None` where they are none, or hold what is no ln p.
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut rows = BTreeMap::new();
        while !bytes.is_empty() {
            let key = u64::from_le_bytes(take(&mut bytes)?);
            let head = u32::from_le_bytes(take(&mut bytes)?) as usize;
            let value = |bytes: &mut &[u8]| match head % 2 {
                0 => Some(f64::from(f32::from_le_bytes(take(bytes)?))),
                _ => Some(f64::from_le_bytes(take(bytes)?)),
            };
            let values: Option<Vec<f64>> = (0..head / 2).map(|_| value(&mut bytes)).collect();
            // As of a model's own answers: -∞ is a legal mask, and the others are none.
            let values = values?;
            if values.iter().any(|value| value.is_nan() || *value == f64::INFINITY) {
                return None;
            }
            rows.insert(key, values);
        }
        Some(Self { rows })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

/// What answers rows, of each model those that are asked, by model and row.
pub type EvaluateSome<'a, E> = dyn FnMut(&[Row<'_>], &[Vec<bool>]) -> Result<Answers, E> + 'a;

/// What is remembered of a batch's prompts.
#[derive(Debug, Default)]
pub struct Memory {
    /// By model and prompt.
    known: Vec<Vec<Remembered>>,
    /// By prompt, what was asked for, where only that is to be remembered.
    used: Vec<Option<BTreeSet<u64>>>,
}

impl Memory {
    /// What is known before a search: by model and prompt. What of a prompt that `is_stale` the search has no
    /// use for is forgotten: it was answered about other candidates.
    pub fn new(known: Vec<Vec<Remembered>>, is_stale: Vec<bool>) -> Self {
        let used = is_stale.into_iter().map(|is_stale| is_stale.then(BTreeSet::new)).collect();
        Self { known, used }
    }

    /// What is known after it, by model and prompt. What it did not need this time is among it.
    pub fn into_known(self) -> Vec<Vec<Remembered>> {
        let Self { mut known, used } = self;
        for prompts in &mut known {
            for (prompt, used) in prompts.iter_mut().zip(&used) {
                if let Some(used) = used {
                    prompt.rows.retain(|key, _| used.contains(key));
                }
            }
        }
        known
    }

    /// Answers rows from what is known; `evaluate` is asked for those of which some model's answer is not, and
    /// told by model which these are.
    ///
    /// # Errors
    /// Those of `evaluate`.
    pub fn answer<E>(
        &mut self,
        rows: &[Row<'_>],
        evaluate: &mut EvaluateSome<'_, E>,
    ) -> Result<Answers, E> {
        let keys: Vec<u64> = rows.iter().map(key).collect();
        let of = |prompts: &Vec<Remembered>| -> Vec<bool> {
            let each = rows.iter().zip(&keys);
            each.map(|(row, key)| !prompts[row.prompt].rows.contains_key(key)).collect()
        };
        let unknown: Vec<Vec<bool>> = self.known.iter().map(of).collect();
        let asked: Vec<usize> =
            (0..rows.len()).filter(|&row| unknown.iter().any(|unknown| unknown[row])).collect();
        if !asked.is_empty() {
            let own: Vec<Row<'_>> = asked.iter().map(|&row| rows[row].clone()).collect();
            let is_asked = |unknown: &Vec<bool>| asked.iter().map(|&row| unknown[row]).collect();
            let is_asked: Vec<Vec<bool>> = unknown.iter().map(is_asked).collect();
            let new = evaluate(&own, &is_asked)?;
            for ((known, new), is_asked) in self.known.iter_mut().zip(&new).zip(&is_asked) {
                let mut new = new.as_slice();
                for ((&number, row), is_asked) in asked.iter().zip(&own).zip(is_asked) {
                    let (values, rest) = new.split_at(row.wanted.len());
                    new = rest;
                    if *is_asked {
                        known[row.prompt].rows.insert(keys[number], values.to_vec());
                    }
                }
            }
        }
        for (row, key) in rows.iter().zip(&keys) {
            if let Some(used) = &mut self.used[row.prompt] {
                used.insert(*key);
            }
        }
        let answers = self.known.iter().map(|known| {
            let each = rows.iter().zip(&keys);
            each.flat_map(|(row, key)| known[row.prompt].rows[key].iter().copied()).collect()
        });
        Ok(answers.collect())
    }
}

/// What tells apart what is asked after a prompt.
fn key(row: &Row<'_>) -> u64 {
    let mut hash = Sha256::new();
    let is_relative = u64::from(row.relative);
    for number in [row.continuation.len() as u64, row.place as u64, is_relative] {
        hash.update(number.to_le_bytes());
    }
    for tokens in [&row.continuation, &row.wanted] {
        let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
        hash.update(bytes);
    }
    let digest = hash.finalize();
    u64::from_le_bytes(std::array::from_fn(|at| digest[at]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn row(prompt: usize, continuation: &[u32], wanted: &[u32]) -> Row<'static> {
        Row {
            prompt,
            continuation: Cow::Owned(continuation.to_vec()),
            place: 0,
            wanted: Cow::Owned(wanted.to_vec()),
            relative: false,
        }
    }

    /// Two models whose answers are what was asked; counts the rows of each.
    fn ask(memory: &mut Memory, rows: &[Row<'_>]) -> (Answers, usize) {
        let mut asked = 0;
        let answers = memory.answer(rows, &mut |rows: &[Row<'_>], is_asked: &[Vec<bool>]| {
            asked += is_asked.iter().flatten().filter(|is_asked| **is_asked).count();
            let of = |model: usize| {
                let values = rows.iter().flat_map(|row| {
                    let own = (row.prompt + 10 * row.continuation.len() + 100 * model) as f64;
                    row.wanted.iter().map(move |&token| own + f64::from(token) / 3.0)
                });
                values.collect()
            };
            Ok::<Answers, ()>(vec![of(0), of(1)])
        });
        (answers.unwrap(), asked)
    }

    #[test]
    fn nothing_is_asked_twice() {
        let unknown = || vec![vec![Remembered::default(); 2]; 2];
        let first = [row(0, &[], &[1, 2]), row(1, &[4], &[3])];
        let mut memory = Memory::new(unknown(), vec![false; 2]);
        let (expected, asked) = ask(&mut memory, &first);
        assert_eq!(asked, 2 * 2);
        let used = memory.into_known();
        // Through bytes, with one row more in between and the others the other way round.
        let bytes = |prompts: &Vec<Remembered>| -> Vec<Remembered> {
            prompts.iter().map(|p| Remembered::from_bytes(&p.to_bytes()).unwrap()).collect()
        };
        let known: Vec<Vec<Remembered>> = used.iter().map(bytes).collect();
        assert_eq!(known, used);
        let mut memory = Memory::new(known.clone(), vec![false; 2]);
        let more = [first[1].clone(), row(1, &[4], &[3, 7]), first[0].clone()];
        let (answers, asked) = ask(&mut memory, &more);
        assert_eq!(asked, 2, "other tokens are wanted of one");
        let (all, _) = ask(&mut Memory::new(unknown(), vec![false; 2]), &more);
        assert_eq!(answers, all);
        assert_eq!([answers[1][3], answers[1][4]], [expected[1][0], expected[1][1]]);
        // What was known and not asked for stays known.
        let mut memory = Memory::new(known.clone(), vec![false; 2]);
        assert_eq!(ask(&mut memory, &first[..1]).1, 0);
        assert_eq!(memory.into_known(), used);
        // But for prompts of which the candidates are others.
        let mut memory = Memory::new(known, vec![false, true]);
        assert_eq!(ask(&mut memory, &first[..1]).1, 0);
        let left = memory.into_known();
        assert!(left.iter().all(|of| !of[0].rows.is_empty() && of[1].rows.is_empty()));
        // Where one model's answer is not known, that one is asked.
        let mut half = unknown();
        half[0] = used[0].clone();
        let (answers, asked) = ask(&mut Memory::new(half, vec![false; 2]), &first);
        assert_eq!((answers, asked), (expected, 2));
    }

    #[test]
    fn bytes_that_are_cut_off_are_none() {
        let rows = BTreeMap::from([(7, vec![0.5, -1.25]), (9, vec![0.1])]);
        let bytes = Remembered { rows }.to_bytes();
        assert_eq!(bytes.len(), (8 + 4 + 2 * 4) + (8 + 4 + 8), "0.1 needs f64");
        let whole = |&end: &usize| Remembered::from_bytes(&bytes[..end]).is_some();
        assert_eq!((0..=bytes.len()).filter(whole).collect::<Vec<_>>(), [0, 20, 40]);
        for (value, is_one) in
            [(f64::NEG_INFINITY, true), (f64::NAN, false), (f64::INFINITY, false)]
        {
            let bytes = Remembered { rows: BTreeMap::from([(7, vec![value])]) }.to_bytes();
            assert_eq!(Remembered::from_bytes(&bytes).is_some(), is_one, "{value}");
        }
    }
}
