//! `report.html` of a run: how it learned, how good it is, where it is wrong.

use super::chart::{
    ConfusionMatrix, Histogram, LineChart, ReliabilityBin, ReliabilityDiagram, ReliabilitySeries,
    ScaleKind, ScatterPlot, Series, VerticalNote,
};
use super::metric_name::MetricName;
use super::number::{count, duration, number};
use super::overlay::{self, Card, Outcome};
use super::page::{self, Align, Page};
use crate::config::TargetScale;
use crate::dataset::Targets;
use crate::run::{LogLine, TargetCell};
use crate::task::{Prediction, Task};

/// Steps whose learning rate is drawn; more would not be seen.
const STEPS_DRAWN: usize = 240;
/// Above this ratio of the largest loss to the smallest, the axis is logarithmic.
const WIDE: f64 = 30.0;
const BINS: usize = 10;

/// All that the report of a run says.
///
/// # Example
///
/// ```
/// use sidelight::report::{MetricRow, RunPage};
/// let page = RunPage {
///     title: "runs/a".into(),
///     lead: "Mean error 3.2 px on 107 held-out rows.".into(),
///     metrics: vec![MetricRow { name: "mean_px".into(), value: 3.2, n: 107, baseline: Some(21.0) }],
///     ..RunPage::default()
/// };
/// assert!(page.html().contains("mean distance to the true point, pixels"));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunPage {
    /// The run's folder, as the person named it.
    pub title: String,
    /// The result in one sentence, with its n.
    pub lead: String,
    /// Task, arm, backbone, rows of each part, and so on.
    pub facts: Vec<(String, String)>,
    /// Scores over the validation rows, the main one first.
    pub metrics: Vec<MetricRow>,
    /// How it learned.
    pub curves: Curves,
    /// Scores per class, point, label or column.
    pub parts: Option<PartTable>,
    /// Predicted against true.
    pub details: Vec<Detail>,
    /// The rows with the smallest loss.
    pub best: Vec<Card>,
    /// The rows with the largest loss.
    pub worst: Vec<Card>,
    /// What was noticed and should be said.
    pub remarks: Vec<String>,
    /// The resolved configuration, TOML.
    pub config: String,
    /// What it ran on; see [`page::machine`].
    pub machine: Vec<(String, String)>,
}

/// A score.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetricRow {
    /// Its name as in `metrics.json`.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Rows behind it.
    pub n: usize,
    /// The same for a prediction that looks at nothing (the commonest class, the mean), where known.
    pub baseline: Option<f64>,
}

/// Losses and scores over the epochs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curves {
    /// `[epoch, loss]` over the training rows, as augmented.
    pub train_loss: Vec<[f64; 2]>,
    /// `[epoch, loss]` over the validation rows.
    pub valid_loss: Vec<[f64; 2]>,
    /// Name of the score that is watched.
    pub score_name: String,
    /// `[epoch, score]` over the validation rows.
    pub score: Vec<[f64; 2]>,
    /// `[step, rate]` of the head.
    pub learning_rate: Vec<[f64; 2]>,
    /// The epoch whose model was kept.
    pub best_epoch: Option<f64>,
    /// Seconds of training.
    pub seconds: f64,
}

/// Scores per class, point, label or column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PartTable {
    /// `class`, `point`, `label` or `column`.
    pub kind: String,
    /// Names of the scores; one called `n` is a count.
    pub columns: Vec<String>,
    /// Name of the part and its scores.
    pub rows: Vec<(String, Vec<f64>)>,
}

/// A drawing of predicted against true.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    /// Which classes are taken for which.
    Confusion(ConfusionMatrix),
    /// A number against its truth.
    Scatter(ScatterPlot),
    /// How often each size of error occurs.
    Errors(Histogram),
    /// Whether probabilities mean what they say.
    Reliability(ReliabilityDiagram),
}

