//! The network's numbers, as a list and as a file.

use std::collections::HashMap;
use std::path::Path;

use super::Network;
use super::weights;
use crate::error::{Error, Result};
use crate::ranks::to_bytes;

/// A named tensor: path, shape, values in row-major order.
pub type NamedValues = (String, Vec<usize>, Vec<f32>);

impl Network {
    /// Every parameter and buffer, in tree order.
    pub fn state_dict(&self) -> Vec<NamedValues> {
        let mut all = Vec::new();
        self.root.each_parameter("", &mut |path, parameter| {
            all.push((path, parameter.shape(), parameter.values()))
        });
        all
    }

    /// Takes the numbers of a [`Network::state_dict`], in any order. On an error nothing was changed.
    ///
    /// # Errors
    ///
    /// [`Error::State`] where a parameter is missing, has another shape, or is not the network's.
    pub fn load_state(&mut self, state: Vec<NamedValues>) -> Result<()> {
        let mut state: HashMap<String, (Vec<usize>, Vec<f32>)> = state
            .into_iter()
            .map(|(path, shape, values)| (path, (shape, values)))
            .collect();
        let mut missing = Vec::new();
        let mut known = Vec::new();
        self.root.each_parameter("", &mut |path, parameter| {
            let shape = parameter.shape();
            match state.get(&path) {
                Some((found, values))
                    if *found == shape && values.len() == shape.iter().product::<usize>() => {}
                _ => missing.push(path.clone()),
            }
            known.push(path);
        });
        let mut unexpected: Vec<String> = state
            .keys()
            .filter(|key| !known.contains(key))
            .cloned()
            .collect();
        unexpected.sort();
        if !missing.is_empty() || !unexpected.is_empty() {
            return Err(Error::State {
                missing,
                unexpected,
            });
        }
        self.root.each_parameter_mut("", &mut |path, parameter| {
            if let Some((_, values)) = state.remove(path) {
                parameter.set_values(values);
            }
        });
        Ok(())
    }

    /// Writes the numbers as safetensors with torch's keys and layouts: beside the file, then renamed.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write).
    pub fn save_weights(&self, path: &Path) -> Result<()> {
        self.write_weights(path, None).map(|_| ())
    }

    /// As [`Network::save_weights`], with these words in the file's header; returns its length in bytes.
    pub(crate) fn write_weights(
        &self,
        path: &Path,
        header: Option<HashMap<String, String>>,
    ) -> Result<usize> {
        let state: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .state_dict()
            .into_iter()
            .map(|(key, shape, values)| (key, shape, to_bytes(&values)))
            .collect();
        weights::write(path, &state, header)
    }

    /// Reads what [`Network::save_weights`] wrote, or any file with exactly the network's keys.
    /// On an error nothing was changed.
    ///
    /// # Errors
    ///
    /// As [`weights::read`] and [`weights::load`].
    pub fn load_weights(&mut self, path: &Path) -> Result<()> {
        let file = weights::read(path)?;
        weights::load(&mut self.root, file, &weights::Fit::exact())
    }
}
