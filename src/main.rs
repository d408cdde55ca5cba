//! The program. Everything is in the library; see [`kgbuild::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    kgbuild::cli::main()
}
