//! The ontology and the pipeline that an import writes, to be edited.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::kind::{Kind, year};
use crate::config::STARTER;

/// The share of a relation's objects that the classes of its range cover.
const COVERED: f64 = 0.95;

/// How many classes a range has at most.
const MOST_CLASSES: usize = 12;

/// Names for the namespaces that are most usual.
const PREFIXES: [(&str, &str); 6] = [
    ("kgb", "https://w3id.org/kgbuild#"),
    ("owl", "http://www.w3.org/2002/07/owl#"),
    ("rdfs", "http://www.w3.org/2000/01/rdf-schema#"),
    ("wd", "http://www.wikidata.org/entity/"),
    ("wdt", "http://www.wikidata.org/prop/direct/"),
    ("xsd", "http://www.w3.org/2001/XMLSchema#"),
];

/// What was found of a relation.
#[derive(Default)]
pub(super) struct Found {
    /// Its IRI.
    pub iri: String,
    /// What it is called.
    pub name: String,
    /// What its objects are; none where it has no facts.
    pub kind: Option<Kind>,
    /// The types of its subjects, and how many have each.
    pub domain: BTreeMap<String, u64>,
    /// How many subjects there are, or what else the counts of the domain are to cover.
    pub subjects: u64,
    /// The types of its objects that are entities, and how many have each.
    pub range: BTreeMap<String, u64>,
    /// How many objects that are entities there are.
    pub objects: u64,
}

/// Relations with domain, range and a first template, after the labels of `classes`. `source` says whose
/// facts they are.
pub(super) fn ontology(
    source: &str,
    found: &[Found],
    classes: &BTreeMap<String, String>,
) -> String {
    let mut text = format!(
        "# What {source} says of these relations. The templates are a first attempt: write [X] and [Y] into
# sentences that a text would have, the object at their end.
"
    );
    for (prefix, namespace) in PREFIXES {
        let _ = writeln!(text, "@prefix {:<5} <{namespace}> .", format!("{prefix}:"));
    }
    for (class, label) in classes {
        let _ = write!(text, "\n{} rdfs:label {} .", term(class), quoted(label));
    }
    for relation in found {
        let Some(kind) = &relation.kind else {
            let _ =
                write!(text, "\n\n# {} has no facts that can be asked for.", term(&relation.iri));
            continue;
        };
        let _ = write!(
            text,
            "\n\n{} a owl:{} ;\n    rdfs:label {} ;",
            term(&relation.iri),
            if *kind == Kind::Entities { "ObjectProperty" } else { "DatatypeProperty" },
            quoted(&relation.name)
        );
        if let Some(domain) = any_of(&relation.domain, relation.subjects) {
            let _ = write!(text, "\n    rdfs:domain {domain} ;");
        }
        text += &ending(kind, relation);
    }
    text.push('\n');
    text
}

/// The range and the template; where that would be more than can be asked for, that.
fn ending(kind: &Kind, relation: &Found) -> String {
    if matches!(kind, Kind::Texts(_)) && !kind.is_askable() {
        return "\n    rdfs:comment \"Too many texts to be listed: give it a range and a kgb:template.\" ."
            .to_owned();
    }
    let range = range(kind, relation);
    if kind.is_askable() {
        let template = format!("The {} of [X] is [Y].", relation.name);
        format!("{range}\n    kgb:template {} .", quoted(&template))
    } else {
        format!(
            "{range}\n    rdfs:comment \"Too many values: bring the bounds nearer to each other, and give it a \
             kgb:template.\" ."
        )
    }
}

fn range(kind: &Kind, relation: &Found) -> String {
    let bounded = |datatype: &str, first: &str, last: &str| {
        format!(
            "\n    rdfs:range xsd:{datatype} ; kgb:minimum \"{first}\"^^xsd:{datatype} ; kgb:maximum \
             \"{last}\"^^xsd:{datatype} ;"
        )
    };
    match kind {
        Kind::Entities => any_of(&relation.range, relation.objects)
            .map_or(String::new(), |range| format!("\n    rdfs:range {range} ;")),
        Kind::Years { first, last } => bounded("gYear", &year(*first), &year(*last)),
        Kind::Days { first, last } => bounded("date", &first.to_string(), &last.to_string()),
        Kind::Quantities { least, most, decimals: 0 } => {
            format!("\n    rdfs:range xsd:integer ; kgb:minimum {least} ; kgb:maximum {most} ;")
        }
        Kind::Quantities { least, most, decimals } => format!(
            "\n    rdfs:range xsd:decimal ; kgb:decimals {} ; kgb:minimum {least} ; kgb:maximum {most} ;",
            decimals.min(&9)
        ),
        Kind::Truth => "\n    rdfs:range xsd:boolean ;".to_owned(),
        Kind::Texts(texts) => {
            let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
            format!("\n    rdfs:range [ a rdfs:Datatype ; owl:oneOf ( {} ) ] ;", texts.join(" "))
        }
    }
}

/// The most frequent classes that cover nearly all of so many entities, as a class expression.
fn any_of(classes: &BTreeMap<String, u64>, all: u64) -> Option<String> {
    let mut by_count: Vec<(&str, u64)> =
        classes.iter().map(|(class, n)| (class.as_str(), *n)).collect();
    by_count.sort_by_key(|(class, n)| (std::cmp::Reverse(*n), class.len(), *class));
    let mut covered = 0;
    let mut taken = Vec::new();
    for (class, count) in by_count {
        if covered as f64 >= COVERED * all as f64 || taken.len() == MOST_CLASSES {
            break;
        }
        covered += count;
        taken.push(term(class));
    }
    match &taken[..] {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("[ a owl:Class ; owl:unionOf ( {} ) ]", several.join(" "))),
    }
}

/// An IRI, short where it has one of the prefixes.
fn term(iri: &str) -> String {
    let short = PREFIXES.iter().find_map(|(prefix, namespace)| {
        let local = iri.strip_prefix(namespace)?;
        let is_plain = !local.is_empty() && local.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_plain.then(|| format!("{prefix}:{local}"))
    });
    short.unwrap_or_else(|| format!("<{iri}>"))
}

fn quoted(text: &str) -> String {
    oxrdf::Literal::new_simple_literal(text).to_string()
}

/// A pipeline that asks what was imported, with the starter's model.
pub(super) fn pipeline(source: &Path) -> String {
    let name = source.file_name().unwrap_or_default().to_string_lossy();
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
