//! How much a model computed.

use std::iter::Sum;
use std::ops::{AddAssign, Sub};
use std::time::{Duration, Instant};

/// What a model's sessions did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Tokens that were computed.
    pub tokens: u64,
    /// How long that took.
    pub time: Duration,
}

impl Work {
    /// `tokens` that were computed since `start`.
    pub fn since(start: Instant, tokens: usize) -> Self {
        Self { tokens: tokens as u64, time: start.elapsed() }
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.time += other.time;
    }
}

impl Sum for Work {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let mut sum = Self::default();
        all.for_each(|work| sum += work);
        sum
    }
}

impl Sub for Work {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { tokens: self.tokens - earlier.tokens, time: self.time - earlier.time }
    }
}
