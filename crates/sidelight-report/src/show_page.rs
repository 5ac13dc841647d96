//! What the model is given, row by row; for a run also what it makes of it.

use super::escape::{breakable, escape};
use super::number::{count, fixed};
use super::overlay::{self, Card, Outcome, PointMark, Thumbnail, as_read, name_of};
use super::page::{self, Page};
use sidelight_data::dataset::Dataset;
use sidelight_data::encode::Encoder;
use sidelight_data::loader::HostBatch;
use sidelight_data::task::Task;
use sidelight_data::write::TargetCell;

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
    /// The dense encoding, slot by slot: `area`, `area is known`, `source = reddit`.
    pub slots: Vec<(String, f32)>,
    /// Embedded columns and their code.
    pub codes: Vec<(String, u32)>,
    /// The target as the loss gets it.
    pub target: Vec<TargetSlot>,
}

/// One number of an encoded target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetSlot {
    /// What it is.
    pub name: String,
    /// The number; `None`: masked, counts for nothing.
    pub value: Option<f32>,
}

impl ShowPage {
    /// The page.
    pub fn html(&self) -> String {
        let worst = match self.worst.len() {
            0 => String::new(),
            n => format!(
                "<p class=\"key\">The {n} validation rows with the largest loss. Circle: true. Cross: predicted.</p>{}",
                overlay::cards(&self.worst)
            ),
        };
        Page::new("batch", &self.title, &self.lead)
            .section("What is shown", page::facts(&self.facts))
            .section("What was noticed", page::remarks(&self.remarks))
            .section("Rows", self.rows.iter().map(ShowRow::html).collect())
            .section("Worst predictions", worst)
            .html()
    }
}

/// What the network's input was normalised with: `(pixel - mean) / sd`, RGB in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalization {
    /// Of each channel.
    pub mean: [f32; 3],
    /// Of each channel.
    pub sd: [f32; 3],
}

impl ShowRow {
    /// The row at this place of a batch.
    ///
    /// # Panics
    ///
    /// Where batch, data set, task and encoder do not belong together.
    pub fn of_batch(
        batch: &HostBatch,
        at: usize,
        dataset: &Dataset,
        task: &Task,
        encoder: &Encoder,
        input: Normalization,
    ) -> Self {
        let position = batch.rows[at];
        let target = target_slots(batch, at, task);
        let side = batch.size * batch.size * 3;
        let picture = match batch.images.is_empty() {
            true => None,
            false => {
                let pixels = &batch.images[at * side..][..side];
                Some(Thumbnail::of_input(
                    batch.size, pixels, input.mean, input.sd,
                ))
            }
        };
        let card = Card {
            title: format!("row {}", dataset.rows[position] + 1),
            image: name_of(&dataset.images[position]),
            picture,
            outcome: input_outcome(batch, &target, dataset, position, task),
            score: String::new(),
            metadata: as_read(&dataset.metadata, position),
        };
        let d_dense = encoder.d_dense();
        let embeddings = encoder.embeddings();
        let dense = batch.dense[at * d_dense..][..d_dense].iter().copied();
        let codes = batch.codes[at * embeddings.len()..][..embeddings.len()]
            .iter()
            .copied();
        Self {
            card,
            slots: encoder.slots().into_iter().zip(dense).collect(),
            codes: embeddings
                .into_iter()
                .map(|embedding| embedding.column)
                .zip(codes)
                .collect(),
            target,
        }
    }

    fn html(&self) -> String {
        let mut out = String::from("<article class=\"row\">");
        let picture = Card {
            metadata: Vec::new(),
            ..self.card.clone()
        };
        out.push_str(&picture.html());
        out.push_str("<div class=\"read-in\">");
        let read = overlay::metadata_table(&self.card.metadata);
        put_block(&mut out, "Metadata as read", &read);
        put_block(
            &mut out,
            &format!("Encoded, {} numbers", count(self.slots.len())),
            &self.slots_html(),
        );
        put_block(&mut out, "Target as learned", &self.target_html());
        out.push_str("</div></article>");
        out
    }

    fn slots_html(&self) -> String {
        if self.slots.is_empty() && self.codes.is_empty() {
            return String::new();
        }
        let mut out = String::from("<ul class=\"slots\">");
        for (name, value) in &self.slots {
            let class = if *value == 0.0 { " class=\"off\"" } else { "" };
            let shown = plain(*value);
            put!(
                &mut out,
                "<li{class}><span>{}</span><span class=\"num\">{shown}</span></li>",
                breakable(name)
            );
        }
        for (name, code) in &self.codes {
            put!(
                &mut out,
                "<li><span>{}</span><span class=\"num\">code {code}</span></li>",
                breakable(name)
            );
        }
        out.push_str("</ul>");
        out
    }

