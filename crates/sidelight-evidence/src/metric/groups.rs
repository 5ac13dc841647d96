//! Several rows of one thing: one prediction and one target for all of them.

use std::collections::{BTreeMap, HashSet};

use super::Evaluation;
use sidelight_data::config::TargetKind;
use sidelight_data::task::Prediction;

/// Predictions of groups of rows: of each the mean of its rows' predictions, of probabilities or of values in the target's
/// own unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouped {
    /// A row of the targets of each group, of which the target is known.
    pub rows: Vec<usize>,
    /// The mean of each.
    pub predictions: Vec<Prediction>,
    /// What the rows of each count on the average, where rows have weights.
    pub weights: Option<Vec<f64>>,
}

/// Why groups have no score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoGroups {
    /// Points are places in one image: those in several have no mean.
    Keypoints,
    /// Rows of the targets that are of one group and have different targets.
    Differ([usize; 2]),
}

impl Grouped {
    /// The groups of these predictions; `groups` has that of each. A group of whose rows no target is known is left out.
    ///
    /// # Errors
    ///
    /// [`NoGroups`].
    ///
    /// # Panics
    ///
    /// When predictions and `groups` differ in length.
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight_data::config::TargetScale;
    /// use sidelight_data::dataset::Targets;
    /// use sidelight_data::task::{Prediction, Task};
    /// use sidelight_evidence::metric::{Evaluation, Grouped, NoGroups, score};
    ///
    /// let task = Task::Regression {
    ///     columns: vec!["height".into()], scale: TargetScale::Linear,
    ///     mean: vec![0.0], sd: vec![1.0], range: vec![[0.0, 9.0]],
    /// };
    /// let targets = Targets::Regression { names: vec!["height".into()], values: vec![3.0, 3.0, 5.0] };
    /// let predictions = [1.0, 4.0, 5.5].map(|value| Prediction::Regression { values: vec![value] });
    /// let rows = Evaluation {
    ///     task: &task, targets: &targets, rows: &[0, 1, 2], predictions: &predictions, sizes: None, weights: None,
    /// };
    /// // Two photographs of the first plant, one of the second: off by 0.5 each.
    /// let plants = Grouped::new(&rows, &[7, 7, 8]).unwrap();
    /// assert_eq!(score(&plants.evaluation(&rows)).get("mae"), Some(0.5));
    /// assert_eq!(Grouped::new(&rows, &[7, 7, 7]), Err(NoGroups::Differ([0, 2])));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(of: &Evaluation, groups: &[u32]) -> Result<Self, NoGroups> {
        assert_eq!(groups.len(), of.predictions.len(), "one group a prediction");
        if of.task.kind() == TargetKind::Keypoints {
            return Err(NoGroups::Keypoints);
        }
        let mut places: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (at, group) in groups.iter().enumerate() {
            places.entry(*group).or_default().push(at);
        }
        let mut found = Self {
            rows: Vec::new(),
            predictions: Vec::new(),
            weights: of.weights.map(|_| Vec::new()),
        };
        for own in places.into_values() {
            let rows = own.iter().map(|&at| of.rows[at]);
            let mut known = rows.filter(|&row| of.targets.is_known(row));
            let Some(first) = known.next() else {
                continue;
            };
            if let Some(other) = known.find(|&row| !of.targets.same(first, row)) {
                return Err(NoGroups::Differ([first, other]));
            }
            found.rows.push(first);
            found.predictions.push(mean(of, &own));
            if let (Some(weights), Some(of_rows)) = (&mut found.weights, of.weights) {
                let sum: f64 = own.iter().map(|&at| of_rows[at]).sum();
                weights.push(sum / own.len() as f64);
            }
        }
        Ok(found)
    }

    /// What scores the groups, in the terms of what scores their rows.
    pub fn evaluation<'a>(&'a self, of: &Evaluation<'a>) -> Evaluation<'a> {
        Evaluation {
            rows: &self.rows,
            predictions: &self.predictions,
            sizes: None,
            weights: self.weights.as_deref(),
            ..*of
        }
    }
}

/// The mean of the predictions at these places, of which there is one at least.
fn mean(of: &Evaluation, places: &[usize]) -> Prediction {
    let all: Vec<Vec<f64>> = places
        .iter()
        .map(|&at| of.predictions[at].numbers())
        .collect();
    let n = all.len() as f64;
    let mean = |at: usize| all.iter().map(|numbers| numbers[at]).sum::<f64>() / n;
    let numbers: Vec<f64> = (0..of.task.n_outputs()).map(mean).collect();
    Prediction::from_numbers(of.task.kind(), &numbers)
}

/// Whether a group is that of more than one row.
pub fn are_several(mut groups: impl Iterator<Item = u32>) -> bool {
    let mut seen = HashSet::new();
    !groups.all(|group| seen.insert(group))
}
