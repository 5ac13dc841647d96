//! One bilinear resampling of a picture through an affine map.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "positions in fixed point in a picture whose sides are below 2³²; a float as an integer saturates"
)]

use crate::image::Affine;

/// Bits after the point of a position: enough that a step's error does not show after any row's length.
const FRACTION: u32 = 32;
/// Bits of a bilinear weight: as fine as values of 8 bits. Twice as many, and 16 of a value, fill 32.
const WEIGHT: u32 = 8;

/// A value of a pixel's channel.
pub(crate) trait Level: Copy + Default + Into<u32> {
    /// One that is not larger than the type's largest.
    fn of(value: u32) -> Self;
}

impl Level for u8 {
    fn of(value: u32) -> Self {
        value as Self
    }
}

impl Level for u16 {
    fn of(value: u32) -> Self {
        value as Self
    }
}

/// The square `[size][size][3]` whose pixel at `to_input(p)` is the picture's at `p`.
///
/// Both pixels' centres are at half-integers. Beyond its edges the picture is mirrored. A map that only moves by
/// whole pixels, or mirrors, copies them exactly.
pub(super) fn warp<T: Level>(
    pixels: &[T],
    sides: [usize; 2],
    to_input: &Affine,
    size: usize,
) -> Vec<T> {
    if let Some([left, top]) = whole_shift(sides, to_input, size) {
        let mut rgb = Vec::with_capacity(size * size * 3);
        for line in pixels.chunks_exact(sides[0] * 3).skip(top).take(size) {
            rgb.extend_from_slice(&line[left * 3..(left + size) * 3]);
        }
        return rgb;
    }
    let [a, b, c, d, e, f] = to_input.inverse().0.map(f64::from);
    let fixed = |value: f64| (value * (1u64 << FRACTION) as f64).round() as i64;
    let (step_x, step_y) = (fixed(a), fixed(d));
    // Half a weight's step, so that cutting off the lower bits rounds to the nearest weight.
    let half = 1i64 << (FRACTION - WEIGHT - 1);
    let [width, height] = sides.map(|side| side as i64);
    let stride = sides[0] * 3;
    let mut rgb = vec![T::default(); size * size * 3];
    for (j, line) in rgb.chunks_exact_mut(size * 3).enumerate() {
        let down = j as f64 + 0.5;
        // Where the row's first centre comes from, minus the half pixel by which centres are displaced from indices.
        let mut x = fixed(a * 0.5 + b * down + c - 0.5) + half;
        let mut y = fixed(d * 0.5 + e * down + f - 0.5) + half;
        for pixel in line.chunks_exact_mut(3) {
            let (column, row) = (x >> FRACTION, y >> FRACTION);
            let weight_of =
                |position: i64| ((position >> (FRACTION - WEIGHT)) & ((1 << WEIGHT) - 1)) as u32;
            let (right, lower) = (weight_of(x), weight_of(y));
            let is_inside = column >= 0 && column + 1 < width && row >= 0 && row + 1 < height;
            let mut corners = [[T::default(); 6]; 2];
            if is_inside {
                let start = row as usize * stride + column as usize * 3;
                corners[0].copy_from_slice(&pixels[start..start + 6]);
                corners[1].copy_from_slice(&pixels[start + stride..start + stride + 6]);
            } else {
                for (corners, row) in corners.iter_mut().zip([row, row + 1]) {
                    let row = mirrored(row, height) * stride;
                    for (corner, column) in corners.chunks_exact_mut(3).zip([column, column + 1]) {
                        let start = row + mirrored(column, width) * 3;
                        corner.copy_from_slice(&pixels[start..start + 3]);
                    }
                }
            }
            for (channel, value) in pixel.iter_mut().enumerate() {
                let along = |corners: &[T; 6]| {
                    let [near, far] =
                        [channel, channel + 3].map(|at| -> u32 { corners[at].into() });
                    near * ((1 << WEIGHT) - right) + far * right
                };
                let sum = along(&corners[0]) * ((1 << WEIGHT) - lower) + along(&corners[1]) * lower;
                *value = T::of((sum + (1 << (2 * WEIGHT - 1))) >> (2 * WEIGHT));
            }
            x += step_x;
            y += step_y;
        }
    }
    rgb
}

/// The left top corner of the part that is copied, where the map only moves by whole pixels within the picture.
fn whole_shift([width, height]: [usize; 2], to_input: &Affine, size: usize) -> Option<[usize; 2]> {
    let [a, b, c, d, e, f] = to_input.0;
    let fits = |shift: f32, length: usize| {
        let start = (-shift) as usize;
        let is_whole = -shift >= 0.0 && shift.fract() == 0.0;
        (is_whole && start.checked_add(size)? <= length).then_some(start)
    };
    if [a, b, d, e] != [1.0, 0.0, 0.0, 1.0] {
        return None;
    }
    Some([fits(c, width)?, fits(f, height)?])
}

/// The index of the pixel that a mirror at either edge shows at `index`.
fn mirrored(index: i64, length: i64) -> usize {
    let index = index.rem_euclid(2 * length);
    index.min(2 * length - 1 - index) as usize
}
