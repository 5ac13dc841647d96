//! `sidelight show CONFIG|RUN`

use anyhow::Context;
use sidelight::dataset::Dataset;
use sidelight::loader::{BatchPlan, HostBatch, Last, Loader, LoaderOptions, Source};
use sidelight::predict::{PredictOptions, Predictions};
use sidelight::report::{Card, LabelBar, Outcome, ShowPage, ShowRow};
use sidelight::run::TargetCell;
use sidelight::task::{Prediction, argmax};
use sidelight::tensor::Device;
use sidelight::train::Session;

use super::{Answer, rows};
use crate::args::show::ShowArgs;
use crate::args::{Configured, Format};
use crate::refusal::Refusal;
use crate::terminal::{Cell, Table, Terminal, count, significant};

/// Validation rows with the largest losses that a run's page shows.
const WORST: usize = 12;

/// What is shown.
struct Subject {
    title: String,
    source: Source,
    plan: BatchPlan,
    /// For a run: predictions of every row of the data set.
    predictions: Option<Predictions>,
    remarks: Vec<String>,
}

impl Subject {
    fn prediction(&self, row: usize) -> Option<&Prediction> {
        self.predictions.as_ref()?.predictions[row].as_ref()
    }
}

/// Prints rows as read and as encoded, and writes the page.
pub(crate) fn run(args: &ShowArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    args.machine.prepare()?;
    let mut subject = if args.source.is_dir() {
        of_run(args, terminal)?
    } else {
        of_config(args)?
    };
    let batch = Loader::new(
        subject.source.clone(),
        subject.plan.clone(),
        LoaderOptions::default(),
    )
    .next()
    .context("no rows to show")??;
    let shown = |(at, &row): (usize, &usize)| {
        ShowRow::new(&batch, at, &subject.source, subject.prediction(row))
    };
    let shown: Vec<ShowRow> = batch.rows.iter().enumerate().map(shown).collect();
    subject.remarks.extend(hidden(&shown));
    terminal.say_all(&subject.remarks);
    terminal.table(&read(&subject, &batch, &shown), Format::Text)?;
    if let Some(first) = shown.first() {
        terminal.data(&format!("\n{} as the network sees it:\n", first.card.title))?;
        terminal.table(&encoded(first), Format::Text)?;
    }
    args.page
        .write(terminal, || Ok(page(&subject, shown).html()))?;
    Ok(Answer::Done)
}

/// What marked cells are, where there are any.
fn hidden(shown: &[ShowRow]) -> Option<String> {
    let n = shown.iter().filter(|row| !row.hidden.is_empty()).count();
    (n > 0).then(|| {
        format!(
            "metadata dropout hides the cells marked (hidden) from the network, in {n} of {}: training shows this batch \
             so, and draws anew in each epoch (`augment.hide_metadata`, `augment.hide_column`)",
            count(shown.len(), "row")
        )
    })
}

/// The first training batch, augmented as configured.
fn of_config(args: &ShowArgs) -> anyhow::Result<Subject> {
    let configured = Configured::new(args.source.clone(), args.overrides.set.clone());
    let config = configured.read_to_look(&args.machine)?;
    let (session, remarks) = Session::new(&config, &Device::flex())?;
    let source = Source {
        cache: None,
        ..session.setup.batches.source.clone()
    };
    let plan = BatchPlan::training(
        &session.setup.batches.train,
        args.rows,
        Last::Keep,
        source.seed,
        0,
    );
    Ok(Subject {
        title: args.source.display().to_string(),
        source,
        plan,
        predictions: None,
        remarks,
    })
}

/// The first validation rows of a run, with its predictions.
fn of_run(args: &ShowArgs, terminal: &mut Terminal) -> anyhow::Result<Subject> {
    if !args.overrides.set.is_empty() {
        anyhow::bail!(Refusal::new(
            "the configuration of a run cannot be overridden",
            "leave out --set, or give a sidelight.toml",
        ));
    }
    let model = args.machine.load(&args.source)?;
    let dataset = rows::validation(&model.config, None)?;
    let options = PredictOptions {
        on_progress: Some(&mut |done, all| terminal.progress(|| format!("{done} of {all} rows"))),
        ..PredictOptions::default()
    };
    let predictions = model.predict(&dataset, options)?;
    let plan = BatchPlan::evaluation(&(0..dataset.len()).collect::<Vec<_>>(), args.rows);
    let (source, _) = model.source(dataset)?;
    Ok(Subject {
        title: args.source.display().to_string(),
        source,
        plan,
        predictions: Some(predictions),
        remarks: Vec::new(),
    })
}

