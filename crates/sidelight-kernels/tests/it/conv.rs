//! Every path of every convolution against the plain reference, over odd shapes.

use proptest::prelude::*;
use sidelight_kernels::{
    Activation, Conv2d, Epilogue, PackedConv2d, Precision, conv2d_bias_gradient,
    conv2d_input_gradient, conv2d_output, conv2d_weight_gradient, with_path,
};

use crate::reference;
use crate::reference::{numbers, paths};

/// The largest difference, relative to the root mean square of the expected numbers.
fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = (expected.iter().map(|v| v * v).sum::<f64>() / expected.len().max(1) as f64)
        .sqrt()
        .max(1e-3);
    found
        .iter()
        .zip(expected)
        .map(|(a, b)| {
            assert!(a.is_finite(), "a result is not a number");
            (f64::from(*a) - b).abs() / scale
        })
        .fold(0.0, f64::max)
}

/// The root mean square of the difference, relative to that of the expected numbers.
fn distance(found: &[f64], expected: &[f64]) -> f64 {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
    norm(&mut found.iter().zip(expected).map(|(a, b)| a - b))
        / norm(&mut expected.iter().copied()).max(1e-30)
}

fn conv(
    batch: usize,
    size: [usize; 2],
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
) -> Conv2d {
    Conv2d {
        batch,
        in_h: size[0],
        in_w: size[1],
        in_c: channels[0],
        out_c: channels[1],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
        groups: 1,
    }
}

/// Forward with everything in the epilogue, both gradients and the bias gradient, on every path.
fn check(c: &Conv2d) {
    let x = numbers(c.input_len(), 1);
    let w = numbers(c.weight_len(), 2);
    let dy = numbers(c.output_len(), 3);
    let bias = numbers(c.out_c, 4);
    let residual = numbers(c.output_len(), 5);
    let plain = reference::conv2d(c, &x, &w);
    let dx_expected = reference::conv2d_backward_input(c, &dy, &w);
    let dw_expected = reference::conv2d_backward_weight(c, &x, &dy);
    // Products of bf16 are exact in f32, so only the rounding of the operands separates them from `f32`; depthwise
    // convolutions stay in `f32`.
    let depthwise = c.groups > 1 && c.groups == c.in_c && c.in_c == c.out_c;
    let round = |v: &[f32]| -> Vec<f32> {
        v.iter()
            .map(|v| {
                if depthwise {
                    *v
                } else {
                    half::bf16::from_f32(*v).to_f32()
                }
            })
            .collect()
    };
    let rounded = (
        reference::conv2d(c, &round(&x), &round(&w)),
        reference::conv2d_backward_input(c, &round(&dy), &round(&w)),
        reference::conv2d_backward_weight(c, &round(&x), &round(&dy)),
    );
    assert!(distance(&rounded.2, &dw_expected) < 1e-2);
    assert!(distance(&rounded.0, &plain) < 1e-2 && distance(&rounded.1, &dx_expected) < 1e-2);
    for path in paths() {
        with_path(path, || {
            // Outputs begin as NaN where assertions are on.
            let y = conv2d_output(c, Precision::F32, &x, &w, None, Epilogue::NONE);
            assert!(
                error(&y, &plain) < 1e-5,
                "{path:?} {c:?} forward {}",
                error(&y, &plain)
            );

            for activation in [Activation::None, Activation::Relu, Activation::Silu] {
                let expected: Vec<f64> = plain
                    .iter()
                    .enumerate()
                    .map(|(i, v)| {
                        reference::activate(
                            activation,
                            v + f64::from(bias[i % c.out_c]) + f64::from(residual[i]),
                        )
                    })
                    .collect();
                let epilogue = Epilogue {
                    activation,
                    residual: Some(&residual),
                };
                let y = conv2d_output(c, Precision::F32, &x, &w, Some(&bias), epilogue);
                assert!(
                    error(&y, &expected) < 1e-5,
                    "{path:?} {c:?} {activation:?} {}",
                    error(&y, &expected)
                );
                let packed = PackedConv2d::new(c, Precision::F32, &w, Some(&bias));
                let own = packed.output([c.batch, c.in_h, c.in_w], &x, epilogue);
                assert_eq!(own, y, "{path:?} {c:?} packed {activation:?}");
            }

            let dx = conv2d_input_gradient(c, Precision::F32, &dy, &w);
            assert!(
                error(&dx, &dx_expected) < 1e-5,
                "{path:?} {c:?} dx {}",
                error(&dx, &dx_expected)
            );
            let dw = conv2d_weight_gradient(c, Precision::F32, &x, &dy);
            assert!(
                error(&dw, &dw_expected) < 1e-5,
                "{path:?} {c:?} dw {}",
                error(&dw, &dw_expected)
            );
            let db = conv2d_bias_gradient(c, &dy);
            let db_expected: Vec<f64> = (0..c.out_c)
                .map(|k| {
                    dy.iter()
                        .skip(k)
                        .step_by(c.out_c)
                        .map(|v| f64::from(*v))
                        .sum()
                })
                .collect();
            assert!(error(&db, &db_expected) < 1e-5, "{path:?} {c:?} db");

            let y = conv2d_output(c, Precision::Bf16, &x, &w, None, Epilogue::NONE);
            assert!(
                error(&y, &rounded.0) < 1e-5,
                "{path:?} {c:?} bf16 forward {}",
                error(&y, &rounded.0)
            );
            let dx = conv2d_input_gradient(c, Precision::Bf16, &dy, &w);
            assert!(
                error(&dx, &rounded.1) < 1e-5,
                "{path:?} {c:?} bf16 dx {}",
                error(&dx, &rounded.1)
            );
            let dw = conv2d_weight_gradient(c, Precision::Bf16, &x, &dy);
            assert!(
                error(&dw, &rounded.2) < 1e-5,
                "{path:?} {c:?} bf16 dw {}",
                error(&dw, &rounded.2)
            );
        });
    }
}

