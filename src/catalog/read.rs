//! From CSV rows to a [`Catalog`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use oxrdf::NamedNode;

use super::mistakes::{Mistakes, SHOWN, lines_at};
use super::rdf::{self, Described};
use super::table::{self, Columns, Row, check_iri};
use super::{Catalog, list};
use crate::diagnostic::{At, Diagnostic, Diagnostics, Place, Severity};

const COLUMNS: Columns = Columns { required: &["iri", "label"], optional: &["aliases", "types"] };

pub(super) fn read(
    files: &[PathBuf],
    language: &str,
) -> Result<(Catalog, Diagnostics), Diagnostics> {
    let mut builder = Builder::default();
    let mut diagnostics = Diagnostics::default();
    for file in files {
        builder.first_rows.push(builder.offsets.len());
        let mut mistakes = Mistakes::new(file);
        let (rows, empty) = match rdf::format_of(file) {
            Some(format) => {
                let entities = rdf::entities(file, format, language, &mut mistakes);
                entities.iter().for_each(|entity| builder.described(entity, &mut mistakes));
                (entities.len() as u64, no_entity(language))
            }
            None => {
                let row = |row: &Row<'_>, m: &mut Mistakes| builder.row(row, m);
                (table::read(file, &COLUMNS, &mut mistakes, row), no_row())
            }
        };
        let mut found = mistakes.finish();
        if rows == 0 && !found.has_errors() {
            found.push(empty.at(file, At::File));
        }
        diagnostics.0.append(&mut found.0);
    }
    builder.finish(files, diagnostics)
}

/// See [`Catalog::of`].
pub(super) fn described(entities: &[Described]) -> Result<(Catalog, Diagnostics), Diagnostics> {
    let rows = [PathBuf::from("rows")];
    let (mut builder, mut mistakes) = (Builder::default(), Mistakes::new(&rows[0]));
    builder.first_rows.push(0);
    for entity in entities {
        let iris = [&entity.iri].into_iter().chain(&entity.types);
        let wrong = iris.filter_map(|iri| Some((iri, NamedNode::new(iri.as_str()).err()?))).next();
        if let Some((iri, error)) = wrong {
            let message = format!("\"{iri}\" of \"{}\" is no absolute IRI: {error}", entity.label);
            mistakes.about_file(Diagnostic::error("bad-iri", message));
        } else if entity.label.trim().is_empty() {
            let message = format!("<{}> has no label, and a model is asked by that", entity.iri);
            mistakes.about_file(Diagnostic::error("empty-label", message));
        } else {
            // As a table's cells are.
            let label = entity.label.trim().to_owned();
            builder.described(&Described { label, ..entity.clone() }, &mut mistakes);
        }
    }
    let (mut catalog, warnings) = builder.finish(&rows, mistakes.finish())?;
    catalog.files.clear();
    Ok((catalog, warnings))
}

fn no_row() -> Diagnostic {
    let help = "below the header, write a row for each entity";
    Diagnostic::error("empty-table", "the table has no rows").help(help)
}

fn no_entity(language: &str) -> Diagnostic {
    let message = format!("nothing in it has both a type and a label in `{language}`");
    let help = "entities need an rdf:type of your own and an rdfs:label or skos:prefLabel; `language` \
                under [inputs] says in which language";
    Diagnostic::error("no-entity", message).help(help)
}

/// Where an entity of an RDF file stands: its lines are not known.
const NO_ROW: u64 = u64::MAX;

/// The first row with this IRI.
pub(super) fn place(files: &[PathBuf], iri: &str) -> Option<Place> {
    let tables = files.iter().filter(|file| rdf::format_of(file).is_none());
    tables.into_iter().find_map(|file| {
        let mut first = None;
        table::read(file, &COLUMNS, &mut Mistakes::new(file), |row, _| {
            if first.is_none() && row.get(0) == iri {
                first = Some(row.offset);
            }
        });
        let line = *lines_at(file, &[first?]).ok()?.first()?;
        Some(Place { file: file.clone(), at: At::Line(line) })
    })
}

#[derive(Default)]
struct Builder {
    catalog: Catalog,
    /// Where each entity's row starts in its file.
    offsets: Vec<u64>,
    /// The number of each file's first entity.
    first_rows: Vec<usize>,
    /// The set of types of each cell seen.
    cells: HashMap<String, u32>,
    sets: HashMap<Vec<u32>, u32>,
    classes: HashMap<String, u32>,
}

