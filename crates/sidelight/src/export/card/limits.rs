//! What the model should not be trusted with, and what of the training rows is in its files.

use super::{Card, code, listed, text};
use crate::encode::{EncodedColumn, Fitted};
use crate::number::{count, counted};
use crate::task::Task;

/// A class of fewer training rows is said to be seldom seen.
const FEW_ROWS: usize = 20;

impl Card<'_> {
    pub(super) fn limits(&self) -> String {
        let mut limits = vec![
            "It is made for rows like those of its table: taken in the same way, of the same kinds of things. It was not tested on \
             others, from another place, device or time. What it found are correlations, not causes. Test it on rows of your own \
             before anything depends on it, above all where its predictions concern people."
                .to_owned(),
        ];
        limits.push(match (self.model.reads_image(), self.model.needs_image()) {
            (true, true) => {
                "A row without an image, or whose image cannot be read, gets no prediction.".into()
            }
            (true, false) => {
                "A row without an image is predicted by its metadata alone, and less well.".into()
            }
            (false, _) => "It looks at no image.".into(),
        });
        if self.reads_metadata() {
            limits.push(self.gaps());
            limits.push(
                "A category that was in one training row or none counts as unknown. A number far outside the training rows' range \
                 is a guess."
                    .into(),
            );
        }
        let rare = self.rare();
        if !rare.is_empty() {
            limits.push(format!(
                "Seen in fewer than {FEW_ROWS} training rows, and so hardly known: {}.",
                listed(&rare)
            ));
        }
        limits.iter().map(|limit| format!("- {limit}\n")).collect()
    }

    /// What missing metadata does.
    fn gaps(&self) -> String {
        let columns = &self.model.encoder.columns;
        let whole = columns.iter().filter(|column| column.missing == 0);
        let whole: Vec<String> = whole.map(|column| code(&column.name)).collect();
        let said = "A missing cell of metadata is read as missing, not guessed.";
        match whole.len() {
            0 => format!("{said} All columns had such cells in training."),
            _ => format!(
                "{said} None was missing in training in {}: what the model says without it was not learned.",
                listed(&whole)
            ),
        }
    }

    /// Classes and labels of few training rows, with their numbers.
    fn rare(&self) -> Vec<String> {
        let (Task::Class { names, counts, .. } | Task::Multilabel { names, counts, .. }) =
            &*self.model.task
        else {
            return Vec::new();
        };
        let each = names.iter().zip(counts).filter(|(_, n)| **n < FEW_ROWS);
        each.map(|(name, n)| format!("{} ({})", text(name), count(*n)))
            .collect()
    }

    /// What the files tell of rows, and so perhaps of persons.
    pub(super) fn held(&self) -> String {
        let model = self.model;
        let mut held: Vec<String> = Vec::new();
        let of = |is_it: fn(&EncodedColumn) -> bool| -> Vec<String> {
            let columns = model.encoder.columns.iter().filter(|column| is_it(column));
            columns.map(|column| code(&column.name)).collect()
        };
        let categories = of(|column| matches!(column.fitted, Fitted::Category(_)));
        if !categories.is_empty() {
            held.push(format!(
                "the names in {}, as far as they are in two training rows or more, and how often each is",
                listed(&categories)
            ));
        }
        let ranges = of(|column| column.range.is_some());
        if !ranges.is_empty() {
            held.push(format!(
                "the smallest and the largest value, mean and spread of {}, each of which may be one row's",
                listed(&ranges)
            ));
        }
        match &*model.task {
            Task::Class { .. } | Task::Multilabel { .. } => {
                held.push(
                    "the names of the target's classes, and in how many training rows each is"
                        .into(),
                );
            }
            Task::Regression { .. } => {
                held.push(
                    "the smallest and the largest value of the target, its mean and spread".into(),
                );
            }
            Task::Keypoints { .. } => held.push("the mean place of each point".into()),
        }
        if model.config.model.fusion == "stacked" && self.reads_metadata() {
            held.push("where decision trees divide numbers: values of training rows, without the rows that they are of".into());
        }
        if model.conformal.is_some() {
            held.push(format!(
                "how far off the model was on rows that it had not learned from ({} for validation among them), sorted, without the \
                 rows that they are of",
                counted(self.metrics.rows.valid, "row")
            ));
        }
        held.push("the names of the table, of its columns and of the file of weights".into());
        let list: String = held.iter().map(|item| format!("- {item};\n")).collect();
        let list = list.trim_end_matches(";\n");
        format!(
            "Besides the network's numbers, `model.json`, `config.toml`, `config.json` and this card hold\n\n{list}.\n\nThere is no \
             image, no whole row, no path and no user name in them. A network can still have learned single rows by heart: where these \
             are personal data, treat it as such."
        )
    }
}
