//! The folder that an import writes to: what goes there, and that nothing is there yet.

use std::path::{Path, PathBuf};

use super::ontology;
use super::tables::{Tables, write};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::files::is_taken;

/// The files of an import, of which none is there yet.
pub(super) struct Destination {
    /// pipeline.toml, ontology.ttl, entities.csv and facts.csv.
    pub files: [PathBuf; 4],
}

impl Destination {
    /// In a folder that is there.
    ///
    /// # Errors
    /// Where one of the files is there already.
    pub(super) fn new(folder: &Path) -> Result<Self, Diagnostics> {
        let names = ["pipeline.toml", "ontology.ttl", "entities.csv", "facts.csv"];
        let files = names.map(|name| folder.join(name));
        if let Some(taken) = files.iter().find(|file| is_taken(file)) {
            let message = format!("nothing was written: {} would be overwritten", taken.display());
            let mistake = Diagnostic::error("exists", message).help("name another folder");
            return Err(mistake.into());
        }
        Ok(Self { files })
    }

    /// Begins the tables.
    ///
    /// # Errors
    /// Where the folder takes no file.
    pub(super) fn tables(&self) -> Result<Tables, Diagnostics> {
        let [_, _, entities, facts] = &self.files;
        Tables::create(entities, facts)
    }

    /// Puts the tables in their places, then an ontology and a pipeline over what was imported from
    /// `source`.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(super) fn commit(
        &self,
        tables: Tables,
        ontology: &str,
        source: &Path,
    ) -> Result<(), Diagnostics> {
        let [pipeline, ontology_file, _, _] = &self.files;
        tables.commit()?;
        write(ontology_file, ontology)?;
        write(pipeline, &ontology::pipeline(source))
    }
}
