//! Values as objects: which datatypes can be asked for, and the values of a range in their order.
//!
//! Invariant: a range holds at least one value, and at most [`MOST_LISTED`], or [`MOST_NUMBERS`] where they
//! are numbers, which follow a [`NumberGrammar`].

mod calendar;
mod grammar;
mod near;
mod read;
mod written;

use std::str::FromStr;

use oxsdatatypes::{Boolean, Date, Decimal, GYear, Integer};

pub use calendar::{Calendar, Precision};
pub use grammar::{MOST_DIGITS, NumberGrammar, Prefix, Scale, Symbol};
pub use near::{Near, Tolerance};
pub(super) use read::{ValuesOf, value_range};

/// How many values a range has at most that are listed, with their ways to be written.
pub const MOST_LISTED: u64 = 1_000_000;

/// How many numbers a range has at most: they are numbered by 32 bits.
pub const MOST_NUMBERS: u64 = u32::MAX as u64 - 1;

/// The namespace of the datatypes of XML Schema.
pub(super) const XSD: &str = "http://www.w3.org/2001/XMLSchema#";

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datatype {
    /// `xsd:integer`
    Integer,
    /// `xsd:decimal`
    Decimal,
    /// `xsd:gYear`; the year 0 is 1 BC, as in XML Schema 1.1.
    Year,
    /// `xsd:date`, without a time zone.
    Date,
    /// `xsd:boolean`
    Boolean,
    /// `xsd:string`, one of a list.
    String,
}

impl Datatype {
    const ALL: [Self; 6] =
        [Self::Integer, Self::Decimal, Self::Year, Self::Date, Self::Boolean, Self::String];

    /// Its IRI.
    pub fn iri(self) -> &'static str {
        match self {
            Self::Integer => "http://www.w3.org/2001/XMLSchema#integer",
            Self::Decimal => "http://www.w3.org/2001/XMLSchema#decimal",
            Self::Year => "http://www.w3.org/2001/XMLSchema#gYear",
            Self::Date => "http://www.w3.org/2001/XMLSchema#date",
            Self::Boolean => "http://www.w3.org/2001/XMLSchema#boolean",
            Self::String => "http://www.w3.org/2001/XMLSchema#string",
        }
    }

    /// The one with this IRI.
    fn of_iri(iri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|datatype| datatype.iri() == iri)
    }
}

/// The values that a relation's objects may be.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueRange {
    /// What they are.
    pub datatype: Datatype,
    /// How many digits after the point a decimal has at most.
    pub decimals: u32,
    /// Numbers of the first and the last value: of steps of the last decimal, of years, of days since
    /// 1970-01-01, of false and true, of the listed strings.
    first: i64,
    last: i64,
    /// The strings, in the order of the list.
    listed: Vec<String>,
    /// Within which share of the true number another is right.
    tolerance: Option<f64>,
    /// How little may be known of a date.
    coarsest: Precision,
    /// The IRI of what numbers count.
    pub unit: Option<String>,
}

impl ValueRange {
    /// How many values there are.
    pub fn len(&self) -> usize {
        if let Some(calendar) = self.calendar() {
            return calendar.len();
        }
        // No more than MOST_NUMBERS, by the invariant.
        (self.last - self.first + 1) as usize
    }

    /// How little may be known of a date; of other values, a day as of all dates.
    pub fn coarsest(&self) -> Precision {
        self.coarsest
    }

    /// Within which share of the true number another is right.
    pub fn tolerance(&self) -> Option<f64> {
        self.tolerance
    }

    /// The first and the last value, of dates the days.
    pub fn bounds(&self) -> [String; 2] {
        let days = Self { coarsest: Precision::Day, ..self.clone() };
        [days.lexical(0), days.lexical(days.len() - 1)]
    }

    fn calendar(&self) -> Option<Calendar> {
        let is_date = self.datatype == Datatype::Date;
        is_date.then(|| Calendar::new(self.first, self.last, self.coarsest))
    }

