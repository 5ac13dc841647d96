//! A run as a folder for the Hugging Face hub: the model, and a card that says what it is.
//!
//! | file | what |
//! |---|---|
//! | `README.md` | the model card |
//! | `config.json` | what the model reads and says, for programs |
//! | `config.toml` | the configuration that it was trained with, without folders |
//! | `model.json`, `model.safetensors` | the model, as [`Model::load`] reads it |
//! | `.gitattributes` | which files git keeps as large ones |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::card::{Card, Licence};
use crate::compare::StoredAnswer;
use crate::config::{TargetKind, collapse_range, key};
use crate::error::{Error, Result, cannot_read, cannot_write, setting};
use crate::model::Model;
use crate::model::store::HUB_WEIGHTS;
use crate::run::{DESCRIPTION, Run, write_json, write_whole};

const CARD: &str = "README.md";
const SUMMARY: &str = "config.json";
const CONFIG: &str = "config.toml";
const ATTRIBUTES: &str = ".gitattributes";
/// In the order in which they are written.
const FILES: [&str; 5] = [SUMMARY, CONFIG, HUB_WEIGHTS, DESCRIPTION, CARD];
/// What says that a card or a summary is ours.
const LIBRARY: &str = "sidelight";
/// Cards and summaries are not looked into beyond.
const LARGEST_LOOKED_INTO: u64 = 4 << 20;

/// What the hub itself puts into a new repository.
///
/// # Source
///
/// The `.gitattributes` of a model repository made on huggingface.co.
const LARGE: [&str; 35] = [
    "*.7z",
    "*.arrow",
    "*.bin",
    "*.bz2",
    "*.ckpt",
    "*.ftz",
    "*.gz",
    "*.h5",
    "*.joblib",
    "*.lfs.*",
    "*.mlmodel",
    "*.model",
    "*.msgpack",
    "*.npy",
    "*.npz",
    "*.onnx",
    "*.ot",
    "*.parquet",
    "*.pb",
    "*.pickle",
    "*.pkl",
    "*.pt",
    "*.pth",
    "*.rar",
    "*.safetensors",
    "saved_model/**/*",
    "*.tar.*",
    "*.tar",
    "*.tflite",
    "*.tgz",
    "*.wasm",
    "*.xz",
    "*.zip",
    "*.zst",
    "*tfevents*",
];

/// How a run is shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShareOptions {
    /// The folder of a comparison on the same table, whose answer the card tells. Default: none; the card says that it is
    /// not known whether the metadata helps.
    pub comparison: Option<PathBuf>,
    /// The licence of what is shared, as the hub writes it: `apache-2.0`. Default: that of the weights that training
    /// began with, where it is known.
    pub licence: Option<String>,
    /// Whether files of an earlier export are replaced; all others stay in any case. Default: no.
    pub overwrite: bool,
}

/// A folder that was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// Its files, and the bytes of each.
    pub files: Vec<(PathBuf, u64)>,
    /// What the person should know.
    pub remarks: Vec<String>,
}

/// Writes a finished run as a folder for the Hugging Face hub. No path of this machine is in it; what it holds of the
/// training rows is said in the card. `sidelight predict`, [`Model::open`] and Python's `sl.load` take the folder for a
/// run, and predict to the bit what the run predicts.
///
/// # Errors
///
/// [`Error::ShareNotEmpty`], [`Error::ForeignFile`]; those of [`Model::load`] and [`StoredAnswer::read`];
/// [`Error::OtherComparison`]; [`DataError::Setting`](crate::error::DataError::Setting) of a licence that is no name;
/// [`DataError::Write`](crate::error::DataError::Write).
///
/// # Example
///
/// ```no_run
/// use std::path::Path;
/// use sidelight::export::{ShareOptions, share};
/// use sidelight::run::Run;
///
/// let run = Run::open(Path::new("runs/a"))?;
/// let shared = share(&run, Path::new("houses"), &ShareOptions::default())?;
/// println!("{} files", shared.files.len());
/// # Ok::<(), sidelight::Error>(())
/// ```
pub fn share(run: &Run, dir: &Path, options: &ShareOptions) -> Result<Shared> {
    admit(dir, options.overwrite)?;
    let mut model = Model::load(&run.model_dir())?;
    let begun_from = model.config.model.clone();
    model.config = model.config.without_places();
    let answer = options.comparison.as_deref();
    let answer = answer.map(StoredAnswer::read).transpose()?;
    if let (Some(path), Some(answer)) = (&options.comparison, &answer) {
        check_same_target(path, answer, model.task.kind())?;
    }
    let licence = match &options.licence {
        Some(id) => Licence::named(checked_licence(id)?, &begun_from)?,
        None => Licence::of_weights(&begun_from)?,
    };
    let mut remarks = Vec::new();
    if !licence.is_known() {
        remarks.push(
            "the licence is unknown: choose one before you publish (`license:` in README.md)"
                .into(),
        );
    }
    let metrics = run.metrics()?;
    let card = Card {
        name: name_of(dir),
        model: &model,
        metrics: &metrics,
        answer: answer.as_ref(),
        licence: &licence,
    };
    let card = card.markdown();

    fs::create_dir_all(dir).map_err(cannot_write(dir))?;
    // First what the others are known by, last what a person reads.
    write_json(&dir.join(SUMMARY), &summary(&model))?;
    write_text(&dir.join(CONFIG), &toml_of(&model)?)?;
    model.save_as(dir, HUB_WEIGHTS)?;
    write_text(&dir.join(CARD), &card)?;
    remarks.extend(write_attributes(&dir.join(ATTRIBUTES))?);
    let mut files = Vec::new();
    for name in FILES.into_iter().chain([ATTRIBUTES]) {
        let path = dir.join(name);
        let n_bytes = fs::metadata(&path).map_err(cannot_read(&path))?.len();
        files.push((path, n_bytes));
    }
    Ok(Shared { files, remarks })
}

