//! Predicted against true, with the line where both are equal.

use maud::{Markup, html};

use super::plot::{Anchor, Plot, Px, label_room};
use super::scale::{Scale, ScaleKind};
use crate::number::count;

const WIDTH: f64 = 340.0;
const SIDE: f64 = 276.0;
/// More points than this only make the file larger: every k-th is shown, and it is said.
const MOST: usize = 1500;

/// A point for every row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScatterPlot {
    /// What is predicted, unit included.
    pub label: String,
    /// `[true, predicted]`; what is not finite is left out.
    pub points: Vec<[f64; 2]>,
    /// Scale of both axes.
    pub scale: ScaleKind,
}

impl ScatterPlot {
    /// Points that can be shown.
    pub fn n(&self) -> usize {
        let finite = |point: &&[f64; 2]| point.iter().all(|value| value.is_finite());
        self.points.iter().filter(finite).count()
    }

    /// The chart as SVG.
    pub fn svg(&self) -> Markup {
        let scale = Scale::over(self.scale, self.points.iter().flatten().copied()).rounded(5);
        let y = scale.onto(22.0 + SIDE, 22.0);
        let ticks = y.ticks(5);
        let mut plot = Plot::new(WIDTH, scale.onto(label_room(&ticks), WIDTH - 14.0), y);
        plot.y_axis(&ticks, &format!("predicted {}", self.label));
        plot.x_axis(&ticks, &format!("true {}", self.label));
        plot.diagonal();
        let every = self.points.len().div_ceil(MOST).max(1);
        for point in self.points.iter().step_by(every) {
            if let Some([x, y]) = plot.at(*point) {
                plot.put(&html! { circle.cloud cx=(Px(x)) cy=(Px(y)) r="2.6" {} });
            }
        }
        if every > 1 {
            let shown = format!("one in {every} of {} rows", count(self.points.len()));
            let corner = [plot.right(), plot.top() + 10.0];
            plot.text(corner, Anchor::End, "dim", &shown);
        }
        let description = format!(
            "Scatter plot of predicted against true {}, {} rows.",
            self.label,
            count(self.n())
        );
        plot.svg(SIDE + 62.0, &description)
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
        .svg()
        .into_string();
        assert_eq!(svg.matches("<circle").count(), 1334);
        assert!(svg.contains("one in 3 of 4000 rows"));
    }

    #[test]
    fn what_is_not_finite_is_not_counted() {
        let points = vec![[1.0, 2.0], [f64::NAN, 2.0]];
        let plot = ScatterPlot {
            points,
            ..ScatterPlot::default()
        };
        assert_eq!(plot.n(), 1);
        assert_eq!(plot.svg().into_string().matches("<circle").count(), 1);
    }
}
