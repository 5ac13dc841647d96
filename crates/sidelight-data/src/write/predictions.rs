//! Predictions as a table: which columns there are for which task.
//!
//! | task | target columns | prediction columns |
//! |---|---|---|
//! | `keypoints` | `true_x0`, `true_y0`, … | `x0`, `y0`, … |
//! | `class` | `true_<column>` | `prediction`, `probability`, `p(<class>)` … |
//! | `multilabel` | `true_<label>` … (1, 0) | `p(<label>)` … |
//! | `regression` | `true_<column>` … | `<column>` … |
//!
//! With [`Extra::Confidence`] each point is followed, after all of them, by `p0_conf`, the probability that it is in the
//! image and can be seen, and `p0_error`, how far off it is expected to be, in pixels; where points have names, `<name>_conf`
//! and `<name>_error`.
//!
//! With [`Extra::Spread`] how far the members of an ensemble are apart follows: the standard deviation of what they say.
//!
//! | task | columns |
//! |---|---|
//! | `keypoints` | `p0_spread`, … (or `<name>_spread`): of the distance from the mean place, pixels |
//! | `class` | `spread`: of the probability of the predicted class |
//! | `multilabel` | `spread(<label>)` …: of the probability |
//! | `regression` | `<column>_spread` …: in the column's unit |
//!
//! With [`Extra::Set`] what holds the truth as often as was asked follows the predictions:
//!
//! | task | columns |
//! |---|---|
//! | `keypoints` | `radius_0`, … : of a disc about each point, pixels |
//! | `class` | `set`: classes as a cell of labels is read (`elm|oak`); `set_size` |
//! | `multilabel` | `set(<label>)` …: `yes`, `no` or `unsure` |
//! | `regression` | `<column>_low`, `<column>_high` … |
//!
//! `row` (the first data row of the table is 1) and `image` come first; a row whose image could
//! not be read keeps its place with its predictions missing.

use std::path::Path;

use super::spreadsheet::CsvText;
use super::table::{ColumnKind, TableWriter, Value};
use crate::dataset::{Dataset, ImageSource, Targets};
use crate::error::Result;
use crate::image::Affine;
use crate::kind::TargetKind;
use crate::schema::labels;
use crate::task::{Prediction, PredictionSet, Task, argmax};

/// A column beside `row`, `image` and the predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// The column `group`: the row's group.
    Group,
    /// The target's columns, each with `true_` before its name.
    Target,
    /// How sure each point is.
    Confidence,
    /// So many candidates for where the object lies, the most probable first.
    Candidates(usize),
    /// How far the members of an ensemble are apart.
    Spread,
    /// What holds the truth as often as was asked.
    Set,
    /// The column `loss`: the loss of the row.
    Loss,
    /// `problem`: why there is no prediction.
    Problem,
}

/// A row of the table of predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictionRow<'a> {
    /// Data row of the table, the first being 1.
    pub row: usize,
    /// The image as the table names it.
    pub image: String,
    /// The group of the row, if there is a group column.
    pub group: Option<String>,
    /// What is true.
    pub target: Option<TargetCell<'a>>,
    /// What the model says; `None`: its image could not be read.
    pub prediction: Option<&'a Prediction>,
    /// How far the members of an ensemble are apart, a number for each column of it; empty of a model that is none.
    pub spread: &'a [f64],
    /// What holds the truth as often as was asked, where that was.
    pub set: Option<&'a PredictionSet>,
    /// Its loss, where the target is known.
    pub loss: Option<f32>,
    /// Why there is no prediction.
    pub problem: Option<String>,
    /// From the pixels in which points are given here to those in which they are written; `None`: the same.
    pub to_table: Option<Affine>,
}

/// The target of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TargetCell<'a> {
    /// Targets of all rows of the data set.
    pub targets: &'a Targets,
    /// Which of them.
    pub position: usize,
}

