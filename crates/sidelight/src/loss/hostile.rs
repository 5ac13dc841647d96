//! Every loss beside a slow and obvious one in double precision, over outputs that no network should have; and its
//! gradients are numbers wherever it is one itself. (Where it is none, the step is refused.)

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use proptest::sample::select;

use super::{Distance, Loss};
use crate::tensor::numbers;

/// Outputs and targets of a row, and which of those are known.
type Row = ([f32; 2], [f32; 2], [bool; 2]);

fn losses_of_classes() -> Vec<Loss> {
    let with = |class_weights: &[f32], smoothing, focus| Loss::CrossEntropy {
        class_weights: class_weights.to_vec(),
        smoothing,
        focus,
    };
    vec![
        with(&[], 0.0, 0.0),
        with(&[0.01, 100.0], 0.0, 0.0),
        with(&[], 0.1, 0.0),
        with(&[], 0.0, 0.5),
        with(&[2.0, 0.5], 0.1, 2.0),
        with(&[], 0.0, 9.9),
    ]
}

fn losses_of_labels() -> Vec<Loss> {
    let with = |positive_weights: &[f32], focus| Loss::BinaryCrossEntropy {
        positive_weights: positive_weights.to_vec(),
        focus,
    };
    vec![
        with(&[], 0.0),
        with(&[0.01, 100.0], 0.0),
        with(&[], 0.5),
        with(&[2.0, 1.0], 2.0),
        with(&[], 9.9),
    ]
}

fn losses_of_numbers() -> Vec<Loss> {
    let wing = |width| Distance::Wing {
        width,
        curvature: width / 5.0,
    };
    let smooth = |beta| Distance::SmoothL1 { beta };
    let all = [
        Distance::Squared,
        Distance::Absolute,
        smooth(1.0),
        smooth(0.1),
        smooth(f32::MIN_POSITIVE),
        wing(0.15),
        wing(9.9),
        wing(1e-30),
    ];
    all.map(Loss::from).to_vec()
}

/// What a cell costs and weighs: its row's logits or outputs, its place in the row, its target.
fn slow(loss: &Loss, outputs: [f64; 2], at: usize, target: f64) -> (f64, f64) {
    // ln(e^a + e^b), whatever their size.
    let log_sum = |a: f64, b: f64| a.max(b) + (-(a - b).abs()).exp().ln_1p();
    let power = |p: f64, focus: f32| match focus > 0.0 {
        true => (1.0 - p).max(0.0).powf(f64::from(focus)),
        false => 1.0,
    };
    match loss {
        Loss::CrossEntropy {
            class_weights,
            smoothing,
            focus,
        } => {
            // Of the difference alone: beside 1e19, ln 2 is lost even here.
            let log_p = [0, 1].map(|own: usize| -log_sum(0.0, outputs[1 - own] - outputs[own]));
            let weight = |class: usize| class_weights.get(class).map_or(1.0, |w| f64::from(*w));
            let class = target as usize;
            let share = f64::from(*smoothing);
            let own = -log_p[class] * power(log_p[class].exp(), *focus) * weight(class);
            let all: f64 = (0..2).map(|class| -log_p[class] * weight(class)).sum();
            ((1.0 - share) * own + share / 2.0 * all, weight(class))
        }
        Loss::BinaryCrossEntropy {
            positive_weights,
            focus,
        } => {
            let sign = if target > 0.5 { 1.0 } else { -1.0 };
            let cost = log_sum(0.0, -sign * outputs[at]);
            let weight = positive_weights.get(at).map_or(1.0, |w| f64::from(*w));
            let weight = if target > 0.5 { weight } else { 1.0 };
            (cost * power((-cost).exp(), *focus) * weight, 1.0)
        }
        Loss::Distance { distance } => {
            let off = (outputs[at] - target).abs();
            let cost = match distance {
                Distance::Squared => off * off,
                Distance::Absolute => off,
                Distance::SmoothL1 { beta } => {
                    let beta = f64::from(*beta);
                    match off < beta {
                        true => off * off / (2.0 * beta),
                        false => off - beta / 2.0,
                    }
                }
                Distance::Wing { width, curvature } => {
                    let (width, curvature) = (f64::from(*width), f64::from(*curvature));
                    match off < width {
                        true => width * (off / curvature).ln_1p(),
                        false => off - width + width * (width / curvature).ln_1p(),
                    }
                }
            };
            (cost, 1.0)
        }
    }
}

