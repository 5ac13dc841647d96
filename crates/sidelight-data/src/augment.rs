//! Seeded random changes to an image, its points and its metadata; the identity when evaluating.
//!
//! [`Augment::draw`] decides what happens to a picture, [`Change::render`] does it to the pixels in one
//! resampling, and [`Change::to_input`] is the same map for points: a point and the pixel under it go to the
//! same place. Mirroring also swaps what has a side: [`swap_symmetric`] for points,
//! [`Encoder::flip`](crate::encode::Encoder::flip) for metadata.

mod warp;

use rand_chacha::ChaCha8Rng;

pub(crate) use warp::Level;

use crate::config::{AugmentConfig, TargetKind};
use crate::encode::Encoder;
use crate::error::{Result, setting};
use crate::image::{Affine, Picture};
use crate::random::{below, uniform};

fn check(field: &str, value: f64, range: std::ops::RangeInclusive<f64>) -> Result<f64> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(setting(
        format!("augment.{field}"),
        format!("a number from {} to {}", range.start(), range.end()),
        value,
    ))
}

/// Random changes, as the configuration wants them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augment {
    flip: bool,
    rotate: f64,
    zoom: f64,
    shift: f64,
    light: f64,
    probability: f64,
}

impl Augment {
    /// Checks the configuration; mirroring that is left open is off for points, where left is not right,
    /// and on for every other task.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting): a number outside its range.
    pub fn new(config: &AugmentConfig, kind: TargetKind) -> Result<Self> {
        Ok(Self {
            flip: config.flip.unwrap_or(kind != TargetKind::Keypoints),
            rotate: check("rotate", config.rotate, 0.0..=180.0)?,
            zoom: check("zoom", config.zoom, 0.0..=0.9)?,
            shift: check("shift", config.shift, 0.0..=1.0)?,
            light: check("light", config.light, 0.0..=1.0)?,
            probability: check("probability", config.probability, 0.0..=1.0)?,
        })
    }

    /// Draws what happens to one picture of `width` × `height` pixels on its way to a square of `size`. `flipped` says
    /// whether it is mirrored in place of the coin: pictures of one row are, or are not, together.
    ///
    /// The part that is cut out of a longer picture is always drawn; mirroring has a coin of its own;
    /// rotation, zoom, shift and light happen together or not at all. The same numbers are drawn from the
    /// stream whatever the settings, so that changing one of them leaves the others' draws as they were.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "maps and light are in single precision"
    )]
    pub fn draw(
        &self,
        stream: &mut ChaCha8Rng,
        [width, height]: [usize; 2],
        size: usize,
        flipped: Option<bool>,
    ) -> Change {
        let left = below(stream, width - size + 1) as f32;
        let top = below(stream, height - size + 1) as f32;
        let coin = uniform(stream) < 0.5 && self.flip;
        let is_flipped = flipped.unwrap_or(coin);
        let is_changed = uniform(stream) < self.probability;
        // Uniform on [-1, 1): angle, scale, shift across, shift down, brightness, contrast.
        let [angle, zoom, across, down, brightness, contrast] = std::array::from_fn(|_| {
            (2.0 * uniform(stream) - 1.0) * f64::from(u8::from(is_changed))
        });

        let half = size as f32 / 2.0;
        let (sin, cos) = (angle * self.rotate).to_radians().sin_cos();
        let factor = 1.0 + zoom * self.zoom;
        let [cos, sin] = [cos * factor, sin * factor].map(|value| value as f32);
        let [across, down] = [across, down].map(|value| (value * self.shift * size as f64) as f32);
        let to_input = Affine::translation(-left - half, -top - half)
            .then(&Affine::scale(if is_flipped { -1.0 } else { 1.0 }, 1.0))
            .then(&Affine([cos, -sin, 0.0, sin, cos, 0.0]))
            .then(&Affine::translation(half + across, half + down));
        Change {
            to_input,
            is_flipped,
            brightness: (1.0 + brightness * self.light) as f32,
            contrast: (1.0 + contrast * self.light) as f32,
        }
    }
}

