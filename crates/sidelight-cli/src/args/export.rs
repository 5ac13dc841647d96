//! `sidelight export RUN [--onnx FILE] [--safetensors FILE] [--hub DIR]`

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use super::{Covering, Printed};

/// Arguments of `sidelight export`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
// As clap writes it, it is wider than 80 columns.
#[command(
    override_usage = "sidelight export [OPTIONS] <--onnx FILE|--safetensors FILE|--hub DIR> RUN"
)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["onnx", "safetensors", "hub"]))]
pub(crate) struct ExportArgs {
    /// Run folder, as `sidelight train` writes it
    #[arg(help_heading = None::<&str>)]
    pub(crate) run: PathBuf,
    /// ONNX file to write: the whole model
    ///
    /// Written atomically; an existing file is replaced.
    /// Example: --onnx model.onnx
    #[arg(long, value_name = "FILE")]
    pub(crate) onnx: Option<PathBuf>,
    /// safetensors file to write: the weights alone, for PyTorch
    ///
    /// Backbone weights are named as in torchvision (or timm).
    /// Example: --safetensors model.safetensors
    #[arg(long, value_name = "FILE")]
    pub(crate) safetensors: Option<PathBuf>,
    /// Folder to write for the Hugging Face hub: the model and its card
    ///
    /// `sidelight predict` and `sl.load` of Python take it like a run. It holds
    /// no path of this machine; its README.md says what it does hold.
    /// Example: --hub houses
    #[arg(long, value_name = "DIR")]
    pub(crate) hub: Option<PathBuf>,
    /// Comparison whose answer the card of --hub gives
    ///
    /// The folder that `sidelight compare` wrote for the same table. Without it
    /// the card says that nobody has tested whether the metadata helps.
    /// Example: --comparison runs/answer
    #[arg(long, value_name = "DIR", requires = "hub")]
    pub(crate) comparison: Option<PathBuf>,
    /// Licence of the model in --hub, by the hub's name
    ///
    /// Default: that of the weights that training began with, if it is known.
    /// Example: --licence apache-2.0
    #[arg(long, alias = "license", value_name = "NAME", requires = "hub")]
    pub(crate) licence: Option<String>,
    /// Replace the files of an earlier export in --hub
    ///
    /// All other files stay; one that no export wrote is never replaced.
    #[arg(long, requires = "hub")]
    pub(crate) overwrite: bool,
    /// What the ONNX graph takes as `image`
    ///
    /// any-size includes the resizing used in training. Without it the graph is
    /// simpler and runs in more runtimes, and the caller resizes.
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) image: ImageForm,
    /// Outputs of the ONNX graph beside the predictions.
    #[command(flatten)]
    pub(crate) covering: Covering,
    /// How the graph's inputs and outputs are printed.
    #[command(flatten)]
    pub(crate) printed: Printed,
}

/// What the exported graph takes as its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ImageForm {
    /// Bytes, [n, height, width, 3], any size
    #[default]
    AnySize,
    /// Bytes, [n, size, size, 3]
    Sized,
    /// Numbers in [0, 1], [n, 3, size, size]
    Float,
}
