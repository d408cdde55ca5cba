//! A panic, on whatever thread, is a bug of kgbuild: it is called so, with what its makers need to
//! know, and the process ends with an exit code of its own.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::env::{self, consts};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::panic::{self, PanicHookInfo};
use std::thread;

use signal_hook::low_level;

use super::failure::BUG;
use crate::diagnostic::{is_caught, printable};

/// Makes every panic end the process.
pub(super) fn end_on_panic() {
    panic::set_hook(Box::new(|panic| {
        // What a library that is known to panic is given becomes an error.
        if is_caught() {
            return;
        }
        // Written straight away: whoever panicked may be at the progress bars.
        let _nobody_listens = writeln!(io::stderr(), "{}", report(panic));
        // Other threads may be anywhere: nothing is unwound or closed, as when the process is killed,
        // which loses nothing that is on the disk.
        low_level::exit(BUG.into());
    }));
}

fn report(panic: &PanicHookInfo<'_>) -> String {
    let head = console::style("error").red().bold().for_stderr();
    let what = panic.payload_as_str().unwrap_or("a panic without words");
    let mut text = format!("{head}: kgbuild has a bug, and ended: {}\n", printable(what));
    let place = panic.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let thread = thread::current();
    let thread = thread.name().unwrap_or("without a name").to_owned();
    // A string takes what is written.
    let _ = write!(
        text,
        "  place:   {place}, thread {thread}\n  version: {} on {} {}\n  command: {}",
        env!("CARGO_PKG_VERSION"),
        consts::OS,
        consts::ARCH,
        command()
    );
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        let _ = write!(text, "\n{trace}");
    }
    text + "\n  = help: this is no mistake of yours, and what was written before is whole. Please open \
            an issue where you have kgbuild from, with these lines, what RUST_BACKTRACE=1 adds to \
            them, and the files that the command read, if you may share them"
}

/// The command line, to be typed again.
fn command() -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,#".contains(c);
    let words = env::args_os().map(|word| match word.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(is_plain) => text.to_owned(),
        _ => format!("{word:?}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Run by the test below, in a process of its own.
    #[test]
    #[ignore = "ends its process"]
    fn a_panic_on_another_thread() {
        end_on_panic();
        fn panics() {
            panic!("index {} is out of bounds", 7);
        }
        let _ = thread::Builder::new().name("predict 0".to_owned()).spawn(panics).unwrap().join();
        unreachable!("the panic was survived");
    }

    #[test]
    fn a_panic_on_any_thread_ends_the_process_and_says_how_to_report_it() {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", "--test-threads=1"]);
        command.arg("cli::bug::tests::a_panic_on_another_thread").env_remove("RUST_BACKTRACE");
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(70), "{said}");
        let place = format!("place:   {}:", file!());
        let version = format!("version: {} on ", env!("CARGO_PKG_VERSION"));
        for part in [
            "error: kgbuild has a bug, and ended: index 7 is out of bounds\n",
            &place,
            ", thread predict 0\n",
            &version,
            "--exact --nocapture --test-threads=1 cli::bug::tests::a_panic_on_another_thread\n",
            "open an issue",
        ] {
            assert!(said.contains(part), "{part} is not in\n{said}");
        }
        assert_eq!(said.matches("error").count(), 1, "{said}");
    }
}
