//! `sidelight train CONFIG --out DIR`

use std::sync::Arc;

use sidelight::ranks::Ranks;
use sidelight::run::Existing;
use sidelight::train::{TrainOptions, Trained, train};

use super::Answer;
use super::narration::narrate;
use super::weights::read_on_all;
use crate::args::TrainArgs;
use crate::refusal::Refusal;
use crate::stop;
use crate::terminal::{Table, Terminal, duration};

/// Trains, and prints the scores of the validation rows.
pub(crate) fn run(
    args: &TrainArgs,
    terminal: &mut Terminal,
    ranks: &Arc<dyn Ranks>,
) -> anyhow::Result<Answer> {
    let config = read_on_all(&**ranks, &args.machine, &args.config, &args.set, terminal)?;
    let options = TrainOptions {
        out: args.out.clone(),
        existing: match (args.resume, args.overwrite) {
            (true, _) => Existing::Resume,
            (_, true) => Existing::Overwrite,
            _ => Existing::Refuse,
        },
        cache: args.kept.features(),
        ranks: Arc::clone(ranks),
        stop: Some(stop::on_ctrl_c()?),
        on_event: Some(&mut |event| narrate(terminal, "", &event)),
    };
    let Trained { metrics, run, .. } = train(&config, options)?;
    let out = args.out.display();
    let Some(metrics) = metrics else {
        return Err(Refusal::new(
            format!("stopped; what was learned is saved in {out}"),
            format!(
                "go on with `sidelight train {} --out {out} --resume`",
                args.config.display()
            ),
        )
        .into());
    };
    let mut table = Table::new(["metric", "value", "n"]);
    for (name, value) in &metrics.values {
        table.push([name.as_str().into(), (*value).into(), metrics.n.into()]);
    }
    terminal.table(&table, args.format)?;
    if !ranks.is_first() {
        return Ok(Answer::Done);
    }
    let seconds = run.metrics()?.seconds;
    terminal.say(format!(
        "{} of training; report: {}",
        duration(seconds),
        run.report_path().display()
    ));
    Ok(Answer::Done)
}