impl<'a> TargetCell<'a> {
    /// The target of a row of a data set, unless its targets are not known.
    pub fn of_row(dataset: &'a Dataset, position: usize) -> Option<Self> {
        let targets = dataset.targets.as_ref()?;
        Some(Self { targets, position })
    }
}

/// Rows of a data set with their predictions (and losses), one a position, ready to be written.
pub fn prediction_rows<'a>(
    dataset: &'a Dataset,
    positions: &'a [usize],
    predictions: &'a [Option<Prediction>],
    losses: Option<&'a [f32]>,
) -> impl Iterator<Item = PredictionRow<'a>> + 'a {
    positions
        .iter()
        .zip(predictions)
        .enumerate()
        .map(move |(at, (&position, prediction))| PredictionRow {
            row: dataset.rows[position] + 1,
            image: name_of(&dataset.images[position]),
            group: dataset
                .groups
                .as_ref()
                .map(|groups| groups[position].to_string()),
            target: TargetCell::of_row(dataset, position),
            prediction: prediction.as_ref(),
            spread: &[],
            set: None,
            loss: losses.map(|losses| losses[at]),
            problem: None,
            to_table: dataset.to_table.as_ref().map(|maps| maps[position]),
        })
}

fn name_of(image: &ImageSource) -> String {
    match image {
        ImageSource::Path(path) => path.to_string_lossy().into_owned(),
        ImageSource::Bytes { name, .. } => name.clone(),
        ImageSource::Member(member) => member.name.clone(),
        // As a list in one cell is read.
        ImageSource::Several(_) => image.present().map(name_of).collect::<Vec<_>>().join(";"),
        ImageSource::Object(_) => image.name(),
        ImageSource::Crop(_) => name_of(image.whole()),
    }
}

/// Writes predictions as CSV, JSON Lines or Parquet, by the path's ending.
/// Dropped before [`finish`](Self::finish), it leaves nothing.
///
/// # Example
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("predictions.csv");
/// use sidelight_data::write::{PredictionRow, PredictionsWriter};
/// use sidelight_data::task::{Prediction, Task};
///
/// let task = Task::Class {
///     column: "species".into(),
///     names: vec!["oak".into(), "elm".into()],
///     counts: vec![5, 7],
/// };
/// let mut writer = PredictionsWriter::create(&path, &task, &[])?;
/// writer.write(&[PredictionRow {
///     row: 1,
///     image: "a.jpg".into(),
///     group: None,
///     target: None,
///     prediction: Some(&Prediction::Class { probabilities: vec![0.25, 0.75] }),
///     spread: &[],
///     set: None,
///     loss: None,
///     problem: None,
///     to_table: None,
/// }])?;
/// writer.finish()?;
/// assert_eq!(
///     std::fs::read_to_string(&path)?,
///     "row,image,prediction,probability,p(oak),p(elm)\n1,a.jpg,elm,0.75,0.25,0.75\n"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PredictionsWriter {
    table: TableWriter,
    task: Task,
    extras: Vec<Extra>,
}

impl PredictionsWriter {
    /// Begins the table.
    ///
    /// # Errors
    ///
    /// [`Error::OutputFormat`](crate::Error::OutputFormat), [`Error::Write`](crate::Error::Write).
    pub fn create(path: &Path, task: &Task, extras: &[Extra]) -> Result<Self> {
        Self::with_labels(path, task, extras, &[], CsvText::Exact)
    }

    /// As [`PredictionsWriter::create`], with columns of the caller's before all others (which arm, which fold, what a table
    /// had), see [`PredictionsWriter::write_labelled`], and a say in how text is written as CSV.
    ///
    /// # Errors
    ///
    /// As [`PredictionsWriter::create`].
    pub fn with_labels(
        path: &Path,
        task: &Task,
        extras: &[Extra],
        labels: &[(&str, ColumnKind)],
        text: CsvText,
    ) -> Result<Self> {
        let table = TableWriter::create_as(path, &Self::columns(task, extras, labels), text)?;
        Ok(Self::of(table, task, extras))
    }

