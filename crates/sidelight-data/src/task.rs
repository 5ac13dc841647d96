//! From targets to what the network learns, and from what it puts out to predictions in the target's own unit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{Normalizer, TargetConfig, TargetKind, TargetScale};
use crate::dataset::{Dataset, Targets};
use crate::encode::category::{codes_of, natural_order};
use crate::error::{Error, Place, Result};

mod mean;

/// A task, fitted on training rows: class names, scale of values; stored in the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Task {
    /// n points.
    Points {
        /// Columns, x and y of each point in turn.
        columns: Vec<String>,
        /// Pairs that swap under a flip.
        symmetric: Vec<[usize; 2]>,
        /// What errors are divided by.
        normalizer: Normalizer,
    },
    /// One of several classes.
    Class {
        /// The column.
        column: String,
        /// Class names, in the order of the logits: as a person would sort them.
        names: Vec<String>,
        /// Training rows of each class.
        counts: Vec<usize>,
    },
    /// Any number of labels.
    Classes {
        /// Labels, in the order of the logits.
        names: Vec<String>,
        /// Training rows with each label.
        counts: Vec<usize>,
        /// Training rows where it is known.
        known: Vec<usize>,
    },
    /// Numbers.
    Value {
        /// The columns.
        columns: Vec<String>,
        /// Linear or logarithmic.
        scale: TargetScale,
        /// Mean of each (on that scale) over training rows.
        mean: Vec<f64>,
        /// Standard deviation of each; 1 where it is constant.
        sd: Vec<f64>,
        /// Range of each over training rows, in its own unit.
        range: Vec<[f64; 2]>,
    },
}

/// A prediction in the target's own unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Prediction {
    /// Pixels of the image as stored.
    Points {
        /// One `[x, y]` a point.
        xy: Vec<[f32; 2]>,
    },
    /// Probabilities that sum to 1.
    Class {
        /// One a class.
        probabilities: Vec<f32>,
    },
    /// Probabilities, each in [0, 1].
    Classes {
        /// One a label.
        probabilities: Vec<f32>,
    },
    /// Numbers in their own unit.
    Value {
        /// One a column.
        values: Vec<f64>,
    },
}

impl Prediction {
    /// Probabilities of classes or labels; empty for other kinds.
    pub fn probabilities(&self) -> &[f32] {
        match self {
            Self::Class { probabilities } | Self::Classes { probabilities } => probabilities,
            Self::Points { .. } | Self::Value { .. } => &[],
        }
    }
}

/// The most probable class, the first of equals; `None` of no probability.
pub fn argmax(probabilities: &[f32]) -> Option<usize> {
    let order = |&a: &usize, &b: &usize| {
        let by_size = probabilities[a].total_cmp(&probabilities[b]);
        by_size.then(b.cmp(&a))
    };
    (0..probabilities.len()).max_by(order)
}

impl Task {
    /// Fits on the rows at these positions (training rows only).
    ///
    /// A class (or label) without a training row is left out: what never occurs cannot be learned.
    ///
    /// # Errors
    ///
    /// - [`Error::TargetKind`]: no targets, or of another kind than configured.
    /// - [`Error::TooFewClasses`]: fewer than two classes (or no label).
    /// - [`Error::NoTargetValues`]: a column of points or values that is empty.
    /// - [`Error::LogOfTarget`]: a log scale and a training value at or below 0.
    /// - [`Error::Setting`]: a point number in `symmetric` or `normalizer` that there is not.
    pub fn fit(dataset: &Dataset, config: &TargetConfig, rows: &[usize]) -> Result<Self> {
        let wrong_kind = || Error::TargetKind {
            expected: config.kind,
            found: dataset.kind(),
        };
        let targets = dataset.targets.as_ref().ok_or_else(wrong_kind)?;
        match (config.kind, targets) {
            (TargetKind::Points, Targets::Points { n_points, xy }) => {
                let known = |&row: &usize| is_known(&xy[row * n_points..(row + 1) * n_points]);
                if !rows.iter().any(known) {
                    let column = config.names().join(", ");
                    return Err(Error::NoTargetValues {
                        column,
                        n_rows: rows.len(),
                    });
                }
                fit_points(config, *n_points)
            }
            (TargetKind::Class, Targets::Class { names, index }) => {
                let mut counts = vec![0; names.len()];
                rows.iter()
                    .filter_map(|&row| index[row])
                    .for_each(|class| counts[class as usize] += 1);
                let mut found: Vec<(String, usize)> = names
                    .iter()
                    .cloned()
                    .zip(counts)
                    .filter(|(_, count)| *count > 0)
                    .collect();
                found.sort_by(|a, b| natural_order(&a.0, &b.0));
                let (names, counts): (Vec<_>, Vec<_>) = found.into_iter().unzip();
                let column = config.names().join(", ");
                if names.len() < 2 {
                    return Err(Error::TooFewClasses {
                        column,
                        n_rows: rows.len(),
                        names,
                    });
                }
                Ok(Self::Class {
                    column,
                    names,
                    counts,
                })
            }
            (TargetKind::Classes, Targets::Classes { names, present }) => {
                fit_classes(config, names, present, rows)
            }
            (TargetKind::Value, Targets::Value { names, values }) => {
                fit_values(dataset, config.scale, names, values, rows)
            }
            _ => Err(wrong_kind()),
        }
    }

