//! Horizontal bars, each with its name, value and n; optionally with an interval.

use super::frame::{Anchor, Px, close, open, rule, text, text_width};
use super::scale::{Scale, ScaleKind};
use crate::escape::{escape, shortened};
use crate::number::number;

const WIDTH: f64 = 400.0;
const ROW: f64 = 22.0;

/// Bars that begin at 0.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BarChart {
    /// What is shown, unit included.
    pub label: String,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

/// One bar.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// Its length.
    pub value: f64,
    /// A smallest and a largest value around it, where there is a spread.
    pub interval: Option<[f64; 2]>,
    /// What stands behind the value: `n = 120`.
    pub note: String,
}

impl BarChart {
    /// The drawing.
    pub fn svg(&self) -> String {
        let left = self
            .bars
            .iter()
            .map(|bar| text_width(&name(bar)))
            .fold(30.0, f64::max)
            + 8.0;
        let right = self
            .bars
            .iter()
            .map(|bar| text_width(&behind(bar)))
            .fold(30.0, f64::max)
            + 10.0;
        let scale = Scale::over(ScaleKind::Linear, self.ends()).onto(left, WIDTH - right);
        let height = 20.0 + self.bars.len() as f64 * ROW + 4.0;
        let mut out = String::new();
        open(&mut out, WIDTH, height, &self.description());
        text(&mut out, left, 11.0, Anchor::Start, "dim", &self.label);
        for (n, bar) in self.bars.iter().enumerate() {
            put_bar(&mut out, &scale, 20.0 + n as f64 * ROW, bar);
        }
        let zero = scale.at(0.0).unwrap_or(left);
        rule(&mut out, "axis", [zero, 18.0], [zero, height - 4.0]);
        close(&mut out);
        out
    }

    fn ends(&self) -> impl Iterator<Item = f64> {
        let ends = |bar: &Bar| {
            [0.0, bar.value]
                .into_iter()
                .chain(bar.interval.into_iter().flatten())
        };
        self.bars.iter().flat_map(ends)
    }

    fn description(&self) -> String {
        let mut words = format!("Bar chart of {}.", self.label);
        for bar in &self.bars {
            put!(&mut words, " {}: {}.", bar.name, behind(bar));
        }
        words
    }
}

fn name(bar: &Bar) -> String {
    shortened(&bar.name, 26)
}

fn behind(bar: &Bar) -> String {
    match bar.note.is_empty() {
        true => number(bar.value),
        false => format!("{}  {}", number(bar.value), bar.note),
    }
}

fn put_bar(out: &mut String, scale: &Scale, top: f64, bar: &Bar) {
    let middle = top + ROW / 2.0;
    let base = middle + 3.8;
    let zero = scale.at(0.0).unwrap_or(scale.range[0]);
    text(out, scale.range[0] - 8.0, base, Anchor::End, "", &name(bar));
    let end = scale.at(bar.value).unwrap_or(zero);
    put!(
        out,
        "<rect class=\"bar\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"13\"><title>{}: {}</title></rect>",
        Px(zero.min(end)),
        Px(middle - 6.5),
        Px((end - zero).abs()),
        escape(&bar.name),
        escape(&behind(bar))
    );
    if let Some([low, high]) = bar
        .interval
        .map(|ends| ends.map(|end| scale.at(end).unwrap_or(zero)))
    {
        rule(out, "whisker", [low, middle], [high, middle]);
        rule(out, "whisker", [low, middle - 3.5], [low, middle + 3.5]);
        rule(out, "whisker", [high, middle - 3.5], [high, middle + 3.5]);
    }
    text(
        out,
        scale.range[1] + 8.0,
        base,
        Anchor::Start,
        "num",
        &behind(bar),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_bars_are_drawn_as_they_always_were() {
        let bars = vec![
            Bar {
                name: "age".into(),
                value: 2.0,
                interval: Some([1.0, 4.0]),
                note: "n = 8".into(),
            },
            Bar {
                name: "<sex>".into(),
                value: -1.0,
                ..Bar::default()
            },
        ];
        let svg = BarChart {
            label: "importance".into(),
            bars,
        }
        .svg();
        insta::assert_snapshot!(svg.replace("><", ">\n<"), @r#"
        <svg class="chart" viewBox="0 0 400 68" style="max-width:432px" role="img" aria-label="Bar chart of importance. age: 2  n = 8. &lt;sex&gt;: −1.">
        <text x="38.5" y="11" class="dim">importance</text>
        <text x="30.5" y="34.8" text-anchor="end">age</text>
        <rect class="bar" x="99" y="24.5" width="121.1" height="13">
        <title>age: 2  n = 8</title>
        </rect>
        <path class="whisker" d="M159.6 31L341.2 31"/>
        <path class="whisker" d="M159.6 27.5L159.6 34.5"/>
        <path class="whisker" d="M341.2 27.5L341.2 34.5"/>
        <text x="349.2" y="34.8" class="num">2  n = 8</text>
        <text x="30.5" y="56.8" text-anchor="end">&lt;sex&gt;</text>
        <rect class="bar" x="38.5" y="46.5" width="60.5" height="13">
        <title>&lt;sex&gt;: −1</title>
        </rect>
        <text x="349.2" y="56.8" class="num">−1</text>
        <path class="axis" d="M99 18L99 64"/>
        </svg>
        "#);
    }
}
