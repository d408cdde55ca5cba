//! Wikidata's JSON, an entity a line, as its dumps and `wikibase-dump-filter` write it.
//!
//! The file is read twice, line by line: first for the entities of the wanted types and their facts, then
//! for what these facts' objects are called and what they are. What is kept in memory grows with the
//! facts that are wanted, not with the dump.

mod entity;
mod lines;
mod value;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use entity::{Entity, Wanted};
use value::Object;

use super::Imported;
use super::destination::Destination;
use super::kind::Kind;
use super::ontology;
use super::tables::Tables;
use crate::diagnostic::{At, Diagnostic, Diagnostics, Place};

/// The namespace of entities.
const ENTITY: &str = "http://www.wikidata.org/entity/";
/// The namespace of properties whose objects stand right behind them.
const DIRECT: &str = "http://www.wikidata.org/prop/direct/";
/// "instance of"
const INSTANCE_OF: u64 = 31;

/// How many relations can be asked for: a bit each says of which an entity is an object.
pub const MOST_RELATIONS: usize = 64;

/// What is wanted of a dump.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The numbers of the classes whose instances are wanted, as 6256 for `Q6256`; at least one.
    pub types: Vec<u64>,
    /// The numbers of the properties whose facts are wanted, as 36 for `P36`; at least one, and
    /// [`MOST_RELATIONS`] at most.
    pub relations: Vec<u64>,
    /// The language of labels and aliases.
    pub language: String,
    /// Whether what a file has before it breaks off is taken.
    pub partial: bool,
}

/// What the first reading found of a relation.
#[derive(Default)]
struct Found {
    label: Option<String>,
    facts: u64,
    /// What its objects are, by the first of them.
    kind: Option<Kind>,
    /// The wanted types of its subjects, and how many have each.
    domain: BTreeMap<u64, u64>,
    /// The types of its objects that are entities, and how many have each.
    range: BTreeMap<u64, u64>,
    objects: u64,
}

/// Reads the wanted entities and facts of a dump, compressed or not, and writes tables, an ontology with a
/// first template for each relation, and a pipeline over both into `folder`, which is made where it is
/// missing.
///
/// # Errors
/// A file that cannot be read, that is no JSON by lines, or that breaks off; files of these names that are
/// there; a dump without anything that is wanted. Nothing is written then.
pub fn import(dump: &Path, wanted: &Selection, folder: &Path) -> Result<Imported, Diagnostics> {
    let destination = Destination::new(folder)?;
    if wanted.relations.len() > MOST_RELATIONS {
        let message = format!("at most {MOST_RELATIONS} relations are read at once");
        let mistake = Diagnostic::error("too-many-relations", message);
        return Err(mistake.help("import the others into another folder").into());
    }
    let mut tables = destination.tables()?;
    let mut reading = Reading {
        wanted,
        found: wanted.relations.iter().map(|_| Found::default()).collect(),
        objects: HashMap::new(),
        classes: BTreeMap::new(),
        imported: Imported { files: destination.files.to_vec(), ..Imported::default() },
    };
    let of_first = Wanted { language: &wanted.language, relations: &wanted.relations };
    lines::each(dump, wanted.partial, &of_first, &mut |entity| {
        reading.first(&entity, &mut tables)
    })?;
    if reading.found.iter().all(|relation| relation.facts == 0) {
        let message = "nothing in it is of these types and has these relations";
        let help = "types are what `instance of` (P31) names, as Q6256 for countries; subclasses are types of \
                    their own";
        let mistake = Diagnostic::error("nothing-found", message).help(help);
        return Err(mistake.at(dump, At::File).into());
    }
    let of_second = Wanted { language: &wanted.language, relations: &[] };
    lines::each(dump, wanted.partial, &of_second, &mut |entity| {
        reading.second(&entity, &mut tables)
    })?;
    let Reading { found, classes, objects, mut imported, .. } = reading;
    imported.missing = objects.len() as u64;
    let named = found.into_iter().zip(&wanted.relations);
    let mut relations = Vec::new();
    for (found, number) in named {
        let facts = found.facts;
        let found = found.described(*number);
        imported.relations.push((found.name.clone(), facts));
        relations.push(found);
    }
    let classes = classes.into_iter().map(|(class, label)| (item(class), label)).collect();
    let ontology = ontology::ontology("Wikidata", &relations, &classes);
    destination.commit(tables, &ontology, dump)?;
    Ok(imported)
}

struct Reading<'a> {
    wanted: &'a Selection,
    found: Vec<Found>,
    /// By entity, of which relations it is an object: a bit each, in their order.
    objects: HashMap<u64, u64>,
    /// The labels of classes.
    classes: BTreeMap<u64, String>,
    imported: Imported,
}

