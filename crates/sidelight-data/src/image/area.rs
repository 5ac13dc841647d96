//! A part of an image: the box about one of several objects.

use std::fmt;

use super::{Affine, Picture};
use crate::error::{Error, Result};

/// A part of an image in whole pixels of the image as stored, at least one wide and high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Area {
    /// Pixels to the left of it.
    pub left: u32,
    /// Pixels above it.
    pub top: u32,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
}

impl Area {
    /// The whole pixels that a box touches, what lies left of the image or above it cut off. `None`: nothing is left, or no
    /// image is as large.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within [0, 2³¹], as was looked at before"
    )]
    pub fn of_box([x, y, width, height]: [f64; 4]) -> Option<Self> {
        const MOST: f64 = (1u32 << 31) as f64;
        let line = |start: f64, length: f64| {
            let (from, to) = (start.max(0.0).floor(), (start + length).ceil());
            let is_sound = length > 0.0 && to >= from + 1.0 && to <= MOST;
            is_sound.then_some((from as u32, (to - from) as u32))
        };
        let ((left, width), (top, height)) = (line(x, width)?, line(y, height)?);
        Some(Self {
            left,
            top,
            width,
            height,
        })
    }

    /// Left, top, width and height of it in the picture of these sides that `from_stored` makes of the image; `None`: it lies
    /// outside.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the picture"
    )]
    fn within(&self, from_stored: &Affine, sides: [usize; 2]) -> Option<[usize; 4]> {
        let [left, top] = [self.left, self.top].map(|at| at as f32);
        let [right, bottom] = [left + self.width as f32, top + self.height as f32];
        let corners = [[left, top], [right, bottom]].map(|corner| from_stored.apply(corner));
        let line = |axis: usize, side: usize| {
            let [a, b] = corners.map(|corner| if axis == 0 { corner[0] } else { corner[1] });
            let from = a.min(b).round().clamp(0.0, side as f32) as usize;
            let to = a.max(b).round().clamp(0.0, side as f32) as usize;
            (to > from).then_some((from, to - from))
        };
        let [width, height] = sides;
        let ((left, width), (top, height)) = (line(0, width)?, line(1, height)?);
        Some([left, top, width, height])
    }

    /// As [`Area::within`], with the map from pixels of the image as stored to those of the part.
    ///
    /// # Errors
    ///
    /// [`Error::ImageArea`]: it lies outside the image of this name.
    pub(crate) fn place(
        &self,
        name: &str,
        from_stored: &Affine,
        sides: [usize; 2],
    ) -> Result<([usize; 4], Affine)> {
        let (within, [width, height]) = (self.within(from_stored, sides), sides);
        let place @ [left, top, ..] = within.ok_or_else(|| Error::ImageArea {
            name: name.into(),
            area: self.to_string(),
            width,
            height,
        })?;
        let moved = Affine::translation(-(left as f32), -(top as f32));
        Ok((place, from_stored.then(&moved)))
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            left,
            top,
            width,
            height,
        } = self;
        write!(f, "{width} × {height} at ({left}, {top})")
    }
}

impl Picture {
    /// This part of it alone.
    pub(crate) fn cropped(&self, name: &str, area: Area) -> Result<Self> {
        let sides = [self.width, self.height];
        let (place, from_stored) = area.place(name, &self.from_stored, sides)?;
        let [_, _, width, height] = place;
        fn part<T: Copy>(
            pixels: &[T],
            stride: usize,
            [left, top, width, height]: [usize; 4],
        ) -> Vec<T> {
            let lines = pixels.chunks_exact(3 * stride).skip(top).take(height);
            let of_line = |line: &[T]| {
                let pixels = line.iter().skip(3 * left).take(3 * width);
                pixels.copied().collect::<Vec<T>>()
            };
            lines.flat_map(of_line).collect()
        }
        let further = self.further.iter();
        Ok(Self {
            width,
            height,
            rgb: part(&self.rgb, self.width, place),
            deep: self.deep.as_ref().map(|deep| part(deep, self.width, place)),
            further: further
                .map(|three| three.cropped(name, area))
                .collect::<Result<_>>()?,
            from_stored,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_becomes_the_pixels_that_it_touches_and_points_keep_their_places() {
        let area = Area::of_box([1.5, -2.0, 2.0, 4.5]).unwrap();
        assert_eq!(area.to_string(), "3 × 3 at (1, 0)");
        assert_eq!(Area::of_box([0.0, 0.0, 0.0, 5.0]), None);
        assert_eq!(Area::of_box([-9.0, 0.0, 5.0, 5.0]), None);
        assert_eq!(Area::of_box([f64::NAN, 0.0, 5.0, 5.0]), None);
        let picture = Picture {
            width: 5,
            height: 4,
            rgb: (0..60).collect(),
            deep: None,
            further: Vec::new(),
            from_stored: Affine::IDENTITY,
        };
        let part = picture.cropped("a", area).unwrap();
        assert_eq!((part.width, part.height), (3, 3));
        assert_eq!(part.rgb[..9], picture.rgb[3..12]);
        assert_eq!(part.rgb[9..12], picture.rgb[18..21]);
        assert_eq!(part.from_stored.apply([2.0, 1.0]), [1.0, 1.0]);
        // Of a picture that was turned by a quarter, the same pixels.
        let turned = Affine([0.0, -1.0, 4.0, 1.0, 0.0, 0.0]);
        assert_eq!(area.within(&turned, [4, 5]), Some([1, 1, 3, 3]));
        let far = Area::of_box([9.0, 0.0, 5.0, 5.0]).unwrap();
        let error = picture.cropped("a", far).unwrap_err().to_string();
        assert_eq!(
            error,
            "a: its part of 5 × 5 at (9, 0) lies outside its 5 × 4 pixels"
        );
    }
}
