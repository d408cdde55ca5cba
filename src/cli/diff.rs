//! `kgbuild history` and `kgbuild diff`: which runs made a graph what it is, and what they changed.

use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::path::Path;

use oxigraph::store::Store;

use super::args::DiffArgs;
use super::failure::Failure;
use super::streams::{print, results};
use super::{store, table};
use crate::diagnostic::{counted, printable_line};
use crate::graph::{self, FactChange, RunEntry};

/// Lists the runs of a graph.
pub(super) fn history(folder: &Path) -> Result<(), Failure> {
    let store = store::open(folder)?;
    let row = |run: &RunEntry| {
        let counts = [run.facts, run.added, run.taken_back, run.changed];
        // The day and the minute.
        let ended = run.ended.as_deref().unwrap_or_default();
        let ended = ended.get(..16).unwrap_or(ended).replace('T', " ");
        let mut row = vec![run.number.to_string(), ended];
        row.extend(counts.iter().map(u64::to_string));
        row.push(run.reason.clone().unwrap_or_default());
        row
    };
    let rows: Vec<Vec<String>> = graph::runs(&store)?.iter().map(row).collect();
    let header = ["run", "ended", "facts", "added", "taken back", "changed", "why"];
    print(&table::table(&header, rows, table::terminal_width(), &["why", "ended"]))
}

/// Prints which facts differ between the graphs of two runs.
pub(super) fn diff(args: &DiffArgs) -> Result<(), Failure> {
    let store = store::open(&args.store)?;
    let runs = graph::runs(&store)?;
    let from = graph::find_run(&runs, &args.from)?;
    let to = graph::find_run(&runs, &args.to)?;
    let changes = graph::diff(&store, from, to)?;
    let mut out = BufWriter::new(results());
    let written = match args.json {
        true => changes.iter().try_for_each(|change| json(change, &mut out)),
        false => lines(&store, &changes, &mut out)?,
    };
    written.and_then(|()| out.flush()).map_err(Failure::Output)
}

fn json(change: &FactChange, out: &mut impl Write) -> std::io::Result<()> {
    let value = serde_json::json!({
        "subject": change.subject,
        "relation": change.relation,
        "object": change.object,
        "datatype": change.datatype,
        "before": change.before,
        "after": change.after,
        "reason": change.reason,
    });
    writeln!(out, "{value}")
}

/// A line a change, and how many there are: `+` was added, `-` taken back, of `~` something else is said.
fn lines(
    store: &Store,
    changes: &[FactChange],
    out: &mut impl Write,
) -> Result<std::io::Result<()>, Failure> {
    let mut counts = [0; 3];
    // A relation's label, and many an object's, is on many lines.
    let mut names: HashMap<String, String> = HashMap::new();
    let mut name = |iri: &str| -> Result<String, Failure> {
        if let Some(name) = names.get(iri) {
            return Ok(name.clone());
        }
        let label = graph::label_in_any_run(store, iri)?;
        let name = printable_line(label.as_deref().unwrap_or(iri)).into_owned();
        names.insert(iri.to_owned(), name.clone());
        Ok(name)
    };
    for change in changes {
        let (at, sign, confidence) = match (change.before, change.after) {
            (None, Some(after)) => (0, '+', after.to_string()),
            (Some(before), None) => (1, '-', before.to_string()),
            (before, after) => {
                let [before, after] = [before, after].map(Option::unwrap_or_default);
                (2, '~', format!("{before} -> {after}"))
            }
        };
        counts[at] += 1;
        let subject = name(&change.subject)?;
        let relation = name(&change.relation)?;
        let object = match change.datatype {
            None => name(&change.object)?,
            Some(_) => printable_line(&change.object).into_owned(),
        };
        let reason = change.reason.as_ref();
        let reason = reason.map(|reason| format!("  {}", printable_line(reason)));
        let reason = reason.unwrap_or_default();
        let line = writeln!(out, "{sign} {subject}  {relation}  {object}  {confidence}{reason}");
        if line.is_err() {
            return Ok(line);
        }
    }
    let [added, taken_back, changed] = counts;
    let added = counted(added, "fact");
    Ok(writeln!(out, "{added} added, {taken_back} taken back, {changed} changed"))
}