/// Each row as read: its number, image, metadata and target; for a run also prediction and loss.
fn read(subject: &Subject, batch: &HostBatch, shown: &[ShowRow]) -> Table {
    let Source { dataset, task, .. } = &subject.source;
    let columns = dataset.metadata.columns.iter();
    let mut header = vec!["row".to_owned(), "image".to_owned()];
    header.extend(columns.map(|column| column.name.clone()));
    header.push("target".to_owned());
    if subject.predictions.is_some() {
        header.extend(["prediction".to_owned(), "loss".to_owned()]);
    }
    let mut table = Table::new(header);
    for (&row, shown) in batch.rows.iter().zip(shown) {
        let mut cells: Vec<Cell> = vec![(dataset.rows[row] + 1).into(), image(dataset, row).into()];
        cells.extend(shown.metadata().into_iter().map(|(_, cell)| cell.into()));
        let prediction = subject.prediction(row);
        let outcome = Outcome::new(task, TargetCell::of_row(dataset, row), prediction);
        let [truth, predicted] = in_words(&outcome);
        cells.push(dataset.targets.as_ref().map(|_| truth).into());
        if let Some(predictions) = &subject.predictions {
            let losses = predictions.losses.as_ref();
            let loss = losses.map(|losses| f64::from(losses[row]));
            cells.push(prediction.map(|_| predicted).into());
            cells.push(loss.filter(|loss| loss.is_finite()).into());
        }
        table.push(cells);
    }
    table
}

/// A row's encoding, number by number, and its target as it is learned.
fn encoded(row: &ShowRow) -> Table {
    let mut table = Table::new(["number", "value"]);
    for (name, value) in &row.slots {
        table.push([name.clone().into(), f64::from(*value).into()]);
    }
    for (name, code) in &row.codes {
        table.push([format!("{name}, embedded").into(), (*code as usize).into()]);
    }
    for (name, value) in &row.target {
        table.push([format!("target {name}").into(), value.map(f64::from).into()]);
    }
    table
}

fn page(subject: &Subject, rows: Vec<ShowRow>) -> ShowPage {
    let Source {
        dataset,
        encoder,
        preprocess,
        ..
    } = &subject.source;
    let embedded = encoder.embeddings().len();
    let worst = match &subject.predictions {
        Some(predictions) => worst(&subject.source, predictions),
        None => Vec::new(),
    };
    let what = match subject.predictions {
        Some(_) => "validation rows, as the trained network sees them, with its predictions",
        None => "training rows of the first batch, augmented as configured",
    };
    ShowPage {
        title: subject.title.clone(),
        lead: format!("{} {what}.", rows.len()),
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
        rows,
        worst,
    }
}

/// The rows with the largest losses, each with its own image.
fn worst(source: &Source, predictions: &Predictions) -> Vec<Card> {
    let losses = predictions.losses.as_deref().unwrap_or_default();
    let mut order: Vec<usize> = (0..losses.len())
        .filter(|&row| losses[row].is_finite())
        .collect();
    order.sort_by(|&a, &b| losses[b].total_cmp(&losses[a]));
    let card = |&row: &usize| {
        let prediction = predictions.predictions[row].as_ref();
        Card::of_row(&source.task, &source.dataset, row, prediction)
    };
    order.iter().take(WORST).map(card).collect()
}

/// The image's name without its folders.
fn image(dataset: &Dataset, row: usize) -> String {
    let name = sidelight::image::name(&dataset.images[row]);
    name.rsplit(['/', '\\']).next().unwrap_or(&name).to_owned()
}

/// A row's target and prediction in a few words.
fn in_words(outcome: &Outcome) -> [String; 2] {
    let likely = |(name, p): (&String, f32)| format!("{name} ({p:.2})");
    match outcome {
        Outcome::Nothing => [String::new(), String::new()],
        Outcome::Keypoints(marks) => [
            points(marks.iter().map(|mark| mark.truth)),
            points(marks.iter().map(|mark| mark.prediction)),
        ],
        Outcome::Class {
            names,
            probabilities,
            truth,
        } => {
            let truth = truth.map(|class| names[class].clone());
            let p = probabilities.as_deref().unwrap_or_default();
            let best = argmax(p).map(|class| likely((&names[class], p[class])));
            [truth.unwrap_or_default(), best.unwrap_or_default()]
        }
        Outcome::Multilabel(labels) => {
            let present = labels.iter().filter(|label| label.truth == Some(true));
            let p = |label: &LabelBar| label.probability.filter(|p| *p >= 0.5);
            let predicted = labels
                .iter()
                .filter_map(|label| Some((&label.name, p(label)?)));
            [
                joined(present.map(|label| label.name.clone())),
                joined(predicted.map(likely)),
            ]
        }
        Outcome::Regression(marks) => {
            let number = |value: Option<f64>| value.map_or("missing".to_owned(), significant);
            [
                joined(marks.iter().map(|mark| number(mark.truth))),
                joined(marks.iter().map(|mark| number(mark.prediction))),
            ]
        }
    }
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// The first two points: a row of a terminal does not hold many.
fn points(points: impl ExactSizeIterator<Item = Option<[f32; 2]>>) -> String {
    let more = if points.len() > 2 { " …" } else { "" };
    let shown = points.take(2).map(|point| match point {
        Some([x, y]) => format!("({x:.0}, {y:.0})"),
        None => "missing".to_owned(),
    });
    shown.collect::<Vec<_>>().join(" ") + more
}
