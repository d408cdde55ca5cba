//! RDF files: which they are, their triples one by one, and the entities that they describe.
//!
//! An entity is what has a type of its own, not one of RDF's, RDFS's or OWL's, and a label, an `rdfs:label` or
//! `skos:prefLabel`, in the language that is asked for or in none. Its aliases are its `skos:altLabel`s in
//! the same languages.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use oxigraph::io::{JsonLdProfileSet, RdfFormat, RdfParseError, RdfParser};
use oxrdf::vocab::{rdf, rdfs};
use oxrdf::{Literal, NamedOrBlankNode, Quad, Term};

use super::mistakes::Mistakes;
use crate::diagnostic::Diagnostic;
use crate::files;

const SKOS: &str = "http://www.w3.org/2004/02/skos/core#";

/// Vocabularies whose classes say what kind of RDF something is, not what it is.
const SCHEMA: [&str; 3] = [
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "http://www.w3.org/2000/01/rdf-schema#",
    "http://www.w3.org/2002/07/owl#",
];

const PROV: &str = "http://www.w3.org/ns/prov#";

/// Whether triples with this predicate describe entities and relations, and are no facts about them.
pub(crate) fn describes(predicate: &str) -> bool {
    SCHEMA.iter().chain([&SKOS, &PROV]).any(|vocabulary| predicate.starts_with(vocabulary))
}

/// How many entities without a label a warning names.
const SHOWN: usize = 3;

/// The RDF format of a file by its name, compressed or not; none where it is no RDF file.
pub(crate) fn format_of(file: &Path) -> Option<RdfFormat> {
    let name = files::uncompressed_name(file)?.to_str()?.to_ascii_lowercase();
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension {
        "ttl" => RdfFormat::Turtle,
        "trig" => RdfFormat::TriG,
        "nt" => RdfFormat::NTriples,
        "nq" => RdfFormat::NQuads,
        "rdf" | "owl" | "xml" => RdfFormat::RdfXml,
        "jsonld" => RdfFormat::JsonLd { profile: JsonLdProfileSet::empty() },
        _ => return None,
    })
}

/// Gives `take` each triple of an RDF file, whatever graph it is in, as long as it is sound.
pub(crate) fn read(
    file: &Path,
    format: RdfFormat,
    mistakes: &mut Mistakes,
    mut take: impl FnMut(Quad, &mut Mistakes),
) {
    let bytes = match files::open(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("the file cannot be read: {error}");
            return mistakes.about_file(Diagnostic::error("cannot-read", message));
        }
    };
    // Blank nodes of several files must not be the same ones; none is an entity.
    for quad in RdfParser::from_format(format).for_reader(Shallow::new(bytes)) {
        match quad {
            Ok(quad) => take(quad, mistakes),
            Err(RdfParseError::Io(error)) => {
                let message = format!("the file cannot be read to its end: {error}");
                return mistakes.about_file(Diagnostic::error("cannot-read", message));
            }
            Err(RdfParseError::Syntax(error)) => {
                let help =
                    "what follows was not read; mend the file, or name it by its true format";
                // Its own words begin with the place.
                let mistake = Diagnostic::error("rdf-syntax", error.to_string()).help(help);
                return match error.location() {
                    Some(place) => mistakes.at_row(place.start.offset, mistake),
                    None => mistakes.about_file(mistake),
                };
            }
        }
    }
}

/// Triples of RDF 1.2 within each other from which on a file is refused: the library follows them by recursion,
/// and a stack that overflows ends the process. An ontology's parser has the same limit.
const MOST_NESTED: usize = 128;

/// A file as it is read, as long as no more than [`MOST_NESTED`] triples begin within each other.
///
/// Between such beginnings stand IRIs alone, so that a quotation mark begins the count anew, and with it
/// whatever text a literal has.
struct Shallow<R> {
    inner: R,
    last: u8,
    depth: usize,
}

impl<R: Read> Shallow<R> {
    fn new(inner: R) -> Self {
        Self { inner, last: 0, depth: 0 }
    }
}

impl<R: Read> Read for Shallow<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for &byte in &buffer[..count] {
            let pair = (self.last, byte);
            self.last = byte;
            match pair {
                (_, b'"') => self.depth = 0,
                (b'<', b'<') => (self.depth, self.last) = (self.depth + 1, 0),
                (b'>', b'>') => (self.depth, self.last) = (self.depth.saturating_sub(1), 0),
                _ => {}
            }
            if self.depth > MOST_NESTED {
                let message = format!("more than {MOST_NESTED} triples are within each other");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
        Ok(count)
    }
}