impl RunPage {
    /// The page.
    pub fn html(&self) -> String {
        Page::new("run report", &self.title, &self.lead)
            .section("The run", page::facts(&self.facts))
            .section("Scores", self.metrics_html())
            .section("What was noticed", page::remarks(&self.remarks))
            .section("Learning", self.curves.html())
            .section("Predicted and true", self.details_html())
            .section(
                &self.part_title(),
                self.parts
                    .as_ref()
                    .map_or_else(String::new, PartTable::html),
            )
            .section("Worst predictions", cards_html(&self.worst, "largest"))
            .section("Best predictions", cards_html(&self.best, "smallest"))
            .section("Configuration", page::listing(&self.config))
            .section("Environment", page::facts(&self.machine))
            .html()
    }

    fn metrics_html(&self) -> String {
        if self.metrics.is_empty() {
            return String::new();
        }
        let with_baseline = self.metrics.iter().any(|row| row.baseline.is_some());
        let mut columns = vec![
            ("metric", Align::Text),
            ("value", Align::Number),
            ("n", Align::Number),
        ];
        if with_baseline {
            columns.push(("without looking", Align::Number));
        }
        columns.extend([("meaning", Align::Text), ("", Align::Text)]);
        let rows: Vec<Vec<String>> = self
            .metrics
            .iter()
            .map(|row| row.cells(with_baseline))
            .collect();
        page::table(&columns, &rows)
    }

    fn details_html(&self) -> String {
        let (tables, drawings): (Vec<_>, Vec<_>) = self
            .details
            .iter()
            .partition(|detail| matches!(detail, Detail::Confusion(_)));
        let html =
            |details: Vec<&Detail>| details.into_iter().map(Detail::html).collect::<Vec<_>>();
        page::figures(&html(drawings)) + &html(tables).concat()
    }

    fn part_title(&self) -> String {
        match &self.parts {
            Some(parts) => format!("Each {}", parts.kind),
            None => String::new(),
        }
    }
}

fn cards_html(cards: &[Card], which: &str) -> String {
    if cards.is_empty() {
        return String::new();
    }
    let n = cards.len();
    let rows = if n == 1 { "row" } else { "rows" };
    let mut key = format!("The {n} {rows} of the validation part with the {which} loss. ");
    key.push_str(match &cards[0].outcome {
        Outcome::Points(_) => "Circle: true point. Cross: predicted point.",
        Outcome::Value(_) => "Circle: true. Cross: predicted. The line spans the training rows.",
        _ => "Circle: true.",
    });
    format!("<p class=\"key\">{key}</p>{}", overlay::cards(cards))
}

impl MetricRow {
    fn cells(&self, with_baseline: bool) -> Vec<String> {
        let metric = MetricName::of(&self.name);
        let mut cells = vec![self.name.clone(), number(self.value), count(self.n)];
        if with_baseline {
            cells.push(self.baseline.map_or_else(|| "–".into(), number));
        }
        let better = if metric.meaning.is_empty() {
            ""
        } else {
            metric.better.words()
        };
        cells.extend([metric.meaning, better.to_owned()]);
        cells
    }
}

impl Curves {
    /// The curves that a log tells.
    pub fn of(log: &[LogLine]) -> Self {
        let mut curves = Self::default();
        for line in log {
            match line {
                LogLine::Step {
                    total_step,
                    learning_rate,
                    ..
                } => {
                    curves
                        .learning_rate
                        .push([*total_step as f64, *learning_rate]);
                }
                LogLine::Epoch {
                    epoch,
                    train_loss,
                    valid_loss,
                    score_name,
                    score,
                    best,
                    seconds,
                    ..
                } => {
                    let epoch = *epoch as f64;
                    curves.train_loss.push([epoch, *train_loss]);
                    curves.valid_loss.push([epoch, *valid_loss]);
                    curves.score.push([epoch, *score]);
                    curves.score_name.clone_from(score_name);
                    curves.seconds += seconds;
                    if *best {
                        curves.best_epoch = Some(epoch);
                    }
                }
                _ => {}
            }
        }
        curves
    }

