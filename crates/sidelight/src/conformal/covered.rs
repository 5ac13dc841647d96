//! How often sets hold the truth, and how large they are.

use crate::dataset::Targets;
use crate::metric::Metrics;
use crate::task::{LabelState, Prediction, PredictionSet, Task};

/// What sets are worth on rows whose truth is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Covered {
    /// Of all rows, points, labels or columns together.
    pub all: CoveredPart,
    /// Class by class (of rows that are of it), or label, column or point: its name, and what its sets are worth.
    pub per_part: Vec<(String, CoveredPart)>,
}

/// What the sets of one class, label, column or point are worth.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CoveredPart {
    /// How many have a known truth.
    pub n: usize,
    within: usize,
    size: f64,
}

impl CoveredPart {
    /// The share of sets that hold the truth; not a number of none.
    pub fn coverage(&self) -> f64 {
        self.within as f64 / self.n as f64
    }
    /// The mean number of classes in a set, share of labels that are unsure, width of an interval in the column's unit, or
    /// radius in pixels.
    pub fn mean_size(&self) -> f64 {
        self.size / self.n as f64
    }
    fn add(&mut self, is_within: bool, size: f64) {
        self.n += 1;
        self.within += usize::from(is_within);
        self.size += size;
    }
}

impl Covered {
    /// What [`CoveredPart::mean_size`] is called among metrics.
    pub fn size_name(task: &Task) -> &'static str {
        match task {
            Task::Keypoints { .. } => "mean_radius_px",
            Task::Class { .. } => "mean_set_size",
            Task::Multilabel { .. } => "unsure",
            Task::Regression { .. } => "mean_width",
        }
    }

    /// Adds both to the metrics of the same rows. The mean size of sets in several units has none, and is left to the parts.
    pub fn add_to(&self, metrics: &mut Metrics, task: &Task) {
        let size = Self::size_name(task);
        let add = |to: &mut Vec<(String, f64)>, part: &CoveredPart, has_size: bool| {
            if part.n > 0 {
                to.push(("coverage".into(), part.coverage()));
                to.extend(has_size.then(|| (size.into(), part.mean_size())));
            }
        };
        let is_one_unit = !matches!(task, Task::Regression { .. }) || self.per_part.len() == 1;
        add(&mut metrics.values, &self.all, is_one_unit);
        for (name, part) in &self.per_part {
            if let Some((_, values)) = metrics.per_part.iter_mut().find(|(own, _)| own == name) {
                add(values, part, true);
            }
        }
    }

    /// Counts the rows of these targets that have a prediction and a known truth.
    pub fn count(
        task: &Task,
        targets: &Targets,
        predictions: &[Option<Prediction>],
        sets: &[Option<PredictionSet>],
    ) -> Self {
        let mut all = CoveredPart::default();
        let names = task.part_names();
        let mut parts = vec![CoveredPart::default(); names.len()];
        let mut add = |part: usize, is_within, size| {
            all.add(is_within, size);
            parts[part].add(is_within, size);
        };
        for (row, (prediction, set)) in predictions.iter().zip(sets).enumerate() {
            let (Some(prediction), Some(set)) = (prediction, set) else {
                continue;
            };
            let (target, mask) = task.encode(targets, row);
            let known = |part: usize| mask[part] > 0.0;
            match (set, prediction, targets) {
                (PredictionSet::Class { contains }, ..) if known(0) => {
                    let size = contains.iter().filter(|is_in| **is_in).count();
                    add(
                        target[0] as usize,
                        contains[target[0] as usize],
                        size as f64,
                    );
                }
                (PredictionSet::Multilabel { states }, ..) => {
                    for (part, state) in states.iter().enumerate().filter(|(part, _)| known(*part))
                    {
                        let is_there = target[part] > 0.5;
                        let (is_within, is_unsure) = match state {
                            LabelState::Yes => (is_there, 0.0),
                            LabelState::No => (!is_there, 0.0),
                            LabelState::Unsure => (true, 1.0),
                        };
                        add(part, is_within, is_unsure);
                    }
                }
                (
                    PredictionSet::Regression { intervals },
                    _,
                    Targets::Regression { names, values },
                ) => {
                    for (part, [low, high]) in
                        intervals.iter().enumerate().filter(|(p, _)| known(*p))
                    {
                        let value = values[row * names.len() + part];
                        add(part, (*low..=*high).contains(&value), high - low);
                    }
                }
                (PredictionSet::Keypoints { radii }, Prediction::Keypoints { xy, .. }, _) => {
                    for (part, radius) in radii.iter().enumerate().filter(|(p, _)| known(2 * p)) {
                        let [x, y] = [0, 1].map(|axis| target[2 * part + axis] - xy[part][axis]);
                        add(part, x.hypot(y) <= *radius, f64::from(*radius));
                    }
                }
                _ => {}
            }
        }
        Self {
            all,
            per_part: names.into_iter().zip(parts).collect(),
        }
    }
}
