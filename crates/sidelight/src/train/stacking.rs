//! What training does for a [`Stack`]: a loss for each branch and member, and at its end the factors that join them.

use std::collections::{BTreeSet, HashMap};

use burn::tensor::{Device, Tensor, TensorData};

use crate::batch::{Batch, numbers};
use crate::config::{Config, ModelConfig};
use crate::dataset::{Dataset, Metadata};
use crate::encode::Encoder;
use crate::error::Result;
use crate::loss::Loss;
use crate::network::layer::{Bins, Stack, Vote};
use crate::network::{Context, Network, Stacking};
use crate::ranks::gather_numbers;
use crate::split::{deal, n_units};
use crate::task::Task;

use super::session::Session;

/// The fusions whose members learn without one fold each.
const STACKED: [&str; 2] = ["stacked", "vote"];
/// From so many training rows on, three members are enough; below, five.
const MANY_ROWS: usize = 2000;
/// From so many training rows on, numbers are cut into eight pieces; below, into six.
const ROWS_FOR_FINE_BINS: usize = 1000;
/// The factors are fitted to so many rows at most.
const MOST_ROWS: usize = 20_000;
/// No factor is larger.
const LARGEST_FACTOR: f64 = 2.0;

/// The fold of each training row: the member of a [`Stack`] that does not learn from it. Empty where there is one member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberFolds {
    of_row: HashMap<usize, u32>,
    n: usize,
}

impl MemberFolds {
    /// Deals these rows, groups whole and classes in proportion. There are several members where only they learn: with a
    /// backbone that learns too, or before flattened maps, each would have seen all rows.
    ///
    /// # Errors
    ///
    /// As [`deal`].
    pub fn deal(dataset: &Dataset, config: &Config, task: &Task, rows: &[usize]) -> Result<Self> {
        let learn_alone = config.train.freeze && !matches!(task, Task::Keypoints { .. });
        let wanted = if rows.len() < MANY_ROWS { 5 } else { 3 };
        if !STACKED.contains(&config.model.fusion.as_str())
            || !learn_alone
            || n_units(dataset, rows) < 2 * wanted
        {
            return Ok(Self::default());
        }
        // Not the folds of a comparison with the same seed.
        let seed = config.train.seed.wrapping_mul(31).wrapping_add(7);
        let folds = deal(dataset, rows, wanted, seed)?;
        Ok(Self {
            of_row: rows.iter().copied().zip(folds).collect(),
            n: wanted,
        })
    }

    /// The folds of these rows, of those that were dealt.
    pub(super) fn of(&self, rows: &[usize]) -> Vec<u32> {
        let fold = |row| self.of_row.get(row).copied().unwrap_or_default();
        rows.iter().map(fold).collect()
    }

    /// How many members there are, at least one.
    pub fn n(&self) -> usize {
        self.n.max(1)
    }

    /// Whether some rows were predicted by a member that has not learned from them.
    pub fn are_several(&self) -> bool {
        self.n > 1
    }

    /// Has each row of a batch that training uses predicted by the member that has not learned from it alone, and every other
    /// row by all.
    pub fn hold_out(&self, mut batch: Batch, device: &Device) -> Batch {
        if self.are_several() && batch.rows.iter().any(|row| self.of_row.contains_key(row)) {
            let even = (self.n as f32).recip();
            let weight = |fold: Option<&u32>, k: usize| match fold {
                Some(&fold) => f32::from(u8::from(fold as usize == k)),
                None => even,
            };
            batch.members = Some(self.matrix(&batch.rows, weight, device));
        }
        batch
    }

    /// 1 where a member learns from a row, else 0: `[batch, members]`.
    fn learns(&self, rows: &[usize], device: &Device) -> Tensor<2> {
        let learns = |fold: Option<&u32>, k: usize| {
            f32::from(u8::from(fold.map(|&fold| fold as usize) != Some(k)))
        };
        self.matrix(rows, learns, device)
    }

    fn matrix(
        &self,
        rows: &[usize],
        of: impl Fn(Option<&u32>, usize) -> f32,
        device: &Device,
    ) -> Tensor<2> {
        let values = rows.iter().flat_map(|row| {
            let fold = self.of_row.get(row);
            (0..self.n()).map(move |k| (fold, k))
        });
        let values: Vec<f32> = values.map(|(fold, k)| of(fold, k)).collect();
        Tensor::from_data(TensorData::new(values, [rows.len(), self.n()]), device)
    }

