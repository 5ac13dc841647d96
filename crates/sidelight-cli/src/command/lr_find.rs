//! `sidelight lr-find CONFIG`

use sidelight::report::rate_page;
use sidelight::tensor::Device;
use sidelight::train::lr_find::lr_find;
use sidelight::train::{Event, Session, TrainingLog};

use super::Answer;
use super::narration::narrate;
use crate::args::lr_find::LrFindArgs;
use crate::stop;
use crate::terminal::{Table, Terminal, significant};

/// Tries rates from small to large; the answer is no if none can be suggested.
pub(crate) fn run(args: &LrFindArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    args.machine.prepare()?;
    let config = args.configured.read_to_build(&args.machine, terminal)?;
    let (session, remarks) = Session::new(&config, &Device::flex().autodiff())?;
    let mut say = |event: Event| narrate(terminal, "", &event);
    let mut log = TrainingLog::new(&mut say);
    session.announce(&remarks, &mut log);
    let found = lr_find(session, &mut log, stop::on_ctrl_c()?)?;
    drop(log);

    let lowest = found.losses.iter().copied().fold(f64::INFINITY, f64::min);
    let mut table = Table::new(["suggestion", "steps", "lowest_loss"]);
    table.push([
        found.suggestion.into(),
        found.rates.len().into(),
        lowest.into(),
    ]);
    terminal.table(&table, args.printed.format)?;
    args.page.write(terminal, || {
        let title = args.configured.config.display().to_string();
        Ok(rate_page(
            &title,
            &found.rates,
            &found.losses,
            found.suggestion,
        ))
    })?;
    Ok(match found.suggestion {
        Some(rate) => {
            terminal.say(format!(
                "use it with --set train.learning_rate={}",
                significant(rate)
            ));
            Answer::Done
        }
        None => {
            terminal.warn("no rate to suggest: the loss did not fall for long enough");
            Answer::No
        }
    })
}
