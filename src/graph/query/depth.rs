//! How deep a query goes, found before it is parsed.
//!
//! oxigraph's parser, optimiser and evaluation follow a query by recursion: each level of brackets
//! takes stack, and so does each link of a chain such as `a || b || c` or a list of triples. A stack
//! that is too small would end the process, so a query that might need more than it is given
//! ([`super::STACK`]) is refused here.
//!
//! What is counted is never less than what the parser meets. Where the text alone does not say what
//! is a string or an IRI, nothing is taken for one any more, and no bracket for closed.

use crate::diagnostic::Explain;

/// The most brackets that may be open within each other.
pub(super) const MOST_BRACKETS: usize = 1_000;
/// The most words and signs that may stand in the brackets that are open at one place, those of
/// closed brackets within them not counted.
pub(super) const MOST_WORDS: usize = 100_000;

/// What a query has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TooDeep {
    /// Brackets within brackets.
    #[error("the query has more than {MOST_BRACKETS} brackets within each other")]
    Brackets,
    /// Chained conditions, triples or values.
    #[error("the query has more than {MOST_WORDS} words and signs in one group")]
    Words,
}

impl Explain for TooDeep {
    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Brackets => "take out those that change nothing, or ask in several queries",
            Self::Words => "ask in several queries, with a part of the values each",
        };
        Some(help.to_owned())
    }
}

/// # Errors
/// Where `sparql` goes deeper than the stack of its evaluation.
pub(super) fn check(sparql: &str) -> Result<(), TooDeep> {
    let text = sparql.as_bytes();
    let mut depth = Depth { levels: vec![0], words: 0, is_plain: true };
    let mut at = 0;
    while at < text.len() {
        at += depth.take(&text[at..]);
        if depth.levels.len() > MOST_BRACKETS + 1 {
            return Err(TooDeep::Brackets);
        }
        if depth.words > MOST_WORDS {
            return Err(TooDeep::Words);
        }
    }
    Ok(())
}

/// What is open at a place.
struct Depth {
    /// Words and signs of each open bracket, the whole query's first.
    levels: Vec<usize>,
    /// Their sum.
    words: usize,
    /// Whether strings, IRIs and comments were told apart so far.
    is_plain: bool,
}

impl Depth {
    /// Takes what `text` begins with and gives its length.
    fn take(&mut self, text: &[u8]) -> usize {
        match text[0] {
            byte if byte.is_ascii_whitespace() => 1,
            b'#' if self.is_plain => {
                text.iter().position(|byte| b"\n\r".contains(byte)).unwrap_or(text.len())
            }
            b'"' | b'\'' if self.is_plain => {
                self.word();
                string(text).unwrap_or_else(|| self.doubt())
            }
            b'<' if self.is_plain => self.angle(text),
            b'<' if text.starts_with(b"<<") => self.open(2),
            b'>' if text.starts_with(b">>") => self.close(2),
            b'(' | b'[' | b'{' => self.open(1),
            b')' | b']' | b'}' => self.close(1),
            // An escape of a name, or of a bracket where the parser would know such ones.
            b'\\' if text.len() > 1 && b"uU".contains(&text[1]) => self.open(2),
            b'\\' => 2,
            byte if is_of_word(byte) => {
                self.word();
                text.iter().position(|&byte| !is_of_word(byte)).unwrap_or(text.len())
            }
            _ => {
                self.word();
                1
            }
        }
    }

    /// An IRI, `<<`, or less than.
    fn angle(&mut self, text: &[u8]) -> usize {
        let stops = |byte: &u8| *byte <= b' ' || b"<>\"{}|^`\\".contains(byte);
        let inside = &text[1..];
        let Some(end) = inside.iter().position(stops) else {
            self.word();
            return 1;
        };
        match inside[end] {
            // `?a <(?b) && 'x' > 'y'` begins like an IRI with an apostrophe.
            b'>' if inside[..end].contains(&b'\'') => self.doubt(),
            b'\\' => self.doubt(),
            b'<' if end == 0 => self.open(2),
            b'>' => {
                self.word();
                self.iri(&inside[..end]);
                end + 2
            }
            _ => {
                self.word();
                1
            }
        }
    }

    /// What is between `<` and `>`, which may be two comparisons too: brackets that it opens count,
    /// and it closes none but its own.
    fn iri(&mut self, text: &[u8]) {
        let outside = self.levels.len();
        for byte in text {
            match byte {
                b'(' | b'[' => drop(self.open(1)),
                b')' | b']' if self.levels.len() > outside => drop(self.close(1)),
                byte if is_of_word(*byte) => {}
                _ => self.word(),
            }
        }
    }

