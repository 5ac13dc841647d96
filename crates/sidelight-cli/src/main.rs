//! The command line of Sidelight: parses, dispatches, prints the error chain and the hint, chooses the exit code.

mod args;
mod command;
mod hint;
mod launch;
mod refusal;
mod serve;
mod stop;
mod terminal;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use args::{Arguments, Command};
use command::Answer;
use launch::{Launch, Meaning, World};
use terminal::Terminal;

/// What another process is given to say what is wrong, before the exit code of this one ends all that are left.
const TO_BE_SAID: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let launch = Launch::of_environment();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Of several processes one explains what is wrong, and has its exit code. `mpirun` ends all as soon as one has
        // another than 0, and would do so before it has been said.
        Err(_) if !launch.is_first() => return ExitCode::SUCCESS,
        Err(error) => error.exit(),
    };
    let mut terminal = Terminal::new(arguments.quiet);
    if !launch.is_first() {
        terminal.mute(true);
    }
    let world = match launch.join(&arguments.command) {
        Ok(world) => world,
        Err(_) if !launch.is_first() => return ExitCode::SUCCESS,
        Err(refusal) => {
            let error = refusal.into();
            terminal.error(&error, hint::of_chain(&error).as_deref());
            return ExitCode::from(2);
        }
    };
    match world.guard(|| run(arguments.command, &mut terminal, &world)) {
        Ok(Answer::No) if launch.is_first() => ExitCode::from(1),
        Ok(Answer::Done | Answer::No) => ExitCode::SUCCESS,
        Err(error) => {
            let meaning = World::meaning(&error);
            match meaning {
                Meaning::Known if launch.is_first() => {}
                Meaning::KnownBySaying | Meaning::Alone => terminal.mute(false),
                Meaning::Known | Meaning::SaidElsewhere => {
                    std::thread::sleep(TO_BE_SAID);
                    return ExitCode::from(2);
                }
            }
            terminal.error(&error, hint::of_chain(&error).as_deref());
            if meaning == Meaning::Alone {
                world.abort(2);
            }
            ExitCode::from(2)
        }
    }
}

fn run(command: Command, terminal: &mut Terminal, world: &World) -> anyhow::Result<Answer> {
    match command {
        Command::Demo(args) => command::demo::run(&args, terminal),
        Command::Init(args) => command::init::run(&args, terminal),
        Command::Check(args) => command::check::run(&args, terminal),
        Command::Audit(args) => command::audit::run(&args, terminal),
        Command::LrFind(args) => command::lr_find::run(&args, terminal),
        Command::Train(args) => command::train::run(&args, terminal, &world.ranks),
        Command::Compare(args) => command::compare::run(&args, terminal, &world.ranks),
        Command::Eval(args) => command::eval::run(&args, terminal, &*world.ranks),
        Command::Predict(args) => command::predict::run(&args, terminal, &*world.ranks),
        Command::Show(args) => command::show::run(&args, terminal),
        Command::Explain(args) => command::explain::run(&args, terminal),
        Command::Serve(args) => command::serve::run(&args, terminal),
        Command::Export(args) => command::export::run(&args, terminal),
        Command::Inspect(args) => command::inspect::run(&args, terminal),
        Command::Backbones(args) => command::backbones::run(&args, terminal),
    }
}
