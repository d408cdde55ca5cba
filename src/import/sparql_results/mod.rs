//! What a SPARQL query service answers, as CSV, TSV or JSON: an answer a row, with the variables that
//! [`VARIABLES`] names.
//!
//! The file is read once, row by row. What is kept in memory grows with the entities and facts, not with the
//! rows, of which several may tell the same fact under several aliases and types.

mod literal;
mod reading;
mod rows;
mod shallow;

use std::path::Path;

use oxrdf::NamedNode;

use super::Imported;
use super::destination::Destination;
use crate::diagnostic::{At, Diagnostic, Diagnostics};
use reading::Reading;

pub use rows::VARIABLES;

/// What is wanted of the results.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The IRI of the relation of all rows, where no variable says which it is.
    pub relation: Option<String>,
    /// The language of labels and aliases that have one.
    pub language: String,
}

/// Reads the entities and facts of a query's results and writes tables, an ontology with a first template
/// for each relation, and a pipeline over both into `folder`. Warnings come with what was written.
///
/// An entity whose type the results do not tell is given one by its place: it is a subject or an object of
/// its relation.
///
/// # Errors
/// A file that cannot be read, that is no such results, or that breaks off; variables that are missing; rows
/// that are no facts; files of these names that are there. Nothing is written then.
pub fn import(
    file: &Path,
    wanted: &Selection,
    folder: &Path,
) -> Result<(Imported, Diagnostics), Diagnostics> {
    if let Some(relation) = &wanted.relation
        && let Err(error) = NamedNode::new(relation)
    {
        let message = format!("the relation {relation:?} is no absolute IRI: {error}");
        let help = "write the whole IRI, as in http://www.wikidata.org/prop/direct/P36";
        return Err(Diagnostic::error("bad-iri", message).help(help).into());
    }
    let destination = Destination::new(folder)?;
    let mut reading = Reading::new(wanted);
    let notes = rows::each(file, &mut |row| reading.row(row))?;
    if !reading.has_facts() {
        let message = "no row tells a fact: ?object is nowhere bound to what can be asked for";
        let mistake = Diagnostic::error("nothing-found", message);
        return Err(mistake
            .help("look at the query's results where they were made")
            .at(file, At::File)
            .into());
    }
    if !reading.has_named_objects() {
        let message = "no object of a fact has a label";
        let help = "bind ?objectLabel in the query, as in: ?object rdfs:label ?objectLabel . FILTER(LANG(?objectLabel) \
                    = \"en\")";
        let mistake = Diagnostic::error("no-object-label", message).help(help);
        return Err(mistake.at(file, At::File).into());
    }
    let mut tables = destination.tables()?;
    let (mut imported, ontology) = reading.write(&mut tables)?;
    destination.commit(tables, &ontology, file)?;
    imported.files = destination.files.to_vec();
    Ok((imported, notes))
}

#[cfg(test)]
mod tests;
