//! Lines over a common axis: losses over epochs, a score over the share of missing metadata.

use super::frame::{
    Anchor, Frame, Px, close, colour, dash, label_room, legend, open, put_marker, rule, text,
};
use super::scale::{Scale, ScaleKind};
use crate::escape::escape;
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
/// assert!(chart.svg().starts_with("<svg"));
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
    /// Places on the x axis to be pointed out.
    pub notes: Vec<VerticalNote>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// `[x, y]`, x ascending.
    pub points: Vec<[f64; 2]>,
}

/// A place on the x axis to be pointed out.
#[derive(Debug, Clone, PartialEq)]
pub struct VerticalNote {
    /// Where.
    pub x: f64,
    /// What.
    pub text: String,
}

impl LineChart {
    /// The drawing.
    pub fn svg(&self) -> String {
        let mut head = String::new();
        text(&mut head, 0.0, 11.0, Anchor::Start, "dim", &self.y_label);
        let names: Vec<&str> = self
            .series
            .iter()
            .map(|series| series.name.as_str())
            .collect();
        let mut top = 24.0;
        if names.len() > 1 {
            top += legend(&mut head, &names, WIDTH, 20.0) + 6.0;
        }
        if !self.notes.is_empty() {
            top += 14.0;
        }
        let frame = self.frame(top);
        let mut out = String::new();
        open(
            &mut out,
            WIDTH,
            top + PLOT_HEIGHT + 38.0,
            &self.description(),
        );
        out.push_str(&head);
        frame.y_axis(&mut out, &frame.y.ticks(4));
        frame.x_axis(&mut out, &self.x_ticks(&frame.x), &self.x_label);
        self.put_notes(&mut out, &frame);
        for (n, series) in self.series.iter().enumerate() {
            self.put_series(&mut out, &frame, n, series);
        }
        close(&mut out);
        out
    }

    fn frame(&self, top: f64) -> Frame {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let bottom = top + PLOT_HEIGHT;
        let y = Scale::over(self.y_scale, points().map(|point| point[1])).rounded(4);
        let y = y.onto(bottom, top);
        let x = Scale::over(self.x_scale, points().map(|point| point[0]));
        Frame {
            x: x.onto(label_room(&y.ticks(4)), WIDTH - 10.0),
            y,
        }
    }

    fn x_ticks(&self, scale: &Scale) -> Vec<(f64, String)> {
        let whole = self
            .series
            .iter()
            .flat_map(|series| &series.points)
            .all(|point| point[0].fract() == 0.0);
        match whole {
            true => scale.whole_ticks(6),
            false => scale.ticks(6),
        }
    }

    fn put_notes(&self, out: &mut String, frame: &Frame) {
        for note in &self.notes {
            let Some(x) = frame.x.at(note.x) else {
                continue;
            };
            rule(out, "note", [x, frame.top() - 4.0], [x, frame.bottom()]);
            let anchor = match (x - frame.left()) / (frame.right() - frame.left()) {
                share if share < 0.25 => Anchor::Start,
                share if share > 0.75 => Anchor::End,
                _ => Anchor::Middle,
            };
            text(out, x, frame.top() - 7.0, anchor, "dim", &note.text);
        }
    }

    fn put_series(&self, out: &mut String, frame: &Frame, n: usize, series: &Series) {
        let mut path = String::new();
        let mut pen_is_down = false;
        for point in &series.points {
            let Some((x, y)) = frame.x.at(point[0]).zip(frame.y.at(point[1])) else {
                pen_is_down = false;
                continue;
            };
            let step = if pen_is_down { 'L' } else { 'M' };
            put!(&mut path, "{step}{} {}", Px(x), Px(y));
            pen_is_down = true;
        }
        put!(
            out,
            "<path class=\"line {}\" stroke-dasharray=\"{}\" d=\"{path}\"><title>{}</title></path>",
            colour(n),
            dash(n),
            escape(&series.name)
        );
        let every = series.points.len().div_ceil(MARKED).max(1);
        if every > 1 && self.series.len() == 1 {
            return;
        }
        for point in series.points.iter().step_by(every) {
            if let Some((x, y)) = frame.x.at(point[0]).zip(frame.y.at(point[1])) {
                let [at, value] = point.map(number);
                put_marker(
                    out,
                    n,
                    x,
                    y,
                    &format!("{}, {} {at}: {value}", series.name, self.x_label),
                );
            }
        }
    }

    fn description(&self) -> String {
        let mut words = format!("Line chart of {} against {}.", self.y_label, self.x_label);
        for series in &self.series {
            let known = |point: &&[f64; 2]| point[1].is_finite();
            let first = series.points.iter().find(known);
            let last = series.points.iter().rfind(known);
            if let (Some(first), Some(last)) = (first, last) {
                let [from, to] = [first[1], last[1]].map(number);
                put!(&mut words, " {}: from {from} to {to}.", series.name);
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
        insta::assert_snapshot!(chart().svg().replace("><", ">\n<"), @r#"
        <svg class="chart" viewBox="0 0 340 240" style="max-width:367.2px" role="img" aria-label="Line chart of loss against epoch. train: from 1 to 0. &lt;valid&gt;: from 0.800 to 0.400.">
        <text x="0" y="11" class="dim">loss</text>
        <path class="line c1" stroke-dasharray="" d="M0 28h24"/>
        <path class="mark c1" d="M9 28a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z"/>
        <text x="30" y="32">train</text>
        <path class="line c2" stroke-dasharray="6 3" d="M74.5 28h24"/>
        <path class="mark c2" d="M83.8 25.3h5.4v5.4h-5.4Z"/>
        <text x="104.5" y="32">&lt;valid&gt;</text>
        <path class="grid" d="M28.3 202L330 202"/>
        <text x="22.3" y="205.8" text-anchor="end" class="tick">0.0</text>
        <path class="grid" d="M28.3 170.8L330 170.8"/>
        <text x="22.3" y="174.6" text-anchor="end" class="tick">0.2</text>
        <path class="grid" d="M28.3 139.6L330 139.6"/>
        <text x="22.3" y="143.4" text-anchor="end" class="tick">0.4</text>
        <path class="grid" d="M28.3 108.4L330 108.4"/>
        <text x="22.3" y="112.2" text-anchor="end" class="tick">0.6</text>
        <path class="grid" d="M28.3 77.2L330 77.2"/>
        <text x="22.3" y="81" text-anchor="end" class="tick">0.8</text>
        <path class="grid" d="M28.3 46L330 46"/>
        <text x="22.3" y="49.8" text-anchor="end" class="tick">1.0</text>
        <path class="axis" d="M28.3 202L330 202"/>
        <path class="axis" d="M28.3 202L28.3 206"/>
        <text x="28.3" y="217" text-anchor="middle" class="tick">1</text>
        <path class="axis" d="M179.1 202L179.1 206"/>
        <text x="179.1" y="217" text-anchor="middle" class="tick">2</text>
        <path class="axis" d="M330 202L330 206"/>
        <text x="330" y="217" text-anchor="middle" class="tick">3</text>
        <text x="179.2" y="233" text-anchor="middle" class="dim">epoch</text>
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
        let svg = chart().svg();
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
        assert!(!chart().svg().contains("<valid>"));
    }

    #[test]
    fn a_chart_of_nothing_is_still_a_chart() {
        assert!(LineChart::default().svg().ends_with("</svg>"));
    }
}
