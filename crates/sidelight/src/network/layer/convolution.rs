//! Convolution over maps.

use super::prelude::*;
use crate::tensor::{Convolution, Precision, conv2d};

/// Two-dimensional convolution with a square kernel.
///
/// # Shapes
///
/// - input: `[batch, in_channels, height, width]`
/// - output: `[batch, out_channels, (height + 2·padding − dilation·(kernel − 1) − 1) / stride + 1, …]`
/// - `weight`: `[out_channels, in_channels / groups, kernel, kernel]`; `bias`: `[out_channels]`
///
/// # Source
///
/// Starts from normal numbers of variance 2 / fan-out, as torchvision's ResNet does:
/// He et al. 2015, "Delving deep into rectifiers", arXiv:1502.01852, eq. 14.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Channels that come in; 0: inferred.
    #[serde(default)]
    pub in_channels: usize,
    /// Channels that go out; 0: as many as come in.
    #[serde(default)]
    pub out_channels: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Pixels from one position to the next. Default: 1.
    #[serde(default = "one")]
    pub stride: usize,
    /// Zeros on each side. Default: 0.
    #[serde(default)]
    pub padding: usize,
    /// TensorFlow's padding instead: as much as makes the side `⌈side / stride⌉`, the odd pixel below and right. Default: false.
    #[serde(default, skip_serializing_if = "is_default")]
    pub same: bool,
    /// Pixels from one tap of the kernel to the next. Default: 1.
    #[serde(default = "one")]
    pub dilation: usize,
    /// Groups of channels that do not see each other; 0: as many as channels (depthwise). Default: 1.
    #[serde(default = "one")]
    pub groups: usize,
    /// Whether a bias is added. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
}

fn one() -> usize {
    1
}

impl Conv2d {
    /// To so many channels, with stride 1 and without bias, since a normalisation follows; padded so that an odd
    /// kernel keeps the size.
    pub fn new(out_channels: usize, kernel: usize) -> Self {
        Self {
            in_channels: 0,
            out_channels,
            kernel,
            stride: 1,
            padding: kernel / 2,
            same: false,
            dilation: 1,
            groups: 1,
            bias: false,
        }
    }
    /// The same, every channel for itself: as many go out as come in.
    pub fn depthwise(kernel: usize) -> Self {
        Self {
            groups: 0,
            ..Self::new(0, kernel)
        }
    }
    /// The same with this stride.
    #[must_use]
    pub fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }
    /// The same with a bias.
    #[must_use]
    pub fn with_bias(self) -> Self {
        Self { bias: true, ..self }
    }
    /// The same with this padding.
    #[must_use]
    pub fn with_padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }
    /// How it moves, given the padding that is left to it.
    fn how(&self, precision: Precision) -> Convolution {
        Convolution {
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
            precision,
        }
    }
    /// The map with TensorFlow's padding around it, where that is not the same on all sides; and the padding that is left.
    ///
    /// # Source
    ///
    /// TensorFlow's documentation of `tf.nn.convolution`, "SAME".
    pub(in crate::network) fn padded(
        &self,
        x: Tensor<4>,
        precision: Precision,
    ) -> (Tensor<4>, Convolution) {
        let mut how = self.how(precision);
        if !self.same {
            return (x, how);
        }
        let [.., height, width] = x.dims();
        let [top, left, bottom, right] = self.paddings([height, width]);
        if [left, bottom, right] == [top; 3] {
            how.padding = top;
            return (x, how);
        }
        how.padding = 0;
        (x.pad((left, right, top, bottom), 0.0), how)
    }
    /// Zeros above, left, below and right of a map of this height and width; where they are odd, the one more is below
    /// and right.
    fn paddings(&self, sides: [usize; 2]) -> [usize; 4] {
        if !self.same {
            return [self.padding; 4];
        }
        let [down, across] = sides.map(|side| {
            ((side.div_ceil(self.stride) - 1) * self.stride + self.reach()).saturating_sub(side)
        });
        [down / 2, across / 2, down - down / 2, across - across / 2]
    }
    /// The convolution of `x`, `[batch, in_channels, height, width]`.
    pub(in crate::network) fn convolve(
        &self,
        parameters: &Parameters,
        x: Tensor<4>,
        precision: Precision,
    ) -> Tensor<4> {
        let (x, how) = self.padded(x, precision);
        conv2d(x, parameters.d4("weight"), parameters.bias("bias"), how)
    }
    /// The side that a side becomes; nothing where the kernel does not fit into it.
    fn side(&self, side: usize) -> Option<usize> {
        if self.same {
            return Some(side.div_ceil(self.stride));
        }
        let free = (side + 2 * self.padding).checked_sub(self.reach())?;
        Some(free / self.stride + 1)
    }
    /// Pixels from the kernel's first tap to its last.
    fn reach(&self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }
}