    /// Which share of each row's loss every child of a stack learns from, `[batch, 1]` each: none of what is not its fold's, and
    /// none of rows without an image where it reads one. `None`: all of every row's.
    pub(super) fn shares(
        &self,
        stack: &Stack,
        rows: &[usize],
        has_image: Option<&Tensor<2>>,
        device: &Device,
    ) -> Vec<Option<Tensor<2>>> {
        let learns = self.are_several().then(|| self.learns(rows, device));
        let children = stack
            .learning()
            .flat_map(|branch| (0..stack.members).map(move |k| (branch, k)));
        children
            .map(|(branch, k)| {
                let own = learns.clone().map(|learns| learns.narrow(1, k, 1));
                let seen = has_image.filter(|_| branch.image).cloned();
                match (own, seen) {
                    (Some(own), Some(seen)) => Some(own * seen),
                    (own, seen) => own.or(seen),
                }
            })
            .collect()
    }
}

/// What training rows decide of a stack: its members, and where the numbers among its metadata are cut.
///
/// # Errors
///
/// As [`Encoder::encode`].
pub(super) fn stacking(
    config: &ModelConfig,
    (task, encoder): (&Task, &Encoder),
    metadata: &Metadata,
    rows: &[usize],
    folds: &MemberFolds,
) -> Result<Stacking> {
    if !STACKED.contains(&config.fusion.as_str()) {
        return Ok(Stacking::default());
    }
    let (encoded, _) = encoder.encode(metadata)?;
    let n_bins = if rows.len() < ROWS_FOR_FINE_BINS {
        6
    } else {
        8
    };
    let mut cut = Vec::new();
    for span in encoder.spans() {
        // The last of a column's slots is 1 where it is known; those of categories are all 0 or 1 and not cut.
        let Some(known) = span.dense.clone().last() else {
            continue;
        };
        for slot in span.dense.start..known {
            let known_values = rows.iter().map(|&row| encoded.dense_row(row));
            let known_values = known_values.filter(|dense| dense[known] > 0.5);
            let values: Vec<f32> = known_values.map(|dense| dense[slot]).collect();
            let distinct: BTreeSet<u32> = values
                .iter()
                .map(|value| value.to_bits())
                .take(1 << 16)
                .collect();
            if distinct.len() > 2 {
                cut.extend(Bins::quantiles(slot, known, values, n_bins));
            }
        }
    }
    Ok(Stacking {
        members: folds.n(),
        numbers: cut,
        missing: encoder.all_missing().0,
        vote: Vote::of_task(task),
    })
}

impl Session {
    /// Fits the factors of the network's stack, where there is one, to rows that its branches have not learned from: each
    /// training row by the member that left it out, or the validation rows where all members have seen all others.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub(super) fn fit_factors(&mut self) -> Result<()> {
        let mut network = self.state.network.clone();
        self.fit_factors_of(&mut network)?;
        self.state.network = network;
        Ok(())
    }

    /// The network that is scored after an epoch, joined as it would be if training ended here.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub(super) fn scored(&self) -> Result<Network> {
        let mut network = self.state.scored()?;
        self.fit_factors_of(&mut network)?;
        Ok(network)
    }

    fn fit_factors_of(&self, network: &mut Network) -> Result<()> {
        let Some((stack, _)) = network.root.stack() else {
            return Ok(());
        };
        let stack = stack.clone();
        let held_out = HeldOut::collect(self, &network.valid(), &stack)?;
        let factors = held_out.factors(&stack, &self.setup.loss, None);
        if let Some(node) = network.root.stack_mut() {
            let mut named = node.parameters.0.iter_mut();
            if let Some(parameter) = named.find(|parameter| parameter.name == Stack::FACTORS) {
                parameter.set_values(factors);
            }
        }
        Ok(())
    }

    /// The factors that would be fitted without the rows of each fold, `[3, branches]` each: how sure the network may be shows
    /// in rows that none of its numbers is of. None where there are no folds.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub(super) fn factors_without_each_fold(&self, network: &Network) -> Result<Vec<Tensor<2>>> {
        let folds = &self.setup.members;
        let Some((stack, _)) = network.root.stack().filter(|_| folds.are_several()) else {
            return Ok(Vec::new());
        };
        let held_out = HeldOut::collect(self, network, stack)?;
        let device = self.setup.batches.device.clone().inner();
        let without = (0..folds.n()).map(|fold| {
            let factors = held_out.factors(stack, &self.setup.loss, Some(fold as f32));
            let shape = [Stack::CASES.len(), stack.branches.len()];
            Tensor::from_data(TensorData::new(factors, shape), &device)
        });
        Ok(without.collect())
    }
}