impl Builder {
    fn row(&mut self, row: &Row<'_>, mistakes: &mut Mistakes) {
        let (iri, label, aliases, types) = (row.get(0), row.get(1), row.get(2), row.get(3));
        let mut sound = check_iri(iri, "iri", row.offset, mistakes);
        if label.is_empty() {
            sound = false;
            let diagnostic = Diagnostic::error("empty-label", "the column label is empty")
                .help("a model is asked by its label: give the entity one");
            mistakes.at_row(row.offset, diagnostic);
        }
        let Some(set) = self.type_set(types, row.offset, mistakes) else { return };
        if sound {
            self.add([iri, label, aliases], set, row.offset, mistakes);
        }
    }

    /// Takes an entity of an RDF file, which is sound.
    fn described(&mut self, entity: &Described, mistakes: &mut Mistakes) {
        let set = entity.types.iter().map(|class| self.class(class)).collect();
        let set = self.intern(set);
        self.add([&entity.iri, &entity.label, &entity.aliases.join("|")], set, NO_ROW, mistakes);
    }

    fn add(
        &mut self,
        [iri, label, aliases]: [&str; 3],
        set: u32,
        offset: u64,
        mistakes: &mut Mistakes,
    ) {
        if self.offsets.len() == u32::MAX as usize {
            mistakes.about_file(Diagnostic::error("too-many-rows", "more than 4,294,967,295 rows"));
            return;
        }
        self.catalog.iris.push(iri);
        self.catalog.labels.push(label);
        self.catalog.aliases.push(aliases);
        self.catalog.type_sets.push(set);
        self.offsets.push(offset);
    }

    /// The number of the cell's set of types; nothing if one of them is no IRI.
    fn type_set(&mut self, cell: &str, offset: u64, mistakes: &mut Mistakes) -> Option<u32> {
        if let Some(set) = self.cells.get(cell) {
            return Some(*set);
        }
        let bad = list(cell).filter(|class| !check_iri(class, "types", offset, mistakes)).count();
        if bad > 0 {
            return None;
        }
        let set = list(cell).map(|class| self.class(class)).collect();
        let number = self.intern(set);
        self.cells.insert(cell.to_owned(), number);
        Some(number)
    }

    /// The number of a set of types, in any order.
    fn intern(&mut self, mut set: Vec<u32>) -> u32 {
        set.sort_unstable();
        set.dedup();
        let next = self.catalog.sets.len() as u32;
        *self.sets.entry(set).or_insert_with_key(|set| {
            self.catalog.sets.push(set.clone());
            next
        })
    }

    fn class(&mut self, iri: &str) -> u32 {
        if let Some(number) = self.classes.get(iri) {
            return *number;
        }
        let number = self.catalog.classes.len() as u32;
        self.catalog.classes.push(iri.to_owned());
        self.classes.insert(iri.to_owned(), number);
        number
    }

    fn finish(
        mut self,
        files: &[PathBuf],
        mut diagnostics: Diagnostics,
    ) -> Result<(Catalog, Diagnostics), Diagnostics> {
        self.catalog.files = files.to_vec();
        let catalog = &self.catalog;
        let mut by_iri: Vec<u32> = catalog.ids().map(|id| id.0).collect();
        by_iri.sort_unstable_by(|a, b| {
            catalog.iris.get(*a as usize).cmp(catalog.iris.get(*b as usize)).then(a.cmp(b))
        });
        let repeats = self.repeats(&by_iri);
        if !repeats.is_empty() {
            self.report(&repeats, files, &mut diagnostics);
            repeats.iter().for_each(|(first, later)| self.unite_types(*first, *later));
            self.drop_rows(repeats.iter().map(|(_, later)| *later).collect(), &mut by_iri);
        }
        let Self { mut catalog, .. } = self;
        catalog.by_iri = by_iri;
        for strings in [&mut catalog.iris, &mut catalog.labels, &mut catalog.aliases] {
            strings.shrink_to_fit();
        }
        catalog.type_sets.shrink_to_fit();
        diagnostics.or(catalog)
    }

    /// Rows whose IRI an earlier row has, each with the first such row, in the order of the files.
    fn repeats(&self, by_iri: &[u32]) -> Vec<(u32, u32)> {
        let iri = |id: u32| self.catalog.iris.get(id as usize);
        let same = by_iri.chunk_by(|a, b| iri(*a) == iri(*b));
        let mut repeats: Vec<_> =
            same.flat_map(|same| same[1..].iter().map(|later| (same[0], *later))).collect();
        repeats.sort_unstable_by_key(|(_, later)| *later);
        repeats
    }

