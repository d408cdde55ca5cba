//! Facts as JSON, an object a line.
//!
//! Invariant: a line that is handed over is UTF-8 and an object with the three keys; every other
//! line is reported with its place. Blank lines and a byte order mark are skipped.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Row;
use crate::catalog::mistakes::Mistakes;
use crate::diagnostic::{Diagnostic, of_json_line};

const KEYS: [&str; 3] = ["subject", "relation", "object"];

/// Hands every sound line of the file to `on_row` and reports the others.
pub(super) fn read(
    file: &Path,
    mistakes: &mut Mistakes,
    mut on_row: impl FnMut(Row<'_>, &mut Mistakes),
) {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("the facts cannot be read: {error}");
            mistakes.about_file(Diagnostic::error("cannot-read", message));
            return;
        }
    };
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut ignored = false;
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1);
        let offset = (bytes.len() - rest.len()) as u64;
        let (line, after) = rest.split_at(end);
        rest = after;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match parse(line) {
            Ok(value) => {
                let [subject, relation, object] = KEYS.map(|key| text(&value, key));
                let (subject, relation, object) = (&*subject, &*relation, &*object);
                on_row(Row { subject, relation, object, offset }, mistakes);
                ignored |= warn_of_others(&value, offset, ignored, mistakes);
            }
            Err(problem) => mistakes.at_row(offset, *problem),
        }
    }
}

/// The line's object, with all keys there and of the right kind.
fn parse(line: &[u8]) -> Result<Value, Box<Diagnostic>> {
    let Ok(line) = std::str::from_utf8(line) else {
        let diagnostic = Diagnostic::error("invalid-utf-8", "the line is not UTF-8");
        return Err(Box::new(diagnostic.help("save the facts with the encoding UTF-8")));
    };
    let example = r#"a line is an object, as in {"subject": "…", "relation": "…", "object": "…"}"#;
    let bad = |message: String| Box::new(Diagnostic::error("bad-json", message).help(example));
    // Without the line feed, behind which a line that is cut off would end at character 0.
    let value: Value =
        serde_json::from_str(line.trim_end()).map_err(|error| bad(of_json_line(&error)))?;
    if !value.is_object() {
        return Err(bad("the line is JSON, but no object".to_owned()));
    }
    for key in KEYS {
        match &value[key] {
            Value::String(_) => {}
            // Values are objects too.
            Value::Number(_) | Value::Bool(_) if key == "object" => {}
            // Known to have none.
            Value::Null if key == "object" && value.get(key).is_some() => {}
            Value::Null => return Err(bad(format!("the line has no `{key}`"))),
            _ => return Err(bad(format!("`{key}` is not a text"))),
        }
    }
    Ok(value)
}

fn text<'v>(value: &'v Value, key: &str) -> Cow<'v, str> {
    match &value[key] {
        Value::String(text) => Cow::Borrowed(text.trim()),
        Value::Null => Cow::Borrowed(""),
        value => Cow::Owned(value.to_string()),
    }
}

/// Warns, once a file, of keys that are not read; whether it did.
fn warn_of_others(value: &Value, offset: u64, warned: bool, mistakes: &mut Mistakes) -> bool {
    let keys = value.as_object().into_iter().flat_map(|object| object.keys());
    let others: Vec<&str> = keys.map(String::as_str).filter(|key| !KEYS.contains(key)).collect();
    if warned || others.is_empty() {
        return false;
    }
    let message = format!("keys that are not read: {}", others.join(", "));
    let help = format!("these are: {}", KEYS.join(", "));
    mistakes.at_row(offset, Diagnostic::warning("ignored-key", message).help(help));
    true
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::At;
    use crate::facts::{Facts, ObjectsOf};
    use crate::ontology::Ontology;

    /// Codes of diagnostics, and where they are.
    type Lines = Vec<(&'static str, At)>;

    fn read(text: &[u8]) -> Result<(Facts, Lines), Lines> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("facts.jsonl");
        std::fs::write(&file, text).unwrap();
        let lines = |found: crate::diagnostic::Diagnostics| {
            assert!(!found.to_string().contains("at character 0"), "{found}");
            found.0.into_iter().map(|d| (d.code, d.place.unwrap().at)).collect()
        };
        Facts::read(&[file], ObjectsOf::Ontology(&Ontology::default()))
            .map(|(facts, notes)| (facts, lines(notes)))
            .map_err(lines)
    }

    #[test]
    fn lines_are_facts() {
        let text = "\u{feff}{\"subject\": \"e:a\", \"relation\": \"e:r\", \"object\": \"e:1\"}\n\n\
                    {\"object\": \"e:2\", \"subject\": \" e:a\", \"relation\": \"e:r\", \"x\": 1}\r\n\
                    {\"subject\": \"e:b\", \"relation\": \"e:r\", \"object\": null}\n\
                    {\"subject\": \"e:c\", \"relation\": \"e:r\", \"object\": \"\", \"x\": 1}";
        let (facts, warnings) = read(text.as_bytes()).unwrap();
        assert_eq!(facts.objects("e:a", "e:r").unwrap(), ["e:1", "e:2"]);
        assert_eq!(facts.objects("e:b", "e:r").unwrap(), [""; 0]);
        assert_eq!(facts.objects("e:c", "e:r").unwrap(), [""; 0]);
        assert_eq!(warnings, [("ignored-key", At::Line(3))]);
    }

    #[test]
    fn values_may_be_written_as_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("facts.jsonl");
        let line = |object: &str| {
            format!(
                "{{\"subject\": \"e:{object}\", \"relation\": \"e:r\", \"object\": {object}}}\n"
            )
        };
        std::fs::write(&file, ["1889", "2.50", "true"].map(line).concat()).unwrap();
        let (facts, notes) = Facts::read(&[file], ObjectsOf::Anything).unwrap();
        assert!(notes.0.is_empty(), "{notes}");
        let of = |subject: &str| facts.objects(subject, "e:r").unwrap()[0].as_str();
        assert_eq!(["e:1889", "e:2.50", "e:true"].map(of), ["1889", "2.5", "true"]);
    }

    #[test]
    fn every_bad_line_is_told() {
        let text = b"{\"subject\": \"e:a\"\n[]\n{\"subject\": \"e:a\", \"relation\": \"e:r\"}\n\
            {\"subject\": 1, \"relation\": \"e:r\", \"object\": \"e:1\"}\n\xff\n\
            {\"subject\": \"a b\", \"relation\": \"e:r\", \"object\": \"e:1\"}\n";
        let found = read(text).unwrap_err();
        let lines: Vec<At> = found.iter().map(|(_, at)| at.clone()).collect();
        assert_eq!(lines, (1..=6).map(At::Line).collect::<Vec<_>>());
        let codes: Vec<&str> = found.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes[..4], ["bad-json"; 4]);
        assert_eq!(codes[4..], ["invalid-utf-8", "bad-iri"]);
    }
}
