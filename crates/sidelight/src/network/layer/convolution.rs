use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::network::parameter::{Initial, ParameterKind, ParameterSpec, Parameters};
use crate::network::shape::{At, Shape};
use crate::network::value::{Value, Walk};
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Default: 1.
    #[serde(default = "one")]
    pub stride: usize,
    /// Default: 0.
    #[serde(default)]
    pub padding: usize,
    /// TensorFlow's padding instead: as much as makes the side `⌈side / stride⌉`, the odd pixel below and right. Default: false.
    #[serde(default, skip_serializing_if = "is_not")]
    pub same: bool,
    /// Default: 1.
    #[serde(default = "one")]
    pub dilation: usize,
    /// Groups of channels that do not see each other; 0: as many as channels (depthwise). Default: 1.
    #[serde(default = "one")]
    pub groups: usize,
    /// Whether an offset is added. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
}

fn one() -> usize {
    1
}
fn yes() -> bool {
    true
}
fn is_not(flag: &bool) -> bool {
    !flag
}

impl Conv2d {
    /// Without offset, since a normalisation follows; padded so that stride 1 keeps the size.
    pub fn new(in_channels: usize, out_channels: usize, kernel: usize, stride: usize) -> Self {
        Self {
            in_channels,
            out_channels,
            kernel,
            stride,
            padding: kernel / 2,
            same: false,
            dilation: 1,
            groups: 1,
            bias: false,
        }
    }
    /// The same, every channel for itself.
    pub fn depthwise(channels: usize, kernel: usize, stride: usize) -> Self {
        Self {
            groups: channels,
            ..Self::new(channels, channels, kernel, stride)
        }
    }
    /// The same with an offset.
    #[must_use]
    pub fn with_bias(mut self) -> Self {
        self.bias = true;
        self
    }
    /// The same with this padding.
    #[must_use]
    pub fn with_padding(mut self, padding: usize) -> Self {
        self.padding = padding;
        self
    }
    pub(super) fn parameters(&self) -> Vec<ParameterSpec> {
        let groups = self.groups.max(1);
        let shape = [
            self.out_channels,
            self.in_channels / groups,
            self.kernel,
            self.kernel,
        ];
        let fan_out = (self.out_channels / groups * self.kernel * self.kernel).max(1);
        let mut specs = vec![ParameterSpec::new(
            "weight",
            shape,
            ParameterKind::Weight,
            Initial::Normal((2.0 / fan_out as f64).sqrt()),
        )];
        if self.bias {
            specs.push(ParameterSpec::new(
                "bias",
                [self.out_channels],
                ParameterKind::Bias,
                Initial::Constant(0.0),
            ));
        }
        specs
    }
    pub(super) fn output(&mut self, at: &At, input: Shape) -> Result<Shape> {
        for (field, value) in [
            ("kernel", self.kernel),
            ("stride", self.stride),
            ("dilation", self.dilation),
        ] {
            if value == 0 {
                return Err(at.field(field, "at least 1", value));
            }
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
        let reach = self.dilation * (self.kernel - 1) + 1;
        if self.same {
            let side = |side: usize| side.div_ceil(self.stride);
            return Ok(Shape::Map {
                channels: self.out_channels,
                height: side(height),
                width: side(width),
            });
        }
        let side = |side: usize| {
            (side + 2 * self.padding)
                .checked_sub(reach)
                .map(|free| free / self.stride + 1)
                .ok_or_else(|| {
                    let fit = format!(
                        "give the network larger images, or the layer `padding = {}`",
                        reach / 2
                    );
                    at.misfit(
                        format!(
                            "at least {} pixels a side",
                            reach.saturating_sub(2 * self.padding)
                        ),
                        input,
                        Some(fit),
                    )
                })
        };
        Ok(Shape::Map {
            channels: self.out_channels,
            height: side(height)?,
            width: side(width)?,
        })
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
    pub(crate) fn padded(&self, x: Tensor<4>, precision: Precision) -> (Tensor<4>, Convolution) {
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
    /// Zeros above, left, below and right of a map of this height and width; the odd one is below and right.
    pub(crate) fn paddings(&self, sides: [usize; 2]) -> [usize; 4] {
        if !self.same {
            return [self.padding; 4];
        }
        let reach = self.dilation * (self.kernel - 1) + 1;
        let [down, across] = sides.map(|side| {
            ((side.div_ceil(self.stride) - 1) * self.stride + reach).saturating_sub(side)
        });
        [down / 2, across / 2, down - down / 2, across - across / 2]
    }
    pub(super) fn forward(&self, parameters: &Parameters, x: Value, walk: &Walk<'_>) -> Value {
        Value::Map(self.run(parameters, x.map(), walk.context.precision))
    }
    pub(crate) fn run(
        &self,
        parameters: &Parameters,
        x: Tensor<4>,
        precision: Precision,
    ) -> Tensor<4> {
        let (x, how) = self.padded(x, precision);
        conv2d(x, parameters.d4("weight"), parameters.bias("bias"), how)
    }
}
