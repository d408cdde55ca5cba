//! Turtle files as statements, each with its place in the file.
//!
//! The parser reports positions only for syntax errors. It is therefore fed line by line: what it
//! was given when it hands over a triple ends near the triple's object, and a search backwards
//! from there finds the token that the triple came from.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::path::Path;

use rio_api::model::{Literal, Subject, Term, Triple};
use rio_api::parser::{ParseError, TriplesParser};
use rio_turtle::{TurtleError, TurtleParser};

use crate::diagnostic::{At, Diagnostic, Diagnostics};

/// A subject or object. Blank nodes are told apart across files by the file's number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Node {
    Iri(String),
    Blank(usize, String),
    Literal { value: String, language: Option<String> },
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Iri(iri) => write!(f, "<{iri}>"),
            Self::Blank(..) => f.write_str("[]"),
            Self::Literal { value, .. } => write!(f, "\"{value}\""),
        }
    }
}

/// A triple and where it was written.
#[derive(Debug)]
pub(super) struct Statement {
    pub subject: Node,
    pub predicate: String,
    pub object: Node,
    /// The object's text, or the line about where it stands.
    pub at: At,
}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Turtle {
    pub statements: Vec<Statement>,
    /// Where each IRI is first the subject of a statement, in the order of the file.
    pub subjects: Vec<(String, At)>,
}

/// Reads the file with this number, keeping the statements whose predicate is `wanted`.
pub(super) fn read(
    file: &Path,
    number: usize,
    wanted: impl Fn(&str) -> bool,
) -> Result<Turtle, Diagnostics> {
    let bytes = std::fs::read(file).map_err(|error| {
        Diagnostic::error("cannot-read", format!("the ontology cannot be read: {error}"))
            .at(file, At::File)
    })?;
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            return Err(Diagnostic::error("invalid-utf-8", "the file is not UTF-8")
                .at(file, At::Line(line_of(&valid, valid.len())))
                .help("save the file with the encoding UTF-8")
                .into());
        }
    };
    parse(text, number, wanted).map_err(|error| syntax_error(&error, text, file).into())
}

fn parse(text: &str, number: usize, wanted: impl Fn(&str) -> bool) -> Result<Turtle, TurtleError> {
    let start = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    let given = Given { end: Cell::new(start), lines: Cell::new(0) };
    let mut parser = TurtleParser::new(Lines { text: text.as_bytes(), given: &given }, None);
    let mut prefixes = HashMap::new();
    let mut turtle = Turtle::default();
    let mut known = HashSet::new();
    while !parser.is_end() {
        let mut triples = 0;
        parser.parse_step(&mut |triple| {
            triples += 1;
            let so_far =
                Before { text, end: given.end.get(), line: given.lines.get(), prefixes: &prefixes };
            if let Subject::NamedNode(node) = triple.subject
                && known.insert(node.iri.to_owned())
            {
                turtle.subjects.push((node.iri.to_owned(), so_far.iri(node.iri)));
            }
            if wanted(triple.predicate.iri)
                && let Some(statement) = statement(triple, number, &so_far)
            {
                turtle.statements.push(statement);
            }
            Ok::<(), TurtleError>(())
        })?;
        if triples == 0 {
            prefixes.clone_from(parser.prefixes());
        }
    }
    Ok(turtle)
}

/// The triple as a statement, or nothing where it quotes a triple, which Turtle 1.1 lacks.
fn statement(triple: Triple<'_>, number: usize, before: &Before<'_>) -> Option<Statement> {
    let subject = match triple.subject {
        Subject::NamedNode(node) => Node::Iri(node.iri.to_owned()),
        Subject::BlankNode(node) => Node::Blank(number, node.id.to_owned()),
        Subject::Triple(_) => return None,
    };
    let literal = |value: &str, language: Option<&str>| {
        let at = before.token(&[value.to_owned()]);
        (Node::Literal { value: value.to_owned(), language: language.map(str::to_owned) }, at)
    };
    let (object, at) = match triple.object {
        Term::NamedNode(node) => (Node::Iri(node.iri.to_owned()), before.iri(node.iri)),
        Term::BlankNode(node) => (Node::Blank(number, node.id.to_owned()), before.line()),
        Term::Literal(Literal::Simple { value } | Literal::Typed { value, .. }) => {
            literal(value, None)
        }
        Term::Literal(Literal::LanguageTaggedString { value, language }) => {
            literal(value, Some(language))
        }
        Term::Triple(_) => return None,
    };
    Some(Statement { subject, predicate: triple.predicate.iri.to_owned(), object, at })
}

/// The part of the text that the parser was given.
struct Before<'a> {
    text: &'a str,
    end: usize,
    /// The line that it ends with.
    line: u64,
    prefixes: &'a HashMap<String, String>,
}

