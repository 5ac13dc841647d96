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
use crate::dispatch::SimdPath;
use crate::parallel::{SharedMut, written};
use crate::scratch::{self, Aligned};
use dense::{Correlation, Source};
use geometry::Axis;
use pack::Weights;

/// The shape of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Images.
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
    /// Products of operands rounded to bf16.
    Bf16,
}

/// What a 32-bit word of an operand holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// One `f32`.
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
fn extent(len: usize, kernel: usize, stride: usize, padding: usize) -> usize {
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
/// # Shapes
///
/// - `x`: `[batch, in_h, in_w, in_c]`
/// - `w`: `[out_c, in_c / groups, kernel_h, kernel_w]`
/// - `bias`: `[out_c]`
/// - `y` and `epilogue.residual`: `[batch, out_h, out_w, out_c]`
///
/// # Panics
///
/// When a length does not fit the shape.
pub fn conv2d_forward(
    c: &Conv2d,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    epilogue: Epilogue<'_>,
    y: &mut [f32],
) {
    let to = (SharedMut(y.as_mut_ptr()), y.len());
    forward(c, Precision::F32, x, w, bias, epilogue, to);
}

/// As [`conv2d_forward`] with operands rounded to bf16 and sums in `f32`. Depthwise convolutions stay in `f32`.
///
/// # Panics
///
/// When a length does not fit the shape.
pub fn conv2d_forward_bf16(
    c: &Conv2d,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    epilogue: Epilogue<'_>,
    y: &mut [f32],
) {
    let to = (SharedMut(y.as_mut_ptr()), y.len());
    forward(c, Precision::Bf16, x, w, bias, epilogue, to);
}

/// As [`conv2d_forward`] into memory of its own, which is written once: nothing fills it with zeros before.
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
    let n = c.output_len();
    // SAFETY: a convolution writes every number of its output and reads none of them; the tests begin from NaN.
    unsafe { written(n, |y| forward(c, precision, x, w, bias, epilogue, (y, n))) }
}