/// Default share of rows whose metadata is hidden where points are learned.
///
/// Measured on `cxr_lungs` (3 seeds): 15.7 px off with 0.5, 16.2 with 0.3, 17.1 with 0; the image alone 15.5.
const HIDE_METADATA: f64 = 0.5;

/// Hides metadata of training rows: what is encoded becomes what a missing cell is encoded as, so that the model
/// learns to do without, and what the image alone says is learned as well.
///
/// # Source
///
/// Neverova et al. 2015, "ModDrop", arXiv:1501.00102, section 4.2, for a whole modality.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetadataDropout {
    row: f64,
    column: f64,
}

impl MetadataDropout {
    /// As configured for a model of both; `None`: nothing is hidden.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting): a share outside [0, 1].
    pub fn new(config: &AugmentConfig, kind: TargetKind) -> Result<Option<Self>> {
        let default = if kind == TargetKind::Keypoints {
            HIDE_METADATA
        } else {
            0.0
        };
        let row = config.hide_metadata.unwrap_or(default);
        let row = check("hide_metadata", row, 0.0..=1.0)?;
        let column = check("hide_column", config.hide_column, 0.0..=1.0)?;
        Ok((row > 0.0 || column > 0.0).then_some(Self { row, column }))
    }

    /// Draws for one row of one epoch, and hides in place. As many numbers are drawn whatever the shares.
    pub fn apply(
        &self,
        stream: &mut ChaCha8Rng,
        encoder: &Encoder,
        dense: &mut [f32],
        codes: &mut [u32],
    ) {
        let is_row_hidden = uniform(stream) < self.row;
        for column_idx in 0..encoder.columns.len() {
            if uniform(stream) < self.column || is_row_hidden {
                encoder.set_missing(column_idx, dense, codes);
            }
        }
    }
}

/// What happens to one picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// From pixels of the fitted picture to pixels of the input square.
    pub to_input: Affine,
    /// Whether left and right are mirrored.
    pub is_flipped: bool,
    /// What every value is multiplied by.
    pub brightness: f32,
    /// What every value's distance from the mean grey is multiplied by.
    pub contrast: f32,
}

impl Change {
    /// No change: the middle square, as when evaluating.
    pub fn none([width, height]: [usize; 2], size: usize) -> Self {
        let middle = |length: usize| -(((length - size) / 2) as f32);
        Self {
            to_input: Affine::translation(middle(width), middle(height)),
            is_flipped: false,
            brightness: 1.0,
            contrast: 1.0,
        }
    }

    /// Makes the input square, `[size][size][3]`.
    ///
    /// The geometric part is one bilinear resampling of the fitted picture; where the square reaches beyond
    /// the picture it shows the picture mirrored at its edge. The light is then changed as brightness first,
    /// contrast second.
    ///
    /// # Source
    ///
    /// Reflection: fastai's default (`pad_mode="reflection"`). Light: torchvision's `ColorJitter`,
    /// `adjust_brightness` then `adjust_contrast`, rounded once at the end instead of twice.
    pub fn render(&self, fitted: &Picture, size: usize) -> Vec<u8> {
        let sides = [fitted.width, fitted.height];
        let mut square = warp::warp(&fitted.rgb, sides, &self.to_input, size);
        if (self.brightness, self.contrast) != (1.0, 1.0) {
            relight(&mut square, self.brightness, self.contrast);
        }
        square
    }

    /// As [`Change::render`], in 16 bits where the picture has them.
    pub fn render_deep(&self, fitted: &Picture, size: usize) -> Option<Vec<u16>> {
        let sides = [fitted.width, fitted.height];
        let mut square = warp::warp(fitted.deep.as_ref()?, sides, &self.to_input, size);
        if (self.brightness, self.contrast) != (1.0, 1.0) {
            relight_deep(&mut square, self.brightness, self.contrast);
        }
        Some(square)
    }
}

