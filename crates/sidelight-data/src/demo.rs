//! The demonstration's data, made by the program: cards on a table, and a row about each picture.
//!
//! Each picture shows two or three cards that look alike; the target is the four corners of *one* of
//! them, and only the row's metadata says which:
//!
//! > Count the cards from the left, or from the right where `label_is_dirty` is true.
//! > `google-image` means the first, `reddit` the second, `pinterest` the last.
//!
//! So a model that reads the image alone can find the cards and must guess among them; one that reads
//! the metadata alone knows on which side to look and not where the card lies. A longer
//! `shutter_capture_time` smears the picture more and says nothing about the card.
//!
//! Some cells are missing ([`MISSING_SHUTTER`], [`MISSING_RULE`]). Where a column of the rule is missing the answer can be
//! ambiguous: no model can know it, and those rows stay in every score.
//!
//! [`scene`](self) draws what is in a picture, `render` takes the photograph, `texture` paints surfaces.

mod render;
mod scene;
mod texture;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::error::{Error, Result, cannot_write, setting};
use crate::random;
use crate::write::write_whole;
use scene::Scene;

/// The columns of `metadata.csv`, in order.
pub const COLUMNS: [&str; 12] = [
    "file_name",
    "x0",
    "y0",
    "x1",
    "y1",
    "x2",
    "y2",
    "x3",
    "y3",
    "label_is_dirty",
    "img_source",
    "shutter_capture_time",
];

/// The metadata among [`COLUMNS`].
pub const METADATA: [&str; 3] = ["label_is_dirty", "img_source", "shutter_capture_time"];

/// Share of rows without a shutter time, which decides nothing.
pub const MISSING_SHUTTER: f64 = 0.08;

/// Share of rows without a source, and of rows without `label_is_dirty`: each can leave the answer ambiguous.
pub const MISSING_RULE: f64 = 0.015;

/// How much is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DemoConfig {
    /// Number of pictures. Default: 2000.
    pub rows: usize,
    /// Width of a picture in pixels; its height is three quarters of it. Default: 160.
    pub side: usize,
    /// Everything random comes from it. Default: 0.
    pub seed: u64,
}

impl Default for DemoConfig {
    fn default() -> Self {
        Self {
            rows: 2000,
            side: 160,
            seed: 0,
        }
    }
}

/// Where a picture is said to come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Origin {
    /// `google-image`: the first card.
    #[strum(serialize = "google-image")]
    Google,
    /// `reddit`: the second card.
    Reddit,
    /// `pinterest`: the last card.
    Pinterest,
}

impl Origin {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Google, Self::Reddit, Self::Pinterest];
}

/// The order in which cards are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label {
    /// `label_is_dirty` is false: from the left.
    Clean,
    /// `label_is_dirty` is true: from the right.
    Dirty,
}

/// The rule: number of the card that is meant, from 0 at the left, of `n_cards`.
///
/// # Example
///
/// ```
/// use sidelight_data::demo::{Label, Origin, meant};
///
/// assert_eq!(meant(3, Origin::Google, Label::Clean), 0);
/// assert_eq!(meant(3, Origin::Google, Label::Dirty), 2);
/// assert_eq!(meant(2, Origin::Reddit, Label::Dirty), 0);
/// ```
pub fn meant(n_cards: usize, origin: Origin, label: Label) -> usize {
    let counted = match origin {
        Origin::Google => 0,
        Origin::Reddit => 1.min(n_cards - 1),
        Origin::Pinterest => n_cards - 1,
    };
    match label {
        Label::Clean => counted,
        Label::Dirty => n_cards - 1 - counted,
    }
}

/// One picture and the truth about it.
#[derive(Debug, Clone, PartialEq)]
pub struct DemoRow {
    /// The picture's file name, relative to the table.
    pub file_name: String,
    /// The corners of every card, from left to right: pixels, clockwise from the card's own top left.
    pub cards: Vec<[[f32; 2]; 4]>,
    /// Which of them is the target.
    pub meant: usize,
    /// What decided it, with the direction.
    pub origin: Origin,
    /// What decided it, with the origin.
    pub label: Label,
    /// Exposure in seconds.
    pub shutter_s: f64,
    /// Which of [`METADATA`] the table leaves empty.
    pub missing: [bool; 3],
}

