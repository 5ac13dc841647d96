//! `sidelight lr-find CONFIG`

use sidelight::report::rate_page;
use sidelight::run::write_whole;
use sidelight::tensor::Device;
use sidelight::train::lr_find::lr_find;
use sidelight::train::{Event, Session, TrainingLog};

use super::Answer;
use super::narration::narrate;
use super::weights::read_for;
use crate::args::LrFindArgs;
use crate::stop;
use crate::terminal::{Cell, Table, Terminal, significant};

/// Tries rates from small to large; the answer is no where none can be suggested.
pub(crate) fn run(args: &LrFindArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let config = read_for(&args.machine, &args.config, &args.set, terminal)?;
    let (session, remarks) = Session::new(&config, &Device::flex().autodiff())?;
    let mut say = |event: Event| narrate(terminal, "", &event);
    let mut log = TrainingLog::new(&mut say);
    session.announce(&remarks, &mut log);
    let found = lr_find(session, &mut log, stop::on_ctrl_c()?)?;
    drop(log);

    let lowest = found.losses.iter().copied().fold(f64::INFINITY, f64::min);
    let mut table = Table::new(["suggestion", "steps", "lowest_loss"]);
    table.push([
        found.suggestion.map_or(Cell::Empty, Cell::from),
        found.rates.len().into(),
        lowest.into(),
    ]);
    terminal.table(&table, args.format)?;
    if let Some(path) = &args.out {
        let title = args.config.display().to_string();
        let html = rate_page(&title, &found.rates, &found.losses, found.suggestion);
        write_whole(path, |file| file.write_all(html.as_bytes()))?;
        terminal.say(format!("page: {}", path.display()));
    }
    Ok(match found.suggestion {
        Some(rate) => {
            terminal.say(format!(
                "take it with --set train.learning_rate={}",
                significant(rate)
            ));
            Answer::Done
        }
        None => {
            terminal.warn("no rate can be suggested: the loss did not fall for long enough");
            Answer::No
        }
    })
}
