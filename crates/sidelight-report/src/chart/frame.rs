//! What charts share: the drawing, its axes, markers and legend.

use std::fmt;

use super::scale::Scale;
use crate::escape::escape;

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

/// Begins a drawing; `description` is what is read aloud.
pub(super) fn open(out: &mut String, width: f64, height: f64, description: &str) {
    // Never drawn much larger than it was composed.
    let most = Px(width * 1.08);
    put!(
        out,
        "<svg class=\"chart\" viewBox=\"0 0 {} {}\" style=\"max-width:{most}px\" role=\"img\" aria-label=\"{}\">",
        Px(width),
        Px(height),
        escape(description)
    );
}

pub(super) fn close(out: &mut String) {
    out.push_str("</svg>");
}

/// Where a text is anchored.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn attribute(self) -> &'static str {
        match self {
            Self::Start => "",
            Self::Middle => " text-anchor=\"middle\"",
            Self::End => " text-anchor=\"end\"",
        }
    }
}

/// Text in ink (`class` empty) or in another of the page's tones (`dim`).
pub(super) fn text(out: &mut String, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
    let class = if class.is_empty() {
        String::new()
    } else {
        format!(" class=\"{class}\"")
    };
    put!(
        out,
        "<text x=\"{}\" y=\"{}\"{}{class}>{}</text>",
        Px(x),
        Px(y),
        anchor.attribute(),
        escape(text)
    );
}

pub(super) fn rule(out: &mut String, class: &str, from: [f64; 2], to: [f64; 2]) {
    put!(
        out,
        "<path class=\"{class}\" d=\"M{} {}L{} {}\"/>",
        Px(from[0]),
        Px(from[1]),
        Px(to[0]),
        Px(to[1])
    );
}

/// The plot's area with its two scales, positions included.
pub(super) struct Frame {
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Frame {
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

    /// Light lines across at each tick, with the tick's text on the left.
    pub(super) fn y_axis(&self, out: &mut String, ticks: &[(f64, String)]) {
        for (value, label) in ticks {
            let Some(y) = self.y.at(*value) else { continue };
            rule(out, "grid", [self.left(), y], [self.right(), y]);
            text(out, self.left() - 6.0, y + 3.8, Anchor::End, "tick", label);
        }
    }

    /// The base line, with ticks and their text below, and the axis's name at its end.
    pub(super) fn x_axis(&self, out: &mut String, ticks: &[(f64, String)], label: &str) {
        let bottom = self.bottom();
        rule(out, "axis", [self.left(), bottom], [self.right(), bottom]);
        let mut free = f64::NEG_INFINITY;
        for (value, label) in ticks {
            let Some(x) = self.x.at(*value) else { continue };
            rule(out, "axis", [x, bottom], [x, bottom + 4.0]);
            // A label that would run into the one before is left out; its tick stays.
            let half = text_width(label) / 2.0;
            if x - half >= free {
                text(out, x, bottom + 15.0, Anchor::Middle, "tick", label);
                free = x + half + 5.0;
            }
        }
        let middle = (self.left() + self.right()) / 2.0;
        text(out, middle, bottom + 31.0, Anchor::Middle, "dim", label);
    }
}

/// The room that the labels of the y axis need, pixels.
pub(super) fn label_room(ticks: &[(f64, String)]) -> f64 {
    ticks
        .iter()
        .map(|(_, label)| text_width(label))
        .fold(12.0, f64::max)
        + 10.0
}

/// Dash pattern of the n-th series.
pub(super) fn dash(n: usize) -> &'static str {
    ["", "6 3", "1.5 3", "9 3 2 3", "12 3", "3 2"][n % 6]
}

/// Colour class of the n-th series.
pub(super) fn colour(n: usize) -> String {
    format!("c{}", n % 6 + 1)
}

/// The marker of the n-th series as a closed or open path around a point.
pub(super) fn marker(n: usize, x: f64, y: f64) -> String {
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

/// Draws a marker, with a tooltip.
pub(super) fn put_marker(out: &mut String, n: usize, x: f64, y: f64, tooltip: &str) {
    put!(
        out,
        "<path class=\"mark {}\" d=\"{}\"><title>{}</title></path>",
        colour(n),
        marker(n, x, y),
        escape(tooltip)
    );
}

/// A legend in rows no wider than the drawing: line, marker and name of each series.
/// Gives back the height it takes.
pub(super) fn legend(out: &mut String, names: &[&str], width: f64, top: f64) -> f64 {
    let (mut x, mut y) = (0.0, top);
    for (n, name) in names.iter().enumerate() {
        let needed = 30.0 + text_width(name) + 14.0;
        if x > 0.0 && x + needed > width {
            (x, y) = (0.0, y + 16.0);
        }
        put!(
            out,
            "<path class=\"line {}\" stroke-dasharray=\"{}\" d=\"M{} {}h24\"/><path class=\"mark {}\" d=\"{}\"/>",
            colour(n),
            dash(n),
            Px(x),
            Px(y + 8.0),
            colour(n),
            marker(n, x + 12.0, y + 8.0)
        );
        text(out, x + 30.0, y + 12.0, Anchor::Start, "", name);
        x += needed;
    }
    y + 16.0 - top
}
