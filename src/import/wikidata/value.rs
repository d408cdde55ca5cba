//! The objects of statements: entities, years and quantities.

use oxsdatatypes::Decimal;
use serde_json::Value;

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Object {
    /// An item, by its number.
    Entity(u64),
    /// A year as XML Schema counts, in which 0 is 1 BC.
    Year(i64),
    /// A number as `xsd:decimal` writes it.
    Quantity(String),
    /// It is known that there is none.
    None,
}

/// What the objects of a relation are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Entities,
    Years { first: i64, last: i64 },
    Quantities { least: Decimal, most: Decimal, decimals: usize },
}

/// A date whose precision is a year or finer.
const YEAR: u64 = 9;

impl Object {
    /// Of a statement's main part; nothing where it is unknown, or of a kind that cannot be asked for.
    pub(super) fn of(snak: &Value) -> Option<Self> {
        match snak["snaktype"].as_str()? {
            "novalue" => return Some(Self::None),
            "value" => {}
            _ => return None,
        }
        let value = &snak["datavalue"]["value"];
        match snak["datavalue"]["type"].as_str()? {
            "wikibase-entityid" if value["entity-type"] == "item" => {
                let number = value["numeric-id"].as_u64();
                let id = || value["id"].as_str()?.strip_prefix('Q')?.parse().ok();
                number.or_else(id).map(Self::Entity)
            }
            "time" if value["precision"].as_u64()? >= YEAR => {
                let time = value["time"].as_str()?;
                let (sign, digits) = time.split_at_checked(1)?;
                let year: i64 = digits.split('-').next()?.parse().ok()?;
                // Years before Christ are counted from 1.
                Some(Self::Year(if sign == "-" { 1 - year } else { year }))
            }
            "quantity" => {
                let amount = value["amount"].as_str()?.trim_start_matches('+');
                let number: Decimal = amount.parse().ok()?;
                Some(Self::Quantity(number.to_string()))
            }
            _ => None,
        }
    }

    /// What a relation with it has as objects; nothing can be told of none.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Entity(_) => Some(Kind::Entities),
            Self::Year(year) => Some(Kind::Years { first: *year, last: *year }),
            Self::Quantity(amount) => {
                let value: Decimal = amount.parse().ok()?;
                let decimals = amount.split_once('.').map_or(0, |(_, digits)| digits.len());
                Some(Kind::Quantities { least: value, most: value, decimals })
            }
            Self::None => None,
        }
    }

    /// Whether it is what a relation's objects are.
    pub(super) fn fits(&self, kind: Option<&Kind>) -> bool {
        match (self.kind(), kind) {
            (None, _) => true,
            (Some(own), Some(kind)) => std::mem::discriminant(&own) == std::mem::discriminant(kind),
            (Some(_), None) => false,
        }
    }

    /// As a table of facts has it.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Entity(number) => format!("{}Q{number}", super::ENTITY),
            Self::Year(year) if *year < 0 => format!("-{:04}", -year),
            Self::Year(year) => format!("{year:04}"),
            Self::Quantity(amount) => amount.clone(),
            Self::None => String::new(),
        }
    }
}

impl Kind {
    /// Takes another of the same kind in.
    pub(super) fn join(&mut self, other: &Self) {
        match (self, other) {
            (Self::Years { first, last }, Self::Years { first: a, last: b }) => {
                *first = (*first).min(*a);
                *last = (*last).max(*b);
            }
            (
                Self::Quantities { least, most, decimals },
                Self::Quantities { least: a, most: b, decimals: digits },
            ) => {
                if *a < *least {
                    *least = *a;
                }
                if *b > *most {
                    *most = *b;
                }
                *decimals = (*decimals).max(*digits);
            }
            _ => {}
        }
    }
}
