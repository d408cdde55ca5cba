//! `kgbuild completions` and `kgbuild man`: what shells and `man` know of the commands, made from
//! their definition.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::Args;
use super::failure::Failure;
use super::streams::{Console, print};
use crate::diagnostic::Explain;
use crate::files::write_whole;

/// Prints a script for a shell.
pub(super) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "kgbuild", &mut script);
    print(String::from_utf8_lossy(&script).trim_end())
}

/// Writes a page for every command.
///
/// # Errors
/// Where the folder cannot be written, or has a file of that name that is no such page: then none is.
pub(super) fn pages(folder: &Path, console: Console) -> Result<(), Failure> {
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    let unwritable = |source| Unwritable { folder: folder.to_owned(), source };
    add_page(&command, &mut pages).map_err(unwritable)?;
    for (name, _) in &pages {
        let file = folder.join(name);
        if file.exists() && !is_page(&file) {
            return Err(NoPage { file }.into());
        }
    }
    fs::create_dir_all(folder).map_err(unwritable)?;
    for (name, page) in pages {
        write_whole(&folder.join(&name), &page)?;
        console.summary(&folder.join(name).display().to_string())?;
    }
    Ok(())
}

/// The name and text of a command's page, and of those below it.
fn add_page(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    pages.push((man.get_filename(), page));
    command.get_subcommands().try_for_each(|command| add_page(command, pages))
}

/// Whether a file is a page of kgbuild's manual.
fn is_page(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.contains("\n.TH kgbuild"))
}

#[derive(Debug, thiserror::Error)]
#[error(
    "{} is no page of kgbuild's manual, and stays; nothing was written. Name another folder, or move \
     the file away",
    file.display()
)]
struct NoPage {
    file: PathBuf,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot make the folder {}", folder.display())]
struct Unwritable {
    folder: PathBuf,
    #[source]
    source: io::Error,
}

impl Explain for NoPage {}

impl Explain for Unwritable {}
