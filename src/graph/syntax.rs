//! Finding where a text stops being SPARQL.
//!
//! The parser says only how far it looked, and to tell keywords apart it looks ahead by the
//! longest of them: often past the mistake, into the next words. So a text that it refused is
//! given to it once more with the gaps between words wide enough that it never looks past one,
//! and the place is found from that.

use super::prefixes::Prefixes;
use crate::diagnostic::Explain;
use oxigraph::sparql::SparqlEvaluator;
use std::fmt;
use std::ops::Range;

/// Where a text stops being a SPARQL query. Its `Display` shows the line with a caret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What is wrong, without the place.
    pub message: String,
    /// How to mend it, where that is known.
    pub help: Option<String>,
    /// The line with a caret under the place.
    pub excerpt: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, message, excerpt, .. } = self;
        write!(f, "SPARQL syntax, line {line}, column {column}: {message}\n{excerpt}")
    }
}

impl std::error::Error for SyntaxError {}

impl Explain for SyntaxError {
    fn help(&self) -> Option<String> {
        self.help.clone()
    }
}

/// Longer than every keyword of SPARQL.
const GAP: usize = 40;

/// A list of expectations that is longer says less than none.
const MOST_EXPECTATIONS: usize = 6;

/// Explains why `evaluator`, which knows `prefixes`, refuses `sparql`.
pub(super) fn explain(
    evaluator: SparqlEvaluator,
    prefixes: &Prefixes,
    sparql: &str,
) -> SyntaxError {
    let words = words(sparql);
    if let Some(error) = undeclared_prefix(prefixes, sparql, &words) {
        return error;
    }
    let wide = widened(sparql, &words);
    let refusal = evaluator.parse_query(&wide).err().map(|e| e.to_string()).unwrap_or_default();
    let (looked, expected) = parse_refusal(&refusal, &wide);
    let offset = original_offset(looked, &expected, sparql, &words);

    let found: String = sparql[offset..].chars().take_while(|c| !c.is_whitespace()).collect();
    let word: String = found.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let sentence = expected.iter().find(|e| e.contains(' ') && !e.starts_with(['"', '[']));
    let is_plain = |e: &&str| e.starts_with('"');
    let message = match sentence {
        Some(sentence) => (*sentence).to_owned(),
        None if found.is_empty() => "the query ends too soon".to_owned(),
        None if expected.len() <= MOST_EXPECTATIONS && expected.iter().all(is_plain) => {
            format!("expected {}", expected.join(" or "))
        }
        None if word.is_empty() => {
            format!("`{}` cannot stand here", found.chars().next().unwrap_or_default())
        }
        None => format!("`{word}` cannot stand here"),
    };
    error(sparql, offset, message, help(sparql, &words, &word))
}

/// The runs of a text between blanks and comments, as ranges of bytes. IRIs in angle brackets
/// and quoted strings are not broken.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut start = None;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let is_comment = c == '#';
        if is_comment || c.is_whitespace() {
            words.extend(start.take().map(|start| start..at));
            at += if is_comment {
                text[at..].find('\n').unwrap_or(text.len() - at)
            } else {
                c.len_utf8()
            };
        } else {
            start.get_or_insert(at);
            at += opaque(&text[at..]).unwrap_or(c.len_utf8());
        }
    }
    words.extend(start.map(|start| start..text.len()));
    words
}

/// The length of the IRI or string that `text` begins with, up to its end if it is not closed.
fn opaque(text: &str) -> Option<usize> {
    match text.chars().next()? {
        '<' => {
            let end = text[1..].find(|c: char| c.is_whitespace() || "<>\"{}|^`\\".contains(c))? + 1;
            text[end..].starts_with('>').then_some(end + 1)
        }
        quote @ ('"' | '\'') => {
            let long: String = std::iter::repeat_n(quote, 3).collect();
            let delimiter = if text.starts_with(&long) { &long[..] } else { &long[..1] };
            let mut at = delimiter.len();
            while let Some(c) = text[at..].chars().next() {
                if text[at..].starts_with(delimiter) {
                    return Some(at + delimiter.len());
                }
                if c == '\n' && delimiter.len() == 1 {
                    return Some(at);
                }
                at += c.len_utf8();
                if c == '\\' {
                    at += text[at..].chars().next().map_or(0, char::len_utf8);
                }
            }
            Some(text.len())
        }
        _ => None,
    }
}

fn widened(text: &str, words: &[Range<usize>]) -> String {
    let gap = " ".repeat(GAP);
    words.iter().map(|word| format!("{}{gap}", &text[word.clone()])).collect()
}

