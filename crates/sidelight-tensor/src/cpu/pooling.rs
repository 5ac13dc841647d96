use std::sync::Arc;

use sidelight_kernels::pool::{
    AdaptivePool2d, Pool2d, adaptive_average_pool_backward, adaptive_average_pool_forward,
    average_pool_backward, average_pool_forward, max_pool_backward, max_pool_forward,
};

use super::{Flat, Gradient, Operation, Window, channels_last, dims4, from_channels_last, numbers};

fn shape(x: &Flat, window: Window) -> Pool2d {
    let [batch, channels, in_h, in_w] = dims4(x);
    Pool2d {
        batch,
        in_h,
        in_w,
        channels,
        kernel: [window.side; 2],
        stride: [window.stride; 2],
        padding: [window.padding; 2],
    }
}

fn output(shape: &Pool2d, y: Vec<f32>) -> Flat {
    from_channels_last(
        y,
        [shape.batch, shape.channels, shape.out_h(), shape.out_w()],
    )
}

fn input(shape: &Pool2d, dx: Vec<f32>) -> Flat {
    from_channels_last(dx, [shape.batch, shape.channels, shape.in_h, shape.in_w])
}

/// The largest of each window.
pub(crate) struct MaxPool {
    pub(crate) window: Window,
    /// Whether a gradient will be asked for, and which pixel was the largest is remembered.
    pub(crate) is_tracked: bool,
}

impl Operation for MaxPool {
    type Saved = SavedMax;
    fn run(self, inputs: &[Flat]) -> (Flat, SavedMax) {
        let shape = shape(&inputs[0], self.window);
        let mut y = vec![0.0; shape.output_len()];
        let mut largest = vec![0; if self.is_tracked { y.len() } else { 0 }];
        let remembered = self.is_tracked.then_some(&mut largest[..]);
        let x = channels_last(&inputs[0]);
        max_pool_forward(&shape, numbers(&x), &mut y, remembered);
        let largest = largest.into();
        (output(&shape, y), SavedMax { shape, largest })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct SavedMax {
    shape: Pool2d,
    largest: Arc<[u8]>,
}

impl Gradient for SavedMax {
    fn gradients(self, output: Flat, _: &[bool]) -> Vec<Option<Flat>> {
        let mut dx = vec![0.0; self.shape.input_len()];
        let dy = channels_last(&output);
        max_pool_backward(&self.shape, numbers(&dy), &self.largest, &mut dx);
        vec![Some(input(&self.shape, dx))]
    }
}

/// The mean of each window.
pub(crate) struct AveragePool(pub(crate) Window);

impl Operation for AveragePool {
    type Saved = SavedAverage;
    fn run(self, inputs: &[Flat]) -> (Flat, SavedAverage) {
        let shape = shape(&inputs[0], self.0);
        let mut y = vec![0.0; shape.output_len()];
        average_pool_forward(&shape, numbers(&channels_last(&inputs[0])), &mut y);
        (output(&shape, y), SavedAverage(shape))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct SavedAverage(Pool2d);

impl Gradient for SavedAverage {
    fn gradients(self, output: Flat, _: &[bool]) -> Vec<Option<Flat>> {
        let mut dx = vec![0.0; self.0.input_len()];
        average_pool_backward(&self.0, numbers(&channels_last(&output)), &mut dx);
        vec![Some(input(&self.0, dx))]
    }
}

/// The mean of each cell of a grid of so many cells a side.
pub(crate) struct AdaptivePool(pub(crate) usize);

impl Operation for AdaptivePool {
    type Saved = SavedAdaptive;
    fn run(self, inputs: &[Flat]) -> (Flat, SavedAdaptive) {
        let [batch, channels, in_h, in_w] = dims4(&inputs[0]);
        let side = self.0;
        let shape = AdaptivePool2d {
            batch,
            in_h,
            in_w,
            channels,
            out: [side; 2],
        };
        let mut y = vec![0.0; batch * channels * side * side];
        adaptive_average_pool_forward(&shape, numbers(&channels_last(&inputs[0])), &mut y);
        let y = from_channels_last(y, [batch, channels, side, side]);
        (y, SavedAdaptive(shape))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct SavedAdaptive(AdaptivePool2d);

impl Gradient for SavedAdaptive {
    fn gradients(self, output: Flat, _: &[bool]) -> Vec<Option<Flat>> {
        let shape = self.0;
        let dims = [shape.batch, shape.channels, shape.in_h, shape.in_w];
        let mut dx = vec![0.0; dims.iter().product()];
        adaptive_average_pool_backward(&shape, numbers(&channels_last(&output)), &mut dx);
        vec![Some(from_channels_last(dx, dims))]
    }
}
