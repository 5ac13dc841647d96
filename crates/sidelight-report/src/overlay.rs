//! A picture with what is true and what was predicted, and its row's metadata.
//!
//! Points lie over the picture (circle: true, cross: predicted, a line between); classes, labels
//! and values stand beneath it. Truth and prediction differ by shape, never by colour alone.

mod draw;
mod outcome;
mod thumbnail;

use std::path::Path;

use maud::{Markup, html};

use crate::page::folded;
use crate::text::breakable;
use sidelight_data::dataset::{Dataset, ImageSource};
use sidelight_data::image::{Picture, decode};
use sidelight_data::task::{Prediction, Task};
use sidelight_data::write::TargetCell;

pub use outcome::{ArrowMark, LabelBar, Outcome, PointMark, ValueMark};
pub(crate) use outcome::{others, point_marks};
pub use thumbnail::Thumbnail;

/// Up to so many columns of metadata are shown with a picture, the rest can be unfolded.
const COLUMNS_SHOWN: usize = 8;

/// One row as a reader sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Title of the card, as in `row 214`.
    pub title: String,
    /// The image's name.
    pub image: String,
    /// The picture; `None` where the model reads none or it could not be read.
    pub picture: Option<Thumbnail>,
    /// What is true and what was predicted; points in pixels of the picture.
    pub outcome: Outcome,
    /// How wrong it is, in words: `error 3.2 px`.
    pub score: String,
    /// The metadata as read; `None`: missing.
    pub metadata: Vec<(String, Option<String>)>,
}

impl Card {
    /// A row: `row` counts from 1, `outcome` has its points in pixels of the stored image.
    pub fn new(
        row: usize,
        image: &str,
        picture: Option<&Picture>,
        outcome: Outcome,
        metadata: Vec<(String, Option<String>)>,
    ) -> Self {
        // Said in pixels of the stored image, whatever the size it is shown at.
        let score = outcome.score();
        let thumbnail =
            |picture: &Picture| Thumbnail::new(picture.width, picture.height, &picture.rgb);
        Self {
            title: format!("row {row}"),
            image: image.to_owned(),
            picture: picture.map(thumbnail),
            outcome: match picture {
                Some(picture) => outcome.moved(&picture.from_stored),
                None => outcome,
            },
            score,
            metadata,
        }
    }

    /// A row of a data set with what is predicted for it; reads its image.
    /// An image that cannot be read is left out: that it cannot was said where it mattered.
    ///
    /// # Panics
    ///
    /// Where targets or prediction are of another task.
    pub fn of_row(
        task: &Task,
        dataset: &Dataset,
        position: usize,
        prediction: Option<&Prediction>,
    ) -> Self {
        let target = TargetCell::of_row(dataset, position);
        Self::of_outcome(dataset, position, Outcome::new(task, target, prediction))
    }

    /// The same of an outcome that was made before, its points in pixels of the stored image.
    pub fn of_outcome(dataset: &Dataset, position: usize, outcome: Outcome) -> Self {
        let image = &dataset.images[position];
        let picture = decode(image, Some(thumbnail::LONGEST as usize)).ok();
        Self::new(
            dataset.rows[position] + 1,
            &name_of(image),
            picture.as_ref(),
            outcome,
            dataset.metadata.row_as_text(position),
        )
    }

    /// The card as a figure.
    pub fn html(&self) -> Markup {
        let name = format!("{}, {}", self.title, self.image);
        html! {
            figure.card {
                @if let Some(picture) = &self.picture { (self.outcome.over(picture, &name)) }
                figcaption {
                    b { (self.title) }
                    @if !self.score.is_empty() { span.score { (self.score) } }
                    span.file { (self.image) }
                }
                (self.outcome.beneath())
                (metadata_table(&self.metadata))
            }
        }
    }
}

/// Cards side by side, as many as fit.
pub fn cards(cards: &[Card]) -> Markup {
    html! { div.cards { @for card in cards { (card.html()) } } }
}

/// A row's metadata as a small table; of many columns the later ones are folded away.
pub fn metadata_table(metadata: &[(String, Option<String>)]) -> Markup {
    let shown = match metadata.len() <= COLUMNS_SHOWN + 1 {
        true => metadata.len(),
        false => COLUMNS_SHOWN,
    };
    let (shown, rest) = metadata.split_at(shown);
    html! {
        (rows_table(shown))
        (folded(&format!("{} more columns", rest.len()), &rows_table(rest)))
    }
}

fn rows_table(rows: &[(String, Option<String>)]) -> Markup {
    html! {
        @if !rows.is_empty() {
            table.read { tbody {
                @for (name, value) in rows {
                    tr {
                        th scope="row" { (breakable(name)) }
                        @match value {
                            Some(value) => { td { (value) } }
                            None => { td.missing { "missing" } }
                        }
                    }
                }
            } }
        }
    }
}

/// The file's name, without the folders that all have in common; the name of an embedded image.
pub(crate) fn name_of(image: &ImageSource) -> String {
    match image {
        ImageSource::Crop(_) => name_of(image.whole()),
        ImageSource::Bytes { name, .. } => name.clone(),
        ImageSource::Member(member) => member.name.clone(),
        ImageSource::Path(path) => file_name(path),
        ImageSource::Object(object) => file_name(object.path()),
        ImageSource::Several(_) => image.present().map(name_of).collect::<Vec<_>>().join(", "),
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_escapes_all_that_came_from_outside() {
        let card = Card {
            title: "row 1".into(),
            image: "<i>.jpg".into(),
            picture: None,
            outcome: Outcome::Class {
                names: vec!["<a>".into(), "b".into()],
                probabilities: Some(vec![0.5, 0.5]),
                truth: Some(0),
            },
            score: "<0.1".into(),
            metadata: vec![("<key>".into(), Some("<value>".into())), ("x".into(), None)],
        };
        let html = card.html().into_string();
        for text in ["<i>", "<a>", "<0.1", "<key>", "<value>"] {
            assert!(!html.contains(text), "{text} in {html}");
        }
        assert!(html.contains("<td class=\"missing\">missing</td>"));
    }

    #[test]
    fn of_many_columns_the_later_ones_are_folded_away() {
        let metadata: Vec<_> = (0..20).map(|k| (format!("column {k}"), None)).collect();
        let html = metadata_table(&metadata).into_string();
        assert!(html.contains("<summary>12 more columns</summary>"));
        assert!(
            !metadata_table(&metadata[..9])
                .into_string()
                .contains("details")
        );
    }
}
