//! Norm, pooling, elementwise operations and optimiser steps against plain loops, on every path.

use proptest::prelude::*;
use sidelight_kernels::elementwise::{
    add_activate, add_activate_backward, column_sums, scale_channels, scale_channels_backward,
};
use sidelight_kernels::optimizer::{AdamW, Momentum, Sgd, sum_of_squares};
use sidelight_kernels::pool::{
    AdaptivePool2d, Pool2d, adaptive_average_pool_backward, adaptive_average_pool_forward,
    average_pool_backward, average_pool_forward, max_pool_backward, max_pool_forward,
};
use sidelight_kernels::{
    Activation, BatchNorm, BatchNormOutput, BatchStatistics, StatisticsReducer, affine,
    batch_norm_gradients, batch_norm_output, with_path,
};

use crate::reference;
use crate::reference::{numbers, paths};

fn statistics(output: &BatchNormOutput) -> BatchStatistics<'_> {
    BatchStatistics {
        mean: &output.mean,
        var: &output.var,
        n_rows: output.n_rows,
    }
}

fn assert_near(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(*a) - b).abs();
        assert!(
            difference <= tolerance * b.abs().max(1.0),
            "{what}: element {i} is {a}, expected {b}"
        );
    }
}

/// A batch norm in `f64`: output, and the gradients of `<dy, output>` to x, gamma, beta and residual.
struct Norm64 {
    y: Vec<f64>,
    dx: Vec<f64>,
    d_gamma: Vec<f64>,
    d_beta: Vec<f64>,
    d_residual: Vec<f64>,
}

fn norm64(norm: &BatchNorm<'_>, x: &[f32], dy: &[f32]) -> Norm64 {
    let c = norm.gamma.len();
    let (mean, var) = reference::moments(x, c);
    let inverse: Vec<f64> = var
        .iter()
        .map(|v| 1.0 / (v + f64::from(norm.eps)).sqrt())
        .collect();
    let hat: Vec<f64> = x
        .iter()
        .enumerate()
        .map(|(i, v)| (f64::from(*v) - mean[i % c]) * inverse[i % c])
        .collect();
    let z: Vec<f64> = hat
        .iter()
        .enumerate()
        .map(|(i, h)| {
            let r = norm.residual.map_or(0.0, |r| f64::from(r[i]));
            h * f64::from(norm.gamma[i % c]) + f64::from(norm.beta[i % c]) + r
        })
        .collect();
    let g: Vec<f64> = z
        .iter()
        .zip(dy)
        .map(|(z, d)| f64::from(*d) * reference::activation_slope(norm.activation, *z))
        .collect();
    let mut d_gamma = vec![0.0; c];
    let mut d_beta = vec![0.0; c];
    for (i, g) in g.iter().enumerate() {
        d_gamma[i % c] += g * hat[i];
        d_beta[i % c] += g;
    }
    let n = (x.len() / c) as f64;
    let dx = g
        .iter()
        .enumerate()
        .map(|(i, g)| {
            let k = i % c;
            f64::from(norm.gamma[k]) * inverse[k] * (g - d_beta[k] / n - hat[i] * d_gamma[k] / n)
        })
        .collect();
    Norm64 {
        y: z.iter()
            .map(|z| reference::activate(norm.activation, *z))
            .collect(),
        dx,
        d_gamma,
        d_beta,
        d_residual: g,
    }
}

