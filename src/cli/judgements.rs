//! `kgbuild judgements export`: what people judged, as facts.

use std::path::Path;

use oxigraph::model::Term;

use super::args::JudgementsCommand;
use super::failure::Failure;
use super::store;
use super::streams::{Console, print};
use crate::diagnostic::Explain;
use crate::files::{writable, write_whole};
use crate::graph::{judged_facts, judgements};

/// Writes the facts that were judged to be right; of subjects that have no object, that.
pub(super) fn run(command: &JudgementsCommand, console: Console) -> Result<(), Failure> {
    let JudgementsCommand::Export { store, output } = command;
    writable(&[("-o", output.as_deref())], &[])?;
    let store = store::open(store)?;
    let mut rows = Vec::new();
    for ((relation, subject), objects) in judged_facts(&judgements(&store)?) {
        let mut row = |object: &str| {
            rows.push([
                subject.as_str().to_owned(),
                relation.as_str().to_owned(),
                object.to_owned(),
            ]);
        };
        if objects.is_empty() {
            row("");
        }
        objects.iter().for_each(|object| row(text(object)));
    }
    let is_table = output.as_deref().and_then(Path::extension).is_some_and(|end| end == "csv");
    let text = if is_table { table(&rows).map_err(NoTable)? } else { lines(&rows) };
    match output {
        None if text.is_empty() => console.note("no fact was judged to be right"),
        None => print(text.trim_end())?,
        Some(file) => {
            write_whole(file, text.as_bytes())?;
            console.note(&format!("{} rows in {}", rows.len(), file.display()));
        }
    }
    Ok(())
}

fn text(object: &Term) -> &str {
    match object {
        Term::NamedNode(iri) => iri.as_str(),
        Term::Literal(value) => value.value(),
        _ => "",
    }
}

fn lines(rows: &[[String; 3]]) -> String {
    let line = |[subject, relation, object]: &[String; 3]| {
        // Known to have none.
        let object = (!object.is_empty()).then_some(object);
        format!(
            "{}\n",
            serde_json::json!({"subject": subject, "relation": relation, "object": object})
        )
    };
    rows.iter().map(line).collect()
}

fn table(rows: &[[String; 3]]) -> Result<String, csv::Error> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["subject", "relation", "object"])?;
    rows.iter().try_for_each(|row| table.write_record(row))?;
    let bytes = table.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[derive(Debug, thiserror::Error)]
#[error("the table cannot be written")]
struct NoTable(#[source] csv::Error);

impl Explain for NoTable {}