    fn html(&self) -> String {
        let mut figures = Vec::new();
        if !self.train_loss.is_empty() {
            figures.push(self.loss_figure());
        }
        // A score that is the loss itself has been drawn.
        if !self.score.is_empty() && self.score_name != "loss" {
            figures.push(self.score_figure());
        }
        if self.learning_rate.len() > 1 {
            figures.push(self.rate_figure());
        }
        page::figures(&figures) + &self.numbers()
    }

    fn loss_figure(&self) -> String {
        let series = |name: &str, points: &[[f64; 2]]| Series {
            name: name.into(),
            points: points.to_vec(),
        };
        let chart = LineChart {
            x_label: "epoch".into(),
            y_label: "loss".into(),
            series: vec![
                series("training", &self.train_loss),
                series("validation", &self.valid_loss),
            ],
            y_scale: self.loss_scale(),
            notes: self.notes(),
        };
        let caption = match chart.y_scale {
            ScaleKind::Log => {
                "Mean over the rows of each part; training rows are augmented. Logarithmic axis."
            }
            ScaleKind::Linear => "Mean over the rows of each part; training rows are augmented.",
        };
        page::figure(&chart.svg(), "Loss.", caption)
    }

    fn score_figure(&self) -> String {
        let metric = MetricName::of(&self.score_name);
        let chart = LineChart {
            x_label: "epoch".into(),
            y_label: self.score_name.clone(),
            series: vec![Series {
                name: "validation".into(),
                points: self.score.clone(),
            }],
            notes: self.notes(),
            ..LineChart::default()
        };
        let caption = format!("On the validation rows; {}.", metric.better.words());
        page::figure(&chart.svg(), "Score.", &caption)
    }

    fn rate_figure(&self) -> String {
        let every = self.learning_rate.len().div_ceil(STEPS_DRAWN).max(1);
        let points = self.learning_rate.iter().step_by(every).copied().collect();
        let chart = LineChart {
            x_label: "step".into(),
            y_label: "learning rate".into(),
            series: vec![Series {
                name: "head".into(),
                points,
            }],
            ..LineChart::default()
        };
        let steps = self.learning_rate.len();
        let caption = format!(
            "Of the head, over {} steps in {}.",
            count(steps),
            duration(self.seconds)
        );
        page::figure(&chart.svg(), "Learning rate.", &caption)
    }

    fn notes(&self) -> Vec<VerticalNote> {
        let note = |x| VerticalNote {
            x,
            text: format!("kept: epoch {x}"),
        };
        self.best_epoch.map(note).into_iter().collect()
    }

    fn loss_scale(&self) -> ScaleKind {
        let losses = || {
            self.train_loss
                .iter()
                .chain(&self.valid_loss)
                .map(|point| point[1])
        };
        let low = losses().fold(f64::INFINITY, f64::min);
        let high = losses().fold(0.0, f64::max);
        match low > 0.0 && high / low > WIDE {
            true => ScaleKind::Log,
            false => ScaleKind::Linear,
        }
    }

    fn numbers(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .train_loss
            .iter()
            .zip(&self.valid_loss)
            .zip(&self.score)
            .map(|((train, valid), score)| {
                vec![
                    count(train[0] as usize),
                    number(train[1]),
                    number(valid[1]),
                    number(score[1]),
                ]
            })
            .collect();
        if rows.is_empty() {
            return String::new();
        }
        let columns = [
            ("epoch", Align::Number),
            ("training loss", Align::Number),
            ("validation loss", Align::Number),
            (self.score_name.as_str(), Align::Number),
        ];
        page::folded("Every epoch in numbers", &page::table(&columns, &rows))
    }
}

