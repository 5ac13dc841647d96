//! Lines over a common axis: losses over epochs, a score over the share of missing metadata.

use maud::Markup;

use super::plot::{Plot, label_room, legend_height};
use super::scale::{Scale, ScaleKind};
use crate::number::number;

const WIDTH: f64 = 340.0;
const PLOT_HEIGHT: f64 = 156.0;
/// Up to so many points, each has its marker; of more points only some have, to tell lines apart,
/// and of a line that is alone none has.
const MARKED: usize = 24;

/// Several lines in one drawing.
///
/// # Example
///
/// ```
/// use sidelight_report::chart::{LineChart, Series};
/// let chart = LineChart {
///     x_label: "epoch".into(),
///     y_label: "loss".into(),
///     series: vec![Series { name: "training".into(), points: vec![[1.0, 0.9], [2.0, 0.4]] }],
///     ..LineChart::default()
/// };
/// assert!(chart.svg().into_string().starts_with("<svg"));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LineChart {
    /// Name of the x axis, unit included.
    pub x_label: String,
    /// Name of the y axis, unit included.
    pub y_label: String,
    /// The lines. Points without a place (not finite; not above 0 on a log scale) leave a gap.
    pub series: Vec<Series>,
    /// Scale of the x axis.
    pub x_scale: ScaleKind,
    /// Scale of the y axis.
    pub y_scale: ScaleKind,
    /// A place on the x axis to be pointed out, and what it is.
    pub note: Option<(f64, String)>,
}

/// One line of a chart: a name and its points.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// `[x, y]`, x ascending.
    pub points: Vec<[f64; 2]>,
}

impl LineChart {
    /// The chart as SVG.
    pub fn svg(&self) -> Markup {
        let names: Vec<&str> = self.series.iter().map(|series| &*series.name).collect();
        let mut top = 24.0 + legend_height(&names, WIDTH);
        if self.note.is_some() {
            top += 14.0;
        }
        let mut plot = self.plot(top);
        plot.y_axis(&plot.y.ticks(4), &self.y_label);
        plot.x_axis(&self.x_ticks(&plot.x), &self.x_label);
        plot.legend(&names, 20.0);
        if let Some((x, words)) = &self.note {
            plot.note(*x, words);
        }
        for (n, series) in self.series.iter().enumerate() {
            self.put_series(&mut plot, n, series);
        }
        plot.svg(top + PLOT_HEIGHT + 38.0, &self.description())
    }

    fn plot(&self, top: f64) -> Plot {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let y = Scale::over(self.y_scale, points().map(|point| point[1])).rounded(4);
        let y = y.onto(top + PLOT_HEIGHT, top);
        let x = Scale::over(self.x_scale, points().map(|point| point[0]));
        Plot::new(WIDTH, x.onto(label_room(&y.ticks(4)), WIDTH - 10.0), y)
    }

    fn x_ticks(&self, scale: &Scale) -> Vec<(f64, String)> {
        let mut points = self.series.iter().flat_map(|series| &series.points);
        match points.all(|point| point[0].fract() == 0.0) {
            true => scale.whole_ticks(6),
            false => scale.ticks(6),
        }
    }

    fn put_series(&self, plot: &mut Plot, n: usize, series: &Series) {
        plot.line(n, series.points.iter().copied(), &series.name);
        let every = series.points.len().div_ceil(MARKED).max(1);
        if every > 1 && self.series.len() == 1 {
            return;
        }
        for point in series.points.iter().step_by(every) {
            if let Some(place) = plot.at(*point) {
                let [at, value] = point.map(number);
                let tooltip = format!("{}, {} {at}: {value}", series.name, self.x_label);
                plot.mark(n, place, &tooltip);
            }
        }
    }

