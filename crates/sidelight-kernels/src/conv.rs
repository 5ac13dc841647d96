//! Two-dimensional convolution: dense, grouped and depthwise, any kernel, stride and padding.
//!
//! A convolution and its gradient to the input are the same sum, "every output pixel adds up some input pixels times
//! weights" ([`geometry`]); they run through [`dense`] (register tiles) or [`depthwise`] (one weight per channel). The
//! gradient to the weights sums over pixels instead ([`weight_gradient`]).

mod dense;
mod depthwise;
mod depthwise_gradient;
mod geometry;
mod pack;
mod weight_gradient;
mod window;

use crate::activation::Epilogue;
use crate::dispatch::{self, SimdPath};
use crate::parallel::{SharedMut, written};
use crate::scratch::{self, Aligned};
use crate::simd::Kernel;
use dense::{Correlation, Source};
use geometry::Axis;
use pack::Weights;

/// The shape of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Number of images in the batch.
    pub batch: usize,
    /// Rows of the input.
    pub in_h: usize,
    /// Columns of the input.
    pub in_w: usize,
    /// Channels of the input.
    pub in_c: usize,
    /// Channels of the output.
    pub out_c: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Steps between neighbouring outputs, vertical and horizontal.
    pub stride: [usize; 2],
    /// Zeros around the input, above and below, left and right.
    pub padding: [usize; 2],
    /// Groups of channels that do not see each other; `in_c` for a depthwise convolution.
    pub groups: usize,
}

/// How products are formed. Sums are always `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// Products of `f32`.
    #[default]
    F32,
    /// Products of operands rounded to bf16 (8 bits of mantissa); depthwise convolutions stay in `f32`.
    Bf16,
}

impl Precision {
    /// By its name: `bf16`, or `f32` for all others.
    pub fn from_name(name: &str) -> Self {
        match name {
            "bf16" => Self::Bf16,
            _ => Self::F32,
        }
    }
}

/// What a 32-bit word of an operand holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// One `f32`, not rounded.
    Full,
    /// One `f32` that was rounded to bf16; stands in where the machine has no bf16 products.
    Rounded,
    /// Two bf16, the lower channel in the lower half.
    Pairs,
}

impl Words {
    fn new(path: SimdPath, precision: Precision) -> Words {
        match precision {
            Precision::F32 => Words::Full,
            Precision::Bf16 if path.has_bf16() => Words::Pairs,
            Precision::Bf16 => Words::Rounded,
        }
    }

    /// Runs one kernel body compiled for `path` and these words.
    fn run<K: Kernel>(self, path: SimdPath, kernel: K) -> K::Output {
        match self {
            Words::Pairs => dispatch::run_pairs(path, kernel),
            _ => dispatch::run(path, kernel),
        }
    }

    /// Words that hold `channels` numbers.
    pub(crate) fn count(self, channels: usize) -> usize {
        if self == Words::Pairs {
            channels.div_ceil(2)
        } else {
            channels
        }
    }
}

impl Conv2d {
    /// Rows of the output.
    #[must_use]
    pub fn out_h(&self) -> usize {
        extent(self.in_h, self.kernel[0], self.stride[0], self.padding[0])
    }

    /// Columns of the output.
    #[must_use]
    pub fn out_w(&self) -> usize {
        extent(self.in_w, self.kernel[1], self.stride[1], self.padding[1])
    }

    /// Numbers in the input, `[batch, in_h, in_w, in_c]`.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.batch * self.in_h * self.in_w * self.in_c
    }

    /// Numbers in the output, `[batch, out_h, out_w, out_c]`.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.batch * self.out_h() * self.out_w() * self.out_c
    }

    /// Numbers in the weights, `[out_c, in_c / groups, kernel_h, kernel_w]`.
    #[must_use]
    pub fn weight_len(&self) -> usize {
        self.out_c * (self.in_c / self.groups) * self.kernel[0] * self.kernel[1]
    }

    /// Multiplications and additions of one pass, two per weight used.
    #[must_use]
    pub fn flops(&self) -> f64 {
        let per_output = (self.in_c / self.groups * self.kernel[0] * self.kernel[1]) as f64;
        2.0 * per_output * self.output_len() as f64
    }

    /// Height, width, channels of an input image.
    fn input_shape(&self) -> [usize; 3] {
        [self.in_h, self.in_w, self.in_c]
    }

    /// Height, width, channels of an output image.
    fn output_shape(&self) -> [usize; 3] {
        [self.out_h(), self.out_w(), self.out_c]
    }

    fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.in_c && self.in_c == self.out_c
    }

    fn check(&self) {
        let Conv2d {
            in_c,
            out_c,
            groups,
            kernel,
            stride,
            ..
        } = *self;
        assert!(
            groups > 0 && in_c % groups == 0 && out_c % groups == 0,
            "{groups} groups do not divide {in_c} and {out_c} channels"
        );
        assert!(
            kernel.iter().chain(&stride).all(|&k| k > 0),
            "kernel and stride must be positive"
        );
    }

    fn axes(&self) -> [Axis; 2] {
        [
            Axis::forward(
                self.out_h(),
                self.stride[0],
                self.padding[0],
                self.kernel[0],
            ),
            Axis::forward(
                self.out_w(),
                self.stride[1],
                self.padding[1],
                self.kernel[1],
            ),
        ]
    }
}

