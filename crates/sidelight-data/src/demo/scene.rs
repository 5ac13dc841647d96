//! What is in a picture: cards and coins on a table, a light, a camera that looks at them.
//!
//! Everything lies in millimetres on the table's plane (x right, y towards the viewer).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::texture::{Colour, Surface, SurfaceKind, colour, mix};
use super::{DemoConfig, stream};

/// Half the width and half the height of a playing card, millimetres.
pub(super) const HALF: [f32; 2] = [31.5, 44.0];

/// A picture before it is taken.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) camera: Camera,
    pub(super) surface: Surface,
    /// From left to right.
    pub(super) cards: Vec<Card>,
    pub(super) coins: Vec<Coin>,
    pub(super) deck: Deck,
    pub(super) light: Light,
    pub(super) lens: Lens,
}

/// A card's place on the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Card {
    pub(super) centre: [f32; 2],
    /// Radians, clockwise.
    pub(super) angle: f32,
    /// Which picture it bears.
    pub(super) art: Art,
}

/// The picture on a card.
#[derive(Debug, Clone, Copy)]
pub(super) struct Art {
    pub(super) sky: Colour,
    pub(super) ground: Colour,
    pub(super) sun: Colour,
    /// The sun's place in the picture, each in [-1, 1].
    pub(super) sun_at: [f32; 2],
    pub(super) seed: u32,
}

/// A coin: something else to look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coin {
    pub(super) centre: [f32; 2],
    /// Millimetres.
    pub(super) radius: f32,
    pub(super) metal: Colour,
}

/// What all cards of a picture share, so that none of them stands out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deck {
    pub(super) border: Colour,
    pub(super) face: Colour,
    pub(super) ink: Colour,
}

/// Where the light comes from and how bright it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Light {
    /// Where a shadow falls, millimetres from what casts it.
    pub(super) shadow: [f32; 2],
    /// Width of a shadow's edge, millimetres.
    pub(super) softness: f32,
    /// In [0, 1].
    pub(super) depth: f32,
    /// Change of brightness over 100 mm in x and in y.
    pub(super) slope: [f32; 2],
    /// The light's colour; 1 is neutral.
    pub(super) cast: Colour,
    pub(super) exposure: f32,
}

/// What the camera adds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lens {
    /// Standard deviation of the defocus, in pixels of a 160-pixel picture.
    pub(super) defocus: f32,
    /// Direction that the hand moves in, radians.
    pub(super) motion: f32,
    /// How unsteady the hand is; 1 is usual.
    pub(super) unsteady: f32,
    /// Darkening in the corners, in [0, 1].
    pub(super) vignette: f32,
}

/// From millimetres on the table to pixels: `pixel ~ matrix · (x, y, 1)`, and back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Camera {
    matrix: [[f32; 3]; 3],
    inverse: [[f32; 3]; 3],
}

impl Camera {
    fn new(matrix: [[f32; 3]; 3]) -> Self {
        Self {
            matrix,
            inverse: invert(matrix),
        }
    }

    /// Where a place on the table is in the picture.
    pub(super) fn pixel(&self, place: [f32; 2]) -> [f32; 2] {
        project(&self.matrix, place)
    }

    /// What place on the table a pixel shows.
    pub(super) fn place(&self, pixel: [f32; 2]) -> [f32; 2] {
        project(&self.inverse, pixel)
    }
}

fn project(m: &[[f32; 3]; 3], [x, y]: [f32; 2]) -> [f32; 2] {
    let [u, v, w] = m.map(|row| row[0] * x + row[1] * y + row[2]);
    [u / w, v / w]
}

/// The inverse of a 3 × 3 matrix up to a factor, which a projection does not see: its adjugate.
fn invert(m: [[f32; 3]; 3]) -> [[f32; 3]; 3] {
    let minor = |r: usize, c: usize| {
        let (r0, r1, c0, c1) = ((r + 1) % 3, (r + 2) % 3, (c + 1) % 3, (c + 2) % 3);
        m[r0][c0] * m[r1][c1] - m[r0][c1] * m[r1][c0]
    };
    std::array::from_fn(|r| std::array::from_fn(|c| minor(c, r)))
}

impl Card {
    /// The corners on the table, clockwise from the card's own top left.
    fn corners(&self) -> [[f32; 2]; 4] {
        let [w, h] = HALF;
        [[-w, -h], [w, -h], [w, h], [-w, h]].map(|[x, y]| {
            let (sin, cos) = self.angle.sin_cos();
            [
                self.centre[0] + x * cos - y * sin,
                self.centre[1] + x * sin + y * cos,
            ]
        })
    }

    /// A place on the table in the card's own millimetres, from its centre.
    pub(super) fn local(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (sin, cos) = self.angle.sin_cos();
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        [dx * cos + dy * sin, dy * cos - dx * sin]
    }
}

