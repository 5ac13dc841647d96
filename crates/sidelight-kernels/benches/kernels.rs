//! Kernels one by one, in FLOP/s or bytes a second: `cargo bench -p sidelight-kernels` (`-- resnet` for some of them).
//!
//! Shapes are those of ResNet-18 and MobileNetV2 at 128 pixels, batch 32. The last two groups are the machine's limits
//! by the same measure: a matrix product that fits the second cache, a copy of more than any cache holds.

use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use sidelight_kernels::{
    Activation, BatchNorm, Conv2d, Epilogue, Precision, batch_norm_output, conv2d_input_gradient,
    conv2d_output, conv2d_weight_gradient,
};

fn main() {
    divan::main();
}

/// Numbers without a pattern that a kernel could profit from.
fn numbers(n: usize) -> Vec<f32> {
    let mut state = 0x2545_f491_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..n).map(next).collect()
}

const fn conv(
    side: usize,
    in_c: usize,
    out_c: usize,
    kernel: usize,
    stride: usize,
    groups: usize,
) -> Conv2d {
    Conv2d {
        batch: 32,
        in_h: side,
        in_w: side,
        in_c,
        out_c,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 2],
        groups,
    }
}

const LAYERS: [(&str, Conv2d); 8] = [
    ("resnet stem 7×7/2, 3 to 64", conv(128, 3, 64, 7, 2, 1)),
    ("resnet 3×3, 64 at 32×32", conv(32, 64, 64, 3, 1, 1)),
    ("resnet 3×3, 256 at 8×8", conv(8, 256, 256, 3, 1, 1)),
    ("resnet 3×3, 512 at 4×4", conv(4, 512, 512, 3, 1, 1)),
    (
        "mobilenet 1×1, 24 to 144 at 32×32",
        conv(32, 24, 144, 1, 1, 1),
    ),
    (
        "mobilenet 1×1, 960 to 160 at 4×4",
        conv(4, 960, 160, 1, 1, 1),
    ),
    (
        "mobilenet depthwise, 144 at 32×32",
        conv(32, 144, 144, 3, 1, 144),
    ),
    (
        "mobilenet depthwise/2, 576 at 8×8",
        conv(8, 576, 576, 3, 2, 576),
    ),
];

/// The layers by name, so that the report does not count them.
#[derive(Clone, Copy)]
struct Layer(usize);

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(LAYERS[self.0].0)
    }
}

fn layers() -> impl Iterator<Item = Layer> {
    (0..LAYERS.len()).map(Layer)
}

/// Times `kernel(layer, x, w, dy)` and counts multiplications and additions.
fn of_layer(
    bencher: Bencher<'_, '_>,
    layer: Layer,
    kernel: impl Fn(&Conv2d, &[f32], &[f32], &[f32]) -> Vec<f32>,
) {
    let c = LAYERS[layer.0].1;
    let (x, w, dy) = (
        numbers(c.input_len()),
        numbers(c.weight_len()),
        numbers(c.output_len()),
    );
    bencher
        .counter(ItemsCount::new(c.flops() as u64))
        .bench_local(|| kernel(&c, black_box(&x), black_box(&w), black_box(&dy)));
}

#[divan::bench(args = layers())]
fn forward(bencher: Bencher<'_, '_>, layer: Layer) {
    of_layer(bencher, layer, |c, x, w, _| {
        conv2d_output(c, Precision::F32, x, w, None, Epilogue::NONE)
    });
}

#[divan::bench(args = layers())]
fn forward_bf16(bencher: Bencher<'_, '_>, layer: Layer) {
    of_layer(bencher, layer, |c, x, w, _| {
        conv2d_output(c, Precision::Bf16, x, w, None, Epilogue::NONE)
    });
}

#[divan::bench(args = layers())]
fn gradient_to_input(bencher: Bencher<'_, '_>, layer: Layer) {
    of_layer(bencher, layer, |c, _, w, dy| {
        conv2d_input_gradient(c, Precision::F32, dy, w)
    });
}

#[divan::bench(args = layers())]
fn gradient_to_input_bf16(bencher: Bencher<'_, '_>, layer: Layer) {
    of_layer(bencher, layer, |c, _, w, dy| {
        conv2d_input_gradient(c, Precision::Bf16, dy, w)
    });
}

#[divan::bench(args = layers())]
fn gradient_to_weight(bencher: Bencher<'_, '_>, layer: Layer) {
    of_layer(bencher, layer, |c, x, _, dy| {
        conv2d_weight_gradient(c, Precision::F32, x, dy)
    });
}

#[divan::bench(args = layers())]
fn gradient_to_weight_bf16(bencher: Bencher<'_, '_>, layer: Layer) {
    of_layer(bencher, layer, |c, x, _, dy| {
        conv2d_weight_gradient(c, Precision::Bf16, x, dy)
    });
}

/// Reads and writes each number once more than a copy does: statistics first, then the result.
#[divan::bench(args = [64, 144, 960])]
fn batch_norm_relu(bencher: Bencher<'_, '_>, channels: usize) {
    let x = numbers(32 * 32 * 32 * channels);
    let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
    let norm = BatchNorm {
        gamma: &ones,
        beta: &zeros,
        eps: 1e-5,
        residual: None,
        activation: Activation::Relu,
    };
    bencher
        .counter(BytesCount::of_many::<f32>(3 * x.len()))
        .bench_local(|| batch_norm_output(&norm, None, black_box(&x)));
}

/// Limit: products and sums.
#[divan::bench]
fn limit_matrix_product(bencher: Bencher<'_, '_>) {
    let shape = Conv2d {
        batch: 1024,
        in_h: 1,
        in_w: 1,
        in_c: 512,
        out_c: 512,
        kernel: [1, 1],
        stride: [1, 1],
        padding: [0, 0],
        groups: 1,
    };
    let (x, w) = (numbers(shape.input_len()), numbers(shape.weight_len()));
    bencher
        .counter(ItemsCount::new(shape.flops() as u64))
        .bench_local(|| {
            conv2d_output(
                &shape,
                Precision::F32,
                black_box(&x),
                &w,
                None,
                Epilogue::NONE,
            )
        });
}

/// Limit: memory, on one thread. Bytes read and bytes written both count.
#[divan::bench]
fn limit_copy(bencher: Bencher<'_, '_>) {
    let x = numbers(64 << 20);
    let mut y = vec![0.0; x.len()];
    bencher
        .counter(BytesCount::of_many::<f32>(2 * x.len()))
        .bench_local(|| y.copy_from_slice(black_box(&x)));
}
