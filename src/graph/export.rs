//! A store's default graph as a file: Turtle for people, N-Triples and N-Quads for tools.
//!
//! Invariants: read back, a file is the same graph; the same graph gives the same bytes. The
//! ledger, being in a named graph, is never exported.

use super::error::Error;
use super::prefixes::Prefixes;
use super::turtle::TermWriter;
use super::view::View;
use clap::ValueEnum;
use oxigraph::model::vocab::{rdf, rdfs};
use oxigraph::model::{NamedOrBlankNode, Triple};
use oxigraph::store::Store;
use std::io::Write;

/// A file format of [`export`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Turtle 1.2: prefixes, a block a subject, annotations in `{| |}` behind their triple.
    #[value(alias = "ttl", help = "Turtle 1.2 with prefixes and {| |} annotations")]
    Turtle,
    /// N-Quads, sorted by bytes; as all is in the default graph, the lines are N-Triples.
    #[value(aliases = ["nq", "nquads"], help = "Sorted N-Quads")]
    NQuads,
    /// N-Triples, sorted by bytes.
    #[value(aliases = ["nt", "ntriples"], help = "Sorted N-Triples")]
    NTriples,
}

/// Writes the default graph of `store`.
///
/// With `min_confidence`, triples whose highest confidence is below it are left out, with their
/// annotations and the labels and types of what then no longer occurs.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read, [`Error::Output`] where `out` cannot be
/// written.
pub fn export(
    store: &Store,
    format: ExportFormat,
    min_confidence: Option<f64>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let view = View::new(store, min_confidence).map_err(Error::Read)?;
    match format {
        ExportFormat::Turtle => turtle(&view, out)?,
        // A quad of the default graph is written in N-Quads as its triple is in N-Triples.
        ExportFormat::NQuads | ExportFormat::NTriples => lines(&view, out)?,
    }
    out.flush()?;
    Ok(())
}

fn lines(view: &View<'_>, out: &mut impl Write) -> Result<(), Error> {
    for subject in view.subjects(false, |_, _| {}).map_err(Error::Read)? {
        let triples = view.triples(subject.as_ref()).map_err(Error::Read)?;
        let mut lines: Vec<String> = triples.iter().map(|t| format!("{t} .\n")).collect();
        lines.sort_unstable();
        for line in lines {
            out.write_all(line.as_bytes())?;
        }
    }
    Ok(())
}

fn turtle(view: &View<'_>, out: &mut impl Write) -> Result<(), Error> {
    let prefixes = Prefixes::common();
    let mut terms = TermWriter::new(&prefixes);
    // Used prefixes stand at the beginning, so that they are looked for before all is written.
    let visit = |triple: &Triple, is_inline: bool| {
        if is_inline && triple.predicate == rdf::REIFIES {
            return;
        }
        terms.subject(triple.subject.as_ref());
        verb(triple, &mut terms);
        terms.term(triple.object.as_ref());
    };
    let subjects = view.subjects(true, visit).map_err(Error::Read)?;
    for (name, namespace) in terms.used() {
        writeln!(out, "@prefix {name}: <{namespace}> .")?;
    }
    for subject in &subjects {
        block(view, subject, &mut terms, out)?;
    }
    Ok(())
}

/// Writes all triples of a subject.
fn block(
    view: &View<'_>,
    subject: &NamedOrBlankNode,
    terms: &mut TermWriter<'_>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let triples = sorted(view.triples(subject.as_ref()).map_err(Error::Read)?);
    if triples.is_empty() {
        return Ok(());
    }
    let is_reifier = view.is_reifier(subject.as_ref()).map_err(Error::Read)?;
    write!(out, "\n{}", terms.subject(subject.as_ref()))?;
    let mut previous: Option<&Triple> = None;
    for triple in &triples {
        match previous {
            None => write!(out, " {} ", verb(triple, terms))?,
            Some(p) if p.predicate == triple.predicate => write!(out, " ,\n        ")?,
            Some(_) => write!(out, " ;\n    {} ", verb(triple, terms))?,
        }
        write!(out, "{}", terms.term(triple.object.as_ref()))?;
        if !is_reifier {
            for (reifier, triples) in view.annotations(triple).map_err(Error::Read)? {
                annotation(&reifier, triples, terms, out)?;
            }
        }
        previous = Some(triple);
    }
    writeln!(out, " .")?;
    Ok(())
}

/// Writes `~ reifier {| ... |}` with all that is said about the reifier.
fn annotation(
    reifier: &NamedOrBlankNode,
    triples: Vec<Triple>,
    terms: &mut TermWriter<'_>,
    out: &mut impl Write,
) -> Result<(), Error> {
    write!(out, "\n        ~ {}", terms.subject(reifier.as_ref()))?;
    if triples.is_empty() {
        return Ok(());
    }
    write!(out, " {{|")?;
    for (i, triple) in sorted(triples).iter().enumerate() {
        let separator = if i == 0 { "" } else { " ;" };
        let object = terms.term(triple.object.as_ref());
        write!(out, "{separator}\n            {} {object}", verb(triple, terms))?;
    }
    write!(out, " |}}")?;
    Ok(())
}

fn verb(triple: &Triple, terms: &mut TermWriter<'_>) -> String {
    if triple.predicate == rdf::TYPE {
        "a".to_owned()
    } else {
        terms.iri(triple.predicate.as_ref())
    }
}

/// Types first, then labels, then by predicate and object.
fn sorted(mut triples: Vec<Triple>) -> Vec<Triple> {
    triples.sort_by_cached_key(|t| {
        let rank = [rdf::TYPE, rdfs::LABEL].iter().position(|p| t.predicate == *p);
        (rank.unwrap_or(2), t.predicate.clone(), t.object.to_string())
    });
    triples
}

#[cfg(test)]
mod tests;