impl Reading<'_> {
    /// Takes an entity of the wanted types with its facts, and the label of a relation.
    fn first(&mut self, entity: &Entity, tables: &mut Tables) -> Result<(), Diagnostics> {
        if let Some(number) = entity.property() {
            let place = self.wanted.relations.iter().position(|wanted| *wanted == number);
            if let (Some(place), Some(label)) = (place, &entity.label) {
                self.found[place].label = Some(label.clone());
            }
            return Ok(());
        }
        let is_wanted = |class: &&u64| self.wanted.types.contains(class);
        let types: Vec<u64> = entity.types.iter().filter(is_wanted).copied().collect();
        if types.is_empty() {
            return Ok(());
        }
        if !self.described(entity, tables)? {
            return Ok(());
        }
        for (place, number) in self.wanted.relations.iter().enumerate() {
            let found = &mut self.found[place];
            let objects = entity.objects(*number);
            for kind in objects.iter().filter_map(Object::kind) {
                match &mut found.kind {
                    None => found.kind = Some(kind),
                    Some(known) => known.join(kind),
                }
            }
            let mut any = false;
            for object in objects.iter().filter(|object| object.fits(found.kind.as_ref())) {
                let (subject, relation) =
                    (format!("{ENTITY}{}", entity.id), format!("{DIRECT}P{number}"));
                tables.fact([&subject, &relation, &object.written()])?;
                found.facts += 1;
                any = true;
                if let Object::Entity(id) = object {
                    *self.objects.entry(*id).or_default() |= 1 << place;
                }
            }
            if any {
                types.iter().for_each(|class| *found.domain.entry(*class).or_default() += 1);
            }
        }
        Ok(())
    }

    /// Takes what the facts' objects are and are called, and the labels of the classes.
    fn second(&mut self, entity: &Entity, tables: &mut Tables) -> Result<(), Diagnostics> {
        let Some(number) = entity.item() else { return Ok(()) };
        if self.wanted.types.contains(&number)
            && let Some(label) = &entity.label
        {
            self.classes.insert(number, label.clone());
        }
        // What is left in the end is not in the dump.
        let Some(relations) = self.objects.remove(&number) else { return Ok(()) };
        let places = (0..self.found.len()).filter(|place| relations & (1 << place) != 0);
        for place in places {
            let found = &mut self.found[place];
            found.objects += 1;
            entity.types.iter().for_each(|class| *found.range.entry(*class).or_default() += 1);
        }
        if !entity.types.iter().any(|class| self.wanted.types.contains(class)) {
            self.described(entity, tables)?;
        }
        Ok(())
    }

    /// Writes an entity into the table, if it has a label.
    fn described(&mut self, entity: &Entity, tables: &mut Tables) -> Result<bool, Diagnostics> {
        let Some(label) = &entity.label else {
            self.imported.leave_out(&entity.id);
            return Ok(false);
        };
        self.imported.entities += 1;
        let types: Vec<String> = entity.types.iter().map(|class| item(*class)).collect();
        tables.entity([&format!("{ENTITY}{}", entity.id), label], &entity.aliases, &types)?;
        Ok(true)
    }
}

impl Found {
    /// As the ontology is to describe it.
    fn described(self, number: u64) -> ontology::Found {
        let by_iri = |classes: BTreeMap<u64, u64>| {
            classes.into_iter().map(|(class, count)| (item(class), count)).collect()
        };
        ontology::Found {
            iri: format!("{DIRECT}P{number}"),
            name: self.label.unwrap_or_else(|| format!("P{number}")),
            kind: self.kind,
            subjects: self.domain.values().sum(),
            domain: by_iri(self.domain),
            range: by_iri(self.range),
            objects: self.objects,
        }
    }
}

/// The IRI of an item.
fn item(number: u64) -> String {
    format!("{ENTITY}Q{number}")
}

/// The numbers of ids such as `Q6256`, which begin with `letter`, each once.
///
/// # Errors
/// The first that is none.
pub fn numbers(ids: &[String], letter: char) -> Result<Vec<u64>, Diagnostics> {
    let mut numbers = Vec::new();
    for id in ids {
        let number = id.trim().strip_prefix(letter).and_then(|digits| digits.parse().ok());
        let Some(number) = number else {
            let message = format!("{id:?} is no id of Wikidata that begins with {letter}");
            let help = format!("write {letter} and a number, and commas between several");
            return Err(Diagnostic::error("bad-id", message).help(help).into());
        };
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

fn place(dump: &Path, line: u64) -> Place {
    Place { file: dump.to_owned(), at: At::Line(line) }
}

#[cfg(test)]
mod tests;
