//! Takes the photograph of a scene: every sample is a place on the table, seen through a lens.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places and colours of a scene that is drawn here: no number is from outside"
)]

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::scene::{Art, Card, Coin, Deck, HALF, Scene};
use super::texture::{Colour, cloud, mix, noise, scale, smoothstep};

/// Where in a pixel the scene is sampled: no two on a row or column, so that an almost level edge has five
/// shades and not three (rotated-grid supersampling).
const SAMPLES: [[f32; 2]; 4] = [
    [0.375, 0.125],
    [0.875, 0.375],
    [0.125, 0.625],
    [0.625, 0.875],
];

/// The picture: `[height][width][3]`, 8-bit sRGB-like (gamma 2).
pub(super) fn render(scene: &Scene, shutter_s: f64, random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut light = expose(scene);
    let unit = scene.width as f32 / 160.0;
    // A hand moves about 0.6 picture widths a second; an eighth of a second smears twelve pixels of 160.
    let smear = (0.6 * shutter_s as f32 * scene.lens.unsteady * scene.width as f32).min(9.0 * unit);
    light = blur_along(&light, scene, scene.lens.motion, Kernel::Even(smear));
    for direction in [0.0, std::f32::consts::FRAC_PI_2] {
        light = blur_along(
            &light,
            scene,
            direction,
            Kernel::Bell(scene.lens.defocus * unit),
        );
    }
    // The shorter the exposure, the fewer photons: the grain grows as its square root shrinks.
    let grain = (0.0006 / shutter_s.sqrt() as f32).clamp(0.003, 0.022);
    develop(scene, &light, grain, random)
}

/// Linear light of each pixel, before the lens.
fn expose(scene: &Scene) -> Vec<Colour> {
    let mut light = Vec::with_capacity(scene.width * scene.height);
    for row in 0..scene.height {
        for column in 0..scene.width {
            let mut sum = [0.0; 3];
            for [x, y] in SAMPLES {
                let seen = look(
                    scene,
                    scene.camera.place([column as f32 + x, row as f32 + y]),
                );
                sum = std::array::from_fn(|c| sum[c] + 0.25 * seen[c]);
            }
            light.push(sum);
        }
    }
    light
}

/// What is at a place on the table, lit.
fn look(scene: &Scene, place: [f32; 2]) -> Colour {
    let [x, y] = place;
    let light = &scene.light;
    let brightness = light.exposure
        * (1.0 + 0.01 * (light.slope[0] * (x - 80.0) + light.slope[1] * y)).clamp(0.4, 1.6);
    let card = scene.cards.iter().find_map(|card| {
        let local = card.local(place);
        (outside(local, 3.0) < 0.0).then(|| face(local, &card.art, &scene.deck))
    });
    let coin = || scene.coins.iter().find_map(|coin| metal(coin, place));
    let seen = card
        .or_else(coin)
        .unwrap_or_else(|| scale(scene.surface.at(x, y), shade(scene, place)));
    std::array::from_fn(|c| seen[c] * brightness * light.cast[c])
}

/// Millimetres outside a card's rounded outline; below 0: on the card.
///
/// # Source
///
/// The distance to a rounded box, Inigo Quilez, "2D distance functions".
fn outside([x, y]: [f32; 2], radius: f32) -> f32 {
    let (dx, dy) = (x.abs() - HALF[0] + radius, y.abs() - HALF[1] + radius);
    dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - radius
}

/// What the shadows leave of the light, in [0, 1].
fn shade(scene: &Scene, [x, y]: [f32; 2]) -> f32 {
    let light = &scene.light;
    let from = [x - light.shadow[0], y - light.shadow[1]];
    let dark = |distance: f32, softness: f32| 1.0 - smoothstep(-softness, softness, distance);
    let card = |card: &Card| {
        // A wide shadow of the light, and a narrow one where the card meets the table.
        let cast = light.depth * dark(outside(card.local(from), 3.0), light.softness);
        let contact = 0.5 * light.depth * dark(outside(card.local([x, y]), 3.0), 2.0);
        cast.max(contact)
    };
    let coin = |coin: &Coin| {
        let distance = (from[0] - coin.centre[0]).hypot(from[1] - coin.centre[1]) - coin.radius;
        light.depth * dark(distance, 0.6 * light.softness)
    };
    let darkest = scene
        .cards
        .iter()
        .map(card)
        .chain(scene.coins.iter().map(coin))
        .fold(0.0, f32::max);
    1.0 - darkest
}

