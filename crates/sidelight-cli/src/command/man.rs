//! `sidelight man`

use std::fs;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::Man;
use sidelight::run::write_whole;

use super::Answer;
use crate::args::Arguments;
use crate::args::man::ManArgs;
use crate::terminal::{Terminal, count};

/// Writes a page of the whole and one of each command.
pub(crate) fn run(args: &ManArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let mut whole = Arguments::command();
    // Commands learn their own names and the options of all of them.
    whole.build();
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make the folder {}", args.out.display()))?;
    let commands = whole
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let mut n_pages = 0;
    for command in commands.chain([&whole]) {
        let page = Man::new(command.clone())
            .source(concat!("sidelight ", env!("CARGO_PKG_VERSION")))
            .manual("Sidelight");
        let path = args.out.join(page.get_filename());
        let mut roff = Vec::new();
        page.render(&mut roff)?;
        write_whole(&path, |file| file.write_all(&roff))?;
        n_pages += 1;
    }
    terminal.say(format!(
        "wrote {} to {}",
        count(n_pages, "page"),
        args.out.display()
    ));
    Ok(Answer::Done)
}
