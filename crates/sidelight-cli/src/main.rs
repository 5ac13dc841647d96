//! The command line of Sidelight: parses, dispatches, prints the error chain and the hint, chooses the exit code.

mod args;
mod command;
mod refusal;
mod serve;
mod stop;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};
use command::Answer;
use refusal::Refusal;
use terminal::Terminal;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut terminal = Terminal::new(arguments.quiet);
    match run(arguments.command, &mut terminal) {
        Ok(Answer::Done) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(error) => {
            terminal.error(&error, hint(&error).as_deref());
            ExitCode::from(2)
        }
    }
}

fn run(command: Command, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    match command {
        Command::Demo(args) => command::demo::run(&args, terminal),
        Command::Init(args) => command::init::run(&args, terminal),
        Command::Check(args) => command::check::run(&args, terminal),
        Command::Audit(args) => command::audit::run(&args, terminal),
        Command::LrFind(args) => command::lr_find::run(&args, terminal),
        Command::Train(args) => command::train::run(&args, terminal),
        Command::Compare(args) => command::compare::run(&args, terminal),
        Command::Eval(args) => command::eval::run(&args, terminal),
        Command::Predict(args) => command::predict::run(&args, terminal),
        Command::Show(args) => command::show::run(&args, terminal),
        Command::Explain(args) => command::explain::run(&args, terminal),
        Command::Serve(args) => command::serve::run(&args, terminal),
        Command::Export(args) => command::export::run(&args, terminal),
        Command::Inspect(args) => command::inspect::run(&args, terminal),
        Command::Backbones(args) => command::backbones::run(&args, terminal),
    }
}

/// What to do next: the first advice along the chain.
fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let library = cause
            .downcast_ref::<sidelight::Error>()
            .and_then(sidelight::Error::hint);
        library.or_else(|| {
            cause
                .downcast_ref::<Refusal>()
                .map(|refusal| refusal.hint.clone())
        })
    })
}
