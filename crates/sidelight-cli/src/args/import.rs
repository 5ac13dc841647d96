//! `sidelight import FILE… --out FILE`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sidelight::annotation::Format;

/// Arguments of `sidelight import`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct ImportArgs {
    /// Files or folders of annotations; several become one table
    ///
    /// COCO keypoints, YOLO pose, CVAT for images 1.1, LabelMe, Label Studio,
    /// DeepLabCut's CollectedData CSV, VIA.
    #[arg(required = true, help_heading = None::<&str>)]
    pub(crate) files: Vec<PathBuf>,
    /// Table to write: .csv, .jsonl or .parquet
    ///
    /// Written atomically. A sidelight.toml is written beside it, unless one is
    /// there. Example: --out metadata.csv
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) out: PathBuf,
    /// Format of the files; default: by their content
    ///
    /// Example: --format coco
    #[arg(long, value_enum)]
    pub(crate) format: Option<ReadFormat>,
    /// Folder with the images
    ///
    /// Default: beside the annotations, and in images/ and ../images of them.
    /// Example: --images photos
    #[arg(long, value_name = "FOLDER")]
    pub(crate) images: Option<PathBuf>,
    /// Write no sidelight.toml
    #[arg(long, help_heading = "Output")]
    pub(crate) no_config: bool,
    /// Replace the table if it exists
    #[arg(long, help_heading = "Output")]
    pub(crate) overwrite: bool,
}

/// A format of annotations that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadFormat {
    /// COCO keypoints
    Coco,
    /// YOLO pose
    Yolo,
    /// CVAT for images 1.1
    Cvat,
    /// LabelMe
    Labelme,
    /// Label Studio
    Labelstudio,
    /// DeepLabCut
    Dlc,
    /// VGG Image Annotator
    Via,
}

impl From<ReadFormat> for Format {
    fn from(format: ReadFormat) -> Self {
        match format {
            ReadFormat::Coco => Self::Coco,
            ReadFormat::Yolo => Self::Yolo,
            ReadFormat::Cvat => Self::Cvat,
            ReadFormat::Labelme => Self::LabelMe,
            ReadFormat::Labelstudio => Self::LabelStudio,
            ReadFormat::Dlc => Self::DeepLabCut,
            ReadFormat::Via => Self::Via,
        }
    }
}