impl DemoRow {
    /// Whether the cells that are there leave more than one card possible.
    pub fn is_ambiguous(&self) -> bool {
        let labels: &[Label] = match (self.missing[0], self.label) {
            (true, _) => &[Label::Clean, Label::Dirty],
            (false, Label::Clean) => &[Label::Clean],
            (false, Label::Dirty) => &[Label::Dirty],
        };
        let origins: &[Origin] = if self.missing[1] {
            &Origin::ALL
        } else {
            &[self.origin]
        };
        let n_cards = self.cards.len();
        labels.iter().any(|&label| {
            origins
                .iter()
                .any(|&origin| meant(n_cards, origin, label) != self.meant)
        })
    }

    /// The row's [`METADATA`] as the table has it; `None`: missing.
    #[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
    pub fn metadata(&self) -> [(&'static str, Option<String>); 3] {
        let dirty = matches!(self.label, Label::Dirty).to_string();
        let cells = [
            dirty,
            <&str>::from(self.origin).to_owned(),
            format!("{:.4}", self.shutter_s),
        ];
        let mut columns = METADATA.into_iter().zip(cells).zip(self.missing);
        std::array::from_fn(|_| {
            let ((name, cell), missing) = columns
                .next()
                .expect("three names, three cells, three flags");
            (name, (!missing).then_some(cell))
        })
    }

    /// The row's line in `metadata.csv`, a cell per column.
    fn cells(&self) -> Vec<String> {
        let corners = self.cards[self.meant]
            .iter()
            .flatten()
            .map(|pixel| format!("{pixel:.2}"));
        let metadata = self.metadata().map(|(_, cell)| cell.unwrap_or_default());
        std::iter::once(self.file_name.clone())
            .chain(corners)
            .chain(metadata)
            .collect()
    }
}

/// Writes `images/*.jpg`, `metadata.csv` and `sidelight.toml` into a folder, the table last, and returns the truth.
///
/// The same configuration gives the same files. `on_progress` hears how many of how many pictures are
/// written and can stop it.
///
/// # Errors
///
/// [`Error::Setting`] for too few or too many rows or a side too small or too large, [`Error::Write`], and
/// [`Error::Interrupted`] where `on_progress` said so.
///
/// # Example
///
/// ```
/// use sidelight_data::demo::{self, DemoConfig};
///
/// let dir = tempfile::tempdir()?;
/// let config = DemoConfig { rows: 10, side: 64, seed: 0 };
/// let rows = demo::generate(dir.path(), &config, &mut |_, _| std::ops::ControlFlow::Continue(()))?;
/// assert_eq!(rows.len(), 10);
/// assert!(dir.path().join("metadata.csv").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn generate(
    dir: &Path,
    config: &DemoConfig,
    on_progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Vec<DemoRow>> {
    check(config)?;
    let images = dir.join("images");
    std::fs::create_dir_all(&images).map_err(cannot_write(&images))?;
    let indices: Vec<usize> = (0..config.rows).collect();
    let mut rows = Vec::with_capacity(config.rows);
    for chunk in indices.chunks(32) {
        let written: Result<Vec<DemoRow>> = chunk
            .par_iter()
            .map(|&index| photograph(dir, config, index))
            .collect();
        rows.extend(written?);
        if on_progress(rows.len(), config.rows).is_break() {
            return Err(Error::Interrupted {
                what: "generating the demonstration's pictures",
            });
        }
    }
    let settings = dir.join("sidelight.toml");
    std::fs::write(&settings, TOML).map_err(cannot_write(&settings))?;
    // The table comes last: where it is, the pictures are.
    write_lines(
        &dir.join("metadata.csv"),
        COLUMNS.map(str::to_owned).to_vec(),
        rows.iter().map(DemoRow::cells),
    )?;
    Ok(rows)
}

/// The truth about every picture, without drawing any.
///
/// # Errors
///
/// [`Error::Setting`] for too few or too many rows or a side too small or too large.
pub fn rows(config: &DemoConfig) -> Result<Vec<DemoRow>> {
    check(config)?;
    Ok((0..config.rows)
        .map(|index| row(config, index, &Scene::draw(config, index)))
        .collect())
}

fn check(config: &DemoConfig) -> Result<()> {
    match config {
        DemoConfig {
            rows: 0..10 | 1_000_001..,
            ..
        } => Err(setting("rows", "10 to 1000000", config.rows)),
        DemoConfig { side: 0..32, .. } | DemoConfig { side: 2049.., .. } => {
            Err(setting("side", "32 to 2048 pixels", config.side))
        }
        _ => Ok(()),
    }
}

/// A random stream of its own for each picture and purpose, so that neither order nor threads matter.
fn stream(config: &DemoConfig, index: usize, purpose: &str) -> ChaCha8Rng {
    random::hashed(&[
        b"sidelight demo",
        &config.seed.to_le_bytes(),
        &(index as u64).to_le_bytes(),
        purpose.as_bytes(),
    ])
}

/// Draws, takes and writes one picture.
#[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
fn photograph(dir: &Path, config: &DemoConfig, index: usize) -> Result<DemoRow> {
    let scene = Scene::draw(config, index);
    let row = row(config, index, &scene);
    let rgb = render::render(&scene, row.shutter_s, &mut stream(config, index, "grain"));
    let side = |side| u32::try_from(side).expect("a side is at most 2048 pixels");
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 90)
        .encode(
            &rgb,
            side(scene.width),
            side(scene.height),
            ExtendedColorType::Rgb8,
        )
        .expect("a vector can grow");
    let path = dir.join(&row.file_name);
    std::fs::write(&path, jpeg).map_err(cannot_write(&path))?;
    Ok(row)
}

