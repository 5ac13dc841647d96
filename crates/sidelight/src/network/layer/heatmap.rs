//! Layers of a head that says where things are by a map of each.

use burn::tensor::{Device, TensorData, activation::softmax};

use super::prelude::*;

/// Each pixel of a map `factor` × `factor` times (nearest neighbour; torch's `Upsample`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upsample {
    /// How many times as high and wide.
    pub factor: usize,
}

impl Leaf for Upsample {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        let [channels, height, width] = at.map(input)?;
        if self.factor == 0 {
            return Err(at.field("factor", "at least 1", 0));
        }
        Ok(Shape::Map {
            channels,
            height: height * self.factor,
            width: width * self.factor,
        })
    }
    fn forward(&self, _: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        Value::Map(repeat(x.map(), self.factor))
    }
    fn onnx(&self, graph: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        let factor = self.factor as f32;
        let scales = graph.floats(&[4], &[1.0, 1.0, factor, factor]);
        Some(graph.call(
            "Resize",
            &[&x.name, "", &scales],
            &[
                ("mode", Attr::Text("nearest")),
                ("coordinate_transformation_mode", Attr::Text("asymmetric")),
                ("nearest_mode", Attr::Text("floor")),
            ],
        ))
    }
}

/// Each pixel `factor` × `factor` times.
fn repeat(x: Tensor<4>, factor: usize) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height, 1, width, 1])
        .expand([batch, channels, height, factor, width, factor])
        .reshape([batch, channels, height * factor, width * factor])
}

/// Each channel of a map as a place: `[batch, n, height, width]` to `[batch, 2 n]`, x and y in [-1, 1] of each.
///
/// The softmax of a channel over its pixels is a distribution, the place its mean; pixel `j` of `n` has the coordinate
/// `(2j + 1)/n − 1`. The place is therefore finer than the pixels, and its gradient reaches all of them.
///
/// # Source
///
/// Nibali et al. 2018, "Numerical coordinate regression with convolutional neural networks" (DSNT),
/// arXiv:1801.07372, section 3; the distribution's shape (its section 3.3) is a loss, `train.heatmap_loss`.
pub(super) struct SoftArgmax;

impl Leaf for SoftArgmax {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        let [channels, ..] = at.map(input)?;
        Ok(Shape::Features(2 * channels))
    }
    fn forward(&self, _: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        let maps = x.map();
        if let Some(kept) = &mut walk.context.heatmaps {
            kept.push(maps.clone());
        }
        Value::Features(find(maps))
    }
    fn onnx(&self, graph: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        let Shape::Map {
            channels,
            height,
            width,
        } = x.shape
        else {
            return None;
        };
        let places = graph.floats(&[height * width, 2], &coordinates(height, width));
        let y = graph.reshape(&x.name, &[0, channels as i64, (height * width) as i64]);
        let share = graph.call("Softmax", &[&y], &[("axis", Attr::Int(2))]);
        let place = graph.binary("MatMul", &share, &places); // [n, channels, 2]
        Some(graph.reshape(&place, &[0, 2 * channels as i64]))
    }
}

fn find(x: Tensor<4>) -> Tensor<2> {
    let [batch, n, height, width] = x.dims();
    let places = coordinates_tensor(height, width, &x.device());
    let share = softmax(x.reshape([batch * n, height * width]), 1);
    share.matmul(places).reshape([batch, 2 * n])
}

/// [`coordinates`] on a device: `[height · width, 2]`.
pub(crate) fn coordinates_tensor(height: usize, width: usize, device: &Device) -> Tensor<2> {
    let places = TensorData::new(coordinates(height, width), [height * width, 2]);
    Tensor::from_data(places, device)
}

/// x and y of each pixel, row by row.
pub(super) fn coordinates(height: usize, width: usize) -> Vec<f32> {
    let at = |i: usize, n: usize| (2 * i + 1) as f32 / n as f32 - 1.0;
    (0..height)
        .flat_map(|i| (0..width).flat_map(move |j| [at(j, width), at(i, height)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(map: Vec<f32>, shape: [usize; 4]) -> Vec<f32> {
        let map = Tensor::from_data(TensorData::new(map, shape), &Device::flex());
        let places = find(map);
        places.into_data().convert::<f32>().try_into_vec().unwrap()
    }

    #[test]
    fn a_peak_is_where_its_pixel_is_and_an_even_map_in_the_middle() {
        // Two channels of 2 × 4: a peak at row 1, column 3; even.
        let mut map = vec![0.0; 16];
        map[7] = 100.0;
        let found = places(map, [1, 2, 2, 4]);
        let wanted = [0.75, 0.5, 0.0, 0.0];
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
    }

    #[test]
    fn a_place_lies_between_pixels_as_their_shares_say() {
        // Shares 1/4 and 3/4 of the left and right half.
        let found = places(vec![0.0, 3.0_f32.ln()], [1, 1, 1, 2]);
        assert!((found[0] - 0.25).abs() < 1e-6 && found[1].abs() < 1e-6);
    }

    #[test]
    fn upsampled_pixels_stand_in_blocks() {
        let map = Tensor::from_data(
            TensorData::new(vec![1.0_f32, 2.0, 3.0, 4.0], [1, 1, 2, 2]),
            &Device::flex(),
        );
        let large = repeat(map, 2);
        let found: Vec<f32> = large.into_data().convert::<f32>().try_into_vec().unwrap();
        let wanted = [
            1., 1., 2., 2., 1., 1., 2., 2., 3., 3., 4., 4., 3., 3., 4., 4.,
        ];
        assert_eq!(found, wanted);
    }
}
