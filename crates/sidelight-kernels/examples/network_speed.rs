//! Images per second that the kernels alone allow ResNet-18 and MobileNetV2: every convolution with its norm folded in
//! and its activation and residual in the epilogue, then the pooling and the last layer. Weights are made up.
//!
//! `cargo run --release -p sidelight-kernels --example network_speed -- [side] [threads]`
//!
//! One thread: images per second of processor time. Several: each takes whole images through the whole network, so
//! that what passes between layers stays in its cache.

#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use sidelight_kernels::pool::{
    AdaptivePool2d, Pool2d, adaptive_average_pool_forward, max_pool_forward,
};
use sidelight_kernels::{Activation, Conv2d, Epilogue, PackedConv2d, Precision};
use std::time::Instant;

/// What a step reads and writes: numbered activations, each a buffer of its own.
enum Step {
    Conv {
        from: usize,
        add: Option<usize>,
        activation: Activation,
        conv: PackedConv2d,
    },
    MaxPool {
        from: usize,
    },
    Average {
        from: usize,
    },
}

/// A network as a list of steps; step `i` writes activation `i + 1`, activation 0 is the image.
struct Network {
    steps: Vec<Step>,
    /// Side and channels of each activation.
    shapes: Vec<(usize, usize)>,
    precision: &'static str,
}

impl Network {
    fn new(side: usize, precision: &'static str) -> Self {
        Network {
            steps: Vec::new(),
            shapes: vec![(side, 3)],
            precision,
        }
    }

    fn last(&self) -> usize {
        self.shapes.len() - 1
    }

    /// Appends a convolution and returns the number of its output. `groups` 0: depthwise.
    fn conv(
        &mut self,
        from: usize,
        [out_c, kernel, stride, groups]: [usize; 4],
        add: Option<usize>,
        activation: Activation,
    ) -> usize {
        let (side, in_c) = self.shapes[from];
        let c = Conv2d {
            batch: 1,
            in_h: side,
            in_w: side,
            in_c,
            out_c,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [kernel / 2; 2],
            groups: if groups == 0 { in_c } else { groups },
        };
        let w: Vec<f32> = (0..c.weight_len())
            .map(|i| ((i * 7919) % 1000) as f32 * 1e-4 - 0.05)
            .collect();
        let bias = vec![0.1; out_c];
        let precision = Precision::from_name(self.precision);
        let conv = PackedConv2d::new(&c, precision, &w, Some(&bias));
        self.shapes.push((c.out_h(), out_c));
        self.steps.push(Step::Conv {
            from,
            add,
            activation,
            conv,
        });
        self.last()
    }

    fn average(&mut self) -> usize {
        let from = self.last();
        self.shapes.push((1, self.shapes[from].1));
        self.steps.push(Step::Average { from });
        self.last()
    }

    /// # Source
    /// He et al. 2016, as in torchvision.
    fn resnet18(side: usize, precision: &'static str) -> Self {
        let mut n = Network::new(side, precision);
        n.conv(0, [64, 7, 2, 1], None, Activation::Relu);
        let stem = n.last();
        n.shapes.push((n.shapes[stem].0.div_ceil(2), 64));
        n.steps.push(Step::MaxPool { from: stem });
        for (i, width) in [64, 128, 256, 512].into_iter().enumerate() {
            for block in 0..2 {
                let from = n.last();
                let stride = if i > 0 && block == 0 { 2 } else { 1 };
                let inner = n.conv(from, [width, 3, stride, 1], None, Activation::Relu);
                let add = if stride == 2 {
                    n.conv(from, [width, 1, 2, 1], None, Activation::None)
                } else {
                    from
                };
                n.conv(inner, [width, 3, 1, 1], Some(add), Activation::Relu);
            }
        }
        let features = n.average();
        n.conv(features, [1000, 1, 1, 1], None, Activation::None);
        n
    }

