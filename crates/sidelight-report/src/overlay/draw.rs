//! The marks: points over a picture, bars and number lines beneath it.

use maud::{Markup, html};

use super::outcome::{LabelBar, PointMark, ValueMark};
use crate::number::{fixed, number};
use crate::text::shortened;

/// Classes that are shown beneath a picture, and the true one.
const CLASSES_SHOWN: usize = 4;
const LABELS_SHOWN: usize = 6;

/// Circle, cross and the line between, each on a dark edge so that it shows on any picture.
pub(super) fn point(point: &PointMark, unit: f32) -> Markup {
    let size = 4.0 * unit;
    let is_unsure = point.confidence.is_some_and(|of| of.visible < 0.5);
    html! {
        g.point.unsure[is_unsure] {
            title { (said(point)) }
            @for other in &point.others {
                @for edge in ["edge", "face predicted"] {
                    path class={ (edge) " other" } d=(cross(*other, 0.7 * size)) {}
                }
            }
            @for edge in ["edge", "face"] {
                @if let Some(([x, y], [to_x, to_y])) = point.truth.zip(point.prediction) {
                    path class={ (edge) " between" }
                        d={ "M" (tenth(x)) " " (tenth(y)) "L" (tenth(to_x)) " " (tenth(to_y)) } {}
                }
                @if let Some([x, y]) = point.truth {
                    circle class={ (edge) " truth" } cx=(tenth(x)) cy=(tenth(y)) r=(tenth(5.0 * unit)) {}
                }
                @if let Some([x, y]) = point.prediction {
                    path class={ (edge) " predicted" } d=(cross([x, y], size)) {}
                }
            }
        }
    }
}

/// What moves a point, each from where it would be without it to where it is, so many times as long.
pub(super) fn arrows(point: &PointMark, unit: f32, magnified: f32) -> Markup {
    let (Some(to), false) = (point.prediction, point.arrows.is_empty()) else {
        return Markup::default();
    };
    let drawn = point.arrows.iter().map(|arrow| {
        let from = [0, 1].map(|axis| to[axis] + magnified * (arrow.from[axis] - to[axis]));
        (arrow, from)
    });
    html! {
        g.point {
            @for (arrow, from) in drawn {
                @for edge in ["edge", "face arrow"] { path class=(edge) d=(shaft(from, to, 6.0 * unit)) {} }
                text class="label" x=(tenth(from[0])) y=(tenth(from[1])) font-size=(tenth(11.0 * unit))
                    stroke-width=(tenth(2.5 * unit)) text-anchor=(if from[0] < to[0] { "end" } else { "start" }) {
                    (shortened(&arrow.name, 24))
                }
            }
        }
    }
}

/// A line with a head that is open at its tail, at most a third of it long.
fn shaft(from: [f32; 2], to: [f32; 2], head: f32) -> String {
    let [x, y] = [0, 1].map(|axis| to[axis] - from[axis]);
    let length = x.hypot(y);
    let head = head.min(length / 3.0) / length.max(f32::MIN_POSITIVE);
    let (back, aside) = (head, 0.5 * head);
    let end = |side: f32| {
        [
            tenth(to[0] - back * x - side * aside * y),
            tenth(to[1] - back * y + side * aside * x),
        ]
    };
    let ([left, right], tip) = ([end(1.0), end(-1.0)], to.map(tenth));
    let tail = from.map(tenth);
    format!(
        "M{} {}L{} {}M{} {}L{} {}L{} {}",
        tail[0], tail[1], tip[0], tip[1], left[0], left[1], tip[0], tip[1], right[0], right[1]
    )
}

/// The lines between points, where the model puts them, else where they are.
pub(super) fn bones(points: &[PointMark]) -> Markup {
    let place = |point: &PointMark| point.prediction.or(point.truth);
    let ends = points.iter().flat_map(|from| {
        let to = from.bones.iter().filter_map(|to| points.get(*to));
        to.filter_map(move |to| place(from).zip(place(to)))
    });
    let path: String = ends
        .map(|([x, y], [to_x, to_y])| {
            let [x, y, to_x, to_y] = [x, y, to_x, to_y].map(tenth);
            format!("M{x} {y}L{to_x} {to_y}")
        })
        .collect();
    html! {
        @if !path.is_empty() {
            g.point { path class="edge between" d=(path) {} path class="face bone" d=(path) {} }
        }
    }
}

