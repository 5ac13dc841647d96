//! The plain loops that the fast kernels are tested against: one index at a time, sums in `f64`.

use sidelight_kernels::pool::{AdaptivePool2d, Pool2d};
use sidelight_kernels::{Activation, Conv2d, SimdPath};

/// Numbers in [-1, 1) from a seed; exact in few digits, so that nothing depends on a generator's version.
pub(crate) fn numbers(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// The instruction sets that this machine has.
pub(crate) fn paths() -> Vec<SimdPath> {
    SimdPath::ALL
        .into_iter()
        .filter(|p| p.is_available())
        .collect()
}

/// The activation of `z`.
pub(crate) fn activate(activation: Activation, z: f64) -> f64 {
    let ramp = (z + 3.0).clamp(0.0, 6.0) / 6.0;
    match activation {
        Activation::None => z,
        Activation::Relu => z.max(0.0),
        Activation::Relu6 => z.clamp(0.0, 6.0),
        Activation::Silu => z / (1.0 + (-z).exp()),
        Activation::HardSwish => z * ramp,
        Activation::Sigmoid => 1.0 / (1.0 + (-z).exp()),
        Activation::HardSigmoid => ramp,
    }
}

/// The derivative of the activation at `z`.
pub(crate) fn activation_slope(activation: Activation, z: f64) -> f64 {
    let p = 1.0 / (1.0 + (-z).exp());
    match activation {
        Activation::None => 1.0,
        Activation::Relu => f64::from(z > 0.0),
        Activation::Relu6 => f64::from(z > 0.0 && z < 6.0),
        Activation::Silu => p * (1.0 + z * (1.0 - p)),
        Activation::HardSwish if z < -3.0 => 0.0,
        Activation::HardSwish if z > 3.0 => 1.0,
        Activation::HardSwish => z / 3.0 + 0.5,
        Activation::Sigmoid => p * (1.0 - p),
        Activation::HardSigmoid => f64::from(z > -3.0 && z < 3.0) / 6.0,
    }
}

/// Calls `f(input, output, weight)` with the three indices of every product of the convolution.
fn each_product(c: &Conv2d, mut f: impl FnMut(usize, usize, usize)) {
    let (cin, cout) = (c.in_c / c.groups, c.out_c / c.groups);
    let [kh, kw] = c.kernel;
    for n in 0..c.batch {
        for oy in 0..c.out_h() {
            for ox in 0..c.out_w() {
                for ky in 0..kh {
                    for kx in 0..kw {
                        let (y, x) = (oy * c.stride[0] + ky, ox * c.stride[1] + kx);
                        if y < c.padding[0] || x < c.padding[1] {
                            continue;
                        }
                        let (y, x) = (y - c.padding[0], x - c.padding[1]);
                        if y >= c.in_h || x >= c.in_w {
                            continue;
                        }
                        for co in 0..c.out_c {
                            for ci in 0..cin {
                                f(
                                    ((n * c.in_h + y) * c.in_w + x) * c.in_c + co / cout * cin + ci,
                                    ((n * c.out_h() + oy) * c.out_w() + ox) * c.out_c + co,
                                    ((co * cin + ci) * kh + ky) * kw + kx,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Convolution without bias.
pub(crate) fn conv2d(c: &Conv2d, x: &[f32], w: &[f32]) -> Vec<f64> {
    let mut y = vec![0.0; c.output_len()];
    each_product(c, |i, o, k| y[o] += f64::from(x[i]) * f64::from(w[k]));
    y
}

/// The gradient of [`conv2d`] to its input.
pub(crate) fn conv2d_backward_input(c: &Conv2d, dy: &[f32], w: &[f32]) -> Vec<f64> {
    let mut dx = vec![0.0; c.input_len()];
    each_product(c, |i, o, k| dx[i] += f64::from(dy[o]) * f64::from(w[k]));
    dx
}

/// The gradient of [`conv2d`] to its weights.
pub(crate) fn conv2d_backward_weight(c: &Conv2d, x: &[f32], dy: &[f32]) -> Vec<f64> {
    let mut dw = vec![0.0; c.weight_len()];
    each_product(c, |i, o, k| dw[k] += f64::from(x[i]) * f64::from(dy[o]));
    dw
}

/// Mean and biased variance of each of `channels` columns.
pub(crate) fn moments(x: &[f32], channels: usize) -> (Vec<f64>, Vec<f64>) {
    let n = (x.len() / channels) as f64;
    let column = |c: usize| x.iter().skip(c).step_by(channels).map(|v| f64::from(*v));
    let mean: Vec<f64> = (0..channels).map(|c| column(c).sum::<f64>() / n).collect();
    let var = (0..channels)
        .map(|c| column(c).map(|v| (v - mean[c]).powi(2)).sum::<f64>() / n)
        .collect();
    (mean, var)
}

/// The largest value of each window and its place in the window.
pub(crate) fn max_pool(p: &Pool2d, x: &[f32]) -> (Vec<f32>, Vec<u8>) {
    let (mut values, mut places) = (Vec::new(), Vec::new());
    for n in 0..p.batch {
        for oy in 0..p.out_h() {
            for ox in 0..p.out_w() {
                for c in 0..p.channels {
                    let mut best = (f32::NEG_INFINITY, 0);
                    for k in 0..p.kernel[0] * p.kernel[1] {
                        let y = (oy * p.stride[0] + k / p.kernel[1]).wrapping_sub(p.padding[0]);
                        let x_at = (ox * p.stride[1] + k % p.kernel[1]).wrapping_sub(p.padding[1]);
                        if y < p.in_h && x_at < p.in_w {
                            let v = x[((n * p.in_h + y) * p.in_w + x_at) * p.channels + c];
                            if v > best.0 {
                                best = (v, k);
                            }
                        }
                    }
                    values.push(best.0);
                    places.push(best.1 as u8);
                }
            }
        }
    }
    (values, places)
}

/// The mean of each window, pixels beyond the image counting as zeros.
pub(crate) fn average_pool(p: &Pool2d, x: &[f32]) -> Vec<f64> {
    let mut y = Vec::new();
    for n in 0..p.batch {
        for oy in 0..p.out_h() {
            for ox in 0..p.out_w() {
                for c in 0..p.channels {
                    let mut sum = 0.0;
                    for k in 0..p.kernel[0] * p.kernel[1] {
                        let row = (oy * p.stride[0] + k / p.kernel[1]).wrapping_sub(p.padding[0]);
                        let col = (ox * p.stride[1] + k % p.kernel[1]).wrapping_sub(p.padding[1]);
                        if row < p.in_h && col < p.in_w {
                            sum +=
                                f64::from(x[((n * p.in_h + row) * p.in_w + col) * p.channels + c]);
                        }
                    }
                    y.push(sum / (p.kernel[0] * p.kernel[1]) as f64);
                }
            }
        }
    }
    y
}

/// The mean of each of the windows that cover the image evenly.
pub(crate) fn adaptive_average_pool(p: &AdaptivePool2d, x: &[f32]) -> Vec<f64> {
    let mut y = Vec::new();
    for n in 0..p.batch {
        for oy in 0..p.out[0] {
            for ox in 0..p.out[1] {
                for c in 0..p.channels {
                    let rows = oy * p.in_h / p.out[0]..((oy + 1) * p.in_h).div_ceil(p.out[0]);
                    let cols = ox * p.in_w / p.out[1]..((ox + 1) * p.in_w).div_ceil(p.out[1]);
                    let count = (rows.len() * cols.len()) as f64;
                    let sum: f64 = rows
                        .flat_map(|r| cols.clone().map(move |k| (r, k)))
                        .map(|(r, k)| {
                            f64::from(x[((n * p.in_h + r) * p.in_w + k) * p.channels + c])
                        })
                        .sum();
                    y.push(sum / count);
                }
            }
        }
    }
    y
}
