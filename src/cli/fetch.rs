//! `kgbuild fetch`: what a command needs from elsewhere, into the cache, so that it can run without
//! network; and the lock file that notes what that was.

use std::path::Path;

use super::args::FetchArgs;
use super::environment::environment;
use super::failure::Failure;
use super::streams::Console;
use crate::config::{SettingsFile, locked};
use crate::diagnostic::counted;
use crate::fetch::{self, LockFile};
use crate::files::{WriteError, write_whole};
use crate::pipeline::{Environment, locate};

/// Fetches ONNX Runtime and the sources of the settings file, as far as they are missing.
pub(super) fn fetch(args: &FetchArgs, console: Console) -> Result<(), Failure> {
    let mut environment = environment(console);
    environment.verify = args.verify;
    let settings =
        args.file.as_deref().map(|file| Ok::<_, Failure>((file, read(file, args, &environment)?)));
    let settings = settings.transpose()?;
    console.summary(&format!("ONNX Runtime: {}", environment.runtime_library()?.display()))?;
    let Some((file, mut settings)) = settings else { return Ok(()) };
    if args.lock {
        write_lock(file, &mut settings, &environment, console)?;
    }
    fetch_sources(settings, &environment, console)
}

/// Reads a settings file, and binds its sources to its lock file unless that is to be written.
fn read(file: &Path, args: &FetchArgs, environment: &Environment) -> Result<SettingsFile, Failure> {
    let (mut settings, mut notes) = SettingsFile::read(file)?;
    if args.lock {
        // Something else of the lock file's name is not to be lost.
        LockFile::read(file)?;
    } else {
        notes = locked(file, settings.model_sources(), args.locked, notes)?;
    }
    environment.events.warn(&notes);
    Ok(settings)
}

/// Fetches the sources, and imports a pipeline's models.
fn fetch_sources(
    mut settings: SettingsFile,
    environment: &Environment,
    console: Console,
) -> Result<(), Failure> {
    let (cache, events) = (environment.cache()?, environment.events.as_ref());
    if let SettingsFile::Pipeline(pipeline) = &settings {
        let models = locate(pipeline, cache, events)?;
        for (role, model) in [("base", models.base()), ("finetuned", models.finetuned())] {
            if let Some(model) = model {
                console.summary(&format!("{role}: {} (sha256 {})", model.source, model.sha256))?;
            }
        }
        return Ok(());
    }
    for source in settings.model_sources() {
        let path = fetch::fetch_named(source, cache, events)?;
        console.summary(&format!("{}: {}", source.written, path.display()))?;
    }
    Ok(())
}

/// Fetches what a settings file names, notes in its lock file what that is, and binds the sources to
/// it.
fn write_lock(
    file: &Path,
    settings: &mut SettingsFile,
    environment: &Environment,
    console: Console,
) -> Result<(), Failure> {
    let events = environment.events.as_ref();
    let before = LockFile::read(file)?;
    let sources = settings.model_sources().into_iter().map(|source| &*source);
    let lock = LockFile::of(file, sources, environment.cache()?, events)?;
    for entry in lock.entries() {
        let was = before.as_ref().and_then(|before| before.entry(&entry.source));
        if let Some(was) = was.filter(|was| was.sha256 != entry.sha256) {
            events.note(&format!("{} has changed: its sha256 was {}", entry.source, was.sha256));
        }
    }
    let text = lock.to_text().map_err(std::io::Error::other).map_err(WriteError::of(&lock.path))?;
    write_whole(&lock.path, text.as_bytes())?;
    console.summary(&format!(
        "{}: {}",
        lock.path.display(),
        counted(lock.entries().len(), "source")
    ))?;
    fetch::lock(file, settings.model_sources(), true).or(())?;
    Ok(())
}