/// Reads `error at LINE:COLUMN: expected one of A, B`: the offset in the text and A, B.
fn parse_refusal<'a>(refusal: &'a str, text: &str) -> (usize, Vec<&'a str>) {
    let parsed = || {
        let (place, expected) = refusal.strip_prefix("error at ")?.split_once(": ")?;
        let (line, column) = place.split_once(':')?;
        let (line, column): (usize, usize) = (line.parse().ok()?, column.parse().ok()?);
        let before: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let within: usize = text[before..].chars().take(column - 1).map(char::len_utf8).sum();
        let expected = expected.strip_prefix("expected ").unwrap_or(expected);
        let expected = expected.strip_prefix("one of ").unwrap_or(expected);
        Some((before + within, expected.split(", ").collect()))
    };
    parsed().unwrap_or((0, vec![refusal]))
}

/// The place in the original text of a place in the widened one.
fn original_offset(looked: usize, expected: &[&str], text: &str, words: &[Range<usize>]) -> usize {
    let mut wide_start = 0;
    for word in words {
        let wide_end = wide_start + word.len() + GAP;
        if looked < wide_end {
            // Where only keywords were expected, what the parser looked at began before.
            let is_keyword = |e: &&str| e.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            let lookahead = match expected.iter().all(is_keyword) {
                true => expected.iter().map(|e| e.len()).min().unwrap_or(0),
                false => 0,
            };
            let within = (looked - wide_start).saturating_sub(lookahead);
            let is_past_word = within >= word.len();
            let mut offset = if is_past_word { word.start } else { word.start + within };
            while !text.is_char_boundary(offset) {
                offset -= 1;
            }
            return offset;
        }
        wide_start = wide_end;
    }
    text.trim_end().len()
}

/// The first use of a prefix that is not declared; the parser would often name another place.
fn undeclared_prefix(
    prefixes: &Prefixes,
    text: &str,
    words: &[Range<usize>],
) -> Option<SyntaxError> {
    let is_name = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    let mut previous = "";
    for word in words {
        let mut at = word.start;
        while let Some(c) = text[at..word.end].chars().next() {
            let rest = &text[at..word.end];
            let name = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            if let Some(length) = opaque(rest) {
                at += length;
            } else if rest[name..].starts_with(':') {
                let name = &rest[..name];
                let is_declaration = previous.eq_ignore_ascii_case("PREFIX");
                if name != "_" && !is_declaration && prefixes.iter().all(|(known, _)| known != name)
                {
                    let is_iri = rest[name.len()..].starts_with("://");
                    let help = match is_iri {
                        true => "an IRI stands between < and >".to_owned(),
                        false => format!("begin the query with PREFIX {name}: <...>"),
                    };
                    let message = format!("the prefix `{name}:` is not declared");
                    return Some(error(text, at, message, Some(help)));
                }
                let is_local = |c: char| is_name(c) || ":%\\".contains(c);
                at += rest.find(|c| !is_local(c)).unwrap_or(rest.len());
            } else if "?$@".contains(c) {
                at += 1 + rest[1..].find(|c| !is_name(c)).unwrap_or(rest.len() - 1);
            } else {
                at += name.max(c.len_utf8());
            }
        }
        previous = &text[word.clone()];
    }
    None
}

/// The keywords that queries are built with; functions are left out.
const KEYWORDS: &str = "AS ASC ASK BASE BIND BY CONSTRUCT DESC DESCRIBE DISTINCT EXISTS FILTER \
    FROM GRAPH GROUP HAVING IN LIMIT MINUS NAMED NOT OFFSET OPTIONAL ORDER PREFIX REDUCED SELECT \
    SEPARATOR SERVICE UNDEF UNION VALUES WHERE";

fn help(sparql: &str, words: &[Range<usize>], found: &str) -> Option<String> {
    const UPDATES: &str = "INSERT DELETE LOAD CLEAR DROP CREATE ADD MOVE COPY";
    let found = found.to_uppercase();
    let is_first = words.first().is_some_and(|w| sparql[w.clone()].to_uppercase() == found);
    if is_first && UPDATES.split(' ').any(|update| update == found) {
        let help = "a store can be asked here, not changed: use SELECT, ASK, CONSTRUCT or DESCRIBE";
        return Some(help.to_owned());
    }
    let distance = |keyword: &str| strsim::damerau_levenshtein(keyword, &found);
    let nearest = KEYWORDS.split(' ').min_by_key(|keyword| distance(keyword))?;
    let is_near = (1..=2).contains(&distance(nearest)) && found.len() > 2;
    is_near.then(|| format!("did you mean {nearest}?"))
}

fn error(text: &str, offset: usize, message: String, help: Option<String>) -> SyntaxError {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before[line_start..].chars().count() + 1;
    let text = text[line_start..].lines().next().unwrap_or_default().replace('\t', " ");
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let indent = console::measure_text_width(&before[line_start..].replace('\t', " "));
    let indent = " ".repeat(indent);
    let excerpt = format!("{margin} |\n{number} | {text}\n{margin} | {indent}^");
    SyntaxError { line, column, message, help, excerpt }
}

#[cfg(test)]
mod tests;
