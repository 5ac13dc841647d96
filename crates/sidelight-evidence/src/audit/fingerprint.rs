//! Images that look the same: a hash proposes, the pictures themselves decide.
//!
//! [`dhash`] is 64 bits that hardly change when a picture is scaled, compressed again or brightened. Two pictures
//! are near duplicates when at most [`MOST_BITS`] of them differ, their sides are in the same proportion to
//! [`MOST_STRETCH`], and their 32 × 32 grey thumbnails correlate by at least [`LEAST_CORRELATION`]: the hash alone takes
//! X-rays, portraits and silhouettes, all framed alike, for one another.
//!
//! # Source
//!
//! dHash: Krawetz 2013, "Kind of Like That", hackerfactor.com. Search by bands: of `MOST_BITS + 1` bands at least
//! one is equal where `MOST_BITS` bits differ (the pigeonhole principle; Manku, Jain & Das Sarma 2007,
//! "Detecting near-duplicates for web crawling", section 3), so only images that share a band are compared.

use std::collections::HashMap;

use sidelight_data::image::Picture;

use crate::scan::mean_colors;

/// Bits of the hash that may differ.
pub const MOST_BITS: u32 = 6;
/// Pearson correlation of the thumbnails that is needed.
pub const LEAST_CORRELATION: f64 = 0.985;
/// By how much the proportion of the sides may differ: scaling rounds them to whole pixels.
pub const MOST_STRETCH: f64 = 0.02;
/// Pixels of a thumbnail's side.
pub const SIDE: usize = 32;

/// What is kept of an image.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fingerprint {
    /// SHA-256 of the file.
    pub(super) bytes: [u8; 32],
    /// [`dhash`] of the picture.
    pub(super) hash: u64,
    /// Width over height.
    proportion: f64,
    /// Grey values of the thumbnail, `[SIDE][SIDE]`.
    thumbnail: Vec<u8>,
}

impl Fingerprint {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in [0, 255]"
    )]
    pub(super) fn new(bytes: [u8; 32], picture: &Picture) -> Self {
        let thumbnail = grey(picture, SIDE, SIDE);
        Self {
            bytes,
            hash: dhash(picture),
            proportion: picture.width as f64 / picture.height as f64,
            thumbnail: thumbnail.iter().map(|grey| grey.round() as u8).collect(),
        }
    }

    /// Pearson's correlation of the thumbnails; 0 where one is of one grey.
    fn correlation(&self, other: &Self) -> f64 {
        let n = self.thumbnail.len() as f64;
        let (mut a, mut b, mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (x, y) in self.thumbnail.iter().zip(&other.thumbnail) {
            let (x, y) = (f64::from(*x), f64::from(*y));
            (a, b) = (a + x, b + y);
            (aa, bb, ab) = (aa + x * x, bb + y * y, ab + x * y);
        }
        let (of_a, of_b) = (aa - a * a / n, bb - b * b / n);
        match of_a > 0.0 && of_b > 0.0 {
            true => (ab - a * b / n) / (of_a * of_b).sqrt(),
            false => 0.0,
        }
    }

    /// Whether the other looks the same, or is the same file.
    pub(super) fn is_near(&self, other: &Self) -> bool {
        self.bytes == other.bytes
            || ((self.hash ^ other.hash).count_ones() <= MOST_BITS
                && (self.proportion / other.proportion).ln().abs() <= MOST_STRETCH
                && self.correlation(other) >= LEAST_CORRELATION)
    }
}

/// 8 rows of 8 bits: whether each of 9 × 8 grey averages is darker than its right neighbour.
pub(super) fn dhash(picture: &Picture) -> u64 {
    let grey = grey(picture, 9, 8);
    let rows = grey.chunks_exact(9);
    rows.flat_map(|row| row.windows(2).map(|pair| u64::from(pair[0] < pair[1])))
        .fold(0, |hash, bit| hash << 1 | bit)
}

/// Averages of the luma (ITU-R BT.601) over a grid of this many columns and rows, in [0, 255].
#[expect(
    clippy::cast_possible_truncation,
    reason = "in [0, 255], in single precision"
)]
fn grey(picture: &Picture, columns: usize, rows: usize) -> Vec<f32> {
    let luma = |[r, g, b]: [f64; 3]| (0.299 * r + 0.587 * g + 0.114 * b) as f32;
    let means = mean_colors(picture, columns, rows);
    means.into_iter().map(luma).collect()
}