    /// Which of the four tasks.
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Points { .. } => TargetKind::Points,
            Self::Class { .. } => TargetKind::Class,
            Self::Classes { .. } => TargetKind::Classes,
            Self::Value { .. } => TargetKind::Value,
        }
    }

    /// Names of the classes, labels or columns; `x` and `y` columns for points.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Points { columns, .. } | Self::Value { columns, .. } => columns,
            Self::Class { names, .. } | Self::Classes { names, .. } => names,
        }
    }

    /// Names of the parts that are scored one by one: classes, labels, columns; `point 0` … for points.
    pub fn part_names(&self) -> Vec<String> {
        match self {
            Self::Points { columns, .. } => (0..columns.len() / 2)
                .map(|point| format!("point {point}"))
                .collect(),
            _ => self.names().to_vec(),
        }
    }

    /// Numbers the network puts out per row: 2n, classes, labels, columns.
    pub fn n_outputs(&self) -> usize {
        self.names().len()
    }

    /// Width of an encoded target: 1 for `class` (its index), else `n_outputs`.
    pub fn d_target(&self) -> usize {
        match self {
            Self::Class { .. } => 1,
            _ => self.n_outputs(),
        }
    }

    /// The target of a row as the loss wants it, and a mask (0: missing, counts for nothing); both `d_target` wide.
    /// Points stay in pixels of the stored image here; the loader maps them into [-1, 1] of the network's input.
    ///
    /// A class that training did not have is masked: [`Task::unseen`] counts them. Where the mask is 0
    /// the target is 0. Both are all 0 where the targets are of another kind.
    pub fn encode(&self, targets: &Targets, row: usize) -> (Vec<f32>, Vec<f32>) {
        let width = self.d_target();
        let cells: Vec<Option<f32>> = match (self, targets) {
            (Self::Points { .. }, Targets::Points { n_points, xy }) => {
                let points = &xy[row * n_points..(row + 1) * n_points];
                // A point with one coordinate is no point.
                let both = points
                    .iter()
                    .map(|[x, y]| (x.is_finite() && y.is_finite()).then_some([*x, *y]));
                both.flat_map(|point| [point.map(|p| p[0]), point.map(|p| p[1])])
                    .collect()
            }
            (
                Self::Class { names, .. },
                Targets::Class {
                    names: theirs,
                    index,
                },
            ) => {
                let class = index[row].and_then(|class| position(names, theirs, class as usize));
                vec![class.map(|class| class as f32)]
            }
            (
                Self::Classes { names, .. },
                Targets::Classes {
                    names: theirs,
                    present,
                },
            ) => {
                let cells = &present[row * theirs.len()..(row + 1) * theirs.len()];
                let label = |(i, name): (usize, &String)| label_cell(i, name, theirs, cells);
                names
                    .iter()
                    .enumerate()
                    .map(label)
                    .map(|cell| cell.map(f32::from))
                    .collect()
            }
            (
                Self::Value {
                    scale, mean, sd, ..
                },
                Targets::Value { names, values },
            ) => {
                let values = &values[row * names.len()..(row + 1) * names.len()];
                let standardized = values.iter().zip(mean.iter().zip(sd));
                let cell = |(&value, (mean, sd)): (&f64, (&f64, &f64))| {
                    let scaled = forward(*scale, value);
                    scaled.is_finite().then_some(((scaled - mean) / sd) as f32)
                };
                standardized.map(cell).collect()
            }
            _ => vec![None; width],
        };
        debug_assert_eq!(cells.len(), width, "targets have the task's columns");
        let target = cells.iter().map(|cell| cell.unwrap_or(0.0)).collect();
        let mask = cells
            .iter()
            .map(|cell| f32::from(u8::from(cell.is_some())))
            .collect();
        (target, mask)
    }

    /// A row's network output (logits; points in [-1, 1] already mapped back to pixels by the caller) as a prediction.
    pub fn decode(&self, output: &[f32]) -> Prediction {
        match self {
            Self::Points { .. } => Prediction::Points {
                xy: output.chunks_exact(2).map(|xy| [xy[0], xy[1]]).collect(),
            },
            Self::Class { .. } => Prediction::Class {
                probabilities: softmax(output),
            },
            Self::Classes { .. } => {
                let sigmoid = |&logit: &f32| (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32;
                Prediction::Classes {
                    probabilities: output.iter().map(sigmoid).collect(),
                }
            }
            Self::Value {
                scale, mean, sd, ..
            } => {
                let own_unit = |(&z, (mean, sd)): (&f32, (&f64, &f64))| {
                    backward(*scale, f64::from(z) * sd + mean)
                };
                Prediction::Value {
                    values: output
                        .iter()
                        .zip(mean.iter().zip(sd))
                        .map(own_unit)
                        .collect(),
                }
            }
        }
    }

    /// A prediction of a model whose task was fitted on other rows, as one of this task: classes (or
    /// labels) by name, with probability 0 for one that model never learned. Class probabilities
    /// are made to sum to 1 over those that this task has.
    ///
    /// A comparison fits one task on all rows to score what the models of all folds predict.
    #[must_use]
    pub fn adopt(&self, prediction: &Prediction, from: &Self) -> Prediction {
        let place = |name: &String| from.names().iter().position(|other| other == name);
        let by_name = |probabilities: &[f32]| -> Vec<f32> {
            self.names()
                .iter()
                .map(|name| place(name).map_or(0.0, |i| probabilities[i]))
                .collect()
        };
        match prediction {
            Prediction::Class { probabilities } if self.names() != from.names() => {
                let adopted = by_name(probabilities);
                let total: f32 = adopted.iter().sum();
                let even = 1.0 / adopted.len().max(1) as f32;
                let share = |p: f32| if total > 0.0 { p / total } else { even };
                Prediction::Class {
                    probabilities: adopted.into_iter().map(share).collect(),
                }
            }
            Prediction::Classes { probabilities } if self.names() != from.names() => {
                Prediction::Classes {
                    probabilities: by_name(probabilities),
                }
            }
            same => same.clone(),
        }
    }

    /// Classes (or labels) in these targets that training did not have, and in how many of these rows.
    pub fn unseen(&self, targets: &Targets, rows: &[usize]) -> BTreeMap<String, usize> {
        let mut unseen = BTreeMap::new();
        let mut count = |name: &String| *unseen.entry(name.clone()).or_default() += 1;
        match (self, targets) {
            (
                Self::Class { names, .. },
                Targets::Class {
                    names: theirs,
                    index,
                },
            ) => {
                let own = codes_of(names, theirs.iter().map(String::as_str));
                let classes = rows
                    .iter()
                    .filter_map(|&row| index[row])
                    .map(|class| class as usize);
                classes
                    .filter(|&class| own[class].is_none())
                    .for_each(|class| count(&theirs[class]));
            }
            (
                Self::Classes { names, .. },
                Targets::Classes {
                    names: theirs,
                    present,
                },
            ) => {
                let own = codes_of(names, theirs.iter().map(String::as_str));
                for &row in rows {
                    let cells = &present[row * theirs.len()..(row + 1) * theirs.len()];
                    let new =
                        (0..theirs.len()).filter(|&i| cells[i] == Some(true) && own[i].is_none());
                    new.for_each(|i| count(&theirs[i]));
                }
            }
            _ => {}
        }
        unseen
    }
}

