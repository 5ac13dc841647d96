use std::sync::Arc;

use sidelight_kernels::{
    Conv2d, Epilogue, PackedConv2d, conv2d_bias_gradient, conv2d_input_gradient, conv2d_output,
    conv2d_weight_gradient,
};

use super::{
    Convolution, Flat, Gradient, Operation, Then, channels_last, contiguous, dims4,
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

/// Of `x` with a weight, plus the bias where there is one.
impl Operation for Convolution {
    type Saved = Saved;
    fn run(self, inputs: &[Flat]) -> (Flat, Saved) {
        let (x, weight) = (inputs[0].clone(), inputs[1].clone());
        let shape = shape(&x, &weight, self);
        let bias = inputs.get(2).map(contiguous);
        let y = conv2d_output(
            &shape,
            self.precision,
            numbers(&channels_last(&x)),
            numbers(&contiguous(&weight)),
            bias.as_ref().map(numbers),
            Epilogue::NONE,
        );
        let how = self;
        (output(&shape, y), Saved { x, weight, how })
    }
}

fn output(shape: &Conv2d, y: Vec<f32>) -> Flat {
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
    PackedConv2d::new(
        &shape,
        how.precision,
        numbers(&weight),
        Some(numbers(&shift)),
    )
}

/// A convolution by packed weights, then the sum with another input where there is one, then a function.
pub(crate) struct PackedConvolution {
    pub(crate) packed: Arc<PackedConv2d>,
    pub(crate) then: Then,
}

impl Operation for PackedConvolution {
    type Saved = ();
    fn run(self, inputs: &[Flat]) -> (Flat, ()) {
        let [batch, _, in_h, in_w] = dims4(&inputs[0]);
        let x = channels_last(&inputs[0]);
        let other = inputs.get(1).map(channels_last);
        let epilogue = Epilogue {
            activation: then(self.then),
            residual: other.as_ref().map(numbers),
        };
        let y = self
            .packed
            .output([batch, in_h, in_w], numbers(&x), epilogue);
        (output(&self.packed.shape(batch, in_h, in_w), y), ())
    }
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
pub(crate) struct Saved {
    x: Flat,
    weight: Flat,
    how: Convolution,
}

impl Saved {
    fn to_input(&self, output: &Flat) -> Flat {
        let shape = shape(&self.x, &self.weight, self.how);
        let (output, weight) = (channels_last(output), contiguous(&self.weight));
        let precision = self.how.precision;
        let dx = conv2d_input_gradient(&shape, precision, numbers(&output), numbers(&weight));
        from_channels_last(dx, dims4(&self.x))
    }
    fn to_weight(&self, output: &Flat) -> Flat {
        let shape = shape(&self.x, &self.weight, self.how);
        let (output, x) = (channels_last(output), channels_last(&self.x));
        let precision = self.how.precision;
        let dw = conv2d_weight_gradient(&shape, precision, numbers(&x), numbers(&output));
        from_values(dw, &dims4(&self.weight))
    }
    fn to_bias(&self, output: &Flat) -> Flat {
        let shape = shape(&self.x, &self.weight, self.how);
        let db = conv2d_bias_gradient(&shape, numbers(&channels_last(output)));
        from_values(db, &[shape.out_c])
    }
}

impl Gradient for Saved {
    fn gradients(self, output: Flat, wanted: &[bool]) -> Vec<Option<Flat>> {
        let output = laid_out(&output);
        vec![
            wanted[0].then(|| self.to_input(&output)),
            wanted[1].then(|| self.to_weight(&output)),
            wanted
                .get(2)
                .is_some_and(|wanted| *wanted)
                .then(|| self.to_bias(&output)),
        ]
    }
}

/// The output's gradient gathered once, where its layout is another: its logical shape stays.
fn laid_out(output: &Flat) -> Flat {
    channels_last(output).permute(&[0, 3, 1, 2])
}
