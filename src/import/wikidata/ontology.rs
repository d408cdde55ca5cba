//! The ontology and the pipeline that an import writes, to be edited.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use oxsdatatypes::Decimal;

use super::value::Kind;
use super::{Found, Selection};
use crate::config::STARTER;
use crate::ontology::{MOST_DIGITS, MOST_NUMBERS};

/// The share of a relation's objects that the classes of its range cover.
const COVERED: f64 = 0.95;

/// How many classes a range has at most.
const MOST_CLASSES: usize = 12;

/// Relations with domain, range and a first template.
pub(super) fn ontology(
    wanted: &Selection,
    found: &[Found],
    classes: &BTreeMap<u64, String>,
) -> String {
    let mut text = "# What Wikidata says of these relations. The templates are a first attempt: write [X] and [Y] into
# sentences that a text would have, the object at their end.
@prefix kgb:  <https://w3id.org/kgbuild#> .
@prefix owl:  <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix wd:   <http://www.wikidata.org/entity/> .
@prefix wdt:  <http://www.wikidata.org/prop/direct/> .
@prefix xsd:  <http://www.w3.org/2001/XMLSchema#> .
"
    .to_owned();
    for (class, label) in classes {
        let _ = write!(text, "\nwd:Q{class} rdfs:label {} .", quoted(label));
    }
    for (relation, number) in found.iter().zip(&wanted.relations) {
        let Some(kind) = &relation.kind else {
            let _ = write!(text, "\n\n# wdt:P{number} has no facts that can be asked for.");
            continue;
        };
        let name = relation.name(*number);
        let _ = write!(
            text,
            "\n\nwdt:P{number} a owl:{} ;\n    rdfs:label {} ;",
            if *kind == Kind::Entities { "ObjectProperty" } else { "DatatypeProperty" },
            quoted(&name)
        );
        let all: u64 = relation.domain.values().sum();
        if let Some(domain) = any_of(&relation.domain, all) {
            let _ = write!(text, "\n    rdfs:domain {domain} ;");
        }
        text += &range(kind, relation);
        let template = format!("The {name} of [X] is [Y].");
        let _ = if is_askable(kind) {
            write!(text, "\n    kgb:template {} .", quoted(&template))
        } else {
            write!(
                text,
                "\n    rdfs:comment \"More than {MOST_NUMBERS} values, or numbers of more than {MOST_DIGITS} \
                 digits: bring the bounds nearer to each other, and give it a kgb:template.\" ."
            )
        };
    }
    text.push('\n');
    text
}

fn range(kind: &Kind, relation: &Found) -> String {
    match kind {
        Kind::Entities => any_of(&relation.range, relation.objects)
            .map_or(String::new(), |range| format!("\n    rdfs:range {range} ;")),
        Kind::Years { first, last } => {
            let year = |year: i64| super::value::Object::Year(year).written();
            format!(
                "\n    rdfs:range xsd:gYear ; kgb:minimum \"{}\"^^xsd:gYear ; kgb:maximum \
                 \"{}\"^^xsd:gYear ;",
                year(*first),
                year(*last)
            )
        }
        Kind::Quantities { least, most, decimals: 0 } => {
            format!("\n    rdfs:range xsd:integer ; kgb:minimum {least} ; kgb:maximum {most} ;")
        }
        Kind::Quantities { least, most, decimals } => format!(
            "\n    rdfs:range xsd:decimal ; kgb:decimals {} ; kgb:minimum {least} ; kgb:maximum {most} ;",
            decimals.min(&9)
        ),
    }
}

/// Whether a relation's values are not too many to be asked for.
fn is_askable(kind: &Kind) -> bool {
    let Kind::Quantities { least, most, decimals } = kind else { return true };
    let steps = |number: Decimal| {
        let step = 10_i64.checked_pow(u32::try_from(*decimals).ok()?)?;
        number.checked_mul(Decimal::from(step))
    };
    let digits = Decimal::from(10_i64.pow(MOST_DIGITS));
    let are_few =
        || steps(most.checked_sub(*least)?).map(|steps| steps < Decimal::from(MOST_NUMBERS));
    let are_short = |number: &Decimal| {
        steps(*number).is_some_and(|s| s < digits && s > Decimal::from(-10_i64.pow(MOST_DIGITS)))
    };
    are_few() == Some(true) && are_short(least) && are_short(most)
}

/// The most frequent classes that cover nearly all of so many entities, as a class expression.
fn any_of(classes: &BTreeMap<u64, u64>, all: u64) -> Option<String> {
    let mut by_count: Vec<(u64, u64)> = classes.iter().map(|(class, n)| (*class, *n)).collect();
    by_count.sort_by_key(|(class, n)| (std::cmp::Reverse(*n), *class));
    let mut covered = 0;
    let mut taken = Vec::new();
    for (class, count) in by_count {
        if covered as f64 >= COVERED * all as f64 || taken.len() == MOST_CLASSES {
            break;
        }
        covered += count;
        taken.push(format!("wd:Q{class}"));
    }
    match &taken[..] {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("[ a owl:Class ; owl:unionOf ( {} ) ]", several.join(" "))),
    }
}

fn quoted(text: &str) -> String {
    oxrdf::Literal::new_simple_literal(text).to_string()
}

/// A pipeline that asks what was imported, with the starter's model.
pub(super) fn pipeline(dump: &Path) -> String {
    let name = dump.file_name().unwrap_or_default().to_string_lossy();
    let base = STARTER.lines().find(|line| line.starts_with("base = ")).unwrap_or_default();
    format!(
        "# Asks what was imported from {name:?}: edit the templates of ontology.ttl first.
[models]
{base}

[inputs]
ontology = \"ontology.ttl\"
subjects = \"entities.csv\"
candidates = \"entities.csv\"
gold = \"facts.csv\"

[output]
folder = \"output\"
"
    )
}