/// Probabilities from logits; computed in f64 from the largest down, so nothing overflows.
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits
        .iter()
        .map(|&logit| f64::from(logit - largest).exp())
        .collect();
    let total: f64 = powers.iter().sum();
    powers
        .into_iter()
        .map(|power| (power / total) as f32)
        .collect()
}

fn fit_points(config: &TargetConfig, n_points: usize) -> Result<Task> {
    let normalizer = config.normalizer.unwrap_or(Normalizer::Diagonal);
    let check = |field: &str, pair: [usize; 2]| {
        let wrong = |found: String, expected: String| {
            Err(Error::Setting {
                field: field.into(),
                expected,
                found,
            })
        };
        match pair.iter().find(|point| **point >= n_points) {
            Some(point) => wrong(
                point.to_string(),
                format!("point numbers from 0 to {}", n_points - 1),
            ),
            None if pair[0] == pair[1] => wrong(format!("{pair:?}"), "two different points".into()),
            None => Ok(()),
        }
    };
    for pair in &config.symmetric {
        check("target.symmetric", *pair)?;
    }
    if let Normalizer::Between(pair) = normalizer {
        check("target.normalizer", pair)?;
    }
    Ok(Task::Points {
        columns: config.names(),
        symmetric: config.symmetric.clone(),
        normalizer,
    })
}

