//! `sidelight predict RUN TABLE --out FILE`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sidelight::annotation::Format;

use super::shared::{confidence, share};
use super::{Covering, Images, Machine, Tta};

/// Arguments of `sidelight predict`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct PredictArgs {
    /// Run folder, as `sidelight train` writes it
    #[arg(help_heading = None::<&str>)]
    pub(crate) run: PathBuf,
    /// Table to predict, or the tar archives of a webdataset
    ///
    /// CSV, TSV, JSON Lines, Parquet, .xlsx, an imagefolder, or tar archives of
    /// key.jpg and key.json: one, several, or as 'shards-{000..009}.tar';
    /// local, or at s3://, gs://, az:// or https://.
    #[arg(required = true, help_heading = None::<&str>)]
    pub(crate) table: Vec<PathBuf>,
    /// File to write: .csv, .jsonl or .parquet
    ///
    /// Written atomically; an existing file is replaced.
    /// Example: --out predictions.parquet
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Write keypoints for an annotation tool, to be corrected there
    ///
    /// FILE is then that of the tool (of yolo and labelme a new folder), and the
    /// table is written beside it as FILE.csv. --keep becomes attributes.
    /// Example: --out points.json --format labelstudio
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "by")]
    pub(crate) format: Option<WrittenFormat>,
    /// Where the images are.
    #[command(flatten)]
    pub(crate) images: Images,
    /// Columns of the table to write before the predictions
    ///
    /// Each cell as the table has it, as text. A column of ours with the same
    /// name is called NAME_2. Example: --keep id,patient
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub(crate) keep: Vec<String>,
    /// Write one row for all that share a value of this column: their mean
    ///
    /// For several photographs of one thing. Classes and labels: the mean of
    /// their probabilities; values: their mean. Keypoints have none. Groups are
    /// in the order of their first rows. Example: --by plant
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["keep", "coverage"])]
    pub(crate) by: Option<String>,
    /// Leave out points that are less probably visible than this
    ///
    /// Their cells are empty; how sure each point is stands beside it in any
    /// case, as p0_conf. Example: --min-confidence 0.5
    #[arg(long, value_name = "P", value_parser = confidence)]
    pub(crate) min_confidence: Option<f32>,
    /// Discard the parts of an earlier job and start over
    ///
    /// Use it if the model, the table or an option has changed since.
    #[arg(long, conflicts_with = "shard")]
    pub(crate) overwrite: bool,
    /// Stop at the first row that cannot be predicted
    ///
    /// The exit code is then 2; finished parts are kept.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Write an apostrophe before text that a spreadsheet would run
    ///
    /// A cell of CSV that begins with = + - or @ is a formula to Excel and
    /// its like. Without this option text is written as it is, to be read
    /// back exactly. JSON Lines and Parquet need no such care.
    #[arg(long)]
    pub(crate) spreadsheet_safe: bool,
    /// Predict even if the table lacks columns that the model reads
    ///
    /// Such a column is missing in every row. Without this flag nothing is
    /// predicted, as the column is likely there under another name.
    #[arg(long)]
    pub(crate) allow_missing: bool,
    /// Rows per part; an interruption loses one part at most
    ///
    /// Rounded up to whole batches (`train.batch` of the run). The predictions do
    /// not depend on it. Example: --part-rows 1024
    #[arg(long, value_name = "N", default_value_t = 8192)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) part_rows: u32,
    /// Predict only the I-th of every N parts
    ///
    /// For several processes or machines that write to the same FILE; the
    /// last to finish joins the parts. Example: --shard 2/8
    #[arg(long, value_name = "I/N", value_parser = share)]
    #[arg(help_heading = "Sharing the work")]
    pub(crate) shard: Option<(usize, usize)>,
    /// Sets beside predictions.
    #[command(flatten)]
    pub(crate) covering: Covering,
    /// Test-time augmentation.
    #[command(flatten)]
    pub(crate) tta: Tta,
    /// Threads and precision.
    #[command(flatten)]
    pub(crate) machine: Machine,
}

impl PredictArgs {
    /// The table of predictions: `--out`, or beside the annotations.
    pub(crate) fn predictions(&self) -> PathBuf {
        match self.format {
            None => self.out.clone(),
            Some(_) => {
                let mut name = self.out.clone().into_os_string();
                name.push(".csv");
                name.into()
            }
        }
    }
}

/// A format of annotations that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WrittenFormat {
    /// COCO keypoints
    Coco,
    /// YOLO pose, a folder
    Yolo,
    /// Label Studio, as predictions
    Labelstudio,
    /// LabelMe, a folder
    Labelme,
    /// CVAT for images 1.1
    Cvat,
}

impl From<WrittenFormat> for Format {
    fn from(format: WrittenFormat) -> Self {
        match format {
            WrittenFormat::Coco => Self::Coco,
            WrittenFormat::Yolo => Self::Yolo,
            WrittenFormat::Labelstudio => Self::LabelStudio,
            WrittenFormat::Labelme => Self::LabelMe,
            WrittenFormat::Cvat => Self::Cvat,
        }
    }
}
