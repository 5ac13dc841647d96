//! `sidelight explain RUN [TABLE]`

use anyhow::Context;
use sidelight::dataset::{Dataset, Metadata};
use sidelight::explain::{
    Arrow, Curve, ExplainPage, ExplainedRow, Importance, MeanShare, Picture, Prepared, Share,
    arrows, importance, mean_share, occlusion, point_number, shares, what_if,
};
use sidelight::metric::better;
use sidelight::predict::Model;
use sidelight::split::split;

use super::{Answer, rows};
use crate::args::explain::ExplainArgs;
use crate::refusal::Refusal;
use crate::terminal::{Cell, Table, Terminal, count, significant};

/// Rows that a page shows if none is asked for.
const SHOWN: usize = 6;

/// Prints how much columns matter, or what one row's prediction is made of, and writes the page.
pub(crate) fn run(args: &ExplainArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    args.machine.prepare()?;
    let model = args.machine.load(&args.run)?;
    let point = args.point.as_deref();
    let point = point
        .map(|name| point_number(&model.task, name))
        .transpose()?;
    let (dataset, kind) = rows::read(&model, args.table.as_deref(), None, terminal)?;
    let prepared = Prepared::new(&model, &dataset, &mut |done, all| {
        terminal.progress(|| format!("{done} of {all} rows read"))
    })?;
    for (_, problem) in &prepared.problems {
        terminal.warn(sidelight::error::in_full(&**problem));
    }
    let all = shares(&prepared, point);
    // A single row cannot be shuffled.
    let is_asked = args.row.is_none() && point.is_none() || args.page.out.is_some();
    let worth = match dataset.targets.is_some() && is_asked {
        true => importance(&prepared, args.repeats, args.seed)?,
        false => Vec::new(),
    };
    let explained = chosen(args, &dataset, &all)?;
    let range = range(&model, &dataset);
    let curves: Vec<Vec<Curve>> = match args.row.is_some() || args.page.out.is_some() {
        false => Vec::new(),
        true => explained
            .iter()
            .map(|share| what_if(&prepared, share.row, &share.quantity, &range))
            .collect::<Result<_, _>>()?,
    };
    let moved = |share: &&Share| match point {
        Some(point) => arrows(&prepared, share.row, point),
        None => Vec::new(),
    };
    let moved: Vec<Vec<Arrow>> = explained.iter().map(moved).collect();
    let table = match (args.row, explained.first()) {
        _ if point.is_some() => arrows_table(&dataset, &explained, &moved),
        (Some(_), Some(share)) => row_table(&model, share, &curves[0]),
        _ if !worth.is_empty() => worth_table(&worth),
        _ => shares_table(&model, &dataset, &all),
    };
    terminal.table(&table, args.printed.format)?;
    let mean = mean_share(&all);
    let lead = match (args.row, explained.first()) {
        (Some(row), Some(share)) => row_sentence(row, &model, share),
        _ => sentence(&worth, mean, &count(all.len(), kind)),
    };
    args.page.write(terminal, || {
        let page = ExplainPage {
            title: args.run.display().to_string(),
            lead: lead.clone(),
            facts: facts(&model, &dataset, kind, args.repeats),
            importance: worth,
            n: all.len(),
            mean,
            rows: explained_rows(&prepared, &explained, moved, curves)?,
            remarks: dataset.remarks.clone(),
        };
        Ok(page.html())
    })?;
    terminal.say(lead);
    Ok(Answer::Done)
}

/// The requested row, else the rows that metadata moved the most.
fn chosen<'a>(
    args: &ExplainArgs,
    dataset: &Dataset,
    all: &'a [Share],
) -> anyhow::Result<Vec<&'a Share>> {
    if let Some(row) = args.row {
        let position = dataset
            .rows
            .iter()
            .position(|table_row| table_row + 1 == row);
        let found = all.iter().find(|share| Some(share.row) == position);
        let found = found.ok_or_else(|| {
            let known = match &dataset.rows[..] {
                [] => "there are no rows".to_owned(),
                [first, ..] => format!(
                    "rows are counted from 1 in the table; the first here is {}",
                    first + 1
                ),
            };
            Refusal::new(format!("row {row} is not among the rows to explain"), known)
        })?;
        return Ok(vec![found]);
    }
    let mut order: Vec<&Share> = all.iter().collect();
    order.sort_by(|a, b| b.metadata.abs().total_cmp(&a.metadata.abs()));
    order.truncate(SHOWN);
    order.sort_by_key(|share| share.row);
    Ok(order)
}

/// The columns' values in training if its table is still there, else those of the rows at hand.
fn range(model: &Model, dataset: &Dataset) -> Metadata {
    let training = || -> anyhow::Result<Metadata> {
        let table = model.config.data.read_table()?;
        let whole = Dataset::new(&table, &model.config)?;
        let divided = split(&whole, &model.config.data.split)?;
        Ok(whole.metadata.select(&divided.train))
    };
    training().unwrap_or_else(|_| dataset.metadata.clone())
}