impl PartTable {
    /// The table of scores per part; `n`, where it is among them, comes first.
    pub fn of(kind: &str, per_part: &[(String, Vec<(String, f64)>)]) -> Self {
        let mut columns: Vec<String> = Vec::new();
        for (name, _) in per_part.iter().flat_map(|(_, scores)| scores) {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        columns.sort_by_key(|name| name != "n");
        let value = |scores: &[(String, f64)], name: &String| {
            scores
                .iter()
                .find(|(found, _)| found == name)
                .map_or(f64::NAN, |(_, value)| *value)
        };
        let row = |(part, scores): &(String, Vec<(String, f64)>)| {
            (
                part.clone(),
                columns.iter().map(|name| value(scores, name)).collect(),
            )
        };
        Self {
            kind: kind.into(),
            rows: per_part.iter().map(row).collect(),
            columns,
        }
    }

    fn html(&self) -> String {
        let mut columns = vec![(self.kind.as_str(), Align::Text)];
        columns.extend(
            self.columns
                .iter()
                .map(|name| (name.as_str(), Align::Number)),
        );
        let cell = |(name, value): (&String, &f64)| match name == "n" && value.is_finite() {
            true => count(*value as usize),
            false => number(*value),
        };
        let row = |(part, values): &(String, Vec<f64>)| {
            let cells = self.columns.iter().zip(values).map(cell);
            std::iter::once(part.clone()).chain(cells).collect()
        };
        let rows: Vec<Vec<String>> = self.rows.iter().map(row).collect();
        page::table(&columns, &rows)
    }
}

impl Detail {
    /// Drawings that suit the task, over rows whose target and prediction are known.
    ///
    /// `predictions` are those of the rows at `positions`.
    ///
    /// # Panics
    ///
    /// Where targets or predictions are of another task.
    pub fn of(
        task: &Task,
        targets: &Targets,
        positions: &[usize],
        predictions: &[Option<Prediction>],
    ) -> Vec<Self> {
        let outcomes: Vec<Outcome> = positions
            .iter()
            .zip(predictions)
            .filter_map(|(&position, prediction)| {
                let target = TargetCell { targets, position };
                Some(Outcome::new(task, Some(target), Some(prediction.as_ref()?)))
            })
            .collect();
        match task {
            Task::Points { .. } => vec![Self::Errors(point_errors(&outcomes))],
            Task::Class { names, .. } => {
                vec![
                    Self::Reliability(class_reliability(&outcomes)),
                    Self::Confusion(confusion(names, &outcomes)),
                ]
            }
            Task::Classes { .. } => vec![Self::Reliability(label_reliability(&outcomes))],
            Task::Value { columns, scale, .. } => {
                let column = |at| Self::Scatter(scatter(&outcomes, at, *scale));
                (0..columns.len()).map(column).collect()
            }
        }
    }

    fn html(&self) -> String {
        match self {
            Self::Confusion(matrix) => {
                let caption = format!(
                    "Rows of each class and what they were taken for, n = {}.",
                    count(matrix.n())
                );
                page::wide_figure(&matrix.html(), "Confusion.", &caption)
            }
            Self::Scatter(plot) => {
                let caption = format!(
                    "One point a row, n = {}; on the dotted line both are equal.",
                    count(plot.n())
                );
                page::figure(&plot.svg(), "Predicted against true.", &caption)
            }
            Self::Errors(histogram) => {
                let caption = format!("One count a row, n = {}.", count(histogram.n()));
                page::figure(&histogram.svg(), "Size of the error.", &caption)
            }
            Self::Reliability(diagram) => {
                let caption = "On the dotted line probabilities mean what they say; whiskers are 95 % intervals.";
                page::figure(&diagram.svg(), "Calibration.", caption)
            }
        }
    }
}

fn point_errors(outcomes: &[Outcome]) -> Histogram {
    let error = |outcome: &Outcome| match outcome {
        Outcome::Points(_) => outcome.mean_distance(),
        _ => None,
    };
    Histogram {
        label: "mean error of a row, px".into(),
        values: outcomes.iter().filter_map(error).collect(),
    }
}

/// True class, predicted class and its probability of the rows whose class is known.
fn decisions(outcomes: &[Outcome]) -> impl Iterator<Item = (usize, usize, f32)> {
    outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Class {
            probabilities: Some(probabilities),
            truth: Some(truth),
            ..
        } => {
            let best = (0..probabilities.len()).max_by(|&a, &b| {
                probabilities[a]
                    .total_cmp(&probabilities[b])
                    .then(b.cmp(&a))
            })?;
            Some((*truth, best, probabilities[best]))
        }
        _ => None,
    })
}

