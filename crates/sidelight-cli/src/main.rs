//! The command line of Sidelight; all of it is in the library, where tests reach it.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    sidelight_cli::run()
}
