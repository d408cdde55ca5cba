//! Literals as values that can be asked for.

use std::str::FromStr;

use oxrdf::vocab::{rdf, xsd};
use oxrdf::{BlankNode, Literal, NamedNode, NamedNodeRef, Term};
use oxsdatatypes::{Boolean, Date, DateTime, Decimal, GYear};

use crate::catalog::rdf::fit;
use crate::import::kind::{Kind, year};

/// What a cell of a CSV table most likely was: an IRI, a value, else a text.
pub(super) fn guessed(cell: &str) -> Term {
    if cell.starts_with("_:") {
        return BlankNode::default().into();
    }
    let is_iri = ["http://", "https://", "urn:"].iter().any(|scheme| cell.starts_with(scheme));
    if let (true, Ok(iri)) = (is_iri, NamedNode::new(cell)) {
        return iri.into();
    }
    let digits = cell.trim_start_matches(['-', '+']);
    // A number with zeros before it is a code.
    let is_code = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let looks = |datatype: NamedNodeRef<'static>| Literal::new_typed_literal(cell, datatype).into();
    if !is_code && digits.starts_with(|c: char| c.is_ascii_digit()) && number(cell).is_some() {
        looks(xsd::DECIMAL)
    } else if DateTime::from_str(cell).is_ok() {
        looks(xsd::DATE_TIME)
    } else if Date::from_str(cell).is_ok() {
        looks(xsd::DATE)
    } else if matches!(cell, "true" | "false") {
        looks(xsd::BOOLEAN)
    } else {
        Literal::new_simple_literal(cell).into()
    }
}

/// What a literal is as an object.
pub(super) enum Value {
    /// A value of a kind, as a table of facts has it.
    Of(Kind, String),
    /// A text in another language.
    Foreign,
    /// Nothing that can be asked for.
    Unfit,
}

/// A literal as an object; times become years, as for Wikidata most are.
pub(super) fn value(literal: &Literal, language: &str) -> Value {
    let (text, datatype) = (literal.value().trim(), literal.datatype());
    let found = match datatype {
        xsd::STRING | rdf::LANG_STRING => {
            if fit(literal, language).is_none() {
                return Value::Foreign;
            }
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            (!text.is_empty()).then(|| (Kind::Texts([text.clone()].into()), text))
        }
        xsd::BOOLEAN => {
            Boolean::from_str(text).ok().map(|truth| (Kind::Truth, bool::from(truth).to_string()))
        }
        xsd::G_YEAR => GYear::from_str(text).ok().map(|found| of_year(found.year())),
        xsd::DATE_TIME => DateTime::from_str(text).ok().map(|time| of_year(time.year())),
        xsd::DATE => day(text).map(|day| (Kind::Days { first: day, last: day }, day.to_string())),
        // Of other datatypes, as those of units, what is written as a number is one.
        _ => number(text).and_then(|number| Some((Kind::quantity(&number)?, number))),
    };
    found.map_or(Value::Unfit, |(kind, text)| Value::Of(kind, text))
}

fn of_year(number: i64) -> (Kind, String) {
    (Kind::Years { first: number, last: number }, year(number))
}

/// A day without its time zone.
fn day(text: &str) -> Option<Date> {
    let date = Date::from_str(text).ok()?;
    format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()).parse().ok()
}

/// A number, written as `xsd:decimal` writes it.
fn number(text: &str) -> Option<String> {
    let exact = Decimal::from_str(text).ok();
    let decimal = exact.or_else(|| {
        let double: f64 = text.parse().ok().filter(|double: &f64| double.is_finite())?;
        Decimal::from_str(&double.to_string()).ok()
    })?;
    Some(decimal.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(literal: &Literal) -> Option<String> {
        match value(literal, "en") {
            Value::Of(_, text) => Some(text),
            _ => None,
        }
    }

    #[test]
    fn cells_are_taken_by_their_looks() {
        let typed = |cell: &str| match guessed(cell) {
            Term::Literal(literal) => {
                literal.datatype().as_str().rsplit('#').next().unwrap().to_owned()
            }
            Term::NamedNode(_) => "IRI".to_owned(),
            _ => "blank".to_owned(),
        };
        for (cell, kind) in [
            ("http://e/a", "IRI"),
            ("http://e/a b", "string"),
            ("_:b1", "blank"),
            ("12", "decimal"),
            ("-1.50", "decimal"),
            ("4.5E7", "decimal"),
            ("0.5", "decimal"),
            ("007", "string"),
            ("inf", "string"),
            ("1890-03-12T00:00:00Z", "dateTime"),
            ("1890-03-12", "date"),
            ("true", "boolean"),
            ("Paris: a city", "string"),
        ] {
            assert_eq!(typed(cell), kind, "{cell}");
        }
    }

    #[test]
    fn literals_are_written_as_tables_have_them() {
        let typed = |text: &str, datatype| read(&Literal::new_typed_literal(text, datatype));
        assert_eq!(typed("-0043-01-01T00:00:00Z", xsd::DATE_TIME).as_deref(), Some("-0043"));
        assert_eq!(typed("1890-03-12+01:00", xsd::DATE).as_deref(), Some("1890-03-12"));
        assert_eq!(typed("1.5E3", xsd::DOUBLE).as_deref(), Some("1500"));
        assert_eq!(typed("INF", xsd::DOUBLE), None);
        assert_eq!(typed("+7", xsd::UNSIGNED_INT).as_deref(), Some("7"));
        assert_eq!(typed("1", xsd::BOOLEAN).as_deref(), Some("true"));
        assert_eq!(typed("P1Y", xsd::DURATION), None);
        let tagged = |tag| read(&Literal::new_language_tagged_literal(" a  b ", tag).unwrap());
        assert_eq!((tagged("en").as_deref(), tagged("de")), (Some("a b"), None));
    }
}
