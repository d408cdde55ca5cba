//! Results row by row: which variables are read, and what each is bound to.

use std::io::Read;
use std::path::Path;

use oxigraph::sparql::results::{
    QueryResultsFormat, QueryResultsParseError, QueryResultsParser, QueryResultsSyntaxError,
    ReaderQueryResultsParserOutput, ReaderSolutionsParser,
};
use oxrdf::{Literal, NamedNode, Term, Variable};

use super::literal::guessed;
use super::shallow::Shallow;
use crate::catalog::mistakes::Mistakes;
use crate::catalog::table::{self, Columns};
use crate::diagnostic::{At, Diagnostic, Diagnostics, nearest};
use crate::files;

/// The variables that are read.
pub const VARIABLES: [&str; 12] = [
    "subject",
    "subjectLabel",
    "object",
    "relation",
    "relationLabel",
    "objectLabel",
    "subjectAltLabel",
    "objectAltLabel",
    "subjectType",
    "objectType",
    "subjectTypeLabel",
    "objectTypeLabel",
];

/// How many of them, the first ones, there have to be.
const REQUIRED: usize = 3;

const COLUMNS: Columns = {
    let (required, optional) = VARIABLES.split_at(REQUIRED);
    Columns { required, optional }
};

/// What a row binds each of [`VARIABLES`] to.
#[derive(Default)]
pub(super) struct Row([Option<Term>; VARIABLES.len()]);

/// A variable, by its place in [`VARIABLES`].
#[derive(Clone, Copy)]
pub(super) enum Of {
    Subject,
    SubjectLabel,
    Object,
    Relation,
    RelationLabel,
    ObjectLabel,
    SubjectAltLabel,
    ObjectAltLabel,
    SubjectType,
    ObjectType,
    SubjectTypeLabel,
    ObjectTypeLabel,
}

impl Row {
    pub(super) fn get(&self, variable: Of) -> Option<&Term> {
        self.0[variable as usize].as_ref()
    }

    /// What a variable is bound to that has to be an IRI, if it is bound.
    pub(super) fn iri(&self, variable: Of) -> Result<Option<&str>, Box<Diagnostic>> {
        match self.get(variable) {
            None => Ok(None),
            Some(Term::NamedNode(iri)) => Ok(Some(iri.as_str())),
            Some(other) => {
                let message = format!("?{} is {other}, no IRI", VARIABLES[variable as usize]);
                Err(Box::new(Diagnostic::error("bad-iri", message)))
            }
        }
    }

    /// The text that a variable is bound to.
    pub(super) fn text(&self, variable: Of) -> Option<&Literal> {
        match self.get(variable) {
            Some(Term::Literal(text)) => Some(text),
            _ => None,
        }
    }
}

/// Gives `take` every row; what it refuses is a mistake at the row. Gives the warnings.
pub(super) fn each(
    file: &Path,
    take: &mut dyn FnMut(&Row) -> Result<(), Box<Diagnostic>>,
) -> Result<Diagnostics, Diagnostics> {
    let name = files::uncompressed_name(file).unwrap_or_default().to_string_lossy();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "csv" => {
            let mut mistakes = Mistakes::new(file);
            table::read(file, &COLUMNS, &mut mistakes, |cells, mistakes| {
                if let Err(mistake) = take(&of_cells(cells)) {
                    mistakes.at_row(cells.offset, *mistake);
                }
            });
            mistakes.finish().or(()).map(|((), warnings)| warnings)
        }
        "tsv" => solutions(file, QueryResultsFormat::Tsv, take),
        "json" | "srj" => solutions(file, QueryResultsFormat::Json, take),
        _ => {
            let message = "results of a query are read as .csv, .tsv or .json";
            let mistake = Diagnostic::error("unknown-format", message);
            Err(mistake.help("name the file by its format").at(file, At::File).into())
        }
    }
}

/// CSV tells no kind of term: it is taken by the variable, and a value by how it looks.
fn of_cells(cells: &table::Row<'_>) -> Row {
    let mut row = Row::default();
    for (number, (name, term)) in VARIABLES.iter().zip(&mut row.0).enumerate() {
        let cell = cells.get(number);
        *term = match cell {
            "" => None,
            _ if name.ends_with("Label") => Some(Literal::new_simple_literal(cell).into()),
            "_:" => None,
            _ if *name != "object" => Some(match NamedNode::new(cell) {
                Ok(iri) => iri.into(),
                Err(_) => Literal::new_simple_literal(cell).into(),
            }),
            _ => Some(guessed(cell)),
        };
    }
    row
}

