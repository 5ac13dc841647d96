//! Differences with their intervals, one a row (a forest plot).
//!
//! A filled square: the interval does not hold zero. A hollow one: it does.

use super::frame::{Anchor, Px, close, open, rule, text, text_width};
use super::scale::{Scale, ScaleKind};
use crate::escape::{escape, shortened};
use crate::number::{count, decimals, signed_fixed};
use sidelight_evidence::metric::Better;

const WIDTH: f64 = 720.0;
const NAME: usize = 40;
const NUMBERS: &str = "difference (95 % interval)";
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

/// One difference.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Interval {
    /// What is compared with what.
    pub name: String,
    /// The difference.
    pub delta: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Rows behind it.
    pub n: usize,
}

/// Where things are, and how numbers are written.
struct Layout {
    scale: Scale,
    plot_end: f64,
    decimals: usize,
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
    /// Decimals of all numbers in the drawing.
    fn decimals(&self) -> usize {
        decimals(
            self.rows
                .iter()
                .flat_map(|row| [row.delta, row.low, row.high]),
        )
    }

    /// The drawing.
    pub fn svg(&self) -> String {
        let layout = self.layout();
        let bottom = HEAD + self.rows.len() as f64 * ROW;
        let mut out = String::new();
        open(&mut out, WIDTH, bottom + 38.0, &self.description());
        self.put_head(&mut out, &layout);
        put_axis(&mut out, &layout.scale, bottom, &self.label);
        for (at, row) in self.rows.iter().enumerate() {
            put_row(&mut out, &layout, HEAD + (at as f64 + 0.5) * ROW, row);
        }
        close(&mut out);
        out
    }

    /// Names take what they need on the left, numbers on the right, the plot what is between.
    fn layout(&self) -> Layout {
        let decimals = self.decimals();
        let widest = |widths: &mut dyn Iterator<Item = f64>| widths.fold(60.0, f64::max);
        let names = self
            .rows
            .iter()
            .map(|row| text_width(&shortened(&row.name, NAME)));
        let numbers = self
            .rows
            .iter()
            .map(|row| text_width(&row.numbers(decimals)));
        let left = widest(&mut { names }) + 14.0;
        let plot_end = WIDTH - widest(&mut { numbers }).max(text_width(NUMBERS)) - 62.0;
        let ends = self
            .rows
            .iter()
            .flat_map(|row| [0.0, row.delta, row.low, row.high]);
        let scale = Scale::over(ScaleKind::Linear, ends).onto(left + 8.0, plot_end - 16.0);
        Layout {
            scale,
            plot_end,
            decimals,
        }
    }

    fn put_head(&self, out: &mut String, layout: &Layout) {
        let Layout {
            scale, plot_end, ..
        } = layout;
        let zero = scale.at(0.0).unwrap_or(scale.range[0]);
        let (left, right) = match self.better {
            Better::Lower => ("← better", "worse →"),
            Better::Higher => ("← worse", "better →"),
        };
        if zero - scale.range[0] > 46.0 {
            text(out, zero - 6.0, 24.0, Anchor::End, "dim", left);
        }
        if scale.range[1] - zero > 46.0 {
            text(out, zero + 6.0, 24.0, Anchor::Start, "dim", right);
        }
        text(out, *plot_end, 24.0, Anchor::Start, "dim", NUMBERS);
        text(out, WIDTH, 24.0, Anchor::End, "dim", "n");
        rule(out, "axis", [0.0, HEAD - 3.0], [WIDTH, HEAD - 3.0]);
    }

    fn description(&self) -> String {
        let mut words = format!("Differences in {}, {}.", self.label, self.better.words());
        for row in &self.rows {
            put!(
                &mut words,
                " {}: {}, n = {}.",
                row.name,
                row.numbers(self.decimals()),
                row.n
            );
        }
        words
    }
}

fn put_axis(out: &mut String, scale: &Scale, bottom: f64, label: &str) {
    let [left, right] = scale.range;
    rule(out, "axis", [left - 8.0, bottom], [right + 12.0, bottom]);
    for (value, tick) in scale.ticks(4) {
        let Some(x) = scale.at(value) else { continue };
        rule(out, "axis", [x, bottom], [x, bottom + 4.0]);
        text(out, x, bottom + 15.0, Anchor::Middle, "tick", &tick);
    }
    if let Some(zero) = scale.at(0.0) {
        rule(out, "zero", [zero, HEAD - 3.0], [zero, bottom]);
    }
    text(
        out,
        (left + right) / 2.0,
        bottom + 31.0,
        Anchor::Middle,
        "dim",
        label,
    );
}

fn put_row(out: &mut String, layout: &Layout, y: f64, row: &Interval) {
    let Layout {
        scale,
        plot_end,
        decimals,
    } = layout;
    let numbers = row.numbers(*decimals);
    text(
        out,
        0.0,
        y + 3.8,
        Anchor::Start,
        "",
        &shortened(&row.name, NAME),
    );
    if let Some((low, high)) = scale.at(row.low).zip(scale.at(row.high)) {
        rule(out, "whisker", [low, y], [high, y]);
        rule(out, "whisker", [low, y - 4.0], [low, y + 4.0]);
        rule(out, "whisker", [high, y - 4.0], [high, y + 4.0]);
    }
    if let Some(x) = scale.at(row.delta) {
        let class = if row.holds_zero() { "hollow" } else { "solid" };
        put!(
            out,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"9\" height=\"9\"><title>{}: {}</title></rect>",
            Px(x - 4.5),
            Px(y - 4.5),
            escape(&row.name),
            numbers
        );
    }
    text(out, *plot_end, y + 3.8, Anchor::Start, "num", &numbers);
    text(out, WIDTH, y + 3.8, Anchor::End, "num", &count(row.n));
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
        let svg = plot().svg();
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
        assert!(plot().svg().contains(
            "Differences in MAE, lower is better. both − image: −0.080 (−0.100 to −0.060), n = 535."
        ));
    }
}
