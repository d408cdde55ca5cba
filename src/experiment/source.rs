//! The facts of an experiment: a folder in the shape of ParaRel's, read by labels.
//!
//! `facts/R.jsonl` holds the facts of the relation R, an object a line with `sub_label` and
//! `obj_label`; `patterns/R.jsonl` its templates, an object a line with `pattern`, in which `[X]`
//! stands for the subject and `[Y]` for the object.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::diagnostic::{At, Diagnostic, Diagnostics, of_json_line};
use crate::ontology::Template;

/// A relation with its facts and templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationFacts {
    /// Its name, that of its files.
    pub name: String,
    /// Templates that a causal model can use, `[X]` before `[Y]`, in the file's order; at least
    /// one, none twice.
    pub templates: Vec<String>,
    /// By the subject's label, the labels of its objects, at least one.
    pub facts: BTreeMap<String, BTreeSet<String>>,
}

impl RelationFacts {
    /// How many facts each object has.
    pub fn object_counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for object in self.facts.values().flatten() {
            *counts.entry(object.as_str()).or_default() += 1;
        }
        counts
    }
}

#[derive(Deserialize)]
struct FactLine {
    sub_label: String,
    obj_label: String,
}

#[derive(Deserialize)]
struct PatternLine {
    pattern: String,
}

/// Reads every relation that has both facts and a usable template, at most `templates` of each,
/// and of its facts those whose object `admits` takes.
///
/// # Errors
/// Where the folder is not of that shape, with all broken lines, or leaves no relation.
pub fn read(
    folder: &Path,
    templates: usize,
    admits: impl Fn(&str) -> bool,
) -> Result<Vec<RelationFacts>, Diagnostics> {
    let mut found = Diagnostics::default();
    let mut relations = Vec::new();
    for file in tables(&folder.join("facts"))? {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let patterns = folder.join("patterns").join(format!("{name}.jsonl"));
        if !patterns.is_file() {
            // ParaRel has facts without patterns: they are not asked about.
            continue;
        }
        let patterns = usable(&patterns, templates, &mut found);
        let mut facts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (_, FactLine { sub_label, obj_label }) in lines(&file, &mut found) {
            let (subject, object) = (sub_label.trim(), obj_label.trim());
            if !subject.is_empty() && !object.is_empty() && admits(object) {
                facts.entry(subject.to_owned()).or_default().insert(object.to_owned());
            }
        }
        if !patterns.is_empty() && !facts.is_empty() {
            relations.push(RelationFacts { name, templates: patterns, facts });
        }
    }
    if relations.is_empty() && !found.has_errors() {
        let message = "no relation has both facts and a template with [X] before [Y]";
        let mistake = Diagnostic::error("no-relation", message).help(SHAPE);
        found.push(mistake.at(folder, At::File));
    }
    found.or(relations).map(|(relations, _)| relations)
}

/// The first `most` templates of a file that a causal model can use; those that are none are told.
fn usable(file: &Path, most: usize, found: &mut Diagnostics) -> Vec<String> {
    let mut usable = Vec::new();
    for (number, PatternLine { pattern }) in lines(file, found) {
        match Template::parse(&pattern) {
            Ok(template) if !template.object_first() => usable.push(template.text().to_owned()),
            Ok(_) => {}
            Err(error) => {
                let mistake = Diagnostic::error("bad-template", error.to_string()).help(SHAPE);
                found.push(mistake.at(file, At::Line(number)));
            }
        }
    }
    let mut seen = BTreeSet::new();
    usable.retain(|template| seen.insert(template.clone()));
    usable.truncate(most);
    usable
}

/// What the folder must look like.
const SHAPE: &str = "the folder needs facts/R.jsonl with `sub_label` and `obj_label`, and \
                     patterns/R.jsonl with `pattern`, for each relation R";

/// The `.jsonl` files of a folder, sorted.
fn tables(folder: &Path) -> Result<Vec<PathBuf>, Diagnostics> {
    let entries = fs::read_dir(folder).map_err(|error| {
        let message = format!("the facts cannot be read: {error}");
        Diagnostics::from(Diagnostic::error("unreadable", message).at(folder, At::File).help(SHAPE))
    })?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    Ok(files)
}

