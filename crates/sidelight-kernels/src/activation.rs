//! What follows a convolution or a norm in the same pass over memory.

use crate::simd::Simd;

/// A function of one number, applied to every element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Activation {
    /// The identity, `x`.
    #[default]
    None,
    /// Rectified linear unit, `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * min(max(x + 3, 0), 6) / 6`.
    HardSwish,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `min(max(x + 3, 0), 6) / 6`.
    HardSigmoid,
}

impl Activation {
    /// Every activation, for tests over all of them.
    pub const ALL: [Activation; 7] = [
        Activation::None,
        Activation::Relu,
        Activation::Relu6,
        Activation::Silu,
        Activation::HardSwish,
        Activation::Sigmoid,
        Activation::HardSigmoid,
    ];

    #[inline(always)]
    pub(crate) fn apply<S: Simd>(self, s: S, z: S::V) -> S::V {
        let zero = s.zero();
        match self {
            Activation::None => z,
            // The second operand wins when one is not a number: NaN stays NaN.
            Activation::Relu => s.max(zero, z),
            Activation::Relu6 => s.min(s.splat(6.0), s.max(zero, z)),
            Activation::Silu => s.mul(z, s.sigmoid(z)),
            Activation::HardSwish => s.mul(z, hard_sigmoid(s, z)),
            Activation::Sigmoid => s.sigmoid(z),
            Activation::HardSigmoid => hard_sigmoid(s, z),
        }
    }

    /// The gradient `g` of the output carried back to the input, which was `z`.
    ///
    /// # Source
    /// At the kinks as PyTorch: zero at the borders of ReLU, ReLU6 and hard sigmoid; the line `x / 3 + 1 / 2` on the
    /// closed interval [-3, 3] of hard swish.
    #[inline(always)]
    pub(crate) fn pull<S: Simd>(self, s: S, z: S::V, g: S::V) -> S::V {
        let (zero, one) = (s.zero(), s.splat(1.0));
        match self {
            Activation::None => g,
            Activation::Relu => s.keep_gt(z, zero, g),
            Activation::Relu6 => s.keep_gt(s.splat(6.0), z, s.keep_gt(z, zero, g)),
            Activation::Silu => {
                let p = s.sigmoid(z);
                s.mul(g, s.mul(p, s.fma(z, s.sub(one, p), one)))
            }
            Activation::HardSwish => {
                let line = s.mul(g, s.fma(z, s.splat(1.0 / 3.0), s.splat(0.5)));
                let above = s.keep_gt(z, s.splat(3.0), s.sub(g, line));
                // `z >= -3` is `not (-3 > z)`: subtract the line where z lies below.
                s.sub(s.add(line, above), s.keep_gt(s.splat(-3.0), z, line))
            }
            Activation::Sigmoid => {
                let p = s.sigmoid(z);
                s.mul(g, s.mul(p, s.sub(one, p)))
            }
            Activation::HardSigmoid => {
                let g = s.mul(g, s.splat(1.0 / 6.0));
                s.keep_gt(s.splat(3.0), z, s.keep_gt(z, s.splat(-3.0), g))
            }
        }
    }
}

#[inline(always)]
fn hard_sigmoid<S: Simd>(s: S, z: S::V) -> S::V {
    let ramp = s.min(s.splat(6.0), s.max(s.zero(), s.add(z, s.splat(3.0))));
    s.mul(ramp, s.splat(1.0 / 6.0))
}

/// What is done to a convolution's output before it is stored: `activation(output + residual)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// The activation, applied last.
    pub activation: Activation,
    /// Added before the activation; the shape of the output.
    pub residual: Option<&'a [f32]>,
}

impl Epilogue<'_> {
    /// Stores the output as it is.
    pub const NONE: Epilogue<'static> = Epilogue {
        activation: Activation::None,
        residual: None,
    };

    /// Only an activation.
    #[must_use]
    pub fn activation(activation: Activation) -> Epilogue<'static> {
        Epilogue {
            activation,
            residual: None,
        }
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.activation == Activation::None && self.residual.is_none()
    }
}
