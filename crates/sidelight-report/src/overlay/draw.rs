//! The marks: points over a picture, bars and number lines beneath it.

use super::outcome::{LabelBar, PointMark, ValueMark};
use crate::escape::{escape, shortened};
use crate::number::{fixed, number};

/// Classes that are shown beneath a picture, and the true one.
const CLASSES_SHOWN: usize = 4;
const LABELS_SHOWN: usize = 6;

/// Circle, cross and the line between, each on a dark edge so that it shows on any picture.
pub(super) fn put_point(out: &mut String, at: usize, point: &PointMark, unit: f32) {
    let radius = tenth(5.0 * unit);
    put!(out, "<g class=\"point\"><title>point {at}</title>");
    for edge in ["edge", "face"] {
        if let Some((truth, prediction)) = point.truth.zip(point.prediction) {
            let [x, y] = truth.map(tenth);
            let [to_x, to_y] = prediction.map(tenth);
            put!(
                out,
                "<path class=\"{edge} between\" d=\"M{x} {y}L{to_x} {to_y}\"/>"
            );
        }
        if let Some([x, y]) = point.truth.map(|truth| truth.map(tenth)) {
            put!(
                out,
                "<circle class=\"{edge} truth\" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"/>"
            );
        }
        if let Some([x, y]) = point.prediction {
            let [left, right] = [x - 4.0 * unit, x + 4.0 * unit].map(tenth);
            let [top, bottom] = [y - 4.0 * unit, y + 4.0 * unit].map(tenth);
            put!(
                out,
                "<path class=\"{edge} predicted\" d=\"M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}\"/>"
            );
        }
    }
    out.push_str("</g>");
}

fn tenth(value: f32) -> f32 {
    (value * 10.0).round() / 10.0
}

pub(super) fn class_rows(
    names: &[String],
    probabilities: Option<&[f32]>,
    truth: Option<usize>,
) -> String {
    let mut order: Vec<usize> = (0..names.len()).collect();
    if let Some(probabilities) = probabilities {
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    }
    let is_shown = |(rank, at): &(usize, usize)| match probabilities {
        Some(_) => *rank < CLASSES_SHOWN || Some(*at) == truth,
        None => Some(*at) == truth,
    };
    let rows = order
        .into_iter()
        .enumerate()
        .filter(is_shown)
        .map(|(_, at)| {
            bar_row(
                &names[at],
                probabilities.map(|all| all[at]),
                Some(at) == truth,
            )
        });
    format!(
        "<table class=\"bars\"><tbody>{}</tbody></table>",
        rows.collect::<String>()
    )
}

/// The labels that are true or thought to be, the surest first.
pub(super) fn label_rows(labels: &[LabelBar]) -> String {
    let mut shown: Vec<&LabelBar> = labels.iter().collect();
    let weight = |label: &LabelBar| (label.truth == Some(true), label.probability.unwrap_or(0.0));
    shown.sort_by(|a, b| {
        let (a, b) = (weight(a), weight(b));
        b.0.cmp(&a.0).then(b.1.total_cmp(&a.1))
    });
    let rows = shown
        .into_iter()
        .take(LABELS_SHOWN)
        .map(|label| bar_row(&label.name, label.probability, label.truth == Some(true)));
    format!(
        "<table class=\"bars\"><tbody>{}</tbody></table>",
        rows.collect::<String>()
    )
}

fn bar_row(name: &str, probability: Option<f32>, is_true: bool) -> String {
    let mut out = String::new();
    let (mark, words) = if is_true { ("○", "true") } else { ("", "") };
    put!(
        &mut out,
        "<tr><td class=\"is\" title=\"{words}\">{mark}</td><th scope=\"row\" title=\"{}\">{}</th>",
        escape(name),
        escape(&shortened(name, 24))
    );
    match probability {
        None => out.push_str("<td></td><td></td></tr>"),
        Some(p) => put!(
            &mut out,
            "<td class=\"bar\"><svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"room\" width=\"100\" height=\"10\"/><rect class=\"bar\" width=\"{}\" height=\"10\"/></svg></td><td class=\"num\">{}</td></tr>",
            tenth(p * 100.0),
            fixed(p.into(), 2)
        ),
    }
    out
}

/// A number line over the training range: circle true, cross predicted.
pub(super) fn value_row(mark: &ValueMark) -> String {
    let known = [mark.truth, mark.prediction].into_iter().flatten();
    let [low, high] = known.fold(mark.range, |[low, high], value| {
        [low.min(value), high.max(value)]
    });
    let at = |value: f64| match high > low {
        true => 8.0 + (value - low) / (high - low) * 204.0,
        false => 110.0,
    };
    let tenth = |value: f64| (value * 10.0).round() / 10.0;
    let [from, to] = mark.range.map(|end| tenth(at(end)));
    let mut words = format!("{}: ", mark.name);
    let mut marks = String::new();
    if let Some(truth) = mark.truth {
        put!(&mut words, "true {} ", number(truth));
        put!(
            &mut marks,
            "<circle class=\"truth\" cx=\"{}\" cy=\"9\" r=\"4.5\"/>",
            tenth(at(truth))
        );
    }
    if let Some(prediction) = mark.prediction {
        let x = at(prediction);
        let [left, right] = [tenth(x - 4.0), tenth(x + 4.0)];
        put!(&mut words, "predicted {}", number(prediction));
        put!(
            &mut marks,
            "<path class=\"predicted\" d=\"M{left} 5L{right} 13M{left} 13L{right} 5\"/>"
        );
    }
    let mut out = String::new();
    put!(
        &mut out,
        "<div class=\"value\"><span class=\"name\">{}</span><svg viewBox=\"0 0 220 18\" role=\"img\" aria-label=\"{}\"><path class=\"axis\" d=\"M{from} 9H{to}M{from} 6v6M{to} 6v6\"/>{marks}</svg>",
        escape(&mark.name),
        escape(words.trim())
    );
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
    put!(
        &mut out,
        "<span class=\"num\">○ {} &ensp; × {}</span></div>",
        shown(mark.truth),
        shown(mark.prediction)
    );
    out
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
        let html = value_row(&mark);
        assert!(html.contains("M208 5L216 13"), "{html}");
        assert!(
            html.contains("aria-label=\"price: true 10 predicted 30\""),
            "{html}"
        );
    }
}