fn check(loss: &Loss, rows: &[Row], width: usize) -> Result<(), TestCaseError> {
    let device = Device::flex().autodiff();
    let matrix = |values: Vec<f32>, width: usize| {
        Tensor::<2>::from_data(TensorData::new(values, [rows.len(), width]), &device)
    };
    let cells = |of: &dyn Fn(&Row, usize) -> f32| -> Vec<f32> {
        rows.iter()
            .flat_map(|row| (0..width).map(|at| of(row, at)).collect::<Vec<f32>>())
            .collect()
    };
    let output = matrix(rows.iter().flat_map(|row| row.0).collect(), 2).require_grad();
    let known = |row: &Row, at: usize| row.2[at];
    // What is not known may be anything.
    let target = |row: &_, at: usize| match known(row, at) {
        true => row.1[at],
        false => f32::NAN,
    };
    let mask = |row: &_, at: usize| f32::from(u8::from(known(row, at)));
    let (target, mask) = (matrix(cells(&target), width), matrix(cells(&mask), width));
    let mean = loss.mean(output.clone(), target, mask);
    let mut gradients = mean.backward();
    let gradient = numbers(
        output
            .grad_remove(&mut gradients)
            .expect("it was asked for"),
    );
    let found = f64::from(mean.into_scalar::<f32>());

    let (mut cost, mut weight) = (0.0, 0.0);
    for row in rows {
        for at in (0..width).filter(|at| row.2[*at]) {
            let own = slow(loss, row.0.map(f64::from), at, f64::from(row.1[at]));
            (cost, weight) = (cost + own.0, weight + own.1);
        }
    }
    let expected = if weight > 0.0 { cost / weight } else { 0.0 };
    // Single precision: 1 − p is known to 6e-8 of 1, which a power below 1 makes much of.
    let near = (found - expected).abs() <= 1e-5 * expected.abs() + 1e-5;
    let is_beyond = !found.is_finite() && cost > 1e35;
    prop_assert!(near || is_beyond, "{loss:?}: {found}, expected {expected}");
    if found.is_finite() {
        let are_numbers = gradient.iter().all(|number| number.is_finite());
        prop_assert!(
            are_numbers,
            "{loss:?} is {found}, its gradient {gradient:?}"
        );
    }
    Ok(())
}

fn output() -> impl Strategy<Value = f32> {
    prop_oneof![
        select(vec![
            0.0, -0.0, 20.0, -20.0, 100.0, -100.0, 1e4, -1e4, 1e19, -1e19, 1e30, -1e30, 1e-30, 0.1,
            0.15,
        ]),
        -3.0_f32..3.0,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn losses_of_classes_and_labels_are_those_of_a_slow_reference_and_their_gradients_are_numbers(
        rows in prop::collection::vec(([output(), output()], [any::<bool>(), any::<bool>()], any::<[bool; 2]>()), 1..4),
    ) {
        let rows: Vec<Row> = rows
            .into_iter()
            .map(|(outputs, target, known)| (outputs, target.map(|is| f32::from(u8::from(is))), known))
            .collect();
        for loss in losses_of_classes() {
            check(&loss, &rows, 1)?;
        }
        for loss in losses_of_labels() {
            check(&loss, &rows, 2)?;
        }
    }

    #[test]
    fn losses_of_numbers_are_those_of_a_slow_reference_and_their_gradients_are_numbers(
        rows in prop::collection::vec(([output(), output()], [output(), output()], any::<[bool; 2]>()), 1..4),
    ) {
        for loss in losses_of_numbers() {
            check(&loss, &rows, 2)?;
        }
    }
}