    fn description(&self) -> String {
        let mut words = format!("Line chart of {} against {}.", self.y_label, self.x_label);
        for series in &self.series {
            let mut known = series.points.iter().filter(|point| point[1].is_finite());
            if let Some(first) = known.next() {
                let last = known.next_back().unwrap_or(first);
                let [from, to] = [first[1], last[1]].map(number);
                words += &format!(" {}: from {from} to {to}.", series.name);
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> LineChart {
        LineChart {
            x_label: "epoch".into(),
            y_label: "loss".into(),
            series: vec![
                Series {
                    name: "train".into(),
                    points: vec![[1.0, 1.0], [2.0, 0.5], [3.0, 0.0]],
                },
                Series {
                    name: "<valid>".into(),
                    points: vec![[1.0, 0.8], [2.0, f64::NAN], [3.0, 0.4]],
                },
            ],
            ..LineChart::default()
        }
    }

    #[test]
    fn a_small_chart_is_drawn_as_it_always_was() {
        insta::assert_snapshot!(chart().svg().into_string().replace("><", ">\n<"), @r#"
        <svg class="chart" viewBox="0 0 340 240" style="max-width:367.2px" role="img" aria-label="Line chart of loss against epoch. train: from 1 to 0. &lt;valid&gt;: from 0.800 to 0.400.">
        <text x="0" y="11" class="dim">loss</text>
        <path class="grid" d="M28.3 202L330 202">
        </path>
        <text x="22.3" y="205.8" text-anchor="end" class="tick">0.0</text>
        <path class="grid" d="M28.3 170.8L330 170.8">
        </path>
        <text x="22.3" y="174.6" text-anchor="end" class="tick">0.2</text>
        <path class="grid" d="M28.3 139.6L330 139.6">
        </path>
        <text x="22.3" y="143.4" text-anchor="end" class="tick">0.4</text>
        <path class="grid" d="M28.3 108.4L330 108.4">
        </path>
        <text x="22.3" y="112.2" text-anchor="end" class="tick">0.6</text>
        <path class="grid" d="M28.3 77.2L330 77.2">
        </path>
        <text x="22.3" y="81" text-anchor="end" class="tick">0.8</text>
        <path class="grid" d="M28.3 46L330 46">
        </path>
        <text x="22.3" y="49.8" text-anchor="end" class="tick">1.0</text>
        <path class="axis" d="M28.3 202L330 202">
        </path>
        <path class="axis" d="M28.3 202L28.3 206">
        </path>
        <text x="28.3" y="217" text-anchor="middle" class="tick">1</text>
        <path class="axis" d="M179.1 202L179.1 206">
        </path>
        <text x="179.1" y="217" text-anchor="middle" class="tick">2</text>
        <path class="axis" d="M330 202L330 206">
        </path>
        <text x="330" y="217" text-anchor="middle" class="tick">3</text>
        <text x="179.2" y="233" text-anchor="middle" class="dim">epoch</text>
        <path class="line c1" stroke-dasharray="" d="M0 28h24">
        </path>
        <path class="mark c1" d="M9 28a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z">
        </path>
        <text x="30" y="32">train</text>
        <path class="line c2" stroke-dasharray="6 3" d="M74.5 28h24">
        </path>
        <path class="mark c2" d="M83.8 25.3h5.4v5.4h-5.4Z">
        </path>
        <text x="104.5" y="32">&lt;valid&gt;</text>
        <path class="line c1" stroke-dasharray="" d="M28.3 46L179.1 124L330 202">
        <title>train</title>
        </path>
        <path class="mark c1" d="M25.3 46a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z">
        <title>train, epoch 1: 1</title>
        </path>
        <path class="mark c1" d="M176.1 124a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z">
        <title>train, epoch 2: 0.500</title>
        </path>
        <path class="mark c1" d="M327 202a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z">
        <title>train, epoch 3: 0</title>
        </path>
        <path class="line c2" stroke-dasharray="6 3" d="M28.3 77.2M330 139.6">
        <title>&lt;valid&gt;</title>
        </path>
        <path class="mark c2" d="M25.6 74.5h5.4v5.4h-5.4Z">
        <title>&lt;valid&gt;, epoch 1: 0.800</title>
        </path>
        <path class="mark c2" d="M327.3 136.9h5.4v5.4h-5.4Z">
        <title>&lt;valid&gt;, epoch 3: 0.400</title>
        </path>
        </svg>
        "#);
    }

    #[test]
    fn a_gap_breaks_the_line() {
        let svg = chart().svg().into_string();
        let valid = svg.split("<path class=\"line c2\"").last().unwrap();
        let path = valid
            .split("d=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(path.matches('L').count(), 0, "{path}");
    }

    #[test]
    fn names_are_escaped_everywhere() {
        assert!(!chart().svg().into_string().contains("<valid>"));
    }

    #[test]
    fn a_chart_of_nothing_is_still_a_chart() {
        assert!(LineChart::default().svg().into_string().ends_with("</svg>"));
    }
}
