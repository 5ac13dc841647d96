//! A row of dots for each arm, one a fold, with their mean.

use maud::Markup;

use super::plot::{Anchor, Plot, widest};
use super::scale::{Scale, ScaleKind};
use crate::number::number;
use crate::text::shortened;

const WIDTH: f64 = 400.0;
const NAME: usize = 30;
const ROW: f64 = 24.0;
const TOP: f64 = 6.0;

/// Rows of dots on one axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DotPlot {
    /// What is shown, unit included.
    pub label: String,
    /// From top to bottom.
    pub rows: Vec<DotRow>,
}

/// One row of dots, with its mean.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DotRow {
    /// Label beside the row.
    pub name: String,
    /// One a fold.
    pub values: Vec<f64>,
    /// Mean of the dots.
    pub mean: f64,
}

impl DotPlot {
    /// The chart as SVG.
    pub fn svg(&self) -> Markup {
        let names = self.rows.iter().map(|row| shortened(&row.name, NAME));
        let left = widest(names, 30.0) + 18.0;
        let all = self.rows.iter();
        let all = all.flat_map(|row| row.values.iter().copied().chain([row.mean]));
        let x = Scale::over(ScaleKind::Linear, all).rounded(5);
        let bottom = TOP + self.rows.len() as f64 * ROW;
        let y = Scale::over(ScaleKind::Linear, []).onto(bottom, TOP);
        let mut plot = Plot::new(WIDTH, x.onto(left, WIDTH - 12.0), y);
        let ticks = plot.x.ticks(5);
        for x in ticks
            .iter()
            .filter_map(|(value, _)| plot.x.at(*value))
            .collect::<Vec<f64>>()
        {
            plot.rule("grid", [x, 2.0], [x, bottom]);
        }
        plot.x_axis(&ticks, &self.label);
        for (at, row) in self.rows.iter().enumerate() {
            put_row(&mut plot, TOP + (at as f64 + 0.5) * ROW, at, row);
        }
        plot.svg(bottom + 38.0, &self.description())
    }

    fn description(&self) -> String {
        let mut words = format!("Dot plot of {} for each fold.", self.label);
        for row in &self.rows {
            let values: Vec<String> = row.values.iter().map(|value| number(*value)).collect();
            let (mean, values) = (number(row.mean), values.join(", "));
            words += &format!(" {}: mean {mean}, folds {values}.", row.name);
        }
        words
    }
}

fn put_row(plot: &mut Plot, y: f64, at: usize, row: &DotRow) {
    let name = [plot.left() - 12.0, y + 3.8];
    plot.text(name, Anchor::End, "", &shortened(&row.name, NAME));
    for (fold, value) in row.values.iter().enumerate() {
        if let Some(x) = plot.x.at(*value) {
            let tooltip = format!("{}, fold {}: {}", row.name, fold + 1, number(*value));
            plot.mark(at, [x, y], &tooltip);
        }
    }
    if let Some(x) = plot.x.at(row.mean) {
        plot.rule("mean", [x, y - 8.5], [x, y + 8.5]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_dot_for_every_fold_and_a_line_for_the_mean() {
        let rows = vec![DotRow {
            name: "image".into(),
            values: vec![0.4, 0.5, f64::NAN],
            mean: 0.45,
        }];
        let svg = DotPlot {
            label: "MAE".into(),
            rows,
        }
        .svg()
        .into_string();
        assert_eq!(svg.matches("class=\"mark").count(), 2);
        assert_eq!(svg.matches("class=\"mean").count(), 1);
    }
}