    fn of(table: TableWriter, task: &Task, extras: &[Extra]) -> Self {
        Self {
            table,
            task: task.clone(),
            extras: extras.to_vec(),
        }
    }

    /// The names of the columns.
    pub fn names(&self) -> &[String] {
        self.table.names()
    }

    /// The columns that a table for this task with these extras and labels has.
    pub fn columns(
        task: &Task,
        extras: &[Extra],
        labels: &[(&str, ColumnKind)],
    ) -> Vec<(String, ColumnKind)> {
        let own = labels
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), *kind));
        let mut columns: Vec<_> = own.chain(columns(task, extras)).collect();
        made_different(&mut columns);
        columns
    }

    /// Appends rows.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write).
    ///
    /// # Panics
    ///
    /// Where a prediction is of another task.
    pub fn write(&mut self, rows: &[PredictionRow<'_>]) -> Result<()> {
        rows.iter()
            .try_for_each(|row| self.table.write(&cells(&self.task, &self.extras, row)))
    }

    /// Appends rows of which all have these labels.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write).
    ///
    /// # Panics
    ///
    /// As [`PredictionsWriter::write`]; where the labels are not those that the table began with.
    pub fn write_labelled(
        &mut self,
        labels: &[Value<'_>],
        rows: &[PredictionRow<'_>],
    ) -> Result<()> {
        rows.iter().try_for_each(|row| {
            let mut labelled = labels.to_vec();
            labelled.extend(cells(&self.task, &self.extras, row));
            self.table.write(&labelled)
        })
    }

    /// Puts the table in its place.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write).
    pub fn finish(self) -> Result<()> {
        self.table.finish()
    }
}

fn columns(task: &Task, extras: &[Extra]) -> Vec<(String, ColumnKind)> {
    let mut columns = vec![
        ("row".to_owned(), ColumnKind::Integer),
        ("image".to_owned(), ColumnKind::Text),
    ];
    if extras.contains(&Extra::Group) {
        columns.push(("group".to_owned(), ColumnKind::Text));
    }
    if extras.contains(&Extra::Target) {
        let kind = target_kind(task);
        columns.extend(
            task.target_names()
                .iter()
                .map(|name| (format!("true_{name}"), kind)),
        );
    }
    columns.extend(prediction_columns(task));
    if extras.contains(&Extra::Confidence) {
        columns.extend(confidence_columns(task));
    }
    columns.extend(candidate_columns(task, n_candidates(extras)));
    if extras.contains(&Extra::Spread) {
        columns.extend(spread_columns(task));
    }
    if extras.contains(&Extra::Set) {
        columns.extend(set_columns(task));
    }
    if extras.contains(&Extra::Loss) {
        columns.push(("loss".to_owned(), ColumnKind::Single));
    }
    if extras.contains(&Extra::Problem) {
        columns.push(("problem".to_owned(), ColumnKind::Text));
    }
    columns
}

/// A target called `row` or `loss` must not hide ours, nor the other way round.
pub(crate) fn made_different(columns: &mut [(String, ColumnKind)]) {
    for at in 1..columns.len() {
        let mut n = 2;
        let wanted = columns[at].0.clone();
        while columns[..at].iter().any(|(name, _)| *name == columns[at].0) {
            columns[at].0 = format!("{wanted}_{n}");
            n += 1;
        }
    }
}

fn target_kind(task: &Task) -> ColumnKind {
    match task {
        Task::Keypoints { .. } => ColumnKind::Single,
        Task::Class { .. } => ColumnKind::Text,
        Task::Multilabel { .. } => ColumnKind::Integer,
        Task::Regression { .. } => ColumnKind::Number,
    }
}

pub(super) fn prediction_columns(task: &Task) -> Vec<(String, ColumnKind)> {
    let probability = |name: &String| (format!("p({name})"), ColumnKind::Single);
    match task {
        Task::Keypoints { columns, .. } | Task::Regression { columns, .. } => columns
            .iter()
            .map(|name| (name.clone(), target_kind(task)))
            .collect(),
        Task::Class { names, .. } => [
            ("prediction".to_owned(), ColumnKind::Text),
            ("probability".to_owned(), ColumnKind::Single),
        ]
        .into_iter()
        .chain(names.iter().map(probability))
        .collect(),
        Task::Multilabel { names, .. } => names.iter().map(probability).collect(),
    }
}

fn confidence_columns(task: &Task) -> Vec<(String, ColumnKind)> {
    let columns = point_names(task)
        .into_iter()
        .flat_map(|name| ["conf", "error"].map(|what| format!("{name}_{what}")));
    columns.map(|name| (name, ColumnKind::Single)).collect()
}

/// What columns call the points of a task; none of another task.
fn point_names(task: &Task) -> Vec<String> {
    let Task::Keypoints { names, columns, .. } = task else {
        return Vec::new();
    };
    let name = |point: usize| names.get(point).cloned().unwrap_or(format!("p{point}"));
    (0..columns.len() / 2).map(name).collect()
}

fn spread_columns(task: &Task) -> Vec<(String, ColumnKind)> {
    let names: Vec<String> = match task {
        Task::Keypoints { .. } => point_names(task)
            .into_iter()
            .map(|name| format!("{name}_spread"))
            .collect(),
        Task::Class { .. } => vec!["spread".to_owned()],
        Task::Multilabel { names, .. } => {
            names.iter().map(|name| format!("spread({name})")).collect()
        }
        Task::Regression { columns, .. } => columns
            .iter()
            .map(|name| format!("{name}_spread"))
            .collect(),
    };
    let of = |name| (name, ColumnKind::Number);
    names.into_iter().map(of).collect()
}

/// How many candidates are written.
fn n_candidates(extras: &[Extra]) -> usize {
    let of = |extra: &Extra| match extra {
        Extra::Candidates(n) => Some(*n),
        _ => None,
    };
    extras.iter().find_map(of).unwrap_or(0)
}

/// The probability of each candidate, and the places of all but the first, which is what is predicted.
fn candidate_columns(task: &Task, n: usize) -> Vec<(String, ColumnKind)> {
    let Task::Keypoints { columns, .. } = task else {
        return Vec::new();
    };
    let names = (0..n).flat_map(|at| {
        let places = if at == 0 { &[][..] } else { columns };
        let probability = std::iter::once("probability");
        let names = probability.chain(places.iter().map(String::as_str));
        names.map(move |name| format!("candidate{}_{name}", at + 1))
    });
    names.map(|name| (name, ColumnKind::Single)).collect()
}

/// The cells of [`candidate_columns`].
fn candidate_cells(row: &PredictionRow<'_>) -> impl Iterator<Item = f32> {
    let candidates = row.prediction.map_or(&[][..], Prediction::candidates);
    candidates.iter().enumerate().flat_map(|(at, candidate)| {
        let places = if at == 0 { &[][..] } else { &candidate.xy };
        let places = places.iter().flat_map(|&xy| written(xy, row.to_table));
        std::iter::once(candidate.probability).chain(places)
    })
}

fn set_columns(task: &Task) -> Vec<(String, ColumnKind)> {
    let names = task.names().iter();
    match task {
        Task::Keypoints { .. } => (0..task.n_outputs() / 2)
            .map(|point| (format!("radius_{point}"), ColumnKind::Single))
            .collect(),
        Task::Class { .. } => vec![
            ("set".to_owned(), ColumnKind::Text),
            ("set_size".to_owned(), ColumnKind::Integer),
        ],
        Task::Multilabel { .. } => names
            .map(|name| (format!("set({name})"), ColumnKind::Text))
            .collect(),
        Task::Regression { .. } => names
            .flat_map(|name| ["low", "high"].map(|end| format!("{name}_{end}")))
            .map(|name| (name, ColumnKind::Number))
            .collect(),
    }
}

fn cells<'a>(task: &'a Task, extras: &[Extra], row: &'a PredictionRow<'_>) -> Vec<Value<'a>> {
    let text = |text: &'a Option<String>| {
        text.as_ref()
            .map_or(Value::Missing, |text| Value::Text(text.as_str().into()))
    };
    let mut cells = vec![
        Value::count(row.row),
        Value::Text(row.image.as_str().into()),
    ];
    if extras.contains(&Extra::Group) {
        cells.push(text(&row.group));
    }
    if extras.contains(&Extra::Target) {
        cells.extend(target_cells(task, row.target, row.to_table));
    }
    match row.prediction {
        Some(prediction) => prediction_cells(task, prediction, row.to_table, &mut cells),
        None => cells.extend(prediction_columns(task).iter().map(|_| Value::Missing)),
    }
    if extras.contains(&Extra::Confidence) {
        let confidence = row.prediction.map_or(&[][..], Prediction::confidence);
        let known = confidence.iter().flat_map(|of| [of.visible, of.error]);
        let known = known
            .map(Value::Single)
            .chain(std::iter::repeat(Value::Missing));
        cells.extend(known.take(task.n_outputs()));
    }
    let known = candidate_cells(row).map(Value::Single);
    let known = known.chain(std::iter::repeat(Value::Missing));
    let n = n_candidates(extras);
    cells.extend(known.take(n + n.saturating_sub(1) * task.n_outputs()));
    if extras.contains(&Extra::Spread) {
        let known = row.spread.iter().filter(|_| row.prediction.is_some());
        let known = known.map(|&spread| Value::Number(spread));
        let known = known.chain(std::iter::repeat(Value::Missing));
        cells.extend(known.take(spread_columns(task).len()));
    }
    if extras.contains(&Extra::Set) {
        match row.set.filter(|_| row.prediction.is_some()) {
            Some(set) => set_cells(task, set, &mut cells),
            None => cells.extend(set_columns(task).iter().map(|_| Value::Missing)),
        }
    }
    if extras.contains(&Extra::Loss) {
        cells.push(row.loss.map_or(Value::Missing, Value::Single));
    }
    if extras.contains(&Extra::Problem) {
        cells.push(text(&row.problem));
    }
    cells
}

