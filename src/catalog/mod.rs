//! Subjects and candidate entities from CSV or RDF: IRI, label, aliases and types.
//!
//! Invariant: an entity's IRI is absolute and occurs once, its label is not empty and its types
//! are absolute IRIs. Entities are numbered in the order of the files; nothing that is read from
//! a catalog depends on anything else.

mod answer_space;
pub(crate) mod mistakes;
pub(crate) mod rdf;
mod read;
mod strings;
pub(crate) mod table;

use std::collections::HashMap;
use std::path::PathBuf;

use crate::diagnostic::{Diagnostics, Place};

pub use answer_space::{Objects, answer_space, contradictions, subjects_of};
pub use rdf::Described;
use strings::Strings;

/// The number of an entity in its [`Catalog`], in the order of the files, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId(pub u32);

impl EntityId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Entities with their labels, aliases and types, kept compactly: a million take little more
/// memory than their text.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    files: Vec<PathBuf>,
    iris: Strings,
    labels: Strings,
    /// As written in the table, `|` between them.
    aliases: Strings,
    /// For each entity the number of its set of types: few sets are shared by many.
    type_sets: Vec<u32>,
    /// Each set as ascending numbers of classes.
    sets: Vec<Vec<u32>>,
    classes: Vec<String>,
    /// The entities by their IRIs, in byte order.
    by_iri: Vec<u32>,
}

impl Catalog {
    /// Reads the tables together, as if they were one. Gives the warnings with the catalog.
    ///
    /// The first line names the columns, in any order: `iri` and `label`, and if wanted `aliases`
    /// and `types`, each with `|` between several. Rows that name an entity alike are merged,
    /// with a warning; it has the types of all. Files of RDF, known by their names, give what has a type
    /// and a label in `language` or in none.
    ///
    /// # Errors
    /// All mistakes of all files: missing columns, rows with too few or too many fields, bad
    /// IRIs, empty labels, text that is not UTF-8, and rows that give an IRI different names.
    pub fn read(files: &[PathBuf], language: &str) -> Result<(Self, Diagnostics), Diagnostics> {
        read::read(files, language)
    }

    /// Of entities that no file has; warnings come with it.
    ///
    /// # Errors
    /// Bad IRIs, empty labels, and entities that are there under several names.
    pub fn of(entities: &[Described]) -> Result<(Self, Diagnostics), Diagnostics> {
        read::described(entities)
    }

    /// How many entities there are.
    pub fn len(&self) -> usize {
        self.iris.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entities, in the order of the files.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = EntityId> + Clone + use<> {
        // `read` refuses more than u32::MAX entities.
        (0..self.type_sets.len()).map(|i| EntityId(i as u32))
    }

    /// The entity's IRI.
    ///
    /// # Panics
    /// Like the other methods that take an [`EntityId`], if it is not of this catalog.
    pub fn iri(&self, entity: EntityId) -> &str {
        self.iris.get(entity.index())
    }

    /// The entity's label.
    pub fn label(&self, entity: EntityId) -> &str {
        self.labels.get(entity.index())
    }

    /// The entity's other names, in the order of the table.
    pub fn aliases(&self, entity: EntityId) -> impl Iterator<Item = &str> {
        list(self.aliases.get(entity.index()))
    }

    /// Where the entity's row stands, for a message: the tables are read once more. Nothing if they
    /// have changed since.
    pub fn place(&self, entity: EntityId) -> Option<Place> {
        read::place(&self.files, self.iri(entity))
    }

    /// The classes that the table gives the entity; not those above them.
    pub fn types(&self, entity: EntityId) -> impl Iterator<Item = &str> + Clone {
        self.set(self.type_sets[entity.index()])
    }

    /// The entity with this IRI.
    pub fn find(&self, iri: &str) -> Option<EntityId> {
        let by_iri = |id: &u32| self.iris.get(*id as usize).cmp(iri);
        let at = self.by_iri.binary_search_by(by_iri).ok()?;
        Some(EntityId(self.by_iri[at]))
    }

    /// Adds entities of another catalog, which this one does not have, in their order. Gives the number of
    /// the first.
    pub fn add(&mut self, other: &Self, entities: &[EntityId]) -> EntityId {
        let first = self.len() as u32;
        // The same set of types is looked for once.
        let mut sets: HashMap<u32, u32> = HashMap::new();
        for &entity in entities {
            self.iris.push(other.iri(entity));
            self.labels.push(other.label(entity));
            self.aliases.push(other.aliases.get(entity.index()));
            let set = other.type_sets[entity.index()];
            let own = *sets.entry(set).or_insert_with(|| {
                let classes = other.set(set).map(|class| self.class(class)).collect();
                self.intern(classes)
            });
            self.type_sets.push(own);
        }
        self.by_iri.extend(first..first + entities.len() as u32);
        let iris = &self.iris;
        self.by_iri.sort_unstable_by(|a, b| iris.get(*a as usize).cmp(iris.get(*b as usize)));
        EntityId(first)
    }

    fn class(&mut self, iri: &str) -> u32 {
        let known = self.classes.iter().position(|class| class == iri);
        known.unwrap_or_else(|| {
            self.classes.push(iri.to_owned());
            self.classes.len() - 1
        }) as u32
    }

    fn intern(&mut self, mut classes: Vec<u32>) -> u32 {
        classes.sort_unstable();
        let known = self.sets.iter().position(|set| *set == classes);
        known.unwrap_or_else(|| {
            self.sets.push(classes);
            self.sets.len() - 1
        }) as u32
    }

    fn set(&self, number: u32) -> impl Iterator<Item = &str> + Clone {
        self.sets[number as usize].iter().map(|class| self.classes[*class as usize].as_str())
    }
}

/// The parts of a cell that holds several, `|` between them.
fn list(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('|').map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests;
