//! Predicates and classes that are not read, but look as if they were meant to be.

use super::statements::{Statements, iri, local};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};

/// Terms of our namespace that mean nothing here are most likely misspelt.
pub(super) fn warn_of_unknown_terms(statements: &Statements, diagnostics: &mut Diagnostics) {
    let known = [
        "template",
        "question",
        "maxObjects",
        "minimum",
        "maximum",
        "decimals",
        "tolerance",
        "precision",
        "unit",
    ];
    for (predicate, objects) in &statements.by_predicate {
        let Some(name) = predicate.strip_prefix("kgb:").filter(|n| !known.contains(n)) else {
            continue;
        };
        let warning = Diagnostic::warning("unknown-term", format!("kgb:{name} is not read"));
        let near = known.iter().find(|k| strsim::damerau_levenshtein(k, name) <= 3);
        let warning = match near {
            Some(near) => warning.help(format!("did you mean kgb:{near}?")),
            None => warning,
        };
        for (_, place) in objects.values().flatten() {
            diagnostics.push(Diagnostic { place: Some(place.clone()), ..warning.clone() });
        }
    }
    warn_of_misspelt_terms(statements, diagnostics);
}

/// The terms of RDFS and OWL that are read here, as predicates and as classes.
const READ_TERMS: [&str; 22] = [
    "rdfs:label",
    "rdfs:domain",
    "rdfs:range",
    "rdfs:subClassOf",
    "owl:unionOf",
    "owl:oneOf",
    "owl:equivalentClass",
    "owl:onProperty",
    "owl:maxCardinality",
    "owl:maxQualifiedCardinality",
    "owl:FunctionalProperty",
    "owl:IrreflexiveProperty",
    "owl:ObjectProperty",
    "owl:Class",
    "owl:Restriction",
    "rdfs:subPropertyOf",
    "owl:equivalentProperty",
    "owl:inverseOf",
    "owl:SymmetricProperty",
    "owl:disjointWith",
    "owl:AllDisjointClasses",
    "owl:members",
];

/// Terms of RDFS and OWL that are not read, but are nearly one that is.
const OTHER_TERMS: [&str; 6] = [
    "rdfs:Class",
    "owl:minCardinality",
    "owl:minQualifiedCardinality",
    "owl:ReflexiveProperty",
    "owl:onProperties",
    "owl:AsymmetricProperty",
];

/// A term that is a slip of the pen away from one that is read would be passed over in silence.
fn warn_of_misspelt_terms(statements: &Statements, diagnostics: &mut Diagnostics) {
    let near = |term: &str| {
        let known = READ_TERMS.contains(&term) || OTHER_TERMS.contains(&term);
        let close = |read: &&&str| strsim::damerau_levenshtein(read, term) <= 2;
        if known { None } else { READ_TERMS.iter().find(close) }
    };
    let mut warn = |term: &str, place: &Place| {
        if let Some(near) = near(term) {
            let warning = Diagnostic::warning("unknown-term", format!("{term} is not read"))
                .help(format!("did you mean {near}?"));
            diagnostics.push(Diagnostic { place: Some(place.clone()), ..warning });
        }
    };
    for (predicate, objects) in &statements.by_predicate {
        for (_, place) in objects.values().flatten() {
            warn(predicate, place);
        }
    }
    for (_, class, place) in statements.of("rdf:type") {
        if let Some((prefix, name)) = iri(class).and_then(local) {
            warn(&format!("{prefix}:{name}"), place);
        }
    }
}
