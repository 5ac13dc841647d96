//! Lines over a common axis: losses over epochs, a score over the share of missing metadata.

use super::frame::{
    Anchor, Frame, Px, close, colour, dash, label_room, legend, open, put_marker, rule, text,
};
use super::scale::{Scale, ScaleKind};
use crate::report::escape::escape;
use crate::report::number::number;

const WIDTH: f64 = 380.0;
const PLOT_HEIGHT: f64 = 168.0;
/// Up to so many points, each has its marker.
const MARKED: usize = 24;

/// Several lines in one drawing.
///
/// # Example
///
/// ```
/// use sidelight::report::chart::{LineChart, Series};
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
        let mut top = 20.0;
        if names.len() > 1 {
            top += legend(&mut head, &names, WIDTH, top) + 4.0;
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
        let x = Scale::over(ScaleKind::Linear, points().map(|point| point[0]));
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
        insta::assert_snapshot!(chart().svg().replace("><", ">\n<"), @"");
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
