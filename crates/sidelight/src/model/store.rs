//! A model on disk: `model.json` says everything but the numbers, `weights.safetensors` has those. Where it is for the
//! Hugging Face hub these are in `model.safetensors`, as it is usual there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::Model;
use crate::config::Config;
use crate::conformal::Conformal;
use crate::digest;
use crate::encode::Encoder;
use crate::error::{Error, Result, cannot_read};
use crate::hub::weights_licence;
use crate::network::head::PointsLayout;
use crate::network::layer::{Ensemble, MetadataSource};
use crate::network::{Architecture, InputSpec, Layer, Network, Node, Shape, shape};
use crate::run::{DESCRIPTION, Run, read_versioned, write_json};
use crate::task::Task;
use crate::tensor::Precision;

const WEIGHTS: &str = "weights.safetensors";
/// What they are called on the hub.
pub(crate) const HUB_WEIGHTS: &str = "model.safetensors";

/// No image that a network reads has more channels.
const MOST_CHANNELS: usize = 1024;

/// The newest schema that this version reads, and the one that it writes.
const SCHEMA: u32 = 1;

/// No description is larger: category names and quantiles of a very wide table come to a few megabytes.
const LARGEST_DESCRIPTION: u64 = 256 << 20;

#[derive(Serialize, Deserialize)]
struct Description {
    schema: u32,
    weights: WeightsFile,
    task: Task,
    config: Config,
    encoder: Encoder,
    architecture: serde_json::Value,
    /// For who reads the file: it follows from the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weights_licence: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conformal: Option<Conformal>,
}

#[derive(Serialize, Deserialize)]
struct WeightsFile {
    file: String,
    sha256: String,
    bytes: u64,
}

/// The part of an architecture that says how large it is.
#[derive(Deserialize)]
struct Saved {
    input: InputSpec,
    root: Architecture,
}

impl Model {
    /// Writes the model into a folder that exists: `weights.safetensors`, then `model.json` with its checksum.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write).
    pub fn save(&self, dir: &Path) -> Result<()> {
        self.save_as(dir, WEIGHTS)
    }

    /// As [`Model::save`], with the weights in a file of this name: one of those that are read.
    pub(crate) fn save_as(&self, dir: &Path, name: &str) -> Result<()> {
        let weights = dir.join(name);
        self.network.save_weights(&weights)?;
        let (sha256, bytes) = digest::of_file(&weights)?;
        let description = Description {
            schema: SCHEMA,
            weights: WeightsFile {
                file: name.into(),
                sha256,
                bytes,
            },
            task: (*self.task).clone(),
            config: self.config.clone(),
            encoder: (*self.encoder).clone(),
            architecture: self.network.describe(),
            weights_licence: weights_licence(&self.config.model),
            conformal: self.conformal.clone(),
        };
        write_json(&dir.join(DESCRIPTION), &description)
    }

    /// Reads a model onto the CPU.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`](crate::error::DataError::Read), [`Error::StoredSize`], [`Error::StoredJson`], [`Error::SchemaTooNew`], [`Error::Checksum`],
    /// [`Error::ModelParts`], and those of the network's description and weights.
    pub fn load(dir: &Path) -> Result<Self> {
        Self::load_on(dir, &Device::flex())
    }

