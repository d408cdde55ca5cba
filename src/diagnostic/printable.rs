//! Text that is safe to show: what would steer a terminal, or turn or hide the text around it, is
//! written as an escape, as in `\u{1b}`.

use std::borrow::Cow;
use std::io::{self, Write};

/// The text for people, whole lines of it: line feeds and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, None, Breaks::Stay)
}

/// The text as part of a line, as a name or a cell: line feeds and tabs are written as escapes too.
pub fn printable_line(text: &str) -> Cow<'_, str> {
    escaped(text, None, Breaks::Escaped)
}

/// Whether a character steers what shows it: a control (C0, DEL, C1), a mark that turns the
/// direction of text, a separator of lines, or a character that nobody sees.
pub(super) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// The joiner and non-joiner of letters.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Breaks {
    Stay,
    Escaped,
}

/// Whether a character that follows `before`, and is followed by `after`, is shown as it is.
fn stays(before: Option<char>, c: char, after: Option<char>, breaks: Breaks) -> bool {
    match c {
        '\n' | '\t' => breaks == Breaks::Stay,
        '\r' => breaks == Breaks::Stay && after == Some('\n'),
        // Persian and Indic words are spelt with them, and families of emoji joined.
        _ if JOINERS.contains(&c) => {
            before.is_some_and(|b| !b.is_ascii() && !steers(b) && !JOINERS.contains(&b))
        }
        _ => !steers(c),
    }
}

/// `text`, which stands behind the character `before`.
fn escaped(text: &str, before: Option<char>, breaks: Breaks) -> Cow<'_, str> {
    let mut out = String::new();
    // How much of `text` is in `out`.
    let mut copied = 0;
    let mut previous = before;
    for (at, c) in text.char_indices() {
        let behind = at + c.len_utf8();
        if !stays(previous, c, text[behind..].chars().next(), breaks) {
            out.push_str(&text[copied..at]);
            out.extend(c.escape_default());
            copied = behind;
        }
        previous = Some(c);
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Writes [`printable`] text to `inner`. Flush it at the end of a text: the last characters are
/// held back until it is known what follows.
pub struct Printable<W> {
    inner: W,
    /// Bytes that were taken and not yet written.
    held: Vec<u8>,
    /// The character before them.
    before: Option<char>,
}

impl<W: Write> Printable<W> {
    /// Writes to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, held: Vec::new(), before: None }
    }

    /// Writes the first `length` bytes that are held.
    fn release(&mut self, length: usize) -> io::Result<()> {
        let held: Vec<u8> = self.held.drain(..length).collect();
        let text = String::from_utf8_lossy(&held);
        self.inner.write_all(escaped(&text, self.before, Breaks::Stay).as_bytes())?;
        self.before = text.chars().next_back().or(self.before);
        Ok(())
    }
}

impl<W: Write> Write for Printable<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        // The last character, of which there may be only some bytes, waits for what follows; so do
        // the two that end a line.
        let last = self.held.iter().rposition(|byte| byte & 0xc0 != 0x80).unwrap_or(0);
        let ends_line = self.held[..last].ends_with(b"\r");
        self.release(last - usize::from(ends_line))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.release(self.held.len())?;
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_steers_a_terminal_or_hides_is_written_out() {
        assert_eq!(printable("a\x1b[31mb\u{9b}1mc\x07\x7f"), r"a\u{1b}[31mb\u{9b}1mc\u{7}\u{7f}");
        assert_eq!(
            printable("x\u{202e}y\u{2066}z\u{200b}\u{feff}"),
            r"x\u{202e}y\u{2066}z\u{200b}\u{feff}"
        );
        assert_eq!(printable("a\rb\r\nc\td"), "a\\rb\r\nc\td");
        assert_eq!(printable_line("a\r\nb\tc"), r"a\r\nb\tc");
    }

    #[test]
    fn what_people_write_stays() {
        for text in
            ["", "Côte d'Ivoire", "東京", "עברית", "می\u{200c}خواهم", "👩\u{200d}🚀", "\u{301}"]
        {
            assert!(matches!(printable_line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
        // A joiner that joins nothing only hides.
        assert_eq!(printable("pay\u{200d}pal"), r"pay\u{200d}pal");
        assert_eq!(printable("é\u{200d}\u{200d}"), "é\u{200d}\\u{200d}");
    }

    fn written(text: &str, sizes: &[usize]) -> String {
        let mut out = Printable::new(Vec::new());
        let (mut rest, mut sizes) = (text.as_bytes(), sizes.iter().cycle());
        while !rest.is_empty() {
            let (now, later) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            out.write_all(now).unwrap();
            rest = later;
        }
        out.flush().unwrap();
        String::from_utf8(out.inner).unwrap()
    }

    proptest! {
        #[test]
        fn pieces_are_written_as_the_whole(
            text in "(\\PC|[\r\n\t\u{1b}\u{9b}\u{200d}\u{202e}é]){0,40}",
            sizes in prop::collection::vec(1usize..6, 1..5),
        ) {
            let shown = written(&text, &sizes);
            prop_assert_eq!(&shown, &printable(&text));
            let lines = shown.replace("\r\n", "\n");
            prop_assert!(!lines.chars().any(|c| steers(c) && c != '\n' && c != '\t'), "{:?}", shown);
        }
    }
}