impl Before<'_> {
    /// Where the last of the spellings stands as a whole word, or else the line.
    fn token(&self, spellings: &[String]) -> At {
        let last = |spelling: &String| {
            let mut start = self.end.saturating_sub(spelling.len() + WINDOW);
            while !self.text.is_char_boundary(start) {
                start += 1;
            }
            let window = &self.text[start..self.end];
            let is_word = |(at, _): &(usize, &str)| {
                !window[..*at].ends_with(is_name)
                    && !window[at + spelling.len()..].starts_with(is_name)
            };
            let (at, _) = window.rmatch_indices(spelling.as_str()).find(is_word)?;
            Some(start + at..start + at + spelling.len())
        };
        let found = spellings.iter().filter(|s| !s.is_empty()).filter_map(last);
        found.max_by_key(|span: &Range<usize>| span.start).map_or_else(|| self.line(), At::Span)
    }

    fn iri(&self, iri: &str) -> At {
        let mut spellings = vec![format!("<{iri}>")];
        spellings.extend(self.prefixes.iter().filter_map(|(prefix, namespace)| {
            Some(format!("{prefix}:{}", iri.strip_prefix(namespace.as_str())?))
        }));
        self.token(&spellings)
    }

    fn line(&self) -> At {
        At::Line(self.line)
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// How many bytes a token may lie before the end of what the parser was given. It bounds the
/// search for tokens written with escapes, which are not found.
const WINDOW: usize = 4096;

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | ':')
}

/// The line, from 1, of a byte of the text.
fn line_of(text: &str, offset: usize) -> u64 {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.iter().filter(|b| **b == b'\n').count() as u64 + 1
}

fn syntax_error(error: &TurtleError, text: &str, file: &Path) -> Diagnostic {
    let said = error.to_string();
    // The place is shown by itself; the parser's message ends with it.
    let said = said.rsplit_once(" on line ").map_or(said.as_str(), |(message, _)| message);
    let at = error.textual_position().map_or(At::File, |position| {
        let line = usize::try_from(position.line_number()).unwrap_or(usize::MAX);
        let byte = usize::try_from(position.byte_number()).unwrap_or(usize::MAX);
        let start: usize =
            text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let mut start = (start + byte.saturating_sub(1)).min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let end = start + text[start..].chars().next().map_or(0, char::len_utf8);
        At::Span(start..end)
    });
    Diagnostic::error("broken-turtle", format!("this is not Turtle: {said}"))
        .at(file, at)
        .label("the parser stopped here")
        .help("a full stop, semicolon, bracket or prefix is often missing just before this place")
}

/// How much of the text the parser was given: up to which byte, and how many lines.
struct Given {
    end: Cell<usize>,
    lines: Cell<u64>,
}

/// Gives a text out line by line and counts what was given.
struct Lines<'a> {
    text: &'a [u8],
    given: &'a Given,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.fill_buf()?;
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Lines<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let rest = &self.text[self.given.end.get()..];
        let end = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |i| i + 1);
        Ok(&rest[..end])
    }

    fn consume(&mut self, count: usize) {
        let start = self.given.end.get();
        // A line that is longer than the reader's buffer is given in parts.
        if count > 0 && (self.given.lines.get() == 0 || self.text[start - 1] == b'\n') {
            self.given.lines.set(self.given.lines.get() + 1);
        }
        self.given.end.set(start + count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "\
@prefix ex: <http://example.org/> .
ex:a a ex:Thing ; # a comment
    ex:says \"hello\"@en ,
        \"hello\" .

<http://example.org/b> ex:says 12 .
";

    #[test]
    fn statements_know_their_places() {
        let turtle = parse(TEXT, 0, |p| p.ends_with("says")).unwrap();
        let spans: Vec<_> = turtle.statements.iter().map(|s| s.at.clone()).collect();
        let at = |start: usize, text: &str| At::Span(start..start + text.len());
        let first = TEXT.find("hello").unwrap();
        let second = TEXT.rfind("hello").unwrap();
        let number = TEXT.rfind("12").unwrap();
        assert_eq!(spans, [at(first, "hello"), at(second, "hello"), at(number, "12")]);
        let b = "<http://example.org/b>";
        assert_eq!(
            turtle.subjects,
            [
                ("http://example.org/a".to_owned(), at(TEXT.find("ex:a ").unwrap(), "ex:a")),
                ("http://example.org/b".to_owned(), at(TEXT.find(b).unwrap(), b)),
            ]
        );
    }

    #[test]
    fn syntax_errors_point_at_the_place() {
        let text = "@prefix ex: <http://example.org/> .\nex:a ex:b \"é\" é .\n";
        let error = parse(text, 0, |_| true).unwrap_err();
        let diagnostic = syntax_error(&error, text, Path::new("x.ttl"));
        let start = text.rfind('é').unwrap();
        assert_eq!(diagnostic.place.unwrap().at, At::Span(start..start + 2));
    }

    #[test]
    fn what_is_not_found_has_its_line() {
        let text = "<http://e.org/a> <http://e.org/p> \"\\u0041\" ,\n  [] ,\n  \"x\\u0042\" .";
        let lines: Vec<_> = parse(text, 0, |_| true).unwrap().statements;
        let lines: Vec<_> = lines.into_iter().map(|statement| statement.at).collect();
        assert_eq!(lines, [At::Line(1), At::Line(2), At::Line(3)]);
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let text = format!("\u{feff}{TEXT}");
        assert_eq!(parse(&text, 0, |_| true).unwrap().statements.len(), 4);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\PC\n<>\"'\\[\\]().;,@a:# ]{0,80}") {
            if let Err(error) = parse(&text, 0, |_| true) {
                syntax_error(&error, &text, Path::new("x.ttl"));
            }
        }
    }
}
