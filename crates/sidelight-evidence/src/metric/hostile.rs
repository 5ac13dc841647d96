//! Every metric beside a slow and obvious one, over values that nobody would choose: nothing, one row, one class, ties,
//! constants, numbers at both ends of what there is, NaN where a prediction may be one, rows that count for nothing.

use proptest::prelude::*;
use proptest::sample::select;
use sidelight_data::config::{Normalizer, TargetScale};
use sidelight_data::dataset::Targets;
use sidelight_data::task::Prediction;

use super::calibration::Prior;
use super::*;
use crate::statistics::hostile::number;

/// `None`: not defined, so left out.
type Score = Option<f64>;
/// Yes-or-no cells, each with what was said of it, to a score.
type ScoreOfCells = dyn Fn(&[(bool, f64)]) -> Score;

/// Errors in a target's unit may have any size; what is a share, or 1 less one, is as near as rounding leaves 1.
fn agree(name: &str, found: Score, expected: Score) -> bool {
    let least = match name {
        "mae" | "scaled_mae" | "median_ae" | "rmse" => 1e-290,
        _ => 1.0,
    };
    match (found, expected) {
        (Some(a), Some(b)) => {
            // The last numbers before infinity may round to it.
            let is_beyond = a.is_infinite() && b.abs() > 1e308 && a.signum() == b.signum();
            let is_near = (a - b).abs() <= 1e-9 * b.abs().max(least);
            a == b || (a.is_nan() && b.is_nan()) || is_beyond || is_near
        }
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// Compares each metric of the task, plain and with rows that count as often as `times` says, with `slow`, which is
/// given a metric's name and the numbers of rows, each as often as it counts.
fn compare(
    task: &Task,
    targets: &Targets,
    predictions: &[Prediction],
    times: &[usize],
    slow: &dyn Fn(&str, &[usize]) -> Score,
) -> Result<(), TestCaseError> {
    let rows: Vec<usize> = (0..predictions.len()).collect();
    let evaluation = Evaluation {
        task,
        targets,
        rows: &rows,
        predictions,
        sizes: None,
        weights: None,
    };
    let plain = score(&evaluation);
    let weights: Vec<f64> = times.iter().map(|n| *n as f64).collect();
    let repeated: Vec<usize> = rows
        .iter()
        .flat_map(|row| std::iter::repeat_n(*row, times[*row]))
        .collect();
    let weighed = score(&Evaluation {
        weights: Some(&weights),
        ..evaluation
    });
    for name in scoring(task.kind(), task.n_outputs()).metrics {
        let metric = WeightedMetric::new(name, &evaluation).expect("is listed");
        let once = slow(name, &rows);
        for (what, found, expected) in [
            ("row weights", weighed.get(name), slow(name, &repeated)),
            ("score", plain.get(name), once),
            ("unweighted", metric.value(None), once),
            (
                "weighted",
                metric.value(Some(&weights)),
                slow(name, &repeated),
            ),
        ] {
            prop_assert!(
                agree(name, found, expected),
                "{name}, {what}: {found:?}, expected {expected:?}"
            );
        }
    }
    Ok(())
}

/// The mean, however large its numbers are.
fn plain_mean(values: &[f64]) -> Score {
    let largest = values.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let scale = if largest.is_finite() && largest > 0.0 {
        largest
    } else {
        1.0
    };
    let n = values.len() as f64;
    (!values.is_empty()).then(|| values.iter().map(|x| x / scale).sum::<f64>() / n * scale)
}

/// The value in the middle, NaN above all others.
fn plain_median(values: &[f64]) -> Score {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(a.is_nan().cmp(&b.is_nan())));
    let n = sorted.len();
    (n > 0).then(|| sorted[(n - 1) / 2] / 2.0 + sorted[n / 2] / 2.0)
}

fn ratio(hits: usize, of: usize) -> Score {
    (of > 0).then(|| hits as f64 / of as f64)
}

fn mean_of(parts: impl Iterator<Item = Score>) -> Score {
    plain_mean(&parts.flatten().collect::<Vec<f64>>())
}

/// Positives and negatives pair by pair; NaN is above all and equal to itself.
fn pairs_in_order(cells: &[(bool, f64)]) -> Score {
    let score = |(_, p): &(bool, f64)| if p.is_nan() { f64::INFINITY } else { *p };
    let of = |wanted: bool| cells.iter().filter(move |cell| cell.0 == wanted);
    let (mut wins, mut n) = (0.0, 0.0);
    for positive in of(true) {
        for negative in of(false) {
            n += 1.0;
            wins += match score(positive).total_cmp(&score(negative)) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    (n > 0.0).then(|| wins / n)
}

/// Precision at each threshold, times what recall gains there.
fn precision_area(cells: &[(bool, f64)]) -> Score {
    let score = |p: f64| if p.is_nan() { f64::INFINITY } else { p };
    let mut thresholds: Vec<f64> = cells.iter().map(|cell| score(cell.1)).collect();
    thresholds.sort_by(|a, b| b.total_cmp(a));
    thresholds.dedup();
    let n_positive = cells.iter().filter(|cell| cell.0).count();
    let (mut area, mut recall) = (0.0, 0.0);
    for threshold in thresholds {
        let above = || cells.iter().filter(|cell| score(cell.1) >= threshold);
        let found = above().filter(|cell| cell.0).count();
        let now = found as f64 / n_positive as f64;
        area += (now - recall) * found as f64 / above().count() as f64;
        recall = now;
    }
    (n_positive > 0).then_some(area)
}

fn f1_of(cells: impl Iterator<Item = (bool, bool)>) -> Score {
    let (mut twice, mut all) = (0, 0);
    for (present, predicted) in cells {
        twice += 2 * usize::from(present && predicted);
        all += usize::from(present) + usize::from(predicted);
    }
    ratio(twice, all)
}

fn loss_of(p: f64) -> f64 {
    -p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// Confidence and whether it was right, bin by bin.
fn calibration_error(cells: &[(f64, bool)]) -> Score {
    let mut sum = 0.0;
    for k in 1..=calibration::BINS {
        let [low, high] = [k - 1, k].map(|k| k as f64 / calibration::BINS as f64);
        let is_in = |p: f64| (p > low || k == 1) && p <= high || (k == 1 && p.is_nan());
        let gap: f64 = cells
            .iter()
            .filter(|(p, _)| is_in(*p))
            .map(|(p, right)| p - f64::from(u8::from(*right)))
            .sum();
        sum += gap.abs();
    }
    (!cells.is_empty()).then(|| sum / cells.len() as f64)
}

fn slow_number(name: &str, cells: &[(f64, f64)]) -> Score {
    let cells: Vec<(f64, f64)> = cells
        .iter()
        .copied()
        .filter(|(y, _)| y.is_finite())
        .collect();
    let errors: Vec<f64> = cells.iter().map(|(y, p)| (y - p).abs()).collect();
    match name {
        // The tasks here have a standard deviation of 1.
        "mae" | "scaled_mae" => plain_mean(&errors),
        "median_ae" => plain_median(&errors),
        "rmse" => {
            let largest = errors.iter().fold(0.0, |most: f64, error| most.max(*error));
            let scale = if largest.is_finite() && largest > 0.0 {
                largest
            } else {
                1.0
            };
            let squares: Vec<f64> = errors.iter().map(|error| (error / scale).powi(2)).collect();
            plain_mean(&squares).map(|mean| mean.sqrt() * scale)
        }
        "mape" => {
            let known = cells.iter().filter(|(y, _)| *y != 0.0);
            plain_mean(
                &known
                    .map(|(y, p)| ((y - p) / y).abs())
                    .collect::<Vec<f64>>(),
            )
        }
        "r2" => {
            let scale = cells
                .iter()
                .fold(0.0, |most: f64, (y, _)| most.max(y.abs()));
            let (mut total, mut unexplained) = (0.0, 0.0);
            for (at, (y, p)) in cells.iter().enumerate() {
                // The variance as half the mean square of all differences: 0 where all are one number.
                for (other, _) in &cells[..at] {
                    total += (y / scale - other / scale).powi(2) / cells.len() as f64;
                }
                unexplained += (y / scale - p / scale).powi(2);
            }
            (total > 0.0).then(|| 1.0 - unexplained / total)
        }
        other => panic!("{other} has no slow twin"),
    }
}

fn regression(n_columns: usize) -> Task {
    Task::Regression {
        columns: (0..n_columns).map(|at| format!("c{at}")).collect(),
        scale: TargetScale::Linear,
        mean: vec![0.0; n_columns],
        sd: vec![1.0; n_columns],
        range: vec![[0.0, 1.0]; n_columns],
    }
}

const GRID: [f32; 6] = [0.0, 0.125, 0.25, 0.5, 0.75, 1.0];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn scores_of_numbers_are_those_of_a_slow_reference(
        cells in prop::collection::vec((
            prop_oneof![9 => number(), 1 => Just(f64::NAN)],
            prop_oneof![9 => number(), 1 => select(vec![f64::NAN, -f64::NAN, f64::INFINITY])],
            0..4_usize,
        ), 0..7),
        is_constant in any::<bool>(),
    ) {
        let first = cells.first().map_or(0.0, |cell| cell.0);
        let y = |cell: &(f64, f64, usize)| if is_constant { first } else { cell.0 };
        let targets = Targets::Regression { names: vec!["c0".into()], values: cells.iter().map(y).collect() };
        let predictions: Vec<Prediction> =
            cells.iter().map(|cell| Prediction::Regression { values: vec![cell.1] }).collect();
        let times: Vec<usize> = cells.iter().map(|cell| cell.2).collect();
        compare(&regression(1), &targets, &predictions, &times, &|name, rows| {
            let pairs: Vec<(f64, f64)> = rows.iter().map(|&row| (y(&cells[row]), cells[row].1)).collect();
            slow_number(name, &pairs)
        })?;
    }

    #[test]
    fn scores_of_several_columns_are_the_mean_of_those_of_each(
        cells in prop::collection::vec(([-9.0..9.0, -1e3..1e3], [-9.0..9.0, -1e3..1e3], 0..4_usize), 0..7),
    ) {
        let names: Vec<String> = vec!["c0".into(), "c1".into()];
        let targets = Targets::Regression { names, values: cells.iter().flat_map(|cell| cell.0).collect() };
        let predictions: Vec<Prediction> =
            cells.iter().map(|cell| Prediction::Regression { values: cell.1.to_vec() }).collect();
        let times: Vec<usize> = cells.iter().map(|cell| cell.2).collect();
        compare(&regression(2), &targets, &predictions, &times, &|name, rows| {
            let of = |column: usize| {
                let pair = |row: &usize| (cells[*row].0[column], cells[*row].1[column]);
                slow_number(name, &rows.iter().map(pair).collect::<Vec<(f64, f64)>>())
            };
            mean_of([of(0), of(1)].into_iter())
        })?;
    }

    #[test]
    fn scores_of_classes_are_those_of_a_slow_reference(
        n_classes in 2..4_usize,
        cells in prop::collection::vec((
            prop_oneof![5 => (0..3_u32).prop_map(Some), 1 => Just(None)],
            [select(GRID.to_vec()), select(GRID.to_vec()), select(GRID.to_vec())],
            0..4_usize,
        ), 0..9),
        is_one_class in any::<bool>(),
    ) {
        let truth = |row: usize| {
            let own = if is_one_class { Some(1) } else { cells[row].0 };
            own.map(|class| class % n_classes as u32)
        };
        let names: Vec<String> = (0..n_classes).map(|class| format!("k{class}")).collect();
        let task = Task::Class { column: "k".into(), names: names.clone(), counts: vec![1; n_classes] };
        let targets = Targets::Class { names, index: (0..cells.len()).map(truth).collect() };
        let p = |row: usize| &cells[row].1[..n_classes];
        let predictions: Vec<Prediction> =
            (0..cells.len()).map(|row| Prediction::Class { probabilities: p(row).to_vec() }).collect();
        let times: Vec<usize> = cells.iter().map(|cell| cell.2).collect();
        compare(&task, &targets, &predictions, &times, &|name, rows| {
            let known: Vec<(usize, Vec<f64>)> = rows
                .iter()
                .filter_map(|&row| Some((truth(row)? as usize, p(row).iter().map(|&p| f64::from(p)).collect())))
                .collect();
            let best = |p: &[f64]| (0..p.len()).fold(0, |best, class| if p[class] > p[best] { class } else { best });
            let curves = if n_classes == 2 { 1..2 } else { 0..n_classes };
            let one = |class: usize| -> Vec<(bool, f64)> {
                known.iter().map(|(own, p)| (*own == class, p[class])).collect()
            };
            let losses = |row: &(usize, Vec<f64>)| loss_of(row.1[row.0]);
            let squares = |(own, p): &(usize, Vec<f64>)| -> f64 {
                let classes = if n_classes == 2 { 1..2 } else { 0..n_classes };
                classes.map(|class| (p[class] - f64::from(u8::from(*own == class))).powi(2)).sum()
            };
            match name {
                "accuracy" => ratio(known.iter().filter(|(own, p)| best(p) == *own).count(), known.len()),
                "balanced_accuracy" => mean_of((0..n_classes).map(|class| {
                    let own = || known.iter().filter(|row| row.0 == class);
                    ratio(own().filter(|(_, p)| best(p) == class).count(), own().count())
                })),
                "auroc" => mean_of(curves.map(|class| pairs_in_order(&one(class)))),
                "average_precision" => mean_of(curves.map(|class| precision_area(&one(class)))),
                "macro_f1" => mean_of((0..n_classes).map(|class| {
                    f1_of(known.iter().map(|(own, p)| (*own == class, best(p) == class)))
                })),
                "log_loss" => plain_mean(&known.iter().map(losses).collect::<Vec<f64>>()),
                "brier" => plain_mean(&known.iter().map(squares).collect::<Vec<f64>>()),
                "ece" => {
                    let cell = |(own, p): &(usize, Vec<f64>)| (p[best(p)], best(p) == *own);
                    calibration_error(&known.iter().map(cell).collect::<Vec<(f64, bool)>>())
                }
                other => panic!("{other} has no slow twin"),
            }
        })?;
    }

    #[test]
    fn scores_of_labels_are_those_of_a_slow_reference(
        cells in prop::collection::vec((
            [select(vec![None, Some(true), Some(false)]), select(vec![None, Some(true), Some(false)])],
            prop_oneof![
                9 => [select(GRID.to_vec()), select(GRID.to_vec())],
                1 => [select(vec![f32::NAN, -f32::NAN, 0.5]), select(GRID.to_vec())],
            ],
            0..4_usize,
        ), 0..9),
    ) {
        let names: Vec<String> = vec!["l0".into(), "l1".into()];
        let task = Task::Multilabel { names: names.clone(), counts: vec![1; 2], known: vec![2; 2] };
        let targets = Targets::Multilabel { names, present: cells.iter().flat_map(|cell| cell.0).collect() };
        let predictions: Vec<Prediction> =
            cells.iter().map(|cell| Prediction::Multilabel { probabilities: cell.1.to_vec() }).collect();
        let times: Vec<usize> = cells.iter().map(|cell| cell.2).collect();
        compare(&task, &targets, &predictions, &times, &|name, rows| {
            let one = |label: usize| -> Vec<(bool, f64)> {
                rows.iter().filter_map(|&row| Some((cells[row].0[label]?, f64::from(cells[row].1[label])))).collect()
            };
            let all: Vec<(bool, f64)> = [one(0), one(1)].concat();
            let each = |of: &ScoreOfCells| mean_of((0..2).map(|label| of(&one(label))));
            let f1 = |cells: &[(bool, f64)]| f1_of(cells.iter().map(|(is, p)| (*is, *p >= 0.5)));
            let loss = |(is, p): &(bool, f64)| loss_of(if *is { *p } else { 1.0 - p });
            let square = |(is, p): &(bool, f64)| (p - f64::from(u8::from(*is))).powi(2);
            match name {
                "auroc" => each(&pairs_in_order),
                "micro_auroc" => pairs_in_order(&all),
                "map" => each(&precision_area),
                "macro_f1" => each(&f1),
                "micro_f1" => f1(&all),
                "hamming_accuracy" => ratio(all.iter().filter(|(is, p)| (*p >= 0.5) == *is).count(), all.len()),
                "log_loss" => plain_mean(&all.iter().map(loss).collect::<Vec<f64>>()),
                "brier" => plain_mean(&all.iter().map(square).collect::<Vec<f64>>()),
                "ece" => calibration_error(&all.iter().map(|(is, p)| (*p, *is)).collect::<Vec<(f64, bool)>>()),
                other => panic!("{other} has no slow twin"),
            }
        })?;
    }

    #[test]
    fn scores_of_keypoints_are_those_of_a_slow_reference(
        cells in prop::collection::vec((
            [[coordinate(true), coordinate(true)], [coordinate(true), coordinate(true)]],
            [[coordinate(false), coordinate(false)], [coordinate(false), coordinate(false)]],
            0..4_usize,
        ), 0..7),
    ) {
        let columns = ["x0", "y0", "x1", "y1"].map(str::to_owned).to_vec();
        let task = Task::Keypoints { columns, symmetric: vec![], names: Vec::new(), skeleton: Vec::new(), sigmas: Vec::new(), normalizer: Normalizer::Between([0, 1]), mean: vec![] };
        let targets = Targets::keypoints(2, cells.iter().flat_map(|cell| cell.0).collect());
        let predictions: Vec<Prediction> =
            cells.iter().map(|cell| Prediction::keypoints(cell.1.to_vec())).collect();
        let times: Vec<usize> = cells.iter().map(|cell| cell.2).collect();
        compare(&task, &targets, &predictions, &times, &|name, rows| {
            let (mut px, mut nme) = (Vec::new(), Vec::new());
            for (truth, predicted, _) in rows.iter().map(|&row| &cells[row]) {
                let far = |a: [f32; 2], b: [f32; 2]| {
                    let [dx, dy] = [0, 1].map(|axis| f64::from(a[axis]) - f64::from(b[axis]));
                    dx.hypot(dy)
                };
                let is_known = |at: usize| truth[at].iter().all(|x| x.is_finite());
                let by = far(truth[0], truth[1]);
                for at in (0..2).filter(|at| is_known(*at)) {
                    px.push(far(truth[at], predicted[at]));
                    if is_known(0) && is_known(1) && by > 0.0 {
                        nme.push(far(truth[at], predicted[at]) / by);
                    }
                }
            }
            match name {
                "mean_px" => plain_mean(&px),
                "median_px" => plain_median(&px),
                "mean_nme" => plain_mean(&nme),
                "pck@0.05" => ratio(nme.iter().filter(|nme| **nme <= 0.05).count(), nme.len()),
                "pck@0.1" => ratio(nme.iter().filter(|nme| **nme <= 0.1).count(), nme.len()),
                // Nobody says how large anything is.
                "mean_mm" | "sdr@2" | "sdr@2.5" | "sdr@3" | "sdr@4" | "oks" | "ar" | "ap" => None,
                other => panic!("{other} has no slow twin"),
            }
        })?;
    }

    #[test]
    fn a_temperature_is_within_its_bounds_and_never_costs(
        cells in prop::collection::vec((0..3_usize, [number(), number(), number()]), 0..6),
    ) {
        let truth: Vec<usize> = cells.iter().map(|cell| cell.0).collect();
        let logits: Vec<f64> = cells.iter().flat_map(|cell| cell.1).collect();
        let found = calibration::temperature_of_logits(&truth, None, &logits, 3, Prior::default());
        prop_assert!((0.009..=101.0).contains(&found), "{found}");
        let loss = |temperature: f64| -> f64 {
            let of_row = |(&class, row): (&usize, &[f64])| {
                let scaled: Vec<f64> = row.iter().map(|logit| logit / temperature).collect();
                let most = scaled.iter().fold(f64::MIN, |most, x| most.max(*x));
                let sum: f64 = scaled.iter().map(|x| (x - most).exp()).sum();
                sum.ln() + most - scaled[class]
            };
            truth.iter().zip(logits.chunks_exact(3)).map(of_row).sum()
        };
        let (before, after) = (loss(1.0), loss(found));
        if logits.iter().all(|logit| logit.abs() < 1e6) {
            prop_assert!(after <= before + 1e-6 * before.abs().max(1.0), "{before} became {after}");
        }
    }
}

fn coordinate(is_truth: bool) -> impl Strategy<Value = f32> {
    let odd = if is_truth {
        vec![f32::NAN, 0.0]
    } else {
        vec![f32::NAN, -f32::NAN, f32::INFINITY]
    };
    prop_oneof![
        8 => (-3..4_i16).prop_map(f32::from),
        2 => select(vec![3e38, -3e38, f32::MIN_POSITIVE, 1e-3]),
        1 => select(odd),
    ]
}

#[test]
fn the_variance_of_equal_numbers_explains_nothing() {
    let task = regression(1);
    // The mean of three times 0.1 is not 0.1.
    let targets = Targets::Regression {
        names: vec!["c0".into()],
        values: vec![0.1; 3],
    };
    let predictions = [0.1, 0.2, 0.3].map(|value| Prediction::Regression {
        values: vec![value],
    });
    let evaluation = Evaluation {
        task: &task,
        targets: &targets,
        rows: &[0, 1, 2],
        predictions: &predictions,
        sizes: None,
        weights: None,
    };
    assert_eq!(score(&evaluation).get("r2"), None);
}

#[test]
fn errors_whose_squares_are_beyond_all_numbers_have_a_root_mean_square() {
    let task = regression(1);
    let targets = Targets::Regression {
        names: vec!["c0".into()],
        values: vec![3e200, 4e200],
    };
    let predictions = [0.0, 0.0].map(|value| Prediction::Regression {
        values: vec![value],
    });
    let evaluation = Evaluation {
        task: &task,
        targets: &targets,
        rows: &[0, 1],
        predictions: &predictions,
        sizes: None,
        weights: None,
    };
    let metrics = score(&evaluation);
    let rmse = metrics.get("rmse").expect("is defined");
    assert!(
        (rmse / (12.5_f64.sqrt() * 1e200) - 1.0).abs() < 1e-12,
        "{rmse}"
    );
    // 25e400 unexplained of 0.5e400 about the mean.
    let r2 = metrics.get("r2").expect("is defined");
    assert!((r2 + 49.0).abs() < 1e-9, "{r2}");
}
