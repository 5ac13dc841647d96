//! The whole command line; the doc comments are the help.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Images and a table about them in, a network that reads both out.
///
/// stdout is data, stderr is conversation. Exit codes: 0 done, 1 the answer is
/// no (`check` found problems, `audit` a column to drop, `predict` a row that
/// it could not), 2 could not.
#[derive(Debug, Parser)]
#[command(
    name = "sidelight",
    version,
    max_term_width = 80,
    disable_help_subcommand = true,
    after_help = "Start with `sidelight demo`, or with your own table:\n  \
                  sidelight init metadata.csv --target price\n  \
                  sidelight check sidelight.toml\n  \
                  sidelight train sidelight.toml --out runs/a"
)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Say nothing but results, warnings and errors.
    #[arg(short, long, global = true, help_heading = "General")]
    pub(crate) quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a data set and show on it what metadata can do
    ///
    /// Makes pictures of cards on a table, trains on the image alone, the metadata
    /// alone, both, and both with shuffled metadata, and compares them.
    ///
    /// Each picture shows two or three cards; only the row's metadata says which
    /// one is meant. Everything is generated, nothing is downloaded. It takes a few
    /// minutes; stopped, it goes on where it was when started again.
    ///
    /// Example: sidelight demo
    #[command(verbatim_doc_comment)]
    Demo(DemoArgs),
    /// Look at a table and write a sidelight.toml for it
    ///
    /// Reads a table, infers what each column means and writes a commented
    /// sidelight.toml to edit.
    ///
    /// The columns, what was inferred and the evidence for it are printed.
    ///
    /// Example: sidelight init metadata.csv --target price --group house_id
    #[command(verbatim_doc_comment)]
    Init(InitArgs),
    /// List every problem of a table and its images
    ///
    /// Lists all problems of the table and the images at once: unreadable images,
    /// points outside them, cells of the wrong kind, duplicates, leaks.
    ///
    /// Exits with 1 where training would stop at one of them.
    ///
    /// Example: sidelight check sidelight.toml
    #[command(verbatim_doc_comment)]
    Check(CheckArgs),
    /// Say of each column, before training, whether to keep it
    ///
    /// Says of each column what it predicts alone, whether it is the target in
    /// disguise, an identifier, or differs between parts; and which images are the
    /// same. Nothing is trained; it takes seconds to minutes.
    ///
    /// Ends in advice for each column: keep, look at, drop, with the reason. Exits
    /// with 1 where a column in use should be dropped.
    ///
    /// Example: sidelight audit sidelight.toml --out audit.html
    #[command(verbatim_doc_comment)]
    Audit(AuditArgs),
    /// Find a learning rate before training
    ///
    /// Takes up to a hundred steps with a rate that rises from 1e-7 to 10, and
    /// suggests the one from which the loss falls fastest. Nothing is kept.
    ///
    /// Exits with 1 where the loss does not fall for long enough.
    ///
    /// Example: sidelight lr-find sidelight.toml --out rates.html
    LrFind(LrFindArgs),
    /// Train a model as a sidelight.toml says
    ///
    /// Trains a model and writes a run folder: config.toml, model/, log.jsonl,
    /// metrics.json, predictions.csv and report.html.
    ///
    /// Ctrl-C saves and stops; `--resume` goes on, bit for bit as if nothing had
    /// happened. A second Ctrl-C quits at once.
    ///
    /// Under mpirun (built with `--features mpi`) all processes train one model,
    /// each on its share of the rows: docs/scale.md.
    ///
    /// Example: sidelight train sidelight.toml --out runs/a --set train.epochs=5
    #[command(verbatim_doc_comment)]
    Train(TrainArgs),
    /// Say whether the metadata helps
    ///
    /// Trains on the image alone, the metadata alone and both, with controls, on the
    /// same folds, and says whether the metadata helps: compare.json,
    /// out_of_fold.csv and report.html.
    ///
    /// The result of each training is kept when it is done: run the same command
    /// again after Ctrl-C or a crash, and it goes on where it was.
    ///
    /// Example: sidelight compare sidelight.toml --out runs/answer --quick
    #[command(verbatim_doc_comment)]
    Compare(CompareArgs),
    /// Score a trained model
    ///
    /// Scores a trained model, on the validation rows of its own table or on all
    /// rows of another.
    ///
    /// Example: sidelight eval runs/a test.csv --format json
    #[command(verbatim_doc_comment)]
    Eval(EvalArgs),
    /// Apply a trained model to the rows of a table
    ///
    /// Applies a trained model to every row of a table of any length, which needs
    /// no target.
    ///
    /// The table is read piece by piece and predicted part by part; the parts are
    /// in FILE.parts until all are there. After Ctrl-C, a crash or a power cut
    /// the same command goes on after the last whole part.
    ///
    /// A row that cannot be predicted (no or a damaged image, a line that is no
    /// row, a word where a number should be) keeps its place and is listed with
    /// the reason in predictions.bad.csv beside FILE; then the exit code is 1.
    /// Categories that training had not, and new gaps, are counted and said.
    ///
    /// Example: sidelight predict runs/a new.csv --out predictions.csv
    #[command(verbatim_doc_comment)]
    Predict(PredictArgs),
    /// Show rows as the network gets them, with predictions for a run
    ///
    /// Prints rows as read and as encoded; with --out, writes a page with the
    /// pictures and points as the network gets them.
    ///
    /// For a run the page adds predictions and the rows with the largest losses.
    ///
    /// Example: sidelight show sidelight.toml --out batch.html
    #[command(verbatim_doc_comment)]
    Show(ShowArgs),
    /// Say why a trained model says what it says
    ///
    /// Says what each column is worth on held-out rows, how much of the
    /// predictions is image and how much metadata; with --row the same of one
    /// row and what would change it; with --out also where the network looks.
    ///
    /// Rows are the run's validation rows, or those of a table.
    ///
    /// Example: sidelight explain runs/a --row 214 --out why.html
    #[command(verbatim_doc_comment)]
    Explain(ExplainArgs),
    /// Serve trained models: a page for people, JSON for programs
    ///
    /// Serves the models of runs over HTTP: a page with a form and the prediction
    /// drawn over the picture at /, JSON at /v1/predict, what a row may say at
    /// /v1/schema. See /openapi.json for all of it.
    ///
    /// Ctrl-C or SIGTERM finishes what was taken on and stops. A run whose
    /// folder changes is read again, without a break.
    ///
    /// Example: sidelight serve runs/a runs/b --addr 127.0.0.1:8080
    #[command(verbatim_doc_comment)]
    Serve(ServeArgs),
    /// Write a trained model for other programs: ONNX, safetensors
    ///
    /// Writes a trained model for other programs.
    ///
    /// The ONNX graph takes the image and one input per metadata column (text: empty
    /// is missing; numbers: NaN is missing) and puts out class names and
    /// probabilities, points in pixels of the image, or values in their own unit.
    /// Prints its inputs and outputs.
    ///
    /// Example: sidelight export runs/a --onnx model.onnx
    #[command(verbatim_doc_comment)]
    Export(ExportArgs),
    /// List a network's layers, or the contents of a weights file
    ///
    /// Lists a network's layers: path, kind, output, parameters, products.
    ///
    /// Takes a sidelight.toml (the network that would be trained), a run, the
    /// name of a backbone, or a .pth or .safetensors file.
    ///
    /// Example: sidelight inspect runs/a --match 'layer4.*'
    #[command(verbatim_doc_comment)]
    Inspect(InspectArgs),
    /// List the backbones that `model.backbone` can name
    ///
    /// Lists the backbones that `model.backbone` can name.
    ///
    /// Example: sidelight backbones
    #[command(verbatim_doc_comment)]
    Backbones(BackbonesArgs),
}

