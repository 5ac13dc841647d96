//! `sidelight eval RUN [TABLE]`

use sidelight::metric::Metrics;
use sidelight::predict::{Model, evaluate_with};
use sidelight::run::Run;

use super::{Answer, problems, rows};
use crate::args::EvalArgs;
use crate::terminal::{Cell, Table, Terminal, count};

/// Scores the run on its validation rows or on a table.
pub(crate) fn run(args: &EvalArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    args.machine.prepare()?;
    let mut model = Model::load(&Run::open(&args.run)?.model_dir())?;
    args.machine.configure_model(&mut model);
    let (dataset, of) = match &args.table {
        None => (
            rows::validation(&model.config)?,
            "validation row".to_owned(),
        ),
        Some(path) => (
            rows::of_table(&model.config, path, terminal)?,
            "row".to_owned(),
        ),
    };
    let options = args.looks.options();
    let (metrics, predictions) = evaluate_with(&model, &dataset, options, &mut |done, all| {
        terminal.progress(|| args.looks.progress(done, all))
    })?;
    problems::say(&dataset, &predictions, terminal);
    terminal.table(&scores(&metrics), args.format)?;
    terminal.say(format!(
        "over {} with a known target",
        count(metrics.n, &of)
    ));
    Ok(Answer::Done)
}

/// All scores: of all rows together first, then per class, point, label or column.
pub(super) fn scores(metrics: &Metrics) -> Table {
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
