//! What the model is given, row by row; for a run also what it makes of it.

use super::escape::escape;
use super::number::{count, fixed};
use super::overlay::{self, Card};
use super::page::{self, Page};

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

impl ShowRow {
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
                escape(name)
            );
        }
        for (name, code) in &self.codes {
            put!(
                &mut out,
                "<li><span>{}</span><span class=\"num\">code {code}</span></li>",
                escape(name)
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
    use crate::report::Outcome;

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
}