/// What `sidelight demo` takes.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder to make
    ///
    /// Everything goes into it; delete it to start again.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "demo",
        help_heading = "Output"
    )]
    pub(crate) out: PathBuf,
    /// Number of pictures
    ///
    /// Fewer are quicker and teach less. Example: --rows 300
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub(crate) rows: Option<usize>,
    /// Width of a picture in pixels
    ///
    /// Larger ones look better in the report; the network sees 96 pixels
    /// whatever the width. Example: --side 320
    #[arg(long, value_name = "PX", help_heading = "Data")]
    pub(crate) side: Option<usize>,
    /// Seed of everything random
    ///
    /// Another seed makes other pictures. Example: --seed 1
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Data")]
    pub(crate) seed: u64,
    /// Change a field of each model's configuration; can be repeated
    ///
    /// Example: --set train.epochs=5
    #[arg(long, value_name = "FIELD=VALUE", help_heading = "Training")]
    pub(crate) set: Vec<String>,
    /// How the comparison is printed
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    pub(crate) format: Format,
    /// Where and on how many cores.
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// What `sidelight init` takes.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// CSV, TSV, JSON Lines, Parquet, or a Hugging Face imagefolder
    pub(crate) table: PathBuf,
    /// Column to predict, or several separated by commas
    ///
    /// Points are columns x0,y0,x1,y1,… in pixels.
    /// Example: --target x0,y0,x1,y1
    #[arg(
        long,
        value_name = "COLUMN,…",
        value_delimiter = ',',
        required = true,
        help_heading = "Columns"
    )]
    pub(crate) target: Vec<String>,
    /// Column whose rows belong together (a patient, a house)
    ///
    /// Rows that share its value are never divided between training and
    /// validation. Example: --group patientid
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub(crate) group: Option<String>,
    /// Column to leave out; can be repeated
    ///
    /// Use it for a column that will not be known when predicting.
    /// Example: --ignore finding
    #[arg(
        long,
        value_name = "COLUMN",
        value_delimiter = ',',
        help_heading = "Columns"
    )]
    pub(crate) ignore: Vec<String>,
    /// File to write
    ///
    /// sidelight.toml by default; `-` prints it. Example: --out -
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, help_heading = "Output")]
    pub(crate) overwrite: bool,
    /// How the columns are printed
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    pub(crate) format: Format,
}

