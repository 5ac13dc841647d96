//! Gradient boosting with symmetric trees: every node of a level asks the same question.
//!
//! # Source
//!
//! Friedman 2001, "Greedy function approximation", Annals of Statistics 29(5); the trees and their score are CatBoost's:
//! Prokhorenkova et al. 2018, arXiv:1706.09516, and Cosine in its documentation of score functions. Departures: no
//! ordered boosting, and members that each leave out some rows instead of bootstraps; of many outputs, only those with the
//! largest gradients decide the questions ("top outputs": Iosipoi & Vakhrushev 2022, SketchBoost, arXiv:2211.12858).

pub(crate) mod columns;
pub(crate) mod screen;

use rayon::prelude::*;

/// What outputs are and how their error is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Values; the squared error.
    Squared,
    /// Logits of labels that are there or not; the log loss.
    Logistic,
    /// Logits of classes of which one is true; the log loss.
    Softmax,
}

/// Rows to learn from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Examples {
    /// `[row][feature]`; NaN: missing.
    pub(crate) inputs: Vec<Vec<f32>>,
    /// `[row][output]`: values, or 0 and 1; NaN: unknown.
    pub(crate) targets: Vec<Vec<f64>>,
    /// How much each row counts, 1 on the average.
    pub(crate) weights: Vec<f64>,
}

/// Models grown side by side, each without its share of the rows, where nothing else says how many.
pub(crate) const MEMBERS: usize = 5;
/// Questions of a tree.
pub(crate) const DEPTH: usize = 5;
/// Trees of a member, at most.
pub(crate) const ROUNDS: usize = 400;
/// Trees of a member that may be added without a better loss of the rows left out.
const PATIENCE: usize = 25;
/// What share of its best value each leaf is given.
const RATE: f64 = 0.1;
/// Rows of an average curvature that say nothing, added to every leaf.
const L2: f64 = 3.0;
/// Borders between the values of a feature, at most.
const BORDERS: usize = 32;
/// Outputs that decide the questions, at most.
const DECISIVE: usize = 4;

