//! The text of mixture finetuning: from a file to documents, from documents to packed sequences.
//!
//! Three shapes are read: plain text with a blank line between documents; `.json`, a list or a table
//! whose items are documents; `.jsonl`, a document a line. A JSON document is a text, or a table with
//! its words under the key that `mixture.field` names.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::diagnostic::{At, Diagnostic, Diagnostics};
use crate::lm::{Tokenizer, TokenizerError};

/// The documents of a file, in its order, without blank ones.
///
/// # Errors
/// Where it cannot be read, is not UTF-8, is not of a shape that is read, or holds no document.
pub(super) fn documents(file: &Path, field: Option<&str>) -> Result<Vec<String>, Diagnostics> {
    let bytes = fs::read(file).map_err(|error| {
        let message = format!("the text cannot be read: {error}");
        Diagnostic::error("unreadable", message).at(file, At::File)
    })?;
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
            let message = format!("the text is not UTF-8 from byte {} on", error.valid_up_to());
            return Err(Diagnostic::error("not-utf8", message)
                .at(file, At::Line(line as u64 + 1))
                .help("save the file as UTF-8")
                .into());
        }
    };
    let ends_in = |wanted: &str| file.extension().is_some_and(|e| e.eq_ignore_ascii_case(wanted));
    let found = if ends_in("json") {
        from_json(text, field)
    } else if ends_in("jsonl") {
        from_lines(text, field)
    } else {
        Ok(paragraphs(text))
    };
    let mut documents = found.map_err(|misshapen| {
        let Misshapen { line, problem } = *misshapen;
        problem.at(file, line.map_or(At::File, |line| At::Line(line as u64)))
    })?;
    documents.retain(|document| !document.trim().is_empty());
    if documents.is_empty() {
        let mistake = Diagnostic::error("no-text", "the text holds no words");
        return Err(mistake
            .at(file, At::File)
            .help("name a file with text under `mixture`")
            .into());
    }
    Ok(documents)
}

/// A mistake and its line, where it has one.
struct Misshapen {
    line: Option<usize>,
    problem: Diagnostic,
}

impl Misshapen {
    fn new(line: Option<usize>, problem: Diagnostic) -> Box<Self> {
        Box::new(Self { line, problem })
    }
}

fn paragraphs(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for line in text.lines() {
        match all.last_mut() {
            Some(last) if !line.trim().is_empty() => {
                if !last.is_empty() {
                    last.push('\n');
                }
                last.push_str(line);
            }
            Some(last) if last.is_empty() => {}
            _ => all.push(String::new()),
        }
    }
    all
}

fn from_json(text: &str, field: Option<&str>) -> Result<Vec<String>, Box<Misshapen>> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let message = format!("the text is not JSON: {error}");
        Misshapen::new(Some(error.line()), Diagnostic::error("bad-json", message))
    })?;
    let items: Vec<Value> = match value {
        Value::Array(items) => items,
        Value::Object(items) => items.into_iter().map(|(_, item)| item).collect(),
        _ => {
            let message = "the text is JSON, but neither a list nor a table of documents";
            let problem = Diagnostic::error("bad-text", message).help(SHAPES);
            return Err(Misshapen::new(None, problem));
        }
    };
    let read = |(number, item)| {
        document(item, field).map_err(|problem| {
            let message = format!("document {number}: {}", problem.message);
            Misshapen::new(None, Diagnostic { message, ..*problem })
        })
    };
    (1..).zip(items).map(read).collect()
}

fn from_lines(text: &str, field: Option<&str>) -> Result<Vec<String>, Box<Misshapen>> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let read = |(number, line)| {
        let parsed = serde_json::from_str(line).map_err(|error| {
            let message = format!("the line is not JSON: {error}");
            Box::new(Diagnostic::error("bad-json", message))
        });
        parsed
            .and_then(|value| document(value, field))
            .map_err(|problem| Misshapen::new(Some(number), *problem))
    };
    lines.map(read).collect()
}

const SHAPES: &str = "a document is a text, or a table with a text under the key that \
                      `mixture.field` names";

fn document(value: Value, field: Option<&str>) -> Result<String, Box<Diagnostic>> {
    let bad = |message: &str, help: &str| {
        Err(Box::new(Diagnostic::error("bad-text", message).help(help)))
    };
    match (value, field) {
        (Value::String(text), _) => Ok(text),
        (Value::Object(mut table), Some(field)) => match table.remove(field) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => bad(&format!("`{field}` is not a text"), SHAPES),
            None => bad(&format!("there is no `{field}`"), &keys(&table)),
        },
        (Value::Object(table), None) => {
            let message = "it is a table, and nothing says under which key its words stand";
            bad(message, &keys(&table))
        }
        _ => bad("it is neither a text nor a table", SHAPES),
    }
}

fn keys(table: &serde_json::Map<String, Value>) -> String {
    let texts: Vec<String> = table
        .iter()
        .filter(|(_, value)| value.is_string())
        .map(|(key, _)| format!("`field = \"{key}\"`"))
        .collect();
    if texts.is_empty() {
        return SHAPES.to_owned();
    }
    format!("write one of these under [mixture]: {}", texts.join(", "))
}

/// Tokens of documents end to end, cut into sequences of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    tokens: Vec<u32>,
    length: usize,
}

