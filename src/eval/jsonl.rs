//! Files with a JSON object a line.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::catalog::mistakes::Mistakes;
use crate::diagnostic::{Diagnostic, Diagnostics, of_json_line};

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
    // Without the line feed, behind which a line that is cut off would end at character 0.
    let value: Value = serde_json::from_str(line.trim_end()).map_err(|error| bad_line(&error))?;
    match value.is_object() {
        true => Ok(value),
        false => Err(Diagnostic::error("bad-line", "the line is JSON, but no object").into()),
    }
}

/// A line that serde_json refuses.
pub(super) fn bad_line(error: &serde_json::Error) -> Diagnostic {
    Diagnostic::error("bad-line", of_json_line(error))
}

/// Whether a line has the keys of LM-KBC's files.
pub(super) fn is_lm_kbc(line: &Value) -> bool {
    line.get("SubjectEntity").is_some() || line.get("SubjectEntityID").is_some()
}