/// A point as it is written.
fn written(point: [f32; 2], to_table: Option<Affine>) -> [f32; 2] {
    to_table.map_or(point, |map| map.apply(point))
}

pub(super) fn prediction_cells<'a>(
    task: &'a Task,
    prediction: &Prediction,
    to_table: Option<Affine>,
    cells: &mut Vec<Value<'a>>,
) {
    assert_eq!(
        prediction.kind(),
        task.kind(),
        "a prediction of another task"
    );
    match prediction {
        Prediction::Keypoints { xy, .. } => {
            let points = xy.iter().flat_map(|&point| written(point, to_table));
            cells.extend(points.map(|at| match at.is_nan() {
                true => Value::Missing,
                false => Value::Single(at),
            }));
        }
        Prediction::Regression { values } => {
            cells.extend(values.iter().map(|&value| Value::Number(value)));
        }
        Prediction::Class { probabilities } | Prediction::Multilabel { probabilities } => {
            if task.kind() == TargetKind::Class {
                cells.extend(match argmax(probabilities) {
                    Some(best) => [
                        Value::Text(task.names()[best].as_str().into()),
                        Value::Single(probabilities[best]),
                    ],
                    None => [Value::Missing, Value::Missing],
                });
            }
            cells.extend(probabilities.iter().map(|&p| Value::Single(p)));
        }
    }
}