fn check_norm(rows: usize, c: usize, activation: Activation, with_residual: bool) {
    let x: Vec<f32> = numbers(rows * c, 1)
        .iter()
        .enumerate()
        .map(|(i, v)| v * 2.0 + (i % c) as f32)
        .collect();
    let (mut dy, residual) = (numbers(rows * c, 2), numbers(rows * c, 3));
    let gamma: Vec<f32> = numbers(c, 4).iter().map(|v| v + 1.5).collect();
    let beta = numbers(c, 5);
    let norm = BatchNorm {
        gamma: &gamma,
        beta: &beta,
        eps: 1e-5,
        residual: with_residual.then_some(&residual[..]),
        activation,
    };
    // Where the activation has a kink, the last digit decides the slope: no gradient arrives there.
    let linear = norm64(
        &BatchNorm {
            activation: Activation::None,
            ..norm
        },
        &x,
        &dy,
    );
    for (dy, z) in dy.iter_mut().zip(&linear.y) {
        if [-3.0, 0.0, 3.0, 6.0]
            .iter()
            .any(|kink| (z - kink).abs() < 1e-3)
        {
            *dy = 0.0;
        }
    }
    let expected = norm64(&norm, &x, &dy);
    for path in paths() {
        with_path(path, || {
            let what = |name: &str| format!("{path:?} {rows}x{c} {activation:?} {name}");
            let output = batch_norm_output(&norm, None, &x);
            assert_near(&output.y, &expected.y, 3e-5, &what("y"));
            let (m, v) = reference::moments(&x, c);
            assert_near(&output.mean, &m, 1e-5, &what("mean"));
            assert_near(&output.var, &v, 1e-5, &what("var"));
            assert_eq!(output.n_rows, rows as f64);
            let all = batch_norm_gradients(&norm, None, statistics(&output), &x, &dy, true);
            let d_residual = all.d_residual.as_ref().unwrap();
            assert_near(d_residual, &expected.d_residual, 3e-5, &what("residual"));
            assert_near(&all.dx, &expected.dx, 1e-4, &what("dx"));
            assert_near(
                &all.d_gamma,
                &expected.d_gamma,
                1e-4,
                &what("gamma gradient"),
            );
            assert_near(&all.d_beta, &expected.d_beta, 1e-4, &what("beta gradient"));
            let mut without = all.clone();
            without.d_residual = None;
            let some = batch_norm_gradients(&norm, None, statistics(&output), &x, &dy, false);
            assert_eq!(some, without);
        });
    }
}

#[test]
fn batch_norm_and_its_gradients_equal_the_reference() {
    for activation in Activation::ALL {
        for (rows, c) in [(50, 16), (33, 24), (7, 5), (200, 96)] {
            check_norm(rows, c, activation, true);
        }
        check_norm(40, 33, activation, false);
    }
}

#[test]
fn small_norms_equal_the_reference() {
    check_norm(5, 3, Activation::Relu, true);
    check_norm(3, 17, Activation::Silu, false);
}

#[test]
fn batch_norms_of_parts_are_one_of_the_whole() {
    let (c, rows, first) = (5, 37, 14);
    let random = |seed: u64, n: usize| numbers(n, seed);
    let (x, dy, residual) = (
        random(1, rows * c),
        random(2, rows * c),
        random(3, rows * c),
    );
    let near = |found: &[f32], expected: &[f32]| {
        let expected: Vec<f64> = expected.iter().map(|x| f64::from(*x)).collect();
        assert_near(found, &expected, 1e-5, "of parts");
    };
    let (gamma, beta) = (random(4, c), random(5, c));
    let norm = |residual| BatchNorm {
        gamma: &gamma,
        beta: &beta,
        eps: 1e-5,
        residual: Some(residual),
        activation: Activation::Relu,
    };
    let whole = batch_norm_output(&norm(&residual), None, &x);
    let of_whole = batch_norm_gradients(&norm(&residual), None, statistics(&whole), &x, &dy, false);

    // A third part is there for its place alone: rows of its own, and no gradient.
    let (filler, nothing) = (random(6, 3 * c), vec![0.0; 3 * c]);
    let cut = first * c;
    let parts = [
        (&x[..cut], &dy[..cut], &residual[..cut], true),
        (&x[cut..], &dy[cut..], &residual[cut..], true),
        (&filler[..], &nothing[..], &filler[..], false),
    ];
    // Each part says what it has; then each is given the sum.
    let all = std::cell::RefCell::new(vec![0.0; 1 + 2 * c]);
    let collect = |values: &mut [f64]| {
        let mut all = all.borrow_mut();
        all.iter_mut()
            .zip(values)
            .for_each(|(sum, value)| *sum += *value);
    };
    let give = |values: &mut [f64]| values.copy_from_slice(&all.borrow()[..values.len()]);
    let mut found = Vec::new();
    for sum in [&collect as &dyn Fn(&mut [f64]), &give] {
        found.clear();
        for (x, _, residual, counts) in parts {
            let reducer = Some(StatisticsReducer { sum, counts });
            found.push(batch_norm_output(&norm(residual), reducer, x));
        }
    }
    near(&[&found[0].y[..], &found[1].y[..]].concat(), &whole.y);
    for part in &found {
        assert_eq!(part.n_rows, rows as f64);
        near(&part.mean, &whole.mean);
        near(&part.var, &whole.var);
    }
    all.borrow_mut().fill(0.0);
    let mut found = Vec::new();
    for sum in [&collect as &dyn Fn(&mut [f64]), &give] {
        found.clear();
        for (x, dy, residual, counts) in parts {
            let reducer = Some(StatisticsReducer { sum, counts });
            let (norm, statistics) = (norm(residual), statistics(&whole));
            found.push(batch_norm_gradients(
                &norm, reducer, statistics, x, dy, false,
            ));
        }
    }
    near(&[&found[0].dx[..], &found[1].dx[..]].concat(), &of_whole.dx);
    assert_eq!(found[2].dx, nothing);
    let both = |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| a + b).collect() };
    near(
        &both(&found[0].d_gamma, &found[1].d_gamma),
        &of_whole.d_gamma,
    );
    near(&both(&found[0].d_beta, &found[1].d_beta), &of_whole.d_beta);
}