    /// Reads a model onto a device.
    ///
    /// # Errors
    ///
    /// As [`Model::load`].
    pub fn load_on(dir: &Path, device: &Device) -> Result<Self> {
        let Description {
            weights,
            task,
            config,
            encoder,
            architecture,
            conformal,
            ..
        } = read_description(&dir.join(DESCRIPTION))?;
        let parts = |part, expected: String, found: String| Error::ModelParts {
            path: dir.to_path_buf(),
            part,
            expected,
            found,
        };

        if let Some((list, found)) = task.misfit() {
            let expected = format!("as many as the {} outputs", task.n_outputs());
            return Err(parts(
                "task",
                expected,
                format!("`{list}` of length {found}"),
            ));
        }
        if let Some((column, why)) = encoder.misfit() {
            let expected = "columns that do not contradict themselves".into();
            return Err(parts("encoder", expected, format!("`{column}`: {why}")));
        }
        config
            .validate()
            .map_err(|error| parts("configuration", "valid settings".into(), error.to_string()))?;
        // A name in a file is looked up, never opened as a path.
        let known = [WEIGHTS, HUB_WEIGHTS];
        let Some(name) = known.into_iter().find(|name| *name == weights.file) else {
            let expected = known.map(|name| format!("`{name}`")).join(" or ");
            return Err(parts(
                "file of weights",
                expected,
                format!("`{}`", weights.file),
            ));
        };
        let path = dir.join(name);
        let bytes = fs::metadata(&path).map_err(cannot_read(&path))?.len();
        // Before anything of its size is allocated: a description that claims more numbers than there are bytes is wrong.
        let numbers = count_numbers(&architecture, &dir.join(DESCRIPTION))?;
        if numbers.saturating_mul(4) > bytes {
            return Err(parts(
                "file of weights",
                format!(
                    "{} bytes for the {numbers} numbers of the network",
                    numbers.saturating_mul(4)
                ),
                bytes.to_string(),
            ));
        }
        let (found, _) = digest::of_file(&path)?;
        if found != weights.sha256 {
            return Err(Error::Checksum {
                path,
                expected: weights.sha256,
                found,
            });
        }
        let mut network = Network::from_description(&architecture, device)?;
        network.load_weights(&path)?;
        network.precision = Precision::from_name(&config.train.precision);
        let model = Self {
            config,
            task: Arc::new(task),
            encoder: Arc::new(encoder),
            network,
            conformal,
        };
        model.check_parts(&parts)?;
        Ok(model)
    }

    /// The folder that a model is in: this one, where it has a `model.json` (as a run's `model` has, and what
    /// [`export::share`](crate::export::share) writes), otherwise that of the finished run in it.
    ///
    /// # Errors
    ///
    /// Those of [`Run::open`].
    pub fn folder(path: &Path) -> Result<PathBuf> {
        match path.join(DESCRIPTION).is_file() {
            true => Ok(path.to_path_buf()),
            false => Ok(Run::open(path)?.model_dir()),
        }
    }

    /// The files of the model in its folder: its description and its weights, where they are there.
    pub fn files(dir: &Path) -> Vec<PathBuf> {
        let names = [DESCRIPTION, WEIGHTS, HUB_WEIGHTS];
        let files = names.into_iter().map(|name| dir.join(name));
        files.filter(|file| file.is_file()).collect()
    }

    /// What tells a stored model from another: the SHA-256 of its description, which holds that of its weights.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`](crate::error::DataError::Read).
    pub fn checksum(dir: &Path) -> Result<String> {
        Ok(digest::of_file(&dir.join(DESCRIPTION)).map(|(sha256, _)| sha256)?)
    }