/// Outputs along one axis; none where the kernel does not fit.
pub(crate) fn extent(len: usize, kernel: usize, stride: usize, padding: usize) -> usize {
    (len + 2 * padding)
        .checked_sub(kernel)
        .map_or(0, |room| room / stride + 1)
}

fn check_len(what: &str, found: usize, expected: usize) {
    assert_eq!(
        found, expected,
        "{what} has {found} numbers, the convolution needs {expected}"
    );
}

/// Convolves, adds the bias and finishes with `epilogue`.
///
/// With [`Precision::Bf16`] operands are rounded and sums stay in `f32`; depthwise convolutions stay in `f32`. The
/// output is written once: nothing fills it with zeros before.
///
/// # Shapes
///
/// - `x`: `[batch, in_h, in_w, in_c]`
/// - `w`: `[out_c, in_c / groups, kernel_h, kernel_w]`
/// - `bias`: `[out_c]`
/// - returns, and `epilogue.residual`: `[batch, out_h, out_w, out_c]`
///
/// # Panics
///
/// When a length does not fit the shape.
#[must_use]
pub fn conv2d_output(
    c: &Conv2d,
    precision: Precision,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    epilogue: Epilogue<'_>,
) -> Vec<f32> {
    c.check();
    check_len("the weight", w.len(), c.weight_len());
    let path = SimdPath::current();
    let words = Words::new(path, precision);
    let mut weights = scratch::take(packed_len(c, path, words));
    pack_forward(c, path, words, w, &mut weights);
    let forward = Forward {
        c,
        path,
        words,
        weights: &weights,
        bias,
    };
    forward.output(x, epilogue)
}

/// A convolution whose weights are packed once, for inference.
#[derive(Clone, Debug)]
pub struct PackedConv2d {
    conv: Conv2d,
    path: SimdPath,
    words: Words,
    packed: Aligned,
    bias: Option<Vec<f32>>,
}

impl PackedConv2d {
    /// Packs weights of shape `[out_c, in_c / groups, kernel_h, kernel_w]`.
    ///
    /// The batch and image size in `c` are only a default; [`PackedConv2d::output`] takes its own.
    ///
    /// # Panics
    ///
    /// When a length does not fit the shape.
    #[must_use]
    pub fn new(c: &Conv2d, precision: Precision, w: &[f32], bias: Option<&[f32]>) -> Self {
        c.check();
        check_len("the weight", w.len(), c.weight_len());
        if let Some(bias) = bias {
            check_len("the bias", bias.len(), c.out_c);
        }
        let path = SimdPath::current();
        let words = Words::new(path, precision);
        let mut packed = Aligned::zeros(packed_len(c, path, words));
        pack_forward(c, path, words, w, &mut packed);
        PackedConv2d {
            conv: *c,
            path,
            words,
            packed,
            bias: bias.map(<[f32]>::to_vec),
        }
    }

    /// The shape with another batch and image size.
    #[must_use]
    pub fn shape(&self, batch: usize, in_h: usize, in_w: usize) -> Conv2d {
        Conv2d {
            batch,
            in_h,
            in_w,
            ..self.conv
        }
    }

    /// Convolves `batch` images of `in_h` by `in_w`; see [`conv2d_output`].
    ///
    /// # Panics
    ///
    /// When a length does not fit the shape.
    #[must_use]
    pub fn output(
        &self,
        [batch, in_h, in_w]: [usize; 3],
        x: &[f32],
        epilogue: Epilogue<'_>,
    ) -> Vec<f32> {
        let forward = Forward {
            c: &self.shape(batch, in_h, in_w),
            path: self.path,
            words: self.words,
            weights: &self.packed,
            bias: self.bias.as_deref(),
        };
        forward.output(x, epilogue)
    }
}

