//! Which format a client wants (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header};
use oxigraph::io::{JsonLdProfileSet, RdfFormat};
use oxigraph::sparql::results::QueryResultsFormat;

/// A range of media types that a client takes, and how gladly.
#[derive(Debug, PartialEq)]
struct Range {
    /// In lower case; `*` for any.
    kind: String,
    subkind: String,
    /// From 0, not at all, to 1000.
    quality: u32,
    /// The version of RDF that is asked for.
    version: Option<String>,
}

/// A format that is offered: under which names it is asked for, the first being the one that it is sent as.
pub(super) struct Offer<T: 'static> {
    names: &'static [&'static str],
    format: T,
}

/// What was chosen, and as what it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chosen<T> {
    pub format: T,
    pub content_type: String,
}

/// Results of SELECT and ASK; the first is what is sent to those who take anything.
pub(super) const RESULTS: [Offer<QueryResultsFormat>; 4] = [
    Offer {
        names: &["application/sparql-results+json", "application/json", "text/json"],
        format: QueryResultsFormat::Json,
    },
    Offer {
        names: &["application/sparql-results+xml", "application/xml", "text/xml"],
        format: QueryResultsFormat::Xml,
    },
    Offer { names: &["text/csv"], format: QueryResultsFormat::Csv },
    Offer { names: &["text/tab-separated-values", "text/tsv"], format: QueryResultsFormat::Tsv },
];

/// Triples.
pub(super) const TRIPLES: [Offer<RdfFormat>; 7] = [
    Offer { names: &["text/turtle", "application/x-turtle"], format: RdfFormat::Turtle },
    Offer { names: &["application/n-triples", "text/plain"], format: RdfFormat::NTriples },
    Offer {
        names: &["application/rdf+xml", "application/xml", "text/xml"],
        format: RdfFormat::RdfXml,
    },
    Offer {
        names: &["application/ld+json", "application/json"],
        format: RdfFormat::JsonLd { profile: JsonLdProfileSet::empty() },
    },
    Offer { names: &["application/trig"], format: RdfFormat::TriG },
    Offer { names: &["application/n-quads"], format: RdfFormat::NQuads },
    Offer { names: &["text/n3"], format: RdfFormat::N3 },
];

/// What of `offers` the client takes most gladly, the first of those that it takes alike; where it says nothing, the
/// first.
pub(super) fn choose<T: Copy>(headers: &HeaderMap, offers: &[Offer<T>]) -> Option<Chosen<T>> {
    let ranges = ranges(headers);
    let mut best: Option<(u32, Chosen<T>)> = None;
    for offer in offers {
        for (place, name) in offer.names.iter().enumerate() {
            let (quality, version) = match &ranges {
                None => (1000, None),
                // A format's other names are for those who ask by them.
                Some(ranges) if place > 0 && !ranges.iter().any(|range| range.is(name)) => continue,
                Some(ranges) => quality(ranges, name),
            };
            if quality > best.as_ref().map_or(0, |(quality, _)| *quality) {
                let is_versioned = version.is_some_and(|version| version == "1.2");
                let version = if is_versioned { "; version=1.2" } else { "" };
                let charset = if name.starts_with("text/") { "; charset=utf-8" } else { "" };
                let content_type = format!("{}{charset}{version}", offer.names[0]);
                best = Some((quality, Chosen { format: offer.format, content_type }));
            }
        }
    }
    best.map(|(_, chosen)| chosen)
}

/// Whether a client would rather have a page than what `others` offer.
pub(super) fn wants_page<T: Copy>(headers: &HeaderMap, others: &[Offer<T>]) -> bool {
    let Some(ranges) = ranges(headers) else { return false };
    let best =
        others.iter().flat_map(|offer| offer.names).map(|name| quality(&ranges, name).0).max();
    // What takes anything is a program; a browser names HTML.
    let named = ranges.iter().any(|range| range.kind == "text" && range.subkind == "html");
    let page = quality(&ranges, "text/html").0;
    named && page > 0 && page >= best.unwrap_or(0)
}