/// What Miri has the time for (`.ci/sanitize`): every kind once, with edges.
#[test]
fn small_convolutions_equal_the_reference() {
    let grouped = |groups, channels| Conv2d {
        groups,
        ..conv(1, [3, 3], [channels; 2], 3, 1, 1)
    };
    check(&conv(2, [3, 4], [3, 5], 3, 2, 1));
    check(&conv(1, [2, 2], [4, 3], 1, 1, 0));
    check(&grouped(2, 4));
    check(&grouped(5, 5));
}

#[test]
fn convolutions_of_known_networks_equal_the_reference() {
    check(&conv(2, [32, 32], [3, 64], 7, 2, 3)); // the stem of a ResNet
    check(&conv(1, [17, 13], [3, 32], 3, 2, 1)); // the stem of a MobileNet
    check(&conv(2, [8, 8], [64, 64], 3, 1, 1));
    check(&conv(2, [8, 8], [64, 128], 3, 2, 1));
    check(&conv(2, [8, 8], [64, 128], 1, 2, 0));
    check(&conv(3, [4, 4], [128, 96], 3, 1, 1));
    check(&conv(1, [7, 7], [96, 24], 1, 1, 0));
    check(&conv(2, [5, 5], [24, 144], 1, 1, 0));
    check(&conv(1, [9, 7], [17, 33], 5, 1, 2));
}

#[test]
fn wide_inputs_that_collide_in_the_cache_equal_the_reference() {
    check(&conv(2, [3, 3], [1024, 32], 1, 1, 0));
    check(&conv(1, [3, 3], [512, 16], 3, 1, 1));
}

#[test]
fn grouped_convolutions_equal_the_reference() {
    check(&Conv2d {
        groups: 4,
        ..conv(2, [6, 5], [16, 24], 3, 1, 1)
    });
    check(&Conv2d {
        groups: 2,
        ..conv(1, [7, 7], [10, 6], 3, 2, 1)
    });
    check(&Conv2d {
        groups: 3,
        ..conv(2, [4, 4], [9, 9], 1, 1, 0)
    });
    // One input channel per group but several outputs is grouped, not depthwise.
    check(&Conv2d {
        groups: 5,
        ..conv(1, [6, 6], [5, 10], 3, 1, 1)
    });
}