fn explained_rows(
    prepared: &Prepared<'_>,
    explained: &[&Share],
    arrows: Vec<Vec<Arrow>>,
    curves: Vec<Vec<Curve>>,
) -> anyhow::Result<Vec<ExplainedRow>> {
    let predictions = prepared.predict(Picture::Own, &prepared.metadata);
    let row = |((share, arrows), curves): ((&&Share, Vec<Arrow>), Vec<Curve>)| {
        let looked =
            occlusion(prepared, share).context("cannot compute where the network looks")?;
        let prediction = predictions[share.row].as_ref();
        let (share, looked) = ((*share).clone(), looked.as_ref());
        Ok(ExplainedRow::new(
            prepared, share, prediction, looked, arrows, curves,
        ))
    };
    explained.iter().zip(arrows).zip(curves).map(row).collect()
}

fn facts(model: &Model, dataset: &Dataset, kind: &str, repeats: usize) -> Vec<(String, String)> {
    let mut facts = vec![
        ("rows".to_owned(), count(dataset.len(), kind)),
        ("backbone".to_owned(), model.config.model.backbone.clone()),
        ("fusion".to_owned(), model.config.model.fusion.clone()),
        ("shuffles of each column".to_owned(), repeats.to_string()),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

fn worth_table(worth: &[Importance]) -> Table {
    let metrics = worth
        .first()
        .map(|first| &first.changes[..])
        .unwrap_or_default();
    let mut header = vec!["column".to_owned()];
    for change in metrics {
        header.extend([change.metric.to_owned(), format!("{}_sd", change.metric)]);
    }
    let mut table = Table::new(header);
    for importance in worth {
        let mut cells: Vec<Cell> = vec![importance.column.as_str().into()];
        for change in &importance.changes {
            cells.extend([Cell::from(change.mean), Cell::from(change.sd)]);
        }
        table.push(cells);
    }
    table
}

fn arrows_table(dataset: &Dataset, explained: &[&Share], arrows: &[Vec<Arrow>]) -> Table {
    let mut table = Table::new(["row", "column", "value", "dx", "dy", "length"]);
    for (share, arrows) in explained.iter().zip(arrows) {
        for arrow in arrows {
            let [x, y] = arrow.by();
            table.push([
                (dataset.rows[share.row] + 1).into(),
                arrow.column.as_str().into(),
                arrow.value.clone().into(),
                x.into(),
                y.into(),
                arrow.length().into(),
            ]);
        }
    }
    table
}

fn row_table(model: &Model, share: &Share, curves: &[Curve]) -> Table {
    let mut table = Table::new(["part", "value", "of"]);
    let name = share.quantity.name(&model.task);
    let parts = [
        ("baseline", share.baseline),
        ("image", share.image),
        ("metadata", share.metadata),
        ("prediction", share.prediction),
    ];
    for (part, value) in parts {
        table.push([part.into(), value.into(), name.as_str().into()]);
    }
    for curve in curves {
        let part = format!("what if `{}` varied", curve.column);
        let y = || curve.points.iter().map(|point| point.y);
        let (low, high) = (
            y().fold(f64::INFINITY, f64::min),
            y().fold(f64::NEG_INFINITY, f64::max),
        );
        let range = format!("{name}, from {} to {}", significant(low), significant(high));
        table.push([part.into(), curve.span().into(), range.into()]);
    }
    table
}

fn shares_table(model: &Model, dataset: &Dataset, all: &[Share]) -> Table {
    let mut table = Table::new(["row", "of", "baseline", "image", "metadata", "prediction"]);
    for share in all {
        table.push([
            (dataset.rows[share.row] + 1).into(),
            share.quantity.name(&model.task).into(),
            share.baseline.into(),
            share.image.into(),
            share.metadata.into(),
            share.prediction.into(),
        ]);
    }
    table
}

fn row_sentence(row: usize, model: &Model, share: &Share) -> String {
    format!(
        "row {row}: {} {} = {} (baseline) + {} (image) + {} (metadata)",
        share.quantity.name(&model.task),
        significant(share.prediction),
        significant(share.baseline),
        significant(share.image),
        significant(share.metadata)
    )
}

fn sentence(worth: &[Importance], mean: Option<MeanShare>, rows: &str) -> String {
    let first = worth
        .first()
        .and_then(|first| Some((first, first.changes.first()?)));
    let column = match first {
        // Within two standard deviations of zero.
        Some((first, change)) if change.mean > 2.0 * change.sd && change.mean > 0.0 => format!(
            "`{}` matters most: shuffling it takes {} from {} to {}",
            first.column,
            change.metric,
            significant(change.intact),
            significant(change.intact - better(change.metric).sign() * change.mean)
        ),
        Some(_) => "no column matters".to_owned(),
        None => String::new(),
    };
    let share = mean.and_then(|mean| mean.of_metadata()).map(|share| {
        format!(
            "{:.0} % of what moves the predictions is metadata",
            100.0 * share
        )
    });
    let said: Vec<String> = [column]
        .into_iter()
        .chain(share)
        .filter(|part| !part.is_empty())
        .collect();
    match said.is_empty() {
        true => format!("nothing moves the predictions ({rows})"),
        false => format!("{} ({rows})", said.join("; ")),
    }
}
