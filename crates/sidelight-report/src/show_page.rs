//! What the model is given, row by row; for a run also what it makes of it.

use maud::{Markup, html};
use sidelight_data::encode::DecodedValue;
use sidelight_data::loader::{HostBatch, Source};
use sidelight_data::task::{Prediction, Task};
use sidelight_data::write::TargetCell;

use crate::number::{count, fixed};
use crate::overlay::{self, Card, Outcome, PointMark, Thumbnail, name_of, others, point_marks};
use crate::page::{self, Page};
use crate::text::breakable;

/// All that `sidelight show` says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShowPage {
    /// The configuration or the run, as the person named it.
    pub title: String,
    /// What is shown, in one sentence, with its n.
    pub lead: String,
    /// Input size, width of the encoding, and so on.
    pub facts: Vec<(String, String)>,
    /// What was noticed and should be said.
    pub remarks: Vec<String>,
    /// The rows of a batch.
    pub rows: Vec<ShowRow>,
    /// For a run: the validation rows with the largest loss.
    pub worst: Vec<Card>,
}

/// One row: as read, as encoded, as seen.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowRow {
    /// The picture as the model gets it (augmented, resized) with its points there, and the metadata as read.
    pub card: Card,
    /// Columns whose cell is known, and hidden from the network in this batch by metadata dropout.
    pub hidden: Vec<String>,
    /// The dense encoding, slot by slot: `area`, `area is known`, `source = reddit`.
    pub slots: Vec<(String, f32)>,
    /// Embedded columns and their code.
    pub codes: Vec<(String, u32)>,
    /// The target as the loss gets it, number by number; `None`: masked, counts for nothing.
    pub target: Vec<(String, Option<f32>)>,
}

impl ShowPage {
    /// The page as one self-contained HTML document.
    pub fn html(&self) -> String {
        let worst = html! {
            @if !self.worst.is_empty() {
                p.key {
                    "The " (self.worst.len()) " validation rows with the largest loss. Circle: true. Cross: predicted."
                }
                (overlay::cards(&self.worst))
            }
        };
        Page::new("batch", &self.title, &self.lead)
            .section("What is shown", page::facts(&self.facts))
            .section("What was noticed", page::remarks(&self.remarks))
            .section("Rows", page::all(self.rows.iter().map(ShowRow::html)))
            .section("Worst predictions", worst)
            .html()
    }
}

impl ShowRow {
    /// The row at this place of a batch of `source`, with what is predicted for it.
    ///
    /// # Panics
    ///
    /// Where batch, source and prediction do not belong together.
    pub fn new(
        batch: &HostBatch,
        at: usize,
        source: &Source,
        prediction: Option<&Prediction>,
    ) -> Self {
        let position = batch.rows[at];
        let (dataset, encoder) = (&source.dataset, &source.encoder);
        let target = target_slots(batch, at, &source.task);
        let cell = TargetCell::of_row(dataset, position);
        let outcome = match &*source.task {
            task @ Task::Keypoints { .. } => points(task, batch, at, &target, prediction),
            task => Outcome::new(task, cell, prediction),
        };
        let card = Card {
            title: format!("row {}", dataset.rows[position] + 1),
            image: name_of(&dataset.images[position]),
            picture: picture(batch, at, source),
            score: outcome.score(),
            outcome,
            metadata: dataset.metadata.row_as_text(position),
        };
        let embedded = encoder.embeddings().into_iter();
        let embedded: Vec<String> = embedded.map(|embedding| embedding.column).collect();
        let (d_dense, n_codes) = (encoder.d_dense(), embedded.len());
        let dense = &batch.dense[at * d_dense..(at + 1) * d_dense];
        let codes = &batch.codes[at * n_codes..(at + 1) * n_codes];
        let (whole, given) = (&source.metadata, encoder.read(dense, codes));
        let whole = encoder.read(whole.dense_row(position), whole.codes_row(position));
        let hidden = whole
            .into_iter()
            .zip(given)
            .filter(|((_, whole), (_, given))| {
                *whole != DecodedValue::Missing && *given == DecodedValue::Missing
            });
        Self {
            card,
            hidden: hidden.map(|((name, _), _)| name).collect(),
            slots: encoder
                .slots()
                .into_iter()
                .zip(dense.iter().copied())
                .collect(),
            codes: embedded.into_iter().zip(codes.iter().copied()).collect(),
            target,
        }
    }

    /// The metadata as read, what is hidden marked as such; `None`: missing.
    pub fn metadata(&self) -> Vec<(String, Option<String>)> {
        let mut metadata = self.card.metadata.clone();
        for (name, cell) in &mut metadata {
            if let (Some(cell), true) = (cell, self.hidden.contains(name)) {
                cell.push_str(" (hidden)");
            }
        }
        metadata
    }

    fn html(&self) -> Markup {
        let picture = Card {
            metadata: Vec::new(),
            ..self.card.clone()
        };
        let encoded = format!("Encoded, {} numbers", count(self.slots.len()));
        html! {
            article.row {
                (picture.html())
                div.read-in {
                    (block("Metadata as read", &overlay::metadata_table(&self.metadata())))
                    (block(&encoded, &self.slots_html()))
                    (block("Target as learned", &self.target_html()))
                }
            }
        }
    }

    fn slots_html(&self) -> Markup {
        let slots = self.slots.iter();
        let slots = slots.map(|(name, value)| slot(name, *value == 0.0, &plain(*value)));
        let codes = self.codes.iter();
        let codes = codes.map(|(name, code)| slot(name, false, &format!("code {code}")));
        list(slots.chain(codes))
    }