impl Leaf for Conv2d {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let (out, area) = (self.out_channels, self.kernel.saturating_mul(self.kernel));
        let groups = self.groups.max(1);
        let shape = [out, self.in_channels / groups, self.kernel, self.kernel];
        let fan_out = (out / groups).saturating_mul(area).max(1);
        let start = Initial::Normal((2.0 / fan_out as f64).sqrt());
        weight_and_bias(shape, start, self.bias.then_some(Initial::Constant(0.0)))
    }
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        for (field, value) in [
            ("kernel", self.kernel),
            ("stride", self.stride),
            ("dilation", self.dilation),
        ] {
            if value == 0 {
                return Err(at.field(field, "at least 1", value));
            }
        }
        if self.padding > self.reach() {
            let expected = format!("at most {}, what the kernel spans", self.reach());
            return Err(at.field("padding", expected, self.padding));
        }
        let [channels, height, width] = at.map(input)?;
        at.width("in_channels", &mut self.in_channels, channels, input)?;
        if self.groups == 0 {
            self.groups = channels;
        }
        if self.out_channels == 0 {
            self.out_channels = channels;
        }
        if channels % self.groups != 0 || !self.out_channels.is_multiple_of(self.groups) {
            let expected = format!("a divisor of {channels} and {} channels", self.out_channels);
            return Err(at.field("groups", expected, self.groups));
        }
        let (Some(height), Some(width)) = (self.side(height), self.side(width)) else {
            let reach = self.reach();
            let least = reach.saturating_sub(2 * self.padding);
            let fit = format!(
                "give the network larger images, or the layer `padding = {}`",
                reach / 2
            );
            return Err(at.misfit(format!("at least {least} pixels a side"), input, Some(fit)));
        };
        Ok(Shape::Map {
            channels: self.out_channels,
            height,
            width,
        })
    }
    fn multiply_adds(&self, _: Shape, output: Shape) -> usize {
        let each = self.in_channels / self.groups.max(1) * self.kernel * self.kernel;
        output.channels() * output.positions() * each
    }
    fn forward(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        Value::Map(self.convolve(&node.parameters, x.map(), walk.context.precision))
    }
    fn onnx(&self, graph: &mut Graph, node: &Node, x: &Flow) -> Option<String> {
        let mut inputs = vec![x.name.clone(), parameter(graph, node, "weight")];
        if self.bias {
            inputs.push(parameter(graph, node, "bias"));
        }
        let padding = match x.shape {
            Shape::Map { height, width, .. } => self.paddings([height, width]),
            _ => [self.padding; 4],
        };
        let padding = padding.map(|n| n as i64);
        let both = |n: usize| [n as i64; 2];
        let (kernel, stride) = (both(self.kernel), both(self.stride));
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        Some(graph.call(
            "Conv",
            &inputs,
            &[
                ("kernel_shape", Attr::Ints(&kernel)),
                ("strides", Attr::Ints(&stride)),
                ("pads", Attr::Ints(&padding)),
                ("dilations", Attr::Ints(&both(self.dilation))),
                ("group", Attr::Int(self.groups.max(1) as i64)),
            ],
        ))
    }
}
