//! Images a second from files to batches: decoded, resized, augmented, normalised.
//!
//! ```text
//! cargo run --release --example input_pipeline -- FOLDER [WORKERS] [SIZE] [REPEATS]
//! ```
//!
//! The first line is the whole way; the second has the decoded squares in memory, as from the second epoch on.
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use sidelight_data::augment::Augment;
use sidelight_data::config::{AugmentConfig, ResizeMethod, TargetKind, TargetScale};
use sidelight_data::dataset::{Dataset, ImageSource, Metadata};
use sidelight_data::encode::Encoder;
use sidelight_data::image::cache::PixelCache;
use sidelight_data::loader::{BatchPlan, Last, Loader, LoaderOptions, Preprocess, Source};
use sidelight_data::task::Task;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("which folder of images?")?);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let (workers, size, repeats) = (number(0)?, number(128)?, number(3)?);

    let mut paths = std::fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    let rows: Vec<usize> = (0..paths.len()).collect();
    let metadata = Metadata {
        columns: Vec::new(),
        n_rows: rows.len(),
    };
    let encoder = Encoder::fit(&metadata, &BTreeMap::new(), &rows)?;
    let source = Source {
        metadata: Arc::new(encoder.encode(&metadata)?.0),
        encoder: Arc::new(encoder),
        dataset: Arc::new(Dataset {
            path: folder,
            rows: rows.clone(),
            images: paths.into_iter().map(ImageSource::Path).collect(),
            metadata,
            targets: None,
            groups: None,
            splits: None,
            folds: None,
            times: None,
            to_table: None,
            remarks: Vec::new(),
        }),
        task: Arc::new(Task::Regression {
            columns: vec!["none".into()],
            scale: TargetScale::Linear,
            mean: vec![0.0],
            sd: vec![1.0],
            range: vec![[0.0, 0.0]],
        }),
        preprocess: Preprocess {
            size,
            resize: ResizeMethod::Squish,
            mean: [0.5; 3],
            sd: [0.25; 3],
            range: None,
        },
        hide: None,
        augment: Some(Augment::new(
            &AugmentConfig::default(),
            TargetKind::Regression,
        )?),
        reads_image: true,
        cache: None,
        seed: 0,
    };
    let measure = |source: &Source, epoch: u64| -> Result<f64, Box<dyn Error>> {
        let plan = BatchPlan::training(&rows, 32, Last::Keep, 0, epoch);
        let started = Instant::now();
        for batch in Loader::new(
            source.clone(),
            plan,
            LoaderOptions {
                workers,
                ..LoaderOptions::default()
            },
        ) {
            batch?;
        }
        Ok(rows.len() as f64 / started.elapsed().as_secs_f64())
    };
    measure(&source, 0)?; // the files come from the disk once
    for epoch in 1..=repeats as u64 {
        println!("decoded {:>9.1} images/s", measure(&source, epoch)?);
    }
    let cached = Source {
        cache: Some(Arc::new(PixelCache::new(1 << 30))),
        ..source
    };
    measure(&cached, 0)?;
    for epoch in 1..=repeats as u64 {
        println!("cached  {:>9.1} images/s", measure(&cached, epoch)?);
    }
    Ok(())
}