/// Reads TSV or JSON, which tell what each term is.
fn solutions(
    file: &Path,
    format: QueryResultsFormat,
    take: &mut dyn FnMut(&Row) -> Result<(), Box<Diagnostic>>,
) -> Result<Diagnostics, Diagnostics> {
    let failed = |error: QueryResultsParseError| match error {
        QueryResultsParseError::Io(error) => unreadable(file, &error),
        QueryResultsParseError::Syntax(error) => broken(file, &error),
    };
    let opened = files::open(file).map_err(|error| unreadable(file, &error))?;
    // Braces in TSV are no objects.
    let reader: Box<dyn Read> = match format {
        QueryResultsFormat::Json => Box::new(Shallow::new(opened)),
        _ => opened,
    };
    let found = QueryResultsParser::from_format(format).for_reader(reader).map_err(failed)?;
    let ReaderQueryResultsParserOutput::Solutions(found) = found else {
        let mistake = Diagnostic::error("no-rows", "it holds the answer of an ASK query, no rows");
        return Err(mistake.help("ask with SELECT").at(file, At::File).into());
    };
    let (places, warnings) = places(file, &found)?;
    for (number, solution) in (1_u64..).zip(found) {
        let solution = solution.map_err(failed)?;
        let mut row = Row::default();
        for (place, term) in places.iter().zip(&mut row.0) {
            *term = place.and_then(|place| solution.get(place)).cloned();
        }
        take(&row).map_err(|mistake| match format {
            // Behind the line of the variables a line is a row.
            QueryResultsFormat::Tsv => mistake.at(file, At::Line(number + 1)),
            _ => {
                let message = format!("in result {number}, {}", mistake.message);
                Diagnostic { message, ..*mistake }.at(file, At::File)
            }
        })?;
    }
    Ok(warnings)
}

/// Where each of [`VARIABLES`] stands, with a warning about those that are not read.
fn places(
    file: &Path,
    found: &ReaderSolutionsParser<Box<dyn Read>>,
) -> Result<([Option<usize>; VARIABLES.len()], Diagnostics), Diagnostics> {
    let names: Vec<&str> = found.variables().iter().map(Variable::as_str).collect();
    let others: Vec<&str> =
        names.iter().copied().filter(|name| !VARIABLES.contains(name)).collect();
    let places = VARIABLES.map(|variable| names.iter().position(|name| *name == variable));
    let mut notes = Diagnostics::default();
    for (variable, _) in VARIABLES.iter().zip(&places).take(REQUIRED).filter(|(_, p)| p.is_none()) {
        let help = match nearest(variable, others.iter().copied()) {
            Some(near) => format!("rename ?{near} to ?{variable} in the query"),
            None => format!("select it in the query, as in (?x AS ?{variable})"),
        };
        let message = format!("the variable ?{variable} is missing");
        let mistake = Diagnostic::error("missing-variable", message).help(help);
        notes.push(mistake.at(file, At::File));
    }
    if !others.is_empty() && !notes.has_errors() {
        let message = format!("variables that are not read: {}", others.join(", "));
        let help = format!("these are: {}", VARIABLES.join(", "));
        let warning = Diagnostic::warning("ignored-variable", message).help(help);
        notes.push(warning.at(file, At::File));
    }
    notes.or(places)
}

fn unreadable(file: &Path, error: &std::io::Error) -> Diagnostics {
    let message = format!("the results cannot be read to their end: {error}");
    Diagnostic::error("cannot-read", message).at(file, At::File).into()
}

fn broken(file: &Path, error: &QueryResultsSyntaxError) -> Diagnostics {
    let help = "a service that runs out of time breaks its results off: ask for less at once; of the Wikidata \
                Query Service's downloads take CSV, TSV (verbose) or JSON (verbose)";
    // Lines are counted from 0.
    let at = error.location().map_or(At::File, |place| At::Line(place.start.line + 1));
    let message = format!("these are no results of a SPARQL query: {error}");
    Diagnostic::error("broken-results", message).help(help).at(file, at).into()
}
