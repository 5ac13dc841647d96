//! `sidelight show CONFIG|RUN`

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use sidelight::dataset::{Dataset, Targets};
use sidelight::image::decode;
use sidelight::loader::{HostBatch, Last, Loader, LoaderOptions, Plan, Source};
use sidelight::predict::{Model, Predictions};
use sidelight::report::overlay::as_read;
use sidelight::report::{Card, Outcome, ShowPage, ShowRow};
use sidelight::run::{Run, TargetCell, write_whole};
use sidelight::task::{Prediction, Task};
use sidelight::tensor::Device;
use sidelight::train::Session;

use super::weights::read_config;
use super::{Answer, rows};
use crate::args::{Format, ShowArgs};
use crate::refusal::Refusal;
use crate::terminal::{Cell, Table, Terminal, count, significant};

/// Validation rows with the largest losses that a run's page shows.
const WORST: usize = 12;

/// What is looked at.
struct Subject {
    title: String,
    source: Source,
    plan: Plan,
    /// For a run: predictions of every row of the data set.
    predictions: Option<Predictions>,
    remarks: Vec<String>,
}

/// Prints rows as read and as encoded, and writes the page.
pub(crate) fn run(args: &ShowArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    args.machine.prepare()?;
    let subject = if args.source.is_dir() {
        of_run(args, terminal)?
    } else {
        of_config(args, terminal)?
    };
    let batch = Loader::new(
        subject.source.clone(),
        subject.plan.clone(),
        LoaderOptions::default(),
    )
    .next()
    .context("there is no row to show")??;
    subject
        .remarks
        .iter()
        .for_each(|remark| terminal.say(remark));
    terminal.table(&read(&subject, &batch), Format::Text)?;
    if let Some(&first) = batch.rows.first() {
        terminal.data(&format!(
            "\nrow {} as the network gets it:\n",
            subject.source.dataset.rows[first] + 1
        ))?;
        terminal.table(&encoded(&subject.source, &batch), Format::Text)?;
    }
    if let Some(out) = &args.out {
        let html = page(&subject, &batch)?.html();
        write_whole(out, |file| file.write_all(html.as_bytes()))?;
        terminal.say(format!("page: {}", out.display()));
    }
    Ok(Answer::Done)
}

/// The first batch that training would get, changed at random as configured.
fn of_config(args: &ShowArgs, terminal: &mut Terminal) -> anyhow::Result<Subject> {
    let mut config = read_config(&args.source, &args.set, terminal)?;
    args.machine.configure(&mut config);
    let (session, remarks) = Session::new(&config, &Device::flex())?;
    let source = Source {
        cache: None,
        ..session.feed.source.clone()
    };
    let plan = Plan::training(&session.feed.train, args.rows, Last::Keep, source.seed, 0);
    Ok(Subject {
        title: name(&args.source),
        source,
        plan,
        predictions: None,
        remarks,
    })
}

