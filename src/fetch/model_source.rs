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
    /// What that names.
    #[serde(skip)]
    pub source: Source,
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
}

impl ModelSource {
    /// The local path, or none where the source is fetched.
    pub fn path(&self) -> Option<&Path> {
        match &self.source {
            Source::Local(path) => Some(path),
            Source::Pypi { .. } | Source::Hf { .. } => None,
        }
    }

    /// As it is written in a TOML file, so that it means the same from every folder.
    pub fn anywhere(&self) -> toml::Value {
        let source = match self.path() {
            Some(path) => {
                let absolute = std::path::absolute(path);
                absolute.unwrap_or_else(|_| PathBuf::from(path)).display().to_string()
            }
            None => self.written.clone(),
        };
        match &self.sha256 {
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
            let named = ModelSource { written: text.into(), sha256: None, source, place };
            named.path().map(Path::to_owned)
        };
        assert_eq!(path("model"), Some(PathBuf::from("here/model")));
        assert_eq!(path("/model"), Some(PathBuf::from("/model")));
        assert_eq!(path("hf:owner/name"), None);
        assert_eq!(path("pypi:package==1#file"), None);
    }
}
