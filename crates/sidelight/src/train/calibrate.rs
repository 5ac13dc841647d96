//! After training: how sure the model may be, from rows that it has not learned from.

use crate::batch::numbers;
use crate::conformal::{Conformal, RowError};
use crate::dataset::{Targets, of_mean_one};
use crate::error::Result;
use crate::metric::calibration::{Prior, temperature_of_label_logits, temperature_of_logits};
use crate::metric::keypoints::distance;
use crate::network::head::{HEAD, PointsLayout};
use crate::network::layer::{Candidates, Temperature};
use crate::network::parameter::Start;
use crate::network::{Architecture, Context, Node};
use crate::ranks::gather_numbers;
use crate::task::{Prediction, Task};

use super::Session;

/// Where the temperature stands in the network.
const PLACE: &str = "temperature";
/// No candidate is taken to be less probable than this says.
const LEAST_LOGARITHM: f64 = -80.0;

impl Session {
    /// Ends the network with the temperature that its class or label probabilities are best at, and keeps how far off it is
    /// ([`Conformal`]); all ranks do.
    ///
    /// Both are of the validation rows and, where the members of a stack each left out a fold, of all training rows too,
    /// each by the member that has not learned from it, joined by factors that were fitted without it. The validation rows
    /// are exchangeable with new ones, but for what
    /// was chosen by them (the best epoch, where one is kept); one in five rows, they say roughly how large an error is.
    /// The training rows are four times as many, and predicted by one member where a new row is predicted by the mean of
    /// all: a little worse, so that sets become a little larger than they need be. Together they are nearer to the
    /// coverage that is asked for than the validation rows alone: `docs/predict.md` has it measured. Where all members have seen
    /// all training rows, the validation rows are alone.
    ///
    /// Where rows have weights the temperature is that of the weighted loss; coverage is of rows, each alike.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub(crate) fn calibrate(&mut self) -> Result<()> {
        let mut rows = self.held_out()?;
        let task = self.setup.task.clone();
        let dataset = &self.setup.batches.source.dataset;
        let of_rows: Vec<usize> = rows.iter().map(|row| row.row).collect();
        let weights = dataset.weights_of(&of_rows);
        let outputs = |at: usize| rows[at].numbers.clone();
        let weights = weights.as_deref();
        let temperature = temperature(&task, &of_rows, outputs, weights, self.target_of())
            .map(|temperature| Temperature { temperature });
        if let Some(temperature) = temperature_of_candidates(&rows, weights) {
            let head = &mut self.state.network.root;
            head.each_parameter_mut("", &mut |path, parameter| {
                if path.starts_with(HEAD) && path.ends_with(Candidates::TEMPERATURE) {
                    parameter.set_values(vec![temperature]);
                }
            });
        }
        if let Some(temperature) = temperature {
            let factor = temperature.factor();
            for row in &mut rows {
                row.numbers.iter_mut().for_each(|number| *number *= factor);
            }
            let layer = Architecture::from(temperature);
            let device = self.setup.batches.device.clone();
            let node = Node::new(&layer, PLACE, Start::Zeros, &device);
            self.state.network.root.children.push((PLACE.into(), node));
        }
        let dataset = &self.setup.batches.source.dataset;
        let of_row = |row: &HeldOutRow| {
            let prediction = match *task {
                Task::Keypoints { .. } => {
                    Prediction::keypoints(row.numbers.as_chunks::<2>().0.to_vec())
                }
                _ => task.decode(&row.numbers),
            };
            RowError::measure(&task, &prediction, dataset, row.row, row.side)
        };
        let of_rows: Vec<RowError> = rows.iter().map(of_row).collect();
        let grouped = dataset.groups.is_some();
        self.state.conformal = Some(Conformal::new(&task, &of_rows, grouped));
        Ok(())
    }

    /// What the network puts out for rows that it has not learned from, every rank its share, and all get all.
    fn held_out(&self) -> Result<Vec<HeldOutRow>> {
        let setup = &self.setup;
        let (batches, members, task) = (&setup.batches, &setup.members, &setup.task);
        let network = self.state.network.valid();
        let device = batches.device.clone().inner();
        let left_out = members.are_several().then(|| batches.training_in_order());
        let factors = self.factors_without_each_fold(&network)?;
        let targets = batches.source.dataset.targets.as_ref();
        let targets = targets.expect("a session has targets");
        let n_candidates = match **task {
            Task::Keypoints { .. } => {
                PointsLayout::of_network(&network, task.n_outputs()).n_candidates
            }
            _ => 0,
        };
        let mut flat = Vec::new();
        for batch in batches.validation().chain(left_out.into_iter().flatten()) {
            let batch = members.hold_out(batch?, &device);
            let mut context = Context::evaluate(None);
            context.factors.clone_from(&factors);
            let output = batch.run(&network, &mut context);
            let of_rows: Vec<Vec<f64>> = match **task {
                Task::Keypoints { .. } => {
                    let decoded = batch.rows.iter().zip(batch.decode(task, output));
                    let of_row = |(&row, found): (&usize, Prediction)| {
                        let mut numbers = found.numbers();
                        let candidates = found.candidates().iter().flat_map(|candidate| {
                            let away = away(targets, row, &candidate.xy);
                            [f64::from(candidate.probability).ln(), away]
                        });
                        numbers.extend(candidates);
                        numbers
                    };
                    decoded.map(of_row).collect()
                }
                _ => {
                    let flat: Vec<f64> = numbers(output).into_iter().map(f64::from).collect();
                    let of_rows = flat.chunks_exact(task.n_outputs());
                    of_rows.map(<[f64]>::to_vec).collect()
                }
            };
            for ((&row, side), of_row) in batch.rows.iter().zip(batch.sides()).zip(of_rows) {
                // What was said of a blank is no prediction.
                if !batches.is_unreadable(row) {
                    flat.extend([row as f64, side]);
                    flat.extend(of_row);
                }
            }
        }
        let flat = gather_numbers(&*batches.ranks, &flat);
        let n_numbers = task.n_outputs();
        let rows = flat.chunks_exact(2 + n_numbers + 2 * n_candidates);
        Ok(rows
            .map(|row| {
                let (own, candidates) = row[2..].split_at(n_numbers);
                HeldOutRow {
                    row: row[0] as usize,
                    side: row[1],
                    numbers: own.iter().map(|&number| number as f32).collect(),
                    candidates: candidates.as_chunks::<2>().0.to_vec(),
                }
            })
            .collect())
    }

    /// The target of a row of the data set, and whether each cell of it is known.
    fn target_of(&self) -> impl Fn(usize) -> (Vec<f32>, Vec<f32>) + '_ {
        let targets = self.setup.batches.source.dataset.targets.as_ref();
        let targets = targets.expect("a session has targets");
        |row| self.setup.task.encode(targets, row)
    }
}

