//! Every way this library can fail, where it happened and what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A cell, a row or a file: where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub file: PathBuf,
    /// Data row, the first being 1.
    pub row: Option<usize>,
    /// Line in the file where the format has lines, the first being 1.
    pub line: Option<usize>,
    /// Column name.
    pub column: Option<String>,
}

impl Place {
    /// The file as a whole.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self { file: path.as_ref().to_path_buf(), row: None, line: None, column: None }
    }
    /// The same place, in this data row (the first is 1).
    #[must_use]
    pub fn with_row(mut self, row: usize) -> Self {
        self.row = Some(row);
        self
    }
    /// The same place, in this column.
    #[must_use]
    pub fn with_column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(row) = self.row {
            write!(f, ", row {row}")?;
            if let Some(line) = self.line {
                write!(f, " (line {line})")?;
            }
        }
        if let Some(column) = &self.column {
            write!(f, ", column `{column}`")?;
        }
        Ok(())
    }
}

/// Why it could not be done.
///
/// `Display` says this level only, the cause is [`std::error::Error::source`],
/// and [`Error::hint`] says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // === files ===
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    // === configuration ===
    /// The TOML does not parse, or a field has the wrong type.
    #[error("{}: {message}", path.display())]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// What is wrong, with the line.
        message: String,
    },
    /// A field's value is not one that it can take.
    #[error("`{field}`: expected {expected}, found `{found}`")]
    Setting {
        /// The field's path, as in `train.epochs`.
        field: String,
        /// What it can be.
        expected: String,
        /// What it is.
        found: String,
    },

    // === table ===
    /// A column that was asked for is not there.
    #[error("no column `{name}` in {}", path.display())]
    NoColumn {
        /// The table.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// What there is.
        columns: Vec<String>,
    },
    /// A cell that is not what its column is said to be.
    #[error("{at}: expected {expected}, found `{found}`")]
    Cell {
        /// Where.
        at: Place,
        /// What was expected.
        expected: String,
        /// What is there.
        found: String,
    },

    // === schema, dataset, split ===

    // === encode, task ===

    // === image, augment, loader ===

    // === run, report, demo ===

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
        /// The pattern.
        pattern: String,
        /// The names of the network's children.
        children: Vec<String>,
    },
    /// A layer that would have the name of another.
    #[error("there is already a layer `{path}` in the network")]
    LayerExists {
        /// The path.
        path: String,
    },
    /// A name that a layer cannot have: empty, or with a dot.
    #[error("`{name}` cannot be a layer's name")]
    LayerName {
        /// The name.
        name: String,
    },
    /// Two layers that do not fit together: found before anything runs.
    #[error("`{path}` ({layer}) takes {expected}, and is given {found}")]
    Shape {
        /// The layer that does not fit.
        path: String,
        /// Its kind.
        layer: String,
        /// What it takes.
        expected: String,
        /// What comes to it.
        found: String,
        /// The edit that would fit, where there is one.
        fit: Option<String>,
    },
    /// A layer's own numbers make no sense (a stride of 0, groups that do not divide the channels, …).
    #[error("`{path}` ({layer}): `{field}` must be {expected}, found `{found}`")]
    LayerField {
        /// The layer.
        path: String,
        /// Its kind.
        layer: String,
        /// The field.
        field: &'static str,
        /// What it can be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A layer written in JSON or TOML that cannot be read.
    #[error("cannot read the layer {at}")]
    LayerDescription {
        /// Which one.
        at: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A network that was saved with a layer of a library user's own.
    #[error("`{path}` is a custom layer `{name}`, which is not known here")]
    CustomLayer {
        /// Where it stands.
        path: String,
        /// Its name.
        name: String,
    },
    /// A weights file that is none, is cut short or holds something else.
    #[error("cannot read weights from {}: {reason}", path.display())]
    WeightsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A weights file beyond the size that is read.
    #[error("{} is {bytes} bytes; weights above {limit} bytes are not read", path.display())]
    WeightsSize {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The largest size that is read.
        limit: u64,
    },
    /// A weights file that lacks parameters of the network, or has others.
    #[error("weights in {} do not fit the network: {}", path.display(), key_summary(missing, unexpected))]
    WeightsKeys {
        /// The file.
        path: PathBuf,
        /// The network's keys that the file lacks.
        missing: Vec<String>,
        /// The file's keys that the network lacks.
        unexpected: Vec<String>,
    },
    /// Parameters of another shape than the network's.
    #[error("weights in {} do not fit the network: {}", path.display(), shape_summary(wrong))]
    WeightsShape {
        /// The file.
        path: PathBuf,
        /// Key, the network's shape, the file's.
        wrong: Vec<(String, Vec<usize>, Vec<usize>)>,
    },
    /// A parameter that is not made of numbers the network can compute with.
    #[error("weights in {}: `{key}` is {found}, expected floating-point numbers", path.display())]
    WeightsType {
        /// The file.
        path: PathBuf,
        /// The parameter.
        key: String,
        /// Its element type.
        found: String,
    },
    /// A parameter with an infinite or undefined value.
    #[error("weights in {}: `{key}` holds {value} at element {index}", path.display())]
    WeightsNotFinite {
        /// The file.
        path: PathBuf,
        /// The parameter.
        key: String,
        /// Position in row-major order.
        index: usize,
        /// What is there.
        value: f32,
    },
    /// A saved state that does not belong to this network.
    #[error("the saved state does not fit the network: {}", key_summary(missing, unexpected))]
    State {
        /// The network's keys that it lacks or that have another shape there.
        missing: Vec<String>,
        /// Its keys that the network lacks.
        unexpected: Vec<String>,
    },

    // === train, predict ===
}

impl Error {
    /// What to do next, where we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoColumn { name, columns, .. } => Some(match nearest(name, columns) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the table has: {}", columns.join(", ")),
            }),
            // network, weights
            Self::NoBackbone { name, names } | Self::NoFusion { name, names } => Some(match nearest(name, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", names.join(", ")),
            }),
            Self::NoLayer { path, parent, children } => {
                let asked = path.strip_prefix(parent.as_str()).unwrap_or(path).trim_start_matches('.');
                let asked = asked.split('.').next().unwrap_or(asked);
                let parent = if parent.is_empty() { "the network".into() } else { format!("`{parent}`") };
                Some(match nearest(asked, children) {
                    Some(near) => format!("{parent} has `{near}`, did you mean that?"),
                    None if children.is_empty() => format!("{parent} has no layers inside"),
                    None => format!("{parent} has: {}", children.join(", ")),
                })
            }
            Self::NoParameter { children, .. } => {
                Some(format!("a pattern is a path, or one with `*`, as in `layer4.*`; the network has: {}", children.join(", ")))
            }
            Self::LayerExists { path } => Some(format!("give the new layer another `name`, or replace `{path}`")),
            Self::LayerName { .. } => Some("a name has at least one character and no dot".into()),
            Self::Shape { fit, .. } => fit.clone(),
            Self::CustomLayer { name, .. } => {
                Some(format!("give the function that makes `{name}` to `Network::from_description_with`"))
            }
            Self::WeightsFile { .. } => {
                Some("weights are read from `.safetensors` and from PyTorch's `.pth` or `.pt`; fetch the file again if it was cut short".into())
            }
            Self::WeightsSize { .. } => Some("is this the file of weights that you mean?".into()),
            Self::WeightsKeys { missing, unexpected, .. } => Some(if missing.is_empty() {
                format!("the file has {} parameters too many: is `model.backbone` the network that it was made for?", unexpected.len())
            } else {
                "is `model.backbone` the network that the file was made for?".into()
            }),
            Self::WeightsShape { .. } => Some("the file was made for another variant of this network: change `model.backbone`, or take another file".into()),
            Self::WeightsType { .. } => Some("float32, float64, float16 and bfloat16 are read; quantised weights are not".into()),
            Self::WeightsNotFinite { .. } => Some("the file comes from a training that diverged; take another one".into()),
            _ => None,
        }
    }
}

/// Up to five keys, and how many more there are.
fn five(keys: &[String]) -> String {
    let shown: Vec<String> = keys.iter().take(5).map(|key| format!("`{key}`")).collect();
    match keys.len().checked_sub(5) {
        None | Some(0) => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
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
        .map(|(key, expected, found)| format!("`{key}` is {found:?}, the network wants {expected:?}"))
        .collect();
    match wrong.len().checked_sub(5) {
        None | Some(0) => shown.join("; "),
        Some(more) => format!("{}; and {more} more", shown.join("; ")),
    }
}

/// The candidate nearest to a misspelt name, if any is near enough to be meant.
pub fn nearest<'a>(name: &str, candidates: &'a [String]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.as_str())
}