/// After a mirroring, gives each point of a pair the other's place: the left eye is where the right eye was.
/// `values` hold so many numbers of each point in turn.
pub fn swap_symmetric(values: &mut [f32], per_point: usize, symmetric: &[[usize; 2]]) {
    for &[first, second] in symmetric {
        for at in 0..per_point {
            values.swap(per_point * first + at, per_point * second + at);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mean in single precision, and values that were clamped"
)]
fn relight(rgb: &mut [u8], brightness: f32, contrast: f32) {
    let mut counts = [[0u32; 256]; 3];
    for pixel in rgb.chunks_exact(3) {
        for (counts, &value) in counts.iter_mut().zip(pixel) {
            counts[usize::from(value)] += 1;
        }
    }
    let bright: [f32; 256] =
        std::array::from_fn(|value| (value as f32 * brightness).clamp(0.0, 255.0));
    // ITU-R BT.601 weights, as torchvision's `rgb_to_grayscale`.
    let mut grey = 0.0;
    for (weight, counts) in [0.2989, 0.587, 0.114].into_iter().zip(&counts) {
        let sum: f64 = counts
            .iter()
            .zip(&bright)
            .map(|(&count, &value)| f64::from(count) * f64::from(value))
            .sum();
        grey += weight * sum;
    }
    let mean = (grey / (rgb.len() / 3).max(1) as f64) as f32;
    let table =
        bright.map(|value| (mean + (value - mean) * contrast).clamp(0.0, 255.0).round() as u8);
    for value in rgb {
        *value = table[usize::from(*value)];
    }
}

/// As [`relight`], of 16 bits: too many values for a table of a small picture.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mean in single precision, and values that were clamped"
)]
fn relight_deep(rgb: &mut [u16], brightness: f32, contrast: f32) {
    let bright = |value: u16| (f32::from(value) * brightness).clamp(0.0, 65_535.0);
    let mut sums = [0.0; 3];
    for pixel in rgb.as_chunks::<3>().0 {
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += f64::from(bright(*value));
        }
    }
    let weighted = [0.2989, 0.587, 0.114].into_iter().zip(sums);
    let grey: f64 = weighted.map(|(weight, sum)| weight * sum).sum();
    let mean = (grey / (rgb.len() / 3).max(1) as f64) as f32;
    for value in rgb {
        let changed = mean + (bright(*value) - mean) * contrast;
        *value = changed.clamp(0.0, 65_535.0).round() as u16;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::collections::BTreeMap;

    use super::*;
    use crate::dataset::{Metadata, MetadataColumn, MetadataValues};
    use crate::random::{Purpose, for_row};

    fn augment(config: &AugmentConfig) -> Augment {
        Augment::new(config, TargetKind::Class).unwrap()
    }

    fn still() -> AugmentConfig {
        AugmentConfig {
            flip: Some(false),
            rotate: 0.0,
            zoom: 0.0,
            shift: 0.0,
            light: 0.0,
            probability: 1.0,
            ..AugmentConfig::default()
        }
    }

    /// Every pixel another colour.
    fn patterned(width: usize, height: usize) -> Picture {
        let rgb = (0..width * height * 3)
            .map(|i| (i * 37 % 251) as u8)
            .collect();
        Picture {
            width,
            height,
            rgb,
            deep: None,
            further: Vec::new(),
            from_stored: Affine::IDENTITY,
        }
    }

    /// A soft bright dot on black, its middle at (x, y).
    fn dot(side: usize, [x, y]: [f32; 2]) -> Picture {
        let rgb = (0..side * side)
            .flat_map(|i| {
                let (dx, dy) = ((i % side) as f32 + 0.5 - x, (i / side) as f32 + 0.5 - y);
                [(255.0 * (-(dx * dx + dy * dy) / 8.0).exp()) as u8; 3]
            })
            .collect();
        Picture {
            width: side,
            height: side,
            rgb,
            deep: None,
            further: Vec::new(),
            from_stored: Affine::IDENTITY,
        }
    }

    /// Where the brightness of a square has its middle.
    fn brightest(rgb: &[u8], size: usize) -> [f32; 2] {
        let mut sums = [0.0; 3];
        for (i, pixel) in rgb.chunks_exact(3).enumerate() {
            let value = f32::from(pixel[0]);
            sums[0] += value * ((i % size) as f32 + 0.5);
            sums[1] += value * ((i / size) as f32 + 0.5);
            sums[2] += value;
        }
        [sums[0] / sums[2], sums[1] / sums[2]]
    }

    #[test]
    fn without_change_the_square_is_the_middle_of_the_picture() {
        let picture = patterned(20, 16);
        let change = Change::none([20, 16], 16);
        let square = change.render(&picture, 16);
        assert_eq!(square[..48], picture.rgb[6..54]);
        assert_eq!(change.to_input.apply([2.0, 0.0]), [0.0, 0.0]);
        let whole = patterned(16, 16);
        assert_eq!(Change::none([16, 16], 16).render(&whole, 16), whole.rgb);
    }

    #[test]
    fn a_flip_twice_is_no_change() {
        let picture = patterned(17, 17);
        let flip = Change {
            to_input: Affine([-1.0, 0.0, 17.0, 0.0, 1.0, 0.0]),
            is_flipped: true,
            ..Change::none([17, 17], 17)
        };
        let once = flip.render(&picture, 17);
        assert_eq!(once[..3], picture.rgb[48..51]);
        let twice = flip.render(
            &Picture {
                rgb: once,
                ..picture.clone()
            },
            17,
        );
        assert_eq!(twice, picture.rgb);
        assert_eq!(flip.to_input.then(&flip.to_input), Affine::IDENTITY);
    }

    #[test]
    fn a_quarter_turn_moves_whole_pixels() {
        let picture = patterned(8, 8);
        let turn = Change {
            to_input: Affine([0.0, -1.0, 8.0, 1.0, 0.0, 0.0]),
            ..Change::none([8, 8], 8)
        };
        let mut turned = picture.clone();
        for _ in 0..4 {
            turned.rgb = turn.render(&turned, 8);
        }
        assert_eq!(turned.rgb, picture.rgb);
        assert_ne!(turn.render(&picture, 8), picture.rgb);
    }

    #[test]
    fn beyond_the_edge_the_picture_is_mirrored() {
        let picture = patterned(6, 6);
        let shift = Change {
            to_input: Affine::translation(2.0, 0.0),
            ..Change::none([6, 6], 6)
        };
        let shifted = shift.render(&picture, 6);
        let pixel = |rgb: &[u8], x: usize| rgb[x * 3..x * 3 + 3].to_vec();
        assert_eq!(pixel(&shifted, 1), pixel(&picture.rgb, 0));
        assert_eq!(pixel(&shifted, 0), pixel(&picture.rgb, 1));
        assert_eq!(pixel(&shifted, 2), pixel(&picture.rgb, 0));
    }

    #[test]
    fn light_changes_as_torchvisions_color_jitter() {
        // import torch, torchvision.transforms.v2.functional as F
        // x = torch.tensor([[[10, 200]], [[60, 120]], [[250, 30]]], dtype=torch.uint8)      # [3, 1, 2]
        // F.adjust_contrast(F.adjust_brightness(x, 1.3), 0.7)
        // -> [[[46, 216]], [[92, 146]], [[216, 64]]], cut off twice where we round once
        let picture = Picture {
            width: 2,
            height: 1,
            rgb: vec![10, 60, 250, 200, 120, 30],
            deep: None,
            further: Vec::new(),
            from_stored: Affine::IDENTITY,
        };
        let mut rgb = picture.rgb.clone();
        relight(&mut rgb, 1.3, 0.7);
        for (ours, theirs) in rgb.iter().zip([46, 92, 216, 216, 146, 64]) {
            assert!(ours.abs_diff(theirs) <= 1, "{rgb:?}");
        }
    }

    #[test]
    fn a_row_draws_the_same_whoever_asks_and_each_row_its_own() {
        let augment = augment(&AugmentConfig::default());
        let draw = |seed, epoch, row| {
            augment.draw(
                &mut for_row(seed, epoch, row, Purpose::Augment),
                [40, 32],
                32,
                None,
            )
        };
        assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
        assert_ne!(draw(1, 2, 3), draw(1, 2, 4));
        assert_ne!(draw(1, 2, 3), draw(1, 3, 2));
        assert_ne!(draw(1, 2, 3), draw(2, 2, 3));
    }

    #[test]
    fn settings_do_not_disturb_each_others_draws() {
        let draw = |config: &AugmentConfig| {
            augment(config).draw(&mut for_row(0, 0, 7, Purpose::Augment), [32, 32], 32, None)
        };
        let rotated = AugmentConfig {
            rotate: 30.0,
            light: 0.5,
            ..still()
        };
        let zoomed = AugmentConfig {
            zoom: 0.3,
            ..rotated.clone()
        };
        assert_eq!(draw(&rotated).brightness, draw(&zoomed).brightness);
        assert_ne!(draw(&rotated).to_input, draw(&zoomed).to_input);
    }

    #[test]
    fn as_many_are_changed_as_the_configuration_says() {
        let config = AugmentConfig {
            flip: Some(true),
            rotate: 20.0,
            probability: 0.25,
            ..still()
        };
        let augment = augment(&config);
        let draws: Vec<Change> = (0..2000)
            .map(|row| augment.draw(&mut for_row(0, 0, row, Purpose::Augment), [8, 8], 8, None))
            .collect();
        let flipped = draws.iter().filter(|change| change.is_flipped).count();
        let rotated = draws
            .iter()
            .filter(|change| change.to_input.0[1] != 0.0)
            .count();
        // Five standard deviations.
        assert!(flipped.abs_diff(1000) < 112, "{flipped} of 2000 flipped");
        assert!(rotated.abs_diff(500) < 97, "{rotated} of 2000 rotated");
    }

    #[test]
    fn points_are_mirrored_only_when_asked() {
        let flips = |kind, flip| {
            let augment = Augment::new(&AugmentConfig { flip, ..still() }, kind).unwrap();
            (0..64).any(|row| {
                augment
                    .draw(&mut for_row(0, 0, row, Purpose::Augment), [8, 8], 8, None)
                    .is_flipped
            })
        };
        assert!(!flips(TargetKind::Keypoints, None));
        assert!(flips(TargetKind::Keypoints, Some(true)));
        assert!(flips(TargetKind::Class, None));
        assert!(!flips(TargetKind::Regression, Some(false)));
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        let config = AugmentConfig {
            zoom: 1.5,
            ..still()
        };
        let error = Augment::new(&config, TargetKind::Class).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`augment.zoom`: expected a number from 0 to 0.9, found `1.5`"
        );
        let config = AugmentConfig {
            light: f64::NAN,
            ..still()
        };
        let error = Augment::new(&config, TargetKind::Class).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`augment.light`: expected a number from 0 to 1, found `NaN`"
        );
    }

    #[test]
    fn swapping_symmetric_points_takes_their_masks_along() {
        let (mut xy, mut mask) = ([1.0, 2.0, 3.0, 4.0, 0.0, 0.0], [1.0, 1.0, 0.0]);
        swap_symmetric(&mut xy, 2, &[[0, 2]]);
        swap_symmetric(&mut mask, 1, &[[0, 2]]);
        assert_eq!(xy, [0.0, 0.0, 3.0, 4.0, 1.0, 2.0]);
        assert_eq!(mask, [0.0, 1.0, 1.0]);
        swap_symmetric(&mut xy, 2, &[[0, 2]]);
        assert_eq!(xy, [1.0, 2.0, 3.0, 4.0, 0.0, 0.0]);
    }

    /// The dense numbers and the codes of a row.
    type Row = (Vec<f32>, Vec<u32>);

    /// Two columns: a number and a category, and an encoded row of each of 400.
    fn encoded() -> (Encoder, Vec<Row>) {
        let n_rows = 400;
        let number = MetadataValues::Continuous((0..n_rows).map(|i| Some(i as f64)).collect());
        let names = ["a", "b"].map(String::from).to_vec();
        let codes = (0..n_rows).map(|i| Some(i as u32 % 2)).collect();
        let columns = [
            ("number", number),
            ("name", MetadataValues::Categorical { names, codes }),
        ];
        let columns = columns.map(|(name, values)| MetadataColumn {
            name: name.into(),
            values,
        });
        let metadata = Metadata {
            columns: columns.into(),
            n_rows,
        };
        let rows: Vec<usize> = (0..n_rows).collect();
        let encoder = Encoder::fit(&metadata, &BTreeMap::new(), &rows).unwrap();
        let (encoded, _) = encoder.encode(&metadata).unwrap();
        let rows = rows.into_iter().map(|row| {
            (
                encoded.dense_row(row).to_vec(),
                encoded.codes_row(row).to_vec(),
            )
        });
        let rows = rows.collect();
        (encoder, rows)
    }

    #[test]
    fn hidden_metadata_is_what_missing_metadata_is_and_the_shares_hold() {
        let (encoder, rows) = encoded();
        for (hide_metadata, hide_column) in [(1.0, 0.0), (0.3, 0.0), (0.0, 0.3)] {
            let config = AugmentConfig {
                hide_metadata: Some(hide_metadata),
                hide_column,
                ..AugmentConfig::default()
            };
            let hide = MetadataDropout::new(&config, TargetKind::Class)
                .unwrap()
                .unwrap();
            let (mut cells, mut whole) = (0, 0);
            for (row, (mut dense, mut codes)) in rows.clone().into_iter().enumerate() {
                let mut random = for_row(1, 2, row as u64, Purpose::MetadataDropout);
                hide.apply(&mut random, &encoder, &mut dense, &mut codes);
                let missing = encoder.decode(&dense, &codes);
                cells += missing.iter().filter(|(_, cell)| cell.is_none()).count();
                whole += usize::from((dense, codes) == encoder.all_missing());
            }
            // 5 standard deviations of 800 or 400 coins.
            let (of_cells, of_rows) = if hide_metadata > 0.0 {
                (hide_metadata, hide_metadata)
            } else {
                (hide_column, hide_column * hide_column)
            };
            assert!((cells as f64 - 800.0 * of_cells).abs() < 92.0, "{cells}");
            assert!((whole as f64 - 400.0 * of_rows).abs() < 46.0, "{whole}");
        }
    }

    #[test]
    fn nothing_is_hidden_where_nothing_is_asked_for() {
        let of = |kind| MetadataDropout::new(&AugmentConfig::default(), kind).unwrap();
        assert_eq!(of(TargetKind::Regression), None);
        assert_eq!(of(TargetKind::Keypoints).map(|hide| hide.row), Some(0.5));
        let config = AugmentConfig {
            hide_column: 1.5,
            ..AugmentConfig::default()
        };
        let refused = MetadataDropout::new(&config, TargetKind::Class)
            .unwrap_err()
            .to_string();
        assert_eq!(
            refused,
            "`augment.hide_column`: expected a number from 0 to 1, found `1.5`"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_point_goes_where_its_pixel_goes(row in any::<u64>(), x in 26f32..38.0, y in 26f32..38.0) {
            let config = AugmentConfig {
                flip: Some(true), rotate: 25.0, zoom: 0.15, shift: 0.12, light: 0.1, probability: 1.0,
                ..AugmentConfig::default()
            };
            let side = 64;
            let picture = dot(side, [x, y]);
            let change = augment(&config).draw(&mut for_row(3, 1, row, Purpose::Augment), [side, side], side, None);
            // The light would add a grey that draws the middle away.
            let geometry = Change { brightness: 1.0, contrast: 1.0, ..change };
            let [found_x, found_y] = brightest(&geometry.render(&picture, side), side);
            let [x, y] = change.to_input.apply([x, y]);
            prop_assert!((found_x - x).abs() < 0.15 && (found_y - y).abs() < 0.15,
                "the dot is at {found_x}, {found_y}, the point at {x}, {y}");
        }

        #[test]
        fn a_random_crop_stays_in_the_picture(row in any::<u64>(), width in 16usize..40, height in 16usize..40) {
            let change = augment(&still()).draw(&mut for_row(0, 0, row, Purpose::Augment), [width, height], 16, None);
            let [left, top] = change.to_input.inverse().apply([0.0, 0.0]);
            prop_assert!(left >= 0.0 && left as usize + 16 <= width);
            prop_assert!(top >= 0.0 && top as usize + 16 <= height);
        }
    }
}
