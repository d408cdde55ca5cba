//! Diagnostics as text for a terminal: severity, code and message, `file:line:column`, the
//! source line with a caret, and how to mend it.
//!
//! A file is read again, once for each rendering. Where that gives no text (it is gone, is not
//! UTF-8, or has become shorter than the place), the place is shown without its line. Only the
//! first line of a place is shown, cut to [`WIDTH`] characters around it. Characters that steer a
//! terminal never reach it.

use std::collections::HashMap;
use std::fs;
use std::iter::once;
use std::ops::Range;
use std::path::{Path, PathBuf};

use codespan_reporting::diagnostic::{self as codespan, Label};
use codespan_reporting::files::{Error, Files};
use codespan_reporting::term::{self, Chars, Config, termcolor};

use super::printable::{printable, printable_line, steers};
use super::{At, Diagnostic, Diagnostics, Severity};

/// Most characters of a source line that are shown.
const WIDTH: usize = 120;

/// Most characters that are shown before the place in a line that had to be cut.
const BEFORE: usize = 40;

impl Diagnostics {
    /// All of them, separated by empty lines, for a terminal. With `colour` ANSI escapes mark
    /// severity and carets.
    pub fn render(&self, colour: bool) -> String {
        let mut sources = Sources::default();
        let rendered: Vec<String> =
            self.0.iter().map(|d| render(d, &mut sources, colour)).collect();
        rendered.join("\n")
    }
}

/// The files that were asked for.
#[derive(Default)]
struct Sources(HashMap<PathBuf, Option<Source>>);

/// A file's text and where its lines start, so that a line is found without reading those before.
struct Source {
    text: String,
    starts: Vec<usize>,
}

impl Source {
    fn new(text: String) -> Self {
        let starts = once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
        Self { text, starts }
    }

    /// A line by its number from 0, without its line break.
    fn line(&self, index: usize) -> Option<&str> {
        let rest = &self.text[*self.starts.get(index)?..];
        let line = rest.split('\n').next().unwrap_or(rest);
        Some(line.strip_suffix('\r').unwrap_or(line))
    }
}

impl Sources {
    fn get(&mut self, file: &Path) -> Option<&Source> {
        if !self.0.contains_key(file) {
            // Reading a pipe or a device could wait for ever.
            let is_file = fs::metadata(file).is_ok_and(|m| m.is_file());
            let text = if is_file { fs::read_to_string(file).ok() } else { None };
            self.0.insert(file.to_owned(), text.map(Source::new));
        }
        self.0.get(file)?.as_ref()
    }
}

fn render(diagnostic: &Diagnostic, sources: &mut Sources, colour: bool) -> String {
    let severity = match diagnostic.severity {
        Severity::Error => codespan::Severity::Error,
        Severity::Warning => codespan::Severity::Warning,
    };
    let excerpt = diagnostic.place.as_ref().and_then(|place| {
        let source = sources.get(&place.file)?;
        let file = printable_line(&place.file.display().to_string()).into_owned();
        Excerpt::new(file, source, &place.at)
    });
    let header = codespan::Diagnostic::new(severity)
        .with_code(diagnostic.code)
        .with_message(printable(&diagnostic.message));
    let Some(excerpt) = excerpt else {
        let mut text = emit(&Excerpt::default(), &header, colour).trim_end().to_owned();
        let mut details = String::new();
        // Writing to a String cannot fail.
        let _ = diagnostic.fmt_details(&mut details);
        text.push_str(&printable(&details));
        text.push('\n');
        return text;
    };
    let mut label = Label::primary((), excerpt.span.clone());
    if let Some(message) = &diagnostic.label {
        label = label.with_message(printable(message));
    }
    let mut full = header.with_label(label);
    if let Some(help) = &diagnostic.help {
        full = full.with_note(printable(&format!("help: {help}")));
    }
    let mut text = emit(&excerpt, &full, colour).trim_end().to_owned();
    text.push('\n');
    text
}

fn emit(excerpt: &Excerpt, diagnostic: &codespan::Diagnostic<()>, colour: bool) -> String {
    let config = Config { chars: Chars::ascii(), ..Config::default() };
    let mut bytes = Vec::new();
    let written = if colour {
        let mut writer = termcolor::Ansi::new(&mut bytes);
        term::emit_to_write_style(&mut writer, &config, excerpt, diagnostic)
    } else {
        term::emit_to_io_write(&mut bytes, &config, excerpt, diagnostic)
    };
    match written {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        // A Vec takes every write and an Excerpt has all that its label asks for.
        Err(error) => format!("{}: {error}\n", diagnostic.message),
    }
}

