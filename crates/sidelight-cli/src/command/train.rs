//! `sidelight train CONFIG --out DIR`

use std::sync::Arc;

use sidelight::ranks::Ranks;
use sidelight::run::{Existing, Run};
use sidelight::train::{TrainOptions, Trained, train};

use super::Answer;
use super::narration::narrate;
use crate::args::train::TrainArgs;
use crate::refusal::Refusal;
use crate::stop;
use crate::terminal::{Table, Terminal, duration};

/// Trains, and prints the metrics of the validation rows.
pub(crate) fn run(
    args: &TrainArgs,
    terminal: &mut Terminal,
    ranks: &Arc<dyn Ranks>,
) -> anyhow::Result<Answer> {
    let config = args
        .configured
        .read_on_all(&**ranks, &args.machine, terminal)?;
    if args.resume
        && let Ok(run) = Run::open(&args.out)
    {
        terminal.say(format!(
            "{} is a finished run: there is nothing to resume",
            args.out.display()
        ));
        let kept = run.metrics()?;
        print(&kept.metrics, kept.rows.valid, args, terminal)?;
        return Ok(Answer::Done);
    }
    let options = TrainOptions {
        out: args.out.clone(),
        existing: match (args.resume, args.overwrite) {
            (true, _) => Existing::Resume,
            (_, true) => Existing::Overwrite,
            _ => Existing::Refuse,
        },
        cache: args.cached.features(),
        ranks: Arc::clone(ranks),
        stop: Some(stop::on_ctrl_c()?),
        on_event: Some(&mut |event| narrate(terminal, "", &event)),
    };
    let Trained { metrics, run, .. } = train(&config, options)?;
    let out = args.out.display();
    let Some(metrics) = metrics else {
        anyhow::bail!(Refusal::new(
            format!("stopped; a checkpoint is saved in {out}"),
            format!(
                "continue with `sidelight train {} --out {out} --resume`",
                args.configured.config.display()
            ),
        ));
    };
    print(&metrics.values, metrics.n, args, terminal)?;
    if !ranks.is_first() {
        return Ok(Answer::Done);
    }
    terminal.say(format!(
        "trained in {}; report: {}",
        duration(run.metrics()?.seconds),
        run.report_path().display()
    ));
    Ok(Answer::Done)
}

/// The metrics of `n` validation rows as a table.
fn print(
    values: &[(String, f64)],
    n: usize,
    args: &TrainArgs,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    let mut table = Table::new(["metric", "value", "n"]);
    for (name, value) in values {
        table.push([name.as_str().into(), (*value).into(), n.into()]);
    }
    terminal.table(&table, args.printed.format)?;
    Ok(())
}
