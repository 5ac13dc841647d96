//! The command line of Sidelight; all of it is in the library, where tests reach it.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// musl's own allocator has one lock for all threads: a training of small pictures took a third more of the processor with it.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sidelight_cli::run()
}