fn set_cells(task: &Task, set: &PredictionSet, cells: &mut Vec<Value<'_>>) {
    match set {
        PredictionSet::Keypoints { radii } => {
            cells.extend(radii.iter().map(|&radius| Value::Single(radius)));
        }
        PredictionSet::Class { contains } => {
            let in_set = task
                .names()
                .iter()
                .zip(contains)
                .filter(|(_, is_in)| **is_in);
            let names: Vec<&str> = in_set.map(|(name, _)| name.as_str()).collect();
            cells.push(Value::Text(label_cell(&names).into()));
            cells.push(Value::count(names.len()));
        }
        PredictionSet::Multilabel { states } => {
            cells.extend(states.iter().map(|state| Value::Text(state.word().into())));
        }
        PredictionSet::Regression { intervals } => {
            cells.extend(
                intervals
                    .as_flattened()
                    .iter()
                    .map(|&end| Value::Number(end)),
            );
        }
    }
}

/// Names in one cell, such that [`labels`] reads them back: `elm|oak`, or a JSON list where a name would be cut.
fn label_cell(names: &[&str]) -> String {
    let joined = names.join("|");
    match labels(&joined) == names {
        true => joined,
        false => serde_json::json!(names).to_string(),
    }
}

fn target_cells<'a>(
    task: &Task,
    target: Option<TargetCell<'a>>,
    to_table: Option<Affine>,
) -> Vec<Value<'a>> {
    let n = task.d_target();
    let Some(TargetCell { targets, position }) = target else {
        return vec![Value::Missing; n];
    };
    match targets {
        Targets::Keypoints { n_points, xy, .. } => xy[position * n_points..][..*n_points]
            .iter()
            .flat_map(|&point| written(point, to_table))
            .map(Value::Single)
            .collect(),
        Targets::Class { names, index } => vec![match index[position] {
            Some(index) => Value::Text(names[index as usize].as_str().into()),
            None => Value::Missing,
        }],
        Targets::Multilabel { names, present } => {
            let row = &present[position * names.len()..][..names.len()];
            label_cells(task, names, row)
        }
        Targets::Regression { names, values } => values[position * names.len()..][..names.len()]
            .iter()
            .map(|&value| Value::Number(value))
            .collect(),
    }
}

