//! Horizontal bars, each with its name, value and n; optionally with an interval.

use maud::{Markup, html};

use super::plot::{Anchor, Plot, Px, widest};
use super::scale::{Scale, ScaleKind};
use crate::number::number;
use crate::text::shortened;

const WIDTH: f64 = 400.0;
const ROW: f64 = 22.0;
const TOP: f64 = 20.0;

/// Bars that begin at 0.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BarChart {
    /// What is shown, unit included.
    pub label: String,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

/// One bar of a chart, with its label.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bar {
    /// Label beside the bar.
    pub name: String,
    /// The number that the bar is as long as.
    pub value: f64,
    /// A smallest and a largest value around it, where there is a spread.
    pub interval: Option<[f64; 2]>,
    /// What stands behind the value: `n = 120`.
    pub note: String,
}

impl Bar {
    fn short_name(&self) -> String {
        shortened(&self.name, 26)
    }

    /// The value and its note.
    fn behind(&self) -> String {
        match self.note.is_empty() {
            true => number(self.value),
            false => format!("{}  {}", number(self.value), self.note),
        }
    }
}

impl BarChart {
    /// The chart as SVG.
    pub fn svg(&self) -> Markup {
        let left = widest(self.bars.iter().map(Bar::short_name), 30.0) + 8.0;
        let right = widest(self.bars.iter().map(Bar::behind), 30.0) + 10.0;
        let ends = self.bars.iter().flat_map(|bar| {
            let interval = bar.interval.into_iter().flatten();
            [0.0, bar.value].into_iter().chain(interval)
        });
        let x = Scale::over(ScaleKind::Linear, ends).onto(left, WIDTH - right);
        let bottom = TOP + self.bars.len() as f64 * ROW;
        let y = Scale::over(ScaleKind::Linear, []).onto(bottom, TOP);
        let mut plot = Plot::new(WIDTH, x, y);
        plot.text([left, 11.0], Anchor::Start, "dim", &self.label);
        let zero = x.at(0.0).unwrap_or(left);
        for (n, bar) in self.bars.iter().enumerate() {
            put_bar(&mut plot, zero, TOP + (n as f64 + 0.5) * ROW, bar);
        }
        plot.rule("axis", [zero, TOP - 2.0], [zero, bottom]);
        let bars = self.bars.iter();
        let bars: String = bars
            .map(|bar| format!(" {}: {}.", bar.name, bar.behind()))
            .collect();
        let description = format!("Bar chart of {}.{bars}", self.label);
        plot.svg(bottom + 4.0, &description)
    }
}

fn put_bar(plot: &mut Plot, zero: f64, y: f64, bar: &Bar) {
    let (left, right, base) = (plot.left() - 8.0, plot.right() + 8.0, y + 3.8);
    plot.text([left, base], Anchor::End, "", &bar.short_name());
    let end = plot.x.at(bar.value).unwrap_or(zero);
    plot.put(&html! {
        rect.bar x=(Px(zero.min(end))) y=(Px(y - 6.5)) width=(Px((end - zero).abs())) height="13" {
            title { (bar.name) ": " (bar.behind()) }
        }
    });
    if let Some(ends) = bar.interval {
        plot.whisker(ends.map(|end| plot.x.at(end).unwrap_or(zero)), y);
    }
    plot.text([right, base], Anchor::Start, "num", &bar.behind());
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
        .svg()
        .into_string();
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
