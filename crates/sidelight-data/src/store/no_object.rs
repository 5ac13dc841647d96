//! What stands for a store in a build without the feature `remote`: types without a value.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Shard;
use crate::error::Result;

/// A store, of which there is none in this build.
#[derive(Debug)]
pub enum Store {}

/// Shards that are fetched in the background, of which there are none in this build.
#[derive(Debug)]
pub enum ReadAhead {}

#[derive(Debug)]
pub(super) enum Object {}

impl Store {
    /// Bytes that its folder holds, at most.
    pub fn max_bytes(&self) -> u64 {
        match *self {}
    }

    /// Objects by their addresses.
    ///
    /// # Errors
    ///
    /// None: there is no store.
    pub fn shards(self: &Arc<Self>, _: &[PathBuf]) -> Result<Vec<Arc<Shard>>> {
        match **self {}
    }

    /// The addresses of the objects in a folder.
    ///
    /// # Errors
    ///
    /// None: there is no store.
    pub fn list(&self, _: &Path, _: &str) -> Result<Vec<PathBuf>> {
        match *self {}
    }

    /// An object.
    pub fn object(self: &Arc<Self>, _: &Path, _: Option<u64>) -> Arc<Shard> {
        match **self {}
    }

    /// Fetches small objects in the background.
    pub fn read_many_ahead(self: &Arc<Self>, _: Vec<Arc<Shard>>) -> ReadAhead {
        match **self {}
    }

    /// Fetches shards in the background.
    pub fn read_ahead(self: &Arc<Self>, _: Vec<Arc<Shard>>, _: usize) -> ReadAhead {
        match **self {}
    }
}

impl Object {
    pub(super) fn store(&self) -> &Arc<Store> {
        match *self {}
    }

    pub(super) fn n_bytes(&self, _: &Path) -> Result<u64> {
        match *self {}
    }

    pub(super) fn known_bytes(&self) -> Option<u64> {
        match *self {}
    }

    pub(super) fn tag(&self) -> Option<&str> {
        match *self {}
    }

    pub(super) fn open(&self, _: &Path) -> Result<File> {
        match *self {}
    }
}
