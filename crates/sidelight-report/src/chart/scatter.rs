//! Predicted against true, with the line where both are equal.

use super::frame::{Anchor, Frame, Px, close, label_room, open, rule, text};
use super::scale::{Scale, ScaleKind};
use crate::escape::escape;
use crate::number::{count, number};

const WIDTH: f64 = 340.0;
const SIDE: f64 = 276.0;
/// More points than this only make the file larger: every k-th is shown, and it is said.
const MOST: usize = 1500;
/// Up to so many points, each has its tooltip.
const NAMED: usize = 400;

/// A point for every row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScatterPlot {
    /// What is predicted, unit included.
    pub label: String,
    /// `[true, predicted]`; what is not finite is left out.
    pub points: Vec<[f64; 2]>,
    /// A name for each point's tooltip (`row 214`), or none at all.
    pub names: Vec<String>,
    /// Scale of both axes.
    pub scale: ScaleKind,
}

impl ScatterPlot {
    /// Points that can be shown.
    pub fn n(&self) -> usize {
        self.points
            .iter()
            .filter(|point| point.iter().all(|value| value.is_finite()))
            .count()
    }

    /// The drawing.
    pub fn svg(&self) -> String {
        let every = self.points.len().div_ceil(MOST).max(1);
        let frame = self.frame();
        let mut out = String::new();
        let description = format!(
            "Scatter plot of predicted against true {}, {} rows.",
            self.label,
            count(self.n())
        );
        open(&mut out, WIDTH, SIDE + 62.0, &description);
        text(
            &mut out,
            0.0,
            11.0,
            Anchor::Start,
            "dim",
            &format!("predicted {}", self.label),
        );
        frame.y_axis(&mut out, &frame.y.ticks(5));
        frame.x_axis(&mut out, &frame.x.ticks(5), &format!("true {}", self.label));
        rule(
            &mut out,
            "note",
            [frame.left(), frame.bottom()],
            [frame.right(), frame.top()],
        );
        for (at, point) in self.points.iter().enumerate().step_by(every) {
            self.put_point(&mut out, &frame, at, point);
        }
        if every > 1 {
            let shown = format!("every {every}th of {} rows", count(self.points.len()));
            text(
                &mut out,
                frame.right(),
                frame.top() + 10.0,
                Anchor::End,
                "dim",
                &shown,
            );
        }
        close(&mut out);
        out
    }

    fn frame(&self) -> Frame {
        let all = Scale::over(self.scale, self.points.iter().flatten().copied()).rounded(5);
        let y = all.onto(22.0 + SIDE, 22.0);
        let x = all.onto(label_room(&y.ticks(5)), WIDTH - 14.0);
        Frame { x, y }
    }

    fn put_point(&self, out: &mut String, frame: &Frame, at: usize, point: &[f64; 2]) {
        let Some((x, y)) = frame.x.at(point[0]).zip(frame.y.at(point[1])) else {
            return;
        };
        put!(
            out,
            "<circle class=\"cloud\" cx=\"{}\" cy=\"{}\" r=\"2.6\"",
            Px(x),
            Px(y)
        );
        match self.names.get(at).filter(|_| self.points.len() <= NAMED) {
            None => out.push_str("/>"),
            Some(name) => {
                let [truth, predicted] = point.map(number);
                put!(
                    out,
                    "><title>{}: true {truth}, predicted {predicted}</title></circle>",
                    escape(name)
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_points_are_thinned_and_it_is_said() {
        let points = (0..4000).map(|k| [f64::from(k), f64::from(k)]).collect();
        let svg = ScatterPlot {
            label: "price".into(),
            points,
            ..ScatterPlot::default()
        }
        .svg();
        assert_eq!(svg.matches("<circle").count(), 1334);
        assert!(svg.contains("every 3th of 4000 rows"));
    }

    #[test]
    fn what_is_not_finite_is_not_counted() {
        let points = vec![[1.0, 2.0], [f64::NAN, 2.0]];
        let plot = ScatterPlot {
            points,
            ..ScatterPlot::default()
        };
        assert_eq!(plot.n(), 1);
        assert_eq!(plot.svg().matches("<circle").count(), 1);
    }
}