/// The first validation rows of a run, with its predictions.
fn of_run(args: &ShowArgs, terminal: &mut Terminal) -> anyhow::Result<Subject> {
    if !args.set.is_empty() {
        return Err(Refusal::new(
            "a run's configuration cannot be changed",
            "leave out --set, or show a sidelight.toml",
        )
        .into());
    }
    let run = Run::open(&args.source)?;
    let mut model = Model::load(&run.model_dir())?;
    args.machine.configure_model(&mut model);
    let dataset = rows::validation(&model.config)?;
    let predictions = model.predict(&dataset, &mut |done, all| {
        terminal.progress(|| format!("{done} of {all} rows"))
    })?;
    let (metadata, _) = model.encoder.encode(&dataset.metadata)?;
    let plan = Plan::evaluation(&(0..dataset.len()).collect::<Vec<_>>(), args.rows);
    let source = Source {
        dataset: Arc::new(dataset),
        metadata: Arc::new(metadata),
        preprocess: model.preprocess(),
        reads_image: !matches!(model.config.model.arm, sidelight::config::Arm::Metadata),
        encoder: Arc::new(model.encoder),
        task: Arc::new(model.task),
        augment: None,
        hide: None,
        cache: None,
        seed: 0,
    };
    Ok(Subject {
        title: name(&args.source),
        source,
        plan,
        predictions: Some(predictions),
        remarks: Vec::new(),
    })
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

/// Each row as read: its number, image, metadata and target; for a run also prediction and loss.
fn read(subject: &Subject, batch: &HostBatch) -> Table {
    let Source { dataset, task, .. } = &subject.source;
    let columns = dataset
        .metadata
        .columns
        .iter()
        .map(|column| column.name.clone());
    let mut header = vec!["row".to_owned(), "image".to_owned()];
    header.extend(columns);
    header.push("target".to_owned());
    if subject.predictions.is_some() {
        header.extend(["prediction".to_owned(), "loss".to_owned()]);
    }
    let mut table = Table::with_header(header);
    for &row in &batch.rows {
        let mut cells: Vec<Cell> = vec![(dataset.rows[row] + 1).into(), image(dataset, row).into()];
        cells.extend(
            as_read(&dataset.metadata, row)
                .into_iter()
                .map(|(_, cell)| cell.into()),
        );
        cells.push(
            dataset
                .targets
                .as_ref()
                .map(|targets| truth(targets, row))
                .into(),
        );
        if let Some(predictions) = &subject.predictions {
            cells.push(
                predictions.predictions[row]
                    .as_ref()
                    .map(|prediction| said(task, prediction))
                    .into(),
            );
            let loss = predictions
                .losses
                .as_ref()
                .map(|losses| f64::from(losses[row]));
            cells.push(loss.filter(|loss| loss.is_finite()).into());
        }
        table.push_row(cells);
    }
    table
}

/// The first row's encoding, number by number, and its target as it is learned.
fn encoded(source: &Source, batch: &HostBatch) -> Table {
    let row = ShowRow::new(batch, 0, source, None);
    let mut table = Table::new(["number", "value"]);
    for (name, value) in row.slots {
        table.push([name.into(), f64::from(value).into()]);
    }
    for (name, code) in row.codes {
        table.push([format!("{name}, embedded").into(), (code as usize).into()]);
    }
    for (name, value) in row.target {
        table.push([format!("target {name}").into(), value.map(f64::from).into()]);
    }
    table
}

fn page(subject: &Subject, batch: &HostBatch) -> anyhow::Result<ShowPage> {
    let Source {
        dataset,
        encoder,
        preprocess,
        ..
    } = &subject.source;
    let embedded = encoder.embeddings().len();
    let worst = match &subject.predictions {
        Some(predictions) => worst(&subject.source, predictions)?,
        None => Vec::new(),
    };
    let what = match subject.predictions {
        Some(_) => "validation rows, as the trained network reads them, with its predictions",
        None => "training rows of the first batch, changed at random as configured",
    };
    Ok(ShowPage {
        title: subject.title.clone(),
        lead: format!("{} {what}.", batch.rows.len()),
        facts: vec![
            (
                "input".to_owned(),
                format!("{0} × {0} pixels", preprocess.size),
            ),
            (
                "metadata".to_owned(),
                count(dataset.metadata.columns.len(), "column"),
            ),
            (
                "encoded as".to_owned(),
                format!(
                    "{} and {embedded} embedded",
                    count(encoder.d_dense(), "number")
                ),
            ),
        ],
        remarks: subject.remarks.clone(),
        rows: (0..batch.rows.len())
            .map(|at| shown(subject, batch, at))
            .collect(),
        worst,
    })
}

/// A row of the batch: the picture and the points as the network gets them.
fn shown(subject: &Subject, batch: &HostBatch, at: usize) -> ShowRow {
    let predictions = subject.predictions.as_ref();
    let prediction = predictions.and_then(|all| all.predictions[batch.rows[at]].as_ref());
    ShowRow::new(batch, at, &subject.source, prediction)
}

/// The rows with the largest losses, each on its own picture.
fn worst(source: &Source, predictions: &Predictions) -> anyhow::Result<Vec<Card>> {
    let Some(losses) = &predictions.losses else {
        return Ok(Vec::new());
    };
    let mut order: Vec<usize> = (0..losses.len())
        .filter(|&row| losses[row].is_finite())
        .collect();
    order.sort_by(|&a, &b| losses[b].total_cmp(&losses[a]));
    let dataset = &source.dataset;
    let card = |&row: &usize| -> anyhow::Result<Card> {
        let picture = if source.reads_image {
            Some(decode(&dataset.images[row], None)?)
        } else {
            None
        };
        let target = dataset.targets.as_ref().map(|targets| TargetCell {
            targets,
            position: row,
        });
        let outcome = Outcome::new(&source.task, target, predictions.predictions[row].as_ref());
        let metadata = as_read(&dataset.metadata, row);
        Ok(Card::new(
            dataset.rows[row] + 1,
            &image(dataset, row),
            picture.as_ref(),
            outcome,
            metadata,
        ))
    };
    order.iter().take(WORST).map(card).collect()
}

/// The image's name without its folders.
fn image(dataset: &Dataset, row: usize) -> String {
    let name = sidelight::image::name(&dataset.images[row]);
    name.rsplit(['/', '\\']).next().unwrap_or(&name).to_owned()
}

/// A row's target in a few words.
fn truth(targets: &Targets, row: usize) -> String {
    match targets {
        Targets::Keypoints { n_points, xy } => points(&xy[row * n_points..(row + 1) * n_points]),
        Targets::Class { names, index } => {
            index[row].map_or_else(String::new, |class| names[class as usize].clone())
        }
        Targets::Multilabel { names, present } => {
            let present = &present[row * names.len()..(row + 1) * names.len()];
            let named = names
                .iter()
                .zip(present)
                .filter(|(_, present)| **present == Some(true));
            named
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        }
        Targets::Regression { names, values } => {
            let values = &values[row * names.len()..(row + 1) * names.len()];
            values
                .iter()
                .map(|&value| significant(value))
                .collect::<Vec<_>>()
                .join(", ")
        }
    }
}

/// A prediction in a few words.
fn said(task: &Task, prediction: &Prediction) -> String {
    match (task, prediction) {
        (_, Prediction::Keypoints { xy }) => points(xy),
        (_, Prediction::Regression { values }) => values
            .iter()
            .map(|&value| significant(value))
            .collect::<Vec<_>>()
            .join(", "),
        (Task::Class { names, .. }, Prediction::Class { probabilities }) => {
            let likeliest = names
                .iter()
                .zip(probabilities)
                .max_by(|a, b| a.1.total_cmp(b.1));
            likeliest.map_or_else(String::new, |(name, p)| format!("{name} ({p:.2})"))
        }
        (Task::Multilabel { names, .. }, Prediction::Multilabel { probabilities }) => {
            let likely = names.iter().zip(probabilities).filter(|(_, p)| **p >= 0.5);
            likely
                .map(|(name, p)| format!("{name} ({p:.2})"))
                .collect::<Vec<_>>()
                .join(", ")
        }
        _ => String::new(),
    }
}

/// The first points; a row of a terminal does not hold many.
fn points(xy: &[[f32; 2]]) -> String {
    let shown = xy.iter().take(2).map(|[x, y]| {
        if x.is_nan() {
            "missing".to_owned()
        } else {
            format!("({x:.0}, {y:.0})")
        }
    });
    let more = if xy.len() > 2 { " …" } else { "" };
    shown.collect::<Vec<_>>().join(" ") + more
}
