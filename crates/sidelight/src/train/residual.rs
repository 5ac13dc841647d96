//! What an image does not say of the target: the residuals of a ridge regression on its frozen features.
//!
//! Each row's is that of a regression that has not seen its fold. Features are projected at random to a few hundred numbers,
//! which keeps their inner products (Johnson & Lindenstrauss 1984) and makes it a matter of moments.

use rayon::prelude::*;

use crate::random::{named, uniform};

/// Features are projected to so many numbers, at most.
const WIDTH: usize = 256;
/// Penalties that are tried, as shares of the number of rows.
const PENALTIES: [f64; 5] = [0.03, 0.1, 0.3, 1.0, 3.0];

/// Residuals of these targets (`[row][output]`; NaN: unknown, whose residual is 0) given the features of the rows.
pub(super) fn residuals(
    features: &[&[f32]],
    targets: &[Vec<f64>],
    (folds, n_folds): (&[u32], usize),
) -> Vec<Vec<f64>> {
    let rows = projected(features);
    let of_fold = |fold: usize| {
        let learns = |row: &usize| folds[*row] as usize != fold;
        Ridge::new(&rows, targets, (0..rows.len()).filter(learns))
    };
    let models: Vec<Ridge> = (0..n_folds).into_par_iter().map(of_fold).collect();
    let with = |penalty: f64| {
        let solved: Vec<Vec<Vec<f64>>> = models
            .par_iter()
            .map(|model| model.solve(penalty))
            .collect();
        let residual = |row: usize| {
            let fold = folds[row] as usize;
            models[fold].residual(&solved[fold], &rows[row], &targets[row])
        };
        let residuals: Vec<Vec<f64>> = (0..rows.len()).map(residual).collect();
        let error: f64 = residuals.iter().flatten().map(|x| x * x).sum();
        (error, residuals)
    };
    let all = PENALTIES.map(with).into_iter();
    let best = all.min_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, residuals)| residuals).unwrap_or_default()
}

/// Standardised features, projected by random signs.
fn projected(features: &[&[f32]]) -> Vec<Vec<f64>> {
    let width = features.first().map_or(0, |row| row.len());
    let n = features.len().max(1) as f64;
    let mut moments = vec![[0.0; 2]; width];
    for row in features {
        for (moments, &x) in moments.iter_mut().zip(*row) {
            let x = f64::from(x);
            *moments = [moments[0] + x / n, moments[1] + x * x / n];
        }
    }
    let to = WIDTH.min(width);
    let mut random = named(0, "projection of features");
    let scale = (width.max(1) as f64).sqrt().recip();
    let signs: Vec<f32> = (0..width * to)
        .map(|_| {
            if uniform(&mut random) < 0.5 {
                -1.0
            } else {
                1.0
            }
        })
        .collect();
    let project = |row: &&[f32]| {
        let mut out = vec![0.0_f32; to];
        for (at, (&x, [mean, square])) in row.iter().zip(&moments).enumerate() {
            let sd = (square - mean * mean).max(0.0).sqrt();
            let x = if sd > 1e-6 {
                (f64::from(x) - mean) / sd * scale
            } else {
                0.0
            } as f32;
            let signs = &signs[at * to..(at + 1) * to];
            out.iter_mut()
                .zip(signs)
                .for_each(|(out, sign)| *out += sign * x);
        }
        out.into_iter().map(f64::from).collect()
    };
    features.par_iter().map(project).collect()
}

/// The normal equations of a linear regression with an intercept.
struct Ridge {
    n: f64,
    means: Vec<f64>,
    target_means: Vec<f64>,
    /// `[feature][feature]`, of centred features.
    products: Vec<Vec<f64>>,
    /// `[output][feature]`
    with_targets: Vec<Vec<f64>>,
}

