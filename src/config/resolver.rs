//! What every kind of file is checked for beyond its schema: paths that are there, IRIs that are
//! ones, hashes and sources.
//!
//! What the walker refused is absent here and has been reported; nothing is said about it twice.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use oxrdf::NamedNode;

use super::paths::{self, Kind};
use super::raw::{OneOrMany, RawModel};
use super::walk::Spans;
use crate::diagnostic::{At, Diagnostic, Diagnostics, Place};
use crate::fetch::{JOINED_BY, Malformed, ModelSource, Source};

/// How a model is written.
pub(super) const MODEL_FORMS: &str =
    "a model is a local path, `hf:owner/name` or `pypi:package==version#path/inside`";

/// Checks the values of one file and gathers what it finds. Places are given as the path of a
/// value from the file's root.
pub(super) struct Resolver<'a> {
    pub file: &'a Path,
    pub folder: &'a Path,
    pub spans: &'a Spans,
    pub found: &'a mut Diagnostics,
    /// Every relation that the file names by IRI, and where.
    pub named: Vec<(String, Place)>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(file: &'a Path, spans: &'a Spans, found: &'a mut Diagnostics) -> Self {
        let folder = file.parent().unwrap_or(Path::new(""));
        Self { file, folder, spans, found, named: Vec::new() }
    }

    pub(super) fn push(&mut self, diagnostic: Diagnostic, at: At) {
        self.found.push(diagnostic.at(self.file, at));
    }

    /// A source and its hash; nothing where it is none. `kind` is what a local path must be; `forms` says how else it can be
    /// written.
    pub(super) fn source(
        &mut self,
        raw: Option<RawModel>,
        at: &[&str],
        kind: Kind,
        forms: &str,
    ) -> Option<ModelSource> {
        let mut inner = at.to_vec();
        let (written, sha256) = match raw? {
            RawModel::Source(written) => (OneOrMany::One(written), None),
            RawModel::Parts(parts) => (OneOrMany::Many(parts), None),
            RawModel::Pinned(pinned) => {
                inner.push("source");
                (pinned.source?, pinned.sha256)
            }
        };
        let written = match written {
            OneOrMany::One(written) => written,
            OneOrMany::Many(parts) => {
                if let Some(part) = parts.iter().find(|part| !part.starts_with("pypi:")) {
                    let problem = "only files inside wheels are joined, which begin with `pypi:`";
                    let malformed = Malformed { text: part.clone(), problem: problem.to_owned() };
                    self.push(Diagnostic::of("model-source", &malformed), self.spans.value(&inner));
                    return None;
                }
                parts.join(JOINED_BY)
            }
        };
        if written.is_empty() {
            // The walker refused it.
            return None;
        }
        let sha256 = sha256.map(|hash| self.sha256(&[at, &["sha256"]].concat(), hash));
        let place = Place { file: self.file.to_owned(), at: self.spans.value(&inner) };
        let source = match Source::parse(&written, self.folder) {
            Ok(source) => source,
            Err(malformed) => {
                self.push(Diagnostic::of("model-source", &malformed), place.at);
                return None;
            }
        };
        let named = ModelSource { written, sha256, locked: None, source, place };
        if let Some(path) = named.path() {
            let mistake = paths::mistake(path, kind).map(|wrong| {
                let help = wrong.help.clone().unwrap_or_default();
                wrong.help(format!("{help} ({forms})").trim_start())
            });
            self.report(mistake, &inner);
        }
        Some(named)
    }

    fn sha256(&mut self, at: &[&str], hash: String) -> String {
        if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            let message = format!("`{}` is not a SHA-256 hash", at.join("."));
            let diagnostic = Diagnostic::error("bad-hash", message)
                .help("64 hexadecimal digits, as `sha256sum FILE` prints them");
            self.push(diagnostic, self.spans.value(at));
        }
        hash.to_ascii_lowercase()
    }

    /// Files that are there, none of them twice.
    pub(super) fn files(&mut self, raw: Option<OneOrMany>, at: [&str; 2]) -> Vec<PathBuf> {
        let texts = match raw {
            None => Vec::new(),
            Some(OneOrMany::One(text)) => return vec![self.path(&text, Kind::File, &at)],
            Some(OneOrMany::Many(texts)) => texts,
        };
        self.no_twice(&texts, at);
        let [section, key] = at;
        let check = |(i, text): (usize, &String)| {
            self.path(text, Kind::File, &[section, key, &i.to_string()])
        };
        texts.iter().enumerate().map(check).collect()
    }

    /// IRIs of relations, none of them twice; remembered among those that the file names.
    pub(super) fn relations(&mut self, iris: Vec<String>, at: [&str; 2]) -> Vec<String> {
        self.no_twice(&iris, at);
        let [section, key] = at;
        for (i, iri) in iris.iter().enumerate() {
            let at = self.spans.value(&[section, key, &i.to_string()]);
            self.iri(iri, at.clone());
            self.named.push((iri.clone(), Place { file: self.file.to_owned(), at }));
        }
        iris
    }

    fn no_twice(&mut self, texts: &[String], [section, key]: [&str; 2]) {
        let mut seen = HashSet::new();
        for (i, text) in texts.iter().enumerate() {
            if !seen.insert(text) {
                let message = format!("`{text}` is in `{section}.{key}` twice");
                let diagnostic = Diagnostic::error("twice", message).help("take one of them out");
                self.push(diagnostic, self.spans.value(&[section, key, &i.to_string()]));
            }
        }
    }

    /// Whether `text` is an IRI; says so if it is not.
    pub(super) fn iri(&mut self, text: &str, at: At) -> bool {
        let parsed = NamedNode::new(text);
        if let Err(error) = &parsed {
            let diagnostic =
                Diagnostic::error("bad-iri", format!("`{text}` is not an IRI: {error}"))
                    .help("a whole IRI, as in `http://example.org/capital`, without a prefix");
            self.push(diagnostic, at);
        }
        parsed.is_ok()
    }

    /// Warns of a key that is there but changes nothing.
    pub(super) fn unused(&mut self, path: &[&str], reason: &str) {
        if self.spans.has(path) {
            let name = path.last().copied().unwrap_or_default();
            let message = format!("`{name}` has no effect: {reason}");
            let diagnostic = Diagnostic::warning("no-effect", message).help("take it out");
            self.push(diagnostic, self.spans.key(path));
        }
    }

    /// A path as written, from the file's folder; checked to be of a kind.
    pub(super) fn path(&mut self, text: &str, kind: Kind, at: &[&str]) -> PathBuf {
        let path = self.folder.join(text);
        self.report(paths::mistake(&path, kind), at);
        path
    }

    fn report(&mut self, mistake: Option<Diagnostic>, at: &[&str]) {
        if let Some(diagnostic) = mistake {
            self.push(diagnostic, self.spans.value(at));
        }
    }
}
