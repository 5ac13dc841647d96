//! Pooling of maps.

use super::prelude::*;
use crate::tensor::{Window, adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, max_pool2d};

/// A square window that moves over a map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
// Its fields stand beside the layer's `kind`, which a reference to a schema of its own would refuse.
#[schemars(inline)]
pub struct Pool {
    /// Side of the window.
    pub kernel: usize,
    /// Pixels from one position to the next.
    pub stride: usize,
    /// Pixels beyond the map's edges that the window reaches. Default: 0.
    #[serde(default)]
    pub padding: usize,
}

impl Pool {
    fn window(&self) -> Window {
        Window {
            side: self.kernel,
            stride: self.stride,
            padding: self.padding,
        }
    }
    fn output(&self, at: &At<'_>, input: Shape) -> Result<Shape> {
        let [channels, height, width] = at.map(input)?;
        if self.kernel == 0 || self.stride == 0 {
            let least = self.kernel.min(self.stride);
            return Err(at.field("kernel", "at least 1, and so must `stride`", least));
        }
        if self.padding * 2 > self.kernel {
            let expected = format!("at most half the kernel of {}", self.kernel);
            return Err(at.field("padding", expected, self.padding));
        }
        let side = |side: usize| {
            let free = (side + 2 * self.padding).checked_sub(self.kernel)?;
            Some(free / self.stride + 1)
        };
        let (Some(height), Some(width)) = (side(height), side(width)) else {
            let least = self.kernel - 2 * self.padding;
            return Err(at.misfit(format!("at least {least} pixels a side"), input, None));
        };
        Ok(Shape::Map {
            channels,
            height,
            width,
        })
    }
    fn onnx(&self, graph: &mut Graph, op: &str, x: &Flow, more: &[(&str, Attr<'_>)]) -> String {
        let (kernel, stride) = ([self.kernel as i64; 2], [self.stride as i64; 2]);
        let pads = [self.padding as i64; 4];
        let mut attributes = vec![
            ("kernel_shape", Attr::Ints(&kernel)),
            ("strides", Attr::Ints(&stride)),
            ("pads", Attr::Ints(&pads)),
        ];
        attributes.extend(more);
        graph.call(op, &[&x.name], &attributes)
    }
}

/// The largest number of each window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct MaxPool(pub Pool);

impl Leaf for MaxPool {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        self.0.output(at, input)
    }
    fn forward(&self, _: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        Value::Map(max_pool2d(x.map(), self.0.window()))
    }
    fn onnx(&self, graph: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        Some(self.0.onnx(graph, "MaxPool", x, &[]))
    }
}

/// The mean of each window, zeros beyond the edges counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AvgPool(pub Pool);

impl Leaf for AvgPool {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        self.0.output(at, input)
    }
    fn forward(&self, _: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        Value::Map(avg_pool2d(x.map(), self.0.window()))
    }
    fn onnx(&self, graph: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        let count = ("count_include_pad", Attr::Int(1));
        Some(self.0.onnx(graph, "AveragePool", x, &[count]))
    }
}

/// A grid laid over a map, whatever the map's size: the mean of each cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptiveAvgPool {
    /// Cells a side. Default: 1, the whole map.
    pub side: usize,
}

impl Default for AdaptiveAvgPool {
    fn default() -> Self {
        Self { side: 1 }
    }
}

impl Leaf for AdaptiveAvgPool {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        let [channels, ..] = at.map(input)?;
        if self.side == 0 {
            return Err(at.field("side", "at least 1", 0));
        }
        Ok(Shape::square(channels, self.side))
    }
    fn forward(&self, _: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        Value::Map(adaptive_avg_pool2d(x.map(), self.side))
    }
    fn onnx(&self, graph: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        let Shape::Map { height, width, .. } = x.shape else {
            return None;
        };
        let side = self.side;
        if [height, width] == [side, side] {
            return Some(x.name.clone());
        }
        if side == 1 {
            return Some(graph.unary("GlobalAveragePool", &x.name));
        }
        let down = graph.floats(&[side, height], &shares(side, height));
        let across = graph.floats(&[side, width], &shares(side, width));
        let across = graph.transpose(&across, &[1, 0]);
        let y = graph.binary("MatMul", &down, &x.name);
        Some(graph.binary("MatMul", &y, &across))
    }
}

/// The share of each of `length` pixels in the mean of each of `n` cells, `[n, length]`: torch's bounds, by which cells
/// overlap by a line where the sides do not divide.
fn shares(n: usize, length: usize) -> Vec<f32> {
    let share = |cell: usize, i: usize| {
        let (start, end) = (cell * length / n, ((cell + 1) * length).div_ceil(n));
        match (start..end).contains(&i) {
            true => 1.0 / (end - start) as f32,
            false => 0.0,
        }
    };
    (0..n)
        .flat_map(|cell| (0..length).map(move |i| share(cell, i)))
        .collect()
}

/// fastai's `AdaptiveConcatPool2d`: the largest number of each cell of a grid, then the mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptiveConcatPool {
    /// Cells a side, a divisor of the map's sides. Default: 1, the whole map.
    pub side: usize,
}

impl Default for AdaptiveConcatPool {
    fn default() -> Self {
        Self { side: 1 }
    }
}

impl Leaf for AdaptiveConcatPool {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        let [channels, height, width] = at.map(input)?;
        if self.side == 0 {
            return Err(at.field("side", "at least 1", 0));
        }
        if height % self.side != 0 || width % self.side != 0 {
            let expected = format!("a divisor of {height} and {width}");
            return Err(at.field("side", expected, self.side));
        }
        Ok(Shape::square(channels * 2, self.side))
    }
    fn forward(&self, _: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        let x = x.map();
        let largest = adaptive_max_pool2d(x.clone(), self.side);
        let mean = adaptive_avg_pool2d(x, self.side);
        Value::Map(Tensor::cat(vec![largest, mean], 1))
    }
    fn onnx(&self, graph: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        let Shape::Map { height, width, .. } = x.shape else {
            return None;
        };
        let cell = [(height / self.side) as i64, (width / self.side) as i64];
        let window = [
            ("kernel_shape", Attr::Ints(&cell)),
            ("strides", Attr::Ints(&cell)),
        ];
        let largest = graph.call("MaxPool", &[&x.name], &window);
        let mean = graph.call("AveragePool", &[&x.name], &window);
        Some(graph.concat(&[&largest, &mean], 1))
    }
}
