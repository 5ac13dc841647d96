//! Seeded random changes to an image, its points and its metadata; the identity when evaluating.
//!
//! [`Augment::draw`] decides what happens to a picture, [`Change::render`] does it to the pixels in one
//! resampling, and [`Change::to_input`] is the same map for points: a point and the pixel under it go to the
//! same place. Mirroring also swaps what has a side: [`swap_symmetric`] for points,
//! [`Encoder::flip`](crate::encode::Encoder::flip) for metadata.

mod warp;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::config::{AugmentConfig, TargetKind};
use crate::error::{Error, Result};
use crate::image::{Affine, Picture};

/// What a random stream is for: streams of different purposes have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The order of the rows in an epoch.
    Order,
    /// The changes to one row's image.
    Augment,
}

/// The random stream of one row in one epoch: the same whichever thread draws from it, and in whatever order
/// the rows are visited.
///
/// # Source
///
/// Seed, epoch, row and purpose are, side by side, the 256-bit key of a ChaCha8 stream
/// (Bernstein 2008, "ChaCha, a variant of Salsa20"): different keys, unrelated streams.
pub fn stream(seed: u64, epoch: u64, row: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (place, word) in key.chunks_exact_mut(8).zip([seed, epoch, row, purpose as u64]) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
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
    /// [`Error::Setting`]: a number outside its range.
    pub fn new(config: &AugmentConfig, kind: TargetKind) -> Result<Self> {
        let check = |field: &str, value: f64, range: std::ops::RangeInclusive<f64>| {
            if range.contains(&value) {
                return Ok(value);
            }
            Err(Error::Setting {
                field: format!("augment.{field}"),
                expected: format!("a number from {} to {}", range.start(), range.end()),
                found: value.to_string(),
            })
        };
        Ok(Self {
            flip: config.flip.unwrap_or(kind != TargetKind::Points),
            rotate: check("rotate", config.rotate, 0.0..=180.0)?,
            zoom: check("zoom", config.zoom, 0.0..=0.9)?,
            shift: check("shift", config.shift, 0.0..=1.0)?,
            light: check("light", config.light, 0.0..=1.0)?,
            probability: check("probability", config.probability, 0.0..=1.0)?,
        })
    }

    /// Draws what happens to one picture of `width` × `height` pixels on its way to a square of `size`.
    ///
    /// The part that is cut out of a longer picture is always drawn; mirroring has a coin of its own;
    /// rotation, zoom, shift and light happen together or not at all. The same numbers are drawn from the
    /// stream whatever the settings, so that changing one of them leaves the others' draws as they were.
    pub fn draw(&self, stream: &mut ChaCha8Rng, [width, height]: [usize; 2], size: usize) -> Change {
        let left = below(stream, (width - size) as u64 + 1) as f32;
        let top = below(stream, (height - size) as u64 + 1) as f32;
        let is_flipped = uniform(stream) < 0.5 && self.flip;
        let is_changed = uniform(stream) < self.probability;
        // Uniform on [-1, 1): angle, scale, shift across, shift down, brightness, contrast.
        let [angle, zoom, across, down, brightness, contrast] =
            std::array::from_fn(|_| (2.0 * uniform(stream) - 1.0) * f64::from(u8::from(is_changed)));

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
        let mut square = warp::warp(fitted, &self.to_input, size);
        if (self.brightness, self.contrast) != (1.0, 1.0) {
            relight(&mut square, self.brightness, self.contrast);
        }
        square
    }
}

/// After a mirroring, gives each point of a pair the other's place: the left eye is where the right eye was.
/// `xy` and `mask` hold x and y of each point in turn.
pub fn swap_symmetric(xy: &mut [f32], mask: &mut [f32], symmetric: &[[usize; 2]]) {
    for &[first, second] in symmetric {
        for axis in 0..2 {
            xy.swap(2 * first + axis, 2 * second + axis);
            mask.swap(2 * first + axis, 2 * second + axis);
        }
    }
}

fn relight(rgb: &mut [u8], brightness: f32, contrast: f32) {
    let mut counts = [[0u32; 256]; 3];
    for pixel in rgb.chunks_exact(3) {
        for (counts, &value) in counts.iter_mut().zip(pixel) {
            counts[usize::from(value)] += 1;
        }
    }
    let bright: [f32; 256] = std::array::from_fn(|value| (value as f32 * brightness).clamp(0.0, 255.0));
    // ITU-R BT.601 weights, as torchvision's `rgb_to_grayscale`.
    let mut grey = 0.0;
    for (weight, counts) in [0.2989, 0.587, 0.114].into_iter().zip(&counts) {
        let sum: f64 = counts.iter().zip(&bright).map(|(&count, &value)| f64::from(count) * f64::from(value)).sum();
        grey += weight * sum;
    }
    let mean = (grey / (rgb.len() / 3).max(1) as f64) as f32;
    let table = bright.map(|value| (mean + (value - mean) * contrast).clamp(0.0, 255.0).round() as u8);
    for value in rgb {
        *value = table[usize::from(*value)];
    }
}

/// A number in [0, 1), uniform, of 53 random bits.
fn uniform(stream: &mut ChaCha8Rng) -> f64 {
    (stream.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A whole number below `n`, each as likely as the next.
///
/// # Source
///
/// Lemire 2019, "Fast random integer generation in an interval", arXiv:1805.10941, algorithm 5. Written here
/// because a library's may change from one version to the next, and every result with it.
fn below(stream: &mut ChaCha8Rng, n: u64) -> u64 {
    let mut product = u128::from(stream.next_u64()) * u128::from(n);
    if (product as u64) < n {
        let threshold = n.wrapping_neg() % n;
        while (product as u64) < threshold {
            product = u128::from(stream.next_u64()) * u128::from(n);
        }
    }
    (product >> 64) as u64
}

/// Shuffles in place, every order as likely as the next.
///
/// # Source
///
/// Durstenfeld 1964, "Algorithm 235: Random permutation" (Fisher and Yates' shuffle).
pub fn shuffle<T>(items: &mut [T], stream: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(stream, last as u64 + 1) as usize);
    }
}
