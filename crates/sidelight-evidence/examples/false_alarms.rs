//! How often does a comparison cry wolf, and how much of what is real does it find? Two arms are compared many times.
//!
//! Each comparison is a small study: rows (in units of one or more that share their noise), five folds, two ridge
//! regressions (logistic ones of a class) fitted on each fold's training rows. Both read the same three informative
//! columns; each also reads four columns of noise of its own. Neither can be better but by luck, training sets overlap
//! as in any cross-validation, and every fold's luck is shared by its test rows. A test at 95 % should find a difference
//! in at most 5 %.
//!
//! A network's training is luck as well: the same arm trained twice differs. The second part gives every fit such luck
//! (its weights are disturbed), which resampling rows cannot see and only the differences between folds show. The third
//! adds noise columns to one arm only, which is what metadata without information does: there "better" is always a false
//! alarm. The last part is what is found of a gain that is real.
//!
//! Columns: the score that decides by resampled units alone; the same by Nadeau & Bengio's corrected resampled t alone;
//! what was done before (absolute error, or accuracy; the larger of the bootstrap's p and a quarter of the corrected
//! t's); the rule of `evidence`.
//!
//! Run: `cargo run --release --example false_alarms [STUDIES]`

#![allow(clippy::print_stdout)]

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;
use sidelight_evidence::metric::ranking::auroc;
use sidelight_evidence::statistics::bootstrap::{Bootstrap, Bootstrapped, cluster_bootstrap};
use sidelight_evidence::statistics::distribution::{normal_quantile, t_two_sided};
use sidelight_evidence::statistics::significance::{of_units_and_fits, wilson};
use sidelight_evidence::statistics::{mean, median};

const FOLDS: usize = 5;
const INFORMATIVE: usize = 3;
const NOISE: usize = 4;

fn main() {
    let studies: usize = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1000);
    println!(
        "share of {studies} studies in which a test at 95 % finds a difference (Wilson's 95 % interval)\n"
    );
    println!(
        "{:<42}{:>19}{:>19}{:>19}{:>19}",
        "", "units alone", "corrected t alone", "before", "as decided"
    );
    let equal = Study {
        units: 100,
        rows_per_unit: 1,
        noise: [NOISE, NOISE],
        luck: 0.0,
        real: 0.0,
        class: false,
    };
    // Patients of two pictures, one in five ill.
    let ill = Study {
        units: 311,
        rows_per_unit: 2,
        class: true,
        ..equal
    };
    let any = |d: &Decision| d.p < 0.05;
    let better = |d: &Decision| d.p < 0.05 && d.gain > 0.0;
    let worse = |d: &Decision| d.p < 0.05 && d.gain < 0.0;
    for (units, rows_per_unit) in [(30, 1), (100, 1), (500, 1), (30, 5), (100, 5)] {
        let of = Study {
            units,
            rows_per_unit,
            ..equal
        };
        let label = format!("equal arms, {units} units of {rows_per_unit}");
        line(&label, &run(studies, &of), any);
    }
    line(
        "equal arms, class, 311 units of 2",
        &run(studies, &ill),
        any,
    );
    println!();
    for (units, luck) in [(100, 0.1), (100, 0.2), (500, 0.1), (500, 0.2)] {
        let of = Study {
            units,
            luck,
            ..equal
        };
        let label = format!("equal arms, {units} units, luck {luck}");
        line(&label, &run(studies, &of), any);
    }
    let lucky = Study { luck: 0.2, ..ill };
    line(
        "equal arms, class, 311 units, luck 0.2",
        &run(studies, &lucky),
        any,
    );
    println!();
    for units in [30, 100, 500] {
        let found = run(
            studies,
            &Study {
                units,
                noise: [0, NOISE],
                ..equal
            },
        );
        line(
            &format!("noise added, {units} units: better"),
            &found,
            better,
        );
        line(&format!("noise added, {units} units: worse"), &found, worse);
    }
    println!();
    for (units, real) in [(100, 0.3), (100, 0.6), (500, 0.3), (500, 0.6)] {
        let of = Study {
            units,
            real,
            ..equal
        };
        let label = format!("real gain {real}, {units} units");
        line(&label, &run(studies, &of), better);
    }
    let found = run(studies, &Study { real: 0.9, ..ill });
    let of_arm = |arm: usize| {
        let values: Vec<f64> = found.iter().map(|study| study.auroc[arm]).collect();
        mean(&values).unwrap_or(f64::NAN)
    };
    let label = format!(
        "class, AUROC {:.3} to {:.3}, 311 units",
        of_arm(0),
        of_arm(1)
    );
    line(&label, &found, better);
}

/// One kind of study.
#[derive(Clone, Copy)]
struct Study {
    units: usize,
    rows_per_unit: usize,
    /// Columns of noise of each arm.
    noise: [usize; 2],
    /// Standard deviation of what disturbs each weight of each fit.
    luck: f64,
    /// Weight of a column that only the second arm reads.
    real: f64,
    /// Whether the target is a class of two, not a number.
    class: bool,
}