/// One line of a file, cut around a place in it.
#[derive(Default)]
struct Excerpt {
    file: String,
    /// From 1.
    line: usize,
    /// Of the place's first character in the whole line, in characters from 1.
    column: usize,
    text: String,
    /// Bytes of `text`.
    span: Range<usize>,
}

impl Excerpt {
    /// None where `at` is no place in `source`.
    fn new(file: String, source: &Source, at: &At) -> Option<Self> {
        let (index, line, span) = match at {
            At::File => return None,
            At::Line(number) => {
                let index = usize::try_from(*number).ok()?.checked_sub(1)?;
                let line = source.line(index)?;
                let start = line.len() - line.trim_start().len();
                (index, line, start..line.trim_end().len().max(start))
            }
            At::Span(span) => line_of(source, span)?,
        };
        let column = line[..span.start].chars().count() + 1;
        let (text, span) = cut(line, span);
        Some(Self { file, line: index + 1, column, text, span })
    }
}

/// The line in which `span` begins, with its number from 0, and the part of `span` in it.
fn line_of<'a>(source: &'a Source, span: &Range<usize>) -> Option<(usize, &'a str, Range<usize>)> {
    let text = &source.text;
    if span.start > span.end || span.end > text.len() {
        return None;
    }
    let mut start = text.floor_char_boundary(span.start);
    // The end of the file is shown at the end of its last line, not on an empty one after it.
    if start == text.len() && text.ends_with('\n') {
        start -= 1;
    }
    let index = source.starts.partition_point(|&s| s <= start) - 1;
    let line = source.line(index)?;
    let within = |i: usize| (i - source.starts[index]).min(line.len());
    let end = text.ceil_char_boundary(span.end).max(start);
    Some((index, line, within(start)..within(end)))
}

/// `line` with at most [`WIDTH`] characters around `span`, and `span` in it.
fn cut(line: &str, span: Range<usize>) -> (String, Range<usize>) {
    let before = line[..span.start].chars().count();
    let long = line.chars().count() > WIDTH;
    let skip = if long { before.saturating_sub(BEFORE) } else { 0 };
    let mut text = String::new();
    if skip > 0 {
        text.push('…');
    }
    let (mut start, mut end) = (text.len(), None);
    let mut left = false;
    for (taken, (i, c)) in line.char_indices().skip(skip).enumerate() {
        if taken == WIDTH {
            left = true;
            break;
        }
        if i == span.start {
            start = text.len();
        }
        if i >= span.end && end.is_none() {
            end = Some(text.len());
        }
        // A replacement of one character keeps carets and columns in step.
        text.push(if steers(c) && c != '\t' { '\u{fffd}' } else { c });
    }
    if span.start == line.len() {
        start = text.len();
    }
    let end = end.unwrap_or(text.len());
    if left {
        text.push('…');
    }
    (text, start..end)
}

impl<'a> Files<'a> for Excerpt {
    type FileId = ();
    type Name = &'a str;
    type Source = &'a str;

