//! Files with a JSON object a line.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::catalog::mistakes::Mistakes;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Hands every line that holds an object to `on_line`, and reports the others and what it refuses. Blank lines and a byte order mark are skipped.
pub(super) fn read(
    file: &Path,
    mistakes: &mut Mistakes,
    mut on_line: impl FnMut(Value) -> Result<(), Diagnostics>,
) {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("the file cannot be read: {error}");
            mistakes.about_file(Diagnostic::error("cannot-read", message));
            return;
        }
    };
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut offset = (bytes.len() - text.len()) as u64;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        if !line.trim_ascii().is_empty()
            && let Err(problems) = parse(line).and_then(&mut on_line)
        {
            problems.0.into_iter().for_each(|problem| mistakes.at_row(offset, problem));
        }
        offset += line.len() as u64;
    }
}

fn parse(line: &[u8]) -> Result<Value, Diagnostics> {
    let Ok(line) = std::str::from_utf8(line) else {
        let diagnostic = Diagnostic::error("invalid-utf-8", "the line is not UTF-8");
        return Err(diagnostic.help("save the file with the encoding UTF-8").into());
    };
    let value: Value = serde_json::from_str(line).map_err(|error| bad_line(&error))?;
    match value.is_object() {
        true => Ok(value),
        false => Err(Diagnostic::error("bad-line", "the line is JSON, but no object").into()),
    }
}

/// What serde says of a line, without its own line number, which would be 1.
pub(super) fn bad_line(error: &serde_json::Error) -> Diagnostic {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    let message = match error.is_syntax() || error.is_eof() {
        true => format!("the line is not JSON: {what} at character {}", error.column()),
        false => format!("the line cannot be used: {what}"),
    };
    Diagnostic::error("bad-line", message)
}

/// Whether a line has the keys of LM-KBC's files.
pub(super) fn is_lm_kbc(line: &Value) -> bool {
    line.get("SubjectEntity").is_some() || line.get("SubjectEntityID").is_some()
}