fn weights_forward(c: &Conv2d) -> Weights {
    let taps = c.kernel[0] * c.kernel[1];
    Weights {
        columns: c.out_c / c.groups,
        channels: c.in_c / c.groups,
        column_stride: c.in_c / c.groups * taps,
        channel_stride: taps,
        taps: (0..taps).collect(),
    }
}

fn packed_len(c: &Conv2d, path: SimdPath, words: Words) -> usize {
    if c.is_depthwise() {
        c.weight_len()
    } else {
        weights_forward(c).packed_len(path, words) * c.groups
    }
}

fn pack_forward(c: &Conv2d, path: SimdPath, words: Words, w: &[f32], packed: &mut [f32]) {
    if c.is_depthwise() {
        let taps: Vec<usize> = (0..c.kernel[0] * c.kernel[1]).collect();
        depthwise::pack(c.in_c, &taps, w, packed);
    } else {
        let weights = weights_forward(c);
        let (from, to) = (w.len() / c.groups, packed.len() / c.groups);
        for g in 0..c.groups {
            weights.pack(
                path,
                words,
                &w[g * from..][..from],
                &mut packed[g * to..][..to],
            );
        }
    }
}

/// A convolution with its packed weights.
#[derive(Clone, Copy)]
struct Forward<'a> {
    c: &'a Conv2d,
    path: SimdPath,
    words: Words,
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
}

impl Forward<'_> {
    fn output(&self, x: &[f32], epilogue: Epilogue<'_>) -> Vec<f32> {
        let c = self.c;
        check_len("the input", x.len(), c.input_len());
        if let Some(bias) = self.bias {
            check_len("the bias", bias.len(), c.out_c);
        }
        if let Some(residual) = epilogue.residual {
            check_len("the residual", residual.len(), c.output_len());
        }
        // SAFETY: a convolution writes every number of its output and reads none of them; the tests begin from NaN.
        unsafe {
            written(c.output_len(), |y| {
                if c.is_depthwise() {
                    self.depthwise(x, epilogue, y);
                } else {
                    self.dense(x, epilogue, y);
                }
            })
        }
    }

    fn depthwise(&self, x: &[f32], epilogue: Epilogue<'_>, y: SharedMut) {
        let c = self.c;
        let [rows, cols] = c.axes();
        let all = depthwise::Correlation {
            batch: c.batch,
            input: c.input_shape(),
            x,
            rows,
            cols,
            out: c.output_shape(),
            weights: self.weights,
            bias: self.bias,
            epilogue,
        };
        depthwise::run(&[all], self.path, y);
    }

    fn dense(&self, x: &[f32], epilogue: Epilogue<'_>, y: SharedMut) {
        let c = self.c;
        let [rows, cols] = c.axes();
        let (channels, columns) = (c.in_c / c.groups, c.out_c / c.groups);
        let per_group = self.weights.len() / c.groups;
        for g in 0..c.groups {
            let correlation = Correlation {
                path: self.path,
                words: self.words,
                batch: c.batch,
                source: Source {
                    x,
                    shape: c.input_shape(),
                    first_channel: g * channels,
                    channels,
                },
                rows,
                cols,
                out: c.output_shape(),
                first_column: g * columns,
                columns,
                weights: &self.weights[g * per_group..][..per_group],
                bias: self.bias,
                epilogue,
            };
            correlation.run(y);
        }
    }
}

/// The gradient to the input, of operands in `precision` as in [`conv2d_output`].
///
/// # Shapes
///
/// - `dy`: `[batch, out_h, out_w, out_c]`
/// - `w`: `[out_c, in_c / groups, kernel_h, kernel_w]`
/// - returns: `[batch, in_h, in_w, in_c]`
///
/// # Panics
///
/// When a length does not fit the shape.
#[must_use]
pub fn conv2d_input_gradient(c: &Conv2d, precision: Precision, dy: &[f32], w: &[f32]) -> Vec<f32> {
    c.check();
    check_len("the output gradient", dy.len(), c.output_len());
    check_len("the weight", w.len(), c.weight_len());
    // SAFETY: every pixel of the input is in one of the classes, and each class writes all of its own.
    unsafe {
        written(c.input_len(), |dx| {
            if c.is_depthwise() {
                depthwise_input_gradient(c, dy, w, dx);
            } else {
                dense_input_gradient(c, precision, dy, w, dx);
            }
        })
    }
}