    fn name(&'a self, (): ()) -> Result<&'a str, Error> {
        Ok(&self.file)
    }

    fn source(&'a self, (): ()) -> Result<&'a str, Error> {
        Ok(&self.text)
    }

    fn line_index(&'a self, (): (), _byte_index: usize) -> Result<usize, Error> {
        Ok(0)
    }

    fn line_number(&'a self, (): (), _line_index: usize) -> Result<usize, Error> {
        Ok(self.line)
    }

    fn column_number(&'a self, (): (), _line: usize, _byte: usize) -> Result<usize, Error> {
        Ok(self.column)
    }

    fn line_range(&'a self, (): (), line_index: usize) -> Result<Range<usize>, Error> {
        if line_index > 0 {
            return Err(Error::LineTooLarge { given: line_index, max: 0 });
        }
        Ok(0..self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &[u8], at: At) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.toml");
        fs::write(&file, text).unwrap();
        let found = Diagnostics::from(
            Diagnostic::error("bad", "it is bad").at(&file, at).label("here").help("mend it"),
        );
        found.render(false).replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn a_span_gets_its_line_and_a_caret() {
        assert_eq!(
            shown(b"one\ntwo three\n", At::Span(8..13)),
            "error[bad]: it is bad\n  --> f.toml:2:5\n  |\n2 | two three\n  |     ^^^^^ here\n  |\n  \
             = help: mend it\n"
        );
    }

    #[test]
    fn tabs_and_wide_characters_keep_the_caret_in_place() {
        let text = shown("\t日本 x\n".as_bytes(), At::Span(8..9));
        assert!(text.contains("f.toml:1:5\n"), "{text}");
        assert!(text.contains("\n1 |     日本 x\n  |          ^ here\n"), "{text}");
    }

    #[test]
    fn a_line_is_underlined_without_its_indent_and_carriage_return() {
        let text = shown(b"a\r\n  b c\r\nd\r\n", At::Line(2));
        assert!(text.contains("f.toml:2:3\n"), "{text}");
        assert!(text.contains("\n2 |   b c\n  |   ^^^ here\n"), "{text}");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = format!("{}HERE{}", "a".repeat(5_000), "b".repeat(5_000));
        let text = shown(line.as_bytes(), At::Span(5_000..5_004));
        assert!(text.contains("f.toml:1:5001\n"), "{text}");
        assert!(text.contains(&format!("…{}HEREb", "a".repeat(BEFORE))), "{text}");
        assert!(text.contains("b…\n"), "{text}");
        assert!(text.contains(&format!("| {}^^^^ here\n", " ".repeat(BEFORE + 1))), "{text}");
        assert!(text.lines().all(|l| l.chars().count() < WIDTH + 10), "{text}");
    }

    #[test]
    fn the_end_of_the_file_is_shown_after_its_last_line() {
        let text = shown(b"a = [\n", At::Span(6..6));
        assert!(text.contains("f.toml:1:6\n"), "{text}");
        assert!(text.contains("\n1 | a = [\n  |      ^ here\n"), "{text}");
    }

    #[test]
    fn without_a_line_to_show_the_place_is_the_file() {
        let plain = "error[bad]: it is bad\n  --> f.toml\n  = help: mend it\n";
        assert_eq!(shown(b"abc", At::Span(2..9)), plain);
        assert_eq!(shown(b"abc", At::File), plain);
        assert_eq!(shown(b"\xff\xfe", At::Span(0..1)), plain);
        let numbered = plain.replace("f.toml", "f.toml:7");
        assert_eq!(shown(b"abc", At::Line(7)), numbered);
        let gone = Diagnostic::error("bad", "it is bad")
            .at(Path::new("no/such/f.toml"), At::Line(7))
            .help("mend it");
        let expected = numbered.replace("f.toml", "no/such/f.toml");
        assert_eq!(Diagnostics::from(gone).render(false), expected);
    }

    #[test]
    fn control_characters_of_the_input_stay_off_the_terminal() {
        let text = shown("a\x1b[31m\u{202e} = 1\n".as_bytes(), At::Span(0..2));
        assert!(!text.contains(['\x1b', '\u{202e}']), "{text:?}");
        let message = Diagnostics::from(Diagnostic::error("bad", "key `\x1b[2J`"));
        assert_eq!(message.render(false), "error[bad]: key `\\u{1b}[2J`\n");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a\x1b[2J\u{202e}b.toml");
        fs::write(&file, "x").unwrap();
        for at in [At::Line(1), At::File] {
            let text = Diagnostics::from(Diagnostic::error("bad", "so").at(&file, at)).render(true);
            assert!(text.contains(r"a\u{1b}[2J\u{202e}b.toml"), "{text:?}");
            assert!(!text.contains("\x1b[2J") && !text.contains('\u{202e}'), "{text:?}");
        }
    }

    #[test]
    fn colour_adds_escapes_only() {
        let found = Diagnostics(vec![
            Diagnostic::error("bad", "it is bad"),
            Diagnostic::warning("odd", "it is odd").help("look"),
        ]);
        let coloured = found.render(true);
        assert!(coloured.contains('\x1b'));
        assert_eq!(console::strip_ansi_codes(&coloured), found.render(false));
        assert_eq!(
            found.render(false),
            "error[bad]: it is bad\n\nwarning[odd]: it is odd\n  = help: look\n"
        );
    }

    proptest! {
        #[test]
        fn any_place_in_any_text_is_shown(text in "(\\PC|\t|\r|\n|\x07){0,300}",
                                          a in 0usize..400, b in 0usize..400) {
            let source = Source::new(text);
            for at in [At::Span(a..b), At::Line(a as u64)] {
                if let Some(excerpt) = Excerpt::new(String::new(), &source, &at) {
                    prop_assert!(excerpt.text.chars().count() <= WIDTH + 2);
                    prop_assert!(excerpt.text.get(excerpt.span.clone()).is_some());
                    let label = Label::primary((), excerpt.span.clone());
                    let one = codespan::Diagnostic::error().with_label(label);
                    prop_assert!(emit(&excerpt, &one, false).contains("-->"));
                }
            }
        }
    }
}
