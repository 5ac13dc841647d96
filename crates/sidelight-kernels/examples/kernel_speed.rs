//! Prints the speed of every kernel at the layer shapes of ResNet-18 and MobileNetV2, beside the machine's limits.
//!
//! `cargo run --release -p sidelight-kernels --example kernel_speed -- [batch] [threads] [filter] [path]`
//!
//! Speeds are the best of several repeats, in GFLOP/s per thread, or GB/s of memory named by the call.

#![allow(clippy::print_stdout, reason = "an example shows what it found")]
#![allow(unsafe_code, reason = "it asks the processor what it can do")]

use sidelight_kernels::optimizer::AdamW;
use sidelight_kernels::pool::{Pool2d, max_pool_backward, max_pool_forward};
use sidelight_kernels::{
    Activation, BatchNorm, BatchStatistics, Conv2d, Epilogue, PackedConv2d, Precision, SimdPath,
    batch_norm_gradients, batch_norm_output, conv2d_input_gradient, conv2d_output,
    conv2d_weight_gradient, with_path,
};
use std::hint::black_box;
use std::time::Instant;

/// Seconds this process has spent on processors, all threads together; on a busy machine more telling than the clock
/// on the wall. `None` where the system is not known.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn processor_time() -> Option<f64> {
    let mut time = [0i64; 2];
    let status: i64;
    // SAFETY: system call 228 is `clock_gettime(2, &mut time)`, with the clock of the process; it writes two numbers
    // and clobbers only the named registers.
    unsafe {
        std::arch::asm!(
            "syscall", inlateout("rax") 228i64 => status, in("rdi") 2, in("rsi") time.as_mut_ptr(),
            out("rcx") _, out("r11") _
        );
    }
    (status == 0).then(|| time[0] as f64 + time[1] as f64 * 1e-9)
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn processor_time() -> Option<f64> {
    None
}

/// The best time of some repeats, in seconds: processor time on one thread, the clock on the wall on several.
fn best<T>(mut work: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    let alone = rayon::current_num_threads() == 1;
    let now = || {
        processor_time()
            .filter(|_| alone)
            .unwrap_or_else(|| start.elapsed().as_secs_f64())
    };
    black_box(work());
    let mut best = f64::INFINITY;
    let mut repeats = 0;
    while repeats < 7 || (start.elapsed().as_secs_f64() < 0.5 && repeats < 300) {
        let t = now();
        black_box(work());
        best = best.min(now() - t);
        repeats += 1;
    }
    best
}

fn numbers(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| ((i * 7919) % 1000) as f32 * 1e-3 - 0.5)
        .collect()
}