/// What the branches of a stack put out for rows that they have not learned from.
struct HeldOut {
    n_rows: usize,
    /// The fold of each row.
    fold: Vec<f32>,
    prior: Vec<f32>,
    /// `[branch][row · n_outputs]`
    outputs: Vec<Vec<f32>>,
    target: Vec<f32>,
    mask: Vec<f32>,
    /// 1 where a row has an image.
    has_image: Vec<f32>,
    /// Whether a branch reads the image.
    reads_image: Vec<bool>,
}

impl HeldOut {
    fn collect(session: &Session, network: &Network, stack: &Stack) -> Result<Self> {
        let setup = &session.setup;
        let (batches, folds) = (&setup.batches, &setup.members);
        let device = batches.device.clone().inner();
        let rows = match folds.are_several() {
            true => batches.training_in_order(),
            false => batches.validation(),
        };
        let n_branches = stack.branches.len();
        let mut flat = Vec::new();
        for batch in rows {
            let batch = folds.hold_out(batch?, &device);
            let mut context = Context::evaluate(None);
            batch.run(network, &mut context);
            let Some((target, mask)) = batch.targets.clone() else {
                continue;
            };
            let n = batch.rows.len();
            let has_image = batch
                .has_image
                .clone()
                .unwrap_or_else(|| Tensor::ones([n, 1], &device));
            let mut parts = std::mem::take(&mut context.auxiliary);
            parts.truncate(n_branches);
            let fold: Vec<f32> = folds
                .of(&batch.rows)
                .iter()
                .map(|&fold| fold as f32)
                .collect();
            let fold = Tensor::from_data(TensorData::new(fold, [n, 1]), &device);
            parts.extend([target, mask, has_image, fold]);
            flat.extend(numbers(Tensor::cat(parts, 1)).into_iter().map(f64::from));
        }
        let flat = gather_numbers(&*batches.ranks, &flat);
        let (d_out, d_target) = (stack.n_outputs, setup.task.d_target());
        let widths: Vec<usize> = std::iter::repeat_n(d_out, n_branches)
            .chain([d_target, d_target, 1, 1])
            .collect();
        let width: usize = widths.iter().sum();
        let all: Vec<&[f64]> = flat.chunks_exact(width).collect();
        let kept: Vec<&&[f64]> = all
            .iter()
            .step_by(all.len().div_ceil(MOST_ROWS).max(1))
            .collect();
        let mut start = 0;
        let mut columns = widths.into_iter().map(|width| {
            let range = start..start + width;
            start = range.end;
            let values = kept.iter().flat_map(|row| row[range.clone()].iter());
            values.map(|&value| value as f32).collect::<Vec<f32>>()
        });
        let outputs = columns.by_ref().take(n_branches).collect();
        let mut next = || columns.next().unwrap_or_default();
        let (target, mask, has_image, fold) = (next(), next(), next(), next());
        let (_, node) = network.root.stack().expect("the caller found it");
        Ok(Self {
            n_rows: kept.len(),
            fold,
            prior: numbers(node.parameters.d1(Stack::PRIOR)),
            outputs,
            target,
            mask,
            has_image,
            reads_image: stack.branches.iter().map(|branch| branch.image).collect(),
        })
    }

    /// The factors of each case, `[3 · branches]`, of all rows but those of a fold.
    fn factors(&self, stack: &Stack, loss: &Loss, without: Option<f32>) -> Vec<f32> {
        let cases = 0..Stack::CASES.len();
        let factors = cases.flat_map(|case| self.fit(loss, &stack.usable_in(case), without));
        factors.map(|factor| factor as f32).collect()
    }