/// Sets of two or more prints that are near to one another, directly or through others; in ascending order.
pub(super) fn near_sets(prints: &[Fingerprint]) -> Vec<Vec<usize>> {
    let mut sets = Sets::new(prints.len());
    // Files of the same bytes first: they are one picture from here on.
    let mut first_of: HashMap<[u8; 32], usize> = HashMap::new();
    let mut different = Vec::new();
    for (at, print) in prints.iter().enumerate() {
        match first_of.get(&print.bytes) {
            Some(first) => sets.join(*first, at),
            None => {
                first_of.insert(print.bytes, at);
                different.push(at);
            }
        }
    }
    for (bits, mask) in bands() {
        let key = |at: &usize| prints[*at].hash >> bits & mask;
        different.sort_by_key(|at| (key(at), *at));
        for alike in different.chunk_by(|a, b| key(a) == key(b)) {
            for (nth, a) in alike.iter().enumerate() {
                for b in &alike[nth + 1..] {
                    let few = (prints[*a].hash ^ prints[*b].hash).count_ones() <= MOST_BITS;
                    if few && !sets.are_one(*a, *b) && prints[*a].is_near(&prints[*b]) {
                        sets.join(*a, *b);
                    }
                }
            }
        }
    }
    sets.of_two_or_more()
}

/// First bit and mask of each band; together they are all 64 bits.
fn bands() -> impl Iterator<Item = (u32, u64)> {
    let n = MOST_BITS + 1;
    (0..n).map(move |band| {
        let (from, to) = (band * 64 / n, (band + 1) * 64 / n);
        (from, (1 << (to - from)) - 1)
    })
}

/// Disjoint sets: each points to another of its set, the first to itself.
struct Sets(Vec<usize>);

impl Sets {
    fn new(n: usize) -> Self {
        Self((0..n).collect())
    }
    fn first(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }
    fn are_one(&mut self, a: usize, b: usize) -> bool {
        self.first(a) == self.first(b)
    }
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.first(a), self.first(b));
        self.0[a.max(b)] = a.min(b);
    }
    fn of_two_or_more(mut self) -> Vec<Vec<usize>> {
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); self.0.len()];
        for at in 0..self.0.len() {
            let first = self.first(at);
            members[first].push(at);
        }
        members.retain(|set| set.len() > 1);
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidelight_data::image::Affine;

    fn picture(width: usize, height: usize, grey: impl Fn(f32, f32) -> f32) -> Picture {
        let pixel = |at: usize| {
            let (x, y) = (at % width, at / width);
            let share = |at: usize, side: usize| (at as f32 + 0.5) / side as f32;
            [grey(share(x, width), share(y, height)).clamp(0.0, 255.0) as u8; 3]
        };
        Picture {
            width,
            height,
            rgb: (0..width * height).flat_map(pixel).collect(),
            deep: None,
            further: Vec::new(),
            from_stored: Affine::IDENTITY,
        }
    }

    /// A picture of waves; each seed another.
    fn waves(side: usize, seed: u32, brighter: f32) -> Picture {
        let f = |k: u32| (seed * 7 + k * 3) as f32 % 11.0 + 1.0;
        picture(side, side, move |x, y| {
            128.0 + brighter + 60.0 * (f(1) * x + f(2)).sin() + 50.0 * (f(3) * y + f(4) * x).cos()
        })
    }

    fn print(id: u8, picture: &Picture) -> Fingerprint {
        Fingerprint::new([id; 32], picture)
    }

    #[test]
    fn the_hash_of_a_ramp_is_all_ones_and_of_its_mirror_all_zeros() {
        assert_eq!(dhash(&picture(90, 80, |x, _| 255.0 * x)), u64::MAX);
        assert_eq!(dhash(&picture(90, 80, |x, _| 255.0 * (1.0 - x))), 0);
        assert_eq!(dhash(&picture(3, 2, |_, _| 7.0)), 0);
    }

    #[test]
    fn a_scaled_and_brightened_picture_is_near_and_another_is_not() {
        let [a, b, c] = [waves(200, 1, 0.0), waves(64, 1, 6.0), waves(200, 2, 0.0)];
        let (a, b, c) = (print(1, &a), print(2, &b), print(3, &c));
        assert!(a.is_near(&b));
        assert!(!a.is_near(&c));
        assert_eq!(near_sets(&[c, a, b]), [[1, 2]]);
    }

    #[test]
    fn the_same_bytes_are_one_set_whatever_they_show() {
        let blank = picture(9, 9, |_, _| 0.0);
        let prints = [1, 2, 1].map(|id| print(id, &blank));
        // Two blank pictures of different bytes say nothing of each other.
        assert_eq!(near_sets(&prints), [[0, 2]]);
    }

    #[test]
    fn bands_find_every_pair_within_the_threshold() {
        let base = print(0, &waves(64, 3, 0.0));
        // Every seventh bit or so turned: each band but one has one.
        for first in 0..7 {
            let mut other = Fingerprint {
                bytes: [1; 32],
                ..base.clone()
            };
            for (band, (bit, _)) in bands().enumerate().filter(|(band, _)| *band != first) {
                other.hash ^= 1 << (bit + band as u32 % 3);
            }
            assert_eq!((base.hash ^ other.hash).count_ones(), MOST_BITS);
            assert_eq!(near_sets(&[base.clone(), other]).len(), 1);
        }
    }
}
