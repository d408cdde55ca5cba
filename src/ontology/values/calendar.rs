//! Days of a range with their months and years, for dates that may be known no nearer.
//!
//! A year is numbered before its months, and a month before its days, so that what lies within one is a
//! range of numbers that begins with it.

use std::ops::RangeInclusive;
use std::str::FromStr;

use oxsdatatypes::{Date, GYear, GYearMonth};

use super::written::{self, date_of, day_of};

/// How nearly a date is known, from the nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// To the day.
    Day,
    /// To the month.
    Month,
    /// To the year.
    Year,
}

impl Precision {
    /// From the nearest.
    pub const ALL: [Self; 3] = [Self::Day, Self::Month, Self::Year];

    /// Its name in an ontology.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// The days from `first` to `last`, counted from 1970-01-01, with what they lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    first: i64,
    last: i64,
    /// How little may be known of a date.
    coarsest: Precision,
}

/// What a number stands for: a day, or the month or year that it begins in the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    precision: Precision,
    day: i64,
}

fn year_and_month(day: i64) -> (i64, i64) {
    date_of(day).map_or((0, 1), |date| (date.year(), date.month().into()))
}

impl Calendar {
    pub(super) fn new(first: i64, last: i64, coarsest: Precision) -> Self {
        Self { first, last, coarsest }
    }

    pub(super) fn len(&self) -> usize {
        // The last day has the last number.
        self.number(self.last) as usize + 1
    }

    /// The number of a day of the range.
    fn number(&self, day: i64) -> u32 {
        let (year, month) = year_and_month(day);
        let (first_year, first_month) = year_and_month(self.first);
        let years = year - first_year + 1;
        let months = 12 * (year - first_year) + month - first_month + 1;
        let above = match self.coarsest {
            Precision::Day => 0,
            Precision::Month => months,
            Precision::Year => months + years,
        };
        (day - self.first + above) as u32
    }

