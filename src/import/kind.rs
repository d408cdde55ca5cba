//! What the objects of a relation are, as far as its facts tell.

use std::collections::BTreeSet;

use oxsdatatypes::{Date, Decimal};

use crate::ontology::{MOST_DIGITS, MOST_LISTED, MOST_NUMBERS};

/// What the objects of a relation are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Entities,
    /// As XML Schema counts, in which 0 is 1 BC.
    Years {
        first: i64,
        last: i64,
    },
    Days {
        first: Date,
        last: Date,
    },
    Quantities {
        least: Decimal,
        most: Decimal,
        decimals: usize,
    },
    Truth,
    Texts(BTreeSet<String>),
}

/// How many texts a list of them has at most.
pub(super) const MOST_TEXTS: usize = 1_000;

impl Kind {
    /// A number as `xsd:decimal` writes it; nothing if it is none.
    pub(super) fn quantity(amount: &str) -> Option<Self> {
        let value: Decimal = amount.parse().ok()?;
        let decimals = amount.split_once('.').map_or(0, |(_, digits)| digits.len());
        Some(Self::Quantities { least: value, most: value, decimals })
    }

    /// Whether another is of the same kind.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Takes another of the same kind in.
    pub(super) fn join(&mut self, other: Self) {
        match (self, other) {
            (Self::Years { first, last }, Self::Years { first: a, last: b }) => {
                *first = (*first).min(a);
                *last = (*last).max(b);
            }
            (Self::Days { first, last }, Self::Days { first: a, last: b }) => {
                if a < *first {
                    *first = a;
                }
                if b > *last {
                    *last = b;
                }
            }
            (
                Self::Quantities { least, most, decimals },
                Self::Quantities { least: a, most: b, decimals: digits },
            ) => {
                if a < *least {
                    *least = a;
                }
                if b > *most {
                    *most = b;
                }
                *decimals = (*decimals).max(digits);
            }
            // One more than can be listed is enough to know that.
            (Self::Texts(texts), Self::Texts(more)) if texts.len() <= MOST_TEXTS => {
                texts.extend(more);
            }
            _ => {}
        }
    }

    /// Whether its values are not too many to be asked for.
    pub(super) fn is_askable(&self) -> bool {
        match self {
            Self::Quantities { least, most, decimals } => {
                let steps = |number: Decimal| {
                    let step = 10_i64.checked_pow(u32::try_from(*decimals).ok()?)?;
                    number.checked_mul(Decimal::from(step))
                };
                let ten_digits = 10_i64.pow(MOST_DIGITS);
                let [lowest, highest] = [-ten_digits, ten_digits].map(Decimal::from);
                let is_short = |number: &Decimal| {
                    steps(*number).is_some_and(|steps| lowest < steps && steps < highest)
                };
                let count = most.checked_sub(*least).and_then(steps);
                let is_few = count.is_some_and(|steps| steps < Decimal::from(MOST_NUMBERS));
                is_few && is_short(least) && is_short(most)
            }
            Self::Days { first, last } => {
                // Of a year's days, more than there are.
                let years = last.year().saturating_sub(first.year()).saturating_add(1);
                years.saturating_mul(366) < MOST_LISTED as i64
            }
            Self::Texts(texts) => texts.len() <= MOST_TEXTS,
            Self::Years { first, last } => last.abs_diff(*first) < MOST_LISTED,
            Self::Entities | Self::Truth => true,
        }
    }
}

/// A year as `xsd:gYear` writes it.
pub(super) fn year(year: i64) -> String {
    if year < 0 { format!("-{:04}", year.unsigned_abs()) } else { format!("{year:04}") }
}
