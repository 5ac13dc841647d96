//! What the Python package uses of the command line: how a configuration is begun and read, what the server says of a row.
//!
//! It is no programming interface: that is the crate `sidelight`.

use std::path::Path;

use clap::Parser as _;
use serde_json::Value;
use sidelight::config::Config;
use sidelight::dataset::RequestRow;
use sidelight::model::Model;
use sidelight::predict::Predictor;
use sidelight::task::{Prediction, Task};
use sidelight::train::FeatureCache;

use crate::args::{Arguments, Cached, Command, Machine};
use crate::command::{self, configuration::fetched};
use crate::refusal::Refusal;
use crate::serve;
use crate::terminal::Terminal;

/// The configuration that `sidelight init WORDS…` would write, as TOML.
///
/// # Errors
///
/// Where the words are not those of `sidelight init`, and where it would refuse.
pub fn init(words: Vec<String>) -> anyhow::Result<String> {
    let words = ["sidelight".to_owned(), "init".to_owned()]
        .into_iter()
        .chain(words);
    let Command::Init(args) = Arguments::try_parse_from(words)?.command else {
        anyhow::bail!("not a command line of `sidelight init`");
    };
    Ok(command::init::begin(&args, Path::new("-"))?.toml)
}

/// A configuration from its text, as if it stood in the file `path`, its weights fetched.
///
/// # Errors
///
/// Those of [`Config::parse`] and of fetching weights.
pub fn configuration(text: &str, path: &Path, sets: &[String]) -> anyhow::Result<Config> {
    fetched(Config::parse(text, path, sets)?, &mut Terminal::new(true))
}

/// The model of a run, as the commands load it.
///
/// # Errors
///
/// Those of [`Model::open`].
pub fn load(run: &Path) -> anyhow::Result<Model> {
    Machine::default().load(run)
}

/// Where features of frozen layers are kept from one run to the next, as the commands keep them.
pub fn feature_cache() -> Option<FeatureCache> {
    Cached::default().features()
}

/// A prediction as `/v1/predict` has it.
pub fn prediction(task: &Task, prediction: &Prediction) -> Value {
    serve::prediction(task, prediction)
}

/// What the prediction of a row is made of, as `/v1/explain` has it; of points all of them, or the one of this number.
///
/// # Errors
///
/// A row that cannot be predicted.
pub fn explanation(
    predictor: &Predictor,
    row: &RequestRow,
    point: Option<usize>,
) -> anyhow::Result<Value> {
    let explained = serve::explanation("", predictor, row, point);
    let mut said =
        explained.map_err(|fault| refused(fault.message, fault.hint.unwrap_or_default()))?;
    if let Some(fields) = said.as_object_mut() {
        fields.remove("model");
    }
    Ok(said)
}

/// An error with its hint.
pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Refusal::new(message, hint).into()
}

/// The hint of an error of the command line itself.
pub fn hint(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    let hint = cause.downcast_ref::<Refusal>()?.hint.clone();
    (!hint.is_empty()).then_some(hint)
}
