//! Gradient accumulation over the micro-batches (and ranks) of one optimiser step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Tensor;

use crate::batch::Batch;
use crate::error::Result;
use crate::loss::heatmap::divergence;
use crate::network::{BatchStatistics, Context, Network, Parameter, ParameterKind};
use crate::ranks::Ranks;
use crate::tensor::SyncStatistics;

use super::Session;
use super::batch_source::Batches;
use super::certainty::with_visibility;
use super::mixup::Mix;
use super::optimizer::Gradients;
use super::session::step_seed;

/// Share of a batch's statistics in the running ones; PyTorch's default.
const STATISTICS_MOMENTUM: f32 = 0.1;

/// Gradient and loss of one or several micro-batches, as if they had been one batch.
///
/// The loss of a batch is a mean over what is known in it; several are put together with the weights that their
/// means were divided by (rows, where all is known and every class weighs the same). For a network that does not
/// look across the rows of a batch the result is that of one large batch, whatever is missing where.
#[derive(Debug, Default)]
pub(crate) struct StepGradients {
    /// Of the mean loss; before [`StepGradients::mean`] of the sum.
    pub(crate) gradients: Gradients,
    /// Mean over the rows; before [`StepGradients::mean`] their sum.
    pub(crate) loss: f64,
    /// How many rows that were.
    pub(crate) rows: usize,
    /// Whether some rank was asked to stop.
    pub(crate) stops: bool,
    /// What each normalisation saw of each batch, in order: as in PyTorch, every batch moves the running ones.
    statistics: Vec<BatchStatistics>,
    /// How many of the rows are this rank's own.
    own_rows: usize,
    /// Whether the rows of all ranks were normalised together.
    is_synchronised: bool,
    weight: f64,
}

impl StepGradients {
    /// Adds a batch: its mean loss, the weight that it was divided by, and the gradient of that loss times the weight.
    fn add(&mut self, gradients: Gradients, loss: f64, weight: f64, rows: usize) {
        self.gradients = std::mem::take(&mut self.gradients).plus(gradients);
        self.loss += loss * weight;
        self.weight += weight;
        self.rows += rows;
        self.own_rows += rows;
    }

    /// Gives the network what its normalisations saw. Of several ranks that are normalised each by itself, all go on with
    /// the mean of their running statistics, each weighing as much as it has rows.
    pub(crate) fn update_running_statistics(&mut self, network: &mut Network, ranks: &dyn Ranks) {
        network.apply_statistics(std::mem::take(&mut self.statistics), STATISTICS_MOMENTUM);
        if self.is_synchronised || ranks.is_alone() {
            return;
        }
        let own = self.own_rows as f64;
        let moves =
            |parameter: &Parameter| parameter.kind == ParameterKind::Buffer && !parameter.frozen;
        let mut sums = vec![own];
        network.root.each_parameter("", &mut |_, parameter| {
            if moves(parameter) {
                let values = parameter.values().into_iter();
                sums.extend(values.map(|value| f64::from(value) * own));
            }
        });
        if sums.len() == 1 {
            return;
        }
        ranks.sum_f64(&mut sums);
        let mut means = sums[1..].iter().map(|sum| (sum / sums[0]) as f32);
        network.root.each_parameter_mut("", &mut |_, parameter| {
            if moves(parameter) {
                let n = parameter.shape().iter().product();
                parameter.set_values(means.by_ref().take(n).collect());
            }
        });
    }

    /// The sums over all ranks, of which this has those of one; `stop` is whether it was asked to.
    fn across(self, ranks: &dyn Ranks, stop: bool) -> Self {
        let mut sums = [
            self.loss,
            self.weight,
            self.rows as f64,
            f64::from(u8::from(stop)),
        ];
        ranks.sum_f64(&mut sums);
        let [loss, weight, rows, n_stopped] = sums;
        Self {
            gradients: self.gradients.summed(ranks),
            loss,
            weight,
            rows: rows as usize,
            stops: n_stopped > 0.0,
            ..self
        }
    }

    /// From sums to means.
    #[must_use]
    fn mean(self) -> Self {
        // The smallest positive number only guards against 0/0, as in a single batch.
        let weight = self.weight.max(f64::from(f32::MIN_POSITIVE));
        Self {
            gradients: self.gradients.times(1.0 / weight),
            loss: self.loss / weight,
            ..self
        }
    }
}

