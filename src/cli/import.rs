//! `kgbuild import`: what others keep, as tables and an ontology.

use std::fs;

use super::args::WikidataArgs;
use super::failure::Failure;
use super::streams::Console;
use crate::diagnostic::counted;
use crate::files::WriteError;
use crate::import::wikidata::{self, Selection};

/// Imports a dump of Wikidata and says what came of it.
pub(super) fn wikidata(args: &WikidataArgs, console: Console) -> Result<(), Failure> {
    let wanted = Selection {
        types: wikidata::numbers(&args.types, 'Q')?,
        relations: wikidata::numbers(&args.relations, 'P')?,
        language: args.language.clone(),
        partial: args.partial,
    };
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
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    console.summary(&format!("\n{}", counted(count(imported.entities), "entity")))?;
    for (name, facts) in &imported.relations {
        console.summary(&format!("{} of {name}", counted(count(*facts), "fact")))?;
    }
    if imported.unlabelled > 0 {
        console.summary(&format!(
            "left out: {} without a label in `{}`, as {}",
            counted(count(imported.unlabelled), "entity"),
            args.language,
            imported.examples.join(", ")
        ))?;
    }
    if imported.missing > 0 {
        let missing = counted(count(imported.missing), "object");
        console.summary(&format!("not in the file: {missing} of facts"))?;
    }
    let pipeline = folder.join("pipeline.toml");
    console.summary(&format!(
        "\nnext: edit the templates of {}, then kgbuild run {}",
        folder.join("ontology.ttl").display(),
        pipeline.display()
    ))
}