/// The labels of the table in the order of the task's: a table may name them in another order, or lack some.
fn label_cells(task: &Task, names: &[String], row: &[Option<bool>]) -> Vec<Value<'static>> {
    let found = |label: &String| names.iter().position(|name| name == label);
    task.target_names()
        .iter()
        .map(|label| match found(label).and_then(|at| row[at]) {
            Some(present) => Value::Integer(present.into()),
            None => Value::Missing,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Normalizer, TargetScale};
    use crate::dataset::Metadata;
    use std::path::PathBuf;

    fn points() -> Task {
        Task::Keypoints {
            columns: ["x0", "y0"].map(String::from).to_vec(),
            symmetric: Vec::new(),
            names: Vec::new(),
            skeleton: Vec::new(),
            sigmas: Vec::new(),
            normalizer: Normalizer::Diagonal,
            mean: Vec::new(),
        }
    }

    fn value(column: &str) -> Task {
        Task::Regression {
            columns: vec![column.into()],
            scale: TargetScale::Linear,
            mean: vec![0.0],
            sd: vec![1.0],
            range: vec![[0.0, 1.0]],
        }
    }

    fn csv(task: &Task, extras: &[Extra], rows: &[PredictionRow<'_>]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.csv");
        let mut writer = PredictionsWriter::create(&path, task, extras).unwrap();
        writer.write(rows).unwrap();
        writer.finish().unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn validation_rows_have_group_target_prediction_and_loss() {
        let dataset = Dataset {
            path: PathBuf::from("table.csv"),
            rows: vec![0, 4],
            images: ["a.jpg", "b.jpg"]
                .map(|name| ImageSource::Path(name.into()))
                .to_vec(),
            metadata: Metadata::default(),
            targets: Some(Targets::keypoints(
                1,
                vec![[1.0, 2.5], [f32::NAN, f32::NAN]],
            )),
            groups: Some(vec![7, 8]),
            splits: None,
            folds: None,
            times: None,
            weights: None,
            to_table: None,
            remarks: Vec::new(),
        };
        let predictions = [Some(Prediction::keypoints(vec![[1.5, 2.0]])), None];
        let rows: Vec<_> =
            prediction_rows(&dataset, &[1, 0], &predictions, Some(&[0.5, f32::NAN])).collect();
        let extras = [Extra::Group, Extra::Target, Extra::Loss];
        insta::assert_snapshot!(csv(&points(), &extras, &rows), @r"
        row,image,group,true_x0,true_y0,x0,y0,loss
        5,b.jpg,8,,,1.5,2,0.5
        1,a.jpg,7,1,2.5,,,
        ");
    }

    #[test]
    fn a_row_without_prediction_says_why() {
        let row = PredictionRow {
            row: 3,
            image: "broken.jpg".into(),
            group: None,
            target: None,
            prediction: None,
            spread: &[],
            set: None,
            loss: None,
            problem: Some("cannot decode broken.jpg".into()),
            to_table: None,
        };
        insta::assert_snapshot!(csv(&value("price"), &[Extra::Problem], &[row]), @r"
        row,image,price,problem
        3,broken.jpg,,cannot decode broken.jpg
        ");
    }

    #[test]
    fn a_set_of_classes_is_a_cell_of_labels_and_a_row_without_prediction_has_none() {
        let task = Task::Class {
            column: "kind".into(),
            names: ["a", "b;c"].map(String::from).to_vec(),
            counts: vec![1, 1],
        };
        let prediction = Prediction::Class {
            probabilities: vec![0.75, 0.25],
        };
        let sets = [[true, false], [true, true], [false, false]].map(|contains| {
            let contains = contains.to_vec();
            PredictionSet::Class { contains }
        });
        let row = |set, prediction| PredictionRow {
            row: 1,
            image: "a.jpg".into(),
            group: None,
            target: None,
            prediction,
            spread: &[],
            set: Some(set),
            loss: None,
            problem: None,
            to_table: None,
        };
        let rows = [
            row(&sets[0], Some(&prediction)),
            row(&sets[1], Some(&prediction)),
            row(&sets[2], Some(&prediction)),
            row(&sets[0], None),
        ];
        insta::assert_snapshot!(csv(&task, &[Extra::Set], &rows), @r#"
        row,image,prediction,probability,p(a),p(b;c),set,set_size
        1,a.jpg,a,0.75,0.75,0.25,a,1
        1,a.jpg,a,0.75,0.75,0.25,"[""a"",""b;c""]",2
        1,a.jpg,a,0.75,0.75,0.25,,0
        1,a.jpg,,,,,,
        "#);
    }

    #[test]
    fn a_target_named_as_one_of_our_columns_hides_nothing() {
        let names = |task| -> Vec<String> {
            PredictionsWriter::columns(&task, &[Extra::Loss], &[])
                .into_iter()
                .map(|(name, _)| name)
                .collect()
        };
        assert_eq!(names(value("row")), ["row", "image", "row_2", "loss"]);
        assert_eq!(names(value("loss")), ["row", "image", "loss", "loss_2"]);
    }

    #[test]
    fn labels_are_matched_by_name() {
        let task = Task::Multilabel {
            names: ["cat", "dog", "owl"].map(String::from).to_vec(),
            counts: vec![1; 3],
            known: vec![1; 3],
        };
        let targets = Targets::Multilabel {
            names: ["dog", "cat"].map(String::from).to_vec(),
            present: vec![Some(true), None],
        };
        let cells = target_cells(
            &task,
            Some(TargetCell {
                targets: &targets,
                position: 0,
            }),
            None,
        );
        assert_eq!(cells, [Value::Missing, Value::Integer(1), Value::Missing]);
    }

    #[test]
    fn equal_probabilities_give_the_first_class() {
        let task = Task::Class {
            column: "kind".into(),
            names: ["a", "b"].map(String::from).to_vec(),
            counts: vec![1, 1],
        };
        let mut cells = Vec::new();
        prediction_cells(
            &task,
            &Prediction::Class {
                probabilities: vec![0.5, 0.5],
            },
            None,
            &mut cells,
        );
        assert_eq!(cells[0], Value::Text("a".into()));
    }
}
