//! Where a command's jobs work: the cache, standard error, Ctrl-C.

use super::args::LibraryArgs;
use super::events::Terminal;
use super::failure::Failure;
use super::interrupt::stop_on_interrupt;
use super::streams::Console;
use crate::fetch;
use crate::pipeline::Environment;

/// What the process' environment says.
pub(super) fn environment(console: Console) -> Environment {
    Environment::new(Terminal::new(console.quiet))
}

/// The same, with Ctrl-C to stop: it says `stopping`, and a second time says `stopped` and ends the
/// process.
pub(super) fn stopping_environment(
    console: Console,
    stopping: &'static str,
    stopped: &'static str,
) -> Result<Environment, Failure> {
    let mut environment = environment(console);
    environment.stop = stop_on_interrupt(stopping, stopped)?;
    Ok(environment)
}

/// Takes the library of `--library`, if that was given.
///
/// # Errors
/// Where it is no file.
pub(super) fn use_library(environment: &mut Environment, own: &LibraryArgs) -> Result<(), Failure> {
    if let Some(path) = &own.path {
        environment.library = Some(fetch::own_library(path, "--library")?);
    }
    Ok(())
}

/// Where a command asks questions and writes what comes of them at its end.
pub(super) fn asking_environment(
    console: Console,
    locked: bool,
    library: &LibraryArgs,
) -> Result<Environment, Failure> {
    let (stopping, stopped) = ("stopping; again to stop at once", "stopped; nothing was written");
    let mut environment = stopping_environment(console, stopping, stopped)?;
    environment.locked = locked;
    use_library(&mut environment, library)?;
    Ok(environment)
}
