//! Whether probabilities mean what they say: share that came true against probability given.

use super::frame::{Anchor, Frame, Px, close, colour, dash, legend, open, put_marker, rule, text};
use super::scale::{Scale, ScaleKind};
use crate::number::{count, fixed, percent};

const WIDTH: f64 = 340.0;
const SIDE: f64 = 276.0;

/// One or several sets of probabilities, binned.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReliabilityDiagram {
    /// One an arm.
    pub series: Vec<ReliabilitySeries>,
}

/// The bins of one arm.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReliabilitySeries {
    /// Its name.
    pub name: String,
    /// Those that hold any row, by ascending probability.
    pub bins: Vec<ReliabilityBin>,
}

/// Rows that were given about the same probability.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReliabilityBin {
    /// Mean probability given, in [0, 1].
    pub predicted: f64,
    /// Share that came true, in [0, 1].
    pub observed: f64,
    /// Rows.
    pub n: usize,
}

impl ReliabilityBin {
    /// Sorts pairs of a probability and whether it came true into bins of equal width; empty bins are left out.
    ///
    /// ```
    /// use sidelight_report::chart::ReliabilityBin;
    /// let bins = ReliabilityBin::of([(0.1, false), (0.2, true), (1.0, true)], 2);
    /// assert_eq!(bins.len(), 2);
    /// assert_eq!((bins[0].observed, bins[0].n), (0.5, 2));
    /// ```
    pub fn of(pairs: impl IntoIterator<Item = (f64, bool)>, n_bins: usize) -> Vec<Self> {
        let mut sums = vec![(0.0, 0, 0); n_bins];
        for (probability, came_true) in pairs {
            let bin = ((probability * n_bins as f64) as usize).min(n_bins - 1);
            let (sum, n_true, n) = &mut sums[bin];
            (*sum, *n_true, *n) = (*sum + probability, *n_true + usize::from(came_true), *n + 1);
        }
        let bin = |(sum, n_true, n): (f64, usize, usize)| {
            let mean = |total: f64| total / n as f64;
            Self {
                predicted: mean(sum),
                observed: mean(n_true as f64),
                n,
            }
        };
        sums.into_iter()
            .filter(|(_, _, n)| *n > 0)
            .map(bin)
            .collect()
    }

    /// An interval of 95 % for the share.
    ///
    /// # Source
    ///
    /// E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    /// Journal of the American Statistical Association 22, 1927.
    pub fn interval(&self) -> [f64; 2] {
        let (n, p, z) = (self.n as f64, self.observed, 1.959_963_984_540_054_f64);
        let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        [middle - half, middle + half]
    }
}

impl ReliabilityDiagram {
    /// The drawing: the closer to the dashed diagonal, the better; whiskers are 95 % intervals of the share.
    pub fn svg(&self) -> String {
        let mut head = String::new();
        text(
            &mut head,
            0.0,
            11.0,
            Anchor::Start,
            "dim",
            "share that came true",
        );
        let names: Vec<&str> = self
            .series
            .iter()
            .map(|series| series.name.as_str())
            .collect();
        let top = match names.len() > 1 {
            true => 30.0 + legend(&mut head, &names, WIDTH, 20.0),
            false => 24.0,
        };
        let unit = Scale {
            kind: ScaleKind::Linear,
            domain: [0.0, 1.0],
            range: [0.0, 1.0],
        };
        let frame = Frame {
            x: unit.onto(34.0, WIDTH - 12.0),
            y: unit.onto(top + SIDE, top),
        };
        let mut out = String::new();
        open(&mut out, WIDTH, top + SIDE + 38.0, &self.description());
        out.push_str(&head);
        frame.y_axis(&mut out, &frame.y.ticks(5));
        frame.x_axis(&mut out, &frame.x.ticks(5), "probability given");
        rule(
            &mut out,
            "note",
            [frame.left(), frame.bottom()],
            [frame.right(), frame.top()],
        );
        for (n, series) in self.series.iter().enumerate() {
            put_series(&mut out, &frame, n, series);
        }
        close(&mut out);
        out
    }

    fn description(&self) -> String {
        let mut words =
            String::from("Reliability diagram: share that came true against probability given.");
        for series in &self.series {
            let n: usize = series.bins.iter().map(|bin| bin.n).sum();
            put!(&mut words, " {}, n = {}:", series.name, count(n));
            for bin in &series.bins {
                put!(
                    &mut words,
                    " {} gave {},",
                    fixed(bin.predicted, 2),
                    fixed(bin.observed, 2)
                );
            }
        }
        words
    }
}

fn put_series(out: &mut String, frame: &Frame, n: usize, series: &ReliabilitySeries) {
    let mut path = String::new();
    let mut marks = String::new();
    for bin in &series.bins {
        let Some((x, y)) = frame.x.at(bin.predicted).zip(frame.y.at(bin.observed)) else {
            continue;
        };
        let step = if path.is_empty() { 'M' } else { 'L' };
        put!(&mut path, "{step}{} {}", Px(x), Px(y));
        if let [Some(low), Some(high)] = bin.interval().map(|end| frame.y.at(end)) {
            // Arms stand side by side, so that their whiskers do not hide each other.
            let x = x + (n as f64 - 0.5) * 2.0;
            put!(
                &mut marks,
                "<path class=\"thin {}\" d=\"M{} {}V{}\"/>",
                colour(n),
                Px(x),
                Px(low),
                Px(high)
            );
        }
        let words = format!(
            "{}: given {}, came true {}, n = {}",
            series.name,
            percent(bin.predicted),
            percent(bin.observed),
            count(bin.n)
        );
        put_marker(&mut marks, n, x, y, &words);
    }
    put!(
        out,
        "<path class=\"line {}\" stroke-dasharray=\"{}\" d=\"{path}\"/>{marks}",
        colour(n),
        dash(n)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // statsmodels.stats.proportion.proportion_confint(3, 10, method="wilson")
        let [low, high] = ReliabilityBin {
            predicted: 0.5,
            observed: 0.3,
            n: 10,
        }
        .interval();
        assert!((low - 0.107_791_267_406_301).abs() < 1e-9, "{low}");
        assert!((high - 0.603_221_852_538_855).abs() < 1e-9, "{high}");
    }

    #[test]
    fn every_bin_has_its_marker_and_its_n() {
        let bins = vec![
            ReliabilityBin {
                predicted: 0.1,
                observed: 0.2,
                n: 30,
            },
            ReliabilityBin {
                predicted: 0.9,
                observed: 0.8,
                n: 20,
            },
        ];
        let series = vec![ReliabilitySeries {
            name: "both".into(),
            bins,
        }];
        let svg = ReliabilityDiagram { series }.svg();
        assert_eq!(svg.matches("class=\"mark").count(), 2);
        assert!(svg.contains("n = 30") && svg.contains("n = 20") && svg.contains("n = 50"));
    }
}
