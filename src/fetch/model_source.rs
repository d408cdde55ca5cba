//! A source as a settings file names it: with its pinned hash and its place in the file.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Source;
use crate::diagnostic::Place;

/// Where a model or a text comes from.
///
/// Serialised, it holds what is written: the source's text and the hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelSource {
    /// As written: a path, or text that begins with `hf:` or `pypi:`.
    #[serde(rename = "source")]
    pub written: String,
    /// SHA-256 that the file must have, 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
    /// What a lock file says of it; [`super::lock`] puts it here.
    #[serde(skip)]
    pub locked: Option<Locked>,
    /// What that names.
    #[serde(skip)]
    pub source: Source,
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
}

/// What a source was when it was locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The lock file.
    pub file: PathBuf,
    /// The commit of a hub's model.
    pub revision: Option<String>,
    /// 64 lower-case hexadecimal digits; those of the source itself, where it has some.
    pub sha256: String,
}

impl ModelSource {
    /// The local path, or none where the source is fetched.
    pub fn path(&self) -> Option<&Path> {
        match &self.source {
            Source::Local(path) => Some(path),
            Source::Pypi(_) | Source::Joined(_) | Source::Hf { .. } => None,
        }
    }

    /// As it is written in a TOML file, so that it means the same from every folder. What is locked
    /// is pinned.
    pub fn anywhere(&self) -> toml::Value {
        let revision = self.locked.as_ref().and_then(|locked| locked.revision.as_ref());
        let source = match (self.path(), revision) {
            (Some(path), _) => {
                let absolute = std::path::absolute(path);
                absolute.unwrap_or_else(|_| PathBuf::from(path)).display().to_string()
            }
            (None, Some(commit)) => {
                let model = self.written.split('@').next().unwrap_or_default();
                format!("{model}@{commit}")
            }
            (None, None) => self.written.clone(),
        };
        let locked = self.locked.as_ref().map(|locked| &locked.sha256);
        match self.sha256.as_ref().or(locked) {
            Some(sha256) => toml::Table::from_iter([
                ("source".to_owned(), source.into()),
                ("sha256".to_owned(), sha256.clone().into()),
            ])
            .into(),
            None => source.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::At;

    #[test]
    fn only_what_is_not_fetched_has_a_path() {
        let path = |text: &str| {
            let source = Source::parse(text, Path::new("here")).unwrap();
            let place = Place { file: PathBuf::new(), at: At::File };
            let named =
                ModelSource { written: text.into(), sha256: None, locked: None, source, place };
            named.path().map(Path::to_owned)
        };
        assert_eq!(path("model"), Some(PathBuf::from("here/model")));
        assert_eq!(path("/model"), Some(PathBuf::from("/model")));
        assert_eq!(path("hf:owner/name"), None);
        assert_eq!(path("pypi:package==1#file"), None);
    }
}
