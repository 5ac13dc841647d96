use sidelight_kernels::{
    Epilogue, Linear, linear_bias_gradient, linear_input_gradient, linear_output,
    linear_weight_gradient,
};

use super::{Flat, Gradient, contiguous, from_values, numbers};

fn shape(x: &Flat, weight: &Flat) -> Linear {
    let (x, weight) = (x.layout().shape(), weight.layout().shape());
    Linear {
        rows: x[0],
        inputs: x[1],
        outputs: weight[0],
    }
}

pub(super) fn forward(x: &Flat, weight: &Flat, bias: Option<&Flat>) -> Flat {
    let shape = shape(x, weight);
    let (x, weight, bias) = (contiguous(x), contiguous(weight), bias.map(contiguous));
    let y = linear_output(
        &shape,
        numbers(&x),
        numbers(&weight),
        bias.as_ref().map(numbers),
        Epilogue::NONE,
    );
    from_values(y, &[shape.rows, shape.outputs])
}

#[derive(Debug, Clone)]
pub(super) struct Saved {
    pub(super) x: Flat,
    pub(super) weight: Flat,
}

impl Saved {
    fn two(&self, dy: &[f32], [x, weight]: [bool; 2]) -> [Option<Flat>; 2] {
        let shape = shape(&self.x, &self.weight);
        let to_input = || {
            let dx = linear_input_gradient(&shape, dy, numbers(&contiguous(&self.weight)));
            from_values(dx, &[shape.rows, shape.inputs])
        };
        let to_weight = || {
            let dw = linear_weight_gradient(&shape, numbers(&contiguous(&self.x)), dy);
            from_values(dw, &[shape.outputs, shape.inputs])
        };
        [x.then(to_input), weight.then(to_weight)]
    }
}

impl Gradient<2> for Saved {
    fn gradients(self, output: Flat, wanted: [bool; 2]) -> [Option<Flat>; 2] {
        self.two(numbers(&contiguous(&output)), wanted)
    }
}

impl Gradient<3> for Saved {
    fn gradients(self, output: Flat, [x, weight, bias]: [bool; 3]) -> [Option<Flat>; 3] {
        let output = contiguous(&output);
        let dy = numbers(&output);
        let [to_x, to_weight] = self.two(dy, [x, weight]);
        let to_bias = || {
            let shape = shape(&self.x, &self.weight);
            let db = linear_bias_gradient(&shape, dy);
            from_values(db, &[shape.outputs])
        };
        [to_x, to_weight, bias.then(to_bias)]
    }
}
