//! The command line of Sidelight: parses, dispatches, prints the error chain and the hint, chooses the exit code.
//!
//! The binary `sidelight` is [`run`]. This is a library so that tests can ask the server's [`router`] in process; it
//! is no programming interface: that is the crate `sidelight`.

#![forbid(unsafe_code)]
// What reads files and requests does not end the program: whatever cannot fail says why.
#![warn(
    clippy::expect_used,
    clippy::unreachable,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

mod args;
mod command;
#[doc(hidden)]
pub mod embed;
mod hint;
mod launch;
mod refusal;
mod serve;
mod stop;
mod terminal;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Arguments, Command};
use command::Answer;
use launch::{Launch, Meaning, World};
use terminal::Terminal;

/// The routes of `sidelight serve WORDS…`, without a socket.
///
/// # Errors
///
/// Where the words are not those of `sidelight serve`, or a run cannot be loaded.
pub fn router<'a>(words: impl IntoIterator<Item = &'a str>) -> anyhow::Result<axum::Router> {
    let words = ["sidelight", "serve"].into_iter().chain(words);
    let Command::Serve(args) = Arguments::try_parse_from(words)?.command else {
        anyhow::bail!("not a command line of `sidelight serve`");
    };
    let log = std::sync::Arc::new(serve::Log::none()?);
    Ok(command::serve::Site::open(&args, log)?.router)
}

/// How long another process has to report its error before the exit code of this one ends all that are left.
const REPORTING_TIME: Duration = Duration::from_secs(2);

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    ExitCode::from(run_words(std::env::args_os()))
}

/// Runs a command line, of which the first word is the program's name; returns the exit code.
pub fn run_words(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> u8 {
    let launch = Launch::from_environment();
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    let arguments = match Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        // The first process reports the error and exits with its code. `mpirun` ends all processes as soon as one exits
        // with another code than 0, and the others would be too early.
        Err(_) if !launch.is_first() => return 0,
        Err(error) => {
            // Nobody reads what cannot be printed.
            let is_version = error.kind() == ErrorKind::DisplayVersion;
            let _ = match is_version && words.iter().any(|word| word == "--verbose") {
                true => Terminal::new(false).data(&version::verbose()),
                false => error.print().map_err(Into::into),
            };
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let mut terminal = Terminal::new(arguments.quiet);
    if !launch.is_first() {
        terminal.mute(true);
    }
    let world = match launch.join(&arguments.command) {
        Ok(world) => world,
        Err(_) if !launch.is_first() => return 0,
        Err(refusal) => {
            let error = refusal.into();
            terminal.error(&error, hint::of_chain(&error).as_deref());
            return 2;
        }
    };
    match world.guard(|| dispatch(arguments.command, &mut terminal, &world)) {
        Ok(Answer::No) if launch.is_first() => 1,
        Ok(Answer::Done | Answer::No) => 0,
        Err(error) => {
            let meaning = World::meaning(&error);
            match meaning {
                Meaning::Known if launch.is_first() => {}
                Meaning::KnownAndOurs | Meaning::Alone => terminal.mute(false),
                Meaning::Known | Meaning::ReportedElsewhere => {
                    std::thread::sleep(REPORTING_TIME);
                    return 2;
                }
            }
            terminal.error(&error, hint::of_chain(&error).as_deref());
            if meaning == Meaning::Alone {
                world.abort(2);
            }
            2
        }
    }
}

fn dispatch(command: Command, terminal: &mut Terminal, world: &World) -> anyhow::Result<Answer> {
    match command {
        Command::Demo(args) => command::demo::run(&args, terminal),
        Command::Init(args) => command::init::run(&args, terminal),
        Command::Import(args) => command::import::run(&args, terminal),
        Command::Check(args) => command::check::run(&args, terminal),
        Command::Audit(args) => command::audit::run(&args, terminal),
        Command::LrFind(args) => command::lr_find::run(&args, terminal),
        Command::Train(args) => command::train::run(&args, terminal, &world.ranks),
        Command::Compare(args) => command::compare::run(&args, terminal, &world.ranks),
        Command::Eval(args) => command::eval::run(&args, terminal, &*world.ranks),
        Command::Predict(args) => command::predict::run(&args, terminal, &*world.ranks),
        Command::Features(args) => command::features::run(&args, terminal),
        Command::Show(args) => command::show::run(&args, terminal),
        Command::Explain(args) => command::explain::run(&args, terminal),
        Command::Serve(args) => command::serve::run(&args, terminal),
        Command::Export(args) => command::export::run(&args, terminal),
        Command::Inspect(args) => command::inspect::run(&args, terminal),
        Command::Backbones(args) => command::backbones::run(&args, terminal),
        Command::Schema(args) => command::schema::run(&args, terminal),
        Command::Completions(args) => command::completions::run(&args, terminal),
        Command::Man(args) => command::man::run(&args, terminal),
    }
}
