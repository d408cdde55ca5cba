//! Values that are right without being the true one: numbers within a share of it, and dates that are known
//! to the month or the year.

use std::ops::RangeInclusive;

use super::calendar::{Calendar, Precision};

/// Which values are right. Values are those of a range, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Near {
    /// Numbers near the true one.
    Numbers(Tolerance),
    /// Dates that the true one lies in.
    Dates(Calendar),
}

impl Near {
    /// Whether `answer` is right where `truth` is true. Of dates the one that is known less nearly says enough
    /// of the other.
    pub fn is_right(&self, answer: u32, truth: u32) -> bool {
        match self {
            Self::Numbers(tolerance) => tolerance.is_right(answer, truth),
            Self::Dates(calendar) => {
                calendar.within(answer).contains(&truth) || calendar.within(truth).contains(&answer)
            }
        }
    }

    /// The values of which each may be true, so that `answer` is right.
    pub fn around(&self, answer: u32) -> RangeInclusive<u32> {
        match self {
            Self::Numbers(tolerance) => tolerance.around(answer),
            Self::Dates(calendar) => calendar.within(answer),
        }
    }

    /// How nearly an answer says what is true: by the level of its precision, 0 the nearest.
    pub fn level(&self, answer: u32) -> usize {
        match self {
            Self::Numbers(_) => 0,
            Self::Dates(calendar) => calendar.precision(answer) as usize,
        }
    }

    /// How many levels there are.
    pub fn levels(&self) -> usize {
        match self {
            Self::Numbers(_) => 1,
            Self::Dates(_) => Precision::ALL.len(),
        }
    }
}

/// How far a number may be from the true one: `share` of this one's size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// The range, in its steps.
    pub(super) first: i64,
    pub(super) last: i64,
    /// Between 0 and 1.
    pub(super) share: f64,
}

/// What rounding may add to a difference, as a share of it.
const ROUNDING: f64 = 1e-9;

impl Tolerance {
    /// Whether `answer` is right where `truth` is true.
    fn is_right(&self, answer: u32, truth: u32) -> bool {
        self.is_near(self.first + i64::from(answer), self.first + i64::from(truth))
    }

    /// The numbers of which each may be true, so that `answer` is right.
    fn around(&self, answer: u32) -> RangeInclusive<u32> {
        let answer = self.first + i64::from(answer);
        // |a - t| ≤ s|t| where t is from a/(1 + s) to a/(1 - s), with the signs of both alike.
        let size = answer.unsigned_abs() as f64;
        let near = (size / (1.0 + self.share)).floor() as i64;
        let far = (size / (1.0 - self.share)).ceil() as i64;
        let (low, high) = if answer < 0 { (-far, -near) } else { (near, far) };
        let low = (low..=answer).find(|&truth| self.is_near(answer, truth)).unwrap_or(answer);
        let high = (answer..=high).rev().find(|&truth| self.is_near(answer, truth));
        let within = |number: i64| (number.clamp(self.first, self.last) - self.first) as u32;
        within(low)..=within(high.unwrap_or(answer))
    }

    fn is_near(&self, answer: i64, truth: i64) -> bool {
        answer.abs_diff(truth) as f64 <= self.share * truth.unsigned_abs() as f64 * (1.0 + ROUNDING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn windows_by_hand() {
        let tolerance = Tolerance { first: -200, last: 1000, share: 0.05 };
        // 100 is right where 96 to 105 is true: 4 ≤ 4.8, 5 ≤ 5.25, but 5 > 4.75.
        assert_eq!(tolerance.around(300), 296..=305);
        assert!(tolerance.is_right(295, 300), "95 for 100, to the last bit");
        assert!(!tolerance.is_right(294, 300));
        assert_eq!(tolerance.around(200), 200..=200, "0");
        assert_eq!(tolerance.around(100), 95..=104, "-100, of which the size counts");
        assert_eq!(tolerance.around(1200), 1153..=1200, "up to the range's end");
    }

    proptest! {
        #[test]
        fn what_is_around_an_answer_is_what_it_is_right_for(
            first in -500_i64..500, count in 1_i64..600, answer in 0_u32..600, share in 0.0..0.6_f64,
        ) {
            let tolerance = Tolerance { first, last: first + count - 1, share };
            let answer = answer % count as u32;
            let around = tolerance.around(answer);
            for truth in 0..count as u32 {
                prop_assert_eq!(around.contains(&truth), tolerance.is_right(answer, truth), "{}", truth);
            }
        }
    }
}