/// What `sidelight check` takes.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration
    pub(crate) config: PathBuf,
    /// Change a field of the configuration; can be repeated
    ///
    /// Example: --set data.table=new.csv
    #[arg(long, value_name = "FIELD=VALUE", help_heading = "Configuration")]
    pub(crate) set: Vec<String>,
    /// How problems are printed
    ///
    /// `json` and `csv` list all of them, one a row.
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    pub(crate) format: Format,
}

/// What `sidelight audit` takes.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The configuration
    pub(crate) config: PathBuf,
    /// Page to write, one self-contained file
    ///
    /// With the table, a chart and the pictures that occur twice.
    /// Example: --out audit.html
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
    /// Change a field of the configuration; can be repeated
    ///
    /// Example: --set data.table=new.csv
    #[arg(long, value_name = "FIELD=VALUE", help_heading = "Configuration")]
    pub(crate) set: Vec<String>,
    /// How the columns are printed
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    pub(crate) format: Format,
}

/// What `sidelight lr-find` takes.
#[derive(Debug, Args)]
pub(crate) struct LrFindArgs {
    /// The configuration
    pub(crate) config: PathBuf,
    /// Page to write, one self-contained file
    ///
    /// With the loss at each rate. Example: --out rates.html
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
    /// How the suggestion is printed
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    pub(crate) format: Format,
    /// Change a field of the configuration; can be repeated
    ///
    /// Example: --set train.freeze=true
    #[arg(long, value_name = "FIELD=VALUE", help_heading = "Configuration")]
    pub(crate) set: Vec<String>,
    /// Where and on how many cores.
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// What `sidelight train` takes.
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// The configuration
    pub(crate) config: PathBuf,
    /// Folder of the run, made anew
    ///
    /// It must not exist, or with --resume hold the run to go on with.
    /// Example: --out runs/a
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) out: PathBuf,
    /// Go on with the stopped run in --out
    ///
    /// Use it after Ctrl-C, a crash or a power cut. The configuration must be
    /// the same.
    #[arg(long, conflicts_with = "overwrite", help_heading = "Output")]
    pub(crate) resume: bool,
    /// Replace the run in --out
    ///
    /// The old one is kept aside until the new one is finished. A folder that
    /// holds other files is never replaced.
    #[arg(long, help_heading = "Output")]
    pub(crate) overwrite: bool,
    /// How the final scores are printed
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    pub(crate) format: Format,
    /// Change a field of the configuration; can be repeated
    ///
    /// Example: --set model.arm=image --set train.learning_rate=1e-3
    #[arg(long, value_name = "FIELD=VALUE", help_heading = "Configuration")]
    pub(crate) set: Vec<String>,
    /// Where and on how many cores.
    #[command(flatten)]
    pub(crate) machine: Machine,
    /// What is kept between runs.
    #[command(flatten)]
    pub(crate) kept: Kept,
}

