//! Where the network looks: the places of its last map that raise the explained number.
//!
//! With A the last map of the backbone (k channels of i × j places) and y the number,
//!
//! > α_k = 1/Z Σ_ij ∂y / ∂A_k,ij (eq. 1),  L = ReLU(Σ_k α_k A_k) (eq. 2)
//!
//! with Z the number of places. The network is the whole one, fusion and metadata included: gradients flow from y
//! through the fusion into the map. y is a weighted sum of the network's outputs before they are decoded
//! ([`Quantity::weights`](super::Quantity::weights)): the logit of the predicted class or likeliest label; the value on
//! the scale it is learned on; for points their displacement from where the baseline has them.
//!
//! # Source
//!
//! Selvaraju et al. 2017, "Grad-CAM: Visual explanations from deep networks via gradient-based localization",
//! arXiv:1610.02391. Departs from it for values and points, which it does not treat.

use burn::tensor::{Tensor, TensorData};

use super::prepared::before_metadata;
use super::{Picture, Prepared, Share};
use crate::batch::{Batch, Input, device, metadata_of, numbers};
use crate::dataset::ImageSource;
use crate::error::{Error, Result};
use crate::image::Affine;
use crate::loader::{BatchPlan, Loader, LoaderOptions};
use crate::network::{Context, Network, Shape, Value};

/// A map over the network's input square, or over those of all images of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    /// Places from left to right.
    pub width: usize,
    /// Places from top to bottom, of one image.
    pub height: usize,
    /// `[n_images][height][width]`, at least 0: L of equation 2, not scaled.
    pub values: Vec<f32>,
}

impl Heat {
    /// The values over each image, `[height][width]`.
    pub fn images(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact((self.height * self.width).max(1))
    }

    /// The largest value, over all images of the row.
    pub fn largest(&self) -> f32 {
        self.values.iter().copied().fold(0.0, f32::max)
    }

    /// The values at every pixel of a square of this side, between places linearly, divided by the largest: in
    /// [0, 1]; all 0 where nothing raises the number. Of several images one square after another.
    pub fn over(&self, side: usize) -> Vec<f32> {
        let largest = self.largest();
        let over = |values: &[f32]| match largest > 0.0 {
            true => self.over_one(values, side, largest),
            false => vec![0.0; side * side],
        };
        self.images().flat_map(over).collect()
    }

    fn over_one(&self, values: &[f32], side: usize, largest: f32) -> Vec<f32> {
        // Centre of a pixel in places, the edges drawn out.
        let place = |pixel: usize, places: usize| {
            let at = (pixel as f32 + 0.5) / side as f32 * places as f32 - 0.5;
            let at = at.clamp(0.0, (places - 1) as f32);
            let low = at.floor() as usize;
            (low, (low + 1).min(places - 1), at.fract())
        };
        let mut pixels = Vec::with_capacity(side * side);
        for y in 0..side {
            let (top, bottom, down) = place(y, self.height);
            for x in 0..side {
                let (left, right, across) = place(x, self.width);
                let row = |y: usize| {
                    let [a, b] = [left, right].map(|x| values[y * self.width + x]);
                    a + across * (b - a)
                };
                let value = row(top) + down * (row(bottom) - row(top));
                pixels.push(value / largest);
            }
        }
        pixels
    }
}

/// Where the network looks in the picture, or the pictures, of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// What raises the explained number.
    pub heat: Heat,
    /// The pictures as the network gets them, `[n_images][size][size][3]`, normalised.
    pub pixels: Vec<f32>,
    /// From pixels of each stored image to pixels of its picture; `None`: the row lacks it.
    pub to_input: Vec<Option<Affine>>,
}

/// Position after the child that makes the last map of the backbone of more than one place, before any child reads
/// metadata. `None`: there is none, or tokens come after it (a transformer has no last map).
pub fn last_map(network: &Network) -> Option<usize> {
    let layers = network.inspect().ok()?;
    let output = |name: &String| layers.iter().find(|layer| layer.path == *name);
    let mut found = None;
    let children = network.root.children.iter().take(before_metadata(network));
    for (at, (name, _)) in children.enumerate() {
        if !network.backbone.contains(name) {
            break;
        }
        match output(name)?.output {
            Shape::Map { height, width, .. } if height * width > 1 => found = Some(at + 1),
            Shape::Tokens { .. } => found = None,
            _ => {}
        }
    }
    found
}

