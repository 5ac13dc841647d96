//! After training: how sure the model may be, from rows that it has not learned from.

use crate::batch::numbers;
use crate::conformal::{Conformal, RowError, errors};
use crate::dataset::of_mean_one;
use crate::error::Result;
use crate::metric::calibration::{temperature_of_label_logits, temperature_of_logits};
use crate::network::layer::Temperature;
use crate::network::parameter::Start;
use crate::network::{Architecture, Context, Node};
use crate::ranks::gather_numbers;
use crate::task::{Prediction, Task};

use super::Session;

/// Where the temperature stands in the network.
const PLACE: &str = "temperature";
/// How strongly a temperature is pulled towards 1: as by one row.
const PULL: f64 = 1.0;

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
        let temperature = temperature(&task, &rows, weights.as_deref(), self.target_of());
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
        let targets = dataset.targets.as_ref().expect("a session has targets");
        let of_row = |row: &HeldOutRow| {
            let prediction = match *task {
                Task::Keypoints { .. } => {
                    Prediction::keypoints(row.numbers.as_chunks::<2>().0.to_vec())
                }
                _ => task.decode(&row.numbers),
            };
            RowError {
                unit: match &dataset.groups {
                    Some(groups) => groups[row.row] as usize,
                    None => row.row,
                },
                of_part: errors(&task, &prediction, targets, row.row, row.side),
            }
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
        let mut flat = Vec::new();
        for batch in batches.validation().chain(left_out.into_iter().flatten()) {
            let batch = members.hold_out(batch?, &device);
            let mut context = Context::evaluate(None);
            context.factors.clone_from(&factors);
            let output = batch.run(&network, &mut context);
            let of_rows: Vec<Vec<f32>> = match **task {
                Task::Keypoints { .. } => {
                    let decoded = batch.decode(task, output).into_iter();
                    decoded
                        .map(|found| found.numbers().iter().map(|&x| x as f32).collect())
                        .collect()
                }
                _ => {
                    let width = task.n_outputs();
                    let flat = numbers(output);
                    flat.chunks_exact(width).map(<[f32]>::to_vec).collect()
                }
            };
            for ((&row, side), of_row) in batch.rows.iter().zip(batch.sides()).zip(of_rows) {
                // What was said of a blank is no prediction.
                if !batches.is_unreadable(row) {
                    flat.extend([row as f64, side]);
                    flat.extend(of_row.into_iter().map(f64::from));
                }
            }
        }
        let flat = gather_numbers(&*batches.ranks, &flat);
        let rows = flat.chunks_exact(2 + task.n_outputs());
        Ok(rows
            .map(|row| HeldOutRow {
                row: row[0] as usize,
                side: row[1],
                numbers: row[2..].iter().map(|&number| number as f32).collect(),
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
}

/// The temperature of classes or labels; `None` for other tasks, and where there is no row to tell it from.
fn temperature(
    task: &Task,
    rows: &[HeldOutRow],
    weights: Option<&[f64]>,
    target_of: impl Fn(usize) -> (Vec<f32>, Vec<f32>),
) -> Option<Temperature> {
    let wide = |numbers: &[f32]| numbers.iter().map(|&number| f64::from(number)).collect();
    let mut logits: Vec<f64> = Vec::new();
    // Of mean 1: the pull is as by one row, whatever the weights are in.
    let weights = weights.map(of_mean_one);
    let weight = |at: usize| weights.as_ref().map_or(1.0, |weights| weights[at]);
    let mut counted = Vec::new();
    let fitted = match task {
        Task::Class { .. } => {
            let mut truth = Vec::new();
            for (at, row) in rows.iter().enumerate() {
                let (target, mask) = target_of(row.row);
                if mask[0] > 0.0 {
                    counted.push(weight(at));
                    truth.push(target[0] as usize);
                    logits.extend::<Vec<f64>>(wide(&row.numbers));
                }
            }
            temperature_of_logits(&truth, Some(&counted), &logits, task.n_outputs(), PULL)
        }
        Task::Multilabel { .. } => {
            let mut truth = Vec::new();
            for (at, row) in rows.iter().enumerate() {
                let (target, mask) = target_of(row.row);
                let cells = target.iter().zip(mask).zip(&row.numbers);
                for ((&target, _), &logit) in cells.filter(|((_, mask), _)| *mask > 0.0) {
                    counted.push(weight(at));
                    truth.push(target > 0.5);
                    logits.push(f64::from(logit));
                }
            }
            temperature_of_label_logits(&truth, Some(&counted), &logits, PULL)
        }
        Task::Keypoints { .. } | Task::Regression { .. } => return None,
    };
    let is_some = !logits.is_empty() && logits.iter().all(|logit| logit.is_finite());
    is_some.then_some(Temperature {
        temperature: fitted as f32,
    })
}