/// What `sidelight compare` takes.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The configuration
    pub(crate) config: PathBuf,
    /// Folder of the comparison
    ///
    /// It is made, or gone on with. Example: --out runs/answer
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) out: PathBuf,
    /// Delete an earlier comparison in --out and begin anew
    #[arg(long, conflicts_with = "merge", help_heading = "Output")]
    pub(crate) overwrite: bool,
    /// How the table of arms is printed
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    pub(crate) format: Format,
    /// Arms to compare; default: all of one fusion
    ///
    /// image, metadata, vote, weighted-vote, a fusion's name (both: the
    /// configuration's own) and the controls shuffled, all-missing, gaps-only.
    /// The image alone is always among them.
    /// Example: --arms metadata,vote,concat,film,shuffled
    #[arg(
        long,
        value_name = "ARM,…",
        value_delimiter = ',',
        help_heading = "Comparison"
    )]
    pub(crate) arms: Vec<String>,
    /// Parts that rows are divided into; each is held out once
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        help_heading = "Comparison"
    )]
    pub(crate) folds: usize,
    /// Repeat with so many divisions and seeds
    ///
    /// More of them make a sure answer surer. Example: --seeds 3
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        help_heading = "Comparison"
    )]
    pub(crate) seeds: usize,
    /// Keep the pretrained part frozen and look at each image once
    ///
    /// A first answer in a fraction of the time: only the head is trained.
    #[arg(long, help_heading = "Comparison")]
    pub(crate) quick: bool,
    /// Compare by another metric than the task's own
    ///
    /// Trainings do not depend on it. Example: --metric auroc
    #[arg(long, value_name = "NAME", help_heading = "Comparison")]
    pub(crate) metric: Option<String>,
    /// Do only the I-th of N shares of the trainings
    ///
    /// For several machines or a job array that write to the same folder.
    /// Example: --jobs 2/8
    #[arg(
        long,
        value_name = "I/N",
        value_parser = share,
        conflicts_with = "merge",
        help_heading = "Sharing the work"
    )]
    pub(crate) jobs: Option<(usize, usize)>,
    /// Train nothing; join what the shares have done
    #[arg(long, help_heading = "Sharing the work")]
    pub(crate) merge: bool,
    /// Change a field of the configuration; can be repeated
    ///
    /// Example: --set train.epochs=5 --set model.fusion=film
    #[arg(long, value_name = "FIELD=VALUE", help_heading = "Configuration")]
    pub(crate) set: Vec<String>,
    /// Where and on how many cores.
    #[command(flatten)]
    pub(crate) machine: Machine,
    /// What is kept between runs.
    #[command(flatten)]
    pub(crate) kept: Kept,
}

/// `2/8`: the second of eight.
fn share(text: &str) -> Result<(usize, usize), String> {
    let parsed = text
        .split_once('/')
        .and_then(|(index, of)| Some((index.trim().parse().ok()?, of.trim().parse().ok()?)));
    match parsed {
        Some((index, of)) if (1..=of).contains(&index) => Ok((index, of)),
        _ => Err("a share is written I/N, I from 1 to N: the second of eight is 2/8".into()),
    }
}