/// Grad-CAM of images: one map a row. `weights` says what is differentiated: y = Σ weights · outputs of the row. What else
/// the network reads of them is in `context`.
///
/// # Shapes
///
/// - `images`: `[batch, channels, n_images · size, size]`, normalised
/// - `weights`: `[batch][n_outputs]`, one after another
///
/// # Errors
///
/// [`Error::NoMap`]: the network has no last map.
///
/// # Panics
///
/// As [`Network::forward`].
pub fn grad_cam(
    network: &Network,
    images: Tensor<4>,
    mut context: Context,
    weights: Vec<f32>,
) -> Result<Vec<Heat>> {
    let n = last_map(network).ok_or(Error::NoMap)?;
    let network = network.valid();
    // The gradient need not go further back than the map: what made it runs without.
    let map = network.forward_prefix(images, n).map(); // [batch, channels, height, width]
    let [batch, channels, height, width] = map.dims();
    let map = map.autodiff().require_grad();
    let output = network.forward_from(n, Value::Map(map.clone()), &mut context); // [batch, n_outputs]
    let [_, n_outputs] = output.dims();
    let weights = Tensor::<2>::from_data(
        TensorData::new(weights, [batch, n_outputs]),
        &output.device(),
    );
    // Rows do not depend on one another, so the gradient of the sum is that of each.
    let gradients = (output * weights).sum().backward();
    let gradient = map.grad(&gradients).ok_or(Error::NoMap)?;
    // Every image has its own α.
    let n_images = network.n_images();
    let each = |x: Tensor<4>| Value::Map(x).unstacked(n_images).map();
    let [map, gradient] = [map.without_autodiff(), gradient].map(each);
    let alpha = gradient
        .reshape([batch * n_images, channels, height * width / n_images])
        .mean_dim(2)
        .reshape([batch * n_images, channels, 1, 1]);
    let heat = (map * alpha).sum_dim(1).clamp_min(0.0); // [batch · n_images, 1, height / n_images, width]
    let values = numbers(heat);
    let heat = |values: &[f32]| Heat {
        width,
        height: height / n_images,
        values: values.to_vec(),
    };
    Ok(values.chunks_exact(height * width).map(heat).collect())
}