#[test]
fn batch_norm_adds_up_many_blocks_of_rows() {
    check_norm(9001, 7, Activation::Relu, true);
}

#[test]
fn a_variance_survives_a_mean_a_thousand_times_larger() {
    let x: Vec<f32> = numbers(5000 * 3, 1).iter().map(|v| v + 1000.0).collect();
    let (_, expected) = reference::moments(&x, 3);
    let norm = BatchNorm {
        gamma: &[1.0; 3],
        beta: &[0.0; 3],
        eps: 1e-5,
        residual: None,
        activation: Activation::None,
    };
    let output = batch_norm_output(&norm, None, &x);
    assert_near(&output.var, &expected, 1e-5, "var");
}

#[test]
fn affine_and_add_apply_every_activation() {
    let (x, other, dy) = (
        numbers(100 * 21, 1),
        numbers(100 * 21, 2),
        numbers(100 * 21, 3),
    );
    let x: Vec<f32> = x.iter().map(|v| v * 8.0).collect();
    let (scale, shift) = (numbers(21, 4), numbers(21, 5));
    for path in paths() {
        for activation in Activation::ALL {
            with_path(path, || {
                let mut y = vec![f32::NAN; x.len()];
                affine(&x, &scale, &shift, Some(&other), activation, &mut y);
                let expected: Vec<f64> = (0..x.len())
                    .map(|i| {
                        let z =
                            f64::from(x[i]) * f64::from(scale[i % 21]) + f64::from(shift[i % 21]);
                        reference::activate(activation, z + f64::from(other[i]))
                    })
                    .collect();
                assert_near(&y, &expected, 1e-5, &format!("{path:?} {activation:?}"));
                let z = |i: usize| f64::from(x[i]) + f64::from(other[i]);
                add_activate(&x, Some(&other), activation, &mut y);
                let expected: Vec<f64> = (0..x.len())
                    .map(|i| reference::activate(activation, z(i)))
                    .collect();
                assert_near(&y, &expected, 1e-5, &format!("{path:?} {activation:?} sum"));
                add_activate_backward(&x, Some(&other), activation, &dy, &mut y);
                let mut expected: Vec<f64> = (0..x.len())
                    .map(|i| f64::from(dy[i]) * reference::activation_slope(activation, z(i)))
                    .collect();
                for i in 0..x.len() {
                    if [-3.0, 0.0, 3.0, 6.0]
                        .iter()
                        .any(|kink| (z(i) - kink).abs() < 1e-5)
                    {
                        (y[i], expected[i]) = (0.0, 0.0);
                    }
                }
                assert_near(
                    &y,
                    &expected,
                    1e-5,
                    &format!("{path:?} {activation:?} gradient"),
                );
            });
        }
    }
}

#[test]
fn slopes_of_activations_equal_finite_differences() {
    for activation in Activation::ALL {
        for i in -80..80 {
            let z = f64::from(i) * 0.1 + 0.037;
            let h = 1e-5;
            let slope = (reference::activate(activation, z + h)
                - reference::activate(activation, z - h))
                / (2.0 * h);
            assert!(
                (slope - reference::activation_slope(activation, z)).abs() < 1e-6,
                "{activation:?} at {z}"
            );
        }
    }
}

