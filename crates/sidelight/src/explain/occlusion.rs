//! Where the network looks: how its prediction changes as each place of the picture is hidden.
//!
//! A square window of the picture is given the normalisation's mean colour, which is 0 to the network and the colour of the
//! baseline, and the row is predicted anew. With f the explained number ([`Quantity`](super::Quantity)), x the picture and
//! x∖w the same with window w hidden, a place p of the map is
//!
//! > M(p) = mean over sizes of the mean over windows w of that size that cover p of \[f(x) − f(x∖w)\]
//!
//! in the unit of f: above 0 what is there raises the number, below 0 it lowers it. For points f(x) − f(x∖w) is how far they
//! go when w is hidden, in pixels, the root mean square over points: never below 0. Windows are 1 and 2 places a side, at
//! every place: the large ones hide what the small ones hide in part only, the small ones say where it is. Windows of 3 or 4
//! places beside them found fewer of the patches that `bench/where.py` plants, and so they are left out; of probabilities
//! differences of log-odds found no more.
//!
//! The whole network is run, fusion and metadata included, whatever its layers are, so that there is a map at every input
//! size. It costs 113 predictions for each image of the row. What the network could do without, since another place says the
//! same, changes nothing when it is hidden.
//!
//! # Source
//!
//! Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", arXiv:1311.2901, section 4.2. The mean
//! over what covers a place is that of Petsiuk, Das & Saenko 2018, "RISE", arXiv:1806.07421, section 3, with windows in place
//! of random masks. Departs from both in that numbers may go down as well as up, and for points, which they do not treat.

use super::{Prepared, Share};
use crate::dataset::ImageSource;
use crate::error::Result;
use crate::image::Affine;
use crate::loader::HostBatch;
use crate::task::Prediction;

/// Places of a map from side to side.
const PLACES: usize = 8;
/// Sides of the windows, in places.
const WINDOWS: [usize; 2] = [1, 2];

/// A map over the network's input square, or over those of all images of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    /// Places from left to right.
    pub width: usize,
    /// Places from top to bottom, of one image.
    pub height: usize,
    /// `[n_images][height][width]`, in the unit of the explained number: what a place adds to it.
    pub values: Vec<f32>,
}

impl Heat {
    /// The values over each image, `[height][width]`.
    pub fn images(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact((self.height * self.width).max(1))
    }

    /// The smallest and the largest value over all images of the row, 0 where none is below or above it.
    pub fn range(&self) -> [f32; 2] {
        let ends = |[low, high]: [f32; 2], x: &f32| [low.min(*x), high.max(*x)];
        self.values.iter().fold([0.0; 2], ends)
    }

    /// The values at every pixel of a square of this side, between places linearly, divided by the largest without its sign:
    /// in [−1, 1]; all 0 where nothing changes the number. Of several images one square after another.
    pub fn over(&self, side: usize) -> Vec<f32> {
        let [low, high] = self.range();
        let scale = high.max(-low);
        let scale = if scale > 0.0 { scale.recip() } else { 0.0 };
        let over = |values: &[f32]| self.over_one(values, side, scale);
        self.images().flat_map(over).collect()
    }

    fn over_one(&self, values: &[f32], side: usize, scale: f32) -> Vec<f32> {
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
                pixels.push(value * scale);
            }
        }
        pixels
    }
}

/// Where the network looks in the picture, or the pictures, of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// What each place adds to the explained number.
    pub heat: Heat,
    /// The pictures as the network gets them, `[n_images][size][size][channels]`, normalised.
    pub pixels: Vec<f32>,
    /// From pixels of each stored image to pixels of its picture; `None`: the row lacks it.
    pub to_input: Vec<Option<Affine>>,
}

/// A square of places in one of the row's pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Window {
    image: usize,
    left: usize,
    top: usize,
    side: usize,
}

impl Window {
    /// Every one of this side in this picture.
    fn all(image: usize, side: usize) -> impl Iterator<Item = Self> {
        let last = PLACES - side;
        let at = move |nth: usize| Self {
            image,
            left: nth % (last + 1),
            top: nth / (last + 1),
            side,
        };
        (0..(last + 1).pow(2)).map(at)
    }

    /// The places that it covers, among those of all pictures.
    fn places(self) -> impl Iterator<Item = usize> {
        let first = (self.image * PLACES + self.top) * PLACES + self.left;
        (0..self.side * self.side)
            .map(move |nth| first + nth / self.side * PLACES + nth % self.side)
    }

    /// Sets its pixels to 0, in pictures of this side that are one below the other.
    fn hide(self, pictures: &mut [f32], size: usize) {
        let edge = |place: usize| (place * size + PLACES / 2) / PLACES;
        let [left, right] = [self.left, self.left + self.side].map(edge);
        for y in edge(self.top)..edge(self.top + self.side) {
            let line = (self.image * size + y) * size;
            pictures[line + left..line + right].fill(0.0);
        }
    }
}

