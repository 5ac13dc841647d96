//! Arguments that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How the table on stdout is printed.
#[derive(Debug, Args)]
pub(crate) struct Printed {
    /// Format of the table printed to stdout
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    pub(crate) format: Format,
}

/// Format of a table on stdout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns
    #[default]
    Text,
    /// An array of objects, one per row
    Json,
    /// Comma-separated values with a header
    Csv,
}

/// A configuration file with its overrides.
#[derive(Debug, Args)]
pub(crate) struct Configured {
    /// Configuration file, as `sidelight init` writes it
    #[arg(help_heading = None::<&str>)]
    pub(crate) config: PathBuf,
    /// Its overrides.
    #[command(flatten)]
    pub(crate) overrides: Overrides,
}

/// Fields of a configuration that the command line changes.
#[derive(Debug, Args)]
pub(crate) struct Overrides {
    /// Override a field of the configuration; repeatable
    ///
    /// Example: --set train.epochs=5 --set model.fusion=film
    #[arg(long, value_name = "FIELD=VALUE")]
    #[arg(help_heading = "Configuration")]
    pub(crate) set: Vec<String>,
}

/// An HTML page beside the table on stdout.
#[derive(Debug, Args)]
pub(crate) struct Page {
    /// Also write an HTML page, one self-contained file
    ///
    /// Example: --out page.html
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
}

/// Test-time augmentation.
#[derive(Debug, Args)]
#[command(next_help_heading = "Prediction")]
pub(crate) struct Tta {
    /// Test-time augmentation: predictions averaged per image
    ///
    /// 1: the image as it is. N: also N - 1 random augmentations of it, by the
    /// run's [augment]; keypoints are mapped back. Takes N times as long.
    /// Example: --tta 8
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) tta: u16,
}

impl Tta {
    /// Passes over each image.
    pub(crate) fn passes(&self) -> usize {
        self.tta.into()
    }

    /// The progress line: rows, or passes over them.
    pub(crate) fn progress(&self, done: usize, all: usize) -> String {
        match self.tta {
            1 => format!("{done} of {all} rows"),
            n => format!("{done} of {all} passes, {n} per row"),
        }
    }
}

/// Sets that hold the truth as often as is asked.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Prediction")]
pub(crate) struct Covering {
    /// Also give what holds the truth of this share of rows
    ///
    /// A set of classes, yes, no or unsure for a label, an interval about a
    /// value, a disc about a point: split-conformal, see docs/predict.md.
    /// Example: --coverage 0.9
    #[arg(long, value_name = "SHARE", value_parser = coverage)]
    pub(crate) coverage: Option<f64>,
}

/// Threads and precision.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Machine")]
pub(crate) struct Machine {
    /// CPU threads; 0 for one per core
    ///
    /// Results do not depend on it. Example: --threads 4
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = threads)]
    pub(crate) threads: usize,
    /// Device to compute on; there is one so far
    #[arg(long = "device", value_enum, hide = true)]
    _device: Option<Device>,
    /// Precision of convolutions; default: as configured
    ///
    /// f32 is the reference; bf16 multiplies in bf16 and accumulates in f32,
    /// up to twice as fast on processors that support it.
    /// Example: --precision bf16
    #[arg(long, value_enum)]
    pub(crate) precision: Option<Precision>,
}

/// Devices to compute on.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Device {
    /// This machine's processor
    Cpu,
}

/// Precision of convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Precision {
    /// Single precision
    F32,
    /// Products in bf16, sums in f32
    Bf16,
}

/// The feature cache.
#[derive(Debug, Default, Args)]
pub(crate) struct Cached {
    /// Folder for cached features of frozen layers
    ///
    /// Later runs reuse them and save the time; at most 4 GiB are kept.
    /// Default: sidelight in your cache folder ($XDG_CACHE_HOME or ~/.cache);
    /// none: nothing is cached. Example: --cache /scratch/features
    #[arg(long, value_name = "DIR|none", help_heading = "Machine")]
    pub(crate) cache: Option<PathBuf>,
}

/// `2/8`: the second share of eight.
pub(super) fn share(text: &str) -> Result<(usize, usize), String> {
    let parsed = text
        .split_once('/')
        .and_then(|(index, of)| Some((index.trim().parse().ok()?, of.trim().parse().ok()?)));
    match parsed {
        Some((index, of)) if (1..=of).contains(&index) => Ok((index, of)),
        _ => Err("a share is written I/N, I from 1 to N: the second of eight is 2/8".into()),
    }
}

/// A probability, in [0, 1].
pub(super) fn confidence(text: &str) -> Result<f32, String> {
    let value = text
        .parse()
        .ok()
        .filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "a number from 0 to 1".into())
}

/// A share of rows between none and all.
pub(crate) fn coverage(text: &str) -> Result<f64, String> {
    match text.trim().parse() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("a coverage is a share of rows, above 0 and below 1: 0.9 is nine in ten".into()),
    }
}

/// Threads, as many as a machine can run.
fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 0..=4096) => Ok(n),
        _ => Err("expected a whole number from 0 to 4096".into()),
    }
}

/// A positive count, of a size that could be meant.
pub(super) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=65_536) => Ok(n),
        _ => Err("expected a whole number from 1 to 65536".into()),
    }
}

/// Where the images of another table are.
#[derive(Debug, Default, Args)]
pub(crate) struct Images {
    /// Column with the images, or the path of each row's with columns in braces
    ///
    /// Of a model of several images a row, as many. Default: as in training.
    /// Example: --image 'test/{id}.tif'
    #[arg(
        long,
        value_name = "COLUMN|PATH",
        help_heading = "Input",
        requires = "table",
        value_delimiter = ','
    )]
    pub(crate) image: Vec<String>,
}