fn fit_classes(
    config: &TargetConfig,
    names: &[String],
    present: &[Option<bool>],
    rows: &[usize],
) -> Result<Task> {
    let cells = |label: usize| {
        rows.iter()
            .map(move |&row| present[row * names.len() + label])
    };
    let mut found: Vec<(String, usize, usize)> = names
        .iter()
        .enumerate()
        .map(|(label, name)| {
            let with = cells(label).filter(|cell| *cell == Some(true)).count();
            (name.clone(), with, cells(label).flatten().count())
        })
        .filter(|(_, with, _)| *with > 0)
        .collect();
    // Columns keep the person's order; labels found in cells are sorted.
    if config.columns.is_empty() {
        found.sort_by(|a, b| natural_order(&a.0, &b.0));
    }
    if found.is_empty() {
        let column = config.names().join(", ");
        return Err(Error::TooFewClasses {
            column,
            n_rows: rows.len(),
            names: vec![],
        });
    }
    Ok(Task::Classes {
        names: found.iter().map(|label| label.0.clone()).collect(),
        counts: found.iter().map(|label| label.1).collect(),
        known: found.iter().map(|label| label.2).collect(),
    })
}

fn fit_values(
    dataset: &Dataset,
    scale: TargetScale,
    names: &[String],
    values: &[f64],
    rows: &[usize],
) -> Result<Task> {
    let (mut mean, mut sd, mut range) = (Vec::new(), Vec::new(), Vec::new());
    for (column_idx, name) in names.iter().enumerate() {
        let mut known = Vec::new();
        for &row in rows {
            let value = values[row * names.len() + column_idx];
            if scale == TargetScale::Log && value <= 0.0 {
                let at = Place::file(&dataset.path)
                    .with_row(dataset.rows[row] + 1)
                    .with_column(name);
                return Err(Error::LogOfTarget { at, found: value });
            }
            known.extend(Some(value).filter(|value| value.is_finite()));
        }
        if known.is_empty() {
            return Err(Error::NoTargetValues {
                column: name.clone(),
                n_rows: rows.len(),
            });
        }
        let bounds = known
            .iter()
            .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], &x| {
                [low.min(x), high.max(x)]
            });
        let scaled: Vec<f64> = known.iter().map(|&value| forward(scale, value)).collect();
        let (column_mean, column_sd) = crate::encode::number::mean_and_sd(&scaled);
        mean.push(column_mean);
        sd.push(if column_sd > 0.0 { column_sd } else { 1.0 });
        range.push(bounds);
    }
    Ok(Task::Value {
        columns: names.to_vec(),
        scale,
        mean,
        sd,
        range,
    })
}