/// The map of a row of a data set; `None`: the model reads no image, or the row has none.
///
/// # Errors
///
/// Those of [`Source::sample`](crate::loader::Source::sample).
pub fn occlusion(rows: &Prepared<'_>, share: &Share) -> Result<Option<Looked>> {
    let image = &rows.dataset.images[share.row];
    if !rows.model.reads_image() || image.is_absent() {
        return Ok(None);
    }
    let preprocess = rows.model.preprocess();
    let to_input = |image: &ImageSource| -> Result<Option<Affine>> {
        Ok(match image.is_absent() {
            true => None,
            false => Some(preprocess.to_input(image)?),
        })
    };
    let to_input: Vec<Option<Affine>> =
        image.parts().iter().map(to_input).collect::<Result<_>>()?;
    let there = (0..to_input.len()).filter(|image| to_input[*image].is_some());
    let all = |image| {
        WINDOWS
            .iter()
            .flat_map(move |side| Window::all(image, *side))
    };
    let windows: Vec<Window> = there.flat_map(all).collect();
    let whole = rows.whole(share.row)?;
    // A window of no places: the row as it is.
    let own = predict(rows, &whole, &[Window::default()]).remove(0);
    let chunks = windows.chunks(rows.model.config.train.batch.max(1));
    let hidden = chunks.flat_map(|windows| predict(rows, &whole, windows));
    let changes: Vec<f64> = hidden
        .map(|hidden| share.quantity.change(&hidden, &own))
        .collect();
    Ok(Some(Looked {
        heat: Heat {
            width: PLACES,
            height: PLACES,
            values: mean_change(&windows, &changes, to_input.len()),
        },
        pixels: whole.images,
        to_input,
    }))
}

/// The row with each of these windows hidden.
fn predict(rows: &Prepared<'_>, whole: &HostBatch, windows: &[Window]) -> Vec<Prediction> {
    let n_images = whole.n_images();
    let mut masks = vec![1.0; windows.len() * n_images * whole.size * whole.size];
    let pictures = masks.chunks_exact_mut(n_images * whole.size * whole.size);
    for (window, pictures) in windows.iter().zip(pictures) {
        window.hide(pictures, whole.size);
    }
    rows.predict_masked(whole.clone(), masks)
}

/// M of every place, `[n_images][PLACES][PLACES]`.
fn mean_change(windows: &[Window], changes: &[f64], n_images: usize) -> Vec<f32> {
    let mut map = vec![0.0; n_images * PLACES * PLACES];
    for side in WINDOWS {
        let mut sums = vec![(0.0, 0.0); map.len()];
        let of_side = windows
            .iter()
            .zip(changes)
            .filter(|(window, _)| window.side == side);
        for (window, change) in of_side {
            for place in window.places() {
                sums[place].0 += change;
                sums[place].1 += 1.0;
            }
        }
        for (place, (sum, n)) in map.iter_mut().zip(sums) {
            // No window covers a picture that is not there.
            *place += if n > 0.0 { sum / n } else { 0.0 };
        }
    }
    let mean = |sum: f64| (sum / WINDOWS.len() as f64) as f32;
    map.into_iter().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_at_every_place_and_hide_what_they_cover() {
        assert_eq!(Window::all(0, 1).count() + Window::all(0, 2).count(), 113);
        let last = Window::all(1, 2).last().unwrap();
        assert_eq!((last.left, last.top), (6, 6));
        // The second picture's last four places of 8 × 8.
        assert_eq!(last.places().collect::<Vec<_>>(), [118, 119, 126, 127]);
        // Of two pictures of 20 pixels a side a place is 2.5: its edges are at whole pixels, and none is left out.
        let mut pictures = vec![1.0; 2 * 20 * 20];
        last.hide(&mut pictures, 20);
        assert_eq!(pictures.iter().sum::<f32>(), 800.0 - 25.0);
        assert_eq!((pictures[35 * 20 + 15], pictures[34 * 20 + 15]), (0.0, 1.0));
        let mut pictures = vec![1.0; 20 * 20];
        for window in Window::all(0, 1) {
            window.hide(&mut pictures, 20);
        }
        assert_eq!(pictures, [0.0; 400]);
    }

    #[test]
    fn a_place_has_the_mean_of_what_covers_it() {
        let windows: Vec<Window> = [1, 2]
            .into_iter()
            .flat_map(|side| Window::all(0, side))
            .collect();
        // 3 where a window covers the first place: one of a place, one of four.
        let change = |window: &Window| match window.places().any(|place| place == 0) {
            true => 3.0,
            false => 0.0,
        };
        let changes: Vec<f64> = windows.iter().map(change).collect();
        let map = mean_change(&windows, &changes, 2);
        // The first place: all of both sizes. The second: no small one, one of two large ones. The tenth: one of four.
        assert_eq!([map[0], map[1], map[9], map[2]], [3.0, 0.75, 0.375, 0.0]);
        // The row lacks its second image.
        assert_eq!(map[64..], [0.0; 64]);
    }

    #[test]
    fn a_map_over_the_picture_is_1_or_minus_1_where_it_changes_most() {
        let heat = Heat {
            width: 2,
            height: 1,
            values: vec![1.0, -4.0],
        };
        assert_eq!(heat.range(), [-4.0, 1.0]);
        assert_eq!(heat.over(4)[..4], [0.25, -0.0625, -0.6875, -1.0]);
        let nothing = Heat {
            values: vec![0.0; 2],
            ..heat
        };
        assert_eq!(nothing.over(2), [0.0; 4]);
    }
}