#[test]
fn activations_of_extreme_numbers_are_finite_or_rightly_infinite() {
    let x = [-1e30, -100.0, 100.0, 1e30];
    for path in paths() {
        with_path(path, || {
            let mut y = [0.0; 4];
            add_activate(&x, None, Activation::Sigmoid, &mut y);
            assert!(
                y[0].abs() < 1e-30 && y[1].abs() < 1e-30 && y[2] == 1.0 && y[3] == 1.0,
                "{path:?} {y:?}"
            );
            add_activate(&x, None, Activation::Silu, &mut y);
            assert!(
                y[1].abs() < 1e-30 && y[2] == 100.0 && y[3] == 1e30,
                "{path:?} {y:?}"
            );
        });
    }
}

#[test]
fn columns_add_up_over_blocks() {
    for (rows, c) in [(1, 1), (3000, 17), (70, 600)] {
        let x = numbers(rows * c, 1);
        let expected: Vec<f64> = (0..c)
            .map(|k| x.iter().skip(k).step_by(c).map(|v| f64::from(*v)).sum())
            .collect();
        for path in paths() {
            let mut sums = vec![f32::NAN; c];
            with_path(path, || column_sums(&x, &mut sums));
            assert_near(&sums, &expected, 1e-4, &format!("{path:?}"));
        }
    }
}

#[test]
fn gates_scale_each_image_and_collect_its_gradient() {
    let (batch, pixels, c) = (3, 10, 19);
    let (x, gate, dy) = (
        numbers(batch * pixels * c, 1),
        numbers(batch * c, 2),
        numbers(batch * pixels * c, 3),
    );
    let gate_of = |i: usize| (i / (pixels * c)) * c + i % c;
    for path in paths() {
        with_path(path, || {
            let (mut y, mut dx, mut dg) = (
                vec![0.0; x.len()],
                vec![0.0; x.len()],
                vec![f32::NAN; gate.len()],
            );
            scale_channels(&x, &gate, batch, c, &mut y);
            scale_channels_backward(&x, &gate, &dy, [batch, c], &mut dx, &mut dg);
            let mut expected = vec![0.0; gate.len()];
            for i in 0..x.len() {
                assert_eq!(y[i], x[i] * gate[gate_of(i)]);
                assert_eq!(dx[i], dy[i] * gate[gate_of(i)]);
                expected[gate_of(i)] += f64::from(x[i]) * f64::from(dy[i]);
            }
            assert_near(&dg, &expected, 1e-5, "gate gradient");
        });
    }
}