    /// The IRI of the datatype of the value with this number: that of all, but of dates that are known to the
    /// month or the year alone.
    pub fn datatype_iri(&self, number: usize) -> &'static str {
        self.calendar().map_or(self.datatype.iri(), |calendar| calendar.datatype(number as u32))
    }

    /// How the numbers are written, where there are too many to be listed.
    pub fn grammar(&self) -> Option<NumberGrammar> {
        (self.len() as u64 > MOST_LISTED).then(|| self.numbers()).flatten()
    }

    /// How the numbers are written, where they are numbers.
    pub fn numbers(&self) -> Option<NumberGrammar> {
        let is_number = matches!(self.datatype, Datatype::Integer | Datatype::Decimal);
        is_number.then(|| NumberGrammar::new(self.first, self.last, self.decimals))
    }

    /// Which others than the true value are right, where there are such.
    pub fn near(&self) -> Option<Near> {
        let calendar = self.calendar().filter(|calendar| calendar.coarsest() > Precision::Day);
        let share = self.tolerance.map(|share| self.within(share));
        share.or(calendar.map(Near::Dates))
    }

    /// That a number may be within a share of the true one.
    pub fn within(&self, share: f64) -> Near {
        Near::Numbers(Tolerance { first: self.first, last: self.last, share })
    }

    /// Between which values the true one may be, so that the value with this number is right; none where only
    /// it is.
    pub fn window(&self, number: u32) -> Option<[String; 2]> {
        self.tolerance?;
        let around = self.near()?.around(number);
        Some([*around.start(), *around.end()].map(|bound| self.lexical(bound as usize)))
    }

    /// Whether there are none, which never is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value with this number, from 0, as its datatype writes it.
    ///
    /// # Panics
    /// Where there are not so many.
    pub fn lexical(&self, number: usize) -> String {
        assert!(number < self.len(), "a value of the range");
        if let Some(calendar) = self.calendar() {
            return calendar.lexical(number as u32);
        }
        let at = self.first + number as i64;
        match self.datatype {
            Datatype::Integer | Datatype::Date => at.to_string(),
            Datatype::Decimal => written::decimal(at, self.decimals),
            Datatype::Year if at < 0 => format!("-{:04}", -at),
            Datatype::Year => format!("{at:04}"),
            Datatype::Boolean => (at == 1).to_string(),
            Datatype::String => self.listed[at as usize].clone(),
        }
    }

    /// The ways in which texts write a value, the most usual first; at least one.
    ///
    /// # Panics
    /// Where there are not so many.
    pub fn written(&self, number: usize) -> Vec<String> {
        assert!(number < self.len(), "a value of the range");
        if let Some(calendar) = self.calendar() {
            return calendar.written(number as u32);
        }
        let at = self.first + number as i64;
        match self.datatype {
            Datatype::Integer | Datatype::Date => written::numbers(at, 0),
            Datatype::Decimal => written::numbers(at, self.decimals),
            Datatype::Year => written::years(at),
            Datatype::Boolean if at == 1 => vec!["true".to_owned(), "yes".to_owned()],
            Datatype::Boolean => vec!["false".to_owned(), "no".to_owned()],
            Datatype::String => vec![self.listed[at as usize].clone()],
        }
    }

    /// Whether a text is a value of the datatype, in the range or not.
    pub fn reads(&self, text: &str) -> bool {
        match self.calendar() {
            Some(calendar) if calendar.coarsest() > Precision::Day => Calendar::reads(text),
            _ => self.ordinal(text).is_some(),
        }
    }

    /// The number of the value that a text, as the datatype writes it, is nearest to; none where it is
    /// outside of the range or no value.
    pub fn position(&self, text: &str) -> Option<usize> {
        if let Some(calendar) = self.calendar() {
            return calendar.position(text);
        }
        let at = self.ordinal(text)?;
        (self.first..=self.last).contains(&at).then(|| (at - self.first) as usize)
    }

    /// A text as [`Self::lexical`] gives the same value; the text itself where it is outside.
    pub fn canonical(&self, text: &str) -> String {
        self.position(text).map_or_else(|| text.to_owned(), |number| self.lexical(number))
    }

    fn ordinal(&self, text: &str) -> Option<i64> {
        match self.datatype {
            Datatype::String => {
                let listed = self.listed.iter().position(|one| one == text);
                // Any text is a string; one that is not listed is outside.
                Some(listed.map_or(i64::MAX, |at| at as i64))
            }
            datatype => ordinal(datatype, self.decimals, text),
        }
    }
}

/// The number of a value that is no string, as in [`ValueRange`].
fn ordinal(datatype: Datatype, decimals: u32, text: &str) -> Option<i64> {
    let text = text.trim();
    match datatype {
        Datatype::Integer => Some(i64::from(Integer::from_str(text).ok()?)),
        Datatype::Decimal => {
            let step = Decimal::from(10_i64.checked_pow(decimals)?);
            let steps = Decimal::from_str(text).ok()?.checked_mul(step)?.checked_round()?;
            Some(i64::from(Integer::try_from(steps).ok()?))
        }
        Datatype::Year => Some(GYear::from_str(text).ok()?.year()),
        Datatype::Date => {
            let date = Date::from_str(text).ok()?;
            // Without its time zone: a day is a day.
            written::day_of(date.year(), date.month(), date.day())
        }
        Datatype::Boolean => Some(i64::from(bool::from(Boolean::from_str(text).ok()?))),
        Datatype::String => None,
    }
}

/// A grammar without the statements of an ontology.
#[cfg(test)]
pub(crate) fn grammar_of(first: i64, last: i64, decimals: u32) -> NumberGrammar {
    NumberGrammar::new(first, last, decimals)
}

#[cfg(test)]
mod tests;
