//! How often do the tests cry wolf? Two arms that are equally good are compared many times; a test
//! at 95 % should find a difference in 5 % of the comparisons.
//!
//! Each comparison is a small study: rows (in units of one or five that share their noise), five
//! folds, two ridge regressions fitted on each fold's training rows. Both read the same three
//! informative columns; each also reads four columns of noise of its own. Neither can be better
//! but by luck, training sets overlap as in any cross-validation, and every fold's luck is shared
//! by its test rows. The second part adds noise columns to one arm only, which is what metadata
//! without information does: there "better" is always a false alarm.
//!
//! A network's training is luck as well: the same arm trained twice differs. The middle part gives
//! every fit such luck (its weights are disturbed), which a bootstrap of the rows cannot see and
//! only the differences between folds show.
//!
//! The last column is the rule of `evidence`: the bootstrap at 95 %, and the corrected t at 80 %,
//! so that folds do not contradict. The last part is what each rule finds of a gain that is real.
//!
//! Run: `cargo run --release --example false_alarms [STUDIES]`

#![allow(clippy::print_stdout)]

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;
use sidelight_evidence::statistics::bootstrap::{Bootstrap, cluster_bootstrap};
use sidelight_evidence::statistics::distribution::normal_quantile;
use sidelight_evidence::statistics::significance::{corrected_resampled_t, wilson};

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
        "{:<34}{:>20}{:>20}{:>20}{:>20}",
        "", "bootstrap", "corrected t", "both", "as decided"
    );
    let equal = Study {
        units: 100,
        rows_per_unit: 1,
        noise: [NOISE, NOISE],
        luck: 0.0,
        real: 0.0,
    };
    for (units, rows_per_unit) in [(30, 1), (100, 1), (500, 1), (30, 5), (100, 5)] {
        let found = run(
            studies,
            &Study {
                units,
                rows_per_unit,
                ..equal
            },
        );
        line(
            &format!("equal arms, {units} units of {rows_per_unit}"),
            studies,
            &found,
            |d| d.p < 0.05,
        );
    }
    println!();
    for (units, luck) in [(100, 0.1), (100, 0.2), (500, 0.1), (500, 0.2)] {
        let found = run(
            studies,
            &Study {
                units,
                luck,
                ..equal
            },
        );
        line(
            &format!("equal arms, {units} units, luck {luck}"),
            studies,
            &found,
            |d| d.p < 0.05,
        );
    }
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
            studies,
            &found,
            |d| d.p < 0.05 && d.gain > 0.0,
        );
        line(
            &format!("noise added, {units} units: worse"),
            studies,
            &found,
            |d| d.p < 0.05 && d.gain < 0.0,
        );
    }
    println!();
    for (units, real) in [(100, 0.3), (100, 0.6), (500, 0.3), (500, 0.6)] {
        let found = run(
            studies,
            &Study {
                units,
                real,
                ..equal
            },
        );
        line(
            &format!("real gain {real}, {units} units"),
            studies,
            &found,
            |d| d.p < 0.05 && d.gain > 0.0,
        );
    }
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
}

/// What one test of one study says.
#[derive(Clone, Copy)]
struct Decision {
    p: f64,
    gain: f64,
}

fn line(label: &str, studies: usize, found: &[[Decision; 4]], says: impl Fn(&Decision) -> bool) {
    print!("{label:<34}");
    for test in 0..4 {
        let alarms = found.iter().filter(|study| says(&study[test])).count();
        let interval = wilson(alarms, studies, 0.95);
        let percent = |share: f64| format!("{:.1}", 100.0 * share);
        let text = format!(
            "{} % ({}-{})",
            percent(alarms as f64 / studies as f64),
            percent(interval.low),
            percent(interval.high)
        );
        print!("{text:>20}");
    }
    println!();
}

/// Every study's decision by bootstrap, by corrected t, by both (the larger p), and as `evidence` decides.
fn run(studies: usize, of: &Study) -> Vec<[Decision; 4]> {
    (0..studies)
        .into_par_iter()
        .map(|seed| study(seed as u64, of))
        .collect()
}