fn confusion(names: &[String], outcomes: &[Outcome]) -> ConfusionMatrix {
    ConfusionMatrix::of(
        names,
        decisions(outcomes).map(|(truth, predicted, _)| (truth, predicted)),
    )
}

fn class_reliability(outcomes: &[Outcome]) -> ReliabilityDiagram {
    let pairs = decisions(outcomes).map(|(truth, predicted, p)| (f64::from(p), truth == predicted));
    one_series("predicted class", pairs)
}

fn label_reliability(outcomes: &[Outcome]) -> ReliabilityDiagram {
    let pairs = outcomes.iter().flat_map(|outcome| match outcome {
        Outcome::Classes(labels) => {
            let known =
                |label: &overlay::LabelBar| Some((f64::from(label.probability?), label.truth?));
            labels.iter().filter_map(known).collect()
        }
        _ => Vec::new(),
    });
    one_series("all labels", pairs)
}

fn one_series(name: &str, pairs: impl Iterator<Item = (f64, bool)>) -> ReliabilityDiagram {
    let bins = ReliabilityBin::of(pairs, BINS);
    ReliabilityDiagram {
        series: vec![ReliabilitySeries {
            name: name.into(),
            bins,
        }],
    }
}

fn scatter(outcomes: &[Outcome], column: usize, scale: TargetScale) -> ScatterPlot {
    let mark = |outcome: &Outcome| match outcome {
        Outcome::Value(marks) => {
            let mark = &marks[column];
            Some((mark.name.clone(), [mark.truth?, mark.prediction?]))
        }
        _ => None,
    };
    let (names, points): (Vec<_>, Vec<_>) = outcomes.iter().filter_map(mark).unzip();
    let scale = match scale {
        TargetScale::Linear => ScaleKind::Linear,
        TargetScale::Log => ScaleKind::Log,
    };
    ScatterPlot {
        label: names.into_iter().next().unwrap_or_default(),
        points,
        names: Vec::new(),
        scale,
    }
}

