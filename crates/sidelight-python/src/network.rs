//! A network as Python sees it: layers by path, weights as bytes, edits.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sidelight::network::{Edit, Edits, Network as Layers, Parameter};

use crate::error::Failed;

/// The layers of a model, to look at and to change.
#[pyclass(frozen)]
pub(crate) struct Network {
    layers: Mutex<Layers>,
}

/// Numbers as NumPy's `<f4` has them.
pub(crate) fn to_bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// A parameter: its path, its shape, whether it learns.
type Described = (String, Vec<usize>, bool);

impl Network {
    pub(crate) fn new(layers: Layers) -> Self {
        Self {
            layers: Mutex::new(layers),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Layers) -> T) -> T {
        act(&mut self.layers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl Network {
    /// The architecture as JSON, as `model.json` has it.
    fn describe(&self) -> String {
        self.with(|network| network.describe()).to_string()
    }

    /// Every layer: path, kind, shapes of what comes in and goes out, in words.
    fn layers(&self) -> Result<Vec<(String, String, String, String)>, Failed> {
        let layers = self.with(|network| network.inspect())?;
        let words = layers.into_iter().map(|layer| {
            (
                layer.path,
                layer.kind.to_owned(),
                layer.input.to_string(),
                layer.output.to_string(),
            )
        });
        Ok(words.collect())
    }

    /// Every parameter, in the order of the layers.
    fn parameters(&self) -> Vec<Described> {
        self.with(|network| {
            let mut all = Vec::new();
            network
                .root
                .each_parameter("", &mut |path, parameter: &Parameter| {
                    all.push((path, parameter.shape(), parameter.is_trainable()));
                });
            all
        })
    }

    /// The numbers of a parameter, row by row, little-endian float32.
    fn get<'py>(&self, py: Python<'py>, path: &str) -> Result<Bound<'py, PyBytes>, Failed> {
        let values = self.with(|network| {
            let mut found = None;
            network
                .root
                .each_parameter("", &mut |at, parameter: &Parameter| {
                    if at == path {
                        found = Some(parameter.values());
                    }
                });
            found
        });
        let values = values.with_context(|| format!("no parameter `{path}`"))?;
        Ok(PyBytes::new(py, &to_bytes(&values)))
    }

    /// Sets the numbers of a parameter, as many as it has.
    fn set(&self, path: &str, bytes: &[u8]) -> Result<(), Failed> {
        let values: Vec<f32> = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|number| f32::from_le_bytes(*number))
            .collect();
        let done = self.with(|network| {
            let mut done = None;
            network.root.each_parameter_mut("", &mut |at, parameter| {
                if at == path {
                    let n: usize = parameter.shape().iter().product();
                    let fits = n == values.len();
                    if fits {
                        parameter.set_values(values.clone());
                    }
                    done = Some((fits, n));
                }
            });
            done
        });
        match done {
            Some((true, _)) => Ok(()),
            Some((false, n)) => {
                Err(anyhow::anyhow!("`{path}` has {n} numbers, not {}", values.len()).into())
            }
            None => Err(anyhow::anyhow!("no parameter `{path}`").into()),
        }
    }

    /// Makes edits, a JSON list of what `[[model.edit]]` holds, all or none; new layers are drawn by `seed`.
    fn edit(&self, edits: &str, seed: u64) -> Result<Vec<String>, Failed> {
        let edits: Vec<Edit> = serde_json::from_str(edits).map_err(anyhow::Error::from)?;
        let edits = Edits::from(edits).with_seed(seed);
        Ok(self.with(|network| network.edit(edits))?)
    }

    /// Writes all weights as safetensors.
    fn save(&self, path: PathBuf) -> Result<(), Failed> {
        Ok(self.with(|network| network.save_weights(&path))?)
    }

    /// Loads all weights from safetensors.
    fn load(&self, path: PathBuf) -> Result<(), Failed> {
        Ok(self.with(|network| network.load_weights(&path))?)
    }
}