impl Scene {
    /// Draws the picture of this index. Nothing in it depends on the row's metadata.
    pub(super) fn draw(config: &DemoConfig, index: usize) -> Self {
        let random = &mut stream(config, index, "scene");
        let (width, height) = (config.side, config.side * 3 / 4);
        let cards = deal(random);
        let camera = aim(random, &cards, [width as f32, height as f32]);
        let coins = scatter(random, &cards);
        Self {
            width,
            height,
            camera,
            surface: surface(random),
            cards,
            coins,
            deck: deck(random),
            light: light(random),
            lens: Lens {
                defocus: random.random_range(0.15..0.75),
                motion: random.random_range(0.0..std::f32::consts::PI),
                unsteady: random.random_range(0.5..1.5),
                vignette: random.random_range(0.05..0.35),
            },
        }
    }

    /// Every card's corners in pixels.
    pub(super) fn corners(&self) -> Vec<[[f32; 2]; 4]> {
        self.cards
            .iter()
            .map(|card| card.corners().map(|corner| self.camera.pixel(corner)))
            .collect()
    }
}

/// Two or three cards in a loose row, far enough apart not to touch.
fn deal(random: &mut ChaCha8Rng) -> Vec<Card> {
    let n_cards = random.random_range(2..=3);
    let turned = random.random_range(-0.12..0.12_f32);
    let mut x = 0.0;
    (0..n_cards)
        .map(|_| {
            let card = Card {
                centre: [x, random.random_range(-24.0..24.0)],
                angle: turned + random.random_range(-0.22..0.22),
                art: art(random),
            };
            x += random.random_range(84.0..108.0)
                + if n_cards == 2 {
                    random.random_range(0.0..45.0)
                } else {
                    0.0
                };
            card
        })
        .collect()
}

fn art(random: &mut ChaCha8Rng) -> Art {
    let skies = [0x7fb8d8, 0xf0b070, 0x46568c, 0xa8d0b0, 0xd89090, 0x8c78b8];
    let grounds = [0x2f5a3c, 0x6a4a30, 0x304058, 0x7a2f38, 0x506228, 0x3c3050];
    let suns = [0xfff0c0, 0xffd060, 0xf8f8ff, 0xffa060];
    let mut pick = |from: &[u32]| colour(from[random.random_range(0..from.len())]);
    let (sky, ground, sun) = (pick(&skies), pick(&grounds), pick(&suns));
    Art {
        sky,
        ground,
        sun,
        sun_at: [
            random.random_range(-0.6..0.6),
            random.random_range(-0.7..-0.1),
        ],
        seed: random.random(),
    }
}

fn deck(random: &mut ChaCha8Rng) -> Deck {
    let borders = [0xf4efe4, 0x1c1c20, 0xd8b450, 0x243860, 0x8a242c, 0xe4e8ee];
    let faces = [0xe8dcc0, 0xdce4e8, 0xece4d8, 0xd8d4cc];
    Deck {
        border: colour(borders[random.random_range(0..borders.len())]),
        face: colour(faces[random.random_range(0..faces.len())]),
        ink: colour(0x282428),
    }
}

fn surface(random: &mut ChaCha8Rng) -> Surface {
    let (kind, palettes): (_, &[[u32; 2]]) = match random.random_range(0..10) {
        0..4 => (
            SurfaceKind::Wood,
            &[
                [0x6e462a, 0xa87448],
                [0x4a3020, 0x704c34],
                [0xa88864, 0xc8a880],
            ],
        ),
        4..6 => (
            SurfaceKind::Felt,
            &[
                [0x245c3c, 0x2c6e48],
                [0x2c4070, 0x385084],
                [0x6c2830, 0x80343c],
            ],
        ),
        6..8 => (
            SurfaceKind::Stone,
            &[
                [0xb8b4ac, 0x706c68],
                [0x4c5054, 0x909498],
                [0xc8bca8, 0x98846c],
            ],
        ),
        _ => (
            SurfaceKind::Paper,
            &[
                [0xc4c0b8, 0xa8a4a0],
                [0x8898a8, 0x708094],
                [0xd0b898, 0xb8a080],
            ],
        ),
    };
    let [a, b] = palettes[random.random_range(0..palettes.len())];
    Surface {
        kind,
        colours: [colour(a), colour(b)],
        angle: random.random_range(-0.6..0.6),
        seed: random.random(),
    }
}

fn light(random: &mut ChaCha8Rng) -> Light {
    let towards = random.random_range(0.0..std::f32::consts::TAU);
    let length = random.random_range(2.0..6.0);
    let warm = random.random_range(-1.0..1.0_f32);
    Light {
        shadow: [length * towards.cos(), length * towards.sin()],
        softness: random.random_range(3.0..9.0),
        depth: random.random_range(0.45..0.75),
        slope: [
            random.random_range(-0.14..0.14),
            random.random_range(-0.14..0.14),
        ],
        cast: [
            1.0 + 0.12 * warm,
            1.0 + random.random_range(-0.03..0.03),
            1.0 - 0.16 * warm,
        ],
        exposure: random.random_range(0.75..1.2),
    }
}

