//! The model card: what a model is for, what it was made of, how good it is, and what is not known of it.
//!
//! Markdown with a head in YAML, as the hub reads it. Names of columns and classes are a person's text: they are escaped,
//! and cannot become markup.
//!
//! # Source
//!
//! The head's fields: huggingface_hub, `repocard_data.py` (Apache-2.0). The sections: Mitchell et al. 2019, "Model Cards
//! for Model Reporting", arXiv:1810.03993, as far as a run can fill them.

mod data;
mod licence;
mod limits;
mod results;

use std::fmt::Write as _;

use crate::compare::StoredAnswer;
use crate::config::{Arm, TargetKind};
use crate::kind::MetadataKind;
use crate::model::Model;
use crate::number::count;
use crate::run::{MetricsFile, yaml};

pub(super) use licence::Licence;

/// Names of one list, at most; how many more there are is said.
const MOST_NAMES: usize = 24;

/// All that a card says.
pub(super) struct Card<'a> {
    /// What the model is called.
    pub(super) name: String,
    /// Without what tells of a machine ([`Config::without_places`](crate::Config::without_places)).
    pub(super) model: &'a Model,
    pub(super) metrics: &'a MetricsFile,
    pub(super) answer: Option<&'a StoredAnswer>,
    pub(super) licence: &'a Licence,
}

impl Card<'_> {
    pub(super) fn markdown(&self) -> String {
        let title = text(&self.name);
        let sections = [
            self.head(),
            format!("# {title}\n\n{}", self.summary()),
            format!("## Does the metadata help?\n\n{}", self.verdict()),
            format!("## Results\n\n{}", self.results()),
            format!("## Data\n\n{}", self.data()),
            format!("## Intended use and limits\n\n{}", self.limits()),
            format!("## How to use it\n\n{}", self.usage()),
            format!(
                "## What these files hold of the training rows\n\n{}",
                self.held()
            ),
            format!("## Origin and licence\n\n{}", self.origin()),
        ];
        let mut card = sections
            .map(|section| section.trim_end().to_owned())
            .join("\n\n");
        card.push('\n');
        card
    }

    fn kind(&self) -> TargetKind {
        self.model.task.kind()
    }

    /// The hub's word for what it does; of values read from an image alone it has none.
    fn pipeline(&self) -> Option<&'static str> {
        let reads_image = self.model.reads_image();
        Some(match self.kind() {
            TargetKind::Keypoints => "keypoint-detection",
            TargetKind::Class | TargetKind::Multilabel if reads_image => "image-classification",
            TargetKind::Class | TargetKind::Multilabel => "tabular-classification",
            TargetKind::Regression if self.reads_metadata() => "tabular-regression",
            TargetKind::Regression => return None,
        })
    }

    fn reads_metadata(&self) -> bool {
        self.model.network.reads_metadata()
    }

    fn table(&self) -> String {
        let name = self.model.config.data.table.to_string_lossy();
        if name.is_empty() {
            "table".into()
        } else {
            name.into_owned()
        }
    }

    fn head(&self) -> String {
        let config = &self.model.config;
        let mut head = String::from("---\nlibrary_name: sidelight\n");
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(head, "{name}: {}", yaml::scalar(value));
        };
        line("license", self.licence.id());
        if let Some(pipeline) = self.pipeline() {
            line("pipeline_tag", pipeline);
        }
        if let Some(base) = &self.licence.base_model {
            line("base_model", base);
            line("base_model_relation", "finetune");
        }
        let kind = self.kind().to_string();
        let mut tags = vec!["sidelight", &*kind];
        tags.extend(self.model.reads_image().then_some(&*config.model.backbone));
        tags.extend(self.reads_metadata().then_some("tabular"));
        tags.extend((config.model.arm == Arm::Both).then_some("multimodal"));
        let metrics = self.scores();
        let names = metrics.iter().map(|(name, _)| name.as_str()).collect();
        for (field, words) in [("tags", tags), ("metrics", names)] {
            if !words.is_empty() {
                let _ = writeln!(head, "{field}:");
            }
            for word in words {
                let _ = writeln!(head, "- {}", yaml::scalar(word));
            }
        }
        if !metrics.is_empty() {
            head.push_str(&self.model_index());
        }
        head.push_str("---");
        head
    }

    /// Scores that are numbers.
    fn scores(&self) -> Vec<&(String, f64)> {
        let scores = self.metrics.metrics.iter();
        scores.filter(|(_, value)| value.is_finite()).collect()
    }

    fn model_index(&self) -> String {
        let kind = self.kind().to_string();
        let table = yaml::scalar(&self.table());
        let mut index = format!(
            "model-index:\n- name: {}\n  results:\n  - task:\n      type: {}\n      name: {}\n    dataset:\n      type: {table}\n      \
             name: {table}\n      split: validation\n    metrics:\n",
            yaml::scalar(&self.name),
            self.pipeline().unwrap_or("image-regression"),
            yaml::scalar(&kind),
        );
        for (name, value) in self.scores() {
            let name = yaml::scalar(name);
            let _ = writeln!(
                index,
                "    - type: {name}\n      value: {value}\n      name: {name}"
            );
        }
        index
    }

    fn summary(&self) -> String {
        let Model { config, task, .. } = self.model;
        let what = prose(&task.in_words(&config.target.names()));
        let columns = self.model.encoder.columns.len();
        let metadata = format!(
            "{columns} column{} of metadata",
            if columns == 1 { "" } else { "s" }
        );
        let backbone = code(&config.model.backbone);
        let fusion = code(&config.model.fusion);
        let from = match (self.model.reads_image(), self.reads_metadata()) {
            (true, true) => format!(
                "an image and {metadata}, with a {backbone} network that they join by {fusion}"
            ),
            (true, false) => format!("an image, with a {backbone} network"),
            (false, _) => metadata,
        };
        format!(
            "Predicts {what}, from {from}. Trained with [Sidelight]({}) {} on {} rows, scored on {} others.",
            env!("CARGO_PKG_REPOSITORY"),
            env!("CARGO_PKG_VERSION"),
            count(self.metrics.rows.train),
            count(self.metrics.rows.valid),
        )
    }

    fn usage(&self) -> String {
        let config = &self.model.config;
        let mut columns: Vec<String> = Vec::new();
        if self.model.reads_image() {
            columns.push(format!(
                "{} (the image's path, relative to the table)",
                code(&config.data.image.to_string())
            ));
        }
        if self.reads_metadata() {
            for column in &self.model.encoder.columns {
                let source = column.config.from.as_ref().unwrap_or(&column.name);
                let is_computed = ["image.", "exif.", "dicom."]
                    .iter()
                    .any(|of| source.starts_with(of));
                let column = code(source);
                if !is_computed && !columns.contains(&column) {
                    columns.push(column);
                }
            }
        }
        let name = match self
            .name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        {
            true => self.name.as_str(),
            false => "model",
        };
        let mut usage = format!(
            "Fetch this folder (`hf download OWNER/{name} --local-dir {name}`), then\n\n```sh\nsidelight predict {name} new.csv --out \
             predictions.csv\n```\n\nor in Python\n\n```python\nimport sidelight as sl\n\nmodel = sl.load(\"{name}\")\n\
             model.predict(\"new.csv\")        # or a frame of pandas, polars or pyarrow\n```\n\nThe table needs the columns {}.",
            listed(&columns)
        );
        if !config.data.join.is_empty() {
            let tables = config
                .data
                .join
                .iter()
                .map(|join| code(&join.table.to_string_lossy()));
            usage.push_str(&format!(
                " In training some came from other tables ({}): here they must be in the one.",
                listed(&tables.collect::<Vec<_>>())
            ));
        }
        usage.push_str(
            " `config.toml` is the configuration that it was trained with: `sidelight train config.toml --out again` beside \
             the table trains it anew, to the bit on a CPU with the same instructions.",
        );
        usage
    }

    fn origin(&self) -> String {
        let config = &self.model.config;
        let train = &config.train;
        let n_parameters: usize = self
            .model
            .network
            .parameters()
            .iter()
            .map(|parameter| parameter.shape.iter().product::<usize>())
            .sum();
        let mut origin = format!("{}\n\n", self.licence.sentence);
        let _ = write!(
            origin,
            "Made by Sidelight {}: {} numbers, trained for up to {} epochs with everything learning, learning rate {}, seed {}{}. \
             Nothing in these files is executed when they are read.",
            env!("CARGO_PKG_VERSION"),
            count(n_parameters),
            train.epochs,
            train.learning_rate,
            train.seed,
            match self.model.reads_image() {
                true => format!(", images of {0} × {0} pixels", train.size),
                false => String::new(),
            },
        );
        origin
    }
}