/// What `sidelight eval` takes.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Folder of the run
    pub(crate) run: PathBuf,
    /// A table with the same columns; default: the run's validation rows
    pub(crate) table: Option<PathBuf>,
    /// How scores are printed
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    pub(crate) format: Format,
    /// Test-time augmentation.
    #[command(flatten)]
    pub(crate) tta: Tta,
    /// Where and on how many cores.
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// What `sidelight predict` takes.
#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// Folder of the run
    pub(crate) run: PathBuf,
    /// The table with the rows, or the tar archives of a webdataset
    ///
    /// CSV, TSV, JSON Lines, Parquet, an imagefolder, or tar archives of
    /// key.jpg and key.json: one, several, or as 'shards-{000..009}.tar';
    /// on disk, or as s3://, gs://, az:// or https://.
    #[arg(required = true)]
    pub(crate) table: Vec<PathBuf>,
    /// File to write: .csv, .jsonl or .parquet
    ///
    /// Written whole or not at all; an existing file is replaced.
    /// Example: --out predictions.parquet
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) out: PathBuf,
    /// Discard the parts of an earlier job and begin anew
    ///
    /// Use it where the model, the table or an option has changed since.
    #[arg(long, conflicts_with = "shard", help_heading = "Output")]
    pub(crate) overwrite: bool,
    /// Stop at the first row that cannot be predicted
    ///
    /// The exit code is then 2. What was predicted before is kept.
    #[arg(long, help_heading = "Output")]
    pub(crate) strict: bool,
    /// Rows a part; a kill loses at most one part
    ///
    /// The predictions do not depend on it. Example: --part-rows 1000
    #[arg(
        long,
        value_name = "N",
        default_value_t = 8192,
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Output"
    )]
    pub(crate) part_rows: u32,
    /// Make only the I-th of every N parts
    ///
    /// For several processes or machines that write to the same FILE; whoever
    /// finishes last joins the parts. Example: --shard 2/8
    #[arg(
        long,
        value_name = "I/N",
        value_parser = share,
        help_heading = "Sharing the work"
    )]
    pub(crate) shard: Option<(usize, usize)>,
    /// Test-time augmentation.
    #[command(flatten)]
    pub(crate) tta: Tta,
    /// Where and on how many cores.
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// What `sidelight show` takes.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// A sidelight.toml, or the folder of a run
    #[arg(value_name = "CONFIG|RUN")]
    pub(crate) source: PathBuf,
    /// Page to write, one self-contained file
    ///
    /// Example: --out page.html
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
    /// How many rows to show
    #[arg(long, value_name = "N", default_value_t = 16, help_heading = "Output")]
    pub(crate) rows: usize,
    /// Change a field of the configuration; can be repeated
    ///
    /// Example: --set augment.rotate=45
    #[arg(long, value_name = "FIELD=VALUE", help_heading = "Configuration")]
    pub(crate) set: Vec<String>,
    /// Where and on how many cores.
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// What `sidelight explain` takes.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Folder of the run
    pub(crate) run: PathBuf,
    /// A table with the same columns; default: the run's validation rows
    pub(crate) table: Option<PathBuf>,
    /// Explain this row, counted from 1 in the table
    ///
    /// Example: --row 214
    #[arg(long, value_name = "N", help_heading = "Rows")]
    pub(crate) row: Option<usize>,
    /// Page to write, one self-contained file
    ///
    /// With the pictures, where the network looks, and what-if curves.
    /// Example: --out why.html
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
    /// Shuffles of each column
    ///
    /// More make the spread surer and take longer.
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = "Rows")]
    pub(crate) repeats: usize,
    /// Seed of the shuffles
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Rows")]
    pub(crate) seed: u64,
    /// How tables are printed
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    pub(crate) format: Format,
    /// Where and on how many cores.
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// What `sidelight serve` takes.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Folders of runs; the first is the default
    ///
    /// A model is called as its folder, or NAME in NAME=DIR.
    /// Example: sidelight serve new=runs/b runs/a
    #[arg(value_name = "[NAME=]RUN", required = true)]
    pub(crate) runs: Vec<String>,
    /// Address and port to listen on
    ///
    /// 127.0.0.1 is this machine alone, 0.0.0.0 whoever can reach it; port 0
    /// takes a free one. Example: --addr 0.0.0.0:80
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        help_heading = "Access"
    )]
    pub(crate) addr: SocketAddr,
    /// File with the token that requests must show
    ///
    /// As `Authorization: Bearer TOKEN`; the page asks for it.
    /// Example: --token-file token.txt
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    pub(crate) token_file: Option<PathBuf>,
    /// Let pages of another origin ask (CORS); can be repeated
    ///
    /// Example: --allow-origin https://example.org
    #[arg(long, value_name = "ORIGIN", help_heading = "Access")]
    pub(crate) allow_origin: Vec<String>,
    /// Rows predicted together, at most
    #[arg(
        long,
        value_name = "N",
        default_value_t = 32,
        value_parser = at_least_one,
        help_heading = "Load"
    )]
    pub(crate) max_batch: usize,
    /// How long a row waits for others, at most, in milliseconds
    ///
    /// It waits only while others are being read. 0: never.
    #[arg(long, value_name = "MS", default_value_t = 5, help_heading = "Load")]
    pub(crate) batch_wait: u64,
    /// Rows of a model taken on at once; more are refused (429)
    #[arg(
        long,
        value_name = "N",
        default_value_t = 512,
        value_parser = at_least_one,
        help_heading = "Load"
    )]
    pub(crate) queue: usize,
    /// Largest request in MiB; eight of them are held at once
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 32,
        value_parser = at_least_one,
        help_heading = "Load"
    )]
    pub(crate) max_body: usize,
    /// Largest image in megapixels
    #[arg(
        long,
        value_name = "MPX",
        default_value_t = 50,
        value_parser = clap::value_parser!(u64).range(1..=200),
        help_heading = "Load"
    )]
    pub(crate) max_pixels: u64,
    /// Seconds for a request to arrive, and again to be answered
    #[arg(
        long,
        value_name = "S",
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=3600),
        help_heading = "Load"
    )]
    pub(crate) timeout: u64,
    /// Where and on how many cores.
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// A count that is not 0, and not beyond what could ever be meant.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=65_536) => Ok(n),
        _ => Err("a whole number from 1 to 65536".into()),
    }
}

