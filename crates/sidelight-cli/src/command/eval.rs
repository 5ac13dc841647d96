//! `sidelight eval RUN [TABLE]`

use sidelight::dataset::Dataset;
use sidelight::metric::Metrics;
use sidelight::predict::{Model, PredictOptions, evaluate};
use sidelight::ranks::{Ranks, all_or_none, as_collective_error};

use super::{Answer, problems, rows};
use crate::args::eval::EvalArgs;
use crate::terminal::{Cell, Table, Terminal, count};

/// Evaluates the run on its validation rows or on a table.
pub(crate) fn run(
    args: &EvalArgs,
    terminal: &mut Terminal,
    ranks: &dyn Ranks,
) -> anyhow::Result<Answer> {
    let (model, dataset, noun) = all_or_none(ranks, read(args, terminal))?;
    let mut progress = |done, all| terminal.progress(|| args.tta.progress(done, all));
    let options = PredictOptions {
        tta_passes: args.tta.passes(),
        coverage: args.covering.coverage,
        ranks,
        on_progress: Some(&mut progress),
        ..PredictOptions::default()
    };
    let scored = evaluate(&model, &dataset, options);
    let (metrics, predictions) = scored.map_err(|error| as_collective_error(ranks, error))?;
    problems::say(&dataset, &predictions, terminal);
    terminal.table(&scores(&metrics), args.printed.format)?;
    if args.covering.coverage.is_some() && args.table.is_none() {
        terminal.warn(
            "how large sets are was told from these validation rows, so their coverage is near what was asked whatever the model is worth: evaluate other rows",
        );
    }
    terminal.say(format!(
        "over {} with a known target",
        count(metrics.n, noun)
    ));
    Ok(Answer::Done)
}

/// The model, the rows, and the noun for them.
fn read(
    args: &EvalArgs,
    terminal: &mut Terminal,
) -> anyhow::Result<(Model, Dataset, &'static str)> {
    args.machine.prepare()?;
    let model = args.machine.load(&args.run)?;
    let (dataset, noun) = rows::read(&model.config, args.table.as_deref(), terminal)?;
    Ok((model, dataset, noun))
}

/// All metrics: over all rows first, then per class, keypoint, label or column.
fn scores(metrics: &Metrics) -> Table {
    let mut table = Table::new(["of", "metric", "value", "n"]);
    for (name, value) in &metrics.values {
        table.push([
            "all".into(),
            name.as_str().into(),
            (*value).into(),
            metrics.n.into(),
        ]);
    }
    for (part, values) in &metrics.per_part {
        let n = values
            .iter()
            .find(|(name, _)| name == "n")
            .map(|(_, n)| *n as usize);
        for (name, value) in values.iter().filter(|(name, _)| name != "n") {
            table.push([
                part.as_str().into(),
                name.as_str().into(),
                (*value).into(),
                Cell::from(n),
            ]);
        }
    }
    table
}