    fn target_html(&self) -> String {
        if self.target.is_empty() {
            return String::new();
        }
        let mut out = String::from("<ul class=\"slots\">");
        for slot in &self.target {
            match slot.value {
                Some(value) => put!(
                    &mut out,
                    "<li><span>{}</span><span class=\"num\">{}</span></li>",
                    escape(&slot.name),
                    plain(value)
                ),
                None => put!(
                    &mut out,
                    "<li class=\"off\"><span>{}</span><span class=\"missing\">masked</span></li>",
                    escape(&slot.name)
                ),
            }
        }
        out.push_str("</ul>");
        out
    }
}

/// The target as the loss gets it.
fn target_slots(batch: &HostBatch, at: usize, task: &Task) -> Vec<TargetSlot> {
    let names = task.target_names();
    if batch.targets.is_empty() {
        return Vec::new();
    }
    let from = at * names.len();
    let value = |nth: usize| (batch.mask[from + nth] > 0.0).then(|| batch.targets[from + nth]);
    let slot = |(nth, name): (usize, &String)| TargetSlot {
        name: name.clone(),
        value: value(nth),
    };
    names.iter().enumerate().map(slot).collect()
}

/// Points as they lie on the input, from [-1, 1] of the square to its pixels; other targets as they were read.
fn input_outcome(
    batch: &HostBatch,
    target: &[TargetSlot],
    dataset: &Dataset,
    position: usize,
    task: &Task,
) -> Outcome {
    let pixel = |at: f32| (at + 1.0) / 2.0 * batch.size as f32;
    match task {
        Task::Keypoints { .. } => Outcome::Keypoints(
            target
                .chunks_exact(2)
                .map(|xy| PointMark {
                    truth: xy[0]
                        .value
                        .zip(xy[1].value)
                        .map(|(x, y)| [pixel(x), pixel(y)]),
                    prediction: None,
                })
                .collect(),
        ),
        _ => {
            let cell = dataset
                .targets
                .as_ref()
                .map(|targets| TargetCell { targets, position });
            Outcome::new(task, cell, None)
        }
    }
}

fn put_block(out: &mut String, title: &str, html: &str) {
    if !html.is_empty() {
        put!(out, "<div><h3>{}</h3>{html}</div>", escape(title));
    }
}

/// Flags as 0 and 1, other numbers with three decimals.
fn plain(value: f32) -> String {
    match value.fract() == 0.0 {
        true => fixed(value.into(), 0),
        false => fixed(value.into(), 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidelight_data::config::Normalizer;
    use sidelight_data::dataset::{ImageSource, Metadata, Targets};

    #[test]
    fn a_row_shows_what_was_read_what_was_encoded_and_what_is_learned() {
        let card = Card {
            title: "row 7".into(),
            image: "a.jpg".into(),
            picture: None,
            outcome: Outcome::Nothing,
            score: String::new(),
            metadata: vec![("area".into(), Some("120".into()))],
        };
        let row = ShowRow {
            card,
            slots: vec![
                ("area".into(), -0.25),
                ("area is known".into(), 1.0),
                ("source = <b>".into(), 0.0),
            ],
            codes: vec![("zipcode".into(), 17)],
            target: vec![
                TargetSlot {
                    name: "x0".into(),
                    value: Some(0.5),
                },
                TargetSlot {
                    name: "y0".into(),
                    value: None,
                },
            ],
        };
        let html = ShowPage {
            title: "a.toml".into(),
            rows: vec![row],
            ..ShowPage::default()
        }
        .html();
        for text in [
            "<th scope=\"row\">area</th><td>120</td>",
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
            normalizer: Normalizer::Diagonal,
        };
        let dataset = Dataset {
            path: "table.csv".into(),
            rows: vec![4],
            images: vec![ImageSource::Path("images/a.jpg".into())],
            metadata: Metadata {
                columns: Vec::new(),
                n_rows: 1,
            },
            targets: Some(Targets::Keypoints {
                n_points: 2,
                xy: vec![[1.0, 1.0], [2.0, 2.0]],
            }),
            groups: None,
            splits: None,
            remarks: Vec::new(),
        };
        let batch = HostBatch {
            rows: vec![0],
            size: 8,
            targets: vec![-1.0, 0.0, 0.5, 1.0],
            mask: vec![1.0, 1.0, 0.0, 0.0],
            ..HostBatch::default()
        };
        let target = target_slots(&batch, 0, &task);
        assert_eq!(
            target[3],
            TargetSlot {
                name: "y1".into(),
                value: None
            }
        );
        let outcome = input_outcome(&batch, &target, &dataset, 0, &task);
        let [first, second] = [Some([0.0, 4.0]), None].map(|truth| PointMark {
            truth,
            prediction: None,
        });
        assert_eq!(outcome, Outcome::Keypoints(vec![first, second]));
    }
}
