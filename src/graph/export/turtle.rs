//! Turtle and TriG for people: prefixes that are used, a block a subject, types and labels first.

use std::io::Write;

use oxigraph::model::vocab::{rdf, rdfs};
use oxigraph::model::{BlankNode, GraphName, NamedOrBlankNode, Quad, Term, Triple};

use super::format::Annotations;
use super::statements;
use crate::graph::Error;
use crate::graph::prefixes::Prefixes;
use crate::graph::turtle::TermWriter;
use crate::graph::view::View;

/// Writes a graph without annotations whose blank nodes each stand in one place, and there writes them out:
/// as lists, or in brackets.
pub(super) fn write_nested(
    view: &View<'_>,
    prefixes: &Prefixes,
    out: &mut impl Write,
) -> Result<(), Error> {
    let mut terms = TermWriter::new(prefixes);
    let mut subjects = view.subjects(false, |triple, _| mark(triple, &mut terms))?;
    declare(&terms, out)?;
    for subject in subjects.each()? {
        let subject = subject?;
        if subject.is_blank_node() {
            continue;
        }
        let triples = view.triples(subject.as_ref()).map_err(Error::Read)?;
        let written = predicates(view, triples, &mut terms, " ;\n    ")?;
        writeln!(out, "\n{} {written} .", terms.subject(subject.as_ref()))?;
    }
    Ok(())
}

/// Predicates and objects, those that are blank nodes written out.
fn predicates(
    view: &View<'_>,
    triples: Vec<Triple>,
    terms: &mut TermWriter<'_>,
    between: &str,
) -> Result<String, Error> {
    let mut parts = Vec::new();
    for triple in sorted(triples) {
        let object = written_out(view, &triple.object, terms)?;
        parts.push(format!("{} {object}", verb(&triple, terms)));
    }
    Ok(parts.join(between))
}

fn written_out(view: &View<'_>, term: &Term, terms: &mut TermWriter<'_>) -> Result<String, Error> {
    let Term::BlankNode(node) = term else { return Ok(terms.term(term.as_ref())) };
    let of = |node: &BlankNode| view.triples(node.as_ref().into()).map_err(Error::Read);
    let mut triples = of(node)?;
    if !triples.iter().any(|triple| triple.predicate == rdf::FIRST) {
        return Ok(format!("[ {} ]", predicates(view, triples, terms, " ; ")?));
    }
    let mut members = Vec::new();
    loop {
        let mut rest = None;
        for triple in triples {
            match triple.object {
                member if triple.predicate == rdf::FIRST => {
                    members.push(written_out(view, &member, terms)?);
                }
                Term::BlankNode(node) => rest = Some(node),
                _ => {}
            }
        }
        let Some(node) = rest else { return Ok(format!("( {} )", members.join(" "))) };
        triples = of(&node)?;
    }
}

/// Remembers the prefixes of a triple.
fn mark(triple: &Triple, terms: &mut TermWriter<'_>) {
    terms.subject(triple.subject.as_ref());
    verb(triple, terms);
    terms.term(triple.object.as_ref());
}

/// Writes the prefixes that are used.
fn declare(terms: &TermWriter<'_>, out: &mut impl Write) -> Result<(), Error> {
    for (name, namespace) in terms.used() {
        writeln!(out, "@prefix {name}: <{namespace}> .")?;
    }
    Ok(())
}

/// Writes the graph; in Turtle no annotations are named graphs.
pub(super) fn write(
    view: &View<'_>,
    annotations: Annotations,
    prefixes: &Prefixes,
    out: &mut impl Write,
) -> Result<(), Error> {
    let mut terms = TermWriter::new(prefixes);
    // Used prefixes stand at the beginning, so that they are looked for before all is written.
    let inline = annotations == Annotations::Rdf12 && !view.has_statements();
    let mut visit = |triple: &Triple, is_inline: bool| {
        if !(is_inline && triple.predicate == rdf::REIFIES) {
            mark(triple, &mut terms);
        }
    };
    let mut subjects = if inline {
        view.subjects(true, visit)?
    } else {
        let mut subjects = view.subjects(false, |_, _| {})?;
        for subject in subjects.each()? {
            let quads = statements::quads(view, &subject?, annotations).map_err(Error::Read)?;
            quads.into_iter().for_each(|quad| visit(&quad.into(), false));
        }
        subjects
    };
    declare(&terms, out)?;
    for subject in subjects.each()? {
        let subject = &subject?;
        if inline {
            let triples = view.triples(subject.as_ref()).map_err(Error::Read)?;
            annotated_block(view, subject, triples, &mut terms, out)?;
            continue;
        }
        let quads = statements::quads(view, subject, annotations).map_err(Error::Read)?;
        let (own, named): (Vec<Quad>, Vec<Quad>) =
            quads.into_iter().partition(|quad| quad.graph_name == GraphName::DefaultGraph);
        let none = |_: &Triple, _: &mut TermWriter<'_>, _: &mut dyn Write| Ok(());
        block(subject, own.into_iter().map(Triple::from).collect(), &mut terms, out, &none)?;
        for quad in named {
            let triple = Triple::from(quad);
            let parts = [
                terms.subject(subject.as_ref()),
                terms.subject(triple.subject.as_ref()),
                verb(&triple, &mut terms),
                terms.term(triple.object.as_ref()),
            ];
            let [graph, subject, verb, object] = parts;
            writeln!(out, "\n{graph} {{ {subject} {verb} {object} }}")?;
        }
    }
    Ok(())
}

/// Writes all triples of a subject, those about its triples behind them.
fn annotated_block(
    view: &View<'_>,
    subject: &NamedOrBlankNode,
    triples: Vec<Triple>,
    terms: &mut TermWriter<'_>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let is_reifier = view.is_reifier(subject.as_ref()).map_err(Error::Read)?;
    let annotate = |triple: &Triple, terms: &mut TermWriter<'_>, out: &mut dyn Write| {
        if !is_reifier {
            for (reifier, triples) in view.annotations(triple).map_err(Error::Read)? {
                annotation(&reifier, triples, terms, out)?;
            }
        }
        Ok(())
    };
    block(subject, triples, terms, out, &annotate)
}

/// Writes something behind a triple.
type Annotate<'a> = dyn Fn(&Triple, &mut TermWriter<'_>, &mut dyn Write) -> Result<(), Error> + 'a;

/// Writes a subject's triples, and what `annotate` writes behind each.
fn block(
    subject: &NamedOrBlankNode,
    triples: Vec<Triple>,
    terms: &mut TermWriter<'_>,
    out: &mut impl Write,
    annotate: &Annotate<'_>,
) -> Result<(), Error> {
    if triples.is_empty() {
        return Ok(());
    }
    write!(out, "\n{}", terms.subject(subject.as_ref()))?;
    let mut previous: Option<&Triple> = None;
    let triples = sorted(triples);
    for triple in &triples {
        match previous {
            None => write!(out, " {} ", verb(triple, terms))?,
            Some(p) if p.predicate == triple.predicate => write!(out, " ,\n        ")?,
            Some(_) => write!(out, " ;\n    {} ", verb(triple, terms))?,
        }
        write!(out, "{}", terms.term(triple.object.as_ref()))?;
        annotate(triple, terms, out)?;
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
    out: &mut dyn Write,
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