/// Input pixels that see the same taps at the same offsets.
struct PixelClass {
    rows: Axis,
    cols: Axis,
    /// The taps' places in the kernel.
    taps: Vec<usize>,
}

impl PixelClass {
    /// The classes of all input pixels, as many as the stride's height times its width.
    fn all(c: &Conv2d) -> impl Iterator<Item = PixelClass> {
        (0..c.stride[0] * c.stride[1]).map(move |class| {
            let (py, px) = (class / c.stride[1], class % c.stride[1]);
            let (rows, ty) = Axis::backward(c.in_h, c.stride[0], c.padding[0], c.kernel[0], py);
            let (cols, tx) = Axis::backward(c.in_w, c.stride[1], c.padding[1], c.kernel[1], px);
            let taps = ty
                .iter()
                .flat_map(|y| tx.iter().map(move |x| y * c.kernel[1] + x))
                .collect();
            PixelClass { rows, cols, taps }
        })
    }
}

fn depthwise_input_gradient(c: &Conv2d, dy: &[f32], w: &[f32], dx: SharedMut) {
    let mut packed = scratch::take(w.len());
    let mut rest = &mut packed[..];
    let mut parts = Vec::new();
    for PixelClass { rows, cols, taps } in PixelClass::all(c) {
        let (weights, tail) = rest.split_at_mut(taps.len() * c.in_c);
        rest = tail;
        depthwise::pack(c.in_c, &taps, w, weights);
        parts.push(depthwise::Correlation {
            batch: c.batch,
            input: c.output_shape(),
            x: dy,
            rows,
            cols,
            out: c.input_shape(),
            weights,
            bias: None,
            epilogue: Epilogue::NONE,
        });
    }
    depthwise::run(&parts, SimdPath::current(), dx);
}

fn dense_input_gradient(c: &Conv2d, precision: Precision, dy: &[f32], w: &[f32], dx: SharedMut) {
    let path = SimdPath::current();
    let words = Words::new(path, precision);
    let (columns, channels) = (c.in_c / c.groups, c.out_c / c.groups);
    let per_group = w.len() / c.groups;
    let kernel_area = c.kernel[0] * c.kernel[1];
    for PixelClass { rows, cols, taps } in PixelClass::all(c) {
        let weights = Weights {
            columns,
            channels,
            column_stride: kernel_area,
            channel_stride: columns * kernel_area,
            taps,
        };
        let mut packed = scratch::take(weights.packed_len(path, words));
        for g in 0..c.groups {
            weights.pack(path, words, &w[g * per_group..][..per_group], &mut packed);
            let correlation = Correlation {
                path,
                words,
                batch: c.batch,
                source: Source {
                    x: dy,
                    shape: c.output_shape(),
                    first_channel: g * channels,
                    channels,
                },
                rows,
                cols,
                out: c.input_shape(),
                first_column: g * columns,
                columns,
                weights: &packed,
                bias: None,
                epilogue: Epilogue::NONE,
            };
            correlation.run(dx);
        }
    }
}

/// The gradient to the weights, in their own layout, of operands in `precision` as in [`conv2d_output`].
///
/// # Shapes
///
/// - `x`: `[batch, in_h, in_w, in_c]`
/// - `dy`: `[batch, out_h, out_w, out_c]`
/// - returns: `[out_c, in_c / groups, kernel_h, kernel_w]`
///
/// # Panics
///
/// When a length does not fit the shape.
#[must_use]
pub fn conv2d_weight_gradient(c: &Conv2d, precision: Precision, x: &[f32], dy: &[f32]) -> Vec<f32> {
    c.check();
    check_len("the input", x.len(), c.input_len());
    check_len("the output gradient", dy.len(), c.output_len());
    let mut dw = vec![0.0; c.weight_len()];
    let path = SimdPath::current();
    if c.is_depthwise() {
        depthwise_gradient::backward_weight(c, path, x, dy, &mut dw);
    } else {
        weight_gradient::backward_weight(c, path, Words::new(path, precision), x, dy, &mut dw);
    }
    dw
}

/// The gradient to the bias, `[out_c]`: the sum of `dy` over images and pixels.
///
/// # Panics
///
/// When a length does not fit the shape.
#[must_use]
pub fn conv2d_bias_gradient(c: &Conv2d, dy: &[f32]) -> Vec<f32> {
    check_len("the output gradient", dy.len(), c.output_len());
    let mut db = vec![0.0; c.out_c];
    crate::elementwise::column_sums(dy, &mut db);
    db
}
