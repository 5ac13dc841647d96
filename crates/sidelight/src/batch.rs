//! Batches as tensors, the one loop that evaluates a network on them, and what it says of their rows.

mod gather;
mod score;

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::encode::{EncodedMetadata, Unseen};
use crate::error::{Error, Result};
use crate::image::Affine;
use crate::loader::HostBatch;
use crate::network::head::PointsLayout;
use crate::network::{Context, MetadataTensors, Network, Value};
use crate::task::{Candidate, Confidence, Prediction, PredictionSet, Task};
pub(crate) use crate::tensor::numbers;

pub(crate) use gather::gather;
pub(crate) use score::{
    all_image_sizes, constant_guesses, image_sizes, score, score_groups, score_of_constant,
};

/// Predictions of the rows of a data set.
#[derive(Debug, Clone, Default)]
pub struct Predictions {
    /// One a row; `None`: its image could not be read.
    pub predictions: Vec<Option<Prediction>>,
    /// The rows that have none, and why.
    pub problems: Vec<(usize, Arc<Error>)>,
    /// What holds the truth as often as was asked, beside each prediction; `None`: that was not asked.
    pub sets: Option<Vec<Option<PredictionSet>>>,
    /// How far the members of an ensemble are apart in each row, in the order of [`Batch::spread`](crate::batch::Batch::spread);
    /// `None` of a model that is no ensemble.
    pub spread: Option<Vec<Vec<f64>>>,
    /// Loss of each row, where the data set has targets; NaN where the row's is not known.
    pub losses: Option<Vec<f32>>,
    /// What of the metadata training had not seen.
    pub unseen: Unseen,
}

/// What comes into a network.
#[derive(Debug, Clone)]
pub enum Input {
    /// No image: a network of metadata alone.
    Nothing,
    /// `[batch, 3, n_images · size, size]`: those of a row one below the other.
    Images(Tensor<4>),
    /// What the network's first `n` children made of the images, computed before.
    Features {
        /// How many children that were.
        n: usize,
        /// The features, `[batch, …]`.
        value: Value,
    },
}

/// A batch on a device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Position in the data set of each row.
    pub rows: Vec<usize>,
    /// Side of the input square, in pixels.
    pub size: usize,
    /// What comes into the network.
    pub input: Input,
    /// The rows' metadata.
    pub metadata: Option<MetadataTensors>,
    /// 1 where a row has an image, 0 where it has none: `[batch, 1]`. `None`: every row has one, or none is read.
    pub has_image: Option<Tensor<2>>,
    /// Where rows have several images: 1 for each that is there, `[batch, n_images]`. `None`: all are, or none is read.
    pub has_images: Option<Tensor<2>>,
    /// How much each member of the network's stack counts in each row, `[batch, members]`; `None`: all alike.
    pub members: Option<Tensor<2>>,
    /// Targets as the loss wants them, and their mask: both `[batch, d_target]`.
    pub targets: Option<(Tensor<2>, Tensor<2>)>,
    /// Whether each point can be seen, and where that is known: both `[batch, n_points]`. `None`: targets are not points.
    pub visible: Option<(Tensor<2>, Tensor<2>)>,
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
        let n_images = host.n_images();
        let HostBatch {
            rows,
            size,
            images,
            dense,
            codes,
            targets,
            mask,
            visible,
            visible_mask,
            to_input,
            is_flipped,
            has_image,
        } = host;
        let n = rows.len();
        let images_are_unread = images.is_empty();
        let input = if images_are_unread {
            Input::Nothing
        } else {
            Input::Images(image_tensor(images, [n, n_images, size], device))
        };
        let (has_image, has_images) = match images_are_unread {
            true => (None, None),
            false => self::has_images(&has_image, n_images, device),
        };
        let metadata = metadata(n, dense, codes, device);
        let targets = matrix(n, targets, device).zip(matrix(n, mask, device));
        let visible = matrix(n, visible, device).zip(matrix(n, visible_mask, device));
        Self {
            rows,
            size,
            input,
            metadata,
            has_image,
            has_images,
            members: None,
            targets,
            visible,
            to_input,
            is_flipped,
            is_padding: false,
        }
    }

    /// Gives a context what it is to know of these rows.
    pub(crate) fn tell(&self, context: &mut Context) {
        context.metadata.clone_from(&self.metadata);
        context.has_image.clone_from(&self.has_image);
        context.has_images.clone_from(&self.has_images);
        context.members.clone_from(&self.members);
    }

    /// Runs a network on it: `[batch, n_outputs]`; of points that say more of themselves as [`PointsLayout`] has them.
    pub fn run(&self, network: &Network, context: &mut Context) -> Tensor<2> {
        self.tell(context);
        match &self.input {
            Input::Nothing => network.forward(None, context),
            Input::Images(images) => network.forward(Some(images.clone()), context),
            Input::Features { n, value } => network.forward_from(*n, value.clone(), context),
        }
    }

    /// Of each row the side of the square that the network sees, in pixels of the stored image: the geometric mean of its
    /// two axes where they differ.
    pub(crate) fn sides(&self) -> impl Iterator<Item = f64> + '_ {
        self.to_input.iter().map(|map| side(self.size, map))
    }

    /// Predictions from outputs, `[batch, n_outputs]`, in the target's own unit; points in pixels of the stored image.
    pub(crate) fn decode(&self, task: &Task, output: Tensor<2>) -> Vec<Prediction> {
        let [_, width] = output.dims();
        let is_points = matches!(task, Task::Keypoints { .. });
        let mut values = numbers(output);
        let rows = values.chunks_exact_mut(width).zip(&self.to_input);
        let decode = |((row, to_input), &is_flipped): ((&mut [f32], &Affine), &bool)| {
            let n_outputs = task.n_outputs().min(width);
            let layout = PointsLayout::new(n_outputs, width);
            if is_points {
                let to_stored = to_input.inverse();
                for point in row[..layout.n_coordinates()].chunks_exact_mut(2) {
                    let in_input =
                        [point[0], point[1]].map(|value| (value + 1.0) / 2.0 * self.size as f32);
                    point.copy_from_slice(&to_stored.apply(in_input));
                }
            }
            let mut prediction = task.decode(&row[..n_outputs]);
            if let Prediction::Keypoints {
                confidence,
                candidates,
                ..
            } = &mut prediction
            {
                *candidates = candidates_of(layout, row);
                let certainty = &row[layout.certainty()];
                *confidence = confidence_of(certainty, side(self.size, to_input));
            }
            match is_flipped {
                true => task.unmirrored(prediction),
                false => prediction,
            }
        };
        rows.zip(&self.is_flipped).map(decode).collect()
    }
}

