//! From an ontology's statements to the values that a relation's objects may be.

use super::calendar::Precision;
use super::grammar::MOST_DIGITS;
use super::{Datatype, MOST_LISTED, MOST_NUMBERS, ValueRange, XSD, ordinal};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::ontology::statements::{Statements, iri};
use crate::ontology::turtle::Node;

/// What a relation's `rdfs:range` says of values.
pub(in crate::ontology) enum ValuesOf {
    /// Its objects are entities.
    Entities,
    /// Its objects are these values.
    Range(ValueRange),
    /// They are values, and what is said of them is wrong.
    Mistaken,
}

const SUPPORTED: &str = "take xsd:integer, xsd:decimal, xsd:gYear, xsd:date, xsd:boolean, or a list of \
                         texts: [ a rdfs:Datatype ; owl:oneOf ( \"red\" \"green\" ) ]";

/// What the objects of `relation` are. Mistakes go to `notes`.
pub(in crate::ontology) fn value_range(
    relation: &Node,
    statements: &Statements,
    notes: &mut Diagnostics,
) -> ValuesOf {
    let ranges = statements.objects(relation, "rdfs:range");
    let is_value = |(range, _): &&(Node, Place)| {
        iri(range).is_some_and(|iri| iri.starts_with(XSD))
            || statements.object(range, "owl:oneOf").is_some()
    };
    let Some((range, place)) = ranges.iter().find(is_value) else { return ValuesOf::Entities };
    let reader = Reader { relation, statements, place };
    match reader.read(range, ranges.len()) {
        Ok(range) => ValuesOf::Range(range),
        Err(mut mistakes) => {
            notes.0.append(&mut mistakes.0);
            ValuesOf::Mistaken
        }
    }
}

fn is_number(datatype: Datatype) -> bool {
    matches!(datatype, Datatype::Integer | Datatype::Decimal)
}

struct Reader<'a> {
    relation: &'a Node,
    statements: &'a Statements,
    /// Where the range is written.
    place: &'a Place,
}

