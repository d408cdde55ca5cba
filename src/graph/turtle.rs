//! RDF terms as Turtle 1.2 writes them: prefixed names, the shorthands for numbers and truth
//! values, triple terms.
//!
//! Invariant: a term reads back as the very same term. What has a shorthand only by changing its
//! lexical form (the decimal `1`) is written in full.

use super::prefixes::Prefixes;
use oxigraph::model::vocab::xsd;
use oxigraph::model::{LiteralRef, NamedNodeRef, NamedOrBlankNodeRef, TermRef, Triple};

/// Writes terms and remembers which prefixes they used.
pub(super) struct TermWriter<'a> {
    prefixes: &'a Prefixes,
    used: Vec<bool>,
}

impl<'a> TermWriter<'a> {
    pub(super) fn new(prefixes: &'a Prefixes) -> Self {
        Self { prefixes, used: vec![false; prefixes.iter().len()] }
    }

    /// The prefixes that were used since [`Self::new`], sorted by name.
    pub(super) fn used(&self) -> Vec<(&'a str, &'a str)> {
        let known = self.prefixes.iter().zip(&self.used);
        let mut used: Vec<_> = known.filter(|(_, used)| **used).map(|(p, _)| p).collect();
        used.sort_unstable();
        used
    }

    pub(super) fn iri(&mut self, iri: NamedNodeRef<'_>) -> String {
        if let Some((i, _)) = self.prefixes.split(iri.as_str()) {
            self.used[i] = true;
        }
        self.prefixes.shorten(iri.as_str())
    }

    pub(super) fn subject(&mut self, subject: NamedOrBlankNodeRef<'_>) -> String {
        match subject {
            NamedOrBlankNodeRef::NamedNode(iri) => self.iri(iri),
            NamedOrBlankNodeRef::BlankNode(node) => node.to_string(),
        }
    }

    pub(super) fn term(&mut self, term: TermRef<'_>) -> String {
        match term {
            TermRef::NamedNode(iri) => self.iri(iri),
            TermRef::BlankNode(node) => node.to_string(),
            TermRef::Literal(literal) => self.literal(literal),
            TermRef::Triple(triple) => self.triple(triple),
        }
    }

    fn triple(&mut self, triple: &Triple) -> String {
        let subject = self.subject(triple.subject.as_ref());
        let predicate = self.iri(triple.predicate.as_ref());
        let object = self.term(triple.object.as_ref());
        format!("<<( {subject} {predicate} {object} )>>")
    }

    fn literal(&mut self, literal: LiteralRef<'_>) -> String {
        let datatype = literal.datatype();
        if literal.language().is_some() || datatype == xsd::STRING {
            return literal.to_string();
        }
        let value = literal.value();
        let has_shorthand = (datatype == xsd::INTEGER && is_integer(value))
            || (datatype == xsd::DECIMAL && is_decimal(value))
            || (datatype == xsd::BOOLEAN && matches!(value, "true" | "false"));
        if has_shorthand {
            return value.to_owned();
        }
        format!("{}^^{}", LiteralRef::new_simple_literal(value), self.iri(datatype))
    }
}

/// `[+-]?[0-9]+`
fn is_integer(value: &str) -> bool {
    let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
    !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit())
}

/// `[+-]?[0-9]+\.[0-9]+`; the grammar also lets the part before the point be empty.
fn is_decimal(value: &str) -> bool {
    value.split_once('.').is_some_and(|(whole, part)| {
        is_integer(whole) && !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit())
    })
}