    /// Gives the first of two entities the types of both.
    fn unite_types(&mut self, first: u32, later: u32) {
        let [one, other] = [first, later].map(|id| self.catalog.type_sets[id as usize]);
        if one != other {
            let mut set = self.catalog.sets[one as usize].clone();
            set.extend(&self.catalog.sets[other as usize]);
            self.catalog.type_sets[first as usize] = self.intern(set);
        }
    }

    /// Errors for rows that contradict an earlier one, a warning for those that repeat it.
    fn report(&self, repeats: &[(u32, u32)], files: &[PathBuf], diagnostics: &mut Diagnostics) {
        let (same, differing): (Vec<_>, Vec<_>) =
            repeats.iter().partition(|(first, later)| self.agree(*first, *later));
        let kinds = [
            (Severity::Error, "repeated-iri", "under other names", differing),
            (Severity::Warning, "repeated-row", "and is merged with it", same),
        ];
        for (severity, code, how, repeats) in kinds {
            let shown = &repeats[..repeats.len().min(SHOWN)];
            let lines = self.lines(shown, files);
            for (first, later) in shown {
                let iri = self.catalog.iris.get(*later as usize);
                let mut message = format!("<{iri}> stands in an earlier row {how}");
                if let Some(line) = lines.get(first) {
                    let file = files[self.file_of(*first)].display();
                    message = format!("<{iri}> already stands in {file}:{line} {how}");
                }
                let diagnostic = Diagnostic { severity, ..Diagnostic::error(code, message) };
                let diagnostic = match severity {
                    Severity::Error => {
                        diagnostic.help("keep one row, or give both the same label and aliases")
                    }
                    Severity::Warning => diagnostic,
                };
                let at = lines.get(later).map_or(At::File, |line| At::Line(*line));
                diagnostics.push(diagnostic.at(&files[self.file_of(*later)], at));
            }
            if let Some(more) = repeats.len().checked_sub(SHOWN).filter(|more| *more > 0) {
                let message = format!("and {more} more of this kind");
                diagnostics.push(Diagnostic { severity, ..Diagnostic::error(code, message) });
            }
        }
    }

    /// Whether two rows name their entity alike. Their types may differ: an entity is of all of them.
    fn agree(&self, one: u32, other: u32) -> bool {
        let names = |id: u32| {
            let (catalog, id) = (&self.catalog, id as usize);
            (catalog.labels.get(id), catalog.aliases.get(id))
        };
        names(one) == names(other)
    }

    /// The lines of the rows that are mentioned.
    fn lines(&self, repeats: &[&(u32, u32)], files: &[PathBuf]) -> HashMap<u32, u64> {
        let mut rows: Vec<u32> = repeats.iter().flat_map(|(a, b)| [*a, *b]).collect();
        rows.retain(|row| self.offsets[*row as usize] != NO_ROW);
        rows.sort_unstable();
        rows.dedup();
        let mut lines = HashMap::new();
        for rows in rows.chunk_by(|a, b| self.file_of(*a) == self.file_of(*b)) {
            let file: &Path = &files[self.file_of(rows[0])];
            let offsets: Vec<u64> = rows.iter().map(|row| self.offsets[*row as usize]).collect();
            // Without lines the message still names the file.
            let found = lines_at(file, &offsets).unwrap_or_default();
            lines.extend(rows.iter().copied().zip(found));
        }
        lines
    }

    fn file_of(&self, row: u32) -> usize {
        self.first_rows.partition_point(|first| *first <= row as usize) - 1
    }

    /// Takes out rows, given in ascending order, and numbers the others anew.
    fn drop_rows(&mut self, dropped: Vec<u32>, by_iri: &mut Vec<u32>) {
        let keep = |row: usize| dropped.binary_search(&(row as u32)).is_err();
        let catalog = &mut self.catalog;
        for strings in [&mut catalog.iris, &mut catalog.labels, &mut catalog.aliases] {
            *strings = strings.filtered(keep);
        }
        let mut row = 0;
        catalog.type_sets.retain(|_| {
            row += 1;
            keep(row - 1)
        });
        by_iri.retain(|row| keep(*row as usize));
        for row in by_iri {
            *row -= dropped.partition_point(|d| d < row) as u32;
        }
    }
}
