//! What the model was made of.

use super::{Card, code, kind_in_words, listed, prose, table, text};
use crate::config::{Config, collapse_range};
use crate::encode::{EncodedColumn, Fitted};
use crate::number::{count, number};
use crate::task::Task;

impl Card<'_> {
    pub(super) fn data(&self) -> String {
        let config = &self.model.config;
        let rows = match config.data.split.joins_folds() {
            true => format!(
                "{}, each left out of the training of one of {} models",
                count(self.metrics.rows.train),
                config.data.split.folds
            ),
            false => format!(
                "{} for training, {} for validation",
                count(self.metrics.rows.train),
                count(self.metrics.rows.valid)
            ),
        };
        let mut facts = vec![
            ("table", code(&self.table())),
            ("rows", rows),
            ("divided", division(config)),
            ("target", self.target()),
        ];
        if self.model.reads_image() {
            let columns = config.data.image.names().iter().map(|name| code(name));
            facts.push(("image", listed(&columns.collect::<Vec<_>>())));
        }
        if let Some(weight) = &config.data.weight {
            facts.push(("weights of rows", code(weight)));
        }
        let facts: Vec<Vec<String>> = facts
            .into_iter()
            .map(|(name, value)| vec![name.to_owned(), value])
            .collect();
        let mut data = table(&["", ""], &facts);
        if self.reads_metadata() {
            let rows: Vec<Vec<String>> = self.model.encoder.columns.iter().map(column).collect();
            let header = [
                "metadata column",
                "kind",
                "in the training rows",
                "missing there",
            ];
            data.push_str(&format!("\n{}", table(&header, &rows)));
        }
        data
    }

    fn target(&self) -> String {
        let Task::Regression { columns, range, .. } = &*self.model.task else {
            let names = self.model.config.target.names();
            let columns = collapse_range(&names)
                .iter()
                .map(|name| code(name))
                .collect::<Vec<_>>();
            let what = prose(&self.model.task.in_words(&names));
            return match names.len() {
                1 => what,
                _ => format!("{}: {what}", listed(&columns)),
            };
        };
        let each = columns.iter().zip(range);
        let each: Vec<String> = each
            .map(|(name, [low, high])| {
                format!(
                    "{}, {} to {} in training",
                    code(name),
                    number(*low),
                    number(*high)
                )
            })
            .collect();
        listed(&each)
    }
}

/// How rows were divided into those of training and of validation.
fn division(config: &Config) -> String {
    let split = &config.data.split;
    let by = if let (1.., None) = (split.folds, &config.data.fold) {
        let test = split.column.as_ref();
        let test = test.map_or_else(String::new, |column| {
            format!(", without the test rows of the column {}", code(column))
        });
        format!("at random, into {} folds{test}", split.folds)
    } else if let Some(column) = &split.column {
        format!("as the column {} says", code(column))
    } else if let Some(column) = &config.data.fold {
        format!("by the folds in {}", code(column))
    } else if let Some(column) = &config.data.time {
        format!("by time: the latest by {} validate", code(column))
    } else {
        format!(
            "at random, {} for validation",
            crate::number::percent(split.valid)
        )
    };
    match &config.data.group {
        Some(group) => format!("{by}; rows with the same {} stay together", code(group)),
        None => by,
    }
}

fn column(column: &EncodedColumn) -> Vec<String> {
    let values = match (&column.fitted, column.range) {
        (Fitted::Category(category), _) => {
            let names: Vec<String> = category.names.iter().map(|name| text(name)).collect();
            format!(
                "{}: {}",
                crate::number::counted(names.len(), "name"),
                listed(&names)
            )
        }
        (Fitted::Number(_), Some([low, high])) => format!("{} to {}", number(low), number(high)),
        (Fitted::Datetime(datetime), Some([from, to])) => {
            format!("{} to {}", datetime.text(from), datetime.text(to))
        }
        _ => String::new(),
    };
    let n = column.known + column.missing;
    let missing = match column.missing {
        0 => "none".to_owned(),
        missing => format!("{} of {}", count(missing), count(n)),
    };
    vec![
        code(&column.name),
        kind_in_words(column.config.kind).to_owned(),
        values,
        missing,
    ]
}