/// A row that the network has not learned from.
struct HeldOutRow {
    /// Position in the data set.
    row: usize,
    /// Side of the square that the network sees, in pixels of the stored image.
    side: f64,
    /// What the network puts out; points in pixels of the stored image.
    numbers: Vec<f32>,
    /// Of each candidate the logarithm of its probability, and how far its points are from the truth; NaN: not known.
    candidates: Vec<[f64; 2]>,
}

/// How far these points are from those of a row, in the mean of those that are known; NaN where none is.
fn away(targets: &Targets, row: usize, xy: &[[f32; 2]]) -> f64 {
    let Targets::Keypoints {
        n_points, xy: all, ..
    } = targets
    else {
        return f64::NAN;
    };
    let truth = &all[row * n_points..][..*n_points];
    let pairs = truth.iter().zip(xy);
    let distances =
        pairs.map(|(truth, found)| distance(truth.map(f64::from), found.map(f64::from)));
    let known: Vec<f64> = distances.filter(|distance| !distance.is_nan()).collect();
    known.iter().sum::<f64>() / known.len() as f64
}

/// The temperature at which candidates are as probable as they are the nearest to the truth; `None` where there are none.
fn temperature_of_candidates(rows: &[HeldOutRow], weights: Option<&[f64]>) -> Option<f32> {
    let n = rows.first()?.candidates.len();
    let weights = weights.map(of_mean_one);
    let (mut truth, mut logits, mut counted) = (Vec::new(), Vec::new(), Vec::new());
    for (at, row) in rows.iter().enumerate() {
        let nearest = row.candidates.iter().enumerate();
        let nearest = nearest.min_by(|(_, a), (_, b)| a[1].total_cmp(&b[1]));
        let Some((nearest, _)) = nearest.filter(|(_, [_, away])| !away.is_nan()) else {
            continue;
        };
        truth.push(nearest);
        // A probability of 0 is a logarithm that cannot be divided.
        let of_row = row.candidates.iter();
        logits.extend(of_row.map(|[logarithm, _]| logarithm.max(LEAST_LOGARITHM)));
        counted.push(weights.as_ref().map_or(1.0, |weights| weights[at]));
    }
    let is_some = !truth.is_empty() && logits.iter().all(|logit| logit.is_finite());
    is_some.then(|| {
        temperature_of_logits(&truth, Some(&counted), &logits, n, Prior::OF_A_MODEL) as f32
    })
}

/// The temperature of classes or labels, from what was put out for some rows (`outputs`, by their place among these); `None` for
/// other tasks, of which nothing is asked, and where there is no row to tell it from.
pub(crate) fn temperature(
    task: &Task,
    rows: &[usize],
    outputs: impl Fn(usize) -> Vec<f32>,
    weights: Option<&[f64]>,
    target_of: impl Fn(usize) -> (Vec<f32>, Vec<f32>),
) -> Option<f32> {
    let mut logits: Vec<f64> = Vec::new();
    // Of mean 1: the prior is as of one row, whatever the weights are in.
    let weights = weights.map(of_mean_one);
    let weight = |at: usize| weights.as_ref().map_or(1.0, |weights| weights[at]);
    let mut counted = Vec::new();
    let fitted = match task {
        Task::Class { .. } => {
            let mut truth = Vec::new();
            for (at, &row) in rows.iter().enumerate() {
                let (target, mask) = target_of(row);
                if mask[0] > 0.0 {
                    counted.push(weight(at));
                    truth.push(target[0] as usize);
                    logits.extend(outputs(at).into_iter().map(f64::from));
                }
            }
            temperature_of_logits(
                &truth,
                Some(&counted),
                &logits,
                task.n_outputs(),
                Prior::OF_A_MODEL,
            )
        }
        Task::Multilabel { .. } => {
            let mut truth = Vec::new();
            for (at, &row) in rows.iter().enumerate() {
                let (target, mask) = target_of(row);
                let cells = target.iter().zip(mask).zip(outputs(at));
                for ((&target, _), logit) in cells.filter(|((_, mask), _)| *mask > 0.0) {
                    counted.push(weight(at));
                    truth.push(target > 0.5);
                    logits.push(f64::from(logit));
                }
            }
            temperature_of_label_logits(&truth, Some(&counted), &logits, Prior::OF_A_MODEL)
        }
        Task::Keypoints { .. } | Task::Regression { .. } => return None,
    };
    let is_some = !logits.is_empty() && logits.iter().all(|logit| logit.is_finite());
    is_some.then_some(fitted as f32)
}
