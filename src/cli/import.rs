//! `kgbuild import`: what others keep, as tables and an ontology.

use std::fs;

use super::args::WikidataArgs;
use super::failure::Failure;
use super::streams::Console;
use crate::diagnostic::{Diagnostic, Diagnostics, counted};
use crate::files::WriteError;
use crate::import::wikidata::{self, MOST_RELATIONS, Selection};

/// Imports a dump of Wikidata and says what came of it.
pub(super) fn wikidata(args: &WikidataArgs, console: Console) -> Result<(), Failure> {
    let wanted = Selection {
        types: numbers(&args.types, 'Q', "--types")?,
        relations: numbers(&args.relations, 'P', "--relations")?,
        language: args.language.clone(),
        partial: args.partial,
    };
    if wanted.relations.len() > MOST_RELATIONS {
        let message = format!("--relations takes {MOST_RELATIONS} at most");
        let help = "import the others into another folder";
        return Err(Diagnostics::from(Diagnostic::error("too-many", message).help(help)).into());
    }
    let folder = &args.output;
    let is_new = !folder.exists();
    fs::create_dir_all(folder).map_err(WriteError::of(folder))?;
    let imported = wikidata::import(&args.dump, &wanted, folder).inspect_err(|_| {
        if is_new {
            // That it cannot go is not the error to show.
            let _ = fs::remove_dir(folder);
        }
    })?;
    for file in &imported.files {
        console.summary(&file.display().to_string())?;
    }
    console.summary(&format!("\n{} entities", imported.entities))?;
    for (name, facts) in &imported.relations {
        console.summary(&format!("{facts} facts of {name}"))?;
    }
    if imported.unlabelled > 0 {
        console.summary(&format!(
            "left out: {} without a label in `{}`, as {}",
            counted(usize::try_from(imported.unlabelled).unwrap_or(usize::MAX), "entity"),
            args.language,
            imported.examples.join(", ")
        ))?;
    }
    let pipeline = folder.join("pipeline.toml");
    console.summary(&format!(
        "\nnext: edit the templates of {}, then kgbuild run {}",
        folder.join("ontology.ttl").display(),
        pipeline.display()
    ))
}

/// The numbers of ids, each once.
fn numbers(ids: &[String], letter: char, option: &str) -> Result<Vec<u64>, Failure> {
    let mut numbers = Vec::new();
    for id in ids {
        let number = id.trim().strip_prefix(letter).and_then(|digits| digits.parse().ok());
        let Some(number) = number else {
            let message = format!("{option} takes ids as {letter}36, and {id:?} is none");
            let mistake = Diagnostic::error("bad-id", message).help("part them with commas");
            return Err(Diagnostics::from(mistake).into());
        };
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}
