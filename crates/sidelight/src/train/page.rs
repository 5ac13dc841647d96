//! A finished run as a page.

use std::sync::Arc;

use super::{Session, Setup};
use crate::batch::{Predictions, score};
use crate::config::{Arm, collapse_range};
use crate::dataset::{Dataset, Targets};
use crate::error::Result;
use crate::image::decode;
use crate::metric::Metrics;
use crate::model::reads_image;
use crate::report::{Card, Detail, Outcome, RunPage, best_and_worst, number, page};
use crate::run::{Event, RunFolder, TargetCell, read_log};
use crate::task::{Prediction, Task};

/// Rows of the report's best and worst predictions, each.
const CARDS: usize = 12;

/// Side below which a picture is not decoded for the report, pixels.
const CARD_SIDE: usize = 320;

/// Everything that the page says.
pub(super) fn page(
    session: &Session,
    predicted: &Predictions,
    metrics: &Metrics,
    folder: &RunFolder,
) -> Result<RunPage> {
    let Setup {
        config,
        task,
        batches,
        ..
    } = &session.setup;
    let dataset = &batches.source.dataset;
    let targets = dataset.targets.as_ref().expect("a session has targets");
    let log = read_log(&folder.dir().join("log.jsonl"))?.lines;
    let (best, worst) = best_and_worst(predicted.losses.as_deref().unwrap_or_default(), CARDS);
    let card = |at: &usize| {
        card(
            &session.setup,
            &predicted.predictions[*at],
            batches.valid[*at],
        )
    };
    let remarks = log.iter().filter_map(|line| match line {
        Event::Remark { text } => Some(text.clone()),
        _ => None,
    });
    Ok(RunPage {
        title: folder.dir().display().to_string(),
        facts: facts(session),
        metrics: metrics.clone(),
        groups: session.score_of_groups(predicted),
        baseline: baseline_scores(&session.setup, targets),
        part: task.part().to_owned(),
        curves: crate::run::curves(&log),
        details: Detail::new(task, targets, &batches.valid, &predicted.predictions),
        best: best.iter().map(card).collect(),
        worst: worst.iter().map(card).collect(),
        remarks: remarks.collect(),
        config: config.to_toml()?,
        machine: page::machine(),
    })
}

fn facts(session: &Session) -> Vec<(String, String)> {
    let Setup {
        config,
        batches,
        plan,
        ..
    } = &session.setup;
    let mut facts = vec![
        ("target", collapse_range(&config.target.names()).join(", ")),
        (
            "reads",
            match config.model.arm {
                Arm::Image => "the image alone".into(),
                Arm::Metadata => "the metadata alone".into(),
                _ => format!("image and metadata, joined by `{}`", config.model.fusion),
            },
        ),
    ];
    if reads_image(config.model.arm) {
        facts.push(("backbone", config.model.backbone.clone()));
        facts.push(("weights", config.model.weights.clone()));
        facts.push(("input", format!("{0} × {0} pixels", config.train.size)));
    }
    facts.extend([
        ("parameters", number::count(session.state.n_numbers())),
        ("training rows", number::count(batches.train.len())),
        ("validation rows", validation_rows(&session.setup)),
        ("epochs", plan.epochs().to_string()),
        ("seed", config.train.seed.to_string()),
        ("time", number::duration(session.state.progress.seconds)),
    ]);
    facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// How many validation rows there are, and of when where rows are divided by time.
fn validation_rows(setup: &Setup) -> String {
    let n = number::count(setup.batches.valid.len());
    match setup.valid_times() {
        Some([column, range]) => format!("{n}, the latest by `{column}`: {range}"),
        None => n,
    }
}

fn card(setup: &Setup, prediction: &Option<Prediction>, position: usize) -> Card {
    let dataset: &Arc<Dataset> = &setup.batches.source.dataset;
    let source = &dataset.images[position];
    // A picture that cannot be shown leaves its card without one.
    let picture = reads_image(setup.config.model.arm)
        .then(|| decode(source, Some(CARD_SIDE)).ok())
        .flatten();
    let target = TargetCell::of_row(dataset, position);
    let outcome = Outcome::new(&setup.task, target, prediction.as_ref());
    let metadata = dataset.metadata.row_as_text(position);
    Card::new(
        dataset.rows[position] + 1,
        &crate::image::name(source),
        picture.as_ref(),
        outcome,
        metadata,
    )
}

/// Scores of the one prediction that is best without any input: the classes' shares, the mean value,
/// the mean place of each point over the training rows.
fn baseline_scores(setup: &Setup, targets: &Targets) -> Metrics {
    let Setup {
        task,
        batches,
        sizes,
        ..
    } = setup;
    let share = |n: usize, of: usize| if of == 0 { 0.5 } else { n as f64 / of as f64 };
    let numbers: Vec<f64> = match &**task {
        Task::Class { counts, .. } => {
            let all = counts.iter().sum();
            counts.iter().map(|&n| share(n, all)).collect()
        }
        Task::Multilabel { counts, known, .. } => {
            let counts = counts.iter().zip(known);
            counts.map(|(&n, &known)| share(n, known)).collect()
        }
        Task::Regression { columns, .. } => task.decode(&vec![0.0; columns.len()]).numbers(),
        Task::Keypoints { columns, .. } => {
            let mut sums = vec![[0.0f64; 2]; columns.len()];
            for &row in &batches.train {
                let (xy, mask) = task.encode(targets, row);
                for (sum, (at, mask)) in sums.iter_mut().zip(xy.iter().zip(mask)) {
                    *sum = [sum[0] + f64::from(at * mask), sum[1] + f64::from(mask)];
                }
            }
            sums.iter().map(|[sum, n]| sum / n.max(1.0)).collect()
        }
    };
    let prediction = Prediction::from_numbers(task.kind(), &numbers);
    score(
        task,
        targets,
        batches.source.dataset.weights.as_ref(),
        &batches.valid,
        &vec![Some(prediction); batches.valid.len()],
        sizes.as_deref(),
    )
}
