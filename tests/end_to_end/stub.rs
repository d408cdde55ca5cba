//! Pseudo-random numbers, and a language model made of them.

use kgbuild::lm::{self, Answers, Asking, LanguageModel, Prompt, Row};

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers for the same seed, everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0)
    }

    /// At least 0, below 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A model whose probabilities are a function of the tokens before and of its seed.
pub struct StubModel<F> {
    seed: u64,
    prompts: Vec<u64>,
    /// Called at each chunk.
    opened: F,
}

impl<F: FnMut() + Send> StubModel<F> {
    pub fn new(seed: u64, opened: F) -> Self {
        Self { seed, prompts: Vec::new(), opened }
    }
}

fn hash(start: u64, tokens: &[u32]) -> u64 {
    tokens.iter().fold(start, |hash, &token| mixed(hash ^ (u64::from(token) + 1)))
}

impl<F: FnMut() + Send> LanguageModel for StubModel<F> {
    fn vocabulary(&self) -> usize {
        49_152
    }

    fn open(&mut self, prompts: &[&[Prompt]], _: Asking) {
        (self.opened)();
        self.prompts = prompts[0].iter().map(|prompt| hash(self.seed, &prompt.before)).collect();
    }

    fn answer(&mut self, rows: &[Row<'_>]) -> Result<Answers, lm::Error> {
        let mut values = Vec::new();
        for row in rows {
            let context = hash(self.prompts[row.prompt], &row.continuation);
            let share = 1.0 / row.wanted.len() as f64;
            // Peaked as language models are, and together below one.
            let p = |&token: &u32| share * Random(hash(context, &[token])).unit().powi(64);
            values.extend(row.wanted.iter().map(|token| p(token).max(1e-30).ln()));
        }
        Ok(vec![values])
    }
}