fn forward(
    c: &Conv2d,
    precision: Precision,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    epilogue: Epilogue<'_>,
    y: (SharedMut, usize),
) {
    c.check();
    check_len("the weight", w.len(), c.weight_len());
    let path = SimdPath::current();
    let words = Words::new(path, precision);
    let mut packed = scratch::take(packed_len(c, path, words));
    pack_forward(c, path, words, w, &mut packed);
    forward_packed(c, path, words, x, &packed, bias, epilogue, y);
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
    /// Packs weights of shape `[out_c, in_c / groups, kernel_h, kernel_w]` for `f32` products.
    ///
    /// The batch and image size in `c` are only a default; [`PackedConv2d::forward`] takes its own.
    ///
    /// # Panics
    ///
    /// When a length does not fit the shape.
    #[must_use]
    pub fn new(c: &Conv2d, w: &[f32], bias: Option<&[f32]>) -> Self {
        Self::with_precision(c, w, bias, Precision::F32)
    }

    /// As [`PackedConv2d::new`] for bf16 products with `f32` sums.
    ///
    /// # Panics
    ///
    /// When a length does not fit the shape.
    #[must_use]
    pub fn new_bf16(c: &Conv2d, w: &[f32], bias: Option<&[f32]>) -> Self {
        Self::with_precision(c, w, bias, Precision::Bf16)
    }

    fn with_precision(c: &Conv2d, w: &[f32], bias: Option<&[f32]>, precision: Precision) -> Self {
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

    /// Convolves `batch` images of `in_h` by `in_w`; see [`conv2d_forward`].
    ///
    /// # Panics
    ///
    /// When a length does not fit the shape.
    pub fn forward(
        &self,
        [batch, in_h, in_w]: [usize; 3],
        x: &[f32],
        epilogue: Epilogue<'_>,
        y: &mut [f32],
    ) {
        let c = self.shape(batch, in_h, in_w);
        self.run(&c, x, epilogue, (SharedMut(y.as_mut_ptr()), y.len()));
    }

    /// As [`PackedConv2d::forward`] into memory of its own, as [`conv2d_output`].
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
        let c = self.shape(batch, in_h, in_w);
        let n = c.output_len();
        // SAFETY: as in `conv2d_output`.
        unsafe { written(n, |y| self.run(&c, x, epilogue, (y, n))) }
    }

    fn run(&self, c: &Conv2d, x: &[f32], epilogue: Epilogue<'_>, y: (SharedMut, usize)) {
        let bias = self.bias.as_deref();
        forward_packed(c, self.path, self.words, x, &self.packed, bias, epilogue, y);
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

#[expect(clippy::too_many_arguments, reason = "a kernel's operands")]
fn forward_packed(
    c: &Conv2d,
    path: SimdPath,
    words: Words,
    x: &[f32],
    packed: &[f32],
    bias: Option<&[f32]>,
    epilogue: Epilogue<'_>,
    (y, y_len): (SharedMut, usize),
) {
    check_len("the input", x.len(), c.input_len());
    check_len("the output", y_len, c.output_len());
    if let Some(bias) = bias {
        check_len("the bias", bias.len(), c.out_c);
    }
    if let Some(residual) = epilogue.residual {
        check_len("the residual", residual.len(), c.output_len());
    }
    let [ay, ax] = c.axes();
    let out = [c.out_h(), c.out_w(), c.out_c];
    let input = [c.in_h, c.in_w, c.in_c];
    if c.is_depthwise() {
        let all = depthwise::Correlation {
            batch: c.batch,
            input,
            x,
            y: ay,
            cols: ax,
            out,
            weights: packed,
            bias,
            epilogue,
        };
        depthwise::run(&[all], path, y);
        return;
    }
    let (cin, cout, stride) = (
        c.in_c / c.groups,
        c.out_c / c.groups,
        packed.len() / c.groups,
    );
    for g in 0..c.groups {
        Correlation {
            path,
            words,
            batch: c.batch,
            source: Source {
                x,
                shape: input,
                first_channel: g * cin,
                channels: cin,
            },
            rows: ay,
            cols: ax,
            out,
            first_column: g * cout,
            columns: cout,
            weights: &packed[g * stride..][..stride],
            bias,
            epilogue,
        }
        .run(y);
    }
}

/// The gradient to the input.
///
/// # Shapes
///
/// - `dy`: `[batch, out_h, out_w, out_c]`
/// - `w`: `[out_c, in_c / groups, kernel_h, kernel_w]`
/// - `dx`: `[batch, in_h, in_w, in_c]`, overwritten
///
/// # Panics
///
/// When a length does not fit the shape.
pub fn conv2d_backward_input(c: &Conv2d, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    let to = (SharedMut(dx.as_mut_ptr()), dx.len());
    backward_input(c, Precision::F32, dy, w, to);
}

/// As [`conv2d_backward_input`] with operands rounded to bf16 and sums in `f32`.
///
/// # Panics
///
/// When a length does not fit the shape.
pub fn conv2d_backward_input_bf16(c: &Conv2d, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    let to = (SharedMut(dx.as_mut_ptr()), dx.len());
    backward_input(c, Precision::Bf16, dy, w, to);
}

/// As [`conv2d_backward_input`] into memory of its own, as [`conv2d_output`].
///
/// # Panics
///
/// When a length does not fit the shape.
#[must_use]
pub fn conv2d_input_gradient(c: &Conv2d, precision: Precision, dy: &[f32], w: &[f32]) -> Vec<f32> {
    let n = c.input_len();
    // SAFETY: every pixel of the input is in one of the classes, and each class writes all of its own.
    unsafe { written(n, |dx| backward_input(c, precision, dy, w, (dx, n))) }
}

fn backward_input(
    c: &Conv2d,
    precision: Precision,
    dy: &[f32],
    w: &[f32],
    (dx, dx_len): (SharedMut, usize),
) {
    c.check();
    check_len("the output gradient", dy.len(), c.output_len());
    check_len("the weight", w.len(), c.weight_len());
    check_len("the input gradient", dx_len, c.input_len());
    let path = SimdPath::current();
    let words = Words::new(path, precision);
    let (cin, cout) = (c.in_c / c.groups, c.out_c / c.groups);
    let kernel_area = c.kernel[0] * c.kernel[1];
    let source = [c.out_h(), c.out_w(), c.out_c];
    let out = [c.in_h, c.in_w, c.in_c];
    // Input pixels fall into stride x stride classes; those of one class see the same taps at the same offsets.
    let classes: Vec<(Axis, Axis, Vec<usize>)> = (0..c.stride[0] * c.stride[1])
        .map(|class| {
            let (py, px) = (class / c.stride[1], class % c.stride[1]);
            let (rows, ty) = Axis::backward(c.in_h, c.stride[0], c.padding[0], c.kernel[0], py);
            let (cols, tx) = Axis::backward(c.in_w, c.stride[1], c.padding[1], c.kernel[1], px);
            let taps = ty
                .iter()
                .flat_map(|y| tx.iter().map(move |x| y * c.kernel[1] + x))
                .collect();
            (rows, cols, taps)
        })
        .collect();
    if c.is_depthwise() {
        let mut packed = scratch::take(w.len());
        let mut rest = &mut packed[..];
        let mut parts = Vec::new();
        for (rows, cols, taps) in &classes {
            let (weights, tail) = rest.split_at_mut(taps.len() * c.in_c);
            rest = tail;
            depthwise::pack(c.in_c, taps, w, weights);
            parts.push(depthwise::Correlation {
                batch: c.batch,
                input: source,
                x: dy,
                y: *rows,
                cols: *cols,
                out,
                weights,
                bias: None,
                epilogue: Epilogue::NONE,
            });
        }
        depthwise::run(&parts, path, dx);
        return;
    }
    for (rows, cols, taps) in classes {
        let weights = Weights {
            columns: cin,
            channels: cout,
            column_stride: kernel_area,
            channel_stride: cin * kernel_area,
            taps,
        };
        let mut packed = scratch::take(weights.packed_len(path, words));
        for g in 0..c.groups {
            let from = w.len() / c.groups;
            weights.pack(path, words, &w[g * from..][..from], &mut packed);
            Correlation {
                path,
                words,
                batch: c.batch,
                source: Source {
                    x: dy,
                    shape: source,
                    first_channel: g * cout,
                    channels: cout,
                },
                rows,
                cols,
                out,
                first_column: g * cin,
                columns: cin,
                weights: &packed,
                bias: None,
                epilogue: Epilogue::NONE,
            }
            .run(dx);
        }
    }
}

/// The gradient to the weights, in the weights' own layout.
///
/// # Shapes
///
/// - `x`: `[batch, in_h, in_w, in_c]`
/// - `dy`: `[batch, out_h, out_w, out_c]`
/// - `dw`: `[out_c, in_c / groups, kernel_h, kernel_w]`, overwritten
///
/// # Panics
///
/// When a length does not fit the shape.
pub fn conv2d_backward_weight(c: &Conv2d, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    backward_weight(c, Precision::F32, x, dy, dw);
}

/// As [`conv2d_backward_weight`] with operands rounded to bf16 and sums in `f32`.
///
/// # Panics
///
/// When a length does not fit the shape.
pub fn conv2d_backward_weight_bf16(c: &Conv2d, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    backward_weight(c, Precision::Bf16, x, dy, dw);
}

fn backward_weight(c: &Conv2d, precision: Precision, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    c.check();
    check_len("the input", x.len(), c.input_len());
    check_len("the output gradient", dy.len(), c.output_len());
    check_len("the weight gradient", dw.len(), c.weight_len());
    let path = SimdPath::current();
    if c.is_depthwise() {
        depthwise_gradient::backward_weight(c, path, x, dy, dw);
    } else {
        weight_gradient::backward_weight(c, path, Words::new(path, precision), x, dy, dw);
    }
}

/// The gradient to the bias: the sum of `dy` over images and pixels.
///
/// # Panics
///
/// When a length does not fit the shape.
pub fn conv2d_backward_bias(c: &Conv2d, dy: &[f32], db: &mut [f32]) {
    check_len("the output gradient", dy.len(), c.output_len());
    check_len("the bias gradient", db.len(), c.out_c);
    crate::elementwise::column_sums(dy, db);
}