/// The lines of a file that are what they should be, with their numbers; the others are told.
fn lines<T: DeserializeOwned>(file: &Path, found: &mut Diagnostics) -> Vec<(u64, T)> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("the file cannot be read: {error}");
            found.push(Diagnostic::error("unreadable", message).at(file, At::File));
            return Vec::new();
        }
    };
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut read = Vec::new();
    for (line, number) in text.split(|&byte| byte == b'\n').zip(1..) {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            continue;
        }
        match parse(line) {
            Ok(value) => read.push((number, value)),
            Err(mistake) => found.push(mistake.at(file, At::Line(number))),
        }
    }
    read
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, Box<Diagnostic>> {
    let Ok(line) = std::str::from_utf8(line) else {
        let mistake = Diagnostic::error("invalid-utf-8", "the line is not UTF-8");
        return Err(Box::new(mistake.help("save the file with the encoding UTF-8")));
    };
    serde_json::from_str(line)
        .map_err(|error| Box::new(Diagnostic::error("bad-line", of_json_line(&error)).help(SHAPE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(facts: &str, patterns: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("facts", facts), ("patterns", patterns)] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("P1.jsonl"), text).unwrap();
        }
        folder
    }

    const PATTERNS: &str = "{\"pattern\": \"[Y] has [X].\"}\n{\"pattern\": \"[X] is in [Y].\"}\n\
                            {\"pattern\": \"[X] lies in [Y].\"}\n";

    #[test]
    fn facts_are_grouped_by_subject_and_templates_are_usable() {
        let facts = "{\"sub_label\": \"a\", \"obj_label\": \"x\", \"uuid\": \"1\"}\n\
                     {\"sub_label\": \"a\", \"obj_label\": \"y\"}\n\n\
                     {\"sub_label\": \"b\", \"obj_label\": \"x\"}\n\
                     {\"sub_label\": \"c\", \"obj_label\": \"long\"}\n";
        let folder = folder(facts, PATTERNS);
        let relations = read(folder.path(), 1, |object| object.len() == 1).unwrap();
        assert_eq!(relations.len(), 1);
        assert_eq!(relations[0].templates, ["[X] is in [Y]."]);
        assert_eq!(relations[0].facts.len(), 2);
        assert_eq!(relations[0].object_counts(), BTreeMap::from([("x", 2), ("y", 1)]));
    }

    #[test]
    fn mistakes_have_their_lines() {
        let broken = folder("{\"sub_label\": \"a\"}\nnothing\n", PATTERNS);
        let mistakes = read(broken.path(), 1, |_| true).unwrap_err();
        let at: Vec<At> = mistakes.0.iter().map(|d| d.place.clone().unwrap().at).collect();
        assert_eq!(at, [At::Line(1), At::Line(2)]);
        let said = mistakes.to_string();
        assert!(said.contains("the line is not JSON: expected ident at character 2"), "{said}");
        assert!(said.contains("missing field `obj_label`") && !said.contains("at line"), "{said}");
        let facts = folder("{\"sub_label\": \"a\", \"obj_label\": \"x\"}\n", PATTERNS);
        fs::write(facts.path().join("patterns/P1.jsonl"), b"\n{\"pattern\": \"\xff\"}\n").unwrap();
        let said = read(facts.path(), 1, |_| true).unwrap_err();
        assert_eq!(
            (said.0[0].code, &said.0[0].place.clone().unwrap().at),
            ("invalid-utf-8", &At::Line(2))
        );
        assert!(said.to_string().contains("encoding UTF-8"), "{said}");
        let empty = folder("", PATTERNS);
        assert_eq!(read(empty.path(), 1, |_| true).unwrap_err().0[0].code, "no-relation");
        let patterns = format!("{PATTERNS}{{\"pattern\": \"[X] is.\"}}\n");
        let broken = self::folder("{\"sub_label\": \"a\", \"obj_label\": \"x\"}\n", &patterns);
        let mistakes = read(broken.path(), 1, |_| true).unwrap_err();
        let places: Vec<(&str, At)> =
            mistakes.0.iter().map(|d| (d.code, d.place.clone().unwrap().at)).collect();
        assert_eq!(places, [("bad-template", At::Line(4))]);
        let nothing = tempfile::tempdir().unwrap();
        assert_eq!(read(nothing.path(), 1, |_| true).unwrap_err().0[0].code, "unreadable");
    }
}
