//! What charts share: a drawing with two scales, its axes and its marks.

use std::fmt;

use maud::{Markup, html};

use super::scale::Scale;

/// Width of a character of chart text, pixels: an estimate, since there is no font to ask.
const CHARACTER: f64 = 6.1;

/// A position, to a tenth of a pixel.
pub(super) struct Px(pub(super) f64);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10.0).round() / 10.0;
        // Adding 0 turns -0 into 0.
        write!(f, "{}", tenths + 0.0)
    }
}

/// About how wide a text is, pixels.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER
}

/// The widest of some texts, pixels.
pub(super) fn widest<T: AsRef<str>>(texts: impl IntoIterator<Item = T>, at_least: f64) -> f64 {
    let widths = texts.into_iter().map(|text| text_width(text.as_ref()));
    widths.fold(at_least, f64::max)
}

/// Where a text is anchored.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Start => None,
            Self::Middle => Some("middle"),
            Self::End => Some("end"),
        }
    }
}

/// A drawing in the making: what comes later lies above. Positions are pixels from the top left.
pub(super) struct Plot {
    pub(super) x: Scale,
    pub(super) y: Scale,
    width: f64,
    marks: String,
}

impl Plot {
    /// An empty drawing; the scales' ranges are the sides of the plot within it.
    pub(super) fn new(width: f64, x: Scale, y: Scale) -> Self {
        Self {
            x,
            y,
            width,
            marks: String::new(),
        }
    }

    /// The drawing; `description` is what is read aloud.
    pub(super) fn svg(&self, height: f64, description: &str) -> Markup {
        // Never drawn much larger than it was composed.
        let most = format!("max-width:{}px", Px(self.width * 1.08));
        html! {
            svg.chart viewBox={ "0 0 " (Px(self.width)) " " (Px(height)) } style=(most) role="img"
                aria-label=(description) { (maud::PreEscaped(&self.marks)) }
        }
    }

    pub(super) fn left(&self) -> f64 {
        self.x.range[0]
    }

    pub(super) fn right(&self) -> f64 {
        self.x.range[1]
    }

    pub(super) fn top(&self) -> f64 {
        self.y.range[1]
    }

    pub(super) fn bottom(&self) -> f64 {
        self.y.range[0]
    }

    /// The place of a pair of numbers; `None` where one of them has none.
    pub(super) fn at(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        Some([self.x.at(x)?, self.y.at(y)?])
    }

    pub(super) fn put(&mut self, mark: &Markup) {
        self.marks.push_str(&mark.0);
    }

