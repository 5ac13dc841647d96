//! How often each size of error occurs.

use maud::{Markup, html};

use super::plot::{Plot, Px, label_room};
use super::scale::{Scale, ScaleKind};
use crate::number::{count, number};
use sidelight_evidence::statistics::median;

const WIDTH: f64 = 340.0;
const PLOT_HEIGHT: f64 = 150.0;

/// Counts over bins of equal, round width.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// What is counted, unit included.
    pub label: String,
    /// The values; what is not finite is left out.
    pub values: Vec<f64>,
}

impl Histogram {
    /// Values that can be shown.
    pub fn n(&self) -> usize {
        self.finite().count()
    }

    /// The drawing, with a line at the median.
    pub fn svg(&self) -> Markup {
        let (edges, counts) = self.bins();
        let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
        let y = Scale::over(ScaleKind::Linear, [0.0, most]).rounded(4);
        let y = y.onto(34.0 + PLOT_HEIGHT, 34.0);
        let rows = y.whole_ticks(4);
        let x = Scale::over(ScaleKind::Linear, edges.iter().copied());
        let mut plot = Plot::new(WIDTH, x.onto(label_room(&rows), WIDTH - 12.0), y);
        plot.y_axis(&rows, "rows");
        for (bin, n) in edges.windows(2).zip(&counts) {
            put_bin(&mut plot, bin, *n);
        }
        plot.x_axis(&plot.x.ticks(6), &self.label);
        let median = self.median();
        plot.note(median, &format!("median {}", number(median)));
        let description = format!(
            "Histogram of {}, n = {}, median {}.",
            self.label,
            count(self.n()),
            number(median)
        );
        plot.svg(PLOT_HEIGHT + 72.0, &description)
    }

    fn finite(&self) -> impl Iterator<Item = f64> {
        self.values
            .iter()
            .copied()
            .filter(|value| value.is_finite())
    }

    fn median(&self) -> f64 {
        median(&self.finite().collect::<Vec<f64>>()).unwrap_or(f64::NAN)
    }

    /// About √n bins, between 8 and 30, at round edges.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in [8, 30]"
    )]
    fn bins(&self) -> (Vec<f64>, Vec<usize>) {
        let n_wanted = (self.n() as f64).sqrt().clamp(8.0, 30.0) as usize;
        let scale = Scale::over(ScaleKind::Linear, self.finite()).rounded(n_wanted);
        let ticks = scale.ticks(n_wanted).into_iter();
        let ticks: Vec<f64> = ticks.map(|(tick, _)| tick).collect();
        let mut counts = vec![0; ticks.len().saturating_sub(1)];
        for value in self.finite() {
            let above = ticks.partition_point(|edge| *edge <= value);
            let last = counts.len().saturating_sub(1);
            if let Some(count) = counts.get_mut(above.saturating_sub(1).min(last)) {
                *count += 1;
            }
        }
        (ticks, counts)
    }
}

fn put_bin(plot: &mut Plot, bin: &[f64], n: usize) {
    let [from, to] = [bin[0], bin[1]].map(|edge| plot.x.at(edge).unwrap_or(plot.left()));
    let top = plot.y.at(n as f64).unwrap_or(plot.bottom());
    let (width, height) = ((to - from - 1.0).max(0.5), plot.bottom() - top);
    plot.put(&html! {
        rect.bar x=(Px(from + 0.5)) y=(Px(top)) width=(Px(width)) height=(Px(height)) {
            title { (number(bin[0])) " to " (number(bin[1])) ": " (n) }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_bin() {
        let values: Vec<f64> = (0..=100)
            .map(|k| f64::from(k) / 10.0)
            .chain([f64::NAN])
            .collect();
        let histogram = Histogram {
            label: "error".into(),
            values,
        };
        let (edges, counts) = histogram.bins();
        assert_eq!(counts.iter().sum::<usize>(), 101);
        assert_eq!(edges.len(), counts.len() + 1);
        assert_eq!((edges[0], edges[edges.len() - 1]), (0.0, 10.0));
        assert_eq!(histogram.median(), 5.0);
    }

    #[test]
    fn one_value_and_none_are_drawn_too() {
        for values in [
            vec![],
            vec![3.0],
            vec![3.0; 5],
            vec![5e-324],
            vec![0.0, 5e-324],
            vec![-f64::MAX, f64::MAX],
            vec![1.0, 1.0 + f64::EPSILON],
        ] {
            let n = values.len();
            let histogram = Histogram {
                label: "error".into(),
                values,
            };
            assert_eq!(histogram.bins().1.iter().sum::<usize>(), n);
            assert!(histogram.svg().into_string().ends_with("</svg>"));
        }
    }
}