    /// The factors of the branches that are usable (1, else 0), the others' 0: they minimise
    ///
    /// > mean loss of `prior + Σ_b a_b (f_b − prior)`  +  c/n Σ_b (a_b − 1/branches)²,   0 ≤ a_b ≤ 2,
    ///
    /// with c the mean loss of `prior`, whatever the loss is measured in. It is convex for every loss that we have but `wing`
    /// and `focal`. Few rows so leave the branches equal.
    fn fit(&self, loss: &Loss, usable: &[f32], without: Option<f32>) -> Vec<f64> {
        let branches: Vec<usize> = (0..usable.len()).filter(|&b| usable[b] > 0.0).collect();
        let even = 1.0 / branches.len().max(1) as f64;
        let mut factors: Vec<f64> = usable
            .iter()
            .map(|&usable| f64::from(usable) * even)
            .collect();
        if self.n_rows == 0 || branches.is_empty() {
            return factors;
        }
        let device = Device::flex().autodiff();
        let matrix = |values: &[f32]| {
            let shape = [self.n_rows, values.len() / self.n_rows];
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &device)
        };
        let shape = [1, self.prior.len()];
        let prior = Tensor::<2>::from_data(TensorData::new(self.prior.clone(), shape), &device);
        let moves: Vec<Tensor<2>> = branches
            .iter()
            .map(|&b| matrix(&self.outputs[b]) - prior.clone())
            .collect();
        let mut mask = matrix(&self.mask);
        if let Some(fold) = without {
            let learns = self
                .fold
                .iter()
                .map(|&of_row| f32::from(u8::from(of_row != fold)));
            mask = mask * matrix(&learns.collect::<Vec<f32>>());
        }
        if branches.iter().any(|&b| self.reads_image[b]) {
            mask = mask * matrix(&self.has_image);
        }
        let target = matrix(&self.target);
        let constant = loss.mean(
            prior.clone().repeat_dim(0, self.n_rows),
            target.clone(),
            mask.clone(),
        );
        let pull = f64::from(constant.into_scalar::<f32>()) / self.n_rows as f64;
        let slope = |at: &[f64]| {
            let values: Vec<f32> = at.iter().map(|&a| a as f32).collect();
            let a = Tensor::<1>::from_floats(values.as_slice(), &device).require_grad();
            let joined = moves
                .iter()
                .enumerate()
                .fold(prior.clone(), |sum, (i, moved)| {
                    sum + moved.clone() * a.clone().narrow(0, i, 1).reshape([1, 1])
                });
            let cost = loss.mean(joined, target.clone(), mask.clone());
            let mut gradients = cost.backward();
            let gradient = a
                .grad_remove(&mut gradients)
                .expect("the cost depends on it");
            let gradient = numbers(gradient)
                .into_iter()
                .zip(at)
                .map(|(slope, a)| f64::from(slope) + 2.0 * pull * (a - even));
            let away: f64 = at.iter().map(|a| (a - even).powi(2)).sum();
            (
                f64::from(cost.into_scalar::<f32>()) + pull * away,
                gradient.collect(),
            )
        };
        let found = minimum(vec![even; branches.len()], slope);
        for (&b, factor) in branches.iter().zip(found) {
            factors[b] = factor;
        }
        factors
    }
}

/// Where a convex function, given with its gradient, is smallest in the box from 0 to [`LARGEST_FACTOR`]: Newton steps, the
/// matrix of second derivatives from differences of gradients, halved until they go down.
///
/// # Source
///
/// Bertsekas 1982, "Projected Newton methods for optimization problems with simple constraints", SIAM J. Control 20(2).
fn minimum(mut at: Vec<f64>, slope: impl Fn(&[f64]) -> (f64, Vec<f64>)) -> Vec<f64> {
    const DIFFERENCE: f64 = 1e-2;
    let n = at.len();
    let (mut cost, mut gradient) = slope(&at);
    for _ in 0..MOST_STEPS {
        let second: Vec<Vec<f64>> = (0..n)
            .map(|i| {
                let mut beside = at.clone();
                beside[i] += DIFFERENCE;
                let (_, there) = slope(&beside);
                there
                    .iter()
                    .zip(&gradient)
                    .map(|(there, here)| (there - here) / DIFFERENCE)
                    .collect()
            })
            .collect();
        let step = quadratic_step(&at, &gradient, &second);
        let descent: f64 = step
            .iter()
            .zip(&gradient)
            .map(|(step, slope)| step * slope)
            .sum();
        let largest = step
            .iter()
            .fold(0.0, |largest: f64, step| largest.max(step.abs()));
        let shares = (0..MOST_HALVINGS).map(|halvings| 0.5_f64.powi(halvings));
        let mut tried = shares.map(|share| {
            let there: Vec<f64> = at
                .iter()
                .zip(&step)
                .map(|(at, step)| at + share * step)
                .collect();
            let (cost, gradient) = slope(&there);
            (share, there, cost, gradient)
        });
        // A sum of f32 is not known to the last digit; the gradient, of which the next step is made, is.
        let is_lower =
            |share: f64, there: f64| there <= cost + 1e-4 * share * descent + 1e-6 * cost.abs();
        let Some((_, there, lower, slopes)) =
            tried.find(|(share, _, there, _)| is_lower(*share, *there))
        else {
            break;
        };
        (at, cost, gradient) = (there, lower, slopes);
        if largest < PRECISION {
            break;
        }
    }
    at
}