/// What one test of one study says.
#[derive(Clone, Copy)]
struct Decision {
    p: f64,
    gain: f64,
}

/// What all of them say, and the arms' AUROC where the target is a class.
struct Outcome {
    decisions: [Decision; 4],
    auroc: [f64; 2],
}

fn line(label: &str, found: &[Outcome], says: impl Fn(&Decision) -> bool) {
    print!("{label:<42}");
    for test in 0..4 {
        let alarms = found
            .iter()
            .filter(|study| says(&study.decisions[test]))
            .count();
        let interval = wilson(alarms, found.len(), 0.95);
        let percent = |share: f64| format!("{:.1}", 100.0 * share);
        let text = format!(
            "{} % ({}-{})",
            percent(alarms as f64 / found.len() as f64),
            percent(interval.low),
            percent(interval.high)
        );
        print!("{text:>19}");
    }
    println!();
}

fn run(studies: usize, of: &Study) -> Vec<Outcome> {
    (0..studies)
        .into_par_iter()
        .map(|seed| study(seed as u64, of))
        .collect()
}

fn study(seed: u64, of: &Study) -> Outcome {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let n = of.units * of.rows_per_unit;
    let unit_of_row: Vec<u32> = (0..n).map(|row| (row / of.rows_per_unit) as u32).collect();
    let fold_of_row: Vec<usize> = unit_of_row
        .iter()
        .map(|unit| *unit as usize % FOLDS)
        .collect();
    let unit_noise: Vec<f64> = (0..of.units).map(|_| normal(&mut rng)).collect();
    let informative: Vec<[f64; INFORMATIVE]> = (0..n)
        .map(|_| std::array::from_fn(|_| normal(&mut rng)))
        .collect();
    let secret: Vec<f64> = (0..n).map(|_| normal(&mut rng)).collect();
    let truth: Vec<f64> = (0..n)
        .map(|row| {
            let known: f64 = informative[row].iter().sum();
            let (own, told) = (unit_noise[row / of.rows_per_unit], of.real * secret[row]);
            match of.class {
                true => f64::from(u8::from(
                    uniform(&mut rng) < sigmoid(0.4 * known + told + 0.5 * own - 1.6),
                )),
                false => known + told + own + normal(&mut rng),
            }
        })
        .collect();
    let predicted = [0, 1].map(|arm| {
        // Noise is shared within a unit, as a person's metadata would be.
        let own: Vec<Vec<f64>> = (0..of.units)
            .map(|_| (0..of.noise[arm]).map(|_| normal(&mut rng)).collect())
            .collect();
        let columns: Vec<Vec<f64>> = (0..n)
            .map(|row| {
                let mut cells = informative[row].to_vec();
                cells.extend(&own[row / of.rows_per_unit]);
                cells.extend((arm == 1 && of.real > 0.0).then_some(secret[row]));
                cells.extend(of.class.then_some(1.0));
                cells
            })
            .collect();
        out_of_fold(&columns, &truth, &fold_of_row, of, &mut rng)
    });
    let gain = |loss: &dyn Fn(f64, f64) -> f64| -> Vec<f64> {
        let row =
            |row: usize| loss(truth[row], predicted[0][row]) - loss(truth[row], predicted[1][row]);
        (0..n).map(row).collect()
    };
    let residuals: Vec<f64> = truth
        .iter()
        .zip(&predicted[0])
        .map(|(y, p)| (y - p).abs())
        .collect();
    let bend = 1.345 * median(&residuals).unwrap_or(1.0) / 0.6745;
    let (now, before) = match of.class {
        true => (
            gain(&|y, p| -(1.0 - (y - p).abs()).max(f64::EPSILON).ln()),
            gain(&|y, p| f64::from(u8::from((y - p).abs() > 0.5))),
        ),
        false => (
            gain(&|y, p| {
                let inside = (y - p).abs().min(bend);
                inside * ((y - p).abs() - inside / 2.0)
            }),
            gain(&|y, p| (y - p).abs()),
        ),
    };
    let auroc = predicted.map(|p| {
        let ill: Vec<bool> = truth.iter().map(|y| *y > 0.5).collect();
        auroc(&ill, &p).unwrap_or(f64::NAN)
    });
    let (units, folds) = tested(&now, &unit_of_row, &fold_of_row, seed);
    let (old_units, old_folds) = tested(&before, &unit_of_row, &fold_of_row, seed);
    let decided = of_units_and_fits(
        units.estimate,
        units.se,
        of.units,
        std::slice::from_ref(&folds),
        0.95,
    );
    let old = old_units.p.max(corrected_t(&old_folds) / 4.0);
    let of = |p, gain| Decision { p, gain };
    Outcome {
        decisions: [
            of(units.p, units.estimate),
            of(corrected_t(&folds), units.estimate),
            of(old, old_units.estimate),
            of(decided.p, units.estimate),
        ],
        auroc,
    }
}

