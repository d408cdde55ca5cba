//! Namespace prefixes: which are known without being declared, and how an IRI is shortened so
//! that Turtle and SPARQL read it back as the same IRI.

use super::vocabulary as kgb;

/// The prefixes that queries and exports know.
const COMMON: [(&str, &str); 13] = [
    ("dcat", kgb::DCAT),
    ("dcterms", kgb::DCTERMS),
    ("kgb", kgb::NAMESPACE),
    ("owl", "http://www.w3.org/2002/07/owl#"),
    ("prov", kgb::PROV),
    ("rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"),
    ("rdfs", "http://www.w3.org/2000/01/rdf-schema#"),
    ("sh", kgb::SH),
    ("skos", "http://www.w3.org/2004/02/skos/core#"),
    ("void", kgb::VOID),
    ("wd", "http://www.wikidata.org/entity/"),
    ("wdt", "http://www.wikidata.org/prop/direct/"),
    ("xsd", "http://www.w3.org/2001/XMLSchema#"),
];

/// A set of prefixes.
#[derive(Clone, Debug)]
pub(super) struct Prefixes(Vec<(String, String)>);

impl Prefixes {
    /// No prefix.
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// The common ones.
    pub(super) fn common() -> Self {
        Self(COMMON.map(|(name, namespace)| (name.to_owned(), namespace.to_owned())).to_vec())
    }

    /// Adds a prefix, in the place of the one of the same name.
    pub(super) fn declare(&mut self, name: &str, namespace: &str) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), namespace.to_owned()));
    }

    /// The prefixes as (name, namespace).
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, namespace)| (name.as_str(), namespace.as_str()))
    }

    /// The place in [`Self::iter`] and the local name of `iri`, where it can be shortened.
    pub(super) fn split<'a>(&self, iri: &'a str) -> Option<(usize, &'a str)> {
        self.0
            .iter()
            .enumerate()
            .filter_map(|(i, (_, namespace))| Some((i, namespace, iri.strip_prefix(&**namespace)?)))
            .filter(|(_, namespace, local)| !namespace.is_empty() && is_plain_local_name(local))
            .max_by_key(|(_, namespace, _)| namespace.len())
            .map(|(i, _, local)| (i, local))
    }

    /// `iri` as `prefix:local`, or as `<iri>` where it cannot be shortened.
    pub(super) fn shorten(&self, iri: &str) -> String {
        match self.split(iri) {
            Some((i, local)) => format!("{}:{local}", self.0[i].0),
            None => format!("<{iri}>"),
        }
    }
}

/// The IRI that a name like `wd:Q142` stands for under the common prefixes; none where it has none of them.
pub fn expand(name: &str) -> Option<String> {
    let (prefix, local) = name.split_once(':')?;
    let (_, namespace) = COMMON.iter().find(|(known, _)| *known == prefix)?;
    Some(format!("{namespace}{local}"))
}

/// An IRI under the common prefixes, as `wd:Q142`, or in angle brackets where it has none of them.
pub fn shorten(iri: &str) -> String {
    Prefixes::common().shorten(iri)
}

/// Whether `local` needs no escapes after a colon. Stricter than the grammar's PN_LOCAL: ASCII
/// letters, digits, `_`, and inside also `-` and `.`.
fn is_plain_local_name(local: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    match local.as_bytes() {
        [] => false,
        [only] => plain(*only),
        [first, middle @ .., last] => {
            plain(*first)
                && middle.iter().all(|&c| plain(c) || c == b'-' || c == b'.')
                && (plain(*last) || *last == b'-')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortens_only_what_reads_back() {
        let prefixes = Prefixes::common();
        let wd = "http://www.wikidata.org/entity/";
        for (local, expected) in [
            ("Q142", "wd:Q142"),
            ("a.b-", "wd:a.b-"),
            ("0a", "wd:0a"),
            ("", "<http://www.wikidata.org/entity/>"),
            ("a.", "<http://www.wikidata.org/entity/a.>"),
            ("-a", "<http://www.wikidata.org/entity/-a>"),
            ("a/b", "<http://www.wikidata.org/entity/a/b>"),
            ("é", "<http://www.wikidata.org/entity/é>"),
            ("%41", "<http://www.wikidata.org/entity/%41>"),
        ] {
            assert_eq!(prefixes.shorten(&format!("{wd}{local}")), expected);
        }
    }

    #[test]
    fn longest_namespace_and_last_declaration_win() {
        let mut prefixes = Prefixes::common();
        prefixes.declare("e", "http://www.wikidata.org/");
        prefixes.declare("kgb", "http://example.org/");
        assert_eq!(prefixes.shorten("http://www.wikidata.org/entity/Q1"), "wd:Q1");
        assert_eq!(prefixes.shorten("http://www.wikidata.org/Q1"), "e:Q1");
        assert_eq!(prefixes.shorten("http://example.org/x"), "kgb:x");
    }
}
