//! What can go wrong with networks, training, runs and predictions; [`Error::Data`] is what lies below.

use std::path::PathBuf;

use strum::EnumProperty as _;

use crate::kind::TargetKind;

pub(crate) use sidelight_data::error::first_of;
pub use sidelight_data::error::{
    ObjectFault, Place, cannot_read, cannot_write, in_full, listed, message_of, nearest,
    nearest_or, setting,
};

/// What went wrong with tables, images and files.
pub type DataError = sidelight_data::Error;
/// What went wrong with a comparison's evidence.
pub type EvidenceError = sidelight_evidence::Error;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
///
/// `Display` says this level only, the cause is [`std::error::Error::source`],
/// and [`Error::hint`] says what to do next.
#[derive(Debug, thiserror::Error, strum::EnumProperty)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "a variant's message shows what its fields hold"
)]
pub enum Error {
    /// Tables, images, files, the configuration.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Evidence of a comparison.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),

    // === weights from the hub ===
    /// `model.weights = "auto"` for a backbone whose weights are on no hub that is read here.
    #[error("no weights of `{backbone}` on the Hugging Face hub are read")]
    #[strum(props(
        hint = "set `model.weights` to a file (`sidelight backbones` says whose), or to `none` to train from scratch"
    ))]
    HubNone { backbone: &'static str },
    /// Weights that are not in the cache, in offline mode.
    #[error("the weights `{name}` are not in {}, and nothing is downloaded in offline mode", folder.display())]
    HubOffline {
        name: String,
        /// Where they would be downloaded from.
        url: String,
        /// Where they would be.
        folder: PathBuf,
    },
    /// The hub, or the store that it leads to, does not answer.
    #[error("cannot reach {url}")]
    HubUnreachable {
        name: String,
        /// Who was asked, without what may be secret in it.
        url: String,
        /// The file at the hub.
        file: String,
        /// What the connection said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No such repository or revision, or no weights in it.
    #[error("no weights `{name}` at {endpoint}: it has neither {}", files.join(" nor "))]
    #[strum(props(
        hint = "is the name right? A file that is there under another name can be downloaded by hand and given as a path"
    ))]
    HubNotFound {
        name: String,
        /// Where it was looked for.
        endpoint: String,
        /// The files that were looked for.
        files: Vec<&'static str>,
    },
    /// Weights of a private or gated repository.
    #[error("{endpoint} denies access to `{name}` (HTTP {status})")]
    HubRefused {
        name: String,
        endpoint: String,
        /// 401 or 403.
        status: u16,
        /// Whether a token was shown.
        has_token: bool,
    },
    /// An answer that is not a file.
    #[error("{url} answered with {answer}")]
    #[strum(props(hint = "try again later; a mirror is named with HF_ENDPOINT"))]
    HubAnswer {
        /// Who answered, without what may be secret in it.
        url: String,
        /// What, in words.
        answer: String,
    },
    /// A download above the size limit, or larger than announced.
    #[error("{url} has at least {bytes} bytes; the limit is {limit}")]
    #[strum(props(hint = "is this the right repository? Nothing of it was kept"))]
    HubSize {
        url: String,
        /// What it has, or what had come when it was refused.
        bytes: u64,
        /// What it may have.
        limit: u64,
    },
    /// A download that broke off, after several attempts.
    #[error("the download of {url} broke off after {done}{} bytes", size.map_or_else(String::new, |size| format!(" of {size}")))]
    #[strum(props(hint = "the same command resumes the download"))]
    HubBroken {
        url: String,
        /// Bytes that are there.
        done: u64,
        /// Bytes in all, where that is known.
        size: Option<u64>,
        /// What the connection said.
        source: std::io::Error,
    },
    /// A download whose checksum is not what the hub says.
    #[error("{url} arrived damaged: its checksum is {found}, expected {expected}")]
    #[strum(props(hint = "it was removed: the same command downloads it again"))]
    HubChecksum {
        url: String,
        /// What the hub says.
        expected: String,
        /// What it is.
        found: String,
    },

    // === several processes ===
    /// One of several processes cannot continue; the others may not know yet.
    #[error("rank {rank} on {host}")]
    OnRank {
        /// Its number, from 0.
        rank: usize,
        host: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another process cannot continue, and says why.
    #[error("rank {rank} cannot continue")]
    OtherRank {
        /// Its number, from 0.
        rank: usize,
    },
    /// Processes that work together were given different things.
    #[error(
        "the {what} of rank {rank} on {host} differ from those of rank 0: expected {first}, found {found}"
    )]
    RanksDiffer {
        what: &'static str,
        /// The first that differs.
        rank: usize,
        host: String,
        /// What rank 0 has.
        first: String,
        /// What this one has.
        found: String,
    },

    // === run folder ===
    /// A results folder that already holds something, and nothing said what to do with it.
    #[error("{} already holds {found}", path.display())]
    OutputNotEmpty {
        path: PathBuf,
        /// What is in it.
        found: FolderContent,
    },
    /// A folder that another process is writing a run into.
    #[error("another process is writing to {}", path.display())]
    #[strum(props(hint = "wait for it to end, or choose another folder"))]
    RunInUse { path: PathBuf },
    /// A folder that is not a run.
    #[error("{} is not a run: it has no `{missing}`", path.display())]
    #[strum(props(hint = "a run is the folder that training writes"))]
    NotARun {
        path: PathBuf,
        /// The file or folder that every run has.
        missing: &'static str,
    },
    /// A run that was stopped or killed before its end.
    #[error("the run in {} is not finished", path.display())]
    #[strum(props(hint = "resume its training"))]
    UnfinishedRun { path: PathBuf },
    /// A `metrics.json` that does not parse.
    #[error("{} is not a valid metrics file", path.display())]
    MetricsFile {
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A file written by a version of this program that is newer than this one.
    #[error("{} has schema {found}; this version supports schemas up to {known}", path.display())]
    #[strum(props(hint = "it needs a newer version of sidelight"))]
    SchemaTooNew {
        path: PathBuf,
        found: u32,
        /// The newest that we can read.
        known: u32,
    },
    /// A line of `log.jsonl` that does not parse.
    #[error("{}, line {line}: not a valid log line", path.display())]
    LogLine {
        path: PathBuf,
        /// The line, the first being 1.
        line: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// Columns of metadata that a model reads and a table to predict lacks.
    #[error("{} has no column {}, which the model reads", path.display(), quoted(absent).join(", "))]
    AbsentColumns {
        path: PathBuf,
        /// The columns.
        absent: Vec<String>,
        /// What the table has.
        columns: Vec<String>,
    },
    /// A table to predict whose images are not where they were in training.
    #[error("{}: none of the first {n} images is at `{image}`", path.display())]
    ImagesElsewhere {
        path: PathBuf,
        /// How many were looked for.
        n: usize,
        /// What names them.
        image: String,
        /// What would find them.
        found: String,
    },
    /// Partial predictions that were begun with something else.
    #[error("the predictions in {} were begun with a different {what}: {begun}, now {now}", path.display())]
    PartsDiffer {
        /// The folder of the parts.
        path: PathBuf,
        /// The first thing that differs.
        what: &'static str,
        /// What it was.
        begun: String,
        /// What it is.
        now: String,
    },
    /// A file of a folder of partial predictions that does not parse.
    #[error("{} is not a valid file of partial predictions", path.display())]
    PartsFile {
        path: PathBuf,
        /// What is wrong, with its line.
        source: serde_json::Error,
    },

    // === network, weights ===
    /// No backbone of that name.
    #[error("no backbone `{name}`")]
    NoBackbone {
        /// What was asked for.
        name: String,
        /// What there is.
        names: Vec<String>,
    },
    /// No fusion of that name.
    #[error("no fusion `{name}`")]
    NoFusion {
        /// What was asked for.
        name: String,
        /// What there is.
        names: Vec<String>,
    },
    /// A path that leads to no layer of the network.
    #[error("no layer `{path}` in the network")]
    NoLayer {
        /// The path as it was given.
        path: String,
        /// The layer up to which it leads; empty: the network itself.
        parent: String,
        /// The names of that layer's children.
        children: Vec<String>,
    },
    /// A freeze or unfreeze pattern that matches no parameter.
    #[error("no parameter of the network matches `{pattern}`")]
    NoParameter {
        pattern: String,
        /// The names of the network's children.
        children: Vec<String>,
    },
    /// A layer of that name exists.
    #[error("the network already has a layer `{path}`")]
    LayerExists { path: String },
    /// Not a valid layer name: empty, or with a dot.
    #[error("`{name}` is not a valid layer name")]
    #[strum(props(hint = "a name has at least one character and no dot"))]
    LayerName { name: String },
    /// Two layers that do not fit together, found before anything runs.
    #[error("`{path}` ({layer}) expects {expected}, but gets {found}")]
    Shape {
        /// The layer that does not fit.
        path: String,
        layer: String,
        /// What it takes.
        expected: String,
        /// What comes to it.
        found: String,
        /// The edit that would fit, where there is one.
        fit: Option<String>,
    },
    /// A setting of a layer that makes no sense (a stride of 0, groups that do not divide the channels, …).
    #[error("`{path}` ({layer}): `{field}` must be {expected}, found `{found}`")]
    LayerField {
        path: String,
        layer: String,
        field: &'static str,
        /// What it can be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A layer written in JSON or TOML that does not parse.
    #[error("cannot read the layer {at}")]
    LayerDescription {
        at: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A saved network with a library user's own layer.
    #[error("`{path}` is the custom layer `{name}`, which is not known here")]
    CustomLayer {
        /// Where it stands.
        path: String,
        name: String,
    },
    /// A file of weights that is truncated, damaged or something else.
    #[error("cannot read weights from {}: {reason}", path.display())]
    #[strum(props(
        hint = "weights are read from `.safetensors` and from PyTorch's `.pth` or `.pt`; fetch the file again if it was cut short"
    ))]
    WeightsFile {
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of weights above the size limit.
    #[error("{} has {bytes} bytes; the limit for weights is {limit}", path.display())]
    #[strum(props(hint = "is this the right file of weights?"))]
    WeightsSize {
        path: PathBuf,
        bytes: u64,
        /// The largest size that is read.
        limit: u64,
    },
    /// A file of weights that lacks parameters of the network, or has others.
    #[error("weights in {} do not fit the network: {}", path.display(), key_summary(missing, unexpected))]
    WeightsKeys {
        path: PathBuf,
        /// The network's keys that the file lacks.
        missing: Vec<String>,
        /// The file's keys that the network lacks.
        unexpected: Vec<String>,
        /// The backbone that it does fit.
        of: Option<&'static str>,
    },
    /// Parameters of another shape than the network's.
    #[error("weights in {} do not fit the network: {}", path.display(), shape_summary(wrong))]
    #[strum(props(
        hint = "the file was made for another variant of this network: change `model.backbone`, or take another file"
    ))]
    WeightsShape {
        path: PathBuf,
        /// Key, the network's shape, the file's.
        wrong: Vec<(String, Vec<usize>, Vec<usize>)>,
        /// The backbone that it does fit.
        of: Option<&'static str>,
    },
    /// A parameter that is not made of floating-point numbers.
    #[error("weights in {}: `{key}` is {found}, expected floating-point numbers", path.display())]
    #[strum(props(
        hint = "float32, float64, float16 and bfloat16 are read; quantised weights are not"
    ))]
    WeightsType {
        path: PathBuf,
        key: String,
        /// Its element type.
        found: String,
    },
    /// A parameter with an infinite or undefined value.
    #[error("weights in {}: `{key}` holds {value} at element {index}", path.display())]
    #[strum(props(hint = "the file comes from a training that diverged; take another one"))]
    WeightsNotFinite {
        path: PathBuf,
        key: String,
        /// Position in row-major order.
        index: usize,
        /// What is there.
        value: f32,
    },
    /// A saved state that does not belong to this network.
    #[error(
        "the saved state does not fit the network: {}",
        key_summary(missing, unexpected)
    )]
    State {
        /// The network's keys that it lacks or that have another shape there.
        missing: Vec<String>,
        /// Its keys that the network lacks.
        unexpected: Vec<String>,
    },

    // === predict, stored models ===
    /// A file of a model or of a checkpoint does not parse.
    #[error("{} is not a valid file of a model or checkpoint", path.display())]
    #[strum(props(hint = "copy the whole folder again from its source, or train again"))]
    StoredJson {
        path: PathBuf,
        /// What is wrong, with its line.
        source: serde_json::Error,
    },
    /// A safetensors file does not parse, or lacks a tensor.
    #[error("{} is not a valid file of tensors: {expected}", path.display())]
    #[strum(props(hint = "copy the whole folder again from its source, or train again"))]
    StoredTensors {
        path: PathBuf,
        /// What should have been there.
        expected: String,
        /// What is wrong.
        source: Option<safetensors::SafeTensorError>,
    },
    /// A file above the size limit of its kind.
    #[error("{} has {found} bytes; the limit is {largest}", path.display())]
    #[strum(props(hint = "copy the whole folder again from its source, or train again"))]
    StoredSize {
        path: PathBuf,
        /// What it has.
        found: u64,
        /// What it can have.
        largest: u64,
    },
    /// A file is not what was written: its checksum differs.
    #[error("{} is damaged: its SHA-256 is {found}, expected {expected}", path.display())]
    #[strum(props(hint = "copy the whole folder again from its source, or train again"))]
    Checksum {
        path: PathBuf,
        /// What was noted when it was written.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Two parts of a stored model do not belong together.
    #[error("{}: the {part} has {found}, expected {expected}", path.display())]
    #[strum(props(
        hint = "the files come from different runs: copy the whole `model` folder of one"
    ))]
    ModelParts {
        /// The folder of the model.
        path: PathBuf,
        part: &'static str,
        /// What the other parts ask for.
        expected: String,
        /// What it has.
        found: String,
    },
    /// A row without a prediction, where each must have one.
    #[error("{at}: {reason}")]
    BadRow { at: Place, reason: String },
    /// The same, of a row that an earlier job listed.
    #[error("{bad}")]
    ListedBadRow {
        /// Where it is, and why it has no prediction.
        bad: String,
    },
    /// Scores were asked for, and the table has no targets.
    #[error("{}: expected the target's columns {}, found none of them", path.display(), listed(columns))]
    NoTargets {
        path: PathBuf,
        /// The target's columns.
        columns: Vec<String>,
    },

    /// Points that are sure were asked of a model that does not say how sure its points are.
    #[error("the model does not say how sure its points are")]
    #[strum(props(
        hint = "models of keypoints do that are trained by this version; train it again, or leave `--min-confidence` out"
    ))]
    NoConfidence,
    /// Sets of a coverage were asked of a model that does not know how far off it is.
    #[error("the model does not know how far off it is on rows that it has not learned from")]
    #[strum(props(hint = "it was trained by an earlier version: train it again, and it will"))]
    NoConformal,
    /// Too few rows to say what holds such a share of the truth.
    #[error(
        "{}{units} {} that the model has not learned from are too few for a coverage of {coverage}: at least {needed} are needed",
        part.as_ref().map_or_else(String::new, |part| format!("{part}: ")),
        if *grouped { "groups of rows" } else { "rows" }
    )]
    TooFewForCoverage {
        coverage: f64,
        /// Label, column or point, where there are several.
        part: Option<String>,
        /// How many there are.
        units: usize,
        /// How many it takes.
        needed: usize,
        /// Whether they are groups.
        grouped: bool,
    },

    // === train ===
    /// The loss, or the length of its gradient, became infinite or not a number.
    #[error(
        "the loss or its gradient is {loss} at epoch {epoch}, step {step}, at a learning rate of {learning_rate:.2e}"
    )]
    Diverged {
        /// Epoch, the first being 1.
        epoch: usize,
        /// Step in the epoch, the first being 1.
        step: usize,
        /// What it became.
        loss: f64,
        /// The rate that this step had.
        learning_rate: f64,
    },
    /// All parameters are frozen.
    #[error("nothing to train: all {n_parameters} parameters of the network are frozen")]
    #[strum(props(hint = "take out a freezing edit, or set `train.freeze = false`"))]
    NothingToTrain {
        /// How many there are.
        n_parameters: usize,
    },
    /// Too few training rows.
    #[error("{}: expected at least {expected} training rows, found {found}", path.display())]
    #[strum(props(hint = "is `data.limit` or the split too small?"))]
    TooFewRows {
        path: PathBuf,
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// The configuration is not the one that the run was started with.
    #[error("{}: the run was started with `{field} = {begun}`, now it is `{now}`", path.display())]
    ResumeDiffers {
        /// The run folder.
        path: PathBuf,
        /// The first field that differs.
        field: String,
        /// What it was.
        begun: String,
        /// What it is.
        now: String,
    },
    /// More unreadable records than `data.unreadable = "skip"` may skip.
    #[error("{n} records of {} cannot be read; at most {most} may be skipped", path.display())]
    #[strum(props(hint = "`skipped.csv` in the run folder lists them"))]
    TooManyUnreadable {
        path: PathBuf,
        /// How many were met so far.
        n: usize,
        /// The most that there may be.
        most: usize,
    },

    // === compare, explain ===
    /// No arm of that name.
    #[error("no arm `{name}`")]
    NoArm {
        /// What was asked for.
        name: String,
        /// What there is.
        names: Vec<String>,
    },
    /// No point of that name or number to be explained.
    #[error("no point `{name}`")]
    NoPoint {
        /// What was asked for.
        name: String,
        /// What there is; empty where the target is not keypoints.
        names: Vec<String>,
    },
    /// A comparison with other settings than it was started with.
    #[error("{} was made with different settings or rows", path.display())]
    #[strum(props(hint = "ask for what it was started with, or choose another folder"))]
    JobDiffers {
        /// The kept result.
        path: PathBuf,
    },
    /// A kept result of a comparison that does not parse.
    #[error("{} is not a valid result of a comparison", path.display())]
    JobFile {
        path: PathBuf,
        /// What is wrong, with its line.
        source: serde_json::Error,
    },
    /// Results to be merged, some of which are missing.
    #[error("{missing} of {total} results are missing from {}; the first is that of {first}", path.display())]
    #[strum(props(hint = "make the missing results first"))]
    JobsMissing {
        path: PathBuf,
        missing: usize,
        /// Of how many.
        total: usize,
        /// The first of them, in words.
        first: String,
    },

    /// A folder that a comparison has not written its answer to.
    #[error("{} has no `compare.json`: it is not a finished comparison", path.display())]
    #[strum(props(hint = "finish the comparison, or name the folder that one was written to"))]
    NoAnswer { path: PathBuf },

    // === export ===
    /// A comparison of another kind of target than the run's.
    #[error("the comparison in {} is decided by `{score}`, which is no score of the run's target of kind {kind}", path.display())]
    #[strum(props(hint = "name a comparison of the same table and target"))]
    OtherComparison {
        path: PathBuf,
        /// What decided there.
        score: String,
        /// The run's.
        kind: TargetKind,
    },
    /// A folder to be shared that holds files already.
    #[error("{} is not empty", path.display())]
    #[strum(props(
        hint = "choose a new folder, or have the files replaced that an earlier export wrote; all others stay"
    ))]
    ShareNotEmpty { path: PathBuf },
    /// A file that would be replaced, and that no earlier export is known to have written.
    #[error("{} is there, and not known to be written by an export", path.display())]
    #[strum(props(hint = "move it away, or choose another folder"))]
    ForeignFile { path: PathBuf },
    /// A layer without a counterpart in ONNX.
    #[error("`{path}` is a `{layer}` layer, which cannot be exported to ONNX")]
    #[strum(props(hint = "replace it with layers that ONNX has, or export the weights alone"))]
    NoOnnx {
        /// Where it stands.
        path: String,
        layer: String,
    },
    /// A graph too large for one file.
    #[error("the graph takes {n_bytes} bytes; an ONNX file holds at most {most}")]
    #[strum(props(hint = "export the weights alone, or train a smaller `model.backbone`"))]
    OnnxSize {
        /// What it takes.
        n_bytes: usize,
        /// What a file holds.
        most: usize,
    },
}

