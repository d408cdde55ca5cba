//! A store's default graph as a file: Turtle and TriG for people, lines and JSON-LD and RDF/XML for
//! programs, tables for what knows no RDF.
//!
//! Invariants: read back, a file with RDF 1.2 annotations is the same graph; the same graph gives the
//! same bytes. The ledger, being in a named graph, is never exported.

mod format;
mod include;
mod json_ld;
mod shapes;
mod statements;
mod tables;
mod turtle;

use std::fs;
use std::io::Write;
use std::path::Path;

use oxigraph::io::{RdfFormat, RdfSerializer};
use oxigraph::model::Quad;
use oxigraph::store::Store;

pub use format::{Annotations, ExportFormat};
pub use include::Part;

use super::error::Error;
use super::prefixes::Prefixes;
use super::view::View;
use crate::files::{Sorter, WriteError};
use tables::Columns;

/// What [`export`] writes, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportOptions {
    /// The file's format.
    pub format: ExportFormat,
    /// How what is said about a triple is written; none for what the format usually has.
    pub annotations: Option<Annotations>,
    /// What it holds beside facts and types; none for what it usually holds: labels and, where there are
    /// annotations, provenance.
    pub include: Option<Vec<Part>>,
    /// SHACL shapes of the relations instead of the graph.
    pub shapes: bool,
    /// Triples whose highest confidence is below this are left out, with their annotations and the
    /// labels and types of what then no longer occurs.
    pub min_confidence: Option<f64>,
    /// Prefixes beside the common ones, each with its namespace, an absolute IRI.
    pub prefixes: Vec<(String, String)>,
}

impl ExportOptions {
    /// All of it in a format, with the annotations that this usually has.
    pub fn of(format: ExportFormat) -> Self {
        Self {
            format,
            annotations: None,
            include: None,
            shapes: false,
            min_confidence: None,
            prefixes: Vec::new(),
        }
    }
}

/// Writes the default graph of `store` as one file.
///
/// # Errors
/// [`Error::Format`] where the format cannot carry the annotations or has several files, [`Error::Read`]
/// where the store cannot be read, [`Error::Output`] where `out` cannot be written.
pub fn export(store: &Store, options: &ExportOptions, out: &mut impl Write) -> Result<(), Error> {
    let format = options.format;
    let shapes;
    let (view, annotations) = if options.shapes {
        shapes = shapes::shapes(store, format)?;
        seen(&shapes, &ExportOptions::of(format))?
    } else {
        seen(store, options)?
    };
    let mut prefixes = Prefixes::common();
    options.prefixes.iter().for_each(|(name, namespace)| prefixes.declare(name, namespace));
    let columns = Columns::of(view.included());
    match format {
        ExportFormat::Turtle | ExportFormat::TriG if options.shapes => {
            turtle::write_nested(&view, &prefixes, out)?;
        }
        ExportFormat::Turtle | ExportFormat::TriG => {
            turtle::write(&view, annotations, &prefixes, out)?;
        }
        // A quad of the default graph is written in N-Quads as its triple is in N-Triples.
        ExportFormat::NQuads | ExportFormat::NTriples => lines(&view, annotations, out)?,
        ExportFormat::JsonLd => json_ld::write(&view, annotations, &prefixes, out)?,
        ExportFormat::RdfXml => rdf_xml(&view, annotations, &prefixes, out)?,
        ExportFormat::Jsonl => tables::jsonl(&view, columns, out)?,
        ExportFormat::GraphMl => tables::graphml(&view, columns, out)?,
        ExportFormat::Csv | ExportFormat::Neo4j | ExportFormat::Parquet => {
            let problem = "a table of nodes and one of edges are two files".to_owned();
            let instead = "name a new folder for them with `-o FOLDER`".to_owned();
            return Err(Error::Format { problem, instead });
        }
    }
    out.flush()?;
    Ok(())
}

/// Writes the default graph of `store` as the [files](ExportFormat::files) of its format into a folder,
/// which is made where it is not there.
///
/// # Errors
/// Those of [`export`].
pub fn export_tables(store: &Store, options: &ExportOptions, folder: &Path) -> Result<(), Error> {
    if options.shapes {
        return Err(shapes::no_table(options.format));
    }
    let (view, _) = seen(store, options)?;
    fs::create_dir_all(folder).map_err(|error| Error::Table(WriteError::of(folder)(error)))?;
    let columns = Columns::of(view.included());
    match options.format {
        ExportFormat::Parquet => tables::parquet(&view, columns, folder),
        ExportFormat::Neo4j => tables::csv(&view, columns, &tables::NEO4J, folder),
        _ => tables::csv(&view, columns, &tables::PLAIN, folder),
    }
}

/// What of the store is written, and with which annotations.
fn seen<'a>(store: &'a Store, options: &ExportOptions) -> Result<(View<'a>, Annotations), Error> {
    let annotations = options.format.annotations(options.annotations)?;
    let included = include::included(options.include.as_deref(), options.format, annotations)?;
    let view = View::new(store, options.min_confidence, included).map_err(Error::Read)?;
    Ok((view, annotations))
}

/// Writes a line a quad, sorted: those of the default graph, then those of named graphs, which begin with what
/// they say and not with the annotation that they are read from.
fn lines(view: &View<'_>, annotations: Annotations, out: &mut impl Write) -> Result<(), Error> {
    let (mut lines, mut named) = (Sorter::default(), Sorter::default());
    if annotations == Annotations::Rdf12 && !view.has_statements() {
        // As the store has it. To look up subject after subject takes several times as long.
        view.each(&mut |triple| {
            lines.push(format!("{triple} .\n").as_bytes()).map_err(Error::Sorting)
        })?;
    } else {
        for subject in view.subjects(false, |_, _| {})?.each()? {
            let quads = statements::quads(view, &subject?, annotations).map_err(Error::Read)?;
            for quad in quads {
                let own = if quad.graph_name.is_default_graph() { &mut lines } else { &mut named };
                own.push(format!("{quad} .\n").as_bytes()).map_err(Error::Sorting)?;
            }
        }
    }
    for lines in [lines, named] {
        for line in lines.sorted().each().map_err(Error::Sorting)? {
            out.write_all(&line.map_err(Error::Sorting)?)?;
        }
    }
    Ok(())
}

fn rdf_xml(
    view: &View<'_>,
    annotations: Annotations,
    prefixes: &Prefixes,
    out: &mut impl Write,
) -> Result<(), Error> {
    let mut serializer = RdfSerializer::from_format(RdfFormat::RdfXml);
    for (name, namespace) in prefixes.iter() {
        serializer = serializer.with_prefix(name, namespace).map_err(|error| Error::Format {
            problem: format!("the prefix {name} is not for an IRI: {error}"),
            instead: "write it as `--prefix name=http://example.org/`".to_owned(),
        })?;
    }
    let mut writer = serializer.for_writer(out);
    for subject in view.subjects(false, |_, _| {})?.each()? {
        let mut quads: Vec<Quad> =
            statements::quads(view, &subject?, annotations).map_err(Error::Read)?;
        quads.sort_by_cached_key(Quad::to_string);
        for quad in &quads {
            writer.serialize_quad(quad)?;
        }
    }
    writer.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests;