#[test]
fn depthwise_convolutions_equal_the_reference() {
    for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (2, 2), (1, 1)] {
        for channels in [16, 24, 37] {
            for size in [[12, 11], [4, 4], [3, 2], [1, 1]] {
                let c = conv(2, size, [channels; 2], kernel, stride, kernel / 2);
                check(&Conv2d {
                    groups: channels,
                    ..c
                });
            }
        }
    }
}

#[test]
fn unequal_kernels_strides_and_paddings_equal_the_reference() {
    let base = conv(2, [7, 9], [6, 10], 3, 1, 1);
    check(&Conv2d {
        kernel: [1, 3],
        padding: [0, 1],
        ..base
    });
    check(&Conv2d {
        kernel: [3, 1],
        padding: [1, 0],
        stride: [1, 2],
        ..base
    });
    check(&Conv2d {
        kernel: [2, 4],
        padding: [0, 3],
        stride: [2, 3],
        ..base
    });
    check(&Conv2d {
        kernel: [1, 1],
        padding: [1, 2],
        ..base
    });
    check(&Conv2d {
        kernel: [2, 2],
        padding: [3, 3],
        stride: [1, 1],
        ..base
    });
}

#[test]
fn an_empty_batch_gives_empty_results_and_zero_gradients() {
    let c = conv(0, [5, 5], [3, 4], 3, 1, 1);
    let w = numbers(c.weight_len(), 1);
    let y = conv2d_output(&c, Precision::F32, &[], &w, None, Epilogue::NONE);
    let dx = conv2d_input_gradient(&c, Precision::F32, &[], &w);
    assert!(y.is_empty() && dx.is_empty());
    let dw = conv2d_weight_gradient(&c, Precision::F32, &[], &[]);
    assert_eq!(dw.len(), c.weight_len());
    assert!(dw.iter().all(|v| *v == 0.0));
}

#[test]
#[should_panic(expected = "the weight has 7 numbers")]
fn a_weight_of_the_wrong_length_is_refused() {
    let c = conv(1, [5, 5], [3, 4], 3, 1, 1);
    let x = numbers(c.input_len(), 1);
    let _ = conv2d_output(&c, Precision::F32, &x, &[0.0; 7], None, Epilogue::NONE);
}

#[test]
fn not_a_number_is_not_hidden() {
    let c = conv(1, [4, 4], [4, 8], 3, 1, 1);
    let mut x = numbers(c.input_len(), 1);
    x[20] = f32::NAN;
    let w = numbers(c.weight_len(), 2);
    // Written everywhere: the NaN is the input's, not that of an output which nothing has touched.
    let finite = numbers(c.input_len(), 1);
    let y = conv2d_output(&c, Precision::F32, &finite, &w, None, Epilogue::NONE);
    assert!(y.iter().all(|v| v.is_finite()));
    for activation in [Activation::Relu, Activation::Relu6] {
        let epilogue = Epilogue::activation(activation);
        let y = conv2d_output(&c, Precision::F32, &x, &w, None, epilogue);
        assert!(y.iter().any(|v| v.is_nan()), "{activation:?}");
    }
}