    fn moment(&self, number: u32) -> Moment {
        let (mut low, mut high) = (self.first, self.last);
        // The first day with such a number or a larger one.
        while low < high {
            let middle = low + (high - low) / 2;
            if self.number(middle) < number {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let precision = match self.number(low) - number {
            0 => Precision::Day,
            1 => Precision::Month,
            _ => Precision::Year,
        };
        Moment { precision, day: low }
    }

    /// How nearly the date with a number is known.
    pub fn precision(&self, number: u32) -> Precision {
        self.moment(number).precision
    }

    /// How little may be known of a date.
    pub fn coarsest(&self) -> Precision {
        self.coarsest
    }

    /// All that lies within the date with a number, itself first.
    pub fn within(&self, number: u32) -> RangeInclusive<u32> {
        let Moment { precision, day } = self.moment(number);
        let same = |a: (i64, i64), b: (i64, i64)| match precision {
            Precision::Day => false,
            Precision::Month => a == b,
            Precision::Year => a.0 == b.0,
        };
        let own = year_and_month(day);
        let most = match precision {
            Precision::Day => 0,
            Precision::Month => 30,
            Precision::Year => 365,
        };
        let mut last = (day..=self.last.min(day + most)).rev();
        let last = last.find(|&other| same(own, year_and_month(other))).unwrap_or(day);
        number..=self.number(last)
    }

    pub(super) fn lexical(&self, number: u32) -> String {
        let Moment { precision, day } = self.moment(number);
        let date = date_of(day).map(|date| date.to_string()).unwrap_or_default();
        // "1890-03-12", of which the year may have more digits, or a sign.
        let kept = match precision {
            Precision::Day => 0,
            Precision::Month => 3,
            Precision::Year => 6,
        };
        date[..date.len().saturating_sub(kept)].to_owned()
    }

    pub(super) fn written(&self, number: u32) -> Vec<String> {
        let Moment { precision, day } = self.moment(number);
        match precision {
            Precision::Day => written::dates(day),
            Precision::Month => written::months(day),
            Precision::Year => written::years(year_and_month(day).0),
        }
    }

    /// The datatype of the date with a number.
    pub(super) fn datatype(&self, number: u32) -> &'static str {
        match self.precision(number) {
            Precision::Day => "http://www.w3.org/2001/XMLSchema#date",
            Precision::Month => "http://www.w3.org/2001/XMLSchema#gYearMonth",
            Precision::Year => "http://www.w3.org/2001/XMLSchema#gYear",
        }
    }

    /// The number of the date that a text is, as its datatype writes it; none where that is outside.
    pub(super) fn position(&self, text: &str) -> Option<usize> {
        let Moment { precision, day } = moment_of(text)?;
        // The first day of a month or year that is in the range.
        let (own, day) = (day, day.max(self.first));
        let is_same = match precision {
            Precision::Day => own == day,
            Precision::Month => year_and_month(own) == year_and_month(day),
            Precision::Year => year_and_month(own).0 == year_and_month(day).0,
        };
        let is_inside = is_same && precision <= self.coarsest && day <= self.last;
        let above = match precision {
            Precision::Day => 0,
            Precision::Month => 1,
            Precision::Year => 2,
        };
        is_inside.then(|| (self.number(day) - above) as usize)
    }

    /// Whether a text is a date of some precision.
    pub(super) fn reads(text: &str) -> bool {
        moment_of(text).is_some()
    }
}

/// A text as a date, with the first day that it may be.
fn moment_of(text: &str) -> Option<Moment> {
    let text = text.trim();
    let first_of = |year: i64, month: u8, day: u8, precision| {
        Some(Moment { precision, day: day_of(year, month, day)? })
    };
    if let Ok(date) = Date::from_str(text) {
        return first_of(date.year(), date.month(), date.day(), Precision::Day);
    }
    if let Ok(month) = GYearMonth::from_str(text) {
        return first_of(month.year(), month.month(), 1, Precision::Month);
    }
    first_of(GYear::from_str(text).ok()?.year(), 1, 1, Precision::Year)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> i64 {
        moment_of(text).unwrap().day
    }

    #[test]
    fn years_come_before_their_months_and_these_before_their_days() {
        let calendar = Calendar::new(day("1999-12-30"), day("2000-02-02"), Precision::Year);
        let lexical: Vec<String> = (0..7).map(|number| calendar.lexical(number)).collect();
        assert_eq!(
            lexical,
            ["1999", "1999-12", "1999-12-30", "1999-12-31", "2000", "2000-01", "2000-01-01"]
        );
        assert_eq!((calendar.within(0), calendar.within(1)), (0..=3, 1..=3));
        assert_eq!(calendar.within(4), 4..=calendar.len() as u32 - 1);
        assert_eq!(calendar.within(5), 5..=36);
        assert_eq!(calendar.written(1), ["December 1999", "1999-12"]);
        assert_eq!(calendar.written(4), ["2000"]);
        assert!(calendar.datatype(5).ends_with("#gYearMonth"));
        // Where days alone are asked for, a year is no answer.
        let days = Calendar::new(day("1999-12-30"), day("2000-02-02"), Precision::Day);
        assert_eq!((days.len(), days.position("2000")), (35, None));
    }

    proptest! {
        #[test]
        fn dates_are_found_by_their_texts(
            first in -800_000_i64..40_000, days in 1_i64..1500, coarsest in 0..3_usize,
        ) {
            let coarsest = Precision::ALL[coarsest];
            let calendar = Calendar::new(first, first + days - 1, coarsest);
            for number in 0..calendar.len() as u32 {
                let text = calendar.lexical(number);
                prop_assert_eq!(calendar.position(&text), Some(number as usize), "{}", text);
                let within = calendar.within(number);
                prop_assert_eq!(*within.start(), number);
                for other in within {
                    prop_assert!(calendar.lexical(other).starts_with(&text));
                }
                prop_assert!(calendar.precision(number) <= coarsest);
            }
        }
    }
}
