//! A batch as tensors, and what the network says of it as predictions.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::image::Affine;
use crate::loader::HostBatch;
use crate::network::{Context, MetadataTensors, Network, Value};
use crate::task::{Prediction, Task};

/// What comes into a network.
#[derive(Debug, Clone)]
pub enum Input {
    /// No image: a network of metadata alone.
    Nothing,
    /// `[batch, 3, size, size]`
    Images(Tensor<4>),
    /// What the network's first `n` children made of the images, computed before.
    Features {
        /// How many children that were.
        n: usize,
        /// `[batch, …]`
        value: Value,
    },
}

/// A batch on a device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Position in the data set of each row.
    pub rows: Vec<usize>,
    /// What comes into the network.
    pub input: Input,
    /// The rows' metadata.
    pub metadata: Option<MetadataTensors>,
    /// 1 where a row has an image, 0 where it has none: `[batch, 1]`. `None`: every row has one, or none is read.
    pub has_image: Option<Tensor<2>>,
    /// Targets as the loss wants them, and their mask: both `[batch, d_target]`.
    pub targets: Option<(Tensor<2>, Tensor<2>)>,
    /// From pixels of the stored image to pixels of the input square, one a row.
    pub to_input: Vec<Affine>,
    /// Whether the image was mirrored, one a row.
    pub is_flipped: Vec<bool>,
    /// Whether it is there so that every rank has as many batches as the others, and counts for nothing.
    pub is_padding: bool,
}

impl Batch {
    /// Moves a batch from the host to a device. On the CPU the pixels are not copied.
    pub fn new(host: HostBatch, device: &Device) -> Self {
        let HostBatch {
            rows,
            size,
            images,
            dense,
            codes,
            targets,
            mask,
            to_input,
            is_flipped,
            has_image,
        } = host;
        let n = rows.len();
        let images_are_unread = images.is_empty();
        let input = if images_are_unread {
            Input::Nothing
        } else {
            let channels = images.len() / (n * size * size).max(1);
            let nhwc =
                Tensor::<4>::from_data(TensorData::new(images, [n, size, size, channels]), device);
            Input::Images(nhwc.permute([0, 3, 1, 2])) // [batch, channels, size, size], channels last in memory
        };
        let lacks_some = !images_are_unread && has_image.contains(&false);
        let has_image = lacks_some.then(|| {
            let ones = has_image.iter().map(|&has| f32::from(u8::from(has)));
            Tensor::from_data(TensorData::new(ones.collect(), [n, 1]), device)
        });
        let metadata = metadata(n, dense, codes, device);
        let targets = matrix(n, targets, device).zip(matrix(n, mask, device));
        Self {
            rows,
            input,
            metadata,
            has_image,
            targets,
            to_input,
            is_flipped,
            is_padding: false,
        }
    }

    /// Runs a network on it: `[batch, n_outputs]`.
    pub fn run(&self, network: &Network, context: &mut Context) -> Tensor<2> {
        context.metadata.clone_from(&self.metadata);
        context.has_image.clone_from(&self.has_image);
        match &self.input {
            Input::Nothing => network.forward(None, context),
            Input::Images(images) => network.forward(Some(images.clone()), context),
            Input::Features { n, value } => network.forward_from(*n, value.clone(), context),
        }
    }
}

/// Metadata as tensors; `None` where there is not one column.
pub(crate) fn metadata(
    n: usize,
    dense: Vec<f32>,
    codes: Vec<u32>,
    device: &Device,
) -> Option<MetadataTensors> {
    if dense.is_empty() && codes.is_empty() {
        return None;
    }
    let (d_dense, n_embedded) = (dense.len() / n, codes.len() / n);
    let codes: Vec<i32> = codes
        .into_iter()
        .map(|code| i32::try_from(code).expect("fewer codes than 2³¹"))
        .collect();
    Some(MetadataTensors {
        dense: Tensor::from_data(TensorData::new(dense, [n, d_dense]), device),
        codes: Tensor::<2, Int>::from_data(TensorData::new(codes, [n, n_embedded]), device),
    })
}

fn matrix(n: usize, values: Vec<f32>, device: &Device) -> Option<Tensor<2>> {
    if values.is_empty() {
        return None;
    }
    let width = values.len() / n;
    Some(Tensor::from_data(
        TensorData::new(values, [n, width]),
        device,
    ))
}

/// Predictions of a batch in the target's own unit; points in pixels of the stored image.
///
/// `size` is the side of the input square in pixels.
pub(crate) fn decode(
    task: &Task,
    output: Tensor<2>,
    to_input: &[Affine],
    size: usize,
) -> Vec<Prediction> {
    let [_, width] = output.dims();
    let mut values = output
        .into_data_as::<f32>()
        .try_into_vec::<f32>()
        .expect("converted to f32 just now");
    let is_points = matches!(task, Task::Keypoints { .. });
    values
        .chunks_exact_mut(width)
        .zip(to_input)
        .map(|(row, to_input)| {
            if is_points {
                let to_stored = to_input.inverse();
                for point in row.chunks_exact_mut(2) {
                    let in_input =
                        [point[0], point[1]].map(|value| (value + 1.0) / 2.0 * size as f32);
                    point.copy_from_slice(&to_stored.apply(in_input));
                }
            }
            task.decode(row)
        })
        .collect()
}

/// Shares an `Arc`'s content or copies it.
pub(crate) fn shared<T: Clone>(value: &T) -> Arc<T> {
    Arc::new(value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Normalizer;

    #[test]
    fn points_go_back_to_pixels_of_the_stored_image() {
        let columns = ["x0", "y0"].map(String::from).to_vec();
        let task = Task::Keypoints {
            columns,
            symmetric: vec![],
            normalizer: Normalizer::Diagonal,
        };
        // A stored image of 200 × 100 squished to 50 × 50, then shifted by 5 pixels.
        let to_input = Affine::scale(0.25, 0.5).then(&Affine::translation(5.0, 0.0));
        let stored = [120.0, 30.0];
        let in_input = to_input.apply(stored).map(|value| value / 50.0 * 2.0 - 1.0);
        let output = Tensor::<2>::from_floats([in_input], &Device::flex());
        let predictions = decode(&task, output, &[to_input], 50);
        let Prediction::Keypoints { xy } = &predictions[0] else {
            panic!("points")
        };
        assert!(
            (xy[0][0] - stored[0]).abs() < 1e-3 && (xy[0][1] - stored[1]).abs() < 1e-3,
            "{xy:?}"
        );
    }

    #[test]
    fn images_become_channels_first_without_moving_in_memory() {
        let images: Vec<f32> = (0..2 * 2 * 2 * 3).map(|i| i as f32).collect();
        let host = HostBatch {
            rows: vec![4, 7],
            size: 2,
            images,
            ..HostBatch::default()
        };
        let batch = Batch::new(host, &Device::flex());
        let Input::Images(images) = batch.input else {
            panic!("images")
        };
        assert_eq!(images.dims(), [2, 3, 2, 2]);
        // Channel 1 of the second row's first line: elements 12 + 1 and 12 + 4.
        let values: Vec<f32> = images
            .slice([1..2, 1..2, 0..1, 0..2])
            .into_data_as::<f32>()
            .try_into_vec()
            .unwrap();
        assert_eq!(values, [13.0, 16.0]);
        assert!(batch.metadata.is_none() && batch.targets.is_none());
    }
}