/// What it is called, and how sure the model is of it.
fn said(point: &PointMark) -> String {
    match point.confidence {
        None => point.name.clone(),
        Some(of) => format!(
            "{}: visible {:.0} %, expected error {} px",
            point.name,
            100.0 * of.visible,
            number(of.error.into())
        ),
    }
}

fn cross([x, y]: [f32; 2], size: f32) -> String {
    let [left, right] = [x - size, x + size].map(tenth);
    let [top, bottom] = [y - size, y + size].map(tenth);
    format!("M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}")
}

fn tenth(value: f32) -> f32 {
    (value * 10.0).round() / 10.0
}

/// The most probable classes, and the true one.
pub(super) fn class_rows(
    names: &[String],
    probabilities: Option<&[f32]>,
    truth: Option<usize>,
) -> Markup {
    let mut order: Vec<usize> = (0..names.len()).collect();
    if let Some(probabilities) = probabilities {
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    }
    let is_shown = |rank: usize, at: usize| {
        Some(at) == truth || probabilities.is_some() && rank < CLASSES_SHOWN
    };
    let p = |at: usize| probabilities.map(|all| all[at]);
    html! {
        table.bars { tbody {
            @for (rank, at) in order.into_iter().enumerate() {
                @if is_shown(rank, at) { (bar_row(&names[at], p(at), Some(at) == truth)) }
            }
        } }
    }
}

/// The labels that are true or thought to be, the surest first.
pub(super) fn label_rows(labels: &[LabelBar]) -> Markup {
    let mut shown: Vec<&LabelBar> = labels.iter().collect();
    let weight = |label: &LabelBar| (label.truth == Some(true), label.probability.unwrap_or(0.0));
    shown.sort_by(|a, b| {
        let (a, b) = (weight(a), weight(b));
        b.0.cmp(&a.0).then(b.1.total_cmp(&a.1))
    });
    html! {
        table.bars { tbody {
            @for label in shown.into_iter().take(LABELS_SHOWN) {
                (bar_row(&label.name, label.probability, label.truth == Some(true)))
            }
        } }
    }
}

fn bar_row(name: &str, probability: Option<f32>, is_true: bool) -> Markup {
    let (mark, words) = if is_true { ("○", "true") } else { ("", "") };
    html! {
        tr {
            td.is title=(words) { (mark) }
            th scope="row" title=(name) { (shortened(name, 24)) }
            @match probability {
                None => { td {} td {} }
                Some(p) => {
                    td.bar {
                        svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
                            rect.room width="100" height="10" {}
                            rect.bar width=(tenth(p * 100.0)) height="10" {}
                        }
                    }
                    td.num { (fixed(p.into(), 2)) }
                }
            }
        }
    }
}

/// A number line over the training range: circle true, cross predicted.
pub(super) fn value_row(mark: &ValueMark) -> Markup {
    let known = [mark.truth, mark.prediction].into_iter().flatten();
    let [low, high] = known.fold(mark.range, |[low, high], value| {
        [low.min(value), high.max(value)]
    });
    #[expect(
        clippy::cast_possible_truncation,
        reason = "tenths of a pixel are drawn"
    )]
    let at = |value: f64| match high > low {
        true => (8.0 + (value - low) / (high - low) * 204.0) as f32,
        false => 110.0,
    };
    let [from, to] = mark.range.map(|end| tenth(at(end)));
    let word = |what: &str, value: Option<f64>| {
        value.map_or_else(String::new, |value| format!(" {what} {}", number(value)))
    };
    let words = word("true", mark.truth) + &word("predicted", mark.prediction);
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
    html! {
        div.value {
            span.name { (mark.name) }
            svg viewBox="0 0 220 18" role="img" aria-label={ (mark.name) ":" (words) } {
                path.axis d={ "M" (from) " 9H" (to) "M" (from) " 6v6M" (to) " 6v6" } {}
                @if let Some(truth) = mark.truth { circle.truth cx=(tenth(at(truth))) cy="9" r="4.5" {} }
                @if let Some(value) = mark.prediction { path.predicted d=(cross([at(value), 9.0], 4.0)) {} }
            }
            span.num { "○ " (shown(mark.truth)) " \u{2002} × " (shown(mark.prediction)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_outside_the_training_range_is_still_on_its_line() {
        let mark = ValueMark {
            name: "price".into(),
            truth: Some(10.0),
            prediction: Some(30.0),
            range: [0.0, 20.0],
        };
        let html = value_row(&mark).into_string();
        assert!(html.contains("M208 5L216 13"), "{html}");
        assert!(
            html.contains("aria-label=\"price: true 10 predicted 30\""),
            "{html}"
        );
    }
}