/// A coin's colour where it covers the place: a rim, a relief, a gleam.
fn metal(coin: &Coin, [x, y]: [f32; 2]) -> Option<Colour> {
    let (dx, dy) = (
        (x - coin.centre[0]) / coin.radius,
        (y - coin.centre[1]) / coin.radius,
    );
    let radius = dx.hypot(dy);
    (radius < 1.0).then(|| {
        let rim = smoothstep(0.80, 0.86, radius) * (1.0 - smoothstep(0.94, 1.0, radius));
        let relief = noise(6.0 * dx + 9.0, 6.0 * dy, coin.radius.to_bits());
        scale(
            coin.metal,
            0.55 + 0.35 * rim + 0.25 * relief - 0.3 * (dx + dy),
        )
    })
}

/// A card's face at a place in its own millimetres: border, title, picture, text.
fn face([x, y]: [f32; 2], art: &Art, deck: &Deck) -> Colour {
    let inside = |left: f32, top: f32, right: f32, bottom: f32| {
        x > left && x < right && y > top && y < bottom
    };
    if !inside(-28.0, -40.5, 28.0, 40.5) {
        return deck.border;
    }
    if inside(-25.0, -30.0, 25.0, 8.0) {
        return picture([x / 25.0, (y + 11.0) / 19.0], art);
    }
    if inside(-25.5, -30.5, 25.5, 8.5) {
        return deck.ink;
    }
    // The emblem stands in the top left: it is what makes that corner the card's own top left.
    if (x + 22.5).hypot(y + 35.2) < 2.8 {
        return art.ground;
    }
    let title = inside(-17.0, -37.0, 4.0 + 9.0 * noise(0.3, 0.7, art.seed), -33.6);
    let line = ((y - 12.5) / 5.2).floor();
    let is_text = y > 12.5 && line < 5.0 && y - 12.5 - 5.2 * line < 2.0;
    let text = is_text && x > -24.0 && x < 24.0 - 22.0 * noise(line * 3.1, 0.2, art.seed).powi(2);
    match (title, text) {
        (true, _) => deck.ink,
        (_, true) => mix(deck.face, deck.ink, 0.6),
        _ => deck.face,
    }
}

/// The landscape on a card: sky, sun, two ranges of hills. Both coordinates in [-1, 1].
fn picture([x, y]: [f32; 2], art: &Art) -> Colour {
    let far = 0.25 - 0.7 * cloud(1.6 * x + 8.0, 0.5, 3, art.seed);
    let near = 0.75 - 0.8 * cloud(1.1 * x + 3.0, 4.5, 3, art.seed ^ 7);
    if y > near {
        return scale(art.ground, 0.75 + 0.4 * (1.0 - y));
    }
    if y > far + 0.15 {
        return mix(art.ground, art.sky, 0.45);
    }
    let sun = (x - art.sun_at[0]).hypot(0.76 * (y - art.sun_at[1]));
    let glow = mix(scale(art.sky, 0.7), art.sky, 0.5 + 0.5 * y);
    mix(
        art.sun,
        glow,
        smoothstep(0.16, 0.22, sun) * (0.55 + 0.45 * smoothstep(0.2, 0.9, sun)),
    )
}

/// How a blur weighs what it passes over.
#[derive(Debug, Clone, Copy)]
enum Kernel {
    /// All alike over so many pixels: a movement.
    Even(f32),
    /// A normal curve with this standard deviation in pixels: out of focus.
    Bell(f32),
}

/// Blurs along one direction; what lies outside the picture is its nearest pixel.
fn blur_along(light: &[Colour], scene: &Scene, direction: f32, kernel: Kernel) -> Vec<Colour> {
    let reach = match kernel {
        Kernel::Even(length) => 0.5 * length,
        Kernel::Bell(sigma) => 3.0 * sigma,
    };
    // Taps half a pixel apart lose nothing that a pixel can hold.
    let n_taps = (4.0 * reach).ceil() as usize | 1;
    if n_taps == 1 {
        return light.to_vec();
    }
    let (sin, cos) = direction.sin_cos();
    let taps: Vec<(f32, f32, f32)> = (0..n_taps)
        .map(|tap| {
            let at = reach * (2.0 * tap as f32 / (n_taps - 1) as f32 - 1.0);
            let weight = match kernel {
                Kernel::Even(_) => 1.0,
                Kernel::Bell(sigma) => (-0.5 * (at / sigma).powi(2)).exp(),
            };
            (at * cos, at * sin, weight)
        })
        .collect();
    let total: f32 = taps.iter().map(|tap| tap.2).sum();
    let mut blurred = Vec::with_capacity(light.len());
    for row in 0..scene.height {
        for column in 0..scene.width {
            let mut sum = [0.0; 3];
            for &(dx, dy, weight) in &taps {
                let seen = between(light, scene, column as f32 + dx, row as f32 + dy);
                sum = std::array::from_fn(|c| sum[c] + weight / total * seen[c]);
            }
            blurred.push(sum);
        }
    }
    blurred
}