impl Packed {
    /// Packs the documents, each followed by the token `end`. What is left at the end and fills no
    /// sequence is dropped. `length` is at least 1.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn new(
        documents: &[String],
        tokenizer: &Tokenizer,
        end: u32,
        length: usize,
    ) -> Result<Self, TokenizerError> {
        let mut tokens = Vec::new();
        for document in documents {
            tokens.append(&mut tokenizer.prompt(document)?);
            tokens.push(end);
        }
        Ok(Self::of(tokens, length))
    }

    /// Cuts tokens into sequences.
    pub(super) fn of(mut tokens: Vec<u32>, length: usize) -> Self {
        tokens.truncate(tokens.len() / length * length);
        Self { tokens, length }
    }

    /// How many sequences there are.
    pub fn len(&self) -> usize {
        self.tokens.len() / self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A sequence by its number.
    pub fn get(&self, number: usize) -> &[u32] {
        &self.tokens[number * self.length..][..self.length]
    }

    /// Takes the last `count` sequences away, as a text of their own.
    pub fn take_last(&mut self, count: usize) -> Self {
        let at = self.len().saturating_sub(count) * self.length;
        Self { tokens: self.tokens.split_off(at), length: self.length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(name: &str, text: &[u8], field: Option<&str>) -> Result<Vec<String>, (String, At)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        documents(&file, field).map_err(|found| {
            let first = found.0.into_iter().next().unwrap();
            let help = first.help.unwrap_or_default();
            (format!("{}: {} ({help})", first.code, first.message), first.place.unwrap().at)
        })
    }

    #[test]
    fn blank_lines_part_documents() {
        let text = "\u{feff}one\nmore\r\n\n \n\ntwo\n";
        assert_eq!(read("a.txt", text.as_bytes(), None).unwrap(), ["one\nmore", "two"]);
    }

    #[test]
    fn json_of_all_shapes_is_read() {
        let same = ["one", "two"];
        assert_eq!(read("a.json", br#"["one", " ", "two"]"#, None).unwrap(), same);
        assert_eq!(read("a.json", br#"{"a": "one", "b": "two"}"#, None).unwrap(), same);
        let tables = br#"{"a": {"t": "A", "x": "one"}, "b": {"t": "B", "x": "two"}}"#;
        assert_eq!(read("a.JSON", tables, Some("x")).unwrap(), same);
        assert_eq!(read("a.jsonl", b"\"one\"\n\n{\"x\": \"two\"}\n", Some("x")).unwrap(), same);
    }

    #[test]
    fn what_is_not_text_is_told_with_its_place() {
        let (message, at) = read("a.txt", b"one\ntwo \xff", None).unwrap_err();
        assert!(message.starts_with("not-utf8") && message.contains("byte 8"), "{message}");
        assert_eq!(at, At::Line(2));
        let (message, at) = read("a.json", b"[\"one\",\n1]", None).unwrap_err();
        assert!(message.contains("document 2: it is neither"), "{message}");
        assert_eq!(at, At::File);
        let (message, at) = read("a.json", b"[\"one\",\n", None).unwrap_err();
        assert!(message.starts_with("bad-json"), "{message}");
        assert_eq!(at, At::Line(2));
        let tables = b"\"one\"\n{\"title\": \"A\", \"extract\": \"two\", \"n\": 1}\n";
        let (message, at) = read("a.jsonl", tables, None).unwrap_err();
        assert!(message.contains(r#"`field = "extract"`, `field = "title"`"#), "{message}");
        assert_eq!(at, At::Line(2));
        let (message, _) = read("a.jsonl", tables, Some("text")).unwrap_err();
        assert!(message.contains("there is no `text`"), "{message}");
        for empty in ["", " \n\n"] {
            assert!(read("a.txt", empty.as_bytes(), None).unwrap_err().0.starts_with("no-text"));
        }
    }

    #[test]
    fn documents_are_packed_end_to_end() {
        let file = "tests/data/models/llama/checkpoint/tokenizer.json";
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let tokenizer = Tokenizer::read(&file).unwrap();
        let documents = ["The capital of France".to_owned(), "is Paris".to_owned()];
        let whole: Vec<u32> = documents
            .iter()
            .flat_map(|document| [tokenizer.prompt(document).unwrap(), vec![1]].concat())
            .collect();
        let mut packed = Packed::new(&documents, &tokenizer, 1, 3).unwrap();
        assert_eq!(packed.len(), whole.len() / 3);
        assert_eq!(packed.get(1), &whole[3..6]);
        let count = packed.len();
        let last = packed.take_last(1);
        assert_eq!((packed.len(), last.len()), (count - 1, 1));
        assert_eq!(last.get(0), &whole[3 * (count - 1)..3 * count]);
    }

    proptest! {
        /// Any text is split into its lines without loss.
        #[test]
        fn no_line_is_lost(lines in prop::collection::vec("[a-z ]{0,4}", 0..12)) {
            let kept: Vec<String> = paragraphs(&lines.join("\n"))
                .iter()
                .flat_map(|p| p.lines().map(str::to_owned).collect::<Vec<_>>())
                .collect();
            let wanted: Vec<String> =
                lines.into_iter().filter(|line| !line.trim().is_empty()).collect();
            prop_assert_eq!(kept, wanted);
        }
    }
}