    /// From here on nothing is taken for a string, an IRI or a comment.
    fn doubt(&mut self) -> usize {
        self.is_plain = false;
        1
    }

    fn word(&mut self) {
        self.words += 1;
        if let Some(level) = self.levels.last_mut() {
            *level += 1;
        }
    }

    fn open(&mut self, length: usize) -> usize {
        self.word();
        self.levels.push(0);
        length
    }

    fn close(&mut self, length: usize) -> usize {
        if self.is_plain && self.levels.len() > 1 {
            self.words -= self.levels.pop().unwrap_or(0);
        }
        length
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"_:?$@%".contains(&byte)
}

/// The length of the string that `text` begins with; `None` where the parser may see another.
fn string(text: &[u8]) -> Option<usize> {
    let quote = text[0];
    let is_end = |at: usize, length: usize| text[at..].starts_with(&[quote; 3][..length]);
    let length = if is_end(0, 3) { 3 } else { 1 };
    let mut at = length;
    while at < text.len() {
        match text[at] {
            b'\\' => match text.get(at + 1) {
                Some(escaped) if b"tbnrf\"'\\".contains(escaped) => at += 2,
                _ => return None,
            },
            b'\n' | b'\r' if length == 1 => return None,
            _ if is_end(at, length) => return Some(at + length),
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(open: &str, inside: &str, close: &str, count: usize) -> String {
        format!("{}{inside}{}", open.repeat(count), close.repeat(count))
    }

    #[test]
    fn brackets_of_all_kinds_count_while_they_are_open() {
        for (open, close) in
            [("(", ")"), ("[ ex:p ", "]"), ("{ ", "}"), ("<<(", ")>>"), ("{| ex:p ", "|}")]
        {
            let text = |count| nested(open, "1", close, count);
            assert_eq!(check(&text(MOST_BRACKETS / 2)), Ok(()), "{open}");
            assert_eq!(check(&text(MOST_BRACKETS + 1)), Err(TooDeep::Brackets), "{open}");
            let beside = text(1).repeat(MOST_BRACKETS * 2);
            assert_eq!(check(&beside), Ok(()), "{open}");
        }
    }

    #[test]
    fn strings_iris_comments_and_escapes_have_no_brackets() {
        for piece in [
            "\"((\"",
            "'(('",
            "\"\"\" \"( (\"\"\"",
            "''''(('''",
            "\"\\\"((\"",
            "# ((\n",
            "# ((\r",
            "<http://e.org/#a_(b)>",
            "wd:a\\(b",
        ] {
            assert_eq!(check(&piece.repeat(MOST_BRACKETS * 2)), Ok(()), "{piece}");
        }
    }

    /// Texts that look like strings, IRIs or comments, or like the end of a bracket, and are none.
    #[test]
    fn what_only_looks_opaque_hides_nothing() {
        let many = "(".repeat(MOST_BRACKETS + 1);
        for text in [
            format!("?a<?b&&{many}?c>?d"),
            format!("?a<'>'&&{many}&&'a'='a'"),
            format!("(\"\"\"a\"{many}"),
            format!("(\"\"\"a\"{many}\\q\"\"\""),
            format!("'a\\\\'{many}'"),
            format!("<http://e.org/\\u0041#>{many}"),
            "( <x:)> + ".repeat(MOST_BRACKETS + 1),
            "?a<(?b>1&&".repeat(MOST_BRACKETS + 1),
            "<x:'> \")\" + (".repeat(MOST_BRACKETS + 1),
            "\\u0028".repeat(MOST_BRACKETS + 1),
        ] {
            assert_eq!(check(&text), Err(TooDeep::Brackets), "{}", &text[..30]);
        }
    }

    #[test]
    fn long_chains_are_refused_and_groups_beside_each_other_not() {
        let chain = |link: &str| link.repeat(MOST_WORDS + 1);
        for link in ["!", "+1", "a/", "|| ?a ", "?s ?p ?o. ", "{} UNION ", "\"\" ", "<x:> "] {
            assert_eq!(check(&chain(link)), Err(TooDeep::Words), "{link}");
        }
        // Deep and long at once.
        let half = "1+".repeat(MOST_WORDS / 5);
        assert_eq!(check(&format!("{half}({half}")), Ok(()));
        assert_eq!(check(&format!("{half}({half}({half}")), Err(TooDeep::Words));
        assert_eq!(check(&format!("({half}) {half}({half}) ({half})")), Ok(()));
    }
}