impl Batch {
    /// How far the members of an ensemble are apart ([`Context::spread`]) in the target's own unit: the standard deviation of
    /// the probability of the class that is predicted, of that of each label, of each value (on a log scale to the first order),
    /// of each point in pixels of the stored image.
    pub(crate) fn spread(
        &self,
        task: &Task,
        spread: Tensor<2>,
        predictions: &[Prediction],
    ) -> Vec<Vec<f64>> {
        let all: Vec<f64> = numbers(spread).into_iter().map(f64::from).collect();
        let rows = all.chunks_exact(task.n_outputs());
        let rows = rows.zip(predictions).zip(self.sides());
        rows.map(|((of_row, prediction), side)| task.spread(of_row, prediction, side))
            .collect()
    }
}

/// What the network says of the task itself, `[batch, n_outputs]`, without how sure it is.
pub(crate) fn of_task(task: &Task, output: Tensor<2>) -> Tensor<2> {
    let [_, width] = output.dims();
    output.narrow(1, 0, task.n_outputs().min(width))
}

/// The candidates of a row, the most probable first.
fn candidates_of(layout: PointsLayout, row: &[f32]) -> Vec<Candidate> {
    let places = &row[layout.n_outputs..layout.n_coordinates()];
    let places = places.chunks_exact(layout.n_outputs.max(1));
    let candidate = |(places, log_p): (&[f32], &f32)| Candidate {
        probability: log_p.exp(),
        xy: places.as_chunks::<2>().0.to_vec(),
    };
    let all = places.zip(&row[layout.log_probabilities()]);
    let mut all: Vec<Candidate> = all.map(candidate).collect();
    all.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    all
}

/// How sure points are: log-odds of all that they are visible, then logarithms of their expected errors in half-sides.
fn confidence_of(certainty: &[f32], side: f64) -> Vec<Confidence> {
    let (log_odds, errors) = certainty.split_at(certainty.len() / 2);
    let confidence = |(log_odds, error): (&f32, &f32)| Confidence {
        visible: (1.0 + (-log_odds).exp()).recip(),
        error: error.exp() * (side / 2.0) as f32,
    };
    log_odds.iter().zip(errors).map(confidence).collect()
}

/// The side of the square that a network sees, in pixels of the stored image.
pub(crate) fn side(size: usize, to_input: &Affine) -> f64 {
    size as f64 / to_input.stretch()
}

