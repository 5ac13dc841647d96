//! How a run learned: its log as curves.

use maud::{Markup, html};
use sidelight_evidence::metric::better;

use crate::chart::{LineChart, ScaleKind, Series};
use crate::number::{count, duration, n_is, number};
use crate::page::{self, Align};

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
    /// Training and validation rows, where that is known.
    pub n_rows: Option<[usize; 2]>,
    /// Seconds of training.
    pub seconds: f64,
}

impl Curves {
    pub(super) fn html(&self) -> Markup {
        // A score that is the loss itself has been drawn.
        let has_score = !self.score.is_empty() && self.score_name != "loss";
        let figures = [
            (!self.train_loss.is_empty()).then(|| self.loss_figure()),
            has_score.then(|| self.score_figure()),
            (self.learning_rate.len() > 1).then(|| self.rate_figure()),
        ];
        html! {
            (page::standing_figures(figures.into_iter().flatten()))
            (page::folded("Every epoch in numbers", &self.numbers()))
        }
    }

    fn loss_figure(&self) -> Markup {
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
            note: self.note(),
            ..LineChart::default()
        };
        let rows = self.n_rows.map_or_else(String::new, |rows| {
            let [train, valid] = rows.map(n_is);
            format!(" (training {train}, validation {valid})")
        });
        let axis = match chart.y_scale {
            ScaleKind::Log => " Logarithmic axis.",
            ScaleKind::Linear => "",
        };
        let caption =
            format!("Mean over the rows of each split{rows}; training rows are augmented.{axis}");
        page::figure(&chart.svg(), "Loss.", &caption)
    }

    fn score_figure(&self) -> Markup {
        let chart = LineChart {
            x_label: "epoch".into(),
            y_label: self.score_name.clone(),
            series: vec![Series {
                name: "validation".into(),
                points: self.score.clone(),
            }],
            note: self.note(),
            ..LineChart::default()
        };
        let n = self
            .n_rows
            .map_or_else(String::new, |[_, valid]| format!(", {}", n_is(valid)));
        let direction = better(&self.score_name).words();
        let caption = format!("On the validation rows{n}; {direction}.");
        page::figure(&chart.svg(), "Score.", &caption)
    }

    fn rate_figure(&self) -> Markup {
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
        let (steps, time) = (count(self.learning_rate.len()), duration(self.seconds));
        let caption = format!("Of the head, over {steps} steps in {time}.");
        page::figure(&chart.svg(), "Learning rate.", &caption)
    }

    fn note(&self) -> Option<(f64, String)> {
        self.best_epoch.map(|x| (x, format!("kept: epoch {x}")))
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

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an epoch; saturates"
    )]
    fn numbers(&self) -> Markup {
        let epochs = self.train_loss.iter().zip(&self.valid_loss);
        let row = |((train, valid), score): ((&[f64; 2], &[f64; 2]), &[f64; 2])| {
            let losses = [train[1], valid[1], score[1]].map(number);
            std::iter::once(count(train[0] as usize))
                .chain(losses)
                .collect()
        };
        let rows: Vec<Vec<String>> = epochs.zip(&self.score).map(row).collect();
        let columns = [
            ("epoch", Align::Number),
            ("training loss", Align::Number),
            ("validation loss", Align::Number),
            (self.score_name.as_str(), Align::Number),
        ];
        html! { @if !rows.is_empty() { (page::table(&columns, &rows)) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_loss_is_drawn_on_a_logarithmic_axis() {
        let of = |first: f64| Curves {
            train_loss: vec![[1.0, first], [2.0, 0.5]],
            valid_loss: vec![[1.0, first], [2.0, 0.5]],
            ..Curves::default()
        };
        assert_eq!(of(1.0).loss_scale(), ScaleKind::Linear);
        assert_eq!(of(100.0).loss_scale(), ScaleKind::Log);
        let kept = Curves {
            best_epoch: Some(2.0),
            ..of(1.0)
        };
        assert!(kept.html().into_string().contains("kept: epoch 2"));
    }
}
