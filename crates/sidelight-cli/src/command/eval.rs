//! `sidelight eval RUN [TABLE]`

use sidelight::dataset::Dataset;
use sidelight::metric::Metrics;
use sidelight::predict::{Model, PredictOptions, constant, evaluate, evaluate_groups};
use sidelight::ranks::{Ranks, all_or_none, as_collective_error};

use super::{Answer, baseline, problems, rows};
use crate::args::eval::EvalArgs;
use crate::refusal::Refusal;
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
    if !dataset.is_empty() && predictions.problems.len() == dataset.len() {
        anyhow::bail!(Refusal::new(
            format!("no row of {} could be predicted", dataset.path.display()),
            "--image says where the images of a table are",
        ));
    }
    if metrics.n == 0 {
        let names = model.config.target.names().join("`, `");
        anyhow::bail!(Refusal::new(
            format!(
                "no row of {} has a target: `{names}` is empty in all of them",
                dataset.path.display()
            ),
            "`sidelight predict` needs no targets",
        ));
    }
    let groups = match &args.by {
        Some(by) => Some((by, evaluate_groups(&model, &dataset, &predictions, by)?)),
        None => None,
    };
    let constant = constant(&model, &dataset).map_or_else(Vec::new, |constant| constant.values);
    let mut table = scores(&metrics, &constant);
    if let Some((by, metrics)) = &groups {
        add_groups(&mut table, by, metrics, !constant.is_empty());
    }
    terminal.table(&table, args.printed.format)?;
    if let Some(doubt) = baseline::doubt(&metrics.values, &constant) {
        terminal.warn(doubt);
    }
    if args.covering.coverage.is_some() && args.table.is_none() {
        terminal.warn(
            "how large sets are was told from these validation rows, so their coverage is near what was asked whatever the model is worth: evaluate other rows",
        );
    }
    let of_groups = groups.as_ref().map_or_else(String::new, |(by, metrics)| {
        format!(", {} by `{by}`", count(metrics.n, "group"))
    });
    terminal.say(format!(
        "over {} with a known target{of_groups}",
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
    let mut model = args.machine.load(&args.run)?;
    rows::with_images(&mut model, &args.images)?;
    let (dataset, noun) = rows::read(&model, args.table.as_deref(), args.by.as_deref(), terminal)?;
    Ok((model, dataset, noun))
}

/// All metrics: over all rows first, then per class, keypoint, label or column.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "how many rows a part has stands among its metrics"
)]
fn scores(metrics: &Metrics, constant: &[(String, f64)]) -> Table {
    let has_constant = !constant.is_empty();
    let header = ["of", "metric", "value", "constant", "n"];
    let mut table = Table::new(
        header
            .into_iter()
            .filter(|name| has_constant || *name != "constant"),
    );
    let mut push = |of: &str, name: &str, value: f64, guess: Cell, n: Cell| {
        let mut row: Vec<Cell> = vec![of.into(), name.into(), value.into()];
        row.extend(has_constant.then_some(guess));
        row.push(n);
        table.push(row);
    };
    for (name, value) in &metrics.values {
        let guess = baseline::guessed(constant, name);
        push("all", name, *value, guess, metrics.n.into());
    }
    for (part, values) in &metrics.per_part {
        let n = values
            .iter()
            .find(|(name, _)| name == "n")
            .map(|(_, n)| *n as usize);
        for (name, value) in values.iter().filter(|(name, _)| name != "n") {
            push(part, name, *value, Cell::from(None::<f64>), Cell::from(n));
        }
    }
    table
}

/// The metrics of groups, after those of their rows.
fn add_groups(table: &mut Table, by: &str, metrics: &Metrics, has_constant: bool) {
    for (name, value) in &metrics.values {
        let mut row: Vec<Cell> = vec![
            format!("by {by}").into(),
            name.as_str().into(),
            (*value).into(),
        ];
        row.extend(has_constant.then(|| Cell::from(None::<f64>)));
        row.push(metrics.n.into());
        table.push(row);
    }
}
