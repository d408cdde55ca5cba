//! SPARQL queries over a store, their results as a table for people or as a file for tools.
//!
//! The common prefixes ([`super::prefixes`]) need no declaration. Only queries are read, so that
//! nothing here can change a store. Results are written as they are found.

use super::prefixes::Prefixes;
use super::table;
use oxigraph::io::{RdfFormat, RdfSerializer};
use oxigraph::sparql::results::{QueryResultsFormat, QueryResultsSerializer};
use oxigraph::sparql::{QueryEvaluationError, QueryResults, QuerySolutionIter, SparqlEvaluator};
use oxigraph::store::Store;
use std::fmt;
use std::io::{self, Write};

/// How [`query`] writes the result of SELECT and ASK. CONSTRUCT and DESCRIBE give Turtle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ResultFormat {
    /// A table with shortened IRIs and the number of rows, to be read by people.
    #[default]
    Table,
    /// SPARQL 1.1 results as CSV.
    Csv,
    /// SPARQL 1.1 results as TSV, terms as in Turtle.
    Tsv,
    /// SPARQL 1.1 results as JSON.
    Json,
}

/// Why a query gave no (whole) result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is no SPARQL query.
    #[error(transparent)]
    Syntax(SyntaxError),
    /// The query could not be evaluated.
    #[error("the query could not be answered")]
    Evaluation(#[from] QueryEvaluationError),
    /// The output could not be written; a closed pipe keeps its `io::ErrorKind::BrokenPipe`.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

/// Where a text stops being a SPARQL query. Its `Display` shows the line with a caret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SyntaxError {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What is wrong, without the place.
    pub message: String,
    /// How to mend it, where that is known.
    pub help: Option<String>,
    /// The line with a caret under the place.
    pub excerpt: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, message, excerpt, .. } = self;
        write!(f, "SPARQL syntax, line {line}, column {column}: {message}\n{excerpt}")?;
        match &self.help {
            Some(help) => write!(f, "\n  = help: {help}"),
            None => Ok(()),
        }
    }
}

/// Answers `sparql` and writes the result to `out`. A table fits into `width` columns where that
/// is given; its row count follows it.
///
/// # Errors
/// [`QueryError::Syntax`] before anything is written; the others may come after some rows.
pub fn query(
    store: &Store,
    sparql: &str,
    format: ResultFormat,
    width: Option<usize>,
    out: &mut impl Write,
) -> Result<(), QueryError> {
    let mut evaluator = SparqlEvaluator::new();
    let common = Prefixes::common();
    for (name, namespace) in common.iter() {
        if let Ok(with_prefix) = evaluator.clone().with_prefix(name, namespace) {
            evaluator = with_prefix;
        }
    }
    let prepared = evaluator
        .parse_query(sparql)
        .map_err(|e| QueryError::Syntax(syntax_error(sparql, &e.to_string())))?;
    let mut prefixes = common;
    for (name, namespace) in declared_prefixes(sparql) {
        prefixes.declare(name, namespace);
    }

    let serializer = |format| QueryResultsSerializer::from_format(format);
    let file_format = match format {
        ResultFormat::Table => None,
        ResultFormat::Csv => Some(QueryResultsFormat::Csv),
        ResultFormat::Tsv => Some(QueryResultsFormat::Tsv),
        ResultFormat::Json => Some(QueryResultsFormat::Json),
    };
    match (prepared.on_store(store).execute()?, file_format) {
        (QueryResults::Solutions(solutions), None) => {
            table::write(solutions, &prefixes, width, out)?;
        }
        (QueryResults::Solutions(solutions), Some(format)) => {
            write_solutions(solutions, serializer(format), out)?;
        }
        (QueryResults::Boolean(answer), None) => writeln!(out, "{answer}")?,
        (QueryResults::Boolean(answer), Some(format)) => {
            serializer(format).serialize_boolean_to_writer(&mut *out, answer)?;
            writeln!(out)?;
        }
        (QueryResults::Graph(triples), _) => {
            let mut turtle = RdfSerializer::from_format(RdfFormat::Turtle);
            for (name, namespace) in prefixes.iter() {
                if let Ok(with_prefix) = turtle.clone().with_prefix(name, namespace) {
                    turtle = with_prefix;
                }
            }
            let mut turtle = turtle.for_writer(&mut *out);
            for triple in triples {
                turtle.serialize_triple(&triple?)?;
            }
            turtle.finish()?;
        }
    }
    out.flush()?;
    Ok(())
}