#[test]
fn a_convolution_of_single_pixels_is_a_matrix_product() {
    let c = Conv2d {
        batch: 19,
        in_h: 1,
        in_w: 1,
        in_c: 70,
        out_c: 45,
        kernel: [1, 1],
        stride: [1, 1],
        padding: [0, 0],
        groups: 1,
    };
    let (x, w, b) = (numbers(19 * 70, 1), numbers(45 * 70, 2), numbers(45, 3));
    let dy = numbers(19 * 45, 4);
    let at = |i: usize, j: usize| -> f64 {
        f64::from(b[j])
            + (0..70)
                .map(|k| f64::from(x[i * 70 + k]) * f64::from(w[j * 70 + k]))
                .sum::<f64>()
    };
    let y_expected: Vec<f64> = (0..19 * 45).map(|i| at(i / 45, i % 45)).collect();
    let dx_expected: Vec<f64> = (0..19 * 70)
        .map(|i| {
            (0..45)
                .map(|j| f64::from(dy[i / 70 * 45 + j]) * f64::from(w[j * 70 + i % 70]))
                .sum()
        })
        .collect();
    let dw_expected: Vec<f64> = (0..45 * 70)
        .map(|i| {
            (0..19)
                .map(|r| f64::from(dy[r * 45 + i / 70]) * f64::from(x[r * 70 + i % 70]))
                .sum()
        })
        .collect();
    for path in paths() {
        with_path(path, || {
            let full = Precision::F32;
            let y = conv2d_output(&c, full, &x, &w, Some(&b), Epilogue::NONE);
            let dx = conv2d_input_gradient(&c, full, &dy, &w);
            let dw = conv2d_weight_gradient(&c, full, &x, &dy);
            let db = conv2d_bias_gradient(&c, &dy);
            let db_expected: Vec<f64> = (0..45)
                .map(|j| dy.iter().skip(j).step_by(45).map(|v| f64::from(*v)).sum())
                .collect();
            assert!(error(&db, &db_expected) < 1e-5);
            assert!(
                error(&y, &y_expected) < 1e-5
                    && error(&dx, &dx_expected) < 1e-5
                    && error(&dw, &dw_expected) < 1e-5
            );
        });
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let dense = conv(5, [9, 9], [20, 40], 3, 1, 1);
    let depthwise = Conv2d {
        groups: 20,
        out_c: 20,
        ..dense
    };
    for c in [
        dense,
        Conv2d {
            stride: [2, 2],
            ..dense
        },
        depthwise,
    ] {
        let (x, w, dy) = (
            numbers(c.input_len(), 1),
            numbers(c.weight_len(), 2),
            numbers(c.output_len(), 3),
        );
        let results: Vec<_> = [1, 2, 5]
            .into_iter()
            .map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .expect("a pool");
                pool.install(|| {
                    let y = conv2d_output(&c, Precision::F32, &x, &w, None, Epilogue::NONE);
                    let dx = conv2d_input_gradient(&c, Precision::F32, &dy, &w);
                    let dw = conv2d_weight_gradient(&c, Precision::F32, &x, &dy);
                    (y, dx, dw)
                })
            })
            .collect();
        assert!(results.iter().all(|r| *r == results[0]), "{c:?}");
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

fn shapes() -> impl Strategy<Value = Conv2d> {
    (
        (1usize..4, 1usize..14, 1usize..14),
        (1usize..4, 1usize..24, 1usize..24, 0usize..3),
        (1usize..6, 1usize..6),
        (1usize..4, 1usize..4),
        (0usize..4, 0usize..4),
    )
        .prop_map(
            |((batch, in_h, in_w), (groups, a, b, kind), (kh, kw), (sh, sw), (ph, pw))| {
                // Kinds: dense, grouped, depthwise.
                let (groups, in_c, out_c) = match kind {
                    0 => (1, a, b),
                    1 => (groups, groups * a, groups * b),
                    _ => (a + 1, a + 1, a + 1),
                };
                Conv2d {
                    batch,
                    in_h,
                    in_w,
                    in_c,
                    out_c,
                    kernel: [kh, kw],
                    stride: [sh, sw],
                    padding: [ph, pw],
                    groups,
                }
            },
        )
        .prop_filter("the kernel fits", |c| c.out_h() > 0 && c.out_w() > 0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn random_shapes_equal_the_reference(c in shapes()) {
        check(&c);
    }

    /// Both gradients belong to the same linear map: `<dy, conv(x, w)> = <dx, x> = <dw, w>`.
    #[test]
    fn gradients_are_adjoint_to_forward(c in shapes(), seed in 0u64..1000) {
        let (x, w) = (numbers(c.input_len(), seed), numbers(c.weight_len(), seed + 1));
        let dy = numbers(c.output_len(), seed + 2);
        let y = conv2d_output(&c, Precision::F32, &x, &w, None, Epilogue::NONE);
        let dx = conv2d_input_gradient(&c, Precision::F32, &dy, &w);
        let dw = conv2d_weight_gradient(&c, Precision::F32, &x, &dy);
        let scale = (dot(&y, &y) * dot(&dy, &dy)).sqrt().max(1.0);
        prop_assert!((dot(&dy, &y) - dot(&dx, &x)).abs() / scale < 1e-5);
        prop_assert!((dot(&dy, &y) - dot(&dw, &w)).abs() / scale < 1e-5);
    }
}