/// Runs a network on batch after batch, without gradients, and hands on each with its outputs, `[batch, n_outputs]`.
///
/// All evaluation is this loop: validation, predictions, comparisons, explanations. The network must be
/// [`valid`](burn::module::Module::valid), or what every pass remembers for its gradients piles up.
///
/// # Errors
///
/// The first batch that is one.
pub(crate) fn evaluate(
    network: &Network,
    batches: impl IntoIterator<Item = Result<Batch>>,
    mut on_batch: impl FnMut(&Batch, Tensor<2>),
) -> Result<()> {
    evaluate_with_spread(network, batches, |batch, output, _| on_batch(batch, output))
}

/// As [`evaluate`], of an ensemble also how far its members are apart ([`Context::spread`]).
///
/// # Errors
///
/// As [`evaluate`].
pub(crate) fn evaluate_with_spread(
    network: &Network,
    batches: impl IntoIterator<Item = Result<Batch>>,
    mut on_batch: impl FnMut(&Batch, Tensor<2>, Option<Tensor<2>>),
) -> Result<()> {
    for batch in batches {
        let batch = batch?;
        let mut context = Context::evaluate(None);
        let output = batch.run(network, &mut context);
        on_batch(&batch, output, context.spread);
    }
    Ok(())
}

/// 1 where a row has any of its images, else 0, `[batch, 1]`; and for each of several, `[batch, n_images]`. `None` where
/// every row has one, or all.
pub(crate) fn has_images(
    has: &[bool],
    n_images: usize,
    device: &Device,
) -> (Option<Tensor<2>>, Option<Tensor<2>>) {
    let tensor = |has: &[bool], width: usize| {
        let ones = has.iter().map(|&has| f32::from(u8::from(has)));
        let ones = TensorData::new(ones.collect::<Vec<f32>>(), [has.len() / width, width]);
        has.contains(&false)
            .then(|| Tensor::from_data(ones, device))
    };
    let any: Vec<bool> = has
        .chunks_exact(n_images)
        .map(|row| row.contains(&true))
        .collect();
    let each = (n_images > 1).then(|| tensor(has, n_images)).flatten();
    (tensor(&any, 1), each)
}

/// The device that a network's numbers are on.
pub(crate) fn device(network: &Network) -> Device {
    let first = network.root.devices().into_iter().next();
    first.unwrap_or_else(Device::flex)
}

/// Normalised pixels as a tensor, `[n, channels, n_images · size, size]`, channels last in memory: on the CPU nothing is
/// copied.
pub(crate) fn image_tensor(
    pixels: Vec<f32>,
    [n, n_images, size]: [usize; 3],
    device: &Device,
) -> Tensor<4> {
    let height = n_images * size;
    let channels = pixels.len() / (n * height * size).max(1);
    let shape = [n, height, size, channels];
    let nhwc = Tensor::<4>::from_data(TensorData::new(pixels, shape), device);
    nhwc.permute([0, 3, 1, 2])
}

/// The metadata of these rows as tensors; `None` where there is not one column.
pub(crate) fn metadata_of(
    encoded: &EncodedMetadata,
    rows: &[usize],
    device: &Device,
) -> Option<MetadataTensors> {
    let dense = rows.iter().flat_map(|row| encoded.dense_row(*row)).copied();
    let codes = rows.iter().flat_map(|row| encoded.codes_row(*row)).copied();
    metadata(rows.len(), dense.collect(), codes.collect(), device)
}

/// Metadata as tensors; `None` where there is not one column.
fn metadata(
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
            names: Vec::new(),
            skeleton: Vec::new(),
            sigmas: Vec::new(),
            normalizer: Normalizer::Diagonal,
            mean: Vec::new(),
        };
        // A stored image of 200 × 100 squished to 50 × 50, then shifted by 5 pixels.
        let to_input = Affine::scale(0.25, 0.5).then(&Affine::translation(5.0, 0.0));
        let stored = [120.0, 30.0];
        let in_input = to_input.apply(stored).map(|value| value / 50.0 * 2.0 - 1.0);
        let host = HostBatch {
            rows: vec![0],
            size: 50,
            to_input: vec![to_input],
            is_flipped: vec![false],
            ..HostBatch::default()
        };
        let output = Tensor::<2>::from_floats([in_input], &Device::flex());
        let predictions = Batch::new(host, &Device::flex()).decode(&task, output);
        let Prediction::Keypoints { xy, .. } = &predictions[0] else {
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
        let values = numbers(images.slice([1..2, 1..2, 0..1, 0..2]));
        assert_eq!(values, [13.0, 16.0]);
        assert!(batch.metadata.is_none() && batch.targets.is_none());
    }
}