impl Range {
    /// Whether it is this name and no other.
    fn is(&self, name: &str) -> bool {
        name.split_once('/') == Some((&self.kind, &self.subkind))
    }
}

/// How gladly a name is taken: what the range says that names it most closely.
fn quality<'a>(ranges: &'a [Range], name: &str) -> (u32, Option<&'a str>) {
    let (kind, subkind) = name.split_once('/').unwrap_or((name, ""));
    let closeness = |range: &Range| match (&*range.kind, &*range.subkind) {
        ("*", "*") => Some(0),
        (own, "*") if own == kind => Some(1),
        (own, other) if own == kind && other == subkind => Some(2),
        _ => None,
    };
    let found = ranges.iter().filter_map(|range| Some((closeness(range)?, range)));
    let found = found.max_by_key(|(closeness, range)| (*closeness, range.quality));
    found.map_or((0, None), |(_, range)| (range.quality, range.version.as_deref()))
}

/// What a client says that it takes; none where it says nothing.
fn ranges(headers: &HeaderMap) -> Option<Vec<Range>> {
    let mut ranges = Vec::new();
    for value in headers.get_all(header::ACCEPT) {
        // What cannot be read is passed over, as if it was not there.
        ranges.extend(value.to_str().unwrap_or_default().split(',').filter_map(range));
    }
    (!ranges.is_empty()).then_some(ranges)
}

fn range(text: &str) -> Option<Range> {
    let mut parts = text.split(';').map(str::trim);
    let (kind, subkind) = parts.next()?.split_once('/')?;
    let mut range = Range {
        kind: kind.trim().to_ascii_lowercase(),
        subkind: subkind.trim().to_ascii_lowercase(),
        quality: 1000,
        version: None,
    };
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim().trim_matches('"');
        match &*name.trim().to_ascii_lowercase() {
            "q" => {
                let quality: f32 = value.parse().ok()?;
                range.quality = (quality.clamp(0.0, 1.0) * 1000.0).round() as u32;
            }
            "version" => range.version = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, text.parse().unwrap());
        headers
    }

    fn results(text: &str) -> Option<QueryResultsFormat> {
        choose(&accepting(text), &RESULTS).map(|chosen| chosen.format)
    }

    #[test]
    fn the_most_welcome_format_is_chosen() {
        use QueryResultsFormat::{Csv, Json, Tsv, Xml};
        for (accept, expected) in [
            ("*/*", Some(Json)),
            ("text/csv", Some(Csv)),
            ("TEXT/CSV ; q=0.5, application/sparql-results+xml", Some(Xml)),
            ("application/sparql-results+json;q=0.1, */*;q=0.9", Some(Xml)),
            ("text/*", Some(Csv)),
            ("text/*, text/csv;q=0", Some(Tsv)),
            ("text/tab-separated-values;q=0.001", Some(Tsv)),
            ("application/json;q=1.0, text/html", Some(Json)),
            ("text/html", None),
            ("text/csv;q=0", None),
            ("nonsense", Some(Json)),
        ] {
            assert_eq!(results(accept), expected, "{accept}");
        }
        assert_eq!(choose(&HeaderMap::new(), &RESULTS).unwrap().format, Json);
    }

    #[test]
    fn the_version_of_rdf_is_said_where_it_is_asked_for() {
        let of = |accept: &str| choose(&accepting(accept), &TRIPLES).unwrap().content_type;
        assert_eq!(of("text/turtle"), "text/turtle; charset=utf-8");
        assert_eq!(of("text/turtle;version=1.2"), "text/turtle; charset=utf-8; version=1.2");
        assert_eq!(
            of("application/n-triples; version=\"1.2\""),
            "application/n-triples; version=1.2"
        );
    }

    #[test]
    fn browsers_want_pages_and_programs_do_not() {
        let page = |accept: &str| wants_page(&accepting(accept), &TRIPLES);
        assert!(page("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(!page("*/*"));
        assert!(!page("text/turtle, text/html;q=0.5"));
        assert!(!wants_page(&HeaderMap::new(), &TRIPLES));
    }
}