/// What `sidelight export` takes.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["onnx", "safetensors"]))]
pub(crate) struct ExportArgs {
    /// Folder of the run
    pub(crate) run: PathBuf,
    /// ONNX file to write: the whole model
    ///
    /// Written whole or not at all; an existing file is replaced.
    /// Example: --onnx model.onnx
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) onnx: Option<PathBuf>,
    /// safetensors file to write: the weights alone, for PyTorch
    ///
    /// Names are torchvision's (or timm's) in the backbone.
    /// Example: --safetensors model.safetensors
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) safetensors: Option<PathBuf>,
    /// What the graph takes as `image`
    ///
    /// The graph resizes as training did, for any size; without that it is plainer
    /// and other runtimes run it, and the caller resizes.
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORM",
        help_heading = "Output"
    )]
    pub(crate) image: ImageForm,
    /// How the inputs and outputs are printed
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    pub(crate) format: Format,
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

/// What `sidelight inspect` takes.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A sidelight.toml, the folder of a run, a backbone, or a weights file
    #[arg(value_name = "CONFIG|RUN|BACKBONE|WEIGHTS")]
    pub(crate) source: PathBuf,
    /// Draw the layers as a tree
    #[arg(long, help_heading = "Output")]
    pub(crate) tree: bool,
    /// Side of a backbone's images in pixels; its own if left out
    ///
    /// Example: sidelight inspect resnet18 --size 128
    #[arg(long, value_name = "PIXELS", help_heading = "Configuration")]
    pub(crate) size: Option<usize>,
    /// Only paths that match; `*` stands for anything
    ///
    /// Example: --match 'head.*'
    #[arg(long = "match", value_name = "PATTERN", help_heading = "Output")]
    pub(crate) pattern: Option<String>,
    /// Change a field of the configuration; can be repeated
    ///
    /// Example: --set model.backbone=resnet18
    #[arg(long, value_name = "FIELD=VALUE", help_heading = "Configuration")]
    pub(crate) set: Vec<String>,
    /// How the list is printed
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    pub(crate) format: Format,
}