impl Error {
    /// The row or cell that it is about, where it is about one.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Data(error) => error.place(),
            Self::BadRow { at, .. } => Some(at),
            _ => None,
        }
    }

    /// What to do next, where we know: beside the variant where it is always the same.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Data(error) => return error.hint(),
            Self::Evidence(error) => return error.hint(),
            Self::HubOffline { url, folder, .. } => format!(
                "where there is a network, download {url} and set `model.weights` to the file; or copy {} from there \
                 (offline is what HF_HUB_OFFLINE asks for); `model.weights=none` trains from scratch, which needs far \
                 more rows",
                folder.display()
            ),
            Self::HubUnreachable { file, .. } => format!(
                "without a network, download {file} elsewhere and set `model.weights` to the file; behind a proxy, set \
                 HTTPS_PROXY; a mirror is named with HF_ENDPOINT; `model.weights=none` trains from scratch, which needs \
                 far more rows"
            ),
            Self::HubRefused { name, endpoint, has_token: false, .. } => format!(
                "a private or gated repository needs a token: set HF_TOKEN to one from {endpoint}/settings/tokens; if \
                 `{name}` should be open to all, is the name right?"
            ),
            Self::HubRefused { name, endpoint, .. } => format!(
                "the token in HF_TOKEN does not open it: is it still valid, and are the conditions at {endpoint}/{} accepted?",
                name.split('@').next().unwrap_or(name)
            ),
            Self::RanksDiffer { what: "processors", .. } => {
                "machines with other instructions round differently: run on machines of one kind".into()
            }
            Self::RanksDiffer { .. } => {
                "all ranks need the same program, configuration and files: a folder that all machines share".into()
            }
            Self::OutputNotEmpty { found, .. } => found.get_str("hint")?.into(),
            Self::NoPoint { names, .. } if names.is_empty() => {
                "only a model of keypoints has points".into()
            }
            Self::NoArm { name, names }
            | Self::NoPoint { name, names }
            | Self::NoBackbone { name, names }
            | Self::NoFusion { name, names } => nearest_or(name, names, "there are"),
            Self::AbsentColumns { absent, columns, .. } => {
                let near = |name: &String| Some(format!("`{}` for `{name}`", nearest(name, columns)?));
                let near: Vec<String> = absent.iter().filter_map(near).collect();
                match near.is_empty() {
                    true => format!("the table has: {}", listed(columns)),
                    false => format!("did you mean {}?", near.join(", ")),
                }
            }
            Self::ImagesElsewhere { found, .. } => {
                format!("`{found}` finds them: say so with `predict --image '{found}'` (`data.image`)")
            }
            Self::JobFile { path, .. } => format!(
                "delete {} and run the comparison again: only that result is made anew",
                path.display()
            ),
            Self::TooFewForCoverage { units: 0, .. } => {
                "train it with validation rows of which this is known (`data.split.valid`)".into()
            }
            Self::TooFewForCoverage { units, .. } => format!(
                "ask for a coverage of at most {}, or train with more validation rows (`data.split.valid`)",
                // Rounded down: what is advised is possible.
                (1e4 * *units as f64 / (units + 1) as f64).floor() / 1e4
            ),
            Self::NoLayer { path, parent, children } => {
                let asked = path.strip_prefix(parent.as_str()).unwrap_or(path).trim_start_matches('.');
                let asked = asked.split('.').next().unwrap_or(asked);
                let parent = if parent.is_empty() { "the network".into() } else { format!("`{parent}`") };
                match nearest(asked, children) {
                    Some(near) => format!("{parent} has `{near}`, did you mean that?"),
                    None if children.is_empty() => format!("{parent} has no layers inside"),
                    None => format!("{parent} has: {}", listed(children)),
                }
            }
            Self::NoParameter { children, .. } => {
                format!("a pattern is a path, or one with `*`, as in `layer4.*`; the network has: {}", listed(children))
            }
            Self::LayerExists { path } => format!("give the new layer another `name`, or replace `{path}`"),
            Self::Shape { fit, .. } => return fit.clone(),
            Self::CustomLayer { name, .. } => {
                format!("give the function that makes `{name}` to `Network::from_description_with`")
            }
            Self::WeightsKeys { of: Some(name), .. } | Self::WeightsShape { of: Some(name), .. } => {
                format!("they are weights of `{name}`: set `model.backbone` to it, or take another file")
            }
            Self::WeightsKeys { missing, unexpected, .. } if missing.is_empty() => {
                format!("the file has {} parameters too many: is `model.backbone` the network that it was made for?", unexpected.len())
            }
            Self::WeightsKeys { .. } => "is `model.backbone` the network that the file was made for?".into(),
            Self::Diverged { learning_rate, .. } => {
                format!("lower `train.learning_rate`, to {:.0e} say; `train.clip = 1` limits single steps", learning_rate / 10.0)
            }
            Self::ResumeDiffers { field, begun, path, .. } => format!(
                "set `{field} = {begun}` again, or begin anew in another folder than {}",
                path.display()
            ),
            _ => self.get_str("hint")?.into(),
        })
    }
}