/// Refuses to write where files are that are not ours.
fn admit(dir: &Path, overwrite: bool) -> Result<()> {
    let is_empty = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(cannot_write(dir)(error).into()),
    };
    if is_empty {
        return Ok(());
    }
    if !overwrite {
        return Err(Error::ShareNotEmpty {
            path: dir.to_path_buf(),
        });
    }
    let is_ours = |name: &str| match name {
        CARD => says(&dir.join(CARD), &format!("\nlibrary_name: {LIBRARY}\n")),
        // The others have nothing of their own to be known by.
        _ => says(
            &dir.join(SUMMARY),
            &format!("\"library_name\": \"{LIBRARY}\""),
        ),
    };
    let mut there = FILES.into_iter().filter(|name| dir.join(name).exists());
    match there.find(|name| !is_ours(name)) {
        Some(name) => Err(Error::ForeignFile {
            path: dir.join(name),
        }),
        None => Ok(()),
    }
}

/// Whether a text has this in it; one that cannot be read, or is too long, has not.
fn says(path: &Path, part: &str) -> bool {
    let is_short = fs::metadata(path).is_ok_and(|found| found.len() <= LARGEST_LOOKED_INTO);
    is_short && fs::read_to_string(path).is_ok_and(|text| text.contains(part))
}

/// What decides a comparison tells targets apart.
fn check_same_target(path: &Path, answer: &StoredAnswer, kind: TargetKind) -> Result<()> {
    let decided: &[&str] = match kind {
        TargetKind::Keypoints => &["mean_nme", "mean_px"],
        TargetKind::Class | TargetKind::Multilabel => &["log_loss"],
        TargetKind::Regression => &["huber"],
    };
    let score = &answer.evidence.decision.score;
    match decided.contains(&score.as_str()) {
        true => Ok(()),
        false => Err(Error::OtherComparison {
            path: path.to_path_buf(),
            score: score.clone(),
            kind,
        }),
    }
}

/// A name as the hub writes licences.
fn checked_licence(id: &str) -> Result<&str> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ['-', '.'].contains(&c);
    match !id.is_empty() && id.len() <= 64 && id.chars().all(is_name) {
        true => Ok(id),
        false => Err(setting("licence", "a name of the hub, as in `apache-2.0`", id).into()),
    }
}

/// What the folder is called, and so the model.
fn name_of(dir: &Path) -> String {
    let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
    let whole = fs::canonicalize(&whole).unwrap_or(whole);
    let name = whole.file_name().map(|name| name.to_string_lossy());
    name.map_or_else(|| LIBRARY.to_owned(), |name| name.into_owned())
}

/// What a program asks of a model, whatever it is made of.
fn summary(model: &Model) -> Value {
    let config = &model.config;
    let reads_image = model.reads_image();
    let columns = match model.network.reads_metadata() {
        true => model.encoder.columns.as_slice(),
        false => &[],
    };
    let metadata: serde_json::Map<_, _> = columns
        .iter()
        .map(|column| (column.name.clone(), json!(column.config.kind)))
        .collect();
    json!({
        "library_name": LIBRARY,
        "sidelight_version": env!("CARGO_PKG_VERSION"),
        "task": model.task.kind(),
        "arm": config.model.arm,
        "backbone": reads_image.then_some(&config.model.backbone),
        "fusion": config.model.fusion,
        "image_columns": reads_image.then(|| config.data.image.names()),
        "image_size": reads_image.then_some(config.train.size),
        "metadata": metadata,
        "target": collapse_range(&config.target.names()),
        "names": model.task.part_names(),
    })
}

/// The configuration, to be read beside the table that it names.
fn toml_of(model: &Model) -> Result<String> {
    let mut config = model.config.clone();
    config.target.columns = collapse_range(&config.target.columns);
    let text = toml::to_string_pretty(&config)
        .map_err(|error| setting("config", "values that TOML can hold", error))?;
    let name = key(&config.data.table.to_string_lossy());
    Ok(format!(
        "# The table is {name} beside this file; `--set data.table=…` names another.\n{text}"
    ))
}

/// Which files git keeps as large ones; a person's own list stays.
fn write_attributes(path: &Path) -> Result<Option<String>> {
    if path.exists() {
        let has_weights = says(path, "*.safetensors filter=lfs");
        return Ok((!has_weights).then(|| {
            format!(
                "{} has no line for `*.safetensors`: the hub takes files above 10 MB through git-lfs only",
                path.display()
            )
        }));
    }
    let line = |pattern: &&str| format!("{pattern} filter=lfs diff=lfs merge=lfs -text\n");
    write_text(path, &LARGE.iter().map(line).collect::<String>())?;
    Ok(None)
}

fn write_text(path: &Path, text: &str) -> Result<()> {
    Ok(write_whole(path, |file| file.write_all(text.as_bytes()))?)
}
