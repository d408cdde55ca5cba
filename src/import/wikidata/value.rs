//! The objects of statements: entities, years and quantities.

use oxsdatatypes::Decimal;
use serde_json::Value;

use crate::import::kind::{Kind, year};

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
            Self::Quantity(amount) => Kind::quantity(amount),
            Self::None => None,
        }
    }

    /// Whether it is what a relation's objects are.
    pub(super) fn fits(&self, kind: Option<&Kind>) -> bool {
        match (self.kind(), kind) {
            (None, _) => true,
            (Some(own), Some(kind)) => own.is_like(kind),
            (Some(_), None) => false,
        }
    }

    /// As a table of facts has it.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Entity(number) => format!("{}Q{number}", super::ENTITY),
            Self::Year(number) => year(*number),
            Self::Quantity(amount) => amount.clone(),
            Self::None => String::new(),
        }
    }
}
