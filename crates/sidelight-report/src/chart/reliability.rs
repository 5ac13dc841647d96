//! Whether probabilities mean what they say: share that came true against probability given.

use maud::{Markup, html};
use sidelight_evidence::metric::calibration::Bin;
use sidelight_evidence::statistics::significance::wilson;

use super::plot::{Plot, Px, colour, legend_height};
use super::scale::{Scale, ScaleKind};
use crate::number::{count, fixed, percent};

const WIDTH: f64 = 340.0;
const SIDE: f64 = 276.0;

/// One or several sets of probabilities, binned.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReliabilityDiagram {
    /// Name and bins of each arm; bins without a row are not drawn.
    pub series: Vec<(String, Vec<Bin>)>,
}

impl ReliabilityDiagram {
    /// Rows in all.
    pub fn n(&self) -> usize {
        self.series.iter().map(|(_, bins)| n_rows(bins)).sum()
    }

    /// The drawing: the closer to the dashed diagonal, the better; whiskers are 95 % intervals of the share.
    pub fn svg(&self) -> Markup {
        let names: Vec<&str> = self.series.iter().map(|(name, _)| &**name).collect();
        let top = 24.0 + legend_height(&names, WIDTH);
        let unit = Scale::over(ScaleKind::Linear, [0.0, 1.0]);
        let y = unit.onto(top + SIDE, top);
        let mut plot = Plot::new(WIDTH, unit.onto(34.0, WIDTH - 12.0), y);
        plot.y_axis(&y.ticks(5), "share that came true");
        plot.x_axis(&unit.ticks(5), "probability given");
        plot.legend(&names, 20.0);
        plot.diagonal();
        for (n, (name, bins)) in self.series.iter().enumerate() {
            put_series(&mut plot, n, name, bins);
        }
        plot.svg(top + SIDE + 38.0, &self.description())
    }

    fn description(&self) -> String {
        let mut words =
            String::from("Reliability diagram: share that came true against probability given.");
        for (name, bins) in &self.series {
            words += &format!(" {name}, n = {}:", count(n_rows(bins)));
            for bin in filled(bins) {
                let (given, found) = (fixed(bin.confidence, 2), fixed(bin.accuracy, 2));
                words += &format!(" {given} gave {found},");
            }
        }
        words
    }
}

fn n_rows(bins: &[Bin]) -> usize {
    bins.iter().map(|bin| bin.n).sum()
}

fn filled(bins: &[Bin]) -> impl Iterator<Item = &Bin> {
    bins.iter().filter(|bin| bin.n > 0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the rows of a bin"
)]
fn put_series(plot: &mut Plot, n: usize, name: &str, bins: &[Bin]) {
    let points = filled(bins).map(|bin| [bin.confidence, bin.accuracy]);
    plot.line(n, points, name);
    for bin in filled(bins) {
        let Some([x, y]) = plot.at([bin.confidence, bin.accuracy]) else {
            continue;
        };
        let came_true = (bin.accuracy * bin.n as f64).round() as usize;
        let interval = wilson(came_true, bin.n, 0.95);
        if let [Some(low), Some(high)] = [interval.low, interval.high].map(|end| plot.y.at(end)) {
            // Arms stand side by side, so that their whiskers do not hide each other.
            let x = x + (n as f64 - 0.5) * 2.0;
            plot.put(&html! {
                path class={ "thin " (colour(n)) } d={ "M" (Px(x)) " " (Px(low)) "V" (Px(high)) } {}
            });
        }
        let words = format!(
            "{name}: given {}, came true {}, n = {}",
            percent(bin.confidence),
            percent(bin.accuracy),
            count(bin.n)
        );
        plot.mark(n, [x, y], &words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bin_has_its_marker_and_its_n() {
        let bin = |confidence, accuracy, n| Bin {
            n,
            confidence,
            accuracy,
        };
        let bins = vec![bin(0.1, 0.2, 30), bin(0.0, 0.0, 0), bin(0.9, 0.8, 20)];
        let diagram = ReliabilityDiagram {
            series: vec![("both".into(), bins)],
        };
        assert_eq!(diagram.n(), 50);
        let svg = diagram.svg().into_string();
        assert_eq!(svg.matches("class=\"mark").count(), 2);
        assert!(svg.contains("n = 30") && svg.contains("n = 20") && svg.contains("n = 50"));
    }
}
