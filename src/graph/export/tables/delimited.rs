//! `nodes.csv` and `edges.csv`, for people and pandas, or with the headers of Neo4j's import.

use std::path::Path;

use super::{Columns, Edge, NUMBERS, Node, Nodes, Relations, described, edges, name};
use crate::files::{WholeFile, WriteError};
use crate::graph::Error;
use crate::graph::view::View;

/// The first rows of both tables, and what stands between the parts of a list.
pub(in crate::graph::export) struct Headers {
    /// IRI, label, aliases, types.
    nodes: [&'static str; 4],
    /// Subject, object, the relation's label, the relation.
    edges: [&'static str; 4],
    /// What follows the name of a number's column.
    number: &'static str,
    between: &'static str,
    /// Whether an edge is not an edge without its relation's label.
    needs_relation_label: bool,
}

/// For people, pandas and kgbuild's own tables of entities.
pub(in crate::graph::export) const PLAIN: Headers = Headers {
    nodes: ["iri", "label", "aliases", "types"],
    edges: ["subject", "object", "relation_label", "relation"],
    number: "",
    between: "|",
    needs_relation_label: false,
};

/// For `neo4j-admin database import`.
pub(in crate::graph::export) const NEO4J: Headers = Headers {
    nodes: ["iri:ID", "label", "aliases:string[]", ":LABEL"],
    edges: [":START_ID", ":END_ID", ":TYPE", "iri"],
    number: ":double",
    between: ";",
    needs_relation_label: true,
};

/// Writes `nodes.csv` and `edges.csv` into a folder, each whole or not at all. An alias with what stands
/// between aliases in it would be read as two, and is left out.
pub(in crate::graph::export) fn csv(
    view: &View<'_>,
    columns: Columns,
    headers: &Headers,
    folder: &Path,
) -> Result<(), Error> {
    let create = |name: &str| WholeFile::create(&folder.join(name)).map_err(Error::Table);
    let (mut nodes, mut edges) = (create("nodes.csv")?, create("edges.csv")?);
    let broken = |file: &'static str| {
        let file = folder.join(file);
        move |error: ::csv::Error| Error::Table(WriteError::of(&file)(error.into()))
    };
    let named = write_edges(view, columns, headers, &mut edges, &broken("edges.csv"))?;
    write_nodes(view, columns, headers, named, &mut nodes, &broken("nodes.csv"))?;
    edges.commit().map_err(Error::Table)?;
    nodes.commit().map_err(Error::Table)
}

fn write_edges(
    view: &View<'_>,
    columns: Columns,
    headers: &Headers,
    file: &mut WholeFile,
    failed: &dyn Fn(::csv::Error) -> Error,
) -> Result<Nodes, Error> {
    let mut table = ::csv::Writer::from_writer(file);
    let has_label = columns.labels || headers.needs_relation_label;
    // The columns but the relation's label where that is left out.
    let kept = |parts: [&str; 4]| {
        let parts = parts.into_iter().enumerate().filter(|(at, _)| *at != 2 || has_label);
        parts.map(|(_, part)| part.to_owned()).collect::<Vec<String>>()
    };
    let mut first = kept(headers.edges);
    first.extend(NUMBERS.map(|(name, _)| format!("{name}{}", headers.number)));
    table.write_record(&first).map_err(failed)?;
    let (mut relations, mut named) = (Relations::default(), Nodes::default());
    edges(view, &mut |Edge { subject, relation, object, numbers }| {
        let label = relations.label(view, &relation)?;
        let mut row = kept([subject.as_str(), &name(&object), label, relation.as_str()]);
        row.extend(numbers.map(Option::unwrap_or_default));
        table.write_record(&row).map_err(failed)?;
        named.add(&subject, &object)
    })?;
    table.flush().map_err(|error| failed(error.into()))?;
    Ok(named)
}

fn write_nodes(
    view: &View<'_>,
    columns: Columns,
    headers: &Headers,
    named: Nodes,
    file: &mut WholeFile,
    failed: &dyn Fn(::csv::Error) -> Error,
) -> Result<(), Error> {
    let mut table = ::csv::Writer::from_writer(file);
    let is_there = [true, columns.labels, columns.aliases, true];
    let kept = |parts: [&str; 4]| {
        let parts = parts.into_iter().zip(is_there).filter(|(_, is_there)| *is_there);
        parts.map(|(part, _)| part.to_owned()).collect::<Vec<String>>()
    };
    table.write_record(kept(headers.nodes)).map_err(failed)?;
    named.each(|name, own| {
        let Node { label, mut aliases, types } = described(view, own)?;
        aliases.retain(|alias| !alias.contains(headers.between));
        let lists = [aliases, types].map(|list| list.join(headers.between));
        table.write_record(kept([name, &label, &lists[0], &lists[1]])).map_err(failed)
    })?;
    table.flush().map_err(|error| failed(error.into()))
}