    fn target_html(&self) -> Markup {
        list(self.target.iter().map(|(name, value)| match value {
            Some(value) => slot(name, false, &plain(*value)),
            None => html! { li.off { span { (name) } span.missing { "masked" } } },
        }))
    }
}

fn block(title: &str, html: &Markup) -> Markup {
    html! { @if !html.0.is_empty() { div { h3 { (title) } (html) } } }
}

fn list(slots: impl Iterator<Item = Markup>) -> Markup {
    let slots = page::all(slots);
    html! { @if !slots.0.is_empty() { ul.slots { (slots) } } }
}

fn slot(name: &str, is_off: bool, value: &str) -> Markup {
    html! { li.off[is_off] { span { (breakable(name)) } span.num { (value) } } }
}

/// The input square as a picture; none for a model that reads no image.
fn picture(batch: &HostBatch, at: usize, source: &Source) -> Option<Thumbnail> {
    // Several pictures of a row are one below the other.
    let length = batch.n_images() * batch.size * batch.size * 3;
    let pixels = batch.images.get(at * length..(at + 1) * length)?;
    let input = &source.preprocess;
    let picture = || Thumbnail::from_input(batch.size, pixels, input.mean, input.sd);
    (!pixels.is_empty()).then(picture)
}

/// The target as the loss gets it.
fn target_slots(batch: &HostBatch, at: usize, task: &Task) -> Vec<(String, Option<f32>)> {
    let names = task.target_names();
    let values = batch.targets.iter().zip(&batch.mask);
    let values = values.skip(at * names.len());
    let slot = |(name, (value, mask)): (&String, (&f32, &f32))| {
        (name.clone(), (*mask > 0.0).then_some(*value))
    };
    names.iter().zip(values).map(slot).collect()
}

/// Points as they lie on the input, from [-1, 1] of the square to its pixels.
fn points(
    task: &Task,
    batch: &HostBatch,
    at: usize,
    target: &[(String, Option<f32>)],
    prediction: Option<&Prediction>,
) -> Outcome {
    let pixel = |at: f32| (at + 1.0) / 2.0 * batch.size as f32;
    let predicted = match prediction {
        Some(Prediction::Keypoints { xy, .. }) => xy.as_slice(),
        _ => &[],
    };
    let truths = target.chunks_exact(2).map(|xy| xy[0].1.zip(xy[1].1));
    let marks = point_marks(task).into_iter().zip(truths).enumerate();
    let mark = |(point, (mark, truth)): (usize, (PointMark, Option<(f32, f32)>))| PointMark {
        truth: truth.map(|(x, y)| [pixel(x), pixel(y)]),
        prediction: predicted.get(point).map(|xy| batch.to_input[at].apply(*xy)),
        others: others(prediction, point)
            .into_iter()
            .map(|xy| batch.to_input[at].apply(xy))
            .collect(),
        confidence: prediction.and_then(|all| all.confidence().get(point).copied()),
        ..mark
    };
    Outcome::Keypoints(marks.map(mark).collect())
}

/// Flags as 0 and 1, other numbers with three decimals.
fn plain(value: f32) -> String {
    let decimals = if value.fract() == 0.0 { 0 } else { 3 };
    fixed(value.into(), decimals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidelight_data::config::Normalizer;

    #[test]
    fn a_row_shows_what_was_read_what_was_encoded_and_what_is_learned() {
        let card = Card {
            title: "row 7".into(),
            image: "a.jpg".into(),
            picture: None,
            outcome: Outcome::Nothing,
            score: String::new(),
            metadata: vec![
                ("area".into(), Some("120".into())),
                ("beds".into(), Some("3".into())),
                ("year".into(), None),
            ],
        };
        let row = ShowRow {
            card,
            hidden: vec!["beds".into(), "year".into()],
            slots: vec![
                ("area".into(), -0.25),
                ("area is known".into(), 1.0),
                ("source = <b>".into(), 0.0),
            ],
            codes: vec![("zipcode".into(), 17)],
            target: vec![("x0".into(), Some(0.5)), ("y0".into(), None)],
        };
        let html = ShowPage {
            title: "a.toml".into(),
            rows: vec![row],
            ..ShowPage::default()
        }
        .html();
        for text in [
            "<th scope=\"row\">area</th><td>120</td>",
            "<th scope=\"row\">beds</th><td>3 (hidden)</td>",
            "<th scope=\"row\">year</th><td class=\"missing\">missing</td>",
            "Encoded, 3 numbers",
            "<span>area</span><span class=\"num\">−0.250</span>",
            "<li class=\"off\"><span>source = &lt;b&gt;</span><span class=\"num\">0</span>",
            "code 17",
            "<span class=\"missing\">masked</span>",
        ] {
            assert!(html.contains(text), "{text} in {html}");
        }
    }

    #[test]
    fn points_of_a_batch_lie_where_the_network_sees_them() {
        let task = Task::Keypoints {
            columns: ["x0", "y0", "x1", "y1"].map(String::from).to_vec(),
            symmetric: Vec::new(),
            names: Vec::new(),
            skeleton: Vec::new(),
            sigmas: Vec::new(),
            normalizer: Normalizer::Diagonal,
            mean: Vec::new(),
        };
        let batch = HostBatch {
            rows: vec![0],
            size: 8,
            targets: vec![-1.0, 0.0, 0.5, 1.0],
            mask: vec![1.0, 1.0, 0.0, 0.0],
            ..HostBatch::default()
        };
        let target = target_slots(&batch, 0, &task);
        assert_eq!(target[3], ("y1".into(), None));
        let Outcome::Keypoints(outcome) = points(&task, &batch, 0, &target, None) else {
            panic!("points")
        };
        let places: Vec<_> = outcome.iter().map(|point| point.truth).collect();
        assert_eq!(places, [Some([0.0, 4.0]), None]);
    }
}
