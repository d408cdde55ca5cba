//! The house: which room of src/ may use which, and how long a file may be.
//!
//! The table of ARCHITECTURE.md says what each room may use. The files are read as text: comments,
//! strings and characters are left out, then every path that begins at the crate's root, in `use`
//! and in code, is followed to the room that it enters. Test modules are held to the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Most lines of a file of src/, without its tests.
const FILE_LINES: usize = 400;
/// Most lines of src/cli/, tests and all.
const CLI_LINES: usize = 4_100;

/// Files of src/ that are in no room, and only declare the rooms or call one.
const ROOMLESS: [&str; 2] = ["lib.rs", "main.rs"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, sorted, as a path relative to src/.
fn files(folder: &str) -> Vec<PathBuf> {
    let src = root().join("src");
    let mut found = Vec::new();
    let mut folders = vec![src.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(&src).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn read(file: &Path) -> String {
    fs::read_to_string(root().join("src").join(file)).unwrap()
}

/// The rooms in the order of the table, each with those that it may use.
fn rooms(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut rooms: Vec<(String, BTreeSet<String>)> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [room, _, _, uses] = cells[..] else { panic!("not four cells: {line}") };
        let room = room.trim_matches('`').trim_end_matches('/').to_owned();
        let above = || rooms.iter().map(|(room, _)| room.clone());
        let uses: BTreeSet<String> = match uses {
            "none" => BTreeSet::new(),
            "every room above" => above().collect(),
            list => list.split(", ").map(str::to_owned).collect(),
        };
        for used in &uses {
            assert!(above().any(|room| room == *used), "{room} may use {used}, not above it");
        }
        rooms.push((room, uses));
    }
    rooms
}

/// A word or one other character of the code, with its line.
#[derive(Clone, Debug, PartialEq)]
struct Token {
    text: String,
    line: usize,
}

/// The tokens of Rust code, without comments and without what is in quotes.
fn tokens(code: &str) -> Vec<Token> {
    let chars: Vec<char> = code.chars().collect();
    let (mut at, mut line) = (0, 1);
    let mut tokens = Vec::new();
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => end_of_line(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => end_of_comment(&chars, at),
            '"' => end_of_text(&chars, at),
            '\'' => end_of_character(&chars, at),
            c if c.is_alphanumeric() || c == '_' => {
                let end = chars[at..].iter().position(|c| !c.is_alphanumeric() && *c != '_');
                let end = end.map_or(chars.len(), |length| at + length);
                let word: String = chars[at..end].iter().collect();
                let hashes = chars[end..].iter().take_while(|c| **c == '#').count();
                let quote = chars.get(end + hashes) == Some(&'"');
                if quote && ["r", "br", "cr"].contains(&word.as_str()) {
                    end_of_raw_text(&chars, end + hashes + 1, hashes)
                } else {
                    tokens.push(Token { text: word, line });
                    end
                }
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token { text: c.to_string(), line });
                }
                at + 1
            }
        };
        line += chars[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    tokens
}

fn end_of_line(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |length| at + length)
}

/// Comments of this form may hold others.
fn end_of_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn end_of_text(chars: &[char], at: usize) -> usize {
    let mut at = at + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn end_of_raw_text(chars: &[char], mut at: usize, hashes: usize) -> usize {
    let closing: Vec<char> = std::iter::once('"').chain("#".repeat(hashes).chars()).collect();
    while at < chars.len() && !chars[at..].starts_with(&closing) {
        at += 1;
    }
    (at + closing.len()).min(chars.len())
}

/// A lifetime ends after its quote: its name is a word that means nothing here.
fn end_of_character(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            let rest = chars[at + 3..].iter().position(|c| *c == '\'');
            rest.map_or(chars.len(), |length| at + 3 + length + 1)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}

/// Where a path leads: from the crate's root, and the line that it stands in.
#[derive(Debug, PartialEq)]
struct Arrow {
    path: Vec<String>,
    line: usize,
}

/// Finds every path of a file that begins with `crate`, `self` or `super`.
struct Reader<'t> {
    tokens: &'t [Token],
    at: usize,
    /// The modules that `at` is in, from the root; of each within the file also how many braces
    /// are open around it.
    modules: Vec<(String, usize)>,
    braces: usize,
    arrows: Vec<Arrow>,
}

