//! How a run learned: its log as curves.

use super::super::chart::{LineChart, ScaleKind, Series, VerticalNote};
use super::super::metric_name::MetricName;
use super::super::number::{count, duration, n_is, number};
use super::super::page::{self, Align};
use sidelight_data::write::{LogLine, RowCounts};

/// Steps whose learning rate is drawn; more would not be seen.
const STEPS_DRAWN: usize = 240;
/// Above this ratio of the largest loss to the smallest, the axis is logarithmic.
const WIDE: f64 = 30.0;

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
    /// Rows of each part, where the log says it.
    pub rows: Option<RowCounts>,
    /// Seconds of training.
    pub seconds: f64,
}

impl Curves {
    /// The curves that a log tells.
    pub fn of(log: &[LogLine]) -> Self {
        let mut curves = Self::default();
        for line in log {
            match line {
                LogLine::Plan {
                    rows_train,
                    rows_valid,
                    ..
                } => {
                    curves.rows = Some(RowCounts {
                        train: *rows_train,
                        valid: *rows_valid,
                    });
                }
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

    pub(super) fn html(&self) -> String {
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
        page::standing_figures(&figures) + &self.numbers()
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
            ..LineChart::default()
        };
        let mut caption = String::from("Mean over the rows of each part");
        if let Some(rows) = self.rows {
            put!(
                &mut caption,
                " (training {}, validation {})",
                n_is(rows.train),
                n_is(rows.valid)
            );
        }
        caption.push_str("; training rows are augmented.");
        if chart.y_scale == ScaleKind::Log {
            caption.push_str(" Logarithmic axis.");
        }
        page::figure(&chart.svg(), "Loss.", &caption)
    }

    fn score_figure(&self) -> String {
        let metric = MetricName::new(&self.score_name);
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
        let n = self
            .rows
            .map_or_else(String::new, |rows| format!(", {}", n_is(rows.valid)));
        let caption = format!("On the validation rows{n}; {}.", metric.better.words());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: usize, loss: f64, best: bool) -> LogLine {
        LogLine::Epoch {
            epoch,
            total_step: epoch * 10,
            rows: 0,
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
}
