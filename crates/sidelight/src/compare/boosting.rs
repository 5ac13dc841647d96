//! Gradient boosting with symmetric trees: every node of a level asks the same question.
//!
//! # Source
//!
//! Friedman 2001, "Greedy function approximation", Annals of Statistics 29(5); the trees and their score are CatBoost's:
//! Prokhorenkova et al. 2018, arXiv:1706.09516, and Cosine in its documentation of score functions. Departures: no
//! ordered boosting, and members that each leave out some rows instead of bootstraps; of many outputs, only those with the
//! largest gradients decide the questions ("top outputs": Iosipoi & Vakhrushev 2022, SketchBoost, arXiv:2211.12858).

use crate::random::{named, shuffle};

/// What outputs are and how their error is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Values; the squared error.
    Squared,
    /// Logits of labels that are there or not; the log loss.
    Logistic,
    /// Logits of classes of which one is true; the log loss.
    Softmax,
}

/// Rows to learn from, or to choose by.
#[derive(Debug, Clone, Default)]
pub(super) struct Examples {
    /// `[row][feature]`; NaN: missing.
    pub(super) inputs: Vec<Vec<f32>>,
    /// `[row][output]`: values, or 0 and 1; NaN: unknown.
    pub(super) targets: Vec<Vec<f64>>,
}

/// Models grown side by side, each without its share of the training rows; what counts is their mean.
const MEMBERS: usize = 5;
/// Questions of a tree.
const DEPTH: usize = 5;
/// Trees of a member, at most.
const ROUNDS: usize = 400;
/// Trees of a member that may be added without a better loss of the rows to choose by.
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
pub(super) struct Boosted {
    features: Vec<Feature>,
    /// What it says without a tree.
    base: Vec<f64>,
    trees: Vec<Tree>,
}

#[derive(Debug, Clone, PartialEq)]
struct Feature {
    /// Ascending; the bin of a value is how many of them are below it.
    borders: Vec<f32>,
    /// What a missing value counts as: below all others where training rows lacked some, else the median.
    missing: f32,
}