fn is_known(points: &[[f32; 2]]) -> bool {
    points.iter().any(|[x, y]| x.is_finite() && y.is_finite())
}

/// The place of class `idx` of `theirs` among `names`. Mostly both are the same list.
fn position(names: &[String], theirs: &[String], idx: usize) -> Option<usize> {
    let name = theirs.get(idx)?;
    if names.get(idx) == Some(name) {
        return Some(idx);
    }
    names
        .iter()
        .position(|own| own == name)
        .or_else(|| codes_of(names, [name.as_str()].into_iter())[0])
}

/// Whether a row has a label. A label that their table never mentions is absent from every row
/// of which anything is known (a cell that lists labels lists all of them).
fn label_cell(i: usize, name: &String, theirs: &[String], cells: &[Option<bool>]) -> Option<bool> {
    let place = if theirs.get(i) == Some(name) {
        Some(i)
    } else {
        theirs.iter().position(|other| other == name)
    };
    match place {
        Some(place) => cells[place],
        None => cells.iter().any(Option::is_some).then_some(false),
    }
}

fn forward(scale: TargetScale, value: f64) -> f64 {
    match scale {
        TargetScale::Linear => value,
        // Of a value at or below 0 outside training there is no logarithm: NaN, and masked.
        TargetScale::Log if value > 0.0 => value.ln(),
        TargetScale::Log => f64::NAN,
    }
}