/// Places of the rows with the smallest and with the largest loss, at most `n` each and no row twice,
/// the extreme ones first. A loss that is not a number is left out.
///
/// ```
/// use sidelight::report::best_and_worst;
/// let (best, worst) = best_and_worst(&[0.5, 0.1, f32::NAN, 0.9, 0.3], 2);
/// assert_eq!((best, worst), (vec![1, 4], vec![3, 0]));
/// ```
pub fn best_and_worst(losses: &[f32], n: usize) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..losses.len())
        .filter(|&at| !losses[at].is_nan())
        .collect();
    order.sort_by(|&a, &b| losses[a].total_cmp(&losses[b]));
    let n_worst = n.min(order.len().div_ceil(2));
    let n_best = n.min(order.len() - n_worst);
    let worst = order.iter().rev().take(n_worst).copied().collect();
    (order[..n_best].to_vec(), worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: usize, loss: f64, best: bool) -> LogLine {
        LogLine::Epoch {
            epoch,
            total_step: epoch * 10,
            train_loss: loss,
            valid_loss: loss * 1.1,
            score_name: "mean_px".into(),
            score: loss * 10.0,
            seconds: 2.0,
            best,
        }
    }

    #[test]
    fn curves_are_read_from_the_log() {
        let curves = Curves::of(&[
            epoch(1, 1.0, true),
            epoch(2, 0.5, true),
            epoch(3, 0.6, false),
        ]);
        assert_eq!(curves.train_loss, [[1.0, 1.0], [2.0, 0.5], [3.0, 0.6]]);
        assert_eq!(curves.best_epoch, Some(2.0));
        assert_eq!(curves.seconds, 6.0);
        assert!(curves.html().contains("kept: epoch 2"));
        assert_eq!(curves.loss_scale(), ScaleKind::Linear);
        assert_eq!(
            Curves::of(&[epoch(1, 100.0, true), epoch(2, 0.5, true)]).loss_scale(),
            ScaleKind::Log
        );
    }

    #[test]
    fn the_count_of_a_part_comes_first() {
        let per_part = [
            (
                "<oak>".to_owned(),
                vec![("recall".to_owned(), 0.5), ("n".to_owned(), 12.0)],
            ),
            ("elm".to_owned(), vec![("recall".to_owned(), f64::NAN)]),
        ];
        let table = PartTable::of("class", &per_part);
        assert_eq!(table.columns, ["n", "recall"]);
        let html = table.html();
        assert!(
            html.contains("&lt;oak&gt;</th><td class=\"num\">12</td><td class=\"num\">0.500</td>"),
            "{html}"
        );
        assert!(html.contains("elm</th><td class=\"num\">–</td>"), "{html}");
    }

    #[test]
    fn rows_without_prediction_or_truth_are_not_drawn() {
        let task = Task::Value {
            columns: vec!["price".into()],
            scale: TargetScale::Log,
            mean: vec![0.0],
            sd: vec![1.0],
            range: vec![[1.0, 2.0]],
        };
        let targets = Targets::Value {
            names: vec!["price".into()],
            values: vec![1.0, f64::NAN, 3.0],
        };
        let value = |value| {
            Some(Prediction::Value {
                values: vec![value],
            })
        };
        let details = Detail::of(&task, &targets, &[0, 1, 2], &[value(1.5), value(2.0), None]);
        let [Detail::Scatter(plot)] = &details[..] else {
            panic!("{details:?}")
        };
        assert_eq!(
            (plot.points.as_slice(), plot.scale),
            (&[[1.0, 1.5]][..], ScaleKind::Log)
        );
    }

    #[test]
    fn decisions_fill_matrix_and_diagram() {
        let names: Vec<String> = ["a", "b"].map(String::from).to_vec();
        let task = Task::Class {
            column: "kind".into(),
            names: names.clone(),
            counts: vec![1, 1],
        };
        let targets = Targets::Class {
            names,
            index: vec![Some(0), Some(1), None],
        };
        let p = |p: f32| {
            Some(Prediction::Class {
                probabilities: vec![p, 1.0 - p],
            })
        };
        let details = Detail::of(&task, &targets, &[0, 1, 2], &[p(0.9), p(0.8), p(0.5)]);
        let [Detail::Reliability(diagram), Detail::Confusion(matrix)] = &details[..] else {
            panic!("{details:?}")
        };
        assert_eq!(matrix.counts, [[1, 0], [1, 0]]);
        let n: usize = diagram.series[0].bins.iter().map(|bin| bin.n).sum();
        assert_eq!(n, 2);
    }

    #[test]
    fn no_row_is_both_best_and_worst() {
        let (best, worst) = best_and_worst(&[0.3, 0.2, 0.1], 8);
        assert_eq!((best, worst), (vec![2], vec![0, 1]));
        assert_eq!(best_and_worst(&[], 8), (vec![], vec![]));
    }

    #[test]
    fn an_empty_page_has_no_empty_sections() {
        let html = RunPage::default().html();
        assert!(!html.contains("<h2"), "{html}");
    }
}