fn write_solutions(
    solutions: QuerySolutionIter<'_>,
    serializer: QueryResultsSerializer,
    out: &mut impl Write,
) -> Result<(), QueryError> {
    let variables = solutions.variables().to_vec();
    let mut writer = serializer.serialize_solutions_to_writer(&mut *out, variables)?;
    for solution in solutions {
        writer.serialize(&solution?)?;
    }
    writer.finish()?;
    Ok(())
}

/// The prefixes that the prologue of a valid query declares.
fn declared_prefixes(sparql: &str) -> Vec<(&str, &str)> {
    let mut declared = Vec::new();
    let mut rest = sparql;
    loop {
        rest = rest.trim_start();
        if let Some(comment) = rest.strip_prefix('#') {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        let (keyword, after) = rest.split_at(rest.find(|c: char| !c.is_alphabetic()).unwrap_or(0));
        let is_prefix = keyword.eq_ignore_ascii_case("PREFIX");
        if !is_prefix && !keyword.eq_ignore_ascii_case("BASE") {
            return declared;
        }
        let Some((before, after)) = after.split_once('<') else { return declared };
        let Some((namespace, after)) = after.split_once('>') else { return declared };
        if let Some(name) = before.trim().strip_suffix(':').filter(|_| is_prefix) {
            declared.push((name, namespace));
        }
        rest = after;
    }
}

/// More words than this say less than none.
const MOST_EXPECTATIONS: usize = 6;

/// Turns the parser's message, `error at LINE:COLUMN: expected ...`, into a place and words.
fn syntax_error(sparql: &str, message: &str) -> SyntaxError {
    let parsed = || {
        let (place, rest) = message.strip_prefix("error at ")?.split_once(": ")?;
        let (line, column) = place.split_once(':')?;
        Some((line.parse().ok()?, column.parse().ok()?, rest))
    };
    let (line, column, rest) = parsed().unwrap_or((1, 1, message));
    let text = sparql.split('\n').nth(line - 1).unwrap_or_default().trim_end_matches('\r');
    let found: String = text.chars().skip(column - 1).take_while(|c| !c.is_whitespace()).collect();

    let expected = rest.strip_prefix("expected ").unwrap_or(rest);
    let expected = expected.strip_prefix("one of ").unwrap_or(expected);
    let message = match expected.split(", ").collect::<Vec<_>>().as_slice() {
        _ if expected.contains("Prefix not found") || expected.contains("prefix") => {
            "a prefix is used that is not declared".to_owned()
        }
        [] => rest.to_owned(),
        many if many.len() > MOST_EXPECTATIONS => match found.as_str() {
            "" => "the query ends too soon".to_owned(),
            found => format!("`{found}` cannot stand here"),
        },
        few => format!("expected {}", few.join(" or ")),
    };
    SyntaxError { line, column, message, help: help(sparql), excerpt: excerpt(line, column, text) }
}

fn help(sparql: &str) -> Option<String> {
    const UPDATES: [&str; 9] =
        ["INSERT", "DELETE", "LOAD", "CLEAR", "DROP", "CREATE", "ADD", "MOVE", "COPY"];
    let mut words =
        sparql.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty());
    let first = words.next()?;
    UPDATES.iter().any(|update| first.eq_ignore_ascii_case(update)).then(|| {
        "a store can be queried here, not changed: SELECT, ASK, CONSTRUCT, DESCRIBE".into()
    })
}

/// The line with its number, and below it a caret under `column`.
fn excerpt(line: usize, column: usize, text: &str) -> String {
    let text = text.replace('\t', " ");
    let before: String = text.chars().take(column - 1).collect();
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let indent = " ".repeat(console::measure_text_width(&before));
    format!("{margin} |\n{number} | {text}\n{margin} | {indent}^")
}

#[cfg(test)]
mod tests;