/// The peak of fused multiplications on one thread, GFLOP/s: independent sums that stay in registers.
#[cfg(target_arch = "x86_64")]
fn peak() -> f64 {
    use std::arch::x86_64::*;
    const N: usize = 2_000_000;
    #[target_feature(enable = "avx512f")]
    fn avx512(x: f32) -> f32 {
        let (a, b) = (_mm512_set1_ps(x), _mm512_set1_ps(0.5));
        let mut acc = [a; 12];
        for _ in 0..N {
            for v in &mut acc {
                *v = _mm512_fmadd_ps(*v, b, a);
            }
        }
        acc.into_iter().map(|v| _mm512_reduce_add_ps(v)).sum()
    }
    #[target_feature(enable = "avx2,fma")]
    fn avx2(x: f32) -> f32 {
        let (a, b) = (_mm256_set1_ps(x), _mm256_set1_ps(0.5));
        let mut acc = [a; 12];
        for _ in 0..N {
            for v in &mut acc {
                *v = _mm256_fmadd_ps(*v, b, a);
            }
        }
        acc.into_iter().map(|v| _mm256_cvtss_f32(v)).sum()
    }
    let per_pass = |lanes: usize| (2 * 12 * lanes * N) as f64 / 1e9;
    match SimdPath::best() {
        SimdPath::Avx512 | SimdPath::Avx512Bf16 => {
            per_pass(16)
                / best(|| {
                    // SAFETY: the path is available.
                    black_box(unsafe { avx512(black_box(1.0)) });
                })
        }
        SimdPath::Avx2 => {
            per_pass(8)
                / best(|| {
                    // SAFETY: the path is available.
                    black_box(unsafe { avx2(black_box(1.0)) });
                })
        }
        SimdPath::Portable => f64::NAN,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn peak() -> f64 {
    f64::NAN
}

struct Layer(&'static str, usize, [usize; 2], usize, usize, usize);

/// Name, side, channels, kernel, stride, groups (0: depthwise) at 128 pixels.
const LAYERS: [Layer; 27] = [
    Layer("resnet stem 7x7/2", 128, [3, 64], 7, 2, 1),
    Layer("resnet layer1 3x3", 32, [64, 64], 3, 1, 1),
    Layer("resnet layer2.0 3x3/2", 32, [64, 128], 3, 2, 1),
    Layer("resnet layer2 3x3", 16, [128, 128], 3, 1, 1),
    Layer("resnet layer2 1x1/2", 32, [64, 128], 1, 2, 1),
    Layer("resnet layer3.0 3x3/2", 16, [128, 256], 3, 2, 1),
    Layer("resnet layer3 3x3", 8, [256, 256], 3, 1, 1),
    Layer("resnet layer3 1x1/2", 16, [128, 256], 1, 2, 1),
    Layer("resnet layer4.0 3x3/2", 8, [256, 512], 3, 2, 1),
    Layer("resnet layer4 3x3", 4, [512, 512], 3, 1, 1),
    Layer("mobilenet stem 3x3/2", 128, [3, 32], 3, 2, 1),
    Layer("mobilenet dw 32@64", 64, [32, 32], 3, 1, 0),
    Layer("mobilenet 1x1 32-16@64", 64, [32, 16], 1, 1, 1),
    Layer("mobilenet 1x1 16-96@64", 64, [16, 96], 1, 1, 1),
    Layer("mobilenet dw/2 96@64", 64, [96, 96], 3, 2, 0),
    Layer("mobilenet 1x1 96-24@32", 32, [96, 24], 1, 1, 1),
    Layer("mobilenet 1x1 24-144@32", 32, [24, 144], 1, 1, 1),
    Layer("mobilenet dw 144@32", 32, [144, 144], 3, 1, 0),
    Layer("mobilenet dw/2 144@32", 32, [144, 144], 3, 2, 0),
    Layer("mobilenet dw 192@16", 16, [192, 192], 3, 1, 0),
    Layer("mobilenet 1x1 64-384@8", 8, [64, 384], 1, 1, 1),
    Layer("mobilenet dw 384@8", 8, [384, 384], 3, 1, 0),
    Layer("mobilenet 1x1 384-64@8", 8, [384, 64], 1, 1, 1),
    Layer("mobilenet 1x1 576-96@8", 8, [576, 96], 1, 1, 1),
    Layer("mobilenet dw 960@4", 4, [960, 960], 3, 1, 0),
    Layer("mobilenet 1x1 960-160@4", 4, [960, 160], 1, 1, 1),
    Layer("mobilenet 1x1 320-1280@4", 4, [320, 1280], 1, 1, 1),
];

fn convolutions(batch: usize, threads: usize, filter: &str, peak: f64) {
    println!(
        "{:26} {:>8} | GFLOP/s per thread (share of peak)",
        "convolution", "MFLOP"
    );
    for Layer(name, side, [cin, cout], kernel, stride, groups) in LAYERS {
        if !name.contains(filter) {
            continue;
        }
        let groups = if groups == 0 { cin } else { groups };
        let c = Conv2d {
            batch,
            in_h: side,
            in_w: side,
            in_c: cin,
            out_c: cout,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [kernel / 2; 2],
            groups,
        };
        let (x, w, dy) = (
            numbers(c.input_len()),
            numbers(c.weight_len()),
            numbers(c.output_len()),
        );
        let speed = |seconds: f64| c.flops() / seconds / 1e9 / threads as f64;
        let packed = PackedConv2d::new(&c, Precision::F32, &w, None);
        let relu6 = Epilogue::activation(Activation::Relu6);
        let forward = |precision| {
            speed(best(|| {
                conv2d_output(&c, precision, &x, &w, None, Epilogue::NONE)
            }))
        };
        let to_input = |precision| speed(best(|| conv2d_input_gradient(&c, precision, &dy, &w)));
        let to_weight = |precision| speed(best(|| conv2d_weight_gradient(&c, precision, &x, &dy)));
        let results = [
            ("fwd", forward(Precision::F32)),
            (
                "packed+relu6",
                speed(best(|| packed.output([batch, side, side], &x, relu6))),
            ),
            ("dx", to_input(Precision::F32)),
            ("dw", to_weight(Precision::F32)),
            ("fwd bf16", forward(Precision::Bf16)),
            ("dx bf16", to_input(Precision::Bf16)),
            ("dw bf16", to_weight(Precision::Bf16)),
        ];
        print!("{name:26} {:8.1} |", c.flops() / 1e6);
        for (what, speed) in results {
            print!("  {what} {speed:5.1} ({:3.0} %)", 100.0 * speed / peak);
        }
        println!();
    }
}

fn memory_bound(batch: usize, threads: usize, filter: &str) {
    let n = 16 << 20;
    let (a, mut b) = (numbers(n), vec![0.0f32; n]);
    let copy = (8 * n) as f64 / best(|| black_box(&mut b).copy_from_slice(black_box(&a))) / 1e9;
    println!("\ncopy bandwidth, one thread: {copy:.1} GB/s (read + write)");
    for (rows, c) in [
        (32 * 32, 64),
        (4 * 4, 512),
        (64 * 64, 96),
        (8 * 8, 384),
        (32 * 32, 24),
    ] {
        let name = format!("batch norm {rows}x{c}");
        if !name.contains(filter) {
            continue;
        }
        let n = batch * rows * c;
        let (x, dy, residual) = (numbers(n), numbers(n), numbers(n));
        let (gamma, beta) = (vec![1.0; c], vec![0.1; c]);
        let norm = BatchNorm {
            gamma: &gamma,
            beta: &beta,
            eps: 1e-5,
            residual: None,
            activation: Activation::Relu,
        };
        let with = BatchNorm {
            residual: Some(&residual),
            ..norm
        };
        let gb = |passes: usize, t: f64| (passes * n * 4) as f64 / t / 1e9;
        let output = batch_norm_output(&norm, None, &x);
        let statistics = BatchStatistics {
            mean: &output.mean,
            var: &output.var,
            n_rows: output.n_rows,
        };
        let forward = best(|| batch_norm_output(&norm, None, &x));
        let backward = best(|| batch_norm_gradients(&norm, None, statistics, &x, &dy, false));
        let added = best(|| batch_norm_output(&with, None, &x));
        let added_back = best(|| batch_norm_gradients(&with, None, statistics, &x, &dy, true));
        println!(
            "{name:26} +relu fwd {:.2} ms {:.1} GB/s  bwd {:.2} ms {:.1} GB/s  +residual fwd {:.2} ms {:.1}  bwd {:.2} ms {:.1}",
            forward * 1e3,
            gb(3, forward),
            backward * 1e3,
            gb(5, backward),
            added * 1e3,
            gb(4, added),
            added_back * 1e3,
            gb(8, added_back),
        );
    }
    if "max pool".contains(filter) {
        let p = Pool2d {
            batch,
            in_h: 64,
            in_w: 64,
            channels: 64,
            kernel: [3, 3],
            stride: [2, 2],
            padding: [1, 1],
        };
        let x = numbers(p.input_len());
        let (mut y, mut argmax, mut dx) = (
            vec![0.0; p.output_len()],
            vec![0; p.output_len()],
            vec![0.0; p.input_len()],
        );
        let forward = best(|| max_pool_forward(&p, &x, &mut y, Some(&mut argmax)));
        let backward = best(|| max_pool_backward(&p, &y, &argmax, &mut dx));
        println!(
            "max pool 3x3/2 64@64: fwd {:.2} ms, bwd {:.2} ms",
            forward * 1e3,
            backward * 1e3
        );
    }
    if "adamw".contains(filter) {
        let n = 11_700_000;
        let (mut p, g, mut m, mut v) = (numbers(n), numbers(n), vec![0.0; n], vec![0.0; n]);
        let rule = AdamW {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 1e-2,
            step: 5,
            gradient_scale: 1.0,
        };
        let t = best(|| rule.update(&mut p, &g, &mut m, &mut v));
        println!(
            "AdamW 11.7 M: {:.2} ms, {:.1} GB/s with {threads} threads",
            t * 1e3,
            (28 * n) as f64 / t / 1e9
        );
    }
}

fn main() {
    let path = std::env::args().nth(4);
    let path = SimdPath::ALL
        .into_iter()
        .find(|p| path.as_deref() == Some(&format!("{p:?}")));
    with_path(path.unwrap_or(SimdPath::best()), measure);
}

fn measure() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| {
        arguments
            .get(i)
            .and_then(|a| a.parse().ok())
            .unwrap_or(default)
    };
    let (batch, threads) = (number(0, 32), number(1, 1));
    let filter = arguments.get(2).map_or("", String::as_str);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .expect("the pool is built once");
    let peak = peak();
    println!(
        "{:?}, batch {batch}, {threads} threads, f32 peak {peak:.1} GFLOP/s per thread",
        SimdPath::current()
    );
    convolutions(batch, threads, filter, peak);
    memory_bound(batch, threads, filter);
}