/// Up to two coins where there is no card.
fn scatter(random: &mut ChaCha8Rng, cards: &[Card]) -> Vec<Coin> {
    let last = cards.last().map_or(0.0, |card| card.centre[0]);
    let tried = random.random_range(0..=4);
    let mut coins: Vec<Coin> = Vec::new();
    for _ in 0..tried {
        let coin = Coin {
            centre: [
                random.random_range(-45.0..last + 45.0),
                random.random_range(-105.0..105.0),
            ],
            radius: random.random_range(8.0..13.0),
            metal: mix(
                colour(0xb0b0b4),
                colour(0xc88c4c),
                random.random_range(0.0..1.0),
            ),
        };
        let is_free = cards.iter().all(|card| {
            let [x, y] = card.local(coin.centre);
            x.abs() > HALF[0] + 18.0 || y.abs() > HALF[1] + 18.0
        });
        let is_apart = coins.iter().all(|other| {
            let (dx, dy) = (
                coin.centre[0] - other.centre[0],
                coin.centre[1] - other.centre[1],
            );
            dx.hypot(dy) > coin.radius + other.radius + 4.0
        });
        if is_free && is_apart && coins.len() < 2 {
            coins.push(coin);
        }
    }
    coins
}

/// A camera above the table, tilted and held not quite straight, so near that the cards fill a drawn
/// share of the picture, and so aimed that they lie anywhere in it but never outside.
fn aim(random: &mut ChaCha8Rng, cards: &[Card], [width, height]: [f32; 2]) -> Camera {
    let pitch: f32 = random.random_range(0.0..0.6);
    let roll: f32 = random.random_range(-0.06..0.06);
    let mut share = match cards.len() {
        2 => random.random_range(0.5..0.78),
        _ => random.random_range(0.68..0.92),
    };
    let (sum_x, sum_y) = cards.iter().fold((0.0, 0.0), |sum, card| {
        (sum.0 + card.centre[0], sum.1 + card.centre[1])
    });
    let middle = [sum_x / cards.len() as f32, sum_y / cards.len() as f32];
    let span = cards.last().map_or(0.0, |card| card.centre[0]) + 2.0 * HALF[0];
    let place = [
        random.random_range(0.0..1.0_f32),
        random.random_range(0.0..1.0_f32),
    ];
    let margin = 0.03 * width;
    loop {
        let focal = 1.15 * width;
        let distance = focal * span / (share * width);
        let view = view(pitch, roll, middle, distance, focal);
        let corners: Vec<[f32; 2]> = cards
            .iter()
            .flat_map(Card::corners)
            .map(|corner| project(&view, corner))
            .collect();
        let bounds = |axis: usize| {
            let along = corners.iter().map(|corner| corner[axis]);
            (
                along.clone().fold(f32::INFINITY, f32::min),
                along.fold(f32::NEG_INFINITY, f32::max),
            )
        };
        let free = [(bounds(0), width), (bounds(1), height)]
            .map(|((low, high), side)| side - 2.0 * margin - (high - low));
        if free[0] >= 0.0 && free[1] >= 0.0 {
            // Moving the principal point is taking a crop of a larger photograph.
            let shift = [
                margin + place[0] * free[0] - bounds(0).0,
                margin + place[1] * free[1] - bounds(1).0,
            ];
            let moved = std::array::from_fn(|r| {
                std::array::from_fn(|c| match r {
                    2 => view[2][c],
                    _ => view[r][c] + shift[r] * view[2][c],
                })
            });
            return Camera::new(moved);
        }
        share *= 0.96;
    }
}

/// The projection of a pinhole camera at `distance` from `middle`, tilted by `pitch`, turned by `roll`.
fn view(pitch: f32, roll: f32, middle: [f32; 2], distance: f32, focal: f32) -> [[f32; 3]; 3] {
    let (sin_p, cos_p) = pitch.sin_cos();
    let (sin_r, cos_r) = roll.sin_cos();
    // Camera coordinates of (x, y, 1) relative to `middle`: right, down, away.
    let right = [1.0, 0.0, -middle[0]];
    let down = [0.0, cos_p, -cos_p * middle[1]];
    let away = [0.0, -sin_p, distance + sin_p * middle[1]];
    let turned_right = std::array::from_fn(|c| focal * (cos_r * right[c] - sin_r * down[c]));
    let turned_down = std::array::from_fn(|c| focal * (sin_r * right[c] + cos_r * down[c]));
    [turned_right, turned_down, away]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_shows_the_place_that_is_projected_onto_it() {
        for index in 0..50 {
            let scene = Scene::draw(&DemoConfig::default(), index);
            for place in [[0.0, 0.0], [120.0, -30.0], [-20.0, 55.0]] {
                let there = scene.camera.pixel(place);
                let back = scene.camera.place(there);
                assert!(
                    (back[0] - place[0]).abs() < 0.05 && (back[1] - place[1]).abs() < 0.05,
                    "{place:?} {back:?}"
                );
            }
        }
    }

    #[test]
    fn a_cards_own_coordinates_put_its_corners_at_half_its_size() {
        let scene = Scene::draw(&DemoConfig::default(), 1);
        for card in &scene.cards {
            let [top_left, ..] = card.corners();
            let [x, y] = card.local(top_left);
            assert!((x + HALF[0]).abs() < 1e-3 && (y + HALF[1]).abs() < 1e-3);
        }
    }
}