/// A kind as a reader calls it.
fn kind_in_words(kind: MetadataKind) -> &'static str {
    match kind {
        MetadataKind::Boolean => "true or false",
        MetadataKind::Continuous => "number",
        MetadataKind::Categorical => "category",
        MetadataKind::Datetime => "date or time",
    }
}

/// A person's text as Markdown that shows it, and does nothing else.
fn text(raw: &str) -> String {
    let mut shown = String::new();
    for c in raw.chars() {
        match c {
            c if c.is_control() => shown.push(' '),
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '>' | '|' | '#' | '~' | '!' | '$' => {
                shown.extend(['\\', c]);
            }
            c => shown.push(c),
        }
    }
    shown
}

/// A name in code marks, where none of its characters has a meaning there.
fn code(name: &str) -> String {
    let is_plain = |c: char| !c.is_control() && !['`', '|'].contains(&c);
    match !name.trim().is_empty() && name.chars().all(is_plain) {
        true => format!("`{name}`"),
        false => text(name),
    }
}

/// A sentence of ours, in which names stand in code marks.
fn prose(sentence: &str) -> String {
    let parts: Vec<&str> = sentence.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return text(sentence);
    }
    let part = |(at, part): (usize, &&str)| match at % 2 {
        0 => text(part),
        _ => code(part),
    };
    parts.iter().enumerate().map(part).collect()
}

/// The first of some names, and how many more there are.
fn listed(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(MOST_NAMES)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().checked_sub(MOST_NAMES) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {} more", count(more)),
    }
}

/// A table of Markdown; cells are Markdown already.
fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let header: Vec<String> = header.iter().map(|&cell| cell.to_owned()).collect();
    let rule = vec!["---".to_owned(); header.len()];
    let head = line(&header) + &line(&rule);
    head + &rows.iter().map(|row| line(row)).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_and_do_nothing() {
        assert_eq!(
            text("<img src=x> [a](b) | *c*"),
            "&lt;img src=x\\> \\[a\\](b) \\| \\*c\\*"
        );
        assert_eq!(code("a_b"), "`a_b`");
        assert_eq!(code("a|`b`"), "a\\|\\`b\\`");
        assert_eq!(code("a\n# b"), "a \\# b");
        assert_eq!(prose("`a_b` has <3 rows"), "`a_b` has &lt;3 rows");
        // A mark without its other one is text.
        assert_eq!(prose("5` of 6"), "5\\` of 6");
        let names: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        assert!(listed(&names).ends_with("22, 23 and 6 more"));
    }
}