fn pools() -> impl Strategy<Value = Pool2d> {
    (
        (1usize..3, 1usize..9, 1usize..9, 1usize..70),
        (1usize..5, 1usize..5),
        (1usize..4, 1usize..4),
        (0usize..3, 0usize..3),
    )
        .prop_map(
            |((batch, in_h, in_w, channels), (kh, kw), (sh, sw), (ph, pw))| Pool2d {
                batch,
                in_h,
                in_w,
                channels,
                kernel: [kh, kw],
                stride: [sh, sw],
                padding: [ph.min(kh / 2), pw.min(kw / 2)],
            },
        )
        .prop_filter("the window fits", |p| p.out_h() > 0 && p.out_w() > 0)
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

fn check_pool(p: &Pool2d) {
    let (x, dy) = (numbers(p.input_len(), 1), numbers(p.output_len(), 2));
    let (values, places) = reference::max_pool(p, &x);
    let means = reference::average_pool(p, &x);
    for path in paths() {
        with_path(path, || {
            let (mut y, mut argmax, mut dx) = (
                vec![0.0; p.output_len()],
                vec![0; p.output_len()],
                vec![f32::NAN; p.input_len()],
            );
            max_pool_forward(p, &x, &mut y, Some(&mut argmax));
            assert_eq!((&y, &argmax), (&values, &places));
            max_pool_forward(p, &x, &mut y, None);
            assert_eq!(&y, &values);
            max_pool_backward(p, &dy, &argmax, &mut dx);
            // The gradient is the adjoint of choosing those places.
            assert!((dot(&dy, &y) - dot(&dx, &x)).abs() < 1e-4 * (1.0 + dot(&dy, &dy)));
            average_pool_forward(p, &x, &mut y);
            assert_near(&y, &means, 1e-5, "average");
            average_pool_backward(p, &dy, &mut dx);
            assert!((dot(&dy, &y) - dot(&dx, &x)).abs() < 1e-4 * (1.0 + dot(&dy, &dy)));
        });
    }
}

#[test]
fn small_pools_equal_the_reference() {
    check_pool(&Pool2d {
        batch: 2,
        in_h: 4,
        in_w: 3,
        channels: 5,
        kernel: [3, 2],
        stride: [2, 1],
        padding: [1, 1],
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pooling_equals_the_reference(p in pools()) {
        check_pool(&p);
    }

    #[test]
    fn adaptive_pooling_equals_the_reference(h in 1usize..9, w in 1usize..9, c in 1usize..40, oh in 1usize..4, ow in 1usize..4) {
        let p = AdaptivePool2d { batch: 2, in_h: h, in_w: w, channels: c, out: [oh, ow] };
        let (x, dy) = (numbers(2 * h * w * c, 1), numbers(2 * oh * ow * c, 2));
        let expected = reference::adaptive_average_pool(&p, &x);
        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![f32::NAN; x.len()]);
        adaptive_average_pool_forward(&p, &x, &mut y);
        assert_near(&y, &expected, 1e-5, "adaptive average");
        adaptive_average_pool_backward(&p, &dy, &mut dx);
        prop_assert!((dot(&dy, &y) - dot(&dx, &x)).abs() < 1e-4 * (1.0 + dot(&dy, &dy)));
    }
}

#[test]
fn a_maximum_over_not_a_number_is_not_a_number() {
    let p = Pool2d {
        batch: 1,
        in_h: 2,
        in_w: 2,
        channels: 1,
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0, 0],
    };
    let mut y = [0.0];
    max_pool_forward(&p, &[1.0, f32::NAN, 3.0, 2.0], &mut y, None);
    assert!(y[0].is_nan());
}

#[test]
fn adamw_follows_its_formula() {
    let n = 1000;
    let rule = AdamW {
        lr: 1e-2,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.1,
        step: 0,
        gradient_scale: 0.5,
    };
    for path in paths() {
        let (mut p, mut m, mut v) = (numbers(n, 1), vec![0.0; n], vec![0.0; n]);
        let mut exact: Vec<[f64; 3]> = p.iter().map(|p| [f64::from(*p), 0.0, 0.0]).collect();
        for step in 1..=5 {
            let g = numbers(n, 10 + step);
            with_path(path, || {
                AdamW { step, ..rule }.update(&mut p, &g, &mut m, &mut v)
            });
            for (state, g) in exact.iter_mut().zip(&g) {
                let [p, m, v] = state;
                let g = f64::from(*g) * 0.5;
                *p *= 1.0 - 1e-2 * 0.1;
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * g * g;
                let (c1, c2) = (
                    1.0 - 0.9f64.powf(step as f64),
                    1.0 - 0.999f64.powf(step as f64),
                );
                *p -= 1e-2 / c1 * *m / (v.sqrt() / c2.sqrt() + 1e-8);
            }
        }
        assert_near(
            &p,
            &exact.iter().map(|s| s[0]).collect::<Vec<_>>(),
            1e-5,
            &format!("{path:?}"),
        );
    }
}

#[test]
fn sgd_follows_its_formula() {
    let n = 500;
    for kind in [Momentum::Classical, Momentum::Nesterov] {
        let rule = Sgd {
            lr: 0.1,
            momentum: 0.9,
            kind,
            weight_decay: 0.01,
            gradient_scale: 1.0,
        };
        let (mut p, mut v) = (numbers(n, 1), vec![0.0; n]);
        let mut exact: Vec<[f64; 2]> = p.iter().map(|p| [f64::from(*p), 0.0]).collect();
        for step in 0..4 {
            let g = numbers(n, 10 + step);
            rule.update(&mut p, &g, &mut v);
            for (state, g) in exact.iter_mut().zip(&g) {
                let [p, v] = state;
                let g = f64::from(*g) + 0.01 * *p;
                *v = 0.9 * *v + g;
                *p -= 0.1
                    * if kind == Momentum::Nesterov {
                        g + 0.9 * *v
                    } else {
                        *v
                    };
            }
        }
        assert_near(
            &p,
            &exact.iter().map(|s| s[0]).collect::<Vec<_>>(),
            1e-5,
            &format!("{kind:?}"),
        );
    }
}

#[test]
fn norms_are_exact() {
    let x = vec![3.0; 100_001];
    for path in paths() {
        assert!((with_path(path, || sum_of_squares(&x)) - 900_009.0).abs() < 1e-6);
    }
}