impl Session {
    /// Forward and backward over the micro-batches of the next step; `None` after the epoch's last.
    ///
    /// Of several ranks each does its own batches, and all get the same: the gradient of all together, and whether any of
    /// them was asked to `stop`.
    pub(super) fn compute_gradients(
        &self,
        batches: &mut Batches<'_>,
        stop: &AtomicBool,
    ) -> Result<Option<StepGradients>> {
        let ranks = &self.setup.batches.ranks;
        let n_batches = self.setup.batches.batches_per_step();
        let mut step = StepGradients::default();
        let mut n_taken = 0;
        for batch in batches.by_ref().take(n_batches) {
            // No two batches of a step draw the same, whoever has them.
            self.add_batch(batch?, ranks.rank() * n_batches + n_taken, &mut step);
            n_taken += 1;
        }
        if n_taken == 0 {
            return Ok(None);
        }
        if !ranks.is_alone() {
            step = step.across(&**ranks, stop.load(Ordering::Relaxed));
        }
        Ok(Some(step.mean()))
    }

    /// Forward and backward of one micro-batch, the `part`-th of its step. Branches of the network add losses of their own
    /// (`model.auxiliary`); a stack is trained by the losses of its branches alone.
    ///
    /// # Source
    ///
    /// Of the branches' losses: Wang et al. 2020, "What makes training multi-modal classification networks hard?",
    /// arXiv:1905.12681, eq. 4: a weighted sum of the losses of all modalities together and of each. Departs from it: one
    /// weight, not estimated.
    fn add_batch(&self, mut batch: Batch, part: usize, step: &mut StepGradients) {
        let Self { setup, state } = self;
        let (seed, alpha) = (setup.config.train.seed, setup.config.train.mixup);
        let total_step = state.progress.total_step;
        let is_alone = setup.batches.ranks.is_alone();
        let mix = (alpha > 0.0).then(|| Mix::draw(alpha, batch.rows.len(), seed, total_step, part));
        if let Some(mix) = &mix {
            mix.inputs(&mut batch);
        }
        // Dropout is drawn from the step's number: a resumed run draws what the uninterrupted one would have.
        let mut context = Context::train(None, step_seed(seed, total_step, part));
        context.sync_statistics = self.together(&batch);
        step.is_synchronised = context.sync_statistics.is_some();
        let of_maps = setup.config.train.heatmap_loss;
        context.heatmaps = (of_maps > 0.0).then(Vec::new);
        let output = batch.run(&state.network, &mut context); // [batch, n_outputs]
        let (target, mask) = batch.targets.expect("training rows have targets");
        let counts = mix.is_none() && !batch.is_padding;
        let seen = context
            .visibility
            .take()
            .zip(batch.visible.filter(|_| counts));
        // One batch is its own mean: nothing is multiplied and divided again.
        let weight = match (setup.batches.batches_per_step(), batch.is_padding) {
            (_, true) => 0.0,
            (1, false) if is_alone && seen.is_none() => 1.0,
            _ => setup.loss.weight(target.clone(), mask.clone()),
        };
        let loss_of = |output, share| match &mix {
            None => setup
                .loss
                .mean_of_share(output, target.clone(), mask.clone(), share),
            Some(mix) => mix.loss(&setup.loss, output, target.clone(), mask.clone(), share),
        };
        let branches = std::mem::take(&mut context.auxiliary).into_iter();
        let loss = match state.network.root.stack() {
            Some((stack, _)) => {
                let device = target.device();
                let shares =
                    setup
                        .members
                        .shares(stack, &batch.rows, batch.has_image.as_ref(), &device);
                let losses = branches
                    .zip(shares)
                    .map(|(branch, share)| loss_of(branch, share));
                losses
                    .reduce(|sum, loss| sum + loss)
                    .expect("a stack has branches")
            }
            None => branches.fold(loss_of(output, None), |sum, branch| {
                sum + loss_of(branch, None).mul_scalar(setup.config.model.auxiliary)
            }),
        };
        // What is written down is how far off the places are.
        let value = loss.clone().into_scalar::<f32>() / self.n_losses() as f32; // on other devices: waits for the device
        let maps = context.heatmaps.take().into_iter().flatten();
        let loss = maps.fold(loss, |sum, maps| {
            let share = batch.has_image.clone();
            sum + divergence(maps, target.clone(), mask.clone(), share).mul_scalar(of_maps)
        });
        let (loss, weight) = match seen {
            Some((said, visible)) => with_visibility((loss, weight), said, visible),
            None => (loss, weight),
        };
        let value = f64::from(value);
        let backward = |loss: Tensor<1>| Gradients::take(&state.network, loss.backward());
        let gradients = match is_alone {
            true => backward(loss).times(weight),
            // Where rows are normalised together, a rank's loss reaches into the others' gradients: there it must
            // weigh what it does here.
            false => backward(loss.mul_scalar(weight)),
        };
        let n_rows = if batch.is_padding {
            0
        } else {
            batch.rows.len()
        };
        step.add(gradients, value, weight, n_rows);
        if step.is_synchronised || !batch.is_padding {
            step.statistics.extend(context.statistics);
        }
    }

