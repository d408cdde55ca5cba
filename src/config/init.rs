//! `kgbuild init`: a small pipeline that runs, to change into one's own.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::diagnostic::Explain;

/// A commented pipeline.toml; its paths are those of the files that [`init`] writes beside it.
pub const STARTER: &str = include_str!("starter/pipeline.toml");

const FILES: [(&str, &str); 4] = [
    ("pipeline.toml", STARTER),
    ("ontology.ttl", include_str!("starter/ontology.ttl")),
    ("subjects.csv", include_str!("starter/subjects.csv")),
    ("candidates.csv", include_str!("starter/candidates.csv")),
];

/// Why [`init`] wrote nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InitError {
    /// Files of these names are there.
    #[error("nothing was written: {} would be overwritten; name another folder", list(.0))]
    Exists(Vec<PathBuf>),
    /// The folder or a file cannot be made.
    #[error("{} cannot be written", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl Explain for InitError {}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Writes pipeline.toml, ontology.ttl, subjects.csv and candidates.csv into `folder`, which is
/// made where it is missing. Gives their paths.
///
/// # Errors
/// [`InitError::Exists`] if any of them is there, [`InitError::Io`] if one cannot be written. In
/// both cases no file is left changed or added.
pub fn init(folder: &Path) -> Result<Vec<PathBuf>, InitError> {
    let paths: Vec<PathBuf> = FILES.iter().map(|(name, _)| folder.join(name)).collect();
    // A dangling link counts as well.
    let there = |path: &&PathBuf| path.symlink_metadata().is_ok();
    let existing: Vec<PathBuf> = paths.iter().filter(there).cloned().collect();
    if !existing.is_empty() {
        return Err(InitError::Exists(existing));
    }
    fs::create_dir_all(folder)
        .map_err(|source| InitError::Io { path: folder.to_owned(), source })?;
    for (i, (path, (_, text))) in paths.iter().zip(FILES).enumerate() {
        let opened = OpenOptions::new().write(true).create_new(true).open(path);
        let made = opened.is_ok();
        if let Err(source) = opened.and_then(|mut file| file.write_all(text.as_bytes())) {
            // Only what was made here goes; that it cannot go is not the error to show.
            for ours in &paths[..i + usize::from(made)] {
                let _ = fs::remove_file(ours);
            }
            return Err(match source.kind() {
                io::ErrorKind::AlreadyExists => InitError::Exists(vec![path.clone()]),
                _ => InitError::Io { path: path.clone(), source },
            });
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::super::raw::RawPipeline;
    use super::super::{CorrectionMethod, read, schema, walk};
    use super::*;
    use crate::diagnostic::Diagnostics;
    use toml::de::DeTable;

    #[test]
    fn what_init_writes_reads_without_a_word() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new/project");
        let paths = init(&folder).unwrap();
        let names: Vec<_> =
            paths.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["pipeline.toml", "ontology.ttl", "subjects.csv", "candidates.csv"]);
        let (pipeline, warnings) =
            read(&paths[0]).unwrap_or_else(|e| panic!("{}", e.render(false)));
        assert_eq!(warnings, Diagnostics::default());
        assert_eq!(pipeline.correction, CorrectionMethod::None);
        assert_eq!(pipeline.lambda("http://example.org/capital"), 0.0);
        assert_eq!(pipeline.inputs.subjects, [folder.join("subjects.csv")]);
        let base = pipeline.models.base.unwrap();
        assert!(base.written.starts_with("pypi:") && base.sha256.is_some());
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let mine = folder.path().join("subjects.csv");
        fs::write(&mine, "mine").unwrap();
        let error = init(folder.path()).unwrap_err();
        assert!(matches!(&error, InitError::Exists(paths) if *paths == [mine.clone()]), "{error}");
        assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(matches!(init(&mine).unwrap_err(), InitError::Io { .. }));
    }

    /// The starter shows every key; one that is commented out must be right as well.
    #[test]
    fn the_starter_shows_every_key_and_each_is_right() {
        let mut text = String::new();
        for line in STARTER.lines() {
            let inner = line.strip_prefix("# ").filter(|l| l.contains(" = ") || l.starts_with('['));
            text.push_str(inner.unwrap_or(line));
            text.push('\n');
        }
        let schema = schema::value::<RawPipeline>();
        let document = DeTable::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let (_, spans, found) = walk::walk(document.get_ref(), &schema, Path::new("pipeline.toml"));
        assert_eq!(found, Diagnostics::default(), "{text}");
        for (section, inner) in schema["properties"].as_object().unwrap() {
            for key in inner["properties"].as_object().unwrap().keys() {
                assert!(spans.has(&[section, key]), "{section}.{key} is not in the starter");
            }
        }
    }

    #[test]
    fn the_tables_have_one_entity_a_line() {
        for name in ["subjects.csv", "candidates.csv"] {
            let (_, text) = FILES.iter().find(|(n, _)| *n == name).unwrap();
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            assert_eq!(reader.headers().unwrap(), vec!["iri", "label", "aliases", "types"]);
            let rows: Vec<_> = reader.records().collect::<Result<_, _>>().unwrap();
            assert!(rows.len() >= 5);
            assert!(rows.iter().all(|r| oxrdf::NamedNode::new(&r[0]).is_ok() && !r[1].is_empty()));
        }
    }
}
