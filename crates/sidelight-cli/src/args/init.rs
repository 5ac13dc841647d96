//! `sidelight init TABLE --target a[,b…]`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sidelight::config::TargetKind;

use super::{Overrides, Printed};

/// Arguments of `sidelight init`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Columns")]
pub(crate) struct InitArgs {
    /// CSV, TSV, JSON Lines, Parquet, .xlsx, or a Hugging Face imagefolder
    #[arg(help_heading = None::<&str>)]
    pub(crate) table: PathBuf,
    /// Column to predict, or several separated by commas
    ///
    /// Keypoints are columns x0,y0,x1,y1,… in pixels.
    /// Example: --target x0,y0,x1,y1
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    #[arg(required = true)]
    pub(crate) target: Vec<String>,
    /// Column whose equal values belong together (a patient, a house)
    ///
    /// Rows that share a value are never split between training and
    /// validation. Example: --group patientid
    #[arg(long, value_name = "COLUMN")]
    pub(crate) group: Option<String>,
    /// Column with the time of each row, a date or a number
    ///
    /// Validation rows are the latest, and compare tests each stretch of time
    /// on what came before it. Example: --time visit_date
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time: Option<String>,
    /// Column with how much each row counts, a number that is 0 or more
    ///
    /// It counts so in the loss and in every metric, and is no metadata.
    /// Example: --weight sample_weight
    #[arg(long, value_name = "COLUMN")]
    pub(crate) weight: Option<String>,
    /// Column to ignore; repeatable
    ///
    /// For a column that will not be known at prediction time.
    /// Example: --ignore finding
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
    /// Column with the images, or the path of each row's with columns in braces
    ///
    /// Several images a row: a column each.
    /// Default: found. Example: --image 'train/{id}.tif', --image frontal,kitchen
    #[arg(long, value_name = "COLUMN|PATH", value_delimiter = ',')]
    pub(crate) image: Vec<String>,
    /// What the target is; default: by its cells
    ///
    /// value: a number; class: one of several names; classes: any number of
    /// labels; points: coordinates in the image. Example: --kind value
    #[arg(long, value_enum)]
    pub(crate) kind: Option<Kind>,
    /// The overrides of what is written.
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// Configuration file to write
    ///
    /// Default: sidelight.toml; `-` prints it. Example: --out -
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the configuration file if it exists
    #[arg(long, help_heading = "Output")]
    pub(crate) overwrite: bool,
    /// Also write sidelight.schema.json beside it, for editors
    ///
    /// The configuration then begins with a line that names it, as it does
    /// wherever such a file is there already: editors complete and check it.
    #[arg(long, help_heading = "Output")]
    pub(crate) schema: bool,
    /// How the columns are printed.
    #[command(flatten)]
    pub(crate) printed: Printed,
}

/// What a target can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A number
    Value,
    /// One of several names
    Class,
    /// Any number of labels
    Classes,
    /// Coordinates in the image
    Points,
}

impl From<Kind> for TargetKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Value => Self::Regression,
            Kind::Class => Self::Class,
            Kind::Classes => Self::Multilabel,
            Kind::Points => Self::Keypoints,
        }
    }
}