#[derive(Debug, Clone, PartialEq)]
struct Tree {
    /// Feature and border: is its value above?
    questions: Vec<(usize, u8)>,
    /// `[leaf][output]`; the answer to the first question is the highest bit of a leaf's number.
    leaves: Vec<f64>,
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
            let quantile = |i| {
                let at = i * (known.len() - 1) / (BORDERS + 1);
                f32::midpoint(known[at], known[at + 1])
            };
            (1..=BORDERS).map(quantile).collect()
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
    /// Learns from `train`; `choose` says how many trees are enough, `seed` which rows each member leaves out.
    /// `None`: `goes_on` said no.
    pub(super) fn fit(
        train: &Examples,
        choose: &Examples,
        loss: Loss,
        seed: u64,
        goes_on: &dyn Fn() -> bool,
    ) -> Option<Self> {
        let n_features = train.inputs.first().map_or(0, Vec::len);
        let features: Vec<Feature> = (0..n_features)
            .map(|at| Feature::fit(train.inputs.iter().map(|row| row[at]).collect()))
            .collect();
        // By feature here: each is gone through alone.
        let bins_of = |rows: &Examples| -> Vec<Vec<u8>> {
            let bins = |(at, feature): (usize, &Feature)| {
                rows.inputs.iter().map(|row| feature.bin(row[at])).collect()
            };
            features.iter().enumerate().map(bins).collect()
        };
        let (bins, choosing) = (bins_of(train), bins_of(choose));
        let base = loss.base(&train.targets);
        let n = train.inputs.len();
        let mut order: Vec<usize> = (0..n).collect();
        shuffle(&mut order, &mut named(seed, "members of boosted trees"));
        let mut members = Vec::new();
        for member in 0..MEMBERS {
            let mut weights = vec![1.0; n];
            let left_out = order.iter().skip(member).step_by(MEMBERS);
            left_out.for_each(|&row| weights[row] = 0.0);
            members.push((weights, vec![base.clone(); n]));
        }
        let mut chosen = vec![base.clone(); choose.inputs.len()];
        let mut trees = Vec::new();
        let (mut best, mut n_best) = (loss.mean(&chosen, &choose.targets), 0);
        'rounds: while trees.len() < (ROUNDS * MEMBERS).min(n_best + PATIENCE * MEMBERS) {
            if !goes_on() {
                return None;
            }
            for (weights, outputs) in &mut members {
                let targets = &train.targets;
                let Some(mut tree) = Tree::grow(&features, &bins, outputs, targets, weights, loss)
                else {
                    break 'rounds;
                };
                for (row, outputs) in outputs.iter_mut().enumerate() {
                    tree.add(|feature| bins[feature][row], outputs);
                }
                tree.leaves
                    .iter_mut()
                    .for_each(|value| *value /= MEMBERS as f64);
                for (row, outputs) in chosen.iter_mut().enumerate() {
                    tree.add(|feature| choosing[feature][row], outputs);
                }
                trees.push(tree);
            }
            let now = loss.mean(&chosen, &choose.targets);
            // Without rows to choose by, all trees are taken.
            if now < best || now.is_nan() {
                (best, n_best) = (now, trees.len());
            }
        }
        trees.truncate(n_best);
        Some(Self {
            features,
            base,
            trees,
        })
    }

    /// Values or logits of a row.
    pub(super) fn outputs(&self, inputs: &[f32]) -> Vec<f64> {
        let bins: Vec<u8> = self
            .features
            .iter()
            .zip(inputs)
            .map(|(feature, &x)| feature.bin(x))
            .collect();
        let mut outputs = self.base.clone();
        self.trees
            .iter()
            .for_each(|tree| tree.add(|feature| bins[feature], &mut outputs));
        outputs
    }
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
        let shares: Vec<f64> = (0..=outputs.len()).map(|n| 1.0 / (n as f64 + L2)).collect();
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
            let (step, other) = (shares[n as usize], shares[m as usize]);
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
    fn base(self, targets: &[Vec<f64>]) -> Vec<f64> {
        let of = |output: usize| {
            let known = targets
                .iter()
                .map(|row| row[output])
                .filter(|target| !target.is_nan());
            let (n, sum) = known.fold((0.0, 0.0), |(n, sum), target| (n + 1.0, sum + target));
            match self {
                Self::Squared if n > 0.0 => sum / n,
                Self::Squared => 0.0,
                Self::Logistic => ((sum + 0.5) / (n - sum + 0.5)).ln(),
                Self::Softmax => (sum + 0.5).ln(),
            }
        };
        (0..targets.first().map_or(0, Vec::len)).map(of).collect()
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

    /// Mean over known targets; NaN of none.
    fn mean(self, outputs: &[Vec<f64>], targets: &[Vec<f64>]) -> f64 {
        let (mut n, mut sum) = (0.0, 0.0);
        for (outputs, targets) in outputs.iter().zip(targets) {
            for (guess, &target) in self.guesses(outputs).into_iter().zip(targets) {
                if !target.is_nan() {
                    n += 1.0;
                    sum += match self {
                        Self::Squared => (target - guess).powi(2),
                        Self::Logistic => -(1.0 - target - guess).abs().max(1e-12).ln(),
                        Self::Softmax => -target * guess.max(1e-12).ln(),
                    };
                }
            }
        }
        sum / n
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::uniform;

    /// Rows of three numbers in [0, 1), and what is made of them.
    fn rows(seed: u64, n: usize, target: impl Fn(&[f32]) -> Vec<f64>) -> Examples {
        let mut random = named(seed, "rows");
        let inputs: Vec<Vec<f32>> = (0..n)
            .map(|_| (0..3).map(|_| uniform(&mut random) as f32).collect())
            .collect();
        let targets = inputs.iter().map(|row| target(row)).collect();
        Examples { inputs, targets }
    }

    fn fit(n: usize, loss: Loss, target: impl Fn(&[f32]) -> Vec<f64> + Copy) -> (Boosted, f64) {
        let (train, choose, test) = (
            rows(1, n, target),
            rows(2, n / 4, target),
            rows(3, 400, target),
        );
        let model = Boosted::fit(&train, &choose, loss, 0, &|| true).unwrap();
        let outputs: Vec<Vec<f64>> = test.inputs.iter().map(|row| model.outputs(row)).collect();
        (model, loss.mean(&outputs, &test.targets))
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
        let (model, loss) = fit(20, Loss::Logistic, |_| vec![1.0]);
        assert!(loss < 0.05, "{loss}");
        assert!(model.outputs(&[0.5; 3])[0] > 3.0);
    }

    #[test]
    fn columns_that_never_change_are_never_asked() {
        let flat = |rows: Examples| Examples {
            inputs: vec![vec![1.0, f32::NAN]; rows.inputs.len()],
            ..rows
        };
        let half = |row: &[f32]| vec![f64::from(row[0])];
        let (train, choose) = (flat(rows(1, 50, half)), flat(rows(2, 20, half)));
        let model = Boosted::fit(&train, &choose, Loss::Squared, 0, &|| true).unwrap();
        assert!(model.trees.is_empty());
        assert!((model.outputs(&[7.0, 7.0])[0] - 0.5).abs() < 0.1);
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
        let (train, choose) = (
            informative(rows(1, 200, late)),
            informative(rows(2, 50, late)),
        );
        let model = Boosted::fit(&train, &choose, Loss::Logistic, 0, &|| true).unwrap();
        assert!(model.outputs(&[f32::NAN, 0.5, 0.5])[0] > model.outputs(&[0.5; 3])[0] + 2.0);
        // Where training rows lack none, one that does is like the one in the middle.
        let (model, _) = fit(200, Loss::Squared, |row| vec![f64::from(row[0])]);
        assert!((model.outputs(&[f32::NAN, 0.5, 0.5])[0] - 0.5).abs() < 0.1);
    }

    #[test]
    fn one_seed_makes_one_model_and_who_is_told_to_stop_does() {
        let late = |row: &[f32]| vec![is(row[1] > 0.5)];
        assert_eq!(
            fit(100, Loss::Logistic, late).0,
            fit(100, Loss::Logistic, late).0
        );
        let rows = rows(1, 100, late);
        assert_eq!(
            Boosted::fit(&rows, &rows, Loss::Logistic, 0, &|| false),
            None
        );
        // Without rows to choose by, too, there is a model.
        let model = Boosted::fit(&rows, &Examples::default(), Loss::Logistic, 0, &|| true).unwrap();
        assert_eq!(model.trees.len(), ROUNDS * MEMBERS);
    }
}