/// The light between pixel centres, linear in both directions.
fn between(light: &[Colour], scene: &Scene, x: f32, y: f32) -> Colour {
    let x = x.clamp(0.0, (scene.width - 1) as f32);
    let y = y.clamp(0.0, (scene.height - 1) as f32);
    let (left, top) = (x as usize, y as usize);
    let (right, bottom) = (
        (left + 1).min(scene.width - 1),
        (top + 1).min(scene.height - 1),
    );
    let at = |row: usize, column: usize| light[row * scene.width + column];
    let (tx, ty) = (x - left as f32, y - top as f32);
    mix(
        mix(at(top, left), at(top, right), tx),
        mix(at(bottom, left), at(bottom, right), tx),
        ty,
    )
}

/// Darkened corners, a shoulder instead of clipping, grain, and 8 bits.
fn develop(scene: &Scene, light: &[Colour], grain: f32, random: &mut ChaCha8Rng) -> Vec<u8> {
    let (half_width, half_height) = (scene.width as f32 / 2.0, scene.height as f32 / 2.0);
    let mut rgb = Vec::with_capacity(light.len() * 3);
    for (pixel, seen) in light.iter().enumerate() {
        let x = ((pixel % scene.width) as f32 + 0.5) / half_width - 1.0;
        let y = ((pixel / scene.width) as f32 + 0.5) / half_height - 1.0;
        let corner = 1.0 - scene.lens.vignette * 0.5 * (x * x + y * y);
        for part in seen {
            let bright = part * corner;
            // Below 0.7 as it is; above, it approaches 1 and never reaches it.
            let shown = if bright < 0.7 {
                bright
            } else {
                1.0 - 0.3 * (-(bright - 0.7) / 0.3).exp()
            };
            // The sum of four uniform numbers is near enough to a normal one; its deviation is 1/√3.
            let noise: f32 = (0..4)
                .map(|_| random.random_range(-0.5..0.5_f32))
                .sum::<f32>()
                * 1.732;
            rgb.push(
                ((shown.max(0.0).sqrt() + grain * noise) * 255.0 + 0.5).clamp(0.0, 255.0) as u8,
            );
        }
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::super::{DemoConfig, stream};
    use super::*;

    fn photograph(index: usize, shutter_s: f64) -> Vec<u8> {
        let config = DemoConfig {
            rows: 10,
            side: 96,
            seed: 0,
        };
        render(
            &Scene::draw(&config, index),
            shutter_s,
            &mut stream(&config, index, "grain"),
        )
    }

    /// Mean absolute difference between horizontal neighbours: how much detail there is.
    fn detail(rgb: &[u8]) -> f64 {
        let sum: f64 = rgb
            .windows(4)
            .map(|near| f64::from(near[0].abs_diff(near[3])))
            .sum();
        sum / rgb.len() as f64
    }

    #[test]
    fn a_longer_exposure_is_more_blurred() {
        for index in 0..5 {
            assert!(detail(&photograph(index, 0.1)) < 0.8 * detail(&photograph(index, 0.002)));
        }
    }

    #[test]
    fn a_photograph_is_neither_black_nor_burnt_out() {
        for index in 0..20 {
            let rgb = photograph(index, 0.01);
            let mean = rgb.iter().map(|&part| f64::from(part)).sum::<f64>() / rgb.len() as f64;
            assert!((40.0..215.0).contains(&mean), "picture {index}: {mean}");
            let burnt = rgb.iter().filter(|&&part| part >= 254).count();
            assert!(
                burnt * 20 < rgb.len(),
                "picture {index}: {burnt} of {}",
                rgb.len()
            );
        }
    }

    #[test]
    fn the_outline_of_a_card_is_where_its_corners_say() {
        // The middle of each edge is on the outline: just inside is card, just outside is table.
        assert!(
            outside([HALF[0] - 0.1, 0.0], 3.0) < 0.0 && outside([HALF[0] + 0.1, 0.0], 3.0) > 0.0
        );
        assert!(
            outside([0.0, -HALF[1] + 0.1], 3.0) < 0.0 && outside([0.0, -HALF[1] - 0.1], 3.0) > 0.0
        );
        // A corner is rounded off.
        assert!(outside([HALF[0] - 0.1, HALF[1] - 0.1], 3.0) > 0.0);
    }
}