fn study(seed: u64, of: &Study) -> [Decision; 4] {
    let Study {
        units,
        rows_per_unit,
        noise,
        luck,
        real,
    } = *of;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let n = units * rows_per_unit;
    let unit_of_row: Vec<u32> = (0..n).map(|row| (row / rows_per_unit) as u32).collect();
    let fold_of_row: Vec<usize> = unit_of_row
        .iter()
        .map(|unit| *unit as usize % FOLDS)
        .collect();
    let unit_noise: Vec<f64> = (0..units).map(|_| normal(&mut rng)).collect();
    let informative: Vec<[f64; INFORMATIVE]> = (0..n)
        .map(|_| std::array::from_fn(|_| normal(&mut rng)))
        .collect();
    let truth: Vec<f64> = (0..n)
        .map(|row| {
            informative[row].iter().sum::<f64>()
                + unit_noise[row / rows_per_unit]
                + normal(&mut rng)
        })
        .collect();
    let secret: Vec<f64> = (0..n).map(|_| normal(&mut rng)).collect();
    let truth: Vec<f64> = truth
        .iter()
        .zip(&secret)
        .map(|(y, x)| y + real * x)
        .collect();
    let errors = [0, 1].map(|arm| {
        let n_noise = noise[arm];
        // Noise is shared within a unit, as a person's metadata would be.
        let own: Vec<Vec<f64>> = (0..units)
            .map(|_| (0..n_noise).map(|_| normal(&mut rng)).collect())
            .collect();
        let columns: Vec<Vec<f64>> = (0..n)
            .map(|row| {
                let told = if arm == 1 && real > 0.0 {
                    vec![secret[row]]
                } else {
                    vec![]
                };
                [&informative[row][..], &own[row / rows_per_unit], &told].concat()
            })
            .collect();
        out_of_fold_errors(&columns, &truth, &fold_of_row, luck, &mut rng)
    });
    let gain: Vec<f64> = errors[0]
        .iter()
        .zip(&errors[1])
        .map(|(a, b)| a - b)
        .collect();
    let mean = |weights: &[f64]| {
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
    let boot = cluster_bootstrap(&unit_of_row, mean, how).expect("a mean is defined");
    let per_fold: Vec<f64> = (0..FOLDS)
        .map(|fold| {
            let rows: Vec<f64> = (0..n)
                .filter(|&row| fold_of_row[row] == fold)
                .map(|row| gain[row])
                .collect();
            rows.iter().sum::<f64>() / rows.len() as f64
        })
        .collect();
    let t = corrected_resampled_t(&per_fold, 1.0 / (FOLDS as f64 - 1.0), 0.95).expect("five folds");
    let gain = boot.estimate;
    [boot.p, t.p, boot.p.max(t.p), boot.p.max(t.p / 4.0)].map(|p| Decision { p, gain })
}

/// Absolute errors of a ridge regression, each row predicted by the fit that did not see its fold.
fn out_of_fold_errors(
    columns: &[Vec<f64>],
    truth: &[f64],
    fold_of_row: &[usize],
    luck: f64,
    rng: &mut ChaCha8Rng,
) -> Vec<f64> {
    let mut errors = vec![0.0; truth.len()];
    for fold in 0..FOLDS {
        let train: Vec<usize> = (0..truth.len())
            .filter(|&row| fold_of_row[row] != fold)
            .collect();
        let mut weights = ridge(columns, truth, &train);
        weights
            .iter_mut()
            .for_each(|weight| *weight += luck * normal(rng));
        for row in (0..truth.len()).filter(|&row| fold_of_row[row] == fold) {
            let predicted: f64 = columns[row]
                .iter()
                .zip(&weights)
                .map(|(x, weight)| x * weight)
                .sum();
            errors[row] = (truth[row] - predicted).abs();
        }
    }
    errors
}

/// Weights of a ridge regression (penalty 1), by Gaussian elimination of its normal equations.
fn ridge(columns: &[Vec<f64>], truth: &[f64], rows: &[usize]) -> Vec<f64> {
    let d = columns[0].len();
    let mut system = vec![vec![0.0; d + 1]; d];
    for &row in rows {
        for i in 0..d {
            for j in 0..d {
                system[i][j] += columns[row][i] * columns[row][j];
            }
            system[i][d] += columns[row][i] * truth[row];
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

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    normal_quantile((rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64 + 1e-17)
}
