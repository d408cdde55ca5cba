//! Values as answers: numbers within a tolerance, dates by the precision that both sides have.

use std::str::FromStr;

use oxsdatatypes::{Date, Decimal, Double, GYear, GYearMonth};

/// A number or a date.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value {
    Number(Decimal),
    /// A year, and what is known of the day in it.
    Date {
        year: i64,
        month: Option<u8>,
        day: Option<u8>,
    },
}

/// The datatype of years, which look like numbers.
const YEAR: &str = "http://www.w3.org/2001/XMLSchema#gYear";

impl Value {
    /// The value that a text is, if it is one: `1234.5`, `1,234.5`, `1890-03-12`, `1890-03`. A year alone
    /// is a number.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(date) = Date::from_str(text) {
            let (month, day) = (Some(date.month()), Some(date.day()));
            return Some(Self::Date { year: date.year(), month, day });
        }
        if let Ok(month) = GYearMonth::from_str(text) {
            return Some(Self::Date { year: month.year(), month: Some(month.month()), day: None });
        }
        Decimal::from_str(&without_commas(text)?).ok().map(Self::Number)
    }

    /// The value of a literal of RDF.
    pub(super) fn of_literal(text: &str, datatype: &str) -> Option<Self> {
        match datatype {
            YEAR => {
                let year = GYear::from_str(text).ok()?.year();
                Some(Self::Date { year, month: None, day: None })
            }
            _ => Self::read(text),
        }
    }

    /// Whether it is right where `gold` is: a number by less than the share `tolerance` of gold away, a
    /// date by all parts that both have.
    pub(super) fn fits(&self, gold: &Self, tolerance: f64) -> bool {
        match (self, gold) {
            (Self::Number(one), Self::Number(gold)) => {
                let [one, gold] = [one, gold].map(|&number| f64::from(Double::from(number)));
                // So that what is just so far away is right, whatever is rounded.
                (one - gold).abs() <= tolerance * gold.abs() * (1.0 + 1e-9)
            }
            (
                Self::Date { year, month, day },
                Self::Date { year: gold_year, month: gold_month, day: gold_day },
            ) => {
                let agrees = |one: &Option<u8>, gold: &Option<u8>| match (one, gold) {
                    (Some(one), Some(gold)) => one == gold,
                    _ => true,
                };
                year == gold_year && agrees(month, gold_month) && agrees(day, gold_day)
            }
            (Self::Number(number), Self::Date { year, .. })
            | (Self::Date { year, .. }, Self::Number(number)) => *number == Decimal::from(*year),
        }
    }
}

/// A number as a decimal writes it, where commas, if any, part its thousands.
fn without_commas(text: &str) -> Option<String> {
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut groups = whole.trim_start_matches(['-', '+']).split(',');
    let first = groups.next().unwrap_or_default().len();
    let mut count = 0;
    let are_thousands = groups.all(|group| {
        count += 1;
        group.len() == 3
    });
    let is_parted = are_thousands && (count == 0 || (1..=3).contains(&first));
    is_parted.then(|| format!("{}{fraction}", whole.replace(',', "")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(one: &str, gold: &str, tolerance: f64) -> bool {
        Value::read(one).unwrap().fits(&Value::read(gold).unwrap(), tolerance)
    }

    #[test]
    fn numbers_within_a_share_of_gold() {
        assert!(fits("1234", "1,234.0", 0.0) && !fits("1234", "1235", 0.0));
        assert!(fits("95", "100", 0.05) && fits("105", "100", 0.05));
        assert!(!fits("94.9", "100", 0.05) && !fits("105.1", "100", 0.05));
        assert!(fits("-21", "-20", 0.05) && fits("0", "0", 0.05) && !fits("0.01", "0", 0.05));
        for text in ["", "Paris", "1,23", "1234,567", ",123", "NaN", "1e5", "12 March"] {
            assert_eq!(Value::read(text), None, "{text}");
        }
    }

    #[test]
    fn dates_by_what_both_know() {
        assert!(fits("1890-03-12", "1890", 0.05) && !fits("1891-03-12", "1890", 0.05));
        assert!(fits("1890", "1890-03-12", 0.0) && fits("1890-03", "1890-03-12", 0.0));
        assert!(!fits("1890-04", "1890-03-12", 0.0) && !fits("1890-03-11", "1890-03-12", 0.0));
        let year = |text| Value::of_literal(text, YEAR).unwrap();
        assert!(!year("1900").fits(&Value::read("1890").unwrap(), 0.05), "no number");
        assert!(year("-0043").fits(&year("-0043"), 0.0));
        assert_eq!(Value::of_literal("x", YEAR), None);
    }

    proptest! {
        #[test]
        fn a_value_is_right_where_it_is_gold(steps in -10_000_000_i64..10_000_000, tolerance in 0.0..1.0) {
            let text = format!("{}.{:02}", steps / 100, (steps % 100).abs());
            prop_assert!(fits(&text, &text, tolerance));
        }
    }
}