/// An entity as it is described elsewhere than in a table of CSV.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// Absolute.
    pub iri: String,
    /// Not empty.
    pub label: String,
    /// Its other names; of a file in byte order.
    pub aliases: Vec<String>,
    /// IRIs of its classes; of a file in byte order.
    pub types: Vec<String>,
}

#[derive(Default)]
struct Found {
    place: usize,
    /// The best until now: how well its language fits, whether it is skos:prefLabel, and itself.
    label: Option<(u8, bool, String)>,
    aliases: Vec<String>,
    types: Vec<String>,
}

/// The entities of a file, in the order in which they come, with a warning about those without a label.
pub(super) fn entities(
    file: &Path,
    format: RdfFormat,
    language: &str,
    mistakes: &mut Mistakes,
) -> Vec<Described> {
    let mut found: HashMap<String, Found> = HashMap::new();
    read(file, format, mistakes, |Quad { subject, predicate, object, .. }, _| {
        let NamedOrBlankNode::NamedNode(subject) = subject else { return };
        let is_named =
            |local: &str| predicate.as_str().strip_prefix(SKOS).is_some_and(|name| name == local);
        let is_preferred = is_named("prefLabel");
        match object {
            Term::NamedNode(class)
                if predicate == rdf::TYPE
                    && !SCHEMA.iter().any(|schema| class.as_str().starts_with(schema)) =>
            {
                entry(&mut found, subject.into_string()).types.push(class.into_string());
            }
            Term::Literal(text) if is_preferred || predicate == rdfs::LABEL => {
                let Some(fit) = fit(&text, language) else { return };
                let label = (fit, is_preferred, text.value().trim().to_owned());
                let known = &mut entry(&mut found, subject.into_string()).label;
                if !label.2.is_empty() && known.as_ref().is_none_or(|known| label < *known) {
                    *known = Some(label);
                }
            }
            Term::Literal(text) if is_named("altLabel") && fit(&text, language).is_some() => {
                entry(&mut found, subject.into_string())
                    .aliases
                    .push(text.value().trim().to_owned());
            }
            _ => {}
        }
    });
    let mut typed: Vec<(String, Found)> =
        found.into_iter().filter(|(_, found)| !found.types.is_empty()).collect();
    typed.sort_unstable_by_key(|(_, found)| found.place);
    let (labelled, others): (Vec<_>, Vec<_>) =
        typed.into_iter().partition(|(_, found)| found.label.is_some());
    if !others.is_empty() {
        let some: Vec<String> =
            others.iter().take(SHOWN).map(|(iri, _)| format!("<{iri}>")).collect();
        let message = format!(
            "{} entities have no label in `{language}` and are left out, as {}",
            others.len(),
            some.join(", ")
        );
        let help = "give them an rdfs:label, or name another `language` under [inputs]";
        mistakes.about_file(Diagnostic::warning("entities-without-label", message).help(help));
    }
    labelled.into_iter().filter_map(described).collect()
}

fn entry(found: &mut HashMap<String, Found>, iri: String) -> &mut Found {
    let place = found.len();
    found.entry(iri).or_insert_with(|| Found { place, ..Found::default() })
}

fn described((iri, found): (String, Found)) -> Option<Described> {
    let Found { label, mut aliases, mut types, .. } = found;
    let (_, _, label) = label?;
    // A list of a table has `|` between its parts.
    aliases.retain(|alias| !alias.is_empty() && *alias != label && !alias.contains('|'));
    for list in [&mut aliases, &mut types] {
        list.sort_unstable();
        list.dedup();
    }
    Some(Described { iri, label, aliases, types })
}

