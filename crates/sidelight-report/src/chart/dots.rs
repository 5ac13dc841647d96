//! A row of dots for each arm, one a fold, with their mean.

use super::frame::{Anchor, close, open, put_marker, rule, text, text_width};
use super::scale::{Scale, ScaleKind};
use crate::escape::shortened;
use crate::number::number;

const WIDTH: f64 = 400.0;
const NAME: usize = 30;
const ROW: f64 = 24.0;

/// Rows of dots on one axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DotPlot {
    /// What is shown, unit included.
    pub label: String,
    /// From top to bottom.
    pub rows: Vec<DotRow>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DotRow {
    /// Its name.
    pub name: String,
    /// One a fold.
    pub values: Vec<f64>,
    /// Their mean.
    pub mean: f64,
}

impl DotPlot {
    /// The drawing.
    pub fn svg(&self) -> String {
        let left = self
            .rows
            .iter()
            .map(|row| text_width(&shortened(&row.name, NAME)))
            .fold(30.0, f64::max);
        let all = self
            .rows
            .iter()
            .flat_map(|row| row.values.iter().copied().chain([row.mean]));
        let scale = Scale::over(ScaleKind::Linear, all)
            .rounded(5)
            .onto(left + 18.0, WIDTH - 12.0);
        let bottom = 6.0 + self.rows.len() as f64 * ROW;
        let mut out = String::new();
        open(&mut out, WIDTH, bottom + 38.0, &self.description());
        put_axis(&mut out, &scale, bottom, &self.label);
        for (at, row) in self.rows.iter().enumerate() {
            put_row(&mut out, &scale, 6.0 + (at as f64 + 0.5) * ROW, at, row);
        }
        close(&mut out);
        out
    }

    fn description(&self) -> String {
        let mut words = format!("Dot plot of {} for each fold.", self.label);
        for row in &self.rows {
            let values: Vec<String> = row.values.iter().map(|value| number(*value)).collect();
            put!(
                &mut words,
                " {}: mean {}, folds {}.",
                row.name,
                number(row.mean),
                values.join(", ")
            );
        }
        words
    }
}

fn put_axis(out: &mut String, scale: &Scale, bottom: f64, label: &str) {
    let [left, right] = scale.range;
    for (value, tick) in scale.ticks(5) {
        let Some(x) = scale.at(value) else { continue };
        rule(out, "grid", [x, 2.0], [x, bottom]);
        text(out, x, bottom + 15.0, Anchor::Middle, "tick", &tick);
    }
    rule(out, "axis", [left, bottom], [right, bottom]);
    text(
        out,
        (left + right) / 2.0,
        bottom + 31.0,
        Anchor::Middle,
        "dim",
        label,
    );
}

fn put_row(out: &mut String, scale: &Scale, y: f64, at: usize, row: &DotRow) {
    text(
        out,
        scale.range[0] - 12.0,
        y + 3.8,
        Anchor::End,
        "",
        &shortened(&row.name, NAME),
    );
    for (fold, value) in row.values.iter().enumerate() {
        if let Some(x) = scale.at(*value) {
            put_marker(
                out,
                at,
                x,
                y,
                &format!("{}, fold {}: {}", row.name, fold + 1, number(*value)),
            );
        }
    }
    if let Some(x) = scale.at(row.mean) {
        rule(out, "mean", [x, y - 8.5], [x, y + 8.5]);
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
        .svg();
        assert_eq!(svg.matches("class=\"mark").count(), 2);
        assert_eq!(svg.matches("class=\"mean").count(), 1);
    }
}