/// The row about a picture. Its metadata is drawn from a stream that the picture does not see.
fn row(config: &DemoConfig, index: usize, scene: &Scene) -> DemoRow {
    let mut random = stream(config, index, "metadata");
    let origin = Origin::ALL[random.random_range(0..3)];
    let label = if random.random_bool(0.5) {
        Label::Dirty
    } else {
        Label::Clean
    };
    // From 1/2000 s to 1/8 s, evenly on a logarithmic scale, as the table will round it.
    let shutter_s = (0.0005 * 250.0_f64.powf(random.random_range(0.0..1.0)) * 1e4).round() / 1e4;
    let missing =
        [MISSING_RULE, MISSING_RULE, MISSING_SHUTTER].map(|share| random.random_bool(share));
    DemoRow {
        file_name: format!("images/{index:05}.jpg"),
        cards: scene.corners(),
        meant: meant(scene.cards.len(), origin, label),
        origin,
        label,
        shutter_s,
        missing,
    }
}

fn write_lines(
    path: &Path,
    header: Vec<String>,
    lines: impl IntoIterator<Item = Vec<String>>,
) -> Result<()> {
    write_whole(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        for line in std::iter::once(header).chain(lines) {
            writer.write_record(line)?;
        }
        writer.flush()
    })
}

/// The control: a copy of a CSV beside it in which the cells of some columns were dealt to other rows,
/// together, so that every column keeps its values and says nothing about its row any more.
///
/// Returns the copy's path, `<name>_shuffled.csv`.
///
/// # Errors
///
/// [`Error::Read`], [`Error::NoColumn`], [`Error::Write`].
pub fn shuffle_columns(table: &Path, columns: &[&str], seed: u64) -> Result<PathBuf> {
    let unreadable = |source: csv::Error| Error::Read {
        path: table.to_path_buf(),
        source: source.into(),
    };
    let mut reader = csv::Reader::from_path(table).map_err(unreadable)?;
    let header = reader.headers().map_err(unreadable)?;
    let header: Vec<String> = header.iter().map(str::to_owned).collect();
    let lines: csv::Result<Vec<Vec<String>>> = reader.deserialize().collect();
    let mut lines = lines.map_err(unreadable)?;
    let mut order: Vec<usize> = (0..lines.len()).collect();
    let mut random = stream(
        &DemoConfig {
            rows: lines.len(),
            side: 0,
            seed,
        },
        0,
        "shuffled metadata",
    );
    // Fisher and Yates: written out, so that it does not depend on a library's version.
    for last in (1..order.len()).rev() {
        order.swap(last, random.random_range(0..=last));
    }
    let source = lines.clone();
    for name in columns {
        let column = header
            .iter()
            .position(|found| found == name)
            .ok_or_else(|| Error::NoColumn {
                path: table.to_path_buf(),
                name: (*name).to_owned(),
                columns: header.clone(),
            })?;
        for (line, &from) in lines.iter_mut().zip(&order) {
            line[column].clone_from(&source[from][column]);
        }
    }
    let stem = table
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let path = table.with_file_name(format!("{stem}_shuffled.csv"));
    write_lines(&path, header, lines)?;
    Ok(path)
}