impl Reader<'_> {
    fn read(&self, range: &Node, ranges: usize) -> Result<ValueRange, Diagnostics> {
        let relation = self.relation;
        if ranges > 1 {
            let message = format!("{relation} has a range of values and another");
            return Err(self.mistake("two-ranges", message, "keep one rdfs:range"));
        }
        let coarsest = self.precision(range)?;
        let whole = |datatype, first, last| ValueRange {
            datatype,
            decimals: 0,
            first,
            last,
            listed: Vec::new(),
            tolerance: None,
            coarsest,
            unit: None,
        };
        if let Some(head) = self.statements.object(range, "owl:oneOf") {
            let listed = self.strings(head)?;
            let last = listed.len() as i64 - 1;
            return Ok(ValueRange { listed, ..whole(Datatype::String, 0, last) });
        }
        let datatype = iri(range).and_then(Datatype::of_iri);
        let datatype = match datatype {
            Some(Datatype::Boolean) => return Ok(whole(Datatype::Boolean, 0, 1)),
            Some(datatype) if datatype != Datatype::String => datatype,
            _ => {
                let message =
                    format!("the objects of {relation} are {range}, which cannot be asked for");
                return Err(self.mistake("unsupported-datatype", message, SUPPORTED));
            }
        };
        let decimals = self.decimals(datatype)?;
        let [first, last] = self.bounds(datatype, decimals)?;
        let tolerance = self.tolerance(datatype)?;
        let unit = self.unit(datatype)?;
        Ok(ValueRange { decimals, tolerance, unit, ..whole(datatype, first, last) })
    }

    /// The numbers of the first and the last value, between which are not too many.
    fn bounds(&self, datatype: Datatype, decimals: u32) -> Result<[i64; 2], Diagnostics> {
        let relation = self.relation;
        let [first, last] = [
            self.bound("kgb:minimum", datatype, decimals)?,
            self.bound("kgb:maximum", datatype, decimals)?,
        ];
        if first > last {
            let message = format!("kgb:minimum and kgb:maximum of {relation} leave no value");
            return Err(self.mistake("no-value", message, "the minimum is the smaller one"));
        }
        let most = match datatype {
            Datatype::Integer | Datatype::Decimal => MOST_NUMBERS,
            _ => MOST_LISTED,
        };
        if last.abs_diff(first) >= most {
            let message = format!(
                "{relation} has {} values between kgb:minimum and kgb:maximum, and at most {most} can be \
                 asked for",
                last.abs_diff(first).saturating_add(1)
            );
            let help = "bring the bounds nearer to each other, or take fewer kgb:decimals";
            return Err(self.mistake("too-many-values", message, help));
        }
        let is_listed = last.abs_diff(first) < MOST_LISTED;
        if !is_listed && first.unsigned_abs().max(last.unsigned_abs()) >= 10_u64.pow(MOST_DIGITS) {
            let message = format!("the numbers of {relation} have more than {MOST_DIGITS} digits");
            let help = format!(
                "bring the bounds nearer to 0, take fewer kgb:decimals, or no more than {MOST_LISTED} values"
            );
            return Err(self.mistake("too-many-digits", message, help));
        }
        Ok([first, last])
    }

    /// The texts of a list, each once.
    fn strings(&self, head: &Node) -> Result<Vec<String>, Diagnostics> {
        let members = self.statements.list(head).unwrap_or_default();
        let texts: Option<Vec<String>> = members
            .into_iter()
            .map(|member| match member {
                Node::Literal { value, .. } if !value.trim().is_empty() => Some(value.clone()),
                _ => None,
            })
            .collect();
        let mut seen = std::collections::HashSet::new();
        let texts = texts.filter(|texts| texts.iter().all(|text| seen.insert(text.clone())));
        texts.filter(|texts| !texts.is_empty()).ok_or_else(|| {
            let message =
                format!("the owl:oneOf of {} is no list of texts, each once", self.relation);
            self.mistake("bad-list", message, "write it as owl:oneOf ( \"red\" \"green\" )")
        })
    }

    fn decimals(&self, datatype: Datatype) -> Result<u32, Diagnostics> {
        let Some((node, place)) = self.statements.objects(self.relation, "kgb:decimals").first()
        else {
            return Ok(0);
        };
        let decimals = match node {
            Node::Literal { value, .. } => value.parse().ok().filter(|decimals| *decimals <= 9),
            _ => None,
        };
        match decimals {
            Some(0) => Ok(0),
            Some(decimals) if datatype == Datatype::Decimal => Ok(decimals),
            _ => {
                let message = format!("{} cannot have {node} kgb:decimals", self.relation);
                let mistake = Diagnostic::error("bad-decimals", message)
                    .help("write a whole number from 0 to 9, for an xsd:decimal");
                Err(Diagnostic { place: Some(place.clone()), ..mistake }.into())
            }
        }
    }

    /// Within which share of the true number another is right.
    fn tolerance(&self, datatype: Datatype) -> Result<Option<f64>, Diagnostics> {
        let Some((node, place)) = self.statements.objects(self.relation, "kgb:tolerance").first()
        else {
            return Ok(None);
        };
        let share = match node {
            Node::Literal { value, .. } => value.parse().ok(),
            _ => None,
        };
        match share {
            Some(share) if (0.0..1.0).contains(&share) && is_number(datatype) => Ok(Some(share)),
            _ => {
                let message = format!("{} cannot have {node} kgb:tolerance", self.relation);
                let mistake = Diagnostic::error("bad-tolerance", message)
                    .help("write a share from 0 to below 1, as in 0.05, for an xsd:integer or xsd:decimal");
                Err(Diagnostic { place: Some(place.clone()), ..mistake }.into())
            }
        }
    }

    /// How little may be known of a date; to the day where nothing is said.
    fn precision(&self, range: &Node) -> Result<Precision, Diagnostics> {
        let Some((node, place)) = self.statements.objects(self.relation, "kgb:precision").first()
        else {
            return Ok(Precision::Day);
        };
        let named = |precision: &Precision| matches!(node, Node::Literal { value, .. } if value == precision.name());
        let is_date = iri(range).and_then(Datatype::of_iri) == Some(Datatype::Date);
        Precision::ALL.into_iter().find(named).filter(|_| is_date).ok_or_else(|| {
            let message = format!("{} cannot have {node} kgb:precision", self.relation);
            let mistake = Diagnostic::error("bad-precision", message)
                .help("write \"year\", \"month\" or \"day\", for an xsd:date");
            Diagnostic { place: Some(place.clone()), ..mistake }.into()
        })
    }

    /// What numbers count.
    fn unit(&self, datatype: Datatype) -> Result<Option<String>, Diagnostics> {
        let units = self.statements.objects(self.relation, "kgb:unit");
        let Some((node, place)) = units.first() else { return Ok(None) };
        if let Some(unit) = iri(node).filter(|_| is_number(datatype)) {
            return Ok(Some(unit.to_owned()));
        }
        let message = format!("{} cannot have {node} as its kgb:unit", self.relation);
        let mistake = Diagnostic::error("bad-unit", message).help(
            "name a unit by its IRI, as in unit:KiloM2 of QUDT, for an xsd:integer or xsd:decimal",
        );
        Err(Diagnostic { place: Some(place.clone()), ..mistake }.into())
    }

    fn bound(
        &self,
        predicate: &str,
        datatype: Datatype,
        decimals: u32,
    ) -> Result<i64, Diagnostics> {
        let help = match datatype {
            Datatype::Year => format!("add it, as in {predicate} \"1800\"^^xsd:gYear"),
            Datatype::Date => format!("add it, as in {predicate} \"1900-01-31\"^^xsd:date"),
            _ => format!("add it, as in {predicate} 0"),
        };
        let Some((node, place)) = self.statements.objects(self.relation, predicate).first() else {
            let message = format!("{} has values and no {predicate}", self.relation);
            return Err(self.mistake("no-bounds", message, help));
        };
        let bound = match node {
            Node::Literal { value, .. } => ordinal(datatype, decimals, value),
            _ => None,
        };
        bound.ok_or_else(|| {
            let message =
                format!("the {predicate} of {} is {node}, no {}", self.relation, datatype.iri());
            let mistake = Diagnostic::error("bad-bound", message).help(help);
            Diagnostic { place: Some(place.clone()), ..mistake }.into()
        })
    }

    fn mistake(&self, code: &'static str, message: String, help: impl Into<String>) -> Diagnostics {
        let mistake = Diagnostic::error(code, message).help(help);
        Diagnostic { place: Some(self.place.clone()), ..mistake }.into()
    }
}