impl Reader<'_> {
    fn text(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", |token| &token.text)
    }

    fn is_followed_by_path(&self) -> bool {
        self.text(1) == ":" && self.text(2) == ":"
    }

    fn read(&mut self) {
        while self.at < self.tokens.len() {
            match self.text(0) {
                "{" => self.braces += 1,
                "}" => {
                    self.braces -= 1;
                    self.modules.retain(|(_, braces)| *braces <= self.braces);
                }
                "mod" if self.text(2) == "{" => {
                    self.modules.push((self.text(1).to_owned(), self.braces + 1));
                }
                "crate" | "super" | "self" if self.is_followed_by_path() => {
                    self.tree(&mut Vec::new());
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Reads a path, or a tree of them, from its first word to behind its last.
    fn tree(&mut self, before: &mut Vec<String>) {
        let length = before.len();
        let line = self.tokens[self.at].line;
        loop {
            if self.text(0) == "{" {
                self.at += 1;
                while self.text(0) != "}" {
                    self.tree(before);
                    if self.text(0) == "as" {
                        self.at += 2;
                    }
                    if self.text(0) == "," {
                        self.at += 1;
                    }
                }
                self.at += 1;
                break;
            }
            before.push(self.text(0).to_owned());
            if !self.is_followed_by_path() {
                self.at += 1;
                let path = self.resolved(before);
                self.arrows.push(Arrow { path, line });
                break;
            }
            self.at += 3;
            if self.text(0) == "<" {
                // A function's type arguments end the path.
                let path = self.resolved(before);
                self.arrows.push(Arrow { path, line });
                break;
            }
        }
        before.truncate(length);
    }

    fn resolved(&self, path: &[String]) -> Vec<String> {
        let mut found: Vec<String> = self.modules.iter().map(|(name, _)| name.clone()).collect();
        for part in path {
            match part.as_str() {
                "crate" => found.clear(),
                "self" => {}
                "super" => {
                    found.pop();
                }
                name => found.push(name.to_owned()),
            }
        }
        found
    }
}

/// The modules of a file, from the root: `lm/search/question.rs` is `lm::search::question`, and
/// `onnx/lora_tests.rs` is `onnx::lora::tests`.
fn module(file: &Path) -> Vec<String> {
    let names = file.with_extension("");
    let names = names.iter().map(|name| name.to_str().unwrap()).filter(|name| *name != "mod");
    // Tests that lie beside the file whose module they are in.
    let parts = names.map(|name| match name.strip_suffix("_tests") {
        Some(name) => vec![name, "tests"],
        None => vec![name],
    });
    parts.flatten().map(str::to_owned).collect()
}

fn arrows(file: &Path, code: &str) -> Vec<Arrow> {
    let tokens = tokens(code);
    let modules = module(file).into_iter().map(|name| (name, 0)).collect();
    let mut reader = Reader { tokens: &tokens, at: 0, modules, braces: 0, arrows: Vec::new() };
    reader.read();
    reader.arrows
}

#[test]
fn the_table_has_every_room() {
    let table = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let listed: BTreeSet<String> = rooms(&table).into_iter().map(|(room, _)| room).collect();
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            found.insert(name);
        } else {
            assert!(ROOMLESS.contains(&name.as_str()), "src/{name} is in no room");
        }
    }
    assert_eq!(listed, found);
}

#[test]
fn no_room_uses_one_that_it_may_not() {
    let table = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rooms: BTreeMap<String, BTreeSet<String>> = rooms(&table).into_iter().collect();
    let (mut wrong, mut crossed) = (String::new(), 0);
    for file in files("") {
        let Some((room, true)) = file.iter().next().map(|r| (r, file.iter().count() > 1)) else {
            continue;
        };
        let room = room.to_str().unwrap();
        for Arrow { path, line } in arrows(&file, &read(&file)) {
            let entered = path.first().map_or("", String::as_str);
            if entered == room {
                continue;
            }
            crossed += 1;
            // The root itself has nothing but rooms: `use crate::*` would be all of them.
            if !rooms[room].contains(entered) {
                let path = path.join("::");
                writeln!(wrong, "src/{}:{line}: {room} uses {path}", file.display()).unwrap();
            }
        }
    }
    assert!(crossed > 300, "only {crossed} paths from room to room were found");
    assert!(wrong.is_empty(), "the table of ARCHITECTURE.md allows none of:\n{wrong}");
}

#[test]
fn every_form_of_a_path_is_read() {
    let code = r##"
//! [`crate::comment`]
use crate::alone;
use crate::two::{self, under::{deep, deeper as low}, *};
use crate::{
    first, /* crate::comment /* crate::inner */ */
    second::Thing as Other,
};
pub(crate) fn f<'a>(x: &'a crate::code::Type) -> char {
    let text = "crate::text \" crate::text";
    let raw = r#"crate::raw " crate::raw"#;
    let quotes = ['"', '\'', '\u{22}'];
    crate::call::<u8>(super::beside::x, self::own)
}
mod inner {
    mod innermost {
        use super::super::{beside, super::super::up};
    }
    use super::Y;
}
use super::super::top;
"##;
    let found: Vec<(String, usize)> = arrows(Path::new("room/floor.rs"), code)
        .into_iter()
        .map(|arrow| (arrow.path.join("::"), arrow.line))
        .collect();
    let found: Vec<(&str, usize)> = found.iter().map(|(path, line)| (&path[..], *line)).collect();
    let expected = [
        ("alone", 3),
        ("two", 4),
        ("two::under::deep", 4),
        ("two::under::deeper", 4),
        ("two::*", 4),
        ("first", 6),
        ("second::Thing", 7),
        ("code::Type", 9),
        ("call", 13),
        ("room::beside::x", 13),
        ("room::floor::own", 13),
        ("room::floor::beside", 17),
        ("up", 17),
        ("room::floor::Y", 19),
        ("top", 21),
    ];
    assert_eq!(found, expected);
}

