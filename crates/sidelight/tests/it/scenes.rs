//! Small data sets made in memory, with a known truth.

use std::io::Cursor;
use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sidelight::config::Config;
use sidelight::dataset::{Dataset, ImageSource, Metadata, MetadataColumn, MetadataValues, Targets};
use sidelight::split::SplitRows;

/// A random stream.
pub(crate) fn stream(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// A PNG of random blocks of colour, 24 pixels a side: every one different, none with a meaning.
pub(crate) fn noise(row: usize, stream: &mut ChaCha8Rng) -> ImageSource {
    let colours: Vec<[u8; 3]> = (0..16)
        .map(|_| std::array::from_fn(|_| stream.next_u32() as u8))
        .collect();
    png(row, |x, y| colours[y / 6 * 4 + x / 6])
}

/// A PNG of 24 × 24 pixels.
pub(crate) fn png(row: usize, colour: impl Fn(usize, usize) -> [u8; 3]) -> ImageSource {
    let image = image::RgbImage::from_fn(24, 24, |x, y| image::Rgb(colour(x as usize, y as usize)));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    ImageSource::Bytes {
        name: format!("{row}.png"),
        bytes: Arc::from(bytes.into_inner()),
    }
}

/// A data set of these images, this metadata and these targets.
pub(crate) fn dataset(
    images: Vec<ImageSource>,
    columns: Vec<(&str, MetadataValues)>,
    targets: Targets,
) -> Dataset {
    let n_rows = images.len();
    let column = |(name, values): (&str, MetadataValues)| MetadataColumn {
        name: name.to_owned(),
        values,
    };
    Dataset {
        path: "memory.csv".into(),
        rows: (0..n_rows).collect(),
        images,
        metadata: Metadata {
            columns: columns.into_iter().map(column).collect(),
            n_rows,
        },
        targets: Some(targets),
        groups: None,
        splits: None,
        folds: None,
        times: None,
        weights: None,
        to_table: None,
        remarks: Vec::new(),
    }
}

/// One of two classes a row.
pub(crate) fn classes(index: impl IntoIterator<Item = bool>) -> Targets {
    Targets::Class {
        names: vec!["no".into(), "yes".into()],
        index: index.into_iter().map(|yes| Some(u32::from(yes))).collect(),
    }
}

/// The first `n_train` rows for training, the others for validation.
pub(crate) fn first(n_train: usize, dataset: &Dataset) -> SplitRows {
    SplitRows {
        train: (0..n_train).collect(),
        valid: (n_train..dataset.len()).collect(),
        test: Vec::new(),
        remarks: Vec::new(),
    }
}

/// A small network on small images, nothing changed at random, and these settings on top.
pub(crate) fn config(target: &str, more: &str) -> Config {
    let text = format!(
        "[data]\ntable = \"memory.csv\"\n[target]\n{target}\n[augment]\nprobability = 0.0\nflip = false\n\
         [train]\nsize = 24\nbatch = 8\nworkers = 1\n{more}"
    );
    toml::from_str(&text).unwrap()
}
