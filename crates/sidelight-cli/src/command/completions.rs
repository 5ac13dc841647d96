//! `sidelight completions`

use clap::CommandFactory as _;

use super::Answer;
use crate::args::Arguments;
use crate::args::completions::CompletionsArgs;
use crate::terminal::Terminal;

/// Prints the completions of a shell.
pub(crate) fn run(args: &CompletionsArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut Arguments::command(),
        "sidelight",
        &mut script,
    );
    terminal.data(&String::from_utf8(script)?)?;
    Ok(Answer::Done)
}
