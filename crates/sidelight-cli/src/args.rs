//! The command line, one file per command; the doc comments are the help.

pub(crate) mod audit;
pub(crate) mod backbones;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod eval;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod features;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod lr_find;
pub(crate) mod man;
pub(crate) mod predict;
pub(crate) mod schema;
pub(crate) mod serve;
mod shared;
pub(crate) mod show;
pub(crate) mod train;

use clap::{Parser, Subcommand};

pub(crate) use shared::coverage;
pub(crate) use shared::{
    Cached, Configured, Covering, Format, Images, Machine, Overrides, Page, Precision, Printed, Tta,
};

/// Pretrained CNNs that also read the metadata of each image
///
/// Data goes to stdout, messages to stderr. Exit codes: 0 success; 1 the answer
/// is no (`check` found errors, `audit` a column to drop, `lr-find` no rate,
/// `predict` and `features` rows they could not read); 2 failure.
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
    /// The command to run.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print only results, warnings and errors
    #[arg(short, long, global = true, help_heading = "General")]
    pub(crate) quiet: bool,
    /// With --version: also the build, and what this machine can do
    // The binary answers, as soon as it is seen beside --version.
    #[arg(long = "verbose", requires = "version", help_heading = "General")]
    _verbose: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Generate a data set and show on it what metadata adds
    ///
    /// Generates photographs of cards on a table, trains on the image alone, the
    /// metadata alone, both, and both with shuffled metadata, and compares them.
    ///
    /// Each picture shows two or three cards; only its metadata says which one is
    /// the target. Everything is generated, nothing is downloaded. It takes a few
    /// minutes; if interrupted, run the same command again to continue.
    ///
    /// Example: sidelight demo
    #[command(verbatim_doc_comment)]
    Demo(demo::DemoArgs),
    /// Inspect a table and write a sidelight.toml for it
    ///
    /// Reads a table, infers what each column means, and writes a commented
    /// sidelight.toml for you to edit.
    ///
    /// Prints each column with its inferred role and the evidence for it.
    ///
    /// Example: sidelight init metadata.csv --target price --group house_id
    #[command(verbatim_doc_comment)]
    Init(init::InitArgs),
    /// Make a table of the points in files of an annotation tool
    ///
    /// Reads COCO keypoints, YOLO pose, CVAT for images 1.1, LabelMe, Label Studio,
    /// DeepLabCut and VIA, and writes a table and a sidelight.toml for it.
    ///
    /// Several instances in an image become rows with a box; hidden and missing
    /// points, names, skeleton and flip pairs are kept, attributes are columns.
    /// `sidelight predict --format` writes predictions back.
    ///
    /// Example: sidelight import labels.json --out metadata.csv
    #[command(verbatim_doc_comment)]
    Import(import::ImportArgs),
    /// List every problem with a table and its images
    ///
    /// Lists all problems at once: unreadable images, keypoints outside the image,
    /// cells of the wrong type, duplicates, leaks.
    ///
    /// Exits with 1 if any of them would stop training.
    ///
    /// Example: sidelight check sidelight.toml
    #[command(verbatim_doc_comment)]
    Check(check::CheckArgs),
    /// Advise which columns to keep, before training
    ///
    /// Reports for each column how well it predicts the target alone, and whether
    /// it is the target in disguise, an identifier, or distributed differently in
    /// training and validation; and which images are duplicates. Trains nothing;
    /// takes seconds to minutes.
    ///
    /// Advises for each column: keep, look at, or drop, with the reason. Exits
    /// with 1 if a column in use should be dropped.
    ///
    /// Example: sidelight audit sidelight.toml --out audit.html
    #[command(verbatim_doc_comment)]
    Audit(audit::AuditArgs),
    /// Suggest a learning rate
    ///
    /// Trains for up to a hundred steps at a rate rising from 1e-7 to 10, and
    /// suggests the rate at which the loss falls fastest. Saves no model.
    ///
    /// Exits with 1 if the loss never falls for long enough.
    ///
    /// Example: sidelight lr-find sidelight.toml --out rates.html
    LrFind(lr_find::LrFindArgs),
    /// Train a model from a sidelight.toml
    ///
    /// Trains a model and writes a run folder: config.toml, model/, log.jsonl,
    /// metrics.json, predictions.csv and report.html.
    ///
    /// Ctrl-C saves a checkpoint and stops; `--resume` continues from it, with
    /// bit-identical results. A second Ctrl-C quits immediately.
    ///
    /// With `--folds 5` five models are trained, each without one fold; the run's
    /// model is their mean. All other commands take it as they take any other.
    ///
    /// Under mpirun (built with `--features mpi`) the processes train one model
    /// together, each on its share of the rows: see docs/scale.md.
    ///
    /// Example: sidelight train sidelight.toml --out runs/a --set train.epochs=5
    #[command(verbatim_doc_comment)]
    Train(train::TrainArgs),
    /// Test whether the metadata helps
    ///
    /// Trains on the image alone, the metadata alone and both, plus controls, all
    /// on the same folds, and tests whether the metadata helps. Writes
    /// compare.json, out_of_fold.csv and report.html.
    ///
    /// Each training is saved as soon as it finishes: after Ctrl-C or a crash, run
    /// the same command again to continue.
    ///
    /// Example: sidelight compare sidelight.toml --out runs/answer --quick
    #[command(verbatim_doc_comment)]
    Compare(compare::CompareArgs),
    /// Evaluate a trained model
    ///
    /// Evaluates a trained model on its own validation rows, or on every row of
    /// another table.
    ///
    /// Example: sidelight eval runs/a test.csv --format json
    #[command(verbatim_doc_comment)]
    Eval(eval::EvalArgs),
    /// Predict every row of a table with a trained model
    ///
    /// Predicts every row of a table of any length; the table needs no target.
    ///
    /// The table is read and predicted in parts, kept in FILE.parts until all are
    /// done. After Ctrl-C, a crash or a power cut, run the same command again to
    /// continue after the last complete part.
    ///
    /// A row that cannot be predicted (a missing or damaged image, a malformed
    /// line, text where a number belongs) keeps its place in FILE and is listed
    /// with the reason in predictions.bad.csv beside it; the exit code is then 1.
    /// Categories and missing values not seen in training are counted and
    /// reported.
    ///
    /// Example: sidelight predict runs/a new.csv --out predictions.csv
    #[command(verbatim_doc_comment)]
    Predict(predict::PredictArgs),
    /// Write what the backbone says of each image, for other tools
    ///
    /// Computes the pooled output of the backbone for every row of the table: the
    /// input of another model, in scikit-learn or CatBoost. Nothing is trained and
    /// nothing is changed at random.
    ///
    /// Takes a sidelight.toml (its backbone with its weights) or a run (its trained
    /// backbone). A row whose image cannot be read keeps its place, as NaN, and is
    /// listed with the reason; the exit code is then 1.
    ///
    /// Example: sidelight features sidelight.toml --out features.npy
    #[command(verbatim_doc_comment)]
    Features(features::FeaturesArgs),
    /// Show rows as the network sees them, with a run's predictions
    ///
    /// Prints rows as read and as encoded; with --out, writes a page with the
    /// images and keypoints as the network sees them.
    ///
    /// For a run, the page adds predictions and the rows with the largest losses.
    ///
    /// Example: sidelight show sidelight.toml --out batch.html
    #[command(verbatim_doc_comment)]
    Show(show::ShowArgs),
    /// Explain a trained model's predictions
    ///
    /// Reports how much each column matters on held-out rows, and how much of the
    /// predictions comes from the image and how much from the metadata. With
    /// --row, explains one row and what would change its prediction; with --point,
    /// what each column moves a point by; with --out, also shows where the network
    /// looks.
    ///
    /// Explains the run's validation rows, or the rows of a table.
    ///
    /// Example: sidelight explain runs/a --row 214 --out why.html
    #[command(verbatim_doc_comment)]
    Explain(explain::ExplainArgs),
    /// Serve trained models over HTTP: a web page and a JSON API
    ///
    /// Serves the models of one or more runs: a page at / with a form that draws
    /// predictions on the image, a JSON API at /v1/predict, and the columns of a
    /// model at /v1/schema. /openapi.json describes the whole API.
    ///
    /// Ctrl-C or SIGTERM stops it after it has answered all accepted requests. A
    /// run whose folder changes is reloaded without interruption.
    ///
    /// Example: sidelight serve runs/a runs/b --addr 127.0.0.1:8080
    #[command(verbatim_doc_comment)]
    Serve(serve::ServeArgs),
    /// Export a trained model: ONNX, safetensors, a folder for the hub
    ///
    /// Exports a trained model for use in other programs, or for other people.
    ///
    /// The ONNX graph takes the image and one input per metadata column (missing
    /// values: empty strings and NaN) and returns class names and probabilities,
    /// keypoints in image pixels, or values in their original unit. Prints the
    /// graph's inputs and outputs.
    ///
    /// The folder for the Hugging Face hub holds the model and a card: what it is
    /// for, how good it is, whether its metadata helps, and what is not known.
    ///
    /// Example: sidelight export runs/a --onnx model.onnx
    /// Example: sidelight export runs/a --hub houses --comparison runs/answer
    #[command(verbatim_doc_comment)]
    Export(export::ExportArgs),
    /// List a network's layers, or the tensors in a weights file
    ///
    /// Lists a network's layers: path, kind, output shape, number of parameters,
    /// multiply-adds.
    ///
    /// Takes a sidelight.toml (the network it would train), a run, the name of a
    /// backbone, or a .pth or .safetensors file.
    ///
    /// Example: sidelight inspect runs/a --match 'layer4.*'
    #[command(verbatim_doc_comment)]
    Inspect(inspect::InspectArgs),
    /// List the backbones that `model.backbone` accepts
    ///
    /// Lists the backbones that `model.backbone` accepts.
    ///
    /// Example: sidelight backbones
    #[command(verbatim_doc_comment)]
    Backbones(backbones::BackbonesArgs),
    /// Print the JSON Schema of sidelight.toml, for editors
    ///
    /// Prints the JSON Schema (draft 2020-12) of a sidelight.toml: every field with
    /// its type, default and description. Editors complete and check with it a file
    /// that begins with `#:schema ./sidelight.schema.json`.
    ///
    /// `sidelight init --schema` writes both at once.
    ///
    /// Example: sidelight schema --out sidelight.schema.json
    #[command(verbatim_doc_comment)]
    Schema(schema::SchemaArgs),
    /// Print completions for a shell
    ///
    /// Prints a script that completes commands, options and their values. Where it
    /// belongs depends on the shell: see docs/install.md.
    ///
    /// Example: sidelight completions fish > ~/.config/fish/completions/sidelight.fish
    #[command(verbatim_doc_comment)]
    Completions(completions::CompletionsArgs),
    /// Write manual pages
    ///
    /// Writes sidelight.1 and a page for each command, with the text of --help.
    ///
    /// Example: sidelight man --out ~/.local/share/man/man1
    #[command(verbatim_doc_comment)]
    Man(man::ManArgs),
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