/// How well a literal's language fits, 0 best: the language itself, a variety of it, none. Nothing for
/// another language, and for what is no text.
pub(crate) fn fit(text: &Literal, language: &str) -> Option<u8> {
    let Some(tag) = text.language() else {
        return (text.datatype() == oxrdf::vocab::xsd::STRING).then_some(2);
    };
    let begins = tag.get(..language.len()).is_some_and(|b| b.eq_ignore_ascii_case(language));
    match begins.then(|| &tag[language.len()..]) {
        Some("") => Some(0),
        Some(rest) if rest.starts_with('-') => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::At;
    use std::io::Write as _;

    fn at(folder: &Path, name: &str, text: &[u8]) -> std::path::PathBuf {
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    const TURTLE: &str = "@prefix : <http://e/> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
        @prefix skos: <http://www.w3.org/2004/02/skos/core#> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
        :de rdfs:label \"Deutschland\"@de, \"Germany\"@en, \"Germany (GB)\"@en-GB ; a :Country, owl:Thing ;
            skos:altLabel \"FRG\"@en, \"BRD\"@de, \"Federal Republic\" ; :capital :berlin .
        :berlin a :City ; skos:prefLabel \"Berlin\" .
        :unnamed a :City ; rdfs:label \"Ville\"@fr .
        :Country a owl:Class ; rdfs:label \"country\"@en .
        :loose rdfs:label \"no type\"@en .";

    #[test]
    fn entities_have_a_type_and_a_label_in_the_language() {
        let folder = tempfile::tempdir().unwrap();
        let plain = at(folder.path(), "g.ttl", TURTLE.as_bytes());
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(TURTLE.as_bytes()).unwrap();
        let packed = at(folder.path(), "g.ttl.gz", &gz.finish().unwrap());
        let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bz2.write_all(TURTLE.as_bytes()).unwrap();
        let bzipped = at(folder.path(), "g.ttl.bz2", &bz2.finish().unwrap());
        for file in [plain, packed, bzipped] {
            let mut mistakes = Mistakes::new(&file);
            let format = format_of(&file).unwrap();
            let found = entities(&file, format, "en", &mut mistakes);
            let shown: Vec<_> = found
                .iter()
                .map(|e| (&*e.iri, &*e.label, e.aliases.join(","), e.types.join(",")))
                .collect();
            let expected = [
                (
                    "http://e/de",
                    "Germany",
                    "FRG,Federal Republic".into(),
                    "http://e/Country".into(),
                ),
                ("http://e/berlin", "Berlin", String::new(), "http://e/City".into()),
            ];
            assert_eq!(shown, expected);
            let said = mistakes.finish();
            assert_eq!(said.0.len(), 1);
            assert!(
                said.0[0].message.contains("1 entities have no label in `en`"),
                "{}",
                said.0[0].message
            );
        }
    }

    #[test]
    fn triples_within_each_other_end_no_process() {
        let folder = tempfile::tempdir().unwrap();
        let nested = |depth: usize| {
            let (open, close) =
                ("<<( <http://e/a> <http://e/b> ".repeat(depth), " )>>".repeat(depth));
            format!("<http://e/a> <http://e/b> {open}<http://e/c>{close} .\n")
        };
        let literal = format!("<http://e/a> <http://e/b> \"{}\" .\n", "x << y ".repeat(100));
        for (name, text, expected) in [
            ("deep.nt", nested(200_000), (0, 1)),
            ("flat.nt", nested(MOST_NESTED), (1, 0)),
            ("many.nt", nested(1).repeat(1000) + &literal.repeat(1000), (2000, 0)),
        ] {
            let file = at(folder.path(), name, text.as_bytes());
            let (mut count, mut mistakes) = (0, Mistakes::new(&file));
            read(&file, format_of(&file).unwrap(), &mut mistakes, |_, _| count += 1);
            assert_eq!((count, mistakes.finish().0.len()), expected, "{name}");
        }
    }

    #[test]
    fn what_is_broken_is_told_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = at(folder.path(), "g.nt", b"<http://e/a> <http://e/b> <http://e/c> .\n<oops\n");
        let mut mistakes = Mistakes::new(&file);
        let mut count = 0;
        read(&file, format_of(&file).unwrap(), &mut mistakes, |_, _| count += 1);
        let said = mistakes.finish();
        assert_eq!(count, 1);
        assert_eq!(said.0[0].place.as_ref().unwrap().at, At::Line(2), "{}", said.0[0].message);
        assert_eq!(format_of(Path::new("a/entities.csv")), None);
        assert_eq!(format_of(Path::new("facts.jsonl")), None);
        assert_eq!(format_of(Path::new("x.TTL.gz")), Some(RdfFormat::Turtle));
    }
}
