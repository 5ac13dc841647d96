//! Differences with their intervals, one a row (a forest plot).
//!
//! A filled square: the interval does not hold zero. A hollow one: it does.

use maud::{Markup, html};
use sidelight_evidence::metric::Better;

use super::plot::{Anchor, Plot, Px, text_width, widest};
use super::scale::{Scale, ScaleKind};
use crate::number::{count, decimals, signed_fixed};
use crate::text::shortened;

const WIDTH: f64 = 720.0;
const NAME: usize = 40;
const NUMBERS: &str = "difference (95 % interval)";
const ROW: f64 = 24.0;
const HEAD: f64 = 34.0;

/// Rows of differences on one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct IntervalPlot {
    /// What differs, unit included.
    pub label: String,
    /// On which side of zero the better results are.
    pub better: Better,
    /// From top to bottom.
    pub rows: Vec<Interval>,
}

/// One difference with its confidence interval.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Interval {
    /// What is compared with what.
    pub name: String,
    /// The point estimate.
    pub delta: f64,
    /// Lower end of the confidence interval.
    pub low: f64,
    /// Upper end of the confidence interval.
    pub high: f64,
    /// Rows behind it.
    pub n: usize,
}

impl Interval {
    /// Whether zero is inside (or an end is not known).
    pub fn holds_zero(&self) -> bool {
        !(self.low > 0.0 || self.high < 0.0)
    }

    fn numbers(&self, decimals: usize) -> String {
        let [delta, low, high] =
            [self.delta, self.low, self.high].map(|value| signed_fixed(value, decimals));
        format!("{delta} ({low} to {high})")
    }
}

impl IntervalPlot {
    /// The drawing: names take what they need on the left, numbers on the right, the plot what is between.
    pub fn svg(&self) -> Markup {
        let all = || {
            let rows = self.rows.iter();
            rows.flat_map(|row| [row.delta, row.low, row.high])
        };
        let decimals = decimals(all());
        let numbers: Vec<String> = self.rows.iter().map(|row| row.numbers(decimals)).collect();
        let names = self.rows.iter().map(|row| shortened(&row.name, NAME));
        let left = widest(names, 60.0) + 22.0;
        let right = WIDTH - widest(&numbers, text_width(NUMBERS)) - 62.0;
        let bottom = HEAD + self.rows.len() as f64 * ROW;
        let x = Scale::over(ScaleKind::Linear, all().chain([0.0])).onto(left, right - 16.0);
        let y = Scale::over(ScaleKind::Linear, []).onto(bottom, HEAD);
        let mut plot = Plot::new(WIDTH, x, y);
        self.put_head(&mut plot, right);
        plot.x_axis(&x.ticks(4), &self.label);
        let mut words = format!("Differences in {}, {}.", self.label, self.better.words());
        for (at, (row, numbers)) in self.rows.iter().zip(&numbers).enumerate() {
            let y = HEAD + (at as f64 + 0.5) * ROW;
            put_row(&mut plot, y, row, numbers);
            plot.text([right, y + 3.8], Anchor::Start, "num", numbers);
            words += &format!(" {}: {numbers}, n = {}.", row.name, row.n);
        }
        plot.svg(bottom + 38.0, &words)
    }

    fn put_head(&self, plot: &mut Plot, numbers: f64) {
        let zero = plot.x.at(0.0).unwrap_or(plot.left());
        let (left, right) = match self.better {
            Better::Lower => ("← better", "worse →"),
            Better::Higher => ("← worse", "better →"),
        };
        if zero - plot.left() > 46.0 {
            plot.text([zero - 6.0, 24.0], Anchor::End, "dim", left);
        }
        if plot.right() - zero > 46.0 {
            plot.text([zero + 6.0, 24.0], Anchor::Start, "dim", right);
        }
        plot.text([numbers, 24.0], Anchor::Start, "dim", NUMBERS);
        plot.text([WIDTH, 24.0], Anchor::End, "dim", "n");
        plot.rule("axis", [0.0, HEAD - 3.0], [WIDTH, HEAD - 3.0]);
        plot.rule("zero", [zero, HEAD - 3.0], [zero, plot.bottom()]);
    }
}

fn put_row(plot: &mut Plot, y: f64, row: &Interval, numbers: &str) {
    let base = y + 3.8;
    plot.text([0.0, base], Anchor::Start, "", &shortened(&row.name, NAME));
    if let [Some(low), Some(high)] = [row.low, row.high].map(|end| plot.x.at(end)) {
        plot.whisker([low, high], y);
    }
    if let Some(x) = plot.x.at(row.delta) {
        let class = if row.holds_zero() { "hollow" } else { "solid" };
        plot.put(&html! {
            rect class=(class) x=(Px(x - 4.5)) y=(Px(y - 4.5)) width="9" height="9" {
                title { (row.name) ": " (numbers) }
            }
        });
    }
    plot.text([WIDTH, base], Anchor::End, "num", &count(row.n));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> IntervalPlot {
        let row = |name: &str, delta, low, high| Interval {
            name: name.into(),
            delta,
            low,
            high,
            n: 535,
        };
        IntervalPlot {
            label: "MAE".into(),
            better: Better::Lower,
            rows: vec![
                row("both − image", -0.08, -0.1, -0.06),
                row("shuffled − image", 0.01, -0.02, 0.04),
            ],
        }
    }

    #[test]
    fn a_difference_whose_interval_holds_zero_is_hollow() {
        let svg = plot().svg().into_string();
        assert_eq!(svg.matches("class=\"solid\"").count(), 1);
        assert_eq!(svg.matches("class=\"hollow\"").count(), 1);
    }

    #[test]
    fn an_interval_that_is_not_known_is_not_taken_for_evidence() {
        let unknown = Interval {
            delta: 1.0,
            low: f64::NAN,
            high: f64::NAN,
            ..Interval::default()
        };
        assert!(unknown.holds_zero());
    }

    #[test]
    fn every_number_is_said_in_words_with_its_n() {
        assert!(plot().svg().into_string().contains(
            "Differences in MAE, lower is better. both − image: −0.080 (−0.100 to −0.060), n = 535."
        ));
    }
}