/// Without its tests: a module of them in the file, with the attribute before it.
fn lines_without_tests(code: &str) -> usize {
    let (mut lines, mut tests) = (0, false);
    let mut rest = code.lines().peekable();
    while let Some(line) = rest.next() {
        let module = |next: &&str| next.starts_with("mod ") && next.ends_with('{');
        tests |= line == "#[cfg(test)]" && rest.peek().is_some_and(module);
        lines += usize::from(!tests);
        tests &= line != "}";
    }
    lines
}

/// Whether a file is nothing but tests.
fn is_tests(file: &Path) -> bool {
    file.iter()
        .filter_map(|name| name.to_str())
        .any(|name| name == "tests" || name == "tests.rs" || name.ends_with("_tests.rs"))
}

#[test]
fn no_file_is_longer_than_a_person_reads() {
    let code = "a\n#[cfg(test)]\nmod tests {\n    b\n}\nc\n#[cfg(test)]\nmod tests;\n";
    assert_eq!(lines_without_tests(code), 4);
    let mut wrong = String::new();
    for file in files("").into_iter().filter(|file| !is_tests(file)) {
        let lines = lines_without_tests(&read(&file));
        if lines > FILE_LINES {
            writeln!(wrong, "src/{}: {lines}", file.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "more than {FILE_LINES} lines:\n{wrong}");
}

#[test]
fn the_command_line_is_thin() {
    let lines: usize = files("cli").iter().map(|file| read(file).lines().count()).sum();
    assert!(lines <= CLI_LINES, "src/cli/ has {lines} lines, more than {CLI_LINES}");
}
