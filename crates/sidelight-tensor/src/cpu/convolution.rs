use sidelight_kernels as kernel;
use sidelight_kernels::{
    Conv2d, Epilogue, PackedConv2d, conv2d_bias_gradient, conv2d_input_gradient, conv2d_output,
    conv2d_weight_gradient,
};

use super::{
    Convolution, Flat, Gradient, Precision, Then, channels_last, contiguous, dims4,
    from_channels_last, from_values, numbers, then,
};

fn shape(x: &Flat, weight: &Flat, how: Convolution) -> Conv2d {
    let [batch, in_c, in_h, in_w] = dims4(x);
    let [out_c, _, kernel_h, kernel_w] = dims4(weight);
    Conv2d {
        batch,
        in_h,
        in_w,
        in_c,
        out_c,
        kernel: [kernel_h, kernel_w],
        stride: [how.stride; 2],
        padding: [how.padding; 2],
        groups: how.groups,
    }
}

fn of_kernels(precision: Precision) -> kernel::Precision {
    match precision {
        Precision::F32 => kernel::Precision::F32,
        Precision::Bf16 => kernel::Precision::Bf16,
    }
}

pub(super) fn forward(
    x: &Flat,
    weight: &Flat,
    bias: Option<&Flat>,
    other: Option<&Flat>,
    how: Convolution,
    function: Then,
) -> Flat {
    let shape = shape(x, weight, how);
    let (x, weight) = (channels_last(x), contiguous(weight));
    let bias = bias.map(contiguous);
    let other = other.map(channels_last);
    let epilogue = Epilogue {
        activation: then(function),
        residual: other.as_ref().map(numbers),
    };
    let bias = bias.as_ref().map(numbers);
    let precision = of_kernels(how.precision);
    let y = conv2d_output(
        &shape,
        precision,
        numbers(&x),
        numbers(&weight),
        bias,
        epilogue,
    );
    from_channels_last(y, [shape.batch, shape.out_c, shape.out_h(), shape.out_w()])
}

/// A convolution with a factor and an offset per outgoing channel, its weights packed for any number of images.
pub(crate) fn pack(weight: &Flat, scale: &Flat, shift: &Flat, how: Convolution) -> PackedConv2d {
    let [out_c, each, kernel_h, kernel_w] = dims4(weight);
    let shape = Conv2d {
        batch: 1,
        in_h: kernel_h,
        in_w: kernel_w,
        in_c: each * how.groups,
        out_c,
        kernel: [kernel_h, kernel_w],
        stride: [how.stride; 2],
        padding: [how.padding; 2],
        groups: how.groups,
    };
    let weight = scaled(weight, scale);
    let (weight, shift) = (contiguous(&weight), contiguous(shift));
    let precision = of_kernels(how.precision);
    PackedConv2d::new(&shape, precision, numbers(&weight), Some(numbers(&shift)))
}

pub(super) fn by_packed(
    x: &Flat,
    packed: &PackedConv2d,
    other: Option<&Flat>,
    function: Then,
) -> Flat {
    let [batch, _, in_h, in_w] = dims4(x);
    let shape = packed.shape(batch, in_h, in_w);
    let x = channels_last(x);
    let other = other.map(channels_last);
    let epilogue = Epilogue {
        activation: then(function),
        residual: other.as_ref().map(numbers),
    };
    let y = packed.output([batch, in_h, in_w], numbers(&x), epilogue);
    from_channels_last(y, [batch, shape.out_c, shape.out_h(), shape.out_w()])
}

/// The weights of each outgoing channel times its factor: a normalisation folded into the convolution before it.
fn scaled(weight: &Flat, scale: &Flat) -> Flat {
    let (values, scale) = (contiguous(weight), contiguous(scale));
    let (values, scale) = (numbers(&values), numbers(&scale));
    if scale.iter().all(|factor| *factor == 1.0) {
        return weight.clone();
    }
    let each = values.len() / scale.len().max(1);
    let scaled = values
        .chunks(each.max(1))
        .zip(scale)
        .flat_map(|(filter, factor)| filter.iter().map(move |w| w * factor));
    from_values(scaled.collect(), &dims4(weight))
}

#[derive(Debug, Clone)]
pub(super) struct Saved {
    pub(super) x: Flat,
    pub(super) weight: Flat,
    pub(super) how: Convolution,
}

impl Saved {
    fn to_input(&self, output: &Flat) -> Flat {
        let shape = shape(&self.x, &self.weight, self.how);
        let (output, weight) = (channels_last(output), contiguous(&self.weight));
        let precision = of_kernels(self.how.precision);
        let dx = conv2d_input_gradient(&shape, precision, numbers(&output), numbers(&weight));
        from_channels_last(dx, dims4(&self.x))
    }
    fn to_weight(&self, output: &Flat) -> Flat {
        let shape = shape(&self.x, &self.weight, self.how);
        let (output, x) = (channels_last(output), channels_last(&self.x));
        let precision = of_kernels(self.how.precision);
        let dw = conv2d_weight_gradient(&shape, precision, numbers(&x), numbers(&output));
        from_values(dw, &dims4(&self.weight))
    }
    fn to_bias(&self, output: &Flat) -> Flat {
        let shape = shape(&self.x, &self.weight, self.how);
        let db = conv2d_bias_gradient(&shape, numbers(&channels_last(output)));
        from_values(db, &[shape.out_c])
    }
}

impl Gradient<2> for Saved {
    fn gradients(self, output: Flat, [x, weight]: [bool; 2]) -> [Option<Flat>; 2] {
        let output = laid_out(&output);
        [
            x.then(|| self.to_input(&output)),
            weight.then(|| self.to_weight(&output)),
        ]
    }
}

impl Gradient<3> for Saved {
    fn gradients(self, output: Flat, [x, weight, bias]: [bool; 3]) -> [Option<Flat>; 3] {
        let output = laid_out(&output);
        [
            x.then(|| self.to_input(&output)),
            weight.then(|| self.to_weight(&output)),
            bias.then(|| self.to_bias(&output)),
        ]
    }
}

/// The output's gradient gathered once, where its layout is another: its logical shape stays.
fn laid_out(output: &Flat) -> Flat {
    channels_last(output).permute(&[0, 3, 1, 2])
}