/// The mean gain with its units resampled, and its mean in each fold with the fold's rows.
fn tested(
    gain: &[f64],
    units: &[u32],
    folds: &[usize],
    seed: u64,
) -> (Bootstrapped, Vec<(f64, f64)>) {
    let weighted = |weights: &[f64]| {
        let total: f64 = weights.iter().sum();
        Some(
            gain.iter()
                .zip(weights)
                .map(|(gain, weight)| gain * weight)
                .sum::<f64>()
                / total,
        )
    };
    let how = Bootstrap {
        replicates: 1000,
        seed,
        ..Bootstrap::default()
    };
    let of_fold = |fold: usize| {
        let own = gain.iter().zip(folds).filter(|(_, own)| **own == fold);
        let own: Vec<f64> = own.map(|(gain, _)| *gain).collect();
        (mean(&own).unwrap_or(f64::NAN), own.len() as f64)
    };
    let found = cluster_bootstrap(units, weighted, how).expect("a mean is defined");
    (found, (0..FOLDS).map(of_fold).collect())
}

/// p of the corrected resampled t: `(1/J + n_test/n_train) s²`. Nadeau & Bengio 2003, "Inference for the
/// Generalization Error", Machine Learning 52, eq. 9.
fn corrected_t(folds: &[(f64, f64)]) -> f64 {
    let n = FOLDS as f64;
    let mean = folds.iter().map(|(gain, _)| gain).sum::<f64>() / n;
    let variance = folds
        .iter()
        .map(|(gain, _)| (gain - mean).powi(2))
        .sum::<f64>()
        / (n - 1.0);
    // Where no answer changes there is no difference.
    if variance == 0.0 {
        return if mean == 0.0 { 1.0 } else { 0.0 };
    }
    t_two_sided(
        mean / ((1.0 / n + 1.0 / (n - 1.0)) * variance).sqrt(),
        n - 1.0,
    )
}

/// What a fit that did not see a row's fold says of the row: a number, or the probability of the class.
fn out_of_fold(
    columns: &[Vec<f64>],
    truth: &[f64],
    fold_of_row: &[usize],
    of: &Study,
    rng: &mut ChaCha8Rng,
) -> Vec<f64> {
    let mut predicted = vec![0.0; truth.len()];
    for fold in 0..FOLDS {
        let rows = 0..truth.len();
        let (test, train): (Vec<usize>, Vec<usize>) =
            rows.partition(|&row| fold_of_row[row] == fold);
        let mut weights = match of.class {
            true => logistic(columns, truth, &train),
            false => ridge(columns, &train, |row| (truth[row], 1.0)),
        };
        weights
            .iter_mut()
            .for_each(|weight| *weight += of.luck * normal(rng));
        for row in test {
            let said = dot(&columns[row], &weights);
            predicted[row] = if of.class { sigmoid(said) } else { said };
        }
    }
    predicted
}

/// Weights of a logistic regression (penalty 1): six of Newton's steps, each a ridge regression.
fn logistic(columns: &[Vec<f64>], truth: &[f64], rows: &[usize]) -> Vec<f64> {
    let mut weights = vec![0.0; columns[0].len()];
    for _ in 0..6 {
        weights = ridge(columns, rows, |row| {
            let z = dot(&columns[row], &weights);
            let p = sigmoid(z);
            let curvature = (p * (1.0 - p)).max(1e-6);
            (z + (truth[row] - p) / curvature, curvature)
        });
    }
    weights
}

/// Weights of a ridge regression (penalty 1), by Gaussian elimination of its normal equations; a row's target and how
/// much it counts.
fn ridge(columns: &[Vec<f64>], rows: &[usize], target: impl Fn(usize) -> (f64, f64)) -> Vec<f64> {
    let d = columns[0].len();
    let mut system = vec![vec![0.0; d + 1]; d];
    for &row in rows {
        let (y, weight) = target(row);
        for i in 0..d {
            for j in 0..d {
                system[i][j] += weight * columns[row][i] * columns[row][j];
            }
            system[i][d] += weight * columns[row][i] * y;
        }
    }
    (0..d).for_each(|i| system[i][i] += 1.0);
    for i in 0..d {
        // The penalty keeps every pivot above 0.
        let pivot = system[i].clone();
        for other in (0..d).filter(|&other| other != i) {
            let factor = system[other][i] / pivot[i];
            system[other]
                .iter_mut()
                .zip(&pivot)
                .for_each(|(x, p)| *x -= factor * p);
        }
    }
    (0..d).map(|i| system[i][d] / system[i][i]).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    normal_quantile(uniform(rng) + 1e-17)
}