/// What `sidelight backbones` takes.
#[derive(Debug, Args)]
pub(crate) struct BackbonesArgs {
    /// How the list is printed
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    pub(crate) format: Format,
}

/// Test-time augmentation.
#[derive(Debug, Args)]
pub(crate) struct Tta {
    /// Looks at each image; the prediction is their mean
    ///
    /// 1: the image as it is. More: also changed at random as in training, by
    /// the run's [augment]; points are mapped back. Takes so many times as long.
    /// Example: --tta 8
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..),
        help_heading = "Prediction"
    )]
    pub(crate) tta: u16,
}

impl Tta {
    /// Passes over each image.
    pub(crate) fn passes(&self) -> usize {
        self.tta.into()
    }

    /// How far it is.
    pub(crate) fn progress(&self, done: usize, all: usize) -> String {
        match self.tta {
            1 => format!("{done} of {all} rows"),
            n => format!("{done} of {all} looks, {n} a row"),
        }
    }
}

/// Where and on how many cores it computes.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Machine {
    /// Cores to use, 0: all
    ///
    /// The result does not depend on it. Example: --threads 4
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Machine")]
    pub(crate) threads: usize,
    /// Device to compute on
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "DEVICE",
        help_heading = "Machine"
    )]
    pub(crate) device: Device,
    /// Precision of the convolutions; default: as configured
    ///
    /// f32 is exact to the reference; bf16 multiplies in bf16 and adds in f32,
    /// up to twice as fast where the processor has it. Example: --precision bf16
    #[arg(long, value_enum, value_name = "PRECISION", help_heading = "Machine")]
    pub(crate) precision: Option<Precision>,
}

/// What is kept between runs.
#[derive(Debug, Args)]
pub(crate) struct Kept {
    /// Folder that keeps what frozen layers say of each image
    ///
    /// It saves the next run the time; at most 4 GiB are kept. Default:
    /// sidelight in your cache folder ($XDG_CACHE_HOME or ~/.cache); none:
    /// nothing is kept. Example: --cache /scratch/features
    #[arg(long, value_name = "DIR|none", help_heading = "Machine")]
    pub(crate) cache: Option<PathBuf>,
}

/// How convolutions form their products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Precision {
    /// Exact to the reference.
    F32,
    /// In bf16, added up in f32.
    Bf16,
}

/// A device.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Device {
    /// This machine's processor.
    #[default]
    Cpu,
}

/// How a table is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns, for people.
    #[default]
    Text,
    /// An array of objects.
    Json,
    /// Comma-separated values with a header.
    Csv,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn clap_accepts_the_definition() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_flag_has_a_heading_and_every_argument_a_help() {
        for command in Arguments::command().get_subcommands() {
            assert!(
                command
                    .get_long_about()
                    .is_some_and(|about| about.to_string().contains("Example: sidelight "))
            );
            for argument in command.get_arguments() {
                let name = format!("{} {}", command.get_name(), argument.get_id());
                assert!(argument.get_help().is_some(), "{name}");
                assert!(
                    argument.is_positional() || argument.get_help_heading().is_some(),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn help_fits_80_columns() {
        let mut arguments = Arguments::command();
        // Subcommands learn the width when the whole is built.
        arguments.build();
        for command in arguments.get_subcommands_mut() {
            for help in [
                command.render_help().to_string(),
                command.render_long_help().to_string(),
            ] {
                for line in help.lines() {
                    assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
                }
            }
        }
    }
}