    /// Whether task, encoder, configuration and network are of one model.
    fn check_parts(&self, wrong: &dyn Fn(&'static str, String, String) -> Error) -> Result<()> {
        // The first entry is the network as a whole.
        let output = self.network.inspect()?.first().map(|whole| whole.output);
        let n = self.task.n_outputs();
        // Points may say how sure they are, and where else they may be.
        let fits = output.is_some_and(|output| match (&*self.task, output) {
            (Task::Keypoints { .. }, Shape::Features(width)) if width >= n => {
                let layout = PointsLayout::new(n, width);
                layout.certainty().end == width
                    && layout.n_candidates == self.config.model.n_candidates()
            }
            _ => output == Shape::Features(n),
        });
        if !fits {
            let output = output.map(|output| output.to_string());
            let expected = Shape::Features(n).to_string();
            return Err(wrong(
                "network's output",
                expected,
                output.unwrap_or_default(),
            ));
        }
        if self
            .conformal
            .as_ref()
            .is_some_and(|known| !known.fits(&self.task))
        {
            return Err(wrong(
                "errors on held-out rows",
                "sorted ones, for each part of the task".into(),
                "others".into(),
            ));
        }
        let size = if self.reads_image() {
            self.config.train.size
        } else {
            0
        };
        if self.network.input.size != size {
            return Err(wrong(
                "network's input",
                format!("{size} pixels a side"),
                self.network.input.size.to_string(),
            ));
        }
        let channels = self.network.input.channels;
        let may_have = match size {
            0 => 3..=3,
            _ => 1..=MOST_CHANNELS,
        };
        if !may_have.contains(&channels) {
            return Err(wrong(
                "network's input",
                format!("{} to {} channels", may_have.start(), may_have.end()),
                channels.to_string(),
            ));
        }
        let InputSpec { mean, sd, .. } = &self.network.input;
        let are_numbers = mean.iter().chain(sd).all(|number| number.is_finite());
        if !are_numbers || sd.iter().any(|sd| *sd <= 0.0) {
            return Err(wrong(
                "network's input",
                "a mean and a deviation above 0 for each channel".into(),
                format!("{mean:?} and {sd:?}"),
            ));
        }
        let encoded = MetadataSource::from_encoder(&self.encoder);
        match misread(&self.network.root, &encoded) {
            Some((expected, found)) => Err(wrong("network's metadata", expected, found)),
            None => Ok(()),
        }
    }
}

/// What a layer reads of the metadata that the encoder does not make: what should be there, and what is.
fn misread(node: &Node, encoded: &MetadataSource) -> Option<(String, String)> {
    let (d_dense, n_codes) = (encoded.d_dense, encoded.embeddings.len());
    let made = |d_dense, n| format!("{d_dense} dense numbers and {n} embedded columns");
    let wrong = match &node.layer {
        Layer::Metadata(source) => {
            // What says how sure points are reads no embedded column.
            let is_of_dense = source.embeddings.is_empty() && d_dense > 0;
            let is_of_codes = is_of_dense || source.embeddings == encoded.embeddings;
            let is_made = source.d_dense == d_dense && is_of_codes;
            (!is_made).then(|| made(source.d_dense, source.embeddings.len()))
        }
        Layer::Stack(stack) => {
            let n_missing = stack.missing.len();
            let is_made = n_missing == d_dense || !stack.reads_metadata();
            (!is_made).then(|| format!("a `missing` of {n_missing} numbers"))
        }
        Layer::Trees(trees) => trees.misread(&node.parameters, d_dense, n_codes),
        Layer::Ensemble(ensemble) => return misread_by_members(ensemble, node, encoded),
        _ => None,
    };
    let mut children = node.children.iter();
    match wrong {
        Some(found) => Some((made(d_dense, n_codes), found)),
        None => children.find_map(|(_, child)| misread(child, encoded)),
    }
}

/// As [`misread`], of networks that are each given a part of the metadata.
fn misread_by_members(
    ensemble: &Ensemble,
    node: &Node,
    encoded: &MetadataSource,
) -> Option<(String, String)> {
    let (d_dense, n_codes) = (encoded.d_dense, encoded.embeddings.len());
    let mut members = ensemble.members.iter().zip(&node.children);
    members.find_map(|(member, (name, child))| {
        let are_there = member.dense.iter().all(|&place| place < d_dense)
            && member.codes.iter().all(|&place| place < n_codes);
        if !are_there {
            let expected = format!("places among {d_dense} dense numbers and {n_codes} codes");
            return Some((expected, format!("others of member `{name}`")));
        }
        let embeddings = member.codes.iter();
        let embeddings = embeddings.map(|&place| encoded.embeddings[place].clone());
        let own = MetadataSource {
            d_dense: member.dense.len(),
            embeddings: embeddings.collect(),
            screened: false,
        };
        misread(child, &own)
    })
}

fn read_description(path: &Path) -> Result<Description> {
    let read = cannot_read(path);
    let found = fs::metadata(path).map_err(read)?.len();
    if found > LARGEST_DESCRIPTION {
        return Err(Error::StoredSize {
            path: path.to_path_buf(),
            found,
            largest: LARGEST_DESCRIPTION,
        });
    }
    read_versioned(path, SCHEMA, |path, source| Error::StoredJson {
        path,
        source,
    })
}

/// Numbers that an architecture will allocate.
fn count_numbers(architecture: &serde_json::Value, path: &Path) -> Result<u64> {
    let Saved { input, mut root } =
        Saved::deserialize(architecture).map_err(|source| Error::StoredJson {
            path: path.to_path_buf(),
            source,
        })?;
    let layers = shape::infer(&mut root, input.shape())?;
    Ok(layers.iter().fold(0u64, |sum, layer| {
        sum.saturating_add(layer.n_parameters as u64)
    }))
}