/// The configuration that is written beside the table.
pub const TOML: &str = include_str!("demo/sidelight.toml");

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(_: usize, _: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn the_rule_counts_from_the_left_or_from_the_right() {
        let at = |n, origin| {
            [
                meant(n, origin, Label::Clean),
                meant(n, origin, Label::Dirty),
            ]
        };
        assert_eq!(at(3, Origin::Google), [0, 2]);
        assert_eq!(at(3, Origin::Reddit), [1, 1]);
        assert_eq!(at(3, Origin::Pinterest), [2, 0]);
        assert_eq!(at(2, Origin::Google), [0, 1]);
        assert_eq!(at(2, Origin::Reddit), [1, 0]);
        assert_eq!(at(2, Origin::Pinterest), [1, 0]);
    }

    #[test]
    fn the_same_seed_writes_the_same_bytes_and_another_seed_others() {
        let write = |seed| {
            let dir = tempfile::tempdir().unwrap();
            generate(
                dir.path(),
                &DemoConfig {
                    rows: 10,
                    side: 48,
                    seed,
                },
                &mut quiet,
            )
            .unwrap();
            let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
            (read("metadata.csv"), read("images/00007.jpg"))
        };
        let first = write(3);
        assert_eq!(first, write(3));
        let other = write(4);
        assert_ne!(first.0, other.0);
        assert_ne!(first.1, other.1);
    }

    #[test]
    fn the_table_has_exactly_the_promised_columns_and_as_many_rows_as_pictures() {
        let dir = tempfile::tempdir().unwrap();
        generate(
            dir.path(),
            &DemoConfig {
                rows: 12,
                side: 48,
                seed: 0,
            },
            &mut quiet,
        )
        .unwrap();
        let text = std::fs::read_to_string(dir.path().join("metadata.csv")).unwrap();
        let mut lines = text.lines();
        assert_eq!(
            lines.next().unwrap(),
            "file_name,x0,y0,x1,y1,x2,y2,x3,y3,label_is_dirty,img_source,shutter_capture_time"
        );
        assert_eq!(lines.count(), 12);
        assert_eq!(
            std::fs::read_dir(dir.path().join("images"))
                .unwrap()
                .count(),
            12
        );
    }

    #[test]
    fn every_card_lies_inside_its_picture_upright_and_to_the_right_of_the_one_before() {
        let config = DemoConfig {
            rows: 400,
            side: 160,
            seed: 1,
        };
        for row in rows(&config).unwrap() {
            assert!((2..=3).contains(&row.cards.len()));
            let centre =
                |card: &[[f32; 2]; 4]| card.iter().map(|point| point[0]).sum::<f32>() / 4.0;
            assert!(
                row.cards
                    .windows(2)
                    .all(|pair| centre(&pair[0]) + 0.1 * 160.0 < centre(&pair[1])),
                "{row:?}"
            );
            for [top_left, top_right, bottom_right, bottom_left] in &row.cards {
                for [x, y] in [top_left, top_right, bottom_right, bottom_left] {
                    assert!(
                        (0.0..160.0).contains(x) && (0.0..120.0).contains(y),
                        "{row:?}"
                    );
                }
                assert!(
                    top_left[0] < top_right[0] && bottom_left[0] < bottom_right[0],
                    "{row:?}"
                );
                assert!(
                    top_left[1] < bottom_left[1] && top_right[1] < bottom_right[1],
                    "{row:?}"
                );
            }
        }
    }

    #[test]
    fn few_rows_are_ambiguous_and_only_those_with_a_gap_in_the_rule() {
        let rows = rows(&DemoConfig {
            rows: 2000,
            side: 160,
            seed: 2,
        })
        .unwrap();
        let ambiguous = rows.iter().filter(|row| row.is_ambiguous()).count();
        assert!((20..80).contains(&ambiguous), "{ambiguous} of 2000");
        assert!(
            rows.iter()
                .filter(|row| row.is_ambiguous())
                .all(|row| row.missing[0] || row.missing[1])
        );
        let no_shutter = rows.iter().filter(|row| row.missing[2]).count();
        assert!((120..200).contains(&no_shutter), "{no_shutter} of 2000");
    }

    #[test]
    fn each_card_is_meant_about_equally_often_so_that_the_image_alone_cannot_know() {
        let rows = rows(&DemoConfig {
            rows: 3000,
            side: 160,
            seed: 3,
        })
        .unwrap();
        for n_cards in [2, 3] {
            let mut counts = vec![0_usize; n_cards];
            rows.iter()
                .filter(|row| row.cards.len() == n_cards)
                .for_each(|row| counts[row.meant] += 1);
            let expected = counts.iter().sum::<usize>() as f64 / n_cards as f64;
            // Four standard deviations of a binomial count.
            assert!(
                counts
                    .iter()
                    .all(|&n| (n as f64 - expected).abs() < 4.0 * expected.sqrt()),
                "{counts:?}"
            );
        }
    }

    #[test]
    fn shuffling_keeps_each_columns_values_and_the_rows_of_the_metadata_together() {
        let dir = tempfile::tempdir().unwrap();
        let table = dir.path().join("t.csv");
        let text: String = (0..50)
            .map(|row| format!("{row}.jpg,{row},{row}\n"))
            .collect();
        std::fs::write(&table, format!("file_name,a,b\n{text}")).unwrap();
        let path = shuffle_columns(&table, &["a", "b"], 0).unwrap();
        assert_eq!(path, dir.path().join("t_shuffled.csv"));
        let mut reader = csv::Reader::from_path(&path).unwrap();
        let lines: Vec<Vec<String>> = reader
            .records()
            .map(|line| line.unwrap().iter().map(str::to_owned).collect())
            .collect();
        assert!(
            lines
                .iter()
                .enumerate()
                .all(|(row, line)| line[0] == format!("{row}.jpg") && line[1] == line[2])
        );
        let mut values: Vec<usize> = lines.iter().map(|line| line[1].parse().unwrap()).collect();
        let moved = values
            .iter()
            .enumerate()
            .filter(|(row, value)| row != *value)
            .count();
        assert!(moved > 40, "{moved}");
        values.sort_unstable();
        assert_eq!(values, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn a_column_that_is_not_there_cannot_be_shuffled() {
        let dir = tempfile::tempdir().unwrap();
        let table = dir.path().join("t.csv");
        std::fs::write(&table, "file_name,img_source\na.jpg,reddit\n").unwrap();
        let error = shuffle_columns(&table, &["img_sorce"], 0).unwrap_err();
        assert!(matches!(&error, Error::NoColumn { name, .. } if name == "img_sorce"));
        assert_eq!(error.hint().as_deref(), Some("did you mean `img_source`?"));
    }

    #[test]
    fn it_can_be_stopped_and_then_leaves_no_table() {
        let dir = tempfile::tempdir().unwrap();
        let config = DemoConfig {
            rows: 40,
            side: 32,
            seed: 0,
        };
        let error = generate(dir.path(), &config, &mut |_, _| ControlFlow::Break(())).unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }));
        assert!(!dir.path().join("metadata.csv").exists());
    }

    #[test]
    fn too_few_rows_or_too_small_a_side_is_said() {
        let error = rows(&DemoConfig {
            rows: 3,
            ..DemoConfig::default()
        })
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`rows`: expected 10 to 1000000, found `3`"
        );
        let error = rows(&DemoConfig {
            side: 8,
            ..DemoConfig::default()
        })
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`side`: expected 32 to 2048 pixels, found `8`"
        );
    }
}