    /// Text in ink (`class` empty) or in another of the page's tones (`dim`).
    pub(super) fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, class: &str, text: &str) {
        let class = Some(class).filter(|class| !class.is_empty());
        self.put(&html! {
            text x=(Px(x)) y=(Px(y)) text-anchor=[anchor.name()] class=[class] { (text) }
        });
    }

    /// A straight line.
    pub(super) fn rule(&mut self, class: &str, from: [f64; 2], to: [f64; 2]) {
        let ([from_x, from_y], [to_x, to_y]) = (from.map(Px), to.map(Px));
        self.put(
            &html! { path class=(class) d={ "M" (from_x) " " (from_y) "L" (to_x) " " (to_y) } {} },
        );
    }

    /// Light lines across at each tick, with the tick's text on the left; the axis's name stands above.
    pub(super) fn y_axis(&mut self, ticks: &[(f64, String)], label: &str) {
        self.text([0.0, 11.0], Anchor::Start, "dim", label);
        let (left, right) = (self.left(), self.right());
        for (value, tick) in ticks {
            if let Some(y) = self.y.at(*value) {
                self.rule("grid", [left, y], [right, y]);
                self.text([left - 6.0, y + 3.8], Anchor::End, "tick", tick);
            }
        }
    }

    /// The base line, with ticks and their text below, and the axis's name under its middle.
    pub(super) fn x_axis(&mut self, ticks: &[(f64, String)], label: &str) {
        let (left, right, bottom) = (self.left(), self.right(), self.bottom());
        self.rule("axis", [left, bottom], [right, bottom]);
        let mut free = f64::NEG_INFINITY;
        for (value, tick) in ticks {
            let Some(x) = self.x.at(*value) else { continue };
            self.rule("axis", [x, bottom], [x, bottom + 4.0]);
            // A label that would run into the one before is left out; its tick stays.
            let half = text_width(tick) / 2.0;
            if x - half >= free {
                self.text([x, bottom + 15.0], Anchor::Middle, "tick", tick);
                free = x + half + 5.0;
            }
        }
        let middle = (left + right) / 2.0;
        self.text([middle, bottom + 31.0], Anchor::Middle, "dim", label);
    }

    /// The line where both axes are equal.
    pub(super) fn diagonal(&mut self) {
        let ends = [[self.left(), self.bottom()], [self.right(), self.top()]];
        self.rule("note", ends[0], ends[1]);
    }

    /// A place on the x axis that is pointed out.
    pub(super) fn note(&mut self, value: f64, words: &str) {
        let Some(x) = self.x.at(value) else { return };
        let (top, bottom) = (self.top(), self.bottom());
        self.rule("note", [x, top - 4.0], [x, bottom]);
        let anchor = match (x - self.left()) / (self.right() - self.left()) {
            share if share < 0.25 => Anchor::Start,
            share if share > 0.75 => Anchor::End,
            _ => Anchor::Middle,
        };
        self.text([x, top - 7.0], anchor, "dim", words);
    }

    /// The line of the n-th series; points without a place (not finite; not above 0 on a log scale) leave a gap.
    pub(super) fn line(&mut self, n: usize, points: impl Iterator<Item = [f64; 2]>, title: &str) {
        let mut path = String::new();
        let mut step = 'M';
        for point in points {
            step = match self.at(point) {
                Some([x, y]) => {
                    path.push_str(&format!("{step}{} {}", Px(x), Px(y)));
                    'L'
                }
                None => 'M',
            };
        }
        self.put(&html! {
            path class={ "line " (colour(n)) } stroke-dasharray=(dash(n)) d=(path) { title { (title) } }
        });
    }

    /// The marker of the n-th series, with a tooltip.
    pub(super) fn mark(&mut self, n: usize, [x, y]: [f64; 2], tooltip: &str) {
        self.put(&html! {
            path class={ "mark " (colour(n)) } d=(marker(n, x, y)) { title { (tooltip) } }
        });
    }

    /// A line between two places of one height, with a stroke at each end.
    pub(super) fn whisker(&mut self, [low, high]: [f64; 2], y: f64) {
        self.rule("whisker", [low, y], [high, y]);
        for end in [low, high] {
            self.rule("whisker", [end, y - 4.0], [end, y + 4.0]);
        }
    }

    /// A legend in rows no wider than the drawing: line, marker and name of each series.
    pub(super) fn legend(&mut self, names: &[&str], top: f64) {
        for (n, (name, [x, y])) in names
            .iter()
            .zip(legend_places(names, self.width))
            .enumerate()
        {
            let y = top + y;
            self.put(&html! {
                path class={ "line " (colour(n)) } stroke-dasharray=(dash(n)) d={ "M" (Px(x)) " " (Px(y + 8.0)) "h24" } {}
                path class={ "mark " (colour(n)) } d=(marker(n, x + 12.0, y + 8.0)) {}
            });
            self.text([x + 30.0, y + 12.0], Anchor::Start, "", name);
        }
    }
}

/// Where each name of a legend begins; a name alone needs no legend.
fn legend_places(names: &[&str], width: f64) -> Vec<[f64; 2]> {
    if names.len() < 2 {
        return Vec::new();
    }
    let (mut x, mut y) = (0.0, 0.0);
    let place = |name: &&str| {
        let needed = 30.0 + text_width(name) + 14.0;
        if x > 0.0 && x + needed > width {
            (x, y) = (0.0, y + 16.0);
        }
        let place = [x, y];
        x += needed;
        place
    };
    names.iter().map(place).collect()
}

/// The height that a legend takes, with a gap below; none where one name needs none.
pub(super) fn legend_height(names: &[&str], width: f64) -> f64 {
    let places = legend_places(names, width);
    places.last().map_or(0.0, |[_, y]| y + 22.0)
}

/// The room that the labels of the y axis need, pixels.
pub(super) fn label_room(ticks: &[(f64, String)]) -> f64 {
    widest(ticks.iter().map(|(_, label)| label), 12.0) + 10.0
}

/// Dash pattern of the n-th series.
fn dash(n: usize) -> &'static str {
    ["", "6 3", "1.5 3", "9 3 2 3", "12 3", "3 2"][n % 6]
}

/// Colour class of the n-th series.
pub(super) fn colour(n: usize) -> String {
    format!("c{}", n % 6 + 1)
}

/// The marker of the n-th series as a closed or open path around a point.
fn marker(n: usize, x: f64, y: f64) -> String {
    let at = |dx: f64, dy: f64| format!("{} {}", Px(x + dx), Px(y + dy));
    match n % 6 {
        0 => format!("M{}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z", at(-3.0, 0.0)),
        1 => format!("M{}h5.4v5.4h-5.4Z", at(-2.7, -2.7)),
        2 => format!("M{}L{}L{}Z", at(0.0, -3.6), at(3.4, 2.6), at(-3.4, 2.6)),
        3 => format!(
            "M{}L{}L{}L{}Z",
            at(0.0, -3.8),
            at(3.8, 0.0),
            at(0.0, 3.8),
            at(-3.8, 0.0)
        ),
        4 => format!(
            "M{}L{}M{}L{}",
            at(-3.0, -3.0),
            at(3.0, 3.0),
            at(-3.0, 3.0),
            at(3.0, -3.0)
        ),
        _ => format!("M{}h7.6M{}v7.6", at(-3.8, 0.0), at(0.0, -3.8)),
    }
}
