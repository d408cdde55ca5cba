//! A dump line by line: an array with an entity a line, or an entity a line alone.

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use serde::de::DeserializeSeed;

use super::entity::{Entity, Wanted};
use super::place;
use crate::diagnostic::{At, Diagnostic, Diagnostics};
use crate::files;

const BUFFER: usize = 1 << 20;

/// Gives `take` every entity of a dump; of one that breaks off only where that is allowed.
pub(super) fn each(
    dump: &Path,
    partial: bool,
    wanted: &Wanted<'_>,
    take: &mut dyn FnMut(Entity) -> Result<(), Diagnostics>,
) -> Result<(), Diagnostics> {
    let opened = files::open(dump).map_err(|error| unreadable(dump, &error))?;
    let mut reader = BufReader::with_capacity(BUFFER, opened);
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        number += 1;
        match reader.read_until(b'\n', &mut line) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // A compressed stream that ends too early.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && partial => return Ok(()),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(broken_off(dump, number).into());
            }
            Err(error) => return Err(unreadable(dump, &error).into()),
        }
        let is_last = line.last() != Some(&b'\n');
        let text = line.trim_ascii();
        let text = text.strip_suffix(b",").unwrap_or(text);
        if matches!(text, b"" | b"[" | b"]") {
            continue;
        }
        let mut parser = serde_json::Deserializer::from_slice(text);
        match wanted.deserialize(&mut parser).and_then(|entity| parser.end().map(|()| entity)) {
            Ok(entity) => take(entity)?,
            Err(error) if error.is_eof() && is_last && partial => return Ok(()),
            Err(error) if error.is_eof() && is_last => return Err(broken_off(dump, number).into()),
            Err(error) => {
                let message = format!("the line is no entity of Wikidata's: {error}");
                let help =
                    "a dump has an entity a line, as in {\"type\": \"item\", \"id\": \"Q142\", …}";
                let mistake = Diagnostic::error("bad-line", message).help(help);
                return Err(Diagnostic { place: Some(place(dump, number)), ..mistake }.into());
            }
        }
    }
}

fn unreadable(dump: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error("cannot-read", format!("the dump cannot be read: {error}")).at(dump, At::File)
}

fn broken_off(dump: &Path, line: u64) -> Diagnostic {
    let help = "fetch it again, or take what is there with --partial";
    let mistake = Diagnostic::error("broken-off", "the dump breaks off in the middle").help(help);
    Diagnostic { place: Some(place(dump, line)), ..mistake }
}
