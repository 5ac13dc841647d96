use sidelight_kernels::pool::{
    AdaptivePool2d, Pool2d, adaptive_average_pool_backward, adaptive_average_pool_forward,
    average_pool_backward, average_pool_forward, max_pool_backward, max_pool_forward,
};

use super::{Flat, Gradient, Window, channels_last, dims4, from_channels_last, numbers};

fn shape([batch, channels, in_h, in_w]: [usize; 4], window: Window) -> Pool2d {
    let Window {
        side,
        stride,
        padding,
    } = window;
    Pool2d {
        batch,
        in_h,
        in_w,
        channels,
        kernel: [side; 2],
        stride: [stride; 2],
        padding: [padding; 2],
    }
}

fn output(shape: &Pool2d, y: Vec<f32>) -> Flat {
    from_channels_last(
        y,
        [shape.batch, shape.channels, shape.out_h(), shape.out_w()],
    )
}

/// The largest of each window; `largest` receives which pixel it was.
pub(super) fn max(x: &Flat, window: Window, largest: Option<&mut Vec<u8>>) -> Flat {
    let shape = shape(dims4(x), window);
    let mut y = vec![0.0; shape.output_len()];
    let largest = largest.map(|largest| {
        largest.resize(shape.output_len(), 0);
        largest.as_mut_slice()
    });
    max_pool_forward(&shape, numbers(&channels_last(x)), &mut y, largest);
    output(&shape, y)
}

#[derive(Debug, Clone)]
pub(super) struct SavedMax {
    shape: Pool2d,
    largest: std::sync::Arc<Vec<u8>>,
}

impl SavedMax {
    pub(super) fn new(x: &Flat, window: Window, largest: Vec<u8>) -> Self {
        Self {
            shape: shape(dims4(x), window),
            largest: largest.into(),
        }
    }
}

impl Gradient<1> for SavedMax {
    fn gradients(self, output: Flat, _: [bool; 1]) -> [Option<Flat>; 1] {
        let mut dx = vec![0.0; self.shape.input_len()];
        max_pool_backward(
            &self.shape,
            numbers(&channels_last(&output)),
            &self.largest,
            &mut dx,
        );
        [Some(input(&self.shape, dx))]
    }
}

fn input(shape: &Pool2d, dx: Vec<f32>) -> Flat {
    from_channels_last(dx, [shape.batch, shape.channels, shape.in_h, shape.in_w])
}

pub(super) fn average(x: &Flat, window: Window) -> Flat {
    let shape = shape(dims4(x), window);
    let mut y = vec![0.0; shape.output_len()];
    average_pool_forward(&shape, numbers(&channels_last(x)), &mut y);
    output(&shape, y)
}

#[derive(Debug, Clone)]
pub(super) struct SavedAverage(Pool2d);

impl SavedAverage {
    pub(super) fn new(x: &Flat, window: Window) -> Self {
        Self(shape(dims4(x), window))
    }
}

impl Gradient<1> for SavedAverage {
    fn gradients(self, output: Flat, _: [bool; 1]) -> [Option<Flat>; 1] {
        let mut dx = vec![0.0; self.0.input_len()];
        average_pool_backward(&self.0, numbers(&channels_last(&output)), &mut dx);
        [Some(input(&self.0, dx))]
    }
}

fn adaptive([batch, channels, in_h, in_w]: [usize; 4], side: usize) -> AdaptivePool2d {
    AdaptivePool2d {
        batch,
        in_h,
        in_w,
        channels,
        out: [side; 2],
    }
}

pub(super) fn adaptive_average(x: &Flat, side: usize) -> Flat {
    let [batch, channels, ..] = dims4(x);
    let mut y = vec![0.0; batch * channels * side * side];
    adaptive_average_pool_forward(
        &adaptive(dims4(x), side),
        numbers(&channels_last(x)),
        &mut y,
    );
    from_channels_last(y, [batch, channels, side, side])
}

#[derive(Debug, Clone)]
pub(super) struct SavedAdaptive {
    dims: [usize; 4],
    side: usize,
}

impl SavedAdaptive {
    pub(super) fn new(x: &Flat, side: usize) -> Self {
        Self {
            dims: dims4(x),
            side,
        }
    }
}

impl Gradient<1> for SavedAdaptive {
    fn gradients(self, output: Flat, _: [bool; 1]) -> [Option<Flat>; 1] {
        let mut dx = vec![0.0; self.dims.iter().product()];
        adaptive_average_pool_backward(
            &adaptive(self.dims, self.side),
            numbers(&channels_last(&output)),
            &mut dx,
        );
        [Some(from_channels_last(dx, self.dims))]
    }
}