fn backward(scale: TargetScale, scaled: f64) -> f64 {
    match scale {
        TargetScale::Linear => scaled,
        TargetScale::Log => scaled.exp().min(f64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{ImageSource, Metadata};

    fn dataset(targets: Targets, n: usize) -> Dataset {
        Dataset {
            path: "table.csv".into(),
            rows: (10..10 + n).collect(),
            images: vec![ImageSource::Path("x.jpg".into()); n],
            metadata: Metadata {
                columns: vec![],
                n_rows: n,
            },
            targets: Some(targets),
            groups: None,
            parts: None,
            remarks: vec![],
        }
    }

    fn config(kind: TargetKind, columns: &[&str]) -> TargetConfig {
        TargetConfig {
            kind,
            column: None,
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            scale: TargetScale::Linear,
            symmetric: vec![],
            normalizer: None,
        }
    }

    fn class(names: &[&str], index: &[Option<u32>]) -> Targets {
        Targets::Class {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            index: index.to_vec(),
        }
    }

    #[test]
    fn class_names_are_sorted_as_a_person_would_and_those_without_training_rows_left_out() {
        let targets = class(
            &["10", "2", "x"],
            &[Some(0), Some(1), Some(0), Some(2), None],
        );
        let data = dataset(targets, 5);
        let task = Task::fit(
            &data,
            &config(TargetKind::Class, &["species"]),
            &[0, 1, 2, 4],
        )
        .expect("fits");
        assert_eq!(
            task,
            Task::Class {
                column: "species".into(),
                names: vec!["2".into(), "10".into()],
                counts: vec![1, 2]
            }
        );
        let targets = data.targets.as_ref().expect("has targets");
        assert_eq!(task.encode(targets, 0), (vec![1.0], vec![1.0]));
        assert_eq!(task.encode(targets, 3), (vec![0.0], vec![0.0]));
        assert_eq!(task.encode(targets, 4), (vec![0.0], vec![0.0]));
        assert_eq!(
            task.unseen(targets, &[0, 3, 4]),
            BTreeMap::from([("x".to_owned(), 1)])
        );
    }

    #[test]
    fn a_class_is_recognised_in_a_table_that_spells_it_as_a_float() {
        let data = dataset(class(&["1", "2"], &[Some(0), Some(1)]), 2);
        let task = Task::fit(&data, &config(TargetKind::Class, &["k"]), &[0, 1]).expect("fits");
        assert_eq!(
            task.encode(&class(&["2.0"], &[Some(0)]), 0),
            (vec![1.0], vec![1.0])
        );
    }

    #[test]
    fn a_class_prediction_is_a_softmax() {
        let data = dataset(class(&["a", "b"], &[Some(0), Some(1)]), 2);
        let task = Task::fit(&data, &config(TargetKind::Class, &["k"]), &[0, 1]).expect("fits");
        assert_eq!((task.n_outputs(), task.d_target()), (2, 1));
        assert_eq!(
            task.decode(&[0.0, 0.0]),
            Prediction::Class {
                probabilities: vec![0.5, 0.5]
            }
        );
        let Prediction::Class { probabilities } = task.decode(&[1e30, -1e30]) else {
            panic!("a class")
        };
        assert_eq!(probabilities, [1.0, 0.0]);
    }

    #[test]
    fn a_prediction_of_a_fold_that_lacked_a_class_is_adopted_by_name() {
        let task = |names: &[&str]| Task::Class {
            column: "k".into(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            counts: vec![1; names.len()],
        };
        let (all, fold) = (task(&["a", "b", "c"]), task(&["c", "a"]));
        let prediction = Prediction::Class {
            probabilities: vec![0.25, 0.75],
        };
        assert_eq!(
            all.adopt(&prediction, &fold),
            Prediction::Class {
                probabilities: vec![0.75, 0.0, 0.25]
            }
        );
        assert_eq!(fold.adopt(&prediction, &fold), prediction);
    }

    #[test]
    fn one_class_is_not_enough() {
        let data = dataset(class(&["a", "b"], &[Some(0), Some(0), Some(1)]), 3);
        let error =
            Task::fit(&data, &config(TargetKind::Class, &["k"]), &[0, 1]).expect_err("one class");
        assert_eq!(
            error.to_string(),
            "target `k`: expected two classes or more in 2 training rows, found a"
        );
    }

    #[test]
    fn values_are_standardised_on_their_scale_and_come_back_in_their_unit() {
        let values = vec![1.0, 10.0, 100.0, f64::NAN];
        let data = dataset(
            Targets::Value {
                names: vec!["price".into()],
                values,
            },
            4,
        );
        let config = TargetConfig {
            scale: TargetScale::Log,
            ..config(TargetKind::Value, &["price"])
        };
        let task = Task::fit(&data, &config, &[0, 1, 2, 3]).expect("fits");
        let targets = data.targets.as_ref().expect("has targets");
        let (z, mask) = task.encode(targets, 2);
        assert!((z[0] - 1.5f32.sqrt()).abs() < 1e-6 && mask == [1.0]);
        assert_eq!(task.encode(targets, 3), (vec![0.0], vec![0.0]));
        let Prediction::Value { values } = task.decode(&z) else {
            panic!("a value")
        };
        assert!((values[0] - 100.0).abs() < 1e-4);
        assert!(matches!(task, Task::Value { range, .. } if range == [[1.0, 100.0]]));
    }

    #[test]
    fn the_logarithm_of_zero_is_refused_with_its_place() {
        let data = dataset(
            Targets::Value {
                names: vec!["price".into()],
                values: vec![1.0, 0.0],
            },
            2,
        );
        let config = TargetConfig {
            scale: TargetScale::Log,
            ..config(TargetKind::Value, &["price"])
        };
        let error = Task::fit(&data, &config, &[0, 1]).expect_err("0 has no logarithm");
        assert_eq!(
            error.to_string(),
            "table.csv, row 12, column `price`: expected a number above 0 for the log scale, found `0`"
        );
        assert!(Task::fit(&data, &config, &[0]).is_ok());
    }

    #[test]
    fn a_constant_value_is_learned_as_zero() {
        let data = dataset(
            Targets::Value {
                names: vec!["y".into()],
                values: vec![7.3; 3],
            },
            3,
        );
        let task = Task::fit(&data, &config(TargetKind::Value, &["y"]), &[0, 1, 2]).expect("fits");
        assert_eq!(
            task.encode(data.targets.as_ref().expect("has targets"), 0)
                .0,
            [0.0]
        );
        assert_eq!(task.decode(&[0.0]), Prediction::Value { values: vec![7.3] });
    }

    #[test]
    fn a_half_known_point_is_missing() {
        let xy = vec![[1.0, 2.0], [f32::NAN, 5.0]];
        let data = dataset(Targets::Points { n_points: 2, xy }, 1);
        let task = Task::fit(
            &data,
            &config(TargetKind::Points, &["x0", "y0", "x1", "y1"]),
            &[0],
        )
        .expect("fits");
        let (target, mask) = task.encode(data.targets.as_ref().expect("has targets"), 0);
        assert_eq!(
            (target, mask),
            (vec![1.0, 2.0, 0.0, 0.0], vec![1.0, 1.0, 0.0, 0.0])
        );
        assert_eq!((task.n_outputs(), task.d_target()), (4, 4));
        assert_eq!(
            task.decode(&[1.0, 2.0, 3.0, 4.0]),
            Prediction::Points {
                xy: vec![[1.0, 2.0], [3.0, 4.0]]
            }
        );
    }

    #[test]
    fn a_pair_of_points_that_are_not_there_is_refused() {
        let data = dataset(
            Targets::Points {
                n_points: 1,
                xy: vec![[1.0, 2.0]],
            },
            1,
        );
        let config = TargetConfig {
            symmetric: vec![[0, 1]],
            ..config(TargetKind::Points, &["x0", "y0"])
        };
        let error = Task::fit(&data, &config, &[0]).expect_err("there is no point 1");
        assert_eq!(
            error.to_string(),
            "`target.symmetric`: expected point numbers from 0 to 0, found `1`"
        );
    }

    #[test]
    fn labels_are_matched_by_name_and_unknown_ones_masked() {
        let names = vec!["b".to_owned(), "a".to_owned(), "never".to_owned()];
        let present = vec![
            Some(true),
            Some(false),
            Some(false),
            Some(true),
            Some(true),
            None,
        ];
        let data = dataset(Targets::Classes { names, present }, 2);
        let listed = TargetConfig {
            column: Some("labels".into()),
            ..config(TargetKind::Classes, &[])
        };
        let task = Task::fit(&data, &listed, &[0, 1]).expect("fits");
        assert_eq!(
            task,
            Task::Classes {
                names: vec!["a".into(), "b".into()],
                counts: vec![1, 2],
                known: vec![2, 2]
            }
        );
        let theirs = Targets::Classes {
            names: vec!["b".into(), "z".into()],
            present: vec![Some(true), Some(true), None, None],
        };
        assert_eq!(task.encode(&theirs, 0), (vec![0.0, 1.0], vec![1.0, 1.0]));
        assert_eq!(task.encode(&theirs, 1), (vec![0.0, 0.0], vec![0.0, 0.0]));
        assert_eq!(
            task.unseen(&theirs, &[0, 1]),
            BTreeMap::from([("z".to_owned(), 1)])
        );
        assert_eq!(
            task.decode(&[0.0, 0.0]),
            Prediction::Classes {
                probabilities: vec![0.5, 0.5]
            }
        );
    }

    #[test]
    fn targets_of_another_kind_or_none_are_refused() {
        let mut data = dataset(class(&["a"], &[Some(0)]), 1);
        let error =
            Task::fit(&data, &config(TargetKind::Value, &["y"]), &[0]).expect_err("another kind");
        assert_eq!(
            error.to_string(),
            "expected targets of kind Value, found Class"
        );
        data.targets = None;
        let error =
            Task::fit(&data, &config(TargetKind::Value, &["y"]), &[0]).expect_err("no targets");
        assert_eq!(
            error.to_string(),
            "expected targets of kind Value, found none"
        );
    }

    #[test]
    fn a_task_is_the_same_after_json() {
        let data = dataset(
            Targets::Value {
                names: vec!["y".into()],
                values: vec![0.1, 0.2, 0.7],
            },
            3,
        );
        let task = Task::fit(&data, &config(TargetKind::Value, &["y"]), &[0, 1, 2]).expect("fits");
        let json = serde_json::to_string(&task).expect("is JSON");
        assert_eq!(
            serde_json::from_str::<Task>(&json).expect("is a task"),
            task
        );
    }
}
