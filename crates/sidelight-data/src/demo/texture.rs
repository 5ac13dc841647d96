//! Surfaces as functions of a place in millimetres: value noise, and wood, felt, stone and paper made of it.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places and colours of a scene that is drawn here: no number is from outside"
)]

/// A colour in linear light, each part in [0, 1].
pub(super) type Colour = [f32; 3];

/// A colour as one writes it, `0xRRGGBB`, in linear light (gamma 2, which has an exact inverse).
pub(super) fn colour(hex: u32) -> Colour {
    [16, 8, 0].map(|shift| (((hex >> shift) & 255) as f32 / 255.0).powi(2))
}

/// From `a` (at 0) to `b` (at 1).
pub(super) fn mix(a: Colour, b: Colour, share: f32) -> Colour {
    std::array::from_fn(|c| a[c] + (b[c] - a[c]) * share)
}

/// A colour made lighter or darker.
pub(super) fn scale(a: Colour, factor: f32) -> Colour {
    a.map(|part| part * factor)
}

/// 0 below `from`, 1 above `to`, a smooth step between.
pub(super) fn smoothstep(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A number in [0, 1) that looks random, the same for the same place and seed.
///
/// # Source
///
/// Wang-style integer mixing with the constants of Chris Wellons' "lowbias32" (2018).
fn hash(x: i32, y: i32, seed: u32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77) ^ seed;
    h = (h ^ (h >> 16)).wrapping_mul(0x7FEB_352D);
    h = (h ^ (h >> 15)).wrapping_mul(0x846C_A68B);
    (h ^ (h >> 16)) as f32 / 4_294_967_296.0
}

/// Value noise in [0, 1]: random at whole numbers, smooth between.
pub(super) fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (x0, y0) = (x.floor(), y.floor());
    let (tx, ty) = (x - x0, y - y0);
    let (sx, sy) = (tx * tx * (3.0 - 2.0 * tx), ty * ty * (3.0 - 2.0 * ty));
    let (i, j) = (x0 as i32, y0 as i32);
    let top = hash(i, j, seed) * (1.0 - sx) + hash(i.wrapping_add(1), j, seed) * sx;
    let bottom = hash(i, j.wrapping_add(1), seed) * (1.0 - sx)
        + hash(i.wrapping_add(1), j.wrapping_add(1), seed) * sx;
    top * (1.0 - sy) + bottom * sy
}

/// Value noise at several scales, each half as wide and half as strong as the one before; in [0, 1].
pub(super) fn cloud(x: f32, y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut total) = (0.0, 1.0, 0.0);
    let (mut x, mut y) = (x, y);
    for octave in 0..octaves {
        sum += weight * noise(x, y, seed.wrapping_add(octave.wrapping_mul(0x9E37)));
        total += weight;
        weight *= 0.5;
        (x, y) = (2.0 * x + 17.3, 2.0 * y + 5.7);
    }
    sum / total
}

/// What the cards lie on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Surface {
    pub(super) kind: SurfaceKind,
    /// The two colours that it is made of.
    pub(super) colours: [Colour; 2],
    /// Direction of grain, radians.
    pub(super) angle: f32,
    pub(super) seed: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SurfaceKind {
    Wood,
    Felt,
    Stone,
    Paper,
}

impl Surface {
    /// The colour at a place in millimetres.
    pub(super) fn at(&self, x: f32, y: f32) -> Colour {
        let (sin, cos) = self.angle.sin_cos();
        let (along, across) = (x * cos + y * sin, y * cos - x * sin);
        let [a, b] = self.colours;
        match self.kind {
            SurfaceKind::Wood => {
                let plank = (across / 95.0).floor();
                let tone = noise(plank * 7.31, 0.5, self.seed);
                let bend = 16.0 * cloud(along / 190.0, across / 60.0, 2, self.seed ^ 1);
                let rings = 0.5 + 0.5 * ((across + bend + plank * 31.0) * 0.55).sin();
                let fibre = cloud(along / 28.0, across / 2.2, 3, self.seed ^ 2);
                let edge = (across / 95.0 - plank - 0.5).abs() * 95.0;
                let groove = 1.0 - 0.6 * smoothstep(46.2, 47.2, edge);
                let share = (0.35 * rings + 0.65 * fibre).clamp(0.0, 1.0);
                scale(mix(a, b, share), groove * (0.75 + 0.5 * tone))
            }
            SurfaceKind::Felt => {
                let nap = cloud(x / 2.5, y / 2.5, 2, self.seed);
                let wear = cloud(x / 120.0, y / 120.0, 3, self.seed ^ 3);
                scale(mix(a, b, wear), 0.78 + 0.44 * nap)
            }
            SurfaceKind::Stone => {
                let fold = 2.2 * cloud(x / 110.0, y / 110.0, 3, self.seed ^ 4);
                let vein =
                    (cloud(along / 90.0 + fold, across / 90.0 + fold, 4, self.seed) - 0.5).abs();
                let speck = cloud(x / 4.0, y / 4.0, 2, self.seed ^ 5);
                scale(mix(b, a, smoothstep(0.0, 0.10, vein)), 0.86 + 0.28 * speck)
            }
            SurfaceKind::Paper => {
                let fleck = cloud(x / 6.0, y / 6.0, 3, self.seed);
                let cast = cloud(x / 260.0, y / 260.0, 2, self.seed ^ 6);
                scale(mix(a, b, cast), 0.94 + 0.12 * fleck)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_smooth_and_stays_in_its_range() {
        for step in 0..2000 {
            let x = step as f32 * 0.037 - 20.0;
            let (here, beside) = (cloud(x, 1.7 * x, 3, 9), cloud(x + 1e-3, 1.7 * x, 3, 9));
            assert!((0.0..=1.0).contains(&here));
            assert!((here - beside).abs() < 0.02);
        }
    }

    #[test]
    fn every_surface_is_a_colour_everywhere() {
        for kind in [
            SurfaceKind::Wood,
            SurfaceKind::Felt,
            SurfaceKind::Stone,
            SurfaceKind::Paper,
        ] {
            let surface = Surface {
                kind,
                colours: [colour(0x80_60_40), colour(0x60_40_20)],
                angle: 0.4,
                seed: 5,
            };
            for step in 0..500 {
                let at = surface.at(step as f32 * 3.1 - 700.0, step as f32 * -1.3);
                assert!(
                    at.iter().all(|part| (0.0..1.5).contains(part)),
                    "{kind:?}: {at:?}"
                );
            }
        }
    }
}