/// Grad-CAM of rows of a data set.
///
/// # Errors
///
/// As [`grad_cam()`]; the first image that cannot be read.
pub fn grad_cam_of_rows(rows: &Prepared<'_>, explained: &[&Share]) -> Result<Vec<Looked>> {
    let (model, dataset) = (rows.model, rows.dataset);
    if !model.reads_image() {
        return Err(Error::NoMap);
    }
    let own = rows.outputs(Picture::Own, &rows.metadata);
    let blank = rows.outputs(Picture::Blank, &rows.all_missing());
    let (source, _) = model.source(dataset.clone())?;
    let wanted: Vec<usize> = explained.iter().map(|share| share.row).collect();
    let preprocess = source.preprocess;
    let to_input = |image: &ImageSource| -> Result<Option<Affine>> {
        Ok(match image.is_absent() {
            true => None,
            false => Some(preprocess.to_input(image)?),
        })
    };
    let of_row = |row: &usize| dataset.images[*row].parts().iter().map(to_input).collect();
    let placed: Vec<Vec<Option<Affine>>> = wanted.iter().map(of_row).collect::<Result<_>>()?;
    let mut placed = placed.into_iter();
    let plan = BatchPlan::evaluation(&wanted, model.config.train.batch);
    let device = device(&model.network.valid());
    let mut found = Vec::new();
    for host in &mut Loader::new(source, plan, LoaderOptions::default()) {
        let host = host?;
        let side = host.images.len() / host.rows.len().max(1);
        let pictures: Vec<Vec<f32>> = host
            .images
            .chunks_exact(side)
            .map(<[f32]>::to_vec)
            .collect();
        let mut weights = Vec::new();
        for row in &host.rows {
            let share = explained.iter().find(|share| share.row == *row);
            if let (Some(share), Some(own), Some(blank)) = (share, &own[*row], &blank[*row]) {
                weights.extend(share.quantity.weights(own, blank));
            }
        }
        let batch = Batch::new(host, &device);
        let metadata = metadata_of(&rows.metadata, &batch.rows, &device);
        let context = Context {
            has_images: batch.has_images,
            ..Context::evaluate(metadata)
        };
        if let Input::Images(images) = batch.input {
            let heats = grad_cam(&model.network, images, context, weights)?;
            let seen = heats.into_iter().zip(pictures).zip(placed.by_ref());
            found.extend(seen.map(|((heat, pixels), to_input)| Looked {
                heat,
                pixels,
                to_input,
            }));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::config::{Arm, ModelConfig};
    use crate::network::layer::{AdaptiveAvgPool, Conv2d, Linear};
    use crate::network::{Architecture, InputSpec, Layer, MetadataTensors, ModelSpec, Start};

    /// A 1 × 1 convolution to two channels, their means, two logits; all numbers by hand.
    fn by_hand() -> Network {
        let architecture = Architecture::sequence([
            ("conv", Conv2d::new(2, 1).into()),
            ("avgpool", AdaptiveAvgPool::default().into()),
            ("flatten", Layer::Flatten.into()),
            ("head", Linear::new(2).into()),
        ]);
        let input = InputSpec {
            mean: [0.0; 3],
            sd: [1.0; 3],
            size: 2,
            channels: 3,
        };
        let device = Device::flex();
        let mut network = Network::new(architecture, input, Start::Zeros, &device).unwrap();
        network.backbone = ["conv", "avgpool", "flatten"].map(String::from).to_vec();
        let root = &mut network.root;
        root.each_parameter_mut("", &mut |path, parameter| match path {
            // The first channel is red, the second green minus blue.
            "conv.weight" => parameter.set_values(vec![1.0, 0.0, 0.0, 0.0, 1.0, -1.0]),
            "head.weight" => parameter.set_values(vec![2.0, -4.0, 0.0, 8.0]),
            _ => {}
        });
        network
    }

    #[test]
    fn the_map_of_a_network_by_hand_is_the_one_computed_by_hand() {
        let network = by_hand();
        assert_eq!(last_map(&network), Some(1));
        let red = [1.0, 2.0, 3.0, 4.0];
        let green = [0.0, 0.5, 3.0, 1.0];
        let blue = [0.0, 0.0, 1.0, 0.5];
        let image = [red, green, blue].concat();
        let images = Tensor::<4>::from_data(
            TensorData::new([image.clone(), image].concat(), [2, 3, 2, 2]),
            &Device::flex(),
        );
        // Row 0 asks for logit 0, row 1 for logit 1. α_k is w_k / 4 (the mean's own 1/Z is in the gradient, and
        // equation 1 averages over places that all have it).
        let context = Context::evaluate(None);
        let heats = grad_cam(&network, images, context, vec![1.0, 0.0, 0.0, 1.0]).unwrap();
        // Logit 0: ReLU(0.5 red − 1 (green − blue)).
        assert_eq!(heats[0].values, [0.5, 0.5, 0.0, 1.5]);
        // Logit 1: ReLU(2 (green − blue)).
        assert_eq!(heats[1].values, [0.0, 1.0, 4.0, 1.0]);
        assert_eq!((heats[0].width, heats[0].height), (2, 2));
    }

    #[test]
    fn a_map_over_the_picture_is_1_where_it_is_largest() {
        let heat = Heat {
            width: 2,
            height: 1,
            values: vec![0.0, 3.0],
        };
        let over = heat.over(4);
        assert_eq!(over[..4], [0.0, 0.25, 0.75, 1.0]);
        let nothing = Heat {
            values: vec![0.0; 2],
            ..heat
        };
        assert_eq!(nothing.over(2), [0.0; 4]);
    }

    #[test]
    fn convolutional_backbones_have_a_last_map_and_transformers_none() {
        let build = |backbone: &str, fusion: &str| {
            let config = ModelConfig {
                backbone: backbone.into(),
                fusion: fusion.into(),
                arm: Arm::Both,
                hidden: 8,
                ..ModelConfig::default()
            };
            let spec = ModelSpec {
                n_outputs: 2,
                d_dense: 3,
                size: 64,
                ..ModelSpec::default()
            };
            Network::build(&config, &spec, 1, &Device::flex()).unwrap()
        };
        for fusion in crate::network::fusion::NAMES {
            let network = build("small_cnn", fusion);
            let n = last_map(&network).unwrap();
            assert_eq!(network.root.children[n - 1].0, "features", "{fusion}");
            let images = Tensor::ones([2, 3, 64, 64], &Device::flex());
            let metadata = MetadataTensors {
                dense: Tensor::ones([2, 3], &Device::flex()),
                codes: Tensor::zeros([2, 0], &Device::flex()),
            };
            let context = Context::evaluate(Some(metadata));
            let heats = grad_cam(&network, images, context, vec![1.0; 4]).unwrap();
            assert_eq!((heats.len(), heats[0].values.len()), (2, 16), "{fusion}");
        }
        assert_eq!(last_map(&build("vit_s16", "concat")), None);
    }
}