/// The step to the minimum of `g·d + ½ dᵀ H d` in the box: one coordinate after another.
fn quadratic_step(at: &[f64], gradient: &[f64], second: &[Vec<f64>]) -> Vec<f64> {
    let n = at.len();
    let mut step = vec![0.0; n];
    for _ in 0..1000 {
        let mut moved: f64 = 0.0;
        for i in 0..n {
            // Differences of f32 are not symmetric to the last digit.
            let bend = |j: usize| (second[i][j] + second[j][i]) / 2.0;
            let slope = gradient[i] + (0..n).map(|j| bend(j) * step[j]).sum::<f64>();
            let to = step[i] - slope / bend(i).max(1e-9);
            let to = to.clamp(-at[i], LARGEST_FACTOR - at[i]);
            moved = moved.max((to - step[i]).abs());
            step[i] = to;
        }
        if moved < PRECISION / 10.0 {
            break;
        }
    }
    step
}

/// Newton steps, at most.
const MOST_STEPS: usize = 40;
/// Times that a step is halved, at most.
const MOST_HALVINGS: i32 = 12;
/// A step that moves no factor by more is the last.
const PRECISION: f64 = 1e-5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Distance;

    /// Two branches whose errors are known: the least-squares factors are those of the normal equations.
    #[test]
    fn factors_are_least_squares_ones_never_negative_and_of_the_rows_of_other_folds() {
        let n = 400;
        let noise =
            |seed: usize, i: usize| ((i * 7919 + seed * 104_729) % 1000) as f32 / 1000.0 - 0.5;
        let target: Vec<f32> = (0..n).map(|i| noise(1, i * i) * 4.0).collect();
        let (good, bad): (Vec<f32>, Vec<f32>) = target
            .iter()
            .enumerate()
            .map(|(i, y)| (y + noise(2, i * i + i), -0.1 * y + noise(3, i)))
            .unzip();
        let held_out = HeldOut {
            n_rows: n,
            fold: (0..n).map(|i| (i % 2) as f32).collect(),
            prior: vec![0.0],
            outputs: vec![good.clone(), bad],
            target: target.clone(),
            mask: vec![1.0; n],
            has_image: vec![1.0; n],
            reads_image: vec![true, false],
        };
        let loss = Loss::from(Distance::Squared);
        let found = held_out.fit(&loss, &[1.0, 1.0], None);
        let product =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let alone = product(&good, &target) / product(&good, &good);
        assert_eq!(
            found[1], 0.0,
            "a branch that says the opposite is left out: {found:?}"
        );
        assert!((found[0] - alone).abs() < 1e-3, "{found:?}, not {alone}");
        assert_eq!(held_out.fit(&loss, &[0.0, 1.0], None)[0], 0.0);

        let of_fold_0 = held_out.fit(&loss, &[1.0, 1.0], Some(1.0));
        assert_ne!(of_fold_0, found);
        let mut other = held_out;
        for (i, y) in other.target.iter_mut().enumerate() {
            *y *= 1.0 + 9.0 * (i % 2) as f32;
        }
        let again = other.fit(&loss, &[1.0, 1.0], Some(1.0));
        assert_eq!(again, of_fold_0, "a fold that is left out decides nothing");
    }
}