    /// With whom a batch is normalised.
    fn together(&self, batch: &Batch) -> Option<SyncStatistics> {
        let ranks = &self.setup.batches.ranks;
        (self.setup.config.train.sync_batch_norm && !ranks.is_alone()).then(|| SyncStatistics {
            ranks: Arc::<dyn Ranks>::clone(ranks),
            counts: !batch.is_padding,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{Module, Param};
    use burn::tensor::{Device, Tensor, TensorData};
    use serde_json::Value;

    use crate::loss::Loss;

    /// Made by `tests/reference/accumulate.py` with PyTorch.
    const REFERENCE: &str = include_str!("../../tests/reference/accumulate.json");

    #[derive(Module, Debug)]
    struct Linear {
        weight: Param<Tensor<2>>,
    }

    fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn batches_of_any_size_with_gaps_and_class_weights_are_one_large_batch() {
        let device = Device::flex().autodiff();
        let reference: Value = serde_json::from_str(REFERENCE).unwrap();
        let loss: Loss = read(&reference["loss"]);
        let rows: Vec<Vec<f32>> = read(&reference["rows"]);
        let (target, mask): (Vec<f32>, Vec<f32>) =
            (read(&reference["target"]), read(&reference["mask"]));
        let matrix = |values: Vec<f32>, width: usize| {
            let shape = [values.len() / width, width];
            Tensor::<2>::from_data(TensorData::new(values, shape), &device)
        };
        let weight = matrix(read(&reference["weight"]), 5).require_grad();
        let network = Linear {
            weight: Param::from_tensor(weight),
        };

        let (mut step, mut first) = (StepGradients::default(), 0);
        for n in read::<Vec<usize>>(&reference["batches"]) {
            let part = first..first + n;
            let output =
                matrix(rows[part.clone()].concat(), 5).matmul(network.weight.val().transpose());
            let target = matrix(target[part.clone()].to_vec(), 1);
            let mask = matrix(mask[part].to_vec(), 1);
            let weight = loss.weight(target.clone(), mask.clone());
            let mean = loss.mean(output, target, mask);
            let value = mean.clone().into_scalar::<f32>().into();
            let gradients = Gradients::take(&network, mean.backward());
            step.add(gradients.times(weight), value, weight, n);
            first += n;
        }
        let StepGradients {
            gradients,
            loss,
            rows,
            ..
        } = step.mean();
        assert_eq!(rows, 7);
        assert!((loss - reference["mean"].as_f64().unwrap()).abs() < 1e-6);
        let (_, found) = gradients.iter().next().unwrap();
        let found: Vec<f32> = found.to_data_as::<f32>().try_into_vec().unwrap();
        for (found, expected) in found.iter().zip(read::<Vec<f32>>(&reference["gradient"])) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }

    #[test]
    fn batches_in_which_nothing_is_known_stand_still() {
        let device = Device::flex().autodiff();
        let network = Linear {
            weight: Param::from_tensor(Tensor::<2>::ones([1, 2], &device).require_grad()),
        };
        let mut step = StepGradients::default();
        for _ in 0..2 {
            let nothing = (network.weight.val() * 0.0).sum();
            let gradients = Gradients::take(&network, nothing.backward());
            step.add(gradients, 0.0, 0.0, 3);
        }
        let step = step.mean();
        assert_eq!((step.loss, step.gradients.norm()), (0.0, 0.0));
    }
}