/// What is in a folder that results are to be written to.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display, strum::EnumProperty)]
pub enum FolderContent {
    /// Nothing, or no such folder.
    #[strum(to_string = "nothing")]
    Nothing,
    /// A run with its scores.
    #[strum(
        to_string = "a finished run",
        props(hint = "replace it, or choose another folder")
    )]
    FinishedRun,
    /// A run that was stopped or killed before its end.
    #[strum(
        to_string = "an unfinished run",
        props(hint = "resume it, begin anew, or choose another folder")
    )]
    UnfinishedRun,
    /// Files that are not ours, or not known to be.
    #[strum(
        to_string = "{file}, which is not known to be Sidelight's",
        props(
            hint = "choose a new or an empty folder; what is replaced has the mark of a run (`.sidelight-run`) and nothing else in it"
        )
    )]
    OtherFiles {
        /// The first of them, with its path.
        file: String,
    },
}

/// Each name in code marks.
pub(crate) fn quoted(names: &[String]) -> Vec<String> {
    names.iter().map(|name| format!("`{name}`")).collect()
}

/// Up to five keys, and how many more there are.
fn five(keys: &[String]) -> String {
    first_of(&quoted(keys), 5)
}

fn key_summary(missing: &[String], unexpected: &[String]) -> String {
    match (missing.is_empty(), unexpected.is_empty()) {
        (false, true) => format!("missing {}", five(missing)),
        (true, _) => format!("unexpected {}", five(unexpected)),
        (false, false) => format!("missing {}; unexpected {}", five(missing), five(unexpected)),
    }
}

fn shape_summary(wrong: &[(String, Vec<usize>, Vec<usize>)]) -> String {
    let shown: Vec<String> = wrong
        .iter()
        .take(5)
        .map(|(key, expected, found)| {
            format!("`{key}` is {found:?}, the network wants {expected:?}")
        })
        .collect();
    match wrong.len().checked_sub(5) {
        None | Some(0) => shown.join("; "),
        Some(more) => format!("{}; and {more} more", shown.join("; ")),
    }
}
