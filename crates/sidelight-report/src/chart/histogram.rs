//! How often each size of error occurs.

use super::frame::{Anchor, Frame, Px, close, label_room, open, rule, text};
use super::scale::{Scale, ScaleKind};
use crate::number::{count, number};

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
        self.values.iter().filter(|value| value.is_finite()).count()
    }

    /// The drawing, with a line at the median.
    pub fn svg(&self) -> String {
        let (edges, counts) = self.bins();
        let frame = frame(&edges, &counts);
        let mut out = String::new();
        let median = self.median();
        let description = format!(
            "Histogram of {}, n = {}, median {}.",
            self.label,
            count(self.n()),
            number(median)
        );
        open(&mut out, WIDTH, PLOT_HEIGHT + 72.0, &description);
        text(&mut out, 0.0, 11.0, Anchor::Start, "dim", "rows");
        frame.y_axis(&mut out, &frame.y.whole_ticks(4));
        for (bin, n) in edges.windows(2).zip(&counts) {
            put_bin(&mut out, &frame, bin, *n);
        }
        frame.x_axis(&mut out, &frame.x.ticks(6), &self.label);
        if let Some(x) = frame.x.at(median) {
            rule(
                &mut out,
                "note",
                [x, frame.top() - 4.0],
                [x, frame.bottom()],
            );
            let words = format!("median {}", number(median));
            let near_the_end = x > frame.right() - 60.0;
            let anchor = if near_the_end {
                Anchor::End
            } else {
                Anchor::Start
            };
            text(&mut out, x, frame.top() - 7.0, anchor, "dim", &words);
        }
        close(&mut out);
        out
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted: Vec<f64> = self
            .values
            .iter()
            .copied()
            .filter(|value| value.is_finite())
            .collect();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    fn median(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => f64::NAN,
            n => (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
        }
    }

    /// About √n bins, between 8 and 30, at round edges.
    fn bins(&self) -> (Vec<f64>, Vec<usize>) {
        let n_wanted = (self.n() as f64).sqrt().clamp(8.0, 30.0) as usize;
        let scale = Scale::over(ScaleKind::Linear, self.values.iter().copied()).rounded(n_wanted);
        let ticks: Vec<f64> = scale
            .ticks(n_wanted)
            .into_iter()
            .map(|(tick, _)| tick)
            .collect();
        let mut counts = vec![0; ticks.len().saturating_sub(1)];
        for value in self.sorted() {
            let above = ticks.partition_point(|edge| *edge <= value);
            let last = counts.len() - 1;
            counts[above.saturating_sub(1).min(last)] += 1;
        }
        (ticks, counts)
    }
}

fn frame(edges: &[f64], counts: &[usize]) -> Frame {
    let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let y = Scale::over(ScaleKind::Linear, [0.0, most])
        .rounded(4)
        .onto(34.0 + PLOT_HEIGHT, 34.0);
    let x = Scale::over(ScaleKind::Linear, edges.iter().copied());
    Frame {
        x: x.onto(label_room(&y.whole_ticks(4)), WIDTH - 12.0),
        y,
    }
}

fn put_bin(out: &mut String, frame: &Frame, bin: &[f64], n: usize) {
    let [from, to] = [bin[0], bin[1]].map(|edge| frame.x.at(edge).unwrap_or(frame.left()));
    let top = frame.y.at(n as f64).unwrap_or(frame.bottom());
    put!(
        out,
        "<rect class=\"bar\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{} to {}: {n}</title></rect>",
        Px(from + 0.5),
        Px(top),
        Px((to - from - 1.0).max(0.5)),
        Px(frame.bottom() - top),
        number(bin[0]),
        number(bin[1])
    );
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
        for values in [vec![], vec![3.0], vec![3.0; 5]] {
            let n = values.len();
            let histogram = Histogram {
                label: "error".into(),
                values,
            };
            assert_eq!(histogram.bins().1.iter().sum::<usize>(), n);
            assert!(histogram.svg().ends_with("</svg>"));
        }
    }
}
