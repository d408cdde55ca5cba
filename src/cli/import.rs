//! `kgbuild import`: what others keep, as tables and an ontology.

use std::fs;
use std::path::Path;

use super::args::{ImportCommand, SparqlResultsArgs, WikidataArgs};
use super::failure::{Failure, show};
use super::streams::Console;
use crate::diagnostic::{Diagnostics, counted};
use crate::files::WriteError;
use crate::import::{Imported, sparql_results, wikidata};

/// Imports and says what came of it.
pub(super) fn import(command: &ImportCommand, console: Console) -> Result<(), Failure> {
    match command {
        ImportCommand::Wikidata(args) => {
            let imported = of_wikidata(args)?;
            told(&imported, &args.language, &args.output, console)
        }
        ImportCommand::SparqlResults(args) => {
            let imported = of_results(args)?;
            told(&imported, &args.language, &args.output, console)
        }
    }
}

fn of_wikidata(args: &WikidataArgs) -> Result<Imported, Failure> {
    let wanted = wikidata::Selection {
        types: wikidata::numbers(&args.types, 'Q')?,
        relations: wikidata::numbers(&args.relations, 'P')?,
        language: args.language.clone(),
        partial: args.partial,
    };
    into(&args.output, |folder| wikidata::import(&args.dump, &wanted, folder))
}

fn of_results(args: &SparqlResultsArgs) -> Result<Imported, Failure> {
    let wanted = sparql_results::Selection {
        relation: args.relation.clone(),
        language: args.language.clone(),
    };
    let import = |folder: &Path| sparql_results::import(&args.results, &wanted, folder);
    let (imported, warnings) = into(&args.output, import)?;
    show(&warnings);
    Ok(imported)
}

/// Imports into a folder, which is made where it is missing and goes again where nothing comes of it.
fn into<T>(folder: &Path, import: impl Fn(&Path) -> Result<T, Diagnostics>) -> Result<T, Failure> {
    let is_new = !folder.exists();
    fs::create_dir_all(folder).map_err(WriteError::of(folder))?;
    let imported = import(folder).inspect_err(|_| {
        if is_new {
            // That it cannot go is not the error to show.
            let _ = fs::remove_dir(folder);
        }
    });
    Ok(imported?)
}

fn told(
    imported: &Imported,
    language: &str,
    folder: &Path,
    console: Console,
) -> Result<(), Failure> {
    for file in &imported.files {
        console.summary(&file.display().to_string())?;
    }
    let count =
        |number: u64, noun: &str| counted(usize::try_from(number).unwrap_or(usize::MAX), noun);
    console.summary(&format!("\n{}", count(imported.entities, "entity")))?;
    for (name, facts) in &imported.relations {
        console.summary(&format!("{} of {name}", count(*facts, "fact")))?;
    }
    if imported.unlabelled > 0 {
        console.summary(&format!(
            "left out: {} without a label in `{language}`, as {}",
            count(imported.unlabelled, "entity"),
            imported.examples.join(", ")
        ))?;
    }
    if imported.unfit > 0 {
        let unfit = count(imported.unfit, "fact");
        console
            .summary(&format!("left out: {unfit} whose objects are unknown or of another kind"))?;
    }
    if imported.missing > 0 {
        let missing = count(imported.missing, "object");
        console.summary(&format!("not in the file: {missing} of facts"))?;
    }
    console.summary(&format!(
        "\nnext: edit the templates of {}, then kgbuild run {}",
        folder.join("ontology.ttl").display(),
        folder.join("pipeline.toml").display()
    ))
}
