//! A finished run as a page.

use super::{Session, Setup};
use crate::batch::{Predictions, score};
use crate::config::{Arm, Config, collapse_range};
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

/// Predictions of rows whose truth is known, and what they score.
pub(super) struct Scored<'a> {
    pub(super) config: &'a Config,
    pub(super) task: &'a Task,
    pub(super) dataset: &'a Dataset,
    /// Positions of the rows in the data set.
    pub(super) rows: &'a [usize],
    pub(super) predicted: &'a Predictions,
    pub(super) metrics: &'a Metrics,
    /// The column of the groups, and their scores.
    pub(super) groups: Option<(String, Metrics)>,
    /// What is scored without any input.
    pub(super) baseline: Metrics,
    /// What a reader should know first: names and values.
    pub(super) facts: Vec<(String, String)>,
}

/// The page of a model that was trained in one session.
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
    let scored = Scored {
        config,
        task,
        dataset,
        rows: &batches.valid,
        predicted,
        metrics,
        groups: session.score_of_groups(predicted),
        baseline: baseline_scores(&session.setup, targets),
        facts: facts(session),
    };
    scored.page(folder)
}

impl Scored<'_> {
    /// Everything that the page says.
    pub(super) fn page(self, folder: &RunFolder) -> Result<RunPage> {
        let targets = self.dataset.targets.as_ref();
        let targets = targets.expect("what was scored has targets");
        let log = read_log(&folder.dir().join("log.jsonl"))?.lines;
        let losses = self.predicted.losses.as_deref().unwrap_or_default();
        let (best, worst) = best_and_worst(losses, CARDS);
        let predictions = &self.predicted.predictions;
        let card = |at: &usize| self.card(predictions[*at].as_ref(), self.rows[*at]);
        let remarks = log.iter().filter_map(|line| match line {
            Event::Remark { text } => Some(text.clone()),
            _ => None,
        });
        Ok(RunPage {
            title: folder.dir().display().to_string(),
            metrics: self.metrics.clone(),
            part: self.task.part().to_owned(),
            curves: crate::run::curves(&log),
            details: Detail::new(self.task, targets, self.rows, predictions),
            best: best.iter().map(card).collect(),
            worst: worst.iter().map(card).collect(),
            remarks: remarks.collect(),
            config: self.config.to_toml()?,
            machine: page::machine(),
            facts: self.facts,
            groups: self.groups,
            baseline: self.baseline,
        })
    }

    fn card(&self, prediction: Option<&Prediction>, position: usize) -> Card {
        let dataset = self.dataset;
        let source = &dataset.images[position];
        // A picture that cannot be shown leaves its card without one.
        let picture = reads_image(self.config.model.arm)
            .then(|| decode(source, Some(CARD_SIDE)).ok())
            .flatten();
        let target = TargetCell::of_row(dataset, position);
        let outcome = Outcome::new(self.task, target, prediction);
        let metadata = dataset.metadata.row_as_text(position);
        Card::new(
            dataset.rows[position] + 1,
            &crate::image::name(source),
            picture.as_ref(),
            outcome,
            metadata,
        )
    }
}

fn facts(session: &Session) -> Vec<(String, String)> {
    let Setup {
        config,
        batches,
        plan,
        ..
    } = &session.setup;
    let mut facts = facts_of_model(config);
    facts.extend([
        ("parameters", number::count(session.state.n_numbers())),
        ("training rows", number::count(batches.train.len())),
        ("validation rows", validation_rows(&session.setup)),
        ("epochs", plan.epochs().to_string()),
        ("seed", config.train.seed.to_string()),
        ("time", number::duration(session.state.progress.seconds)),
    ]);
    named(facts)
}

/// Facts, their names as text of their own.
pub(super) fn named(facts: Vec<(&str, String)>) -> Vec<(String, String)> {
    facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// What a model of this configuration predicts, and from what.
pub(super) fn facts_of_model(config: &Config) -> Vec<(&'static str, String)> {
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
    facts
}

/// How many validation rows there are, and of when where rows are divided by time.
fn validation_rows(setup: &Setup) -> String {
    let n = number::count(setup.batches.valid.len());
    match setup.valid_times() {
        Some([column, range]) => format!("{n}, the latest by `{column}`: {range}"),
        None => n,
    }
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