/// One trained model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Boosted {
    pub(crate) features: Vec<Feature>,
    /// What it says without a tree.
    pub(crate) base: Vec<f64>,
    pub(crate) trees: Vec<Tree>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Feature {
    /// Ascending; the bin of a value is how many of them are below it.
    pub(crate) borders: Vec<f32>,
    /// What a missing value counts as: below all others where training rows lacked some, else the median.
    pub(crate) missing: f32,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree {
    /// Feature and border: is its value above?
    pub(crate) questions: Vec<(usize, u8)>,
    /// `[leaf][output]`; the answer to the first question is the highest bit of a leaf's number.
    pub(crate) leaves: Vec<f64>,
}

impl Feature {
    fn fit(mut known: Vec<f32>) -> Self {
        let n = known.len();
        known.retain(|x| !x.is_nan());
        known.sort_by(f32::total_cmp);
        let missing = match known.get(known.len() / 2) {
            Some(&median) if known.len() == n => median,
            _ => f32::NEG_INFINITY,
        };
        let mut distinct = known.clone();
        distinct.dedup();
        let mut borders: Vec<f32> = if distinct.len() <= BORDERS + 1 {
            distinct
                .windows(2)
                .map(|two| f32::midpoint(two[0], two[1]))
                .collect()
        } else {
            // Between a value and the next larger one, never on a value: whoever computes a row anew may be off by a rounding.
            let quantile = |i| {
                let value = known[i * (known.len() - 1) / (BORDERS + 1)];
                let larger = known.get(known.partition_point(|x| *x <= value));
                larger.map(|&larger| f32::midpoint(value, larger))
            };
            (1..=BORDERS).filter_map(quantile).collect()
        };
        borders.dedup();
        if missing == f32::NEG_INFINITY && !known.is_empty() {
            // Above it is whatever is known.
            borders.insert(0, missing);
        }
        Self { borders, missing }
    }

    fn bin(&self, x: f32) -> u8 {
        let x = if x.is_nan() { self.missing } else { x };
        self.borders.partition_point(|&border| border < x) as u8
    }
}

impl Tree {
    fn leaf(&self, bin: impl Fn(usize) -> u8) -> usize {
        self.questions.iter().fold(0, |leaf, &(feature, border)| {
            leaf * 2 + usize::from(bin(feature) > border)
        })
    }

    /// Adds what it says of a row whose bins these are.
    fn add(&self, bin: impl Fn(usize) -> u8, outputs: &mut [f64]) {
        let leaf = self.leaf(bin) * outputs.len();
        for (output, value) in outputs.iter_mut().zip(&self.leaves[leaf..]) {
            *output += value;
        }
    }
}

impl Boosted {
    /// Learns from these rows once a fold, each time without the rows of that fold (`folds`: each row's, below `n_folds`), and
    /// returns the models in the order of the folds. They have at most `most` trees; how many a model keeps is what is best for
    /// the rows that the *other* models left out, so that no row is used twice for what is said of it. `None`: `goes_on` said no.
    pub(crate) fn fit_folds(
        rows: &Examples,
        (folds, n_folds): (&[u32], usize),
        loss: Loss,
        most: usize,
        goes_on: &dyn Fn() -> bool,
    ) -> Option<Vec<Self>> {
        let n_features = rows.inputs.first().map_or(0, Vec::len);
        let features: Vec<Feature> = (0..n_features)
            .map(|at| Feature::fit(rows.inputs.iter().map(|row| row[at]).collect()))
            .collect();
        // By feature here: each is gone through alone.
        let bins: Vec<Vec<u8>> = features
            .iter()
            .enumerate()
            .map(|(at, feature)| rows.inputs.iter().map(|row| feature.bin(row[at])).collect())
            .collect();
        let mut members: Vec<Member> = (0..n_folds)
            .map(|fold| Member::new(fold as u32, folds, loss, rows))
            .collect();
        let (mut best, mut n_best) = (total(&members, None, 0), 0);
        for round in 1..=most {
            if round > n_best + PATIENCE {
                break;
            }
            if !goes_on() {
                return None;
            }
            let grown = members.par_iter_mut().map(|member| {
                let (outputs, weights) = (&member.outputs, &member.weights);
                let tree = Tree::grow(&features, &bins, outputs, &rows.targets, weights, loss)?;
                for (row, outputs) in member.outputs.iter_mut().enumerate() {
                    tree.add(|feature| bins[feature][row], outputs);
                }
                member.trees.push(tree);
                member.score(loss, rows);
                Some(())
            });
            if grown.collect::<Option<Vec<()>>>().is_none() {
                break;
            }
            let now = total(&members, None, round);
            if now < best {
                (best, n_best) = (now, round);
            }
        }
        let n_rounds = members.iter().map(|member| member.losses.len()).min()?;
        let kept = (0..n_folds).map(|left_out| {
            let of_others = |round: &usize| total(&members, Some(left_out), *round);
            (0..n_rounds)
                .min_by(|a, b| of_others(a).total_cmp(&of_others(b)))
                .unwrap_or_default()
        });
        let kept: Vec<usize> = kept.collect();
        let models = members.into_iter().zip(kept).map(|(mut member, kept)| {
            member.trees.truncate(kept);
            Self {
                features: features.clone(),
                base: member.base,
                trees: member.trees,
            }
        });
        Some(models.collect())
    }

    /// Whether anything was known to learn from.
    pub(crate) fn knows_targets(&self) -> bool {
        !self.base.is_empty()
    }

    /// Values or logits of a row.
    pub(crate) fn outputs(&self, inputs: &[f32]) -> Vec<f64> {
        self.outputs_of(&self.bins(inputs))
    }

    /// Where the values of a row lie.
    fn bins(&self, inputs: &[f32]) -> Vec<u8> {
        let features = self.features.iter().zip(inputs);
        features.map(|(feature, &x)| feature.bin(x)).collect()
    }

    /// As [`Boosted::outputs`], of a row's bins.
    fn outputs_of(&self, bins: &[u8]) -> Vec<f64> {
        let mut outputs = self.base.clone();
        self.trees
            .iter()
            .for_each(|tree| tree.add(|feature| bins[feature], &mut outputs));
        outputs
    }
}

/// A model as it grows: without the rows of its fold, which say after each tree how good it is.
struct Member {
    own: Vec<usize>,
    /// How much its own rows count together.
    size: f64,
    weights: Vec<f64>,
    base: Vec<f64>,
    outputs: Vec<Vec<f64>>,
    trees: Vec<Tree>,
    /// Mean loss of the rows left out after so many trees.
    losses: Vec<f64>,
}

impl Member {
    fn new(fold: u32, folds: &[u32], loss: Loss, rows: &Examples) -> Self {
        let learned: Vec<usize> = (0..folds.len()).filter(|&row| folds[row] != fold).collect();
        let base = match learned.is_empty() {
            true => vec![0.0; rows.targets.first().map_or(0, Vec::len)],
            false => loss.base(rows, &learned),
        };
        let own: Vec<usize> = (0..folds.len()).filter(|&row| folds[row] == fold).collect();
        let weights = folds.iter().zip(&rows.weights);
        let mut member = Self {
            size: own.iter().map(|&row| rows.weights[row]).sum(),
            own,
            weights: weights
                .map(|(&own, weight)| weight * f64::from(u8::from(own != fold)))
                .collect(),
            outputs: vec![base.clone(); folds.len()],
            base,
            trees: Vec::new(),
            losses: Vec::new(),
        };
        member.score(loss, rows);
        member
    }

    fn score(&mut self, loss: Loss, rows: &Examples) {
        self.losses.push(loss.mean(&self.outputs, rows, &self.own));
    }
}

/// Loss after so many trees over the rows that the members, but one, left out.
fn total(members: &[Member], but: Option<usize>, round: usize) -> f64 {
    let others = members
        .iter()
        .enumerate()
        .filter(|(at, _)| Some(*at) != but);
    others
        .map(|(_, member)| member.size * member.losses[round])
        .filter(|loss| !loss.is_nan())
        .sum()
}

impl Tree {
    /// `None`: there is nothing to ask.
    fn grow(
        features: &[Feature],
        bins: &[Vec<u8>],
        outputs: &[Vec<f64>],
        targets: &[Vec<f64>],
        weights: &[f64],
        loss: Loss,
    ) -> Option<Self> {
        let n_outputs = outputs.first()?.len();
        let rows = outputs.iter().zip(targets).zip(weights);
        let slopes: Vec<Vec<[f64; 2]>> = rows
            .map(|((outputs, targets), &weight)| loss.slopes(outputs, targets, weight))
            .collect();
        let total = |output: usize, of: fn([f64; 2]) -> f64| -> f64 {
            slopes.iter().map(|row| of(row[output])).sum()
        };
        let mut decisive: Vec<usize> = (0..n_outputs).collect();
        if n_outputs > DECISIVE {
            let sizes: Vec<f64> = decisive
                .iter()
                .map(|&output| total(output, |[g, _]| g * g))
                .collect();
            decisive.sort_by(|&a, &b| sizes[b].total_cmp(&sizes[a]));
            decisive.truncate(DECISIVE);
        }
        // [row][decisive output], and its weight, by which rows are counted.
        let width = decisive.len() + 1;
        let pull = |(row, &weight): (&Vec<[f64; 2]>, &f64)| -> Vec<f64> {
            decisive
                .iter()
                .map(|&output| row[output][0])
                .chain([weight])
                .collect()
        };
        let pulls: Vec<f64> = slopes.iter().zip(weights).flat_map(pull).collect();
        let mut tree = Self {
            questions: Vec::new(),
            leaves: Vec::new(),
        };
        let mut leaf_of = vec![0_usize; outputs.len()];
        let mut sums = Vec::new();
        // Looked up where rows are counted, which is most of the time; a division for each where they are weighed.
        let is_counted = weights
            .iter()
            .all(|weight| *weight == 0.0 || *weight == 1.0);
        let shares: Vec<f64> = match is_counted {
            true => (0..=outputs.len()).map(|n| share(n as f64)).collect(),
            false => Vec::new(),
        };
        for level in 0..DEPTH {
            let mut best = (f64::NEG_INFINITY, 0, 0);
            for (at, feature) in features
                .iter()
                .enumerate()
                .filter(|(_, feature)| !feature.borders.is_empty())
            {
                let n_bins = feature.borders.len() + 1;
                sums.clear();
                sums.resize((n_bins * width) << level, 0.0);
                for ((leaf, &bin), pull) in
                    leaf_of.iter().zip(&bins[at]).zip(pulls.chunks_exact(width))
                {
                    let cell = (leaf * n_bins + usize::from(bin)) * width;
                    sums[cell..cell + width]
                        .iter_mut()
                        .zip(pull)
                        .for_each(|(sum, pull)| *sum += pull);
                }
                for (border, score) in scores(&sums, n_bins, width, &shares)
                    .into_iter()
                    .enumerate()
                {
                    if score > best.0 {
                        best = (score, at, border as u8);
                    }
                }
            }
            let (score, at, border) = best;
            if score == f64::NEG_INFINITY {
                break;
            }
            for (leaf, &bin) in leaf_of.iter_mut().zip(&bins[at]) {
                *leaf = *leaf * 2 + usize::from(bin > border);
            }
            tree.questions.push((at, border));
        }
        if tree.questions.is_empty() {
            return None;
        }
        let mut leaves = vec![[0.0; 2]; n_outputs << tree.questions.len()];
        for (leaf, row) in leaf_of.iter().zip(&slopes) {
            for (sum, slope) in leaves[leaf * n_outputs..].iter_mut().zip(row) {
                *sum = [sum[0] + slope[0], sum[1] + slope[1]];
            }
        }
        let prior: Vec<f64> = (0..n_outputs)
            .map(|output| L2 * total(output, |[_, h]| h) / outputs.len() as f64)
            .collect();
        let value = |(at, [g, h]): (usize, [f64; 2])| {
            RATE * loss.step(n_outputs) * g / (h + prior[at % n_outputs]).max(1e-12)
        };
        tree.leaves = leaves.into_iter().enumerate().map(value).collect();
        Some(tree)
    }
}

/// What a sum over so many rows is multiplied by for their mean, pulled towards 0.
fn share(n: f64) -> f64 {
    1.0 / (n + L2)
}

/// Of each border, the cosine of the gradients and the step that leaves on both sides of it would take.
fn scores(sums: &[f64], n_bins: usize, width: usize, shares: &[f64]) -> Vec<f64> {
    let rows = width - 1;
    let mut found = vec![[0.0, 1e-12]; n_bins - 1];
    let (mut below, mut all) = (vec![0.0; width], vec![0.0; width]);
    for leaf in sums.chunks_exact(n_bins * width) {
        all.fill(0.0);
        below.fill(0.0);
        for bin in leaf.chunks_exact(width) {
            all.iter_mut().zip(bin).for_each(|(all, x)| *all += x);
        }
        if all[rows] == 0.0 {
            continue;
        }
        for (bin, found) in leaf.chunks_exact(width).zip(&mut found) {
            below.iter_mut().zip(bin).for_each(|(below, x)| *below += x);
            let (n, m) = (below[rows], all[rows] - below[rows]);
            let (step, other) = match shares.is_empty() {
                true => (share(n), share(m)),
                false => (shares[n as usize], shares[m as usize]),
            };
            for (g, all) in below[..rows].iter().zip(&all) {
                let (down, up) = (g * step, (all - g) * other);
                found[0] += down * g + up * (all - g);
                found[1] += down * down * n + up * up * m;
            }
        }
    }
    found
        .into_iter()
        .map(|[along, length]| along / length.sqrt())
        .collect()
}

impl Loss {
    /// The best outputs that are the same for all rows; half a row more of either kind, so that none is infinite.
    fn base(self, rows: &Examples, learned: &[usize]) -> Vec<f64> {
        let of = |output: usize| {
            let known = learned
                .iter()
                .map(|&row| (rows.weights[row], rows.targets[row][output]))
                .filter(|(_, target)| !target.is_nan());
            let (n, sum) = known.fold((0.0, 0.0), |(n, sum), (weight, target)| {
                (n + weight, sum + weight * target)
            });
            match self {
                Self::Squared if n > 0.0 => sum / n,
                Self::Squared => 0.0,
                Self::Logistic => ((sum + 0.5) / (n - sum + 0.5)).ln(),
                Self::Softmax => (sum + 0.5).ln(),
            }
        };
        let n_outputs = rows.targets.first().map_or(0, Vec::len);
        (0..n_outputs).map(of).collect()
    }

    /// Of a row: the downward slope of each output's loss, and its curvature; both 0 where the target is unknown.
    fn slopes(self, outputs: &[f64], targets: &[f64], weight: f64) -> Vec<[f64; 2]> {
        let slope = |(guess, &target): (f64, &f64)| {
            let curvature = if self == Self::Squared {
                1.0
            } else {
                guess * (1.0 - guess)
            };
            if target.is_nan() {
                [0.0; 2]
            } else {
                [weight * (target - guess), weight * curvature]
            }
        };
        self.guesses(outputs)
            .into_iter()
            .zip(targets)
            .map(slope)
            .collect()
    }

    /// Values or probabilities.
    fn guesses(self, outputs: &[f64]) -> Vec<f64> {
        match self {
            Self::Squared => outputs.to_vec(),
            Self::Logistic => outputs.iter().map(|z| 1.0 / (1.0 + (-z).exp())).collect(),
            Self::Softmax => {
                let most = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let powers: Vec<f64> = outputs.iter().map(|z| (z - most).exp()).collect();
                let total: f64 = powers.iter().sum();
                powers.into_iter().map(|power| power / total).collect()
            }
        }
    }

    /// The logits of two classes move apart at twice the step of each (Friedman, algorithm 6).
    fn step(self, n_outputs: usize) -> f64 {
        match self {
            Self::Softmax => (n_outputs as f64 - 1.0) / n_outputs as f64,
            _ => 1.0,
        }
    }

    /// Mean over the known targets of one row; NaN of none.
    fn of_row(self, outputs: &[f64], targets: &[f64]) -> f64 {
        let known = self.guesses(outputs).into_iter().zip(targets);
        let known = known.filter(|(_, target)| !target.is_nan());
        let (n, sum) = known.fold((0.0, 0.0), |(n, sum), (guess, &target)| {
            (n + 1.0, sum + self.of_guess(guess, target))
        });
        sum / n
    }

    fn of_guess(self, guess: f64, target: f64) -> f64 {
        match self {
            Self::Squared => (target - guess).powi(2),
            Self::Logistic => -(1.0 - target - guess).abs().max(1e-12).ln(),
            Self::Softmax => -target * guess.max(1e-12).ln(),
        }
    }

    /// Mean over the known targets of these rows, each counting what its row does; NaN of none.
    fn mean(self, outputs: &[Vec<f64>], examples: &Examples, rows: &[usize]) -> f64 {
        let (mut n, mut sum) = (0.0, 0.0);
        for &row in rows {
            let weight = examples.weights[row];
            let known = self
                .guesses(&outputs[row])
                .into_iter()
                .zip(&examples.targets[row]);
            for (guess, &target) in known.filter(|(_, target)| !target.is_nan()) {
                n += weight;
                sum += weight * self.of_guess(guess, target);
            }
        }
        sum / n
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{named, uniform};

    /// Rows of three numbers in [0, 1), and what is made of them.
    fn rows(seed: u64, n: usize, target: impl Fn(&[f32]) -> Vec<f64>) -> Examples {
        let mut random = named(seed, "rows");
        let inputs: Vec<Vec<f32>> = (0..n)
            .map(|_| (0..3).map(|_| uniform(&mut random) as f32).collect())
            .collect();
        let targets = inputs.iter().map(|row| target(row)).collect();
        Examples {
            weights: vec![1.0; n],
            inputs,
            targets,
        }
    }

    /// Models that left out a fifth of these rows each.
    fn grow(rows: &Examples, loss: Loss) -> Vec<Boosted> {
        let folds: Vec<u32> = (0..rows.inputs.len() as u32).map(|row| row % 5).collect();
        Boosted::fit_folds(rows, (&folds, 5), loss, ROUNDS, &|| true).unwrap()
    }

    /// What they say of a row, on average.
    fn outputs(models: &[Boosted], inputs: &[f32]) -> Vec<f64> {
        let mut sum = vec![0.0; models[0].base.len()];
        for model in models {
            let own = model.outputs(inputs).into_iter();
            sum.iter_mut()
                .zip(own)
                .for_each(|(sum, own)| *sum += own / models.len() as f64);
        }
        sum
    }

    fn fit(
        n: usize,
        loss: Loss,
        target: impl Fn(&[f32]) -> Vec<f64> + Copy,
    ) -> (Vec<Boosted>, f64) {
        let models = grow(&rows(1, n, target), loss);
        let test = rows(3, 400, target);
        let said: Vec<Vec<f64>> = test
            .inputs
            .iter()
            .map(|row| outputs(&models, row))
            .collect();
        let loss = loss.mean(&said, &test, &(0..400).collect::<Vec<_>>());
        (models, loss)
    }

    fn is(yes: bool) -> f64 {
        f64::from(u8::from(yes))
    }

    #[test]
    fn what_two_columns_say_only_together_is_found() {
        let xor = |row: &[f32]| vec![is((row[0] > 0.5) != (row[2] > 0.5))];
        // A coin is worth ln 2 = 0.69.
        assert!(fit(400, Loss::Logistic, xor).1 < 0.25);
        let quarter = |row: &[f32]| {
            let class = usize::from(row[0] > 0.5) * 2 + usize::from(row[1] > 0.3);
            (0..4).map(|own| is(own == class)).collect()
        };
        assert!(fit(400, Loss::Softmax, quarter).1 < 0.1);
    }

    #[test]
    fn a_threshold_is_found_by_many_outputs_and_where_some_are_unknown() {
        let steps = |row: &[f32]| {
            let value = is(row[1] > 0.7);
            let mut all = vec![value; 7];
            all[3] = if row[2] > 0.5 { f64::NAN } else { 1.0 - value };
            all
        };
        // The variance is 0.21.
        assert!(fit(200, Loss::Squared, steps).1 < 0.02);
    }

    #[test]
    fn noise_and_little_else_is_left_alone() {
        let noise = |row: &[f32]| vec![is((row[0] * 7919.0).fract() > 0.5)];
        assert!(fit(200, Loss::Logistic, noise).1 < 0.72);
        // Twenty rows, all of one kind.
        let (models, loss) = fit(20, Loss::Logistic, |_| vec![1.0]);
        assert!(loss < 0.05, "{loss}");
        assert!(outputs(&models, &[0.5; 3])[0] > 3.0);
    }

    #[test]
    fn no_border_stands_on_a_value() {
        let values: Vec<f32> = (0..500)
            .map(|i| (i * i % 97) as f32 / 10.0 + (i / 450) as f32)
            .collect();
        let feature = Feature::fit(values.clone());
        assert!(feature.borders.len() > 20);
        assert!(values.iter().all(|value| !feature.borders.contains(value)));
    }

    #[test]
    fn columns_that_never_change_are_never_asked() {
        let flat = |rows: Examples| Examples {
            inputs: vec![vec![1.0, f32::NAN]; rows.inputs.len()],
            ..rows
        };
        let half = |row: &[f32]| vec![f64::from(row[0])];
        let models = grow(&flat(rows(1, 50, half)), Loss::Squared);
        assert!(models.iter().all(|model| model.trees.is_empty()));
        assert!((outputs(&models, &[7.0, 7.0])[0] - 0.5).abs() < 0.1);
    }

    #[test]
    fn a_missing_value_is_a_kind_of_its_own_or_the_median() {
        let informative = |mut rows: Examples| {
            for (row, target) in rows.inputs.iter_mut().zip(&rows.targets) {
                row[0] = if target[0] > 0.5 { f32::NAN } else { row[0] };
            }
            rows
        };
        let late = |row: &[f32]| vec![is(row[1] > 0.5)];
        let models = grow(&informative(rows(1, 200, late)), Loss::Logistic);
        assert!(outputs(&models, &[f32::NAN, 0.5, 0.5])[0] > outputs(&models, &[0.5; 3])[0] + 2.0);
        // Where training rows lack none, one that does is like the one in the middle.
        let (models, _) = fit(200, Loss::Squared, |row| vec![f64::from(row[0])]);
        assert!((outputs(&models, &[f32::NAN, 0.5, 0.5])[0] - 0.5).abs() < 0.1);
    }

    #[test]
    fn rows_are_learned_from_as_much_as_they_count() {
        // Two kinds of rows that contradict each other: whoever counts more is believed.
        let late = |row: &[f32]| vec![is(row[1] > 0.5)];
        let mut both = rows(1, 400, late);
        for row in 200..400 {
            both.targets[row][0] = 1.0 - both.targets[row][0];
        }
        let says = |first: f64| {
            let mut weighed = both.clone();
            for (row, weight) in weighed.weights.iter_mut().enumerate() {
                *weight = if row < 200 { first } else { 2.0 - first };
            }
            let models = grow(&weighed, Loss::Logistic);
            outputs(&models, &[0.5, 0.9, 0.5])[0]
        };
        assert!(says(1.8) > 1.5 && says(0.2) < -1.5);
        // One that counts nothing is as good as none: its target may be anything.
        let mut other = both.clone();
        other.targets[7][0] = 1.0 - other.targets[7][0];
        let [own, other] = [both, other].map(|mut rows| {
            rows.weights[7] = 0.0;
            grow(&rows, Loss::Logistic)
        });
        assert_eq!(own, other);
    }

    /// What a model keeps is chosen without the rows that it left out, so that its word on them is that of a stranger.
    #[test]
    fn rows_that_a_model_left_out_have_no_say_in_it() {
        let late = |row: &[f32]| vec![is(row[1] > 0.5)];
        let own = rows(1, 200, late);
        let mut other = own.clone();
        for row in (0..200).step_by(5) {
            other.targets[row] = vec![1.0 - own.targets[row][0]];
        }
        let [own, other] = [own, other].map(|rows| grow(&rows, Loss::Logistic));
        assert_eq!(own[0].base, other[0].base);
        let n = own[0].trees.len().min(other[0].trees.len());
        assert!(n > 3, "{n}");
        assert_eq!(own[0].trees[..n], other[0].trees[..n]);
        assert_ne!(own[1].trees[0], other[1].trees[0]);
    }

    #[test]
    fn the_same_rows_make_the_same_models_and_who_is_told_to_stop_does() {
        let late = |row: &[f32]| vec![is(row[1] > 0.5)];
        let own = rows(1, 100, late);
        assert_eq!(grow(&own, Loss::Logistic), grow(&own, Loss::Logistic));
        let folds = [[0; 50], [1; 50]].concat();
        let stopped = Boosted::fit_folds(&own, (&folds, 2), Loss::Logistic, ROUNDS, &|| false);
        assert_eq!(stopped, None);
    }
}
