//! The tables that an import writes: entities and facts.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::files::{WholeFile, WriteError, write_whole};

/// A table that is being written.
struct Table {
    file: PathBuf,
    rows: csv::Writer<WholeFile>,
}

impl Table {
    fn create(file: &Path, header: &[&str]) -> Result<Self, Diagnostics> {
        let rows = csv::Writer::from_writer(WholeFile::create(file).map_err(refused)?);
        let mut table = Self { file: file.to_owned(), rows };
        table.add(header)?;
        Ok(table)
    }

    fn add(&mut self, row: &[&str]) -> Result<(), Diagnostics> {
        self.rows.write_record(row).map_err(|error| self.failed(error.into()))
    }

    fn failed(&self, error: std::io::Error) -> Diagnostics {
        refused(WriteError::of(&self.file)(error))
    }

    fn commit(self) -> Result<(), Diagnostics> {
        let file = self.file.clone();
        let failed = |error: std::io::Error| refused(WriteError::of(&file)(error));
        let whole = self.rows.into_inner().map_err(|error| failed(error.into_error()))?;
        whole.commit().map_err(refused)
    }
}

/// Both tables.
pub(super) struct Tables {
    entities: Table,
    facts: Table,
}

impl Tables {
    /// Begins both.
    pub(super) fn create(entities: &Path, facts: &Path) -> Result<Self, Diagnostics> {
        Ok(Self {
            entities: Table::create(entities, &["iri", "label", "aliases", "types"])?,
            facts: Table::create(facts, &["subject", "relation", "object"])?,
        })
    }

    /// Adds an entity: its IRI, label, aliases and types.
    pub(super) fn entity(
        &mut self,
        [iri, label]: [&str; 2],
        aliases: &[String],
        types: &[String],
    ) -> Result<(), Diagnostics> {
        let aliases: Vec<String> = aliases.iter().map(|alias| one_line(alias)).collect();
        self.entities.add(&[iri, label, &aliases.join("|"), &types.join("|")])
    }

    /// Adds a fact: subject, relation and object.
    pub(super) fn fact(&mut self, fact: [&str; 3]) -> Result<(), Diagnostics> {
        self.facts.add(&fact)
    }

    /// Puts both in their places.
    pub(super) fn commit(self) -> Result<(), Diagnostics> {
        self.entities.commit()?;
        self.facts.commit()
    }
}

/// A text on one line, without what would part a list.
pub(super) fn one_line(text: &str) -> String {
    text.replace('|', "/").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Writes a file whole or not at all.
pub(super) fn write(file: &Path, text: &str) -> Result<(), Diagnostics> {
    write_whole(file, text.as_bytes()).map_err(refused)
}

fn refused(error: WriteError) -> Diagnostics {
    Diagnostic::of("cannot-write", &error).into()
}
