//! Where a command's jobs work: the cache, standard error, Ctrl-C.

use super::events::Terminal;
use super::failure::Failure;
use super::interrupt::stop_on_interrupt;
use crate::pipeline::Environment;

/// What the process' environment says; `quiet` tells warnings alone.
pub fn environment(quiet: bool) -> Environment {
    Environment::new(Terminal::new(quiet))
}

/// The same, with Ctrl-C to stop: it says `stopping`, and a second time says `stopped` and ends the
/// process.
pub fn stopping_environment(
    quiet: bool,
    stopping: &'static str,
    stopped: &'static str,
) -> Result<Environment, Failure> {
    let mut environment = environment(quiet);
    environment.stop = stop_on_interrupt(stopping, stopped)?;
    Ok(environment)
}