    /// # Source
    /// Sandler et al. 2018, table 2, as in torchvision.
    fn mobilenet_v2(side: usize, precision: &'static str) -> Self {
        let mut n = Network::new(side, precision);
        n.conv(0, [32, 3, 2, 1], None, Activation::Relu6);
        let rows = [
            (1, 16, 1, 1),
            (6, 24, 2, 2),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        ];
        for (expand, width, repeat, stride) in rows {
            for block in 0..repeat {
                let from = n.last();
                let in_c = n.shapes[from].1;
                let stride = if block == 0 { stride } else { 1 };
                let mut at = from;
                if expand > 1 {
                    at = n.conv(at, [in_c * expand, 1, 1, 1], None, Activation::Relu6);
                }
                at = n.conv(at, [in_c * expand, 3, stride, 0], None, Activation::Relu6);
                let add = (stride == 1 && in_c == width).then_some(from);
                n.conv(at, [width, 1, 1, 1], add, Activation::None);
            }
        }
        let last = n.last();
        n.conv(last, [1280, 1, 1, 1], None, Activation::Relu6);
        let features = n.average();
        n.conv(features, [1000, 1, 1, 1], None, Activation::None);
        n
    }

    fn buffers(&self, batch: usize) -> Vec<Vec<f32>> {
        self.shapes
            .iter()
            .map(|(side, c)| vec![0.5; batch * side * side * c])
            .collect()
    }

    /// Runs all steps; adds each step's seconds to `seconds`.
    fn run(&self, batch: usize, buffers: &mut [Vec<f32>], seconds: &mut [f64]) {
        for (i, step) in self.steps.iter().enumerate() {
            let start = Instant::now();
            let (before, after) = buffers.split_at_mut(i + 1);
            let y = &mut after[0];
            match step {
                Step::Conv {
                    from,
                    add,
                    activation,
                    conv,
                } => {
                    let side = self.shapes[*from].0;
                    let epilogue = Epilogue {
                        activation: *activation,
                        residual: add.map(|a| &before[a][..]),
                    };
                    *y = conv.output([batch, side, side], &before[*from], epilogue);
                }
                Step::MaxPool { from } => {
                    let (side, channels) = self.shapes[*from];
                    let p = Pool2d {
                        batch,
                        in_h: side,
                        in_w: side,
                        channels,
                        kernel: [3, 3],
                        stride: [2, 2],
                        padding: [1, 1],
                    };
                    max_pool_forward(&p, &before[*from], y, None);
                }
                Step::Average { from } => {
                    let (side, channels) = self.shapes[*from];
                    let p = AdaptivePool2d {
                        batch,
                        in_h: side,
                        in_w: side,
                        channels,
                        out: [1, 1],
                    };
                    adaptive_average_pool_forward(&p, &before[*from], y);
                }
            }
            seconds[i] += start.elapsed().as_secs_f64();
        }
    }
}

/// The best seconds for one run, by the clock on the wall, of several threads that each take `batch` images through
/// the network.
fn best(network: &Network, batch: usize, threads: usize) -> f64 {
    let one = || {
        rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .expect("a pool of one thread")
    };
    let mut best = f64::INFINITY;
    let mut workers: Vec<_> = (0..threads)
        .map(|_| (one(), network.buffers(batch)))
        .collect();
    for _ in 0..40 {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for (pool, buffers) in &mut workers {
                scope.spawn(|| {
                    let mut seconds = vec![0.0; network.steps.len()];
                    pool.install(|| network.run(batch, buffers, &mut seconds));
                });
            }
        });
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

fn main() {
    let number = |i: usize, default| {
        std::env::args()
            .nth(i)
            .and_then(|a| a.parse().ok())
            .unwrap_or(default)
    };
    let (side, threads) = (number(1, 128), number(2, 1));
    for precision in ["f32", "bf16"] {
        for (name, network) in [
            ("ResNet-18", Network::resnet18(side, precision)),
            ("MobileNetV2", Network::mobilenet_v2(side, precision)),
        ] {
            for batch in [1, 4, 32] {
                let t = best(&network, batch, threads);
                println!(
                    "{name} {precision} {side} px, {threads} threads with {batch} images each: {:.1} images/s ({:.2} ms)",
                    (batch * threads) as f64 / t,
                    t * 1e3
                );
            }
        }
    }
}