impl Ridge {
    fn new(rows: &[Vec<f64>], targets: &[Vec<f64>], learned: impl Iterator<Item = usize>) -> Self {
        let learned: Vec<usize> = learned.collect();
        let n = learned.len().max(1) as f64;
        let mean = |of: &[Vec<f64>]| {
            let width = of.first().map_or(0, Vec::len);
            let (mut sums, mut known) = (vec![0.0; width], vec![0.0_f64; width]);
            for (at, &x) in learned.iter().flat_map(|&row| of[row].iter().enumerate()) {
                if !x.is_nan() {
                    sums[at] += x;
                    known[at] += 1.0;
                }
            }
            let means = sums.iter().zip(known).map(|(sum, n)| sum / n.max(1.0));
            means.collect::<Vec<f64>>()
        };
        let (means, target_means) = (mean(rows), mean(targets));
        let mut products = vec![vec![0.0; means.len()]; means.len()];
        let mut with_targets = vec![vec![0.0; means.len()]; target_means.len()];
        for &row in &learned {
            let x: Vec<f64> = rows[row]
                .iter()
                .zip(&means)
                .map(|(x, mean)| x - mean)
                .collect();
            for (at, products) in products.iter_mut().enumerate() {
                // Symmetric: the lower half is enough.
                let own = x[at];
                products[..=at]
                    .iter_mut()
                    .zip(&x)
                    .for_each(|(sum, x)| *sum += own * x);
            }
            for (sums, (target, mean)) in with_targets
                .iter_mut()
                .zip(targets[row].iter().zip(&target_means))
            {
                if !target.is_nan() {
                    sums.iter_mut()
                        .zip(&x)
                        .for_each(|(sum, x)| *sum += (target - mean) * x);
                }
            }
        }
        Self {
            n,
            means,
            target_means,
            products,
            with_targets,
        }
    }

    /// Weights, `[output][feature]`, by Cholesky's decomposition.
    fn solve(&self, penalty: f64) -> Vec<Vec<f64>> {
        let mut lower = self.products.clone();
        for (at, row) in lower.iter_mut().enumerate() {
            row[at] += penalty * self.n;
        }
        for i in 0..lower.len() {
            for j in 0..=i {
                let (above, own) = lower.split_at_mut(i);
                let own = &mut own[0];
                let known = if i == j {
                    own[..j].to_vec()
                } else {
                    above[j][..j].to_vec()
                };
                let rest = own[j] - own[..j].iter().zip(&known).map(|(a, b)| a * b).sum::<f64>();
                own[j] = if i == j {
                    rest.max(1e-12).sqrt()
                } else {
                    rest / above[j][j]
                };
            }
        }
        let solve = |sums: &Vec<f64>| {
            let mut x = sums.clone();
            for i in 0..x.len() {
                let known: f64 = lower[i][..i].iter().zip(&x).map(|(a, b)| a * b).sum();
                x[i] = (x[i] - known) / lower[i][i];
            }
            for i in (0..x.len()).rev() {
                let known: f64 = (i + 1..x.len()).map(|j| lower[j][i] * x[j]).sum();
                x[i] = (x[i] - known) / lower[i][i];
            }
            x
        };
        self.with_targets.iter().map(solve).collect()
    }

    fn residual(&self, weights: &[Vec<f64>], x: &[f64], targets: &[f64]) -> Vec<f64> {
        let outputs = weights.iter().zip(targets.iter().zip(&self.target_means));
        let residual = |(weights, (target, mean)): (&Vec<f64>, (&f64, &f64))| {
            let centred = x.iter().zip(&self.means).map(|(x, mean)| x - mean);
            let said: f64 = centred.zip(weights).map(|(x, weight)| x * weight).sum();
            if target.is_nan() {
                0.0
            } else {
                target - mean - said
            }
        };
        outputs.map(residual).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_features_say_is_gone_and_the_rest_is_left() {
        let mut random = named(1, "rows");
        let rows: Vec<[f32; 3]> = (0..300)
            .map(|_| std::array::from_fn(|_| uniform(&mut random) as f32 - 0.5))
            .collect();
        let rest: Vec<f64> = (0..300).map(|_| uniform(&mut random) - 0.5).collect();
        let said = |row: &[f32; 3]| 7.0 + 3.0 * f64::from(row[0]) - 2.0 * f64::from(row[1]);
        let targets: Vec<Vec<f64>> = (rows.iter().zip(&rest).enumerate())
            .map(|(at, (row, rest))| match at {
                5 => vec![f64::NAN, said(row)],
                _ => vec![said(row) + rest, said(row)],
            })
            .collect();
        let features: Vec<&[f32]> = rows.iter().map(<[f32; 3]>::as_slice).collect();
        let folds: Vec<u32> = (0..300).map(|row| row % 5).collect();
        let left = residuals(&features, &targets, (&folds, 5));
        assert_eq!(left[5][0], 0.0);
        let error =
            |of: &dyn Fn(usize) -> f64| (0..300).map(of).map(|x| x * x).sum::<f64>() / 300.0;
        let of_rest = error(&|row| {
            if row == 5 {
                0.0
            } else {
                left[row][0] - rest[row]
            }
        });
        // The variances are 0.08 of the rest, and 1.1 of what is said.
        assert!(of_rest < 0.01, "{of_rest}");
        assert!(error(&|row| left[row][1]) < 0.01);
    }
}
